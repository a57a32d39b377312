//! Conversations written by hand, for the tests of classifiers.

use std::net::Ipv4Addr;

use super::{Classifier, Opinion, Said};
use crate::apps::Catalogue;
use crate::lore::{Expected, Lore};
use crate::names::{AppProto, Names};
use crate::view::{Endpoint, FlowView, Piece, Transport, Way};

/// A conversation between 192.0.2.1 and 198.51.100.2.
pub(crate) struct Talk {
    transport: Transport,
    /// The client's end.
    pub(crate) client: Endpoint,
    /// The server's end.
    pub(crate) server: Endpoint,
    /// What hints gave.
    pub(crate) names: Names,
    /// What other flows taught.
    pub(crate) lore: Lore,
    midstream: bool,
    last: bool,
    pieces: Vec<Piece>,
    bytes: [Vec<u8>; 2],
}

impl Talk {
    fn new(transport: Transport) -> Talk {
        let end = |ip: [u8; 4], port| Endpoint { ip: Ipv4Addr::from(ip).into(), port };
        Talk {
            transport,
            client: end([192, 0, 2, 1], 40000),
            server: end([198, 51, 100, 2], 60000),
            names: Names::default(),
            lore: Lore::new(16),
            midstream: false,
            last: false,
            pieces: Vec::new(),
            bytes: [Vec::new(), Vec::new()],
        }
    }

    /// Over UDP.
    pub(crate) fn udp() -> Talk {
        Talk::new(Transport::Udp)
    }

    /// Over TCP.
    pub(crate) fn tcp() -> Talk {
        Talk::new(Transport::Tcp)
    }

    /// The client says this.
    pub(crate) fn client(self, payload: impl AsRef<[u8]>) -> Talk {
        self.say(Way::ToServer, payload.as_ref())
    }

    /// The server says this.
    pub(crate) fn server(self, payload: impl AsRef<[u8]>) -> Talk {
        self.say(Way::ToClient, payload.as_ref())
    }

    fn say(mut self, way: Way, payload: &[u8]) -> Talk {
        let kept = &mut self.bytes[way.index()];
        let (start, len) = (kept.len() as u32, payload.len() as u32);
        kept.extend_from_slice(payload);
        let at = 20 * self.pieces.len() as u32;
        self.pieces.push(Piece { way, len, start, kept: len, at });
        self
    }

    /// To this port of the server.
    pub(crate) fn port(mut self, port: u16) -> Talk {
        self.server.port = port;
        self
    }

    /// Inside this protocol.
    pub(crate) fn inside(mut self, protocol: AppProto) -> Talk {
        self.names.protocol = protocol;
        self
    }

    /// Its beginning was not seen.
    pub(crate) fn midstream(mut self) -> Talk {
        self.midstream = true;
        self
    }

    /// Nothing more will come.
    pub(crate) fn last(mut self) -> Talk {
        self.last = true;
        self
    }

    /// What the classifier makes of it.
    pub(crate) fn ask(&self, classifier: &Classifier) -> Opinion {
        assert!(classifier.over.takes(self.transport), "{} is not shown this transport", classifier.name);
        let inside = classifier.inside.0 & self.names.protocol.bit();
        assert_ne!(inside, 0, "{} does not look inside {:?}", classifier.name, self.names.protocol);
        let opinion = (classifier.classify)(&FlowView {
            transport: self.transport,
            client: self.client,
            server: self.server,
            names: &self.names,
            lore: &self.lore,
            catalogue: Catalogue::bundled(),
            midstream: self.midstream,
            last: self.last,
            heard: self.pieces.len(),
            pieces: &self.pieces,
            bytes: [&self.bytes[0], &self.bytes[1]],
        });
        if let Opinion::Yes { application, .. } = &opinion {
            assert!(classifier.applications.contains(application), "{} may not name {application}", classifier.name);
        }
        opinion
    }

    /// The application that the classifier names, if it does.
    pub(crate) fn named(&self, classifier: &Classifier) -> Option<&'static str> {
        match self.ask(classifier) {
            Opinion::Yes { application, .. } => Some(application),
            Opinion::NeedMore | Opinion::No => None,
        }
    }

    /// What the classifier, following one payload, expects at `endpoint`.
    pub(crate) fn followed(mut self, classifier: &Classifier, payload: &[u8], endpoint: &str) -> Option<Expected> {
        let said =
            Said { client: self.client, server: self.server, transport: self.transport, way: Way::ToServer, payload };
        classifier.follow.unwrap()(&said, &mut self.lore);
        let endpoint: std::net::SocketAddr = endpoint.parse().unwrap();
        self.lore.expected(Endpoint { ip: endpoint.ip(), port: endpoint.port() })
    }
}

/// Bytes written in hexadecimal, white space ignored.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}
