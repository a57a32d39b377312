//! Versions of QUIC, and with which keys each protects its Initial packets.

/// QUIC 1, RFC 9000.
pub(super) const V1: u32 = 1;
/// QUIC 2, RFC 9369.
pub(super) const V2: u32 = 0x6b33_43cf;
/// QUIC 2 while it was a draft.
pub(super) const V2_DRAFT: u32 = 0x709a_50c4;

const Q050: u32 = u32::from_be_bytes(*b"Q050");
const T050: u32 = u32::from_be_bytes(*b"T050");
const T051: u32 = u32::from_be_bytes(*b"T051");

/// How packets look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// QUIC, its drafts, Facebook's, and versions nobody speaks, which only force negotiation.
    Ietf,
    /// QUIC's long header and protection, Google's frames; a TLS hello.
    GoogleTls,
    /// The same with Google's own hello.
    GoogleProtected,
    /// Google's packets in the clear, with a header like QUIC's.
    GoogleLong,
    /// Google's packets in the clear, with a header of their own.
    GooglePublic,
}

/// The family of a version; `None` for a number that is no version in use.
pub(super) fn family(version: u32) -> Option<Family> {
    if version == V1 {
        return Some(Family::Ietf);
    }
    match version.to_be_bytes() {
        [b'T', b'0', b'5', b'0' | b'1'] => Some(Family::GoogleTls),
        [b'Q', b'0', b'5', b'0'] => Some(Family::GoogleProtected),
        [b'Q', b'0', b'4', b'4'..=b'9'] => Some(Family::GoogleLong),
        [b'Q', b'0', b'2', b'4'..=b'9'] | [b'Q', b'0', b'3', b'0'..=b'9'] | [b'Q', b'0', b'4', b'0'..=b'3'] => {
            Some(Family::GooglePublic)
        }
        // Drafts whose header has lengths of connection ids in bytes of their own.
        [0xff, 0, 0, 22..=34] | [0xfa, 0xce, 0xb0, _] => Some(Family::Ietf),
        _ if matches!(version, V2 | V2_DRAFT) || version & 0x0f0f_0f0f == 0x0a0a_0a0a => Some(Family::Ietf),
        _ => None,
    }
}

/// What Initial keys are derived with: salt, and labels for key, initialisation vector and header protection.
#[derive(Debug)]
pub(super) struct Derivation {
    pub(super) salt: [u8; 20],
    pub(super) labels: [&'static [u8]; 3],
}

const LABELS: [&[u8]; 3] = [b"quic key", b"quic iv", b"quic hp"];
const LABELS_V2: [&[u8]; 3] = [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"];

const fn with(salt: u128, tail: u32, labels: [&'static [u8]; 3]) -> Derivation {
    let (head, tail) = (salt.to_be_bytes(), tail.to_be_bytes());
    let mut whole = [0; 20];
    let mut index = 0;
    while index < 20 {
        whole[index] = if index < 16 { head[index] } else { tail[index - 16] };
        index += 1;
    }
    Derivation { salt: whole, labels }
}

/// RFC 9001 section 5.2; drafts from 33.
const RFC9001: Derivation = with(0x38762cf7f55934b34d179ae6a4c80cad, 0xccbb7f0a, LABELS);
/// RFC 9369 section 3.3.1.
const RFC9369: Derivation = with(0x0dede3def700a6db819381be6e269dcb, 0xf9bd2ed9, LABELS_V2);
const DRAFT_V2: Derivation = with(0xa707c203a59b47184a1d62ca570406ea, 0x7ae3e5d3, LABELS_V2);
const DRAFT_29: Derivation = with(0xafbfec289993d24c9e9786f19c6111e0, 0x4390a899, LABELS);
const DRAFT_23: Derivation = with(0xc3eef712c72ebb5a11a7d2432bb46365, 0xbef9f502, LABELS);
const DRAFT_22: Derivation = with(0x7fbcdb0e7c66bbe9193a96cd21519ebd, 0x7a02644a, LABELS);
const GOOGLE_Q050: Derivation = with(0x504574efd066fe2f9d945cfcdbd3a7f0, 0xd3b56b45, LABELS);
const GOOGLE_T050: Derivation = with(0x7ff579e5acd072915580304c43a2367c, 0x60488310, LABELS);
const GOOGLE_T051: Derivation = with(0x7a4edef4e7ccee5fa4506c19124fc8cc, 0xda6e033d, LABELS);

/// What a version's Initial keys may be derived with, the likeliest first. Decryption is authenticated, so a wrong
/// one does no harm.
pub(super) fn derivations(version: u32) -> &'static [Derivation] {
    match version {
        V1 | 0xff00_0021..=0xff00_0022 => &[RFC9001],
        V2 => &[RFC9369],
        V2_DRAFT => &[DRAFT_V2],
        0xff00_001d..=0xff00_0020 => &[DRAFT_29],
        0xff00_0017..=0xff00_001c => &[DRAFT_23],
        0xff00_0016 | 0xface_b001 => &[DRAFT_22],
        Q050 => &[GOOGLE_Q050],
        T050 => &[GOOGLE_T050],
        T051 => &[GOOGLE_T051],
        // Facebook counts its own way, and moves with the drafts.
        0xface_b000..=0xface_b0ff => &[DRAFT_23, DRAFT_29, RFC9001],
        _ => &[RFC9001, DRAFT_29],
    }
}
