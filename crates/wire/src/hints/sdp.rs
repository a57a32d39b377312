//! SDP: the addresses at which media will be sent (RFC 8866), with those of ICE (RFC 8839) and MSRP (RFC 4975).

use std::net::{IpAddr, SocketAddr};

/// Lines looked at in one description.
const MOST_LINES: usize = 512;
/// Addresses given of one description.
const MOST_ADDRESSES: usize = 64;
/// The port that stands for none, in ICE over TCP.
const DISCARD: u16 = 9;

/// What a media description is for (RFC 8866 section 5.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Media {
    /// Sound.
    Audio,
    /// Pictures that move.
    Video,
    /// Messages (MSRP).
    Message,
    /// Fax (T.38).
    Image,
    /// Data channels, floor control, other.
    Application,
}

/// Gives each address at which a session description expects media: of `m=` with its `c=`, of RTCP beside it, and of
/// ICE candidates. Bytes before the description, as of the message that carries it, do no harm.
pub fn media(body: &[u8], f: impl FnMut(SocketAddr, Media)) {
    let mut found = Found { give: f, left: MOST_ADDRESSES };
    let mut session = None;
    let mut open: Option<Section> = None;
    for line in body.split(|byte| *byte == b'\n').take(MOST_LINES) {
        let Ok(line) = std::str::from_utf8(line) else { continue };
        let Some((kind, value)) = line.trim_end().split_once('=') else { continue };
        match (kind, &mut open) {
            // A session begins; some messages carry several.
            ("v", _) if value == "0" => {
                found.section(open.take(), session);
                session = None;
            }
            ("m", _) => {
                found.section(open.take(), session);
                open = Section::read(value);
            }
            ("c", Some(section)) => section.address = connection(value),
            ("c", None) => session = connection(value),
            ("a", Some(section)) => section.attribute(value, &mut found),
            _ => {}
        }
    }
    found.section(open, session);
}

/// One media description.
struct Section {
    media: Media,
    port: u16,
    address: Option<IpAddr>,
    /// Media comes over RTP, so that RTCP is beside it.
    rtp: bool,
    /// RTCP shares the port of RTP (RFC 5761).
    shared: bool,
    /// From a=rtcp (RFC 3605).
    rtcp: Option<(u16, Option<IpAddr>)>,
}

impl Section {
    /// Reads what stands behind `m=`: media, port, protocol.
    fn read(value: &str) -> Option<Section> {
        let mut words = value.split_ascii_whitespace();
        let media = match words.next()? {
            "audio" => Media::Audio,
            "video" => Media::Video,
            "message" => Media::Message,
            "image" => Media::Image,
            _ => Media::Application,
        };
        let port = words.next()?.split('/').next()?.parse().ok()?;
        let rtp = words.next()?.contains("RTP/");
        Some(Section { media, port, address: None, rtp, shared: false, rtcp: None })
    }

    fn attribute(&mut self, value: &str, found: &mut Found<impl FnMut(SocketAddr, Media)>) {
        let (name, value) = value.split_once(':').unwrap_or((value, ""));
        match name {
            "rtcp-mux" => self.shared = true,
            "rtcp" => {
                let (port, rest) = value.split_once(' ').unwrap_or((value, ""));
                self.rtcp = port.parse().ok().map(|port| (port, connection(rest)));
            }
            "candidate" => found.give(candidate(value), self.media),
            "path" if self.media == Media::Message => found.give(msrp(value), self.media),
            _ => {}
        }
    }
}

/// Where addresses go.
struct Found<F> {
    give: F,
    left: usize,
}

impl<F: FnMut(SocketAddr, Media)> Found<F> {
    fn give(&mut self, address: Option<SocketAddr>, media: Media) {
        let Some(address) = address else { return };
        // Port 0 refuses the media; no address puts it on hold.
        if address.port() == 0 || address.ip().is_unspecified() || self.left == 0 {
            return;
        }
        self.left -= 1;
        (self.give)(address, media);
    }

    fn section(&mut self, section: Option<Section>, session: Option<IpAddr>) {
        let Some(section) = section else { return };
        let Some(ip) = section.address.or(session) else { return };
        if section.port == 0 || section.port == DISCARD {
            return;
        }
        self.give(Some(SocketAddr::new(ip, section.port)), section.media);
        let beside = section.port.checked_add(1).filter(|_| section.rtp && !section.shared).map(|port| (port, None));
        if let Some((port, own)) = section.rtcp.or(beside)
            && port != section.port
        {
            self.give(Some(SocketAddr::new(own.unwrap_or(ip), port)), section.media);
        }
    }
}

