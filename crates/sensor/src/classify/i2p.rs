//! I2P, where it can be told: applications that talk to a router, and a router fetching its first peers. Its
//! transports (NTCP2, SSU2) are random from the first byte.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{contains, first_line};
use crate::view::{FlowView, Way};

const ID: &str = "i2p";

/// A router's neighbours.
pub(crate) const TCP: Classifier = Classifier {
    name: "i2p",
    applications: &[ID],
    looks_for: "the greeting of its SAM bridge, or a router fetching peers to begin with",
    over: Over::Tcp,
    inside: Inside::PLAIN.and(Inside::HTTP),
    classify,
    follow: None,
};

fn classify(view: &FlowView) -> Opinion {
    let bytes = view.first(Way::ToServer);
    match bytes.first() {
        Some(b'H') => {
            const GREETING: &[u8] = b"HELLO VERSION";
            let Some(rest) = bytes.strip_prefix(GREETING) else {
                return if GREETING.starts_with(bytes) { Opinion::NeedMore } else { Opinion::No };
            };
            let versions = rest.starts_with(b" MIN=") || rest.starts_with(b" MAX=");
            if versions || view.first(Way::ToClient).starts_with(b"HELLO REPLY RESULT=") {
                return Opinion::payload(ID, "I2P application bridge");
            }
            if view.heard < 4 { Opinion::NeedMore } else { Opinion::No }
        }
        Some(b'G') => match first_line(bytes) {
            Some((line, _)) if contains(line, b"/i2pseeds.su3 ", 256) => {
                Opinion::payload(ID, "I2P router fetching peers")
            }
            Some(_) => Opinion::No,
            None => Opinion::NeedMore,
        },
        _ => Opinion::No,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Talk;
    use super::*;

    #[test]
    fn neighbours() {
        assert_eq!(Talk::tcp().client("HELLO VERSION MIN=3.0 MAX=3.3\n").named(&TCP), Some(ID));
        assert_eq!(
            Talk::tcp().client("HELLO VERSION\n").server("HELLO REPLY RESULT=OK VERSION=3.1\n").named(&TCP),
            Some(ID)
        );
        assert_eq!(Talk::tcp().client("GET /i2pseeds.su3 HTTP/1.1\r\n\r\n").named(&TCP), Some(ID));
        for miss in ["HELLO WORLD\r\n", "HELO example.org\r\n", "GET /seeds HTTP/1.1\r\n\r\n"] {
            assert_eq!(Talk::tcp().client(miss).ask(&TCP), Opinion::No, "{miss}");
        }
    }
}
