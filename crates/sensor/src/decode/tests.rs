//! Each layer and tunnel around one small conversation, which must come out named.

use std::net::Ipv6Addr;

use crate::Limits;
use crate::anomaly::Anomaly;
use crate::capture::LinkType;
use crate::testing::*;

const BOT: &[u8] = b"NICK bot\r\nUSER b 0 * :b\r\nJOIN #botnet\r\n";
const V6_CLIENT: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 5);
const V6_SERVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);

/// The conversation's IPv4 packets.
fn packets() -> Vec<Vec<u8>> {
    let mut session = Session::open(1000);
    session.client(BOT);
    session.steps.iter().map(Step::packet).collect()
}

/// Shows the conversation inside of what `wrap` puts around each packet.
fn inside(link: u16, wrap: impl Fn(&[u8]) -> Vec<u8>) -> Seen {
    let frames: Vec<_> = packets().iter().map(|packet| wrap(packet)).collect();
    sense_link(LinkType(link), &frames, Limits::default())
}

#[track_caller]
fn found(link: u16, wrap: impl Fn(&[u8]) -> Vec<u8>) {
    let seen = inside(link, wrap);
    assert!(seen.evidence("irc").contains("#botnet"));
    assert_eq!(seen.anomalies, []);
}

fn before(header: &[u8], rest: &[u8]) -> Vec<u8> {
    [header, rest].concat()
}

/// An Ethernet frame with a UDP datagram to this port.
fn over_udp(port: u16, payload: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(17, CLIENT, SERVER, 64, &udp(41_000, port, payload)))
}

fn over_ip(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(protocol, CLIENT, SERVER, 64, payload))
}

#[test]
fn link_layers() {
    found(1, |ip| ethernet(0x0800, ip));
    found(101, <[u8]>::to_vec);
    found(0, |ip| before(&[2, 0, 0, 0], ip));
    found(108, |ip| before(&[0, 0, 0, 2], ip));
    found(9, |ip| before(&[0xff, 3, 0, 0x21], ip));
    found(9, |ip| before(&[0x21], ip));
    found(104, |ip| before(&[0x0f, 0, 8, 0], ip));
    found(113, |ip| before(&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0], ip));
    found(276, |ip| before(&[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0], ip));
    found(192, |ip| before(&[0, 0, 8, 0, 101, 0, 0, 0], ip));
    found(239, |ip| {
        let length = (ip.len() as u16 + 4).to_le_bytes();
        before(&[2, 0, 0, 0, 8, 0, 1, 0, 0, 0, 0, 0, length[0], length[1], 9, 0], ip)
    });
    found(105, |ip| before(&[&[8, 1, 0, 0][..], &[0; 20], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat(), ip));
}

#[test]
fn tags_labels_and_sessions() {
    found(1, |ip| ethernet(0x8100, &before(&[0, 12, 8, 0], ip)));
    found(1, |ip| ethernet(0x88a8, &before(&[0, 12, 0x81, 0, 0, 13, 8, 0], ip)));
    found(1, |ip| ethernet(0x8847, &before(&[0, 1, 0, 64, 0, 2, 1, 64], ip)));
    found(1, |ip| ethernet(0x8847, &before(&[0, 1, 1, 64, 0, 0, 0, 0], &ethernet(0x0800, ip))));
    found(1, |ip| {
        let length = (ip.len() as u16 + 2).to_be_bytes();
        ethernet(0x8864, &before(&[0x11, 0, 0, 9, length[0], length[1], 0, 0x21], ip))
    });
    found(1, |ip| {
        let frame = before(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], ip);
        ethernet(frame.len() as u16, &frame)
    });
}

#[test]
fn tunnels_over_ip() {
    found(1, |ip| over_ip(4, ip));
    found(1, |ip| over_ip(47, &before(&[0, 0, 8, 0], ip)));
    found(1, |ip| over_ip(47, &before(&[0xb0, 0, 8, 0, 1, 2, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1], ip)));
    found(1, |ip| over_ip(47, &before(&[0, 0, 0x65, 0x58], &ethernet(0x0800, ip))));
    // PPTP: key, sequence number, PPP.
    found(1, |ip| over_ip(47, &before(&[0x30, 1, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21], ip)));
    // ERSPAN I, II and III.
    found(1, |ip| over_ip(47, &before(&[0, 0, 0x88, 0xbe], &ethernet(0x0800, ip))));
    found(1, |ip| {
        over_ip(47, &before(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 1, 0, 0, 0, 0], &ethernet(0x0800, ip)))
    });
    found(1, |ip| {
        let header = [0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        over_ip(47, &before(&header, &ethernet(0x0800, ip)))
    });
    found(1, |ip| over_ip(97, &before(&[0x30, 0], &ethernet(0x0800, ip))));
    found(1, |ip| over_ip(137, &before(&[0, 1, 1, 64], ip)));
    // 4in6, with an extension header on the way.
    found(1, |ip| ethernet(0x86dd, &ipv6(60, V6_CLIENT, V6_SERVER, &before(&[4, 0, 1, 4, 0, 0, 0, 0], ip))));
}

#[test]
fn tunnels_over_udp() {
    found(1, |ip| over_udp(4789, &before(&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(0x0800, ip))));
    found(1, |ip| over_udp(4790, &before(&[0x0c, 0, 0, 1, 0, 0, 1, 0], ip)));
    found(1, |ip| over_udp(6081, &before(&[1, 0, 0x65, 0x58, 0, 0, 1, 0, 1, 2, 3, 0], &ethernet(0x0800, ip))));
    found(1, |ip| over_udp(6635, &before(&[0, 1, 1, 64], ip)));
    found(1, |ip| {
        let length = (ip.len() as u16).to_be_bytes();
        over_udp(2152, &before(&[0x30, 0xff, length[0], length[1], 0, 0, 0, 1], ip))
    });
    // A sequence number and an extension header (PDU session container).
    found(1, |ip| {
        let header = [0x34, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 1, 0];
        over_udp(2152, &before(&header, ip))
    });
    found(1, |ip| over_udp(1701, &before(&[0, 2, 0, 1, 0, 2, 0xff, 3, 0, 0x21], ip)));
}

