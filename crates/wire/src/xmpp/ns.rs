//! Every XML namespace the gateway knows by name, in one place.

macro_rules! namespaces {
    ($($(#[$doc:meta])* $name:ident = $uri:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $uri;)*

        #[cfg(test)]
        const ALL: &[(&str, &str)] = &[$((stringify!($name), $uri)),*];
    };
}

namespaces! {
    /// Stanzas between client and server (RFC 6120).
    CLIENT = "jabber:client";
    /// Stanzas between servers (RFC 6120).
    SERVER = "jabber:server";
    /// Stanzas between a server and a component (XEP-0114).
    COMPONENT = "jabber:component:accept";
    /// Prefix `xml` (Namespaces in XML 1.0).
    XML = "http://www.w3.org/XML/1998/namespace";
    /// Prefix `xmlns` (Namespaces in XML 1.0).
    XMLNS = "http://www.w3.org/2000/xmlns/";
    /// The stream itself (RFC 6120).
    STREAMS = "http://etherx.jabber.org/streams";
    /// Stream error conditions (RFC 6120).
    STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams";
    /// Stanza error conditions (RFC 6120).
    STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas";
    /// STARTTLS (RFC 6120).
    TLS = "urn:ietf:params:xml:ns:xmpp-tls";
    /// SASL (RFC 6120).
    SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
    /// Extensible SASL (XEP-0388).
    SASL2 = "urn:xmpp:sasl:2";
    /// Fast authentication (XEP-0484).
    FAST = "urn:xmpp:fast:0";
    /// Channel-binding types (XEP-0440).
    SASL_CB = "urn:xmpp:sasl-cb:0";
    /// Resource binding (RFC 6120).
    BIND = "urn:ietf:params:xml:ns:xmpp-bind";
    /// Bind 2 (XEP-0386).
    BIND2 = "urn:xmpp:bind:0";
    /// Session establishment (RFC 3921).
    SESSION = "urn:ietf:params:xml:ns:xmpp-session";
    /// Stream management (XEP-0198).
    SM = "urn:xmpp:sm:3";
    /// Stream management, the version before (XEP-0198).
    SM2 = "urn:xmpp:sm:2";
    /// Stream compression (XEP-0138).
    COMPRESS = "http://jabber.org/protocol/compress";
    /// Stream compression feature (XEP-0138).
    COMPRESS_FEATURE = "http://jabber.org/features/compress";
    /// Client state indication (XEP-0352).
    CSI = "urn:xmpp:csi:0";
    /// Stream limits (XEP-0478).
    STREAM_LIMITS = "urn:xmpp:stream-limits:0";
    /// Roster (RFC 6121).
    ROSTER = "jabber:iq:roster";
    /// Privacy lists (XEP-0016).
    PRIVACY = "jabber:iq:privacy";
    /// Private storage (XEP-0049).
    PRIVATE = "jabber:iq:private";
    /// Registration (XEP-0077).
    REGISTER = "jabber:iq:register";
    /// Service discovery, information (XEP-0030).
    DISCO_INFO = "http://jabber.org/protocol/disco#info";
    /// Service discovery, items (XEP-0030).
    DISCO_ITEMS = "http://jabber.org/protocol/disco#items";
    /// Entity capabilities (XEP-0115).
    CAPS = "http://jabber.org/protocol/caps";
    /// Ping (XEP-0199).
    PING = "urn:xmpp:ping";
    /// Data forms (XEP-0004).
    DATA = "jabber:x:data";
    /// Ad-hoc commands (XEP-0050).
    COMMANDS = "http://jabber.org/protocol/commands";
    /// Chat states (XEP-0085).
    CHAT_STATES = "http://jabber.org/protocol/chatstates";
    /// Delivery receipts (XEP-0184).
    RECEIPTS = "urn:xmpp:receipts";
    /// Chat markers (XEP-0333).
    MARKERS = "urn:xmpp:chat-markers:0";
    /// Delayed delivery (XEP-0203).
    DELAY = "urn:xmpp:delay";
    /// Stanza and origin ids (XEP-0359).
    SID = "urn:xmpp:sid:0";
    /// Message processing hints (XEP-0334).
    HINTS = "urn:xmpp:hints";
    /// Message carbons (XEP-0280).
    CARBONS = "urn:xmpp:carbons:2";
    /// Stanza forwarding (XEP-0297).
    FORWARD = "urn:xmpp:forward:0";
    /// Message archive management (XEP-0313).
    MAM = "urn:xmpp:mam:2";
    /// Message archive management, the version before (XEP-0313).
    MAM1 = "urn:xmpp:mam:1";
    /// Multi-user chat (XEP-0045).
    MUC = "http://jabber.org/protocol/muc";
    /// Multi-user chat, users (XEP-0045).
    MUC_USER = "http://jabber.org/protocol/muc#user";
    /// Multi-user chat, administration (XEP-0045).
    MUC_ADMIN = "http://jabber.org/protocol/muc#admin";
    /// Multi-user chat, owners (XEP-0045).
    MUC_OWNER = "http://jabber.org/protocol/muc#owner";
    /// Direct invitations (XEP-0249).
    CONFERENCE = "jabber:x:conference";
    /// Bookmarks in PEP (XEP-0402).
    BOOKMARKS = "urn:xmpp:bookmarks:1";
    /// Publish-subscribe (XEP-0060).
    PUBSUB = "http://jabber.org/protocol/pubsub";
    /// Publish-subscribe events (XEP-0060).
    PUBSUB_EVENT = "http://jabber.org/protocol/pubsub#event";
    /// Publish-subscribe, owners (XEP-0060).
    PUBSUB_OWNER = "http://jabber.org/protocol/pubsub#owner";
    /// XHTML-IM wrapper (XEP-0071).
    XHTML_IM = "http://jabber.org/protocol/xhtml-im";
    /// XHTML content (XEP-0071).
    XHTML = "http://www.w3.org/1999/xhtml";
    /// Out-of-band data in a message (XEP-0066).
    OOB = "jabber:x:oob";
    /// Out-of-band data in a query (XEP-0066).
    OOB_IQ = "jabber:iq:oob";
    /// References (XEP-0372).
    REFERENCE = "urn:xmpp:reference:0";
    /// Stateless inline media sharing (XEP-0385).
    SIMS = "urn:xmpp:sims:1";
    /// Stateless file sharing (XEP-0447).
    SFS = "urn:xmpp:sfs:0";
    /// File metadata (XEP-0446).
    FILE_METADATA = "urn:xmpp:file:metadata:0";
    /// Where a URL's data is (XEP-0103).
    URL_DATA = "http://jabber.org/protocol/url-data";
    /// Replies (XEP-0461).
    REPLY = "urn:xmpp:reply:0";
    /// Fallback indication (XEP-0428).
    FALLBACK = "urn:xmpp:fallback:0";
    /// Last message correction (XEP-0308).
    CORRECT = "urn:xmpp:message-correct:0";
    /// Message retraction (XEP-0424).
    RETRACT = "urn:xmpp:message-retract:1";
    /// Message retraction, the version before (XEP-0424).
    RETRACT0 = "urn:xmpp:message-retract:0";
    /// Message moderation (XEP-0425).
    MODERATE = "urn:xmpp:message-moderate:1";
    /// Message moderation, the version before (XEP-0425).
    MODERATE0 = "urn:xmpp:message-moderate:0";
    /// Message fastening (XEP-0422).
    FASTEN = "urn:xmpp:fasten:0";
    /// Reactions (XEP-0444).
    REACTIONS = "urn:xmpp:reactions:0";
    /// User nickname (XEP-0172).
    NICK = "http://jabber.org/protocol/nick";
    /// vCard-temp (XEP-0054).
    VCARD = "vcard-temp";
    /// vCard-temp avatars (XEP-0153).
    VCARD_UPDATE = "vcard-temp:x:update";
    /// vCard 4 (XEP-0292).
    VCARD4 = "urn:ietf:params:xml:ns:vcard-4.0";
    /// Avatar data (XEP-0084).
    AVATAR_DATA = "urn:xmpp:avatar:data";
    /// Avatar metadata (XEP-0084).
    AVATAR_METADATA = "urn:xmpp:avatar:metadata";
    /// Bits of binary (XEP-0231).
    BOB = "urn:xmpp:bob";
    /// HTTP file upload (XEP-0363).
    UPLOAD = "urn:xmpp:http:upload:0";
    /// HTTP file upload, the version before (XEP-0363).
    UPLOAD_OLD = "urn:xmpp:http:upload";
    /// Jingle (XEP-0166).
    JINGLE = "urn:xmpp:jingle:1";
    /// Jingle file transfer (XEP-0234).
    JINGLE_FILES = "urn:xmpp:jingle:apps:file-transfer:5";
    /// Jingle file transfer, an older version still spoken (XEP-0234).
    JINGLE_FILES4 = "urn:xmpp:jingle:apps:file-transfer:4";
    /// Jingle file transfer, an older version still spoken (XEP-0234).
    JINGLE_FILES3 = "urn:xmpp:jingle:apps:file-transfer:3";
    /// Jingle RTP sessions: calls (XEP-0167).
    JINGLE_RTP = "urn:xmpp:jingle:apps:rtp:1";
    /// Jingle SOCKS5 transport (XEP-0260).
    JINGLE_S5B = "urn:xmpp:jingle:transports:s5b:1";
    /// Jingle in-band transport (XEP-0261).
    JINGLE_IBB = "urn:xmpp:jingle:transports:ibb:1";
    /// Jingle message initiation (XEP-0353).
    JINGLE_MESSAGE = "urn:xmpp:jingle-message:0";
    /// In-band bytestreams (XEP-0047).
    IBB = "http://jabber.org/protocol/ibb";
    /// SOCKS5 bytestreams (XEP-0065).
    BYTESTREAMS = "http://jabber.org/protocol/bytestreams";
    /// Stream initiation (XEP-0095).
    SI = "http://jabber.org/protocol/si";
    /// Stream initiation file transfer (XEP-0096).
    SI_FILES = "http://jabber.org/protocol/si/profile/file-transfer";
    /// OMEMO as deployed (XEP-0384 0.3).
    OMEMO_LEGACY = "eu.siacs.conversations.axolotl";
    /// OMEMO 1 (XEP-0384 0.4 to 0.7).
    OMEMO1 = "urn:xmpp:omemo:1";
    /// OMEMO 2 (XEP-0384).
    OMEMO2 = "urn:xmpp:omemo:2";
    /// OpenPGP for XMPP (XEP-0373).
    OX = "urn:xmpp:openpgp:0";
    /// OpenPGP, encrypted, old (XEP-0027).
    PGP_ENCRYPTED = "jabber:x:encrypted";
    /// OpenPGP, signed, old (XEP-0027).
    PGP_SIGNED = "jabber:x:signed";
    /// Explicit message encryption (XEP-0380).
    EME = "urn:xmpp:eme:0";
    /// Stanza content encryption (XEP-0420).
    SCE = "urn:xmpp:sce:1";
    /// Encrypted stateless file sharing (XEP-0448).
    ESFS = "urn:xmpp:esfs:0";
    /// Attention (XEP-0224).
    ATTENTION = "urn:xmpp:attention:0";
    /// Spoiler messages (XEP-0382).
    SPOILER = "urn:xmpp:spoiler:0";
    /// Message attaching (XEP-0367).
    ATTACH = "urn:xmpp:message-attaching:1";
    /// Extended stanza addressing (XEP-0033).
    ADDRESS = "http://jabber.org/protocol/address";
    /// Roster item exchange (XEP-0144).
    ROSTERX = "http://jabber.org/protocol/rosterx";
    /// User location (XEP-0080).
    GEOLOC = "http://jabber.org/protocol/geoloc";
    /// User mood (XEP-0107).
    MOOD = "http://jabber.org/protocol/mood";
    /// User activity (XEP-0108).
    ACTIVITY = "http://jabber.org/protocol/activity";
    /// User tune (XEP-0118).
    TUNE = "http://jabber.org/protocol/tune";
    /// Delayed delivery, legacy (XEP-0091).
    DELAY_OLD = "jabber:x:delay";
    /// In-band real-time text (XEP-0301).
    RTT = "urn:xmpp:rtt:0";
    /// Ranges of markup over a body (XEP-0394).
    MARKUP = "urn:xmpp:markup:0";
    /// Jingle message initiation, the version after (XEP-0353).
    JINGLE_MESSAGE1 = "urn:xmpp:jingle-message:1";
    /// What all versions of Jingle file transfer start with (XEP-0234).
    JINGLE_FILES_ROOT = "urn:xmpp:jingle:apps:file-transfer:";
    /// Call invites (XEP-0482).
    CALL_INVITES = "urn:xmpp:call-invites:0";
    /// Feature negotiation (XEP-0020).
    FEATURE_NEG = "http://jabber.org/protocol/feature-neg";
    /// Cryptographic hashes (XEP-0300).
    HASHES = "urn:xmpp:hashes:2";
    /// Thumbnails (XEP-0264).
    THUMBS = "urn:xmpp:thumbs:1";
    /// Notes on contacts (XEP-0145).
    ROSTER_NOTES = "storage:rosternotes";
    /// Bookmarks in private storage (XEP-0048).
    STORAGE_BOOKMARKS = "storage:bookmarks";
    /// Directory search (XEP-0055).
    SEARCH = "jabber:iq:search";
    /// Gateway interaction (XEP-0100).
    GATEWAY = "jabber:iq:gateway";
    /// Last activity (XEP-0012).
    LAST = "jabber:iq:last";
    /// Software version (XEP-0092).
    VERSION = "jabber:iq:version";
    /// Entity time (XEP-0202).
    TIME = "urn:xmpp:time";
    /// Authentication before SASL (XEP-0078).
    AUTH = "jabber:iq:auth";
    /// External services (XEP-0215).
    EXTDISCO = "urn:xmpp:extdisco:2";
    /// External services, the version before (XEP-0215).
    EXTDISCO1 = "urn:xmpp:extdisco:1";
    /// Push notifications (XEP-0357).
    PUSH = "urn:xmpp:push:0";
    /// Blocking (XEP-0191).
    BLOCKING = "urn:xmpp:blocking";
    /// Requesting a unique room name (XEP-0307).
    MUC_UNIQUE = "http://jabber.org/protocol/muc#unique";
    /// HTTP file upload as first deployed.
    UPLOAD_EU = "eu:siacs:conversations:http:upload";
    /// Atom entries (RFC 4287, XEP-0277).
    ATOM = "http://www.w3.org/2005/Atom";
    /// OMEMO, between the deployed one and 1 (XEP-0384 0.4).
    OMEMO0 = "urn:xmpp:omemo:0";
    /// Anonymous unique occupant ids (XEP-0421).
    OCCUPANT_ID = "urn:xmpp:occupant-id:0";
    /// Last interaction (XEP-0319).
    IDLE = "urn:xmpp:idle:1";
    /// End-to-end signing and encryption with S/MIME (RFC 3923).
    SMIME = "urn:ietf:params:xml:ns:xmpp-e2e";
    /// Stream feature: roster versioning (RFC 6121).
    ROSTER_VERSIONING = "urn:xmpp:features:rosterver";
    /// Stream feature: pre-approved subscriptions (RFC 6121).
    PRE_APPROVAL = "urn:xmpp:features:pre-approval";
    /// Stream feature: in-band registration (XEP-0077).
    REGISTER_FEATURE = "http://jabber.org/features/iq-register";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_namespace_stands_here_twice() {
        let mut uris: Vec<_> = ALL.iter().map(|(_, uri)| uri).collect();
        uris.sort();
        let before = uris.len();
        uris.dedup();
        assert_eq!(uris.len(), before);
    }
}