/// The address in `IN IP4 192.0.2.1/127`.
fn connection(value: &str) -> Option<IpAddr> {
    let mut words = value.split_ascii_whitespace();
    if words.next()? != "IN" || !matches!(words.next()?, "IP4" | "IP6") {
        return None;
    }
    words.next()?.split('/').next()?.parse().ok()
}

/// The address of a candidate: foundation, component, transport, priority, address, port; drafts had one field more.
fn candidate(value: &str) -> Option<SocketAddr> {
    let mut words = value.split_ascii_whitespace().skip(4);
    let (first, second) = (words.next()?, words.next()?);
    let (address, port) = match first.parse() {
        Ok(address) => (address, second),
        Err(_) => (second.parse().ok()?, words.next()?),
    };
    let port = port.parse().ok().filter(|port| *port != DISCARD)?;
    Some(SocketAddr::new(address, port))
}

/// The address of the first URI of an MSRP path, if it isn't a name.
fn msrp(path: &str) -> Option<SocketAddr> {
    let uri = path.split_ascii_whitespace().next()?;
    let (_, rest) = uri.split_once("://").filter(|(scheme, _)| matches!(*scheme, "msrp" | "msrps"))?;
    let authority = rest.split(['/', ';']).next()?;
    authority.rsplit('@').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(body: &str) -> Vec<String> {
        let mut found = Vec::new();
        media(body.as_bytes(), |address, media| found.push(format!("{media:?} {address}")));
        found
    }

    #[test]
    fn calls_tell_where_their_media_goes() {
        let body = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                    m=audio 4000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n\
                    m=video 5000/2 RTP/SAVPF 96\r\nc=IN IP4 192.0.2.2/127\r\na=rtcp:5009 IN IP4 192.0.2.3\r\n\
                    m=audio 6000 UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\n\
                    m=image 7000 udptl t38\r\nm=audio 0 RTP/AVP 0\r\n";
        assert_eq!(
            addresses(body),
            [
                "Audio 192.0.2.1:4000",
                "Audio 192.0.2.1:4001",
                "Video 192.0.2.2:5000",
                "Video 192.0.2.3:5009",
                "Audio 192.0.2.1:6000",
                "Image 192.0.2.1:7000",
            ]
        );
    }

    #[test]
    fn candidates_and_paths_tell_addresses() {
        let body = "INVITE sip:a@b.test SIP/2.0\nContent-Type: application/sdp\n\nv=0\nc=IN IP4 0.0.0.0\n\
                    m=audio 9 UDP/TLS/RTP/SAVPF 111\n\
                    a=candidate:1 1 udp 2130706431 192.0.2.4 40000 typ host\n\
                    a=candidate:2 1 tcp 1518280447 192.0.2.4 9 typ host tcptype active\n\
                    a=candidate:3 1 udp 1 0f0e.local 40001 typ host\n\
                    a=candidate:4 1 udp 1 2001:db8::1 40002 typ host\n\
                    a=candidate:abc 1 secret UDP 0.9 192.0.2.5 40003\n\
                    m=message 2855 TCP/MSRP *\na=path:msrp://192.0.2.6:2855/session;tcp\n";
        assert_eq!(
            addresses(body),
            ["Audio 192.0.2.4:40000", "Audio [2001:db8::1]:40002", "Audio 192.0.2.5:40003", "Message 192.0.2.6:2855",]
        );
    }

    #[test]
    fn broken_descriptions_give_nothing() {
        for body in
            ["", "m=audio", "m=audio x RTP/AVP 0", "c=IN IP4 192.0.2.1", "m=audio 4000 RTP/AVP 0", "v=0\n\u{0}="]
        {
            assert!(addresses(body).is_empty(), "{body:?}");
        }
        let many = format!("c=IN IP4 192.0.2.1\n{}", "m=audio 4000 RTP/AVP 0\n".repeat(1000));
        assert_eq!(addresses(&many).len(), MOST_ADDRESSES);
        assert_eq!(addresses("c=IN IP4 192.0.2.1\nm=audio 65535 RTP/AVP 0\n").len(), 1);
    }
}
