//! UltraSurf: HTTP/2 through TLS to addresses of its own, with the hello of a Chrome of 2020 that names no
//! server. Browsers leave the name out only for addresses typed in. Those are at home or on customary ports, and what
//! answers there has a certificate of its own making: UltraSurf's servers show a chain as authorities issue it, which a
//! browser would not accept for an address, and the client goes on.

use std::borrow::Cow;
use std::net::IpAddr;

use model::Confidence;

use super::{Classifier, Inside, Opinion, Over, Said};
use crate::lore::Lore;
use crate::view::{FlowView, Transport, Way};

const ID: &str = "ultrasurf";

/// Tunnels to its servers.
pub(crate) const TLS: Classifier = Classifier {
    name: "ultrasurf",
    applications: &[ID],
    looks_for: "the hello of an old Chrome that names no server, to a public address on a dynamic port, and a long chain of certificates that it accepts",
    over: Over::Tcp,
    inside: Inside::TLS,
    classify,
    follow: Some(follow),
};

/// Hellos by JA4: Chrome 83 to 90 without a server name, new and resumed, padded and not.
const HELLOS: [&str; 3] = [
    "t13i1514h2_8daaf6152771_de4a06bb82e3",
    "t13i1515h2_8daaf6152771_de4a06bb82e3",
    "t13i1513h2_8daaf6152771_de4a06bb82e3",
];

/// The first dynamic port (RFC 6335 section 6).
const DYNAMIC: u16 = 49152;
/// What a server's first flight has with a chain of two certificates at least; with one of its own making it has about
/// half of that.
const CHAIN: usize = 2500;
/// What a client says at most when it finishes the handshake but asks for nothing: ChangeCipherSpec, Finished, an alert.
const FINISHED: usize = 6 + 90 + 24;

fn classify(view: &FlowView) -> Opinion {
    if view.server.port < DYNAMIC || !is_public(view.server.ip) {
        return Opinion::No;
    }
    let names = view.names;
    if !names.hello {
        return if view.heard < 8 { Opinion::NeedMore } else { Opinion::No };
    }
    if names.sni.is_some() || names.ja4.as_deref().is_none_or(|ja4| !HELLOS.contains(&ja4)) {
        return Opinion::No;
    }
    if is_accepted(view) {
        let evidence =
            Cow::Borrowed("hello of an old Chrome to nobody by name, on a dynamic port, and a chain it accepts");
        return Opinion::Yes { application: ID, confidence: Confidence::Fingerprint, evidence };
    }
    if view.heard < 12 && !view.last { Opinion::NeedMore } else { Opinion::No }
}

/// Whether the server answered the hello with a chain of certificates, and the client went on to ask for something.
fn is_accepted(view: &FlowView) -> bool {
    let mut turns = view.pieces.chunk_by(|one, next| one.way == next.way).map(|turn| {
        let size = turn.iter().map(|piece| piece.len as usize).fold(0, usize::saturating_add);
        (turn.first().map(|piece| piece.way), size)
    });
    let begun = turns.next().is_some_and(|(way, _)| way == Some(Way::ToServer));
    let answered = turns.next().is_some_and(|(_, size)| size >= CHAIN);
    begun && answered && turns.next().is_some_and(|(_, size)| size > FINISHED)
}

fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_multicast()),
        IpAddr::V6(ip) => {
            !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_multicast())
        }
    }
}

/// Its servers serve nothing else on such a port.
fn follow(said: &Said, lore: &mut Lore) {
    lore.learn_speaker(Transport::Tcp, said.server, ID);
}

#[cfg(test)]
mod tests {
    use super::super::testing::Talk;
    use super::*;
    use crate::names::AppProto;

    #[test]
    fn the_hello_the_port_and_the_address_together() {
        let talked = |chain: usize, asked: usize| {
            Talk::tcp()
                .inside(AppProto::Tls)
                .client("\x16")
                .server(vec![0; chain])
                .client(vec![0; 64])
                .client(vec![0; asked])
        };
        let named = |ja4: &str, port: u16, ip: [u8; 4], sni: Option<&str>| {
            let mut talk = talked(3700, 80).port(port);
            talk.server.ip = ip.into();
            talk.names.hello = true;
            talk.names.ja4 = Some(ja4.into());
            talk.names.sni = sni.map(Into::into);
            talk.named(&TLS)
        };
        let public = [198, 51, 100, 7];
        assert_eq!(named(HELLOS[0], 50053, public, None), Some(ID));
        assert_eq!(named(HELLOS[0], 443, public, None), None);
        assert_eq!(named(HELLOS[0], 50053, [192, 168, 1, 7], None), None);
        assert_eq!(named(HELLOS[0], 50053, public, Some("example.org")), None);
        assert_eq!(named("t13i1516h2_8daaf6152771_02713d6af862", 50053, public, None), None);
        for (chain, asked) in [(1200, 80), (3700, 24)] {
            let mut talk = talked(chain, asked).port(50053).last();
            talk.names.hello = true;
            talk.names.ja4 = Some(HELLOS[0].into());
            assert_eq!(talk.named(&TLS), None, "{chain} and {asked} bytes");
        }
    }
}
