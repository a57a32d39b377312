//! Each layer and tunnel around one small conversation, which must come out named.

use std::net::Ipv6Addr;

use super::Decoder;
use crate::Limits;
use crate::anomaly::{Anomalies, Anomaly};
use crate::capture::{LinkType, Packet};
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
fn a_link_type_that_is_not_read_is_said() {
    let seen = inside(9999, <[u8]>::to_vec);
    assert_eq!((seen.flows.len(), seen.anomalies[0]), (0, Anomaly::LinkTypeUnknown));
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
    for port in [4789, 2152, 3544, 6081, 1701, 6635] {
        let seen = sense(&[over_udp(port, b"nothing of the kind, but long enough for one")], Limits::default());
        assert_eq!(seen.flows.len(), 1, "{port}");
    }
    let outer = |frame: Vec<u8>| {
        let seen = sense(&[frame], Limits::default());
        assert_eq!((seen.flows.len(), seen.anomalies), (1, vec![]));
    };
    let junk = [0x5a; 60];
    // A stack without a bottom, and one above what is no IP packet of that length.
    outer(over_udp(6635, &[0; 60]));
    outer(over_udp(6635, &before(&[0, 1, 1, 64, 0x45, 0, 0, 20], &junk)));
    outer(over_udp(6635, &before(&[0, 1, 1, 64, 0, 0, 0, 0], &junk)));
    // A DHT query: text has low bits for a bottom, and digits for a version.
    outer(over_udp(6635, b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peerse"));
    outer(over_ip(137, &junk));
    outer(over_ip(97, &before(&[0x30, 0], &junk)));
    for protocol in [0x6558_u16, 0x88be, 0x22eb, 0x883e, 0x8847, 0x8100, 0x8864, 0x880b, 0x0800] {
        let header = protocol.to_be_bytes();
        outer(over_ip(47, &before(&[0, 0, header[0], header[1]], &junk)));
    }
    outer(over_ip(47, &before(&[0x30, 1, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0xfd], &junk)));
}

/// A datagram in fragments of 64 bytes, each an IPv4 packet.
fn in_fragments(protocol: u8, id: u16, datagram: &[u8]) -> Vec<Vec<u8>> {
    let count = datagram.len().div_ceil(64);
    let part = |(index, bytes): (usize, &[u8])| {
        fragment4(protocol, CLIENT, SERVER, 64, (id, index * 64, index + 1 < count), bytes)
    };
    datagram.chunks(64).enumerate().map(part).collect()
}

#[test]
fn a_fragment_past_the_end_is_told_and_the_datagram_is_still_put_together() {
    let client = |bytes: &[u8]| tcp((CLIENT.into(), 40000), (SERVER.into(), 6667), 1001, 0, ACK, bytes);
    let [first, middle, last] = &in_fragments(6, 7, &client(&BOT.repeat(4)))[..] else { panic!() };
    let beyond = fragment4(6, CLIENT, SERVER, 64, (7, 400, true), &[0x55; 64]);
    let across = fragment4(6, CLIENT, SERVER, 64, (7, 128, true), &[0x55; 64]);
    for (order, overlap) in [
        ([first, last, middle].as_slice(), false),
        (&[first, last, &beyond, middle], true),
        (&[first, &beyond, last, middle], true),
        (&[&beyond, middle, last, first], true),
        (&[last, &across, middle, first], true),
    ] {
        let frames: Vec<_> = order.iter().map(|packet| ethernet(0x0800, packet)).collect();
        let seen = sense(&frames, Limits::default());
        assert!(seen.evidence("irc").contains("#botnet"));
        assert_eq!(seen.anomalies == [Anomaly::FragmentOverlap], overlap, "{:?}", seen.anomalies);
        assert!(overlap || seen.anomalies.is_empty());
    }
}

#[test]
fn fragments_inside_of_fragments_are_put_together_to_a_depth() {
    let whole = tcp((CLIENT.into(), 40000), (SERVER.into(), 6667), 1001, 0, ACK, &BOT.repeat(8));
    let mut packets = in_fragments(6, 1, &whole);
    let mut ids = 100;
    let mut wrap = |packets: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
        let each = packets.iter().flat_map(|packet| {
            ids += 1;
            in_fragments(4, ids, packet)
        });
        each.collect()
    };
    // The last first, so that each completes all that it is in.
    let sense = |packets: &[Vec<u8>]| {
        let frames: Vec<_> = packets.iter().rev().map(|packet| ethernet(0x0800, packet)).collect();
        sense(&frames, Limits::default())
    };
    packets = wrap(packets);
    let seen = sense(&packets);
    assert!(seen.evidence("irc").contains("#botnet"));
    assert_eq!(seen.anomalies, []);
    let seen = sense(&wrap(packets));
    assert_eq!(seen.flows, []);
    assert!(!seen.anomalies.is_empty() && seen.anomalies.iter().all(|anomaly| *anomaly == Anomaly::TunnelDepth));
}

#[test]
fn a_length_that_udp_does_not_have() {
    let said = b"a datagram of some length";
    let lengthless = |protocol: u8| {
        let mut bytes = udp(41_000, 4000, said);
        bytes[4..6].fill(0);
        ethernet(0x0800, &ipv4(protocol, CLIENT, SERVER, 64, &bytes))
    };
    assert_eq!(payload(&lengthless(17)), (vec![], vec![Anomaly::HeaderTruncated]));
    // UDP-Lite has the reach of its checksum in that place.
    assert_eq!(payload(&lengthless(136)), (said.to_vec(), vec![]));
    let mut covered = udp(41_000, 4000, said);
    covered[4..6].copy_from_slice(&[0, 8]);
    let frame = ethernet(0x0800, &ipv4(136, CLIENT, SERVER, 64, &covered));
    assert_eq!(payload(&frame), (said.to_vec(), vec![]));
    let mut bytes = udp(41_000, 4000, said);
    bytes[4..6].fill(0);
    let frame = ethernet(0x86dd, &ipv6(17, V6_CLIENT, V6_SERVER, &bytes));
    assert_eq!(payload(&frame), (said.to_vec(), vec![Anomaly::HeaderTruncated]), "receivers take it");
    let mut jumbo = udp(41_000, 4000, &[7; 70_000]);
    jumbo[4..6].fill(0);
    let mut packet = ipv6(17, V6_CLIENT, V6_SERVER, &jumbo);
    packet[4..6].fill(0);
    assert_eq!(payload(&ethernet(0x86dd, &packet)), (vec![7; 70_000], vec![]));
}

/// The payload that is found in a frame, and what is odd about it.
fn payload(frame: &[u8]) -> (Vec<u8>, Vec<Anomaly>) {
    let (mut odd, mut found) = (Anomalies::default(), Vec::new());
    let packet = Packet { time: 0, link: LinkType(1), wire_len: frame.len() as u32, data: frame };
    Decoder::new(1 << 20).decode(&packet, &mut odd, |decoded| {
        assert_eq!(decoded.payload.len(), decoded.payload_len as usize);
        found = decoded.payload.to_vec();
    });
    (found, odd.iter().collect())
}

#[test]
fn a_datagram_that_waits_does_not_make_the_queue_behind_it_grow() {
    let mut decoder = Decoder::new(1 << 20);
    let mut odd = Anomalies::default();
    let mut found = 0;
    let mut show = |decoder: &mut Decoder, time, packet: &[u8]| {
        let frame = ethernet(0x0800, packet);
        let packet = Packet { time, link: LinkType(1), wire_len: frame.len() as u32, data: &frame };
        decoder.decode(&packet, &mut odd, |_| found += 1);
    };
    let datagram = |id| in_fragments(17, id, &udp(41_000, 4000, &[7; 100]));
    show(&mut decoder, 0, &datagram(1)[0]);
    for id in 2..5000 {
        // All at one moment: times do not tell them apart.
        datagram(id).iter().for_each(|part| show(&mut decoder, 1, part));
    }
    assert!(decoder.fragments.queued() < 100, "{}", decoder.fragments.queued());
    show(&mut decoder, 2, &datagram(1)[1]);
    assert_eq!(decoder.waiting(), 0);
    show(&mut decoder, u64::MAX, &datagram(1)[0]);
    assert_eq!((decoder.waiting(), found), (1, 4999));
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