/// The conversation over IPv6.
fn v6_packets(extensions: impl Fn(&[u8]) -> (u8, Vec<u8>)) -> Vec<Vec<u8>> {
    let (client, server) = ((V6_CLIENT.into(), 40000), (V6_SERVER.into(), 6667));
    let mut packets = Vec::new();
    for (seq, flags, payload) in [(1000, SYN, &b""[..]), (1001, ACK, BOT)] {
        let (next, carried) = extensions(&tcp(client, server, seq, 0, flags, payload));
        packets.push(ipv6(next, V6_CLIENT, V6_SERVER, &carried));
    }
    packets
}

#[test]
fn six_in_four_and_teredo() {
    for wrap in [
        (|packet: &[u8]| over_ip(41, packet)) as fn(&[u8]) -> Vec<u8>,
        |packet| over_udp(3544, packet),
        |packet| over_udp(3544, &before(&[0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9, 8, 7, 6, 5, 4], packet)),
    ] {
        let frames: Vec<_> = v6_packets(|segment| (6, segment.to_vec())).iter().map(|packet| wrap(packet)).collect();
        let seen = sense(&frames, Limits::default());
        assert!(seen.evidence("irc").contains("#botnet"));
    }
}

#[test]
fn extension_headers_are_walked_and_counted() {
    let chain = |count: usize| {
        v6_packets(move |segment| {
            let mut carried = Vec::new();
            for index in 0..count {
                carried.extend([if index + 1 == count { 6 } else { 60 }, 0, 1, 4, 0, 0, 0, 0]);
            }
            carried.extend(segment);
            (60, carried)
        })
    };
    let sense = |packets: Vec<Vec<u8>>| {
        let frames: Vec<_> = packets.iter().map(|packet| ethernet(0x86dd, packet)).collect();
        sense(&frames, Limits::default())
    };
    assert_eq!(sense(chain(3)).anomalies, []);
    let long = sense(chain(40));
    assert!(long.evidence("irc").contains("#botnet"));
    assert_eq!(long.anomalies, [Anomaly::ExtensionHeaders]);
    assert_eq!(sense(chain(80)).flows, []);
}

#[test]
fn an_atomic_fragment_is_a_whole_datagram_and_overlaps_are_dropped() {
    let packets = v6_packets(|segment| (44, before(&[6, 0, 0, 0, 0, 0, 0, 9], segment)));
    let frames: Vec<_> = packets.iter().map(|packet| ethernet(0x86dd, packet)).collect();
    assert!(sense(&frames, Limits::default()).evidence("irc").contains("#botnet"));

    let (client, server) = ((V6_CLIENT.into(), 40000), (V6_SERVER.into(), 6667));
    let segment = tcp(client, server, 1001, 0, ACK, &BOT.repeat(5));
    let part = |offset: u16, more: u16, bytes: &[u8]| {
        let word = (offset | more).to_be_bytes();
        ethernet(0x86dd, &ipv6(44, V6_CLIENT, V6_SERVER, &before(&[6, 0, word[0], word[1], 0, 0, 0, 9], bytes)))
    };
    let mut forged = segment[40..].to_vec();
    forged[30] ^= 1;
    let overlapping = [part(0, 1, &segment[..96]), part(40, 0, &forged)];
    let seen = sense(&overlapping, Limits::default());
    assert_eq!((seen.flows, seen.anomalies), (vec![], vec![Anomaly::FragmentOverlap]));
    let whole = [part(96, 0, &segment[96..]), part(0, 1, &segment[..96])];
    assert!(sense(&whole, Limits::default()).evidence("irc").contains("#botnet"));
}

#[test]
fn what_is_too_deep_is_told() {
    let mut tagged = packets()[0].clone();
    for _ in 0..9 {
        tagged = before(&[0, 1, if tagged[0] == 0x45 { 8 } else { 0x81 }, 0], &tagged);
    }
    let frame = ethernet(0x8100, &tagged);
    assert_eq!(sense(&[frame], Limits::default()).anomalies, [Anomaly::VlanDepth]);
    let mut nested = packets()[0].clone();
    for _ in 0..30 {
        nested = ipv4(4, CLIENT, SERVER, 64, &nested);
    }
    let seen = sense(&[ethernet(0x0800, &nested)], Limits::default());
    assert_eq!((seen.flows, seen.anomalies), (vec![], vec![Anomaly::TunnelDepth]));
}

#[test]
fn an_outside_that_only_looks_like_a_tunnel_is_the_conversation() {
    for port in [4789, 2152, 3544, 6081, 1701] {
        let seen = sense(&[over_udp(port, b"nothing of the kind, but long enough for one")], Limits::default());
        assert_eq!(seen.flows.len(), 1, "{port}");
    }
}

#[test]
fn headers_that_lie_or_end_early_are_told() {
    let mut packet = packets()[3].clone();
    packet[3] = 10;
    assert_eq!(sense(&[ethernet(0x0800, &packet)], Limits::default()).anomalies, [Anomaly::IpLength]);
    let cut = &packets()[3][..12];
    assert_eq!(sense(&[ethernet(0x0800, cut)], Limits::default()).anomalies, [Anomaly::HeaderTruncated]);
    for length in 0..60 {
        let frame = ethernet(0x0800, &packets()[3]);
        sense(&[frame[..length.min(frame.len())].to_vec()], Limits::default());
    }
}
