//! Attempts to hide a conversation, and to exhaust the sensor: the conversation is found or something is said.

use crate::Limits;
use crate::anomaly::Anomaly;
use crate::testing::*;

/// What a bot says to its channel.
const BOT: &[u8] = b"NICK bot\r\nUSER b 0 * :b\r\nJOIN #botnet\r\n";
/// The same length, another channel.
const DECOY: &[u8] = b"NICK bot\r\nUSER b 0 * :b\r\nJOIN #flower\r\n";
/// Where the channel's name begins.
const CHANNEL: usize = 30;

#[track_caller]
fn found(session: &Session) -> Seen {
    let seen = sense(&session.frames(), Limits::default());
    let evidence = seen.evidence("irc");
    assert!(evidence.contains("#botnet"), "{evidence}");
    seen
}

#[track_caller]
fn found_quietly(session: &Session) {
    let seen = found(session);
    assert_eq!(seen.anomalies, []);
}

#[test]
fn segments_of_any_size_and_order_are_read() {
    let mut plain = Session::open(1000);
    plain.client(BOT);
    found_quietly(&plain);
    for size in [1, 2, 7, 16] {
        let mut small = Session::open(u32::MAX - 10);
        for part in BOT.chunks(size) {
            small.client(part);
        }
        found_quietly(&small);
        small.steps[3..].reverse();
        found_quietly(&small);
    }
}

#[test]
fn cutting_finely_tires_no_classifier() {
    let talks: [(&str, &[u8], &[u8]); 4] = [
        ("msn", b"VER 1 MSNP18 MSNP17 CVR0\r\n", b"VER 1 MSNP18\r\n"),
        ("gnutella2", b"GNUTELLA CONNECT/0.6\r\nUser-Agent: x\r\nAccept: application/x-gnutella2\r\n\r\n", b""),
        ("truphone", b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' to='im.truphone.com'>", b""),
        (
            "mining",
            b"{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"eth_submitLogin\",\"params\":[\"0x1\"]}\n",
            b"{\"id\":1,\"result\":true}\n",
        ),
    ];
    for (application, asked, answered) in talks {
        for size in [1, 3, 12, 1000] {
            let mut session = Session::open(1000);
            asked.chunks(size).for_each(|part| _ = session.client(part));
            answered.chunks(size).for_each(|part| _ = session.server(part));
            sense(&session.frames(), Limits::default()).evidence(application);
        }
    }
}

#[test]
fn data_on_the_syn_is_read_once() {
    let mut session = Session::open(1000);
    session.steps[0].payload = BOT.to_vec();
    session.client(BOT);
    found_quietly(&session);
}

#[test]
fn half_a_conversation_and_one_without_its_beginning_are_read() {
    let mut one_sided = Session::open(1000);
    one_sided.client(BOT);
    one_sided.steps.retain(|step| step.from_client);
    found_quietly(&one_sided);
    let mut late = Session::midstream();
    late.client(BOT);
    found_quietly(&late);
}

#[test]
fn a_contradiction_is_told() {
    let mut session = Session::open(1000);
    session.client(DECOY);
    session.client_at(CHANNEL as u32, &BOT[CHANNEL..]);
    let seen = sense(&session.frames(), Limits::default());
    assert_eq!(seen.anomalies, [Anomaly::OverlapConflict]);
    let mut hole = Session::open(1000);
    hole.client_at(CHANNEL as u32, &DECOY[CHANNEL..]);
    hole.client_at(CHANNEL as u32 - 4, &BOT[CHANNEL - 4..]);
    hole.client_at(0, &BOT[..CHANNEL]);
    let seen = sense(&hole.frames(), Limits::default());
    assert_eq!(seen.anomalies, [Anomaly::OverlapConflict]);
}

#[test]
fn the_same_bytes_again_contradict_nothing() {
    let mut session = Session::open(1000);
    session.client(BOT);
    session.client_at(0, BOT);
    session.client_at(10, &BOT[10..20]);
    found_quietly(&session);
}

#[test]
fn a_segment_with_a_wrong_checksum_does_not_mislead() {
    let mut session = Session::open(1000);
    session.client_at(0, DECOY).bad_checksum = true;
    session.client(BOT);
    let seen = found(&session);
    assert!(seen.anomalies.contains(&Anomaly::BadChecksum));
}

#[test]
fn checksums_left_to_the_network_card_are_no_anomaly() {
    let mut session = Session::open(1000);
    session.client(BOT);
    session.server(b":server 001 bot :hi\r\n");
    for step in session.steps.iter_mut().filter(|step| step.from_client) {
        step.bad_checksum = true;
    }
    found_quietly(&session);
}

#[test]
fn a_segment_that_dies_on_the_way_does_not_mislead() {
    let mut session = Session::open(1000);
    session.client_at(0, DECOY).ttl = 3;
    session.client(BOT);
    let seen = found(&session);
    assert!(!seen.anomalies.is_empty());
}

#[test]
fn resets_that_the_far_end_ignores_end_nothing() {
    for bad_checksum in [false, true] {
        let mut session = Session::open(1000);
        let step = session.step(true, 0x4000_0000, 0, RST, b"");
        step.bad_checksum = bad_checksum;
        session.client(BOT);
        let seen = found(&session);
        let expected = if bad_checksum { Anomaly::BadChecksum } else { Anomaly::ResetOutOfWindow };
        assert_eq!(seen.anomalies, [expected]);
    }
}

#[test]
fn urgent_data_is_told() {
    let mut session = Session::open(1000);
    session.client(BOT).flags |= URG;
    let seen = found(&session);
    assert_eq!(seen.anomalies, [Anomaly::UrgentData]);
}

#[test]
fn a_split_handshake_is_told_and_read() {
    let mut session = Session::open(1000);
    session.steps[1].flags = SYN;
    session.client(BOT);
    let seen = found(&session);
    assert_eq!(seen.anomalies, [Anomaly::SplitHandshake]);
}

#[test]
fn ports_that_are_used_again_are_another_flow() {
    let mut first = Session::open(1000);
    first.client(b"GET / HTTP/1.0\r\n\r\n");
    first.step(true, 1019, 9001, FIN | ACK, b"");
    first.step(false, 9001, 1020, FIN | ACK, b"");
    let mut second = Session::open(77_000);
    second.client(BOT);
    let frames = [first.frames(), second.frames()].concat();
    let seen = sense(&frames, Limits::default());
    let ids: Vec<&str> = seen.flows.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["", "irc"]);
}

#[test]
fn a_forged_syn_in_an_open_connection_changes_nothing() {
    let mut session = Session::open(1000);
    session.client(&BOT[..20]);
    session.step(true, 500_000, 0, SYN, b"");
    session.client(&BOT[20..]);
    found_quietly(&session);
}

/// The frames of a session, each IPv4 packet cut into fragments of `size`.
fn fragmented(session: &Session, size: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for (id, step) in session.steps.iter().enumerate() {
        let packet = step.packet();
        let (src, dst) = if step.from_client { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let carried = &packet[20..];
        let count = carried.len().div_ceil(size);
        for (index, part) in carried.chunks(size).enumerate() {
            let place = (id as u16, index * size, index + 1 < count);
            frames.push(ethernet(0x0800, &fragment4(6, src, dst, 64, place, part)));
        }
    }
    frames
}

#[test]
fn fragments_are_put_together_in_any_order() {
    let mut session = Session::open(1000);
    session.client(&[BOT, &[b'\n'; 100]].concat());
    let mut frames = fragmented(&session, 48);
    for _ in 0..2 {
        let seen = sense(&frames, Limits::default());
        assert!(seen.evidence("irc").contains("#botnet"));
        assert_eq!(seen.anomalies, []);
        frames[3..].reverse();
    }
    let seen = sense(&fragmented(&session, 8), Limits::default());
    assert!(seen.evidence("irc").contains("#botnet"));
    assert!(seen.anomalies.contains(&Anomaly::FragmentTiny));
}

#[test]
fn fragments_that_overlap_or_overflow_are_told() {
    let datagram = [7; 96];
    let overlap = [((1, 0, true), &datagram[..64]), ((1, 48, false), &datagram[40..])];
    let frames: Vec<_> = overlap
        .iter()
        .map(|(place, part)| ethernet(0x0800, &fragment4(17, CLIENT, SERVER, 64, *place, part)))
        .collect();
    let mut changed = frames.clone();
    let last = changed[1].len() - 30;
    changed[1][34] ^= 1;
    changed[1][last] ^= 1;
    assert_eq!(sense(&changed, Limits::default()).anomalies, [Anomaly::FragmentOverlap]);
    let huge = ethernet(0x0800, &fragment4(1, CLIENT, SERVER, 64, (2, 65_528, false), &[0; 100]));
    assert_eq!(sense(&[huge], Limits::default()).anomalies, [Anomaly::FragmentTooLarge]);
}

#[test]
fn a_flood_of_fragments_is_bounded_and_told() {
    let frames: Vec<_> =
        (0..2000).map(|id| ethernet(0x0800, &fragment4(17, CLIENT, SERVER, 64, (id, 0, true), &[0; 64]))).collect();
    let seen = sense(&frames, Limits { fragment_bytes: 32 << 10, ..Limits::default() });
    assert!(seen.anomalies.contains(&Anomaly::FragmentFlood));
}

#[test]
fn a_flood_of_new_flows_does_not_push_out_open_ones() {
    let mut session = Session::open(1000);
    session.client(&BOT[..10]);
    session.server(b":server NOTICE * :hello\r\n");
    let rest = session.steps.len();
    session.client(&BOT[10..]);
    let mut frames = session.frames();
    let end = frames.split_off(rest);
    for port in 1..=5000_u16 {
        let segment = tcp(([10, 9, 9, 9].into(), port), (SERVER.into(), 80), 1, 0, SYN, b"");
        frames.push(ethernet(0x0800, &ipv4(6, [10, 9, 9, 9].into(), SERVER, 64, &segment)));
    }
    frames.extend(end);
    let seen = sense(&frames, Limits { flows: 1000, ..Limits::default() });
    let irc: Vec<_> = seen.flows.iter().filter(|(id, _)| id == "irc").collect();
    assert_eq!(irc.len(), 1);
    assert!(irc[0].1.contains("#botnet"));
    assert_eq!(seen.counters.flows, 5001);
    assert_eq!(seen.flows.len(), 5001, "each flow is told once");
    assert_eq!(seen.counters.flows_given_up, 4001);
    assert!(seen.anomalies.contains(&Anomaly::FlowTableFull));
}

#[test]
fn many_beginnings_are_held_within_bounds() {
    let mut frames = Vec::new();
    for host in 0..500_u16 {
        let src = [10, 2, (host >> 8) as u8, host as u8];
        let payload = udp(5000, 6000, &[0x99; 30]);
        frames.push(ethernet(0x0800, &ipv4(17, src.into(), SERVER, 64, &payload)));
        let stream = tcp((src.into(), 1), (SERVER.into(), 2), 1, 1, ACK, b"NICK");
        frames.push(ethernet(0x0800, &ipv4(6, src.into(), SERVER, 64, &stream)));
    }
    let seen = sense(&frames, Limits { probes: 64, ..Limits::default() });
    assert_eq!(seen.flows.len(), 1000);
    assert!(seen.counters.probes_given_up >= 300, "{:?}", seen.counters);
}

#[test]
fn many_holes_hide_nothing() {
    let mut session = Session::open(1000);
    let line = [BOT, &[b'\n'; 60]].concat();
    for at in (2..100).step_by(2) {
        session.client_at(at, &line[at as usize..][..1]);
    }
    for (index, part) in line.chunks(10).enumerate() {
        session.client_at(index as u32 * 10, part);
    }
    let seen = found(&session);
    assert!(seen.anomalies.contains(&Anomaly::StreamHoles));
}

#[test]
fn forged_syns_before_and_after_the_handshake_hide_nothing() {
    let mut before = Session::open(1000);
    before.step(true, 0x5000_0000, 0, SYN, b"").ttl = 3;
    let forged = before.steps.pop().unwrap();
    before.steps.insert(1, forged);
    before.client(BOT);
    assert!(found(&before).anomalies.contains(&Anomaly::HandshakeMismatch));

    let mut reset = Session::open(1000);
    reset.step(true, 1001, 0, RST, b"").ttl = 3;
    reset.step(true, 0x5000_0000, 0, SYN, b"").ttl = 3;
    reset.client(BOT);
    assert!(found(&reset).anomalies.contains(&Anomaly::LowTtl));
}

/// A client's first datagram of Google's QUIC before TLS, whose hello is in the clear.
fn google_hello(connection: u8, host: &str) -> Vec<u8> {
    let mut hello = b"CHLO\x02\0\0\0PAD\0".to_vec();
    hello.extend(300_u32.to_le_bytes());
    hello.extend(b"SNI\0");
    hello.extend((300 + host.len() as u32).to_le_bytes());
    hello.extend([b'-'; 300]);
    hello.extend(host.as_bytes());
    let mut packet = vec![0x09];
    packet.extend([connection; 8]);
    packet.extend(b"Q043\x01");
    packet.extend([0xee; 12]);
    packet.extend([0xa0, 1]);
    packet.extend((hello.len() as u16).to_be_bytes());
    packet.extend(hello);
    packet.extend([0; 30]);
    packet
}

#[test]
fn a_hello_that_does_not_get_far_hides_no_other() {
    let frame = |ttl, connection, host: &str| {
        ethernet(0x0800, &ipv4(17, CLIENT, SERVER, ttl, &udp(50_000, 443, &google_hello(connection, host))))
    };
    let decoy = frame(3, 1, "www.example.org");
    let real = frame(64, 2, "mmg.whatsapp.net");
    for frames in [vec![decoy.clone(), real.clone()], vec![decoy.clone(), decoy, real.clone(), real]] {
        let seen = sense(&frames, Limits::default());
        assert!(seen.evidence("whatsapp").contains("mmg.whatsapp.net"));
        assert_eq!(seen.anomalies, [Anomaly::LowTtl]);
    }
}

#[test]
fn a_new_connection_of_which_one_side_is_seen_begins_anew() {
    let mut first = Session::open(1000);
    first.client(b"GET / HTTP/1.0\r\n\r\n");
    first.step(true, 1019, 9001, RST, b"");
    first.steps.retain(|step| step.from_client);
    let mut second = Session::open(0x5000_0000);
    second.client(BOT);
    second.steps.retain(|step| step.from_client);
    let seen = sense(&[first.frames(), second.frames()].concat(), Limits::default());
    let ids: Vec<&str> = seen.flows.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["", "irc"]);
}

#[test]
fn a_forged_checksum_of_zero_does_not_mislead() {
    let mut session = Session::open(1000);
    session.client_at(0, DECOY);
    session.client(BOT);
    let mut frames = session.frames();
    // The checksum is 16 bytes into the TCP header, behind Ethernet and IPv4.
    frames[3][14 + 20 + 16..14 + 20 + 18].copy_from_slice(&[0, 0]);
    let seen = sense(&frames, Limits::default());
    assert!(seen.evidence("irc").contains("#botnet"));
    assert_eq!(seen.anomalies, [Anomaly::OverlapConflict]);
}

#[test]
fn a_flood_of_beginnings_does_not_push_out_conversations() {
    let mut session = Session::open(1000);
    session.client(&BOT[..10]);
    session.server(b":server NOTICE * :hello\r\n");
    let mut frames = session.frames();
    for host in 0..2000_u16 {
        let src = [10, 7, (host >> 8) as u8, host as u8];
        frames.push(ethernet(0x0800, &ipv4(17, src.into(), SERVER, 64, &udp(5000, 6000, &[0x99; 7]))));
    }
    let talked = session.steps.len();
    session.client(&BOT[10..]);
    frames.extend(session.frames().split_off(talked));
    let seen = sense(&frames, Limits { probes: 64, ..Limits::default() });
    assert!(seen.flows.iter().any(|(id, evidence)| id == "irc" && evidence.contains("#botnet")));
    assert!(seen.counters.probes_given_up > 1000);
    assert!(seen.anomalies.contains(&Anomaly::BeginningsFull));
}

#[test]
fn time_that_one_packet_alone_skips_does_not_pass() {
    let mut session = Session::open(1000);
    session.client(&BOT[..10]);
    session.client(&BOT[10..]);
    let frames = session.frames();
    let mut sensor = crate::engine::Sensor::new(Limits::default(), crate::apps::Catalogue::bundled());
    let mut seen = Seen::default();
    let base = 1_700_000_000_000_000_000_u64;
    for (index, data) in frames.iter().enumerate() {
        let time = if index == 4 { u64::MAX } else { base + index as u64 };
        let link = crate::capture::LinkType(1);
        sensor.packet(&crate::capture::Packet { time, link, wire_len: data.len() as u32, data }, &mut seen);
    }
    sensor.finish(&mut seen);
    assert!(seen.evidence("irc").contains("#botnet"));
    assert_eq!(seen.anomalies, [Anomaly::TimeJump]);
}

#[test]
fn a_clock_that_is_behind_or_far_ahead_ends_flows_in_their_time() {
    let base = 1_700_000_000_000_000_000_u64;
    let second = 1_000_000_000_u64;
    let datagram = |host: u8| ethernet(0x0800, &ipv4(17, [10, 7, 0, host].into(), SERVER, 64, &udp(5000, 6000, b"x")));
    let mut sensor = crate::engine::Sensor::new(Limits::default(), crate::apps::Catalogue::bundled());
    let mut seen = Seen::default();
    let mut see = |time: u64, host: u8, seen: &mut Seen| {
        let (link, data) = (crate::capture::LinkType::ETHERNET, datagram(host));
        sensor.packet(&crate::capture::Packet { time, link, wire_len: data.len() as u32, data: &data }, seen);
        sensor.live_flows()
    };
    // Two interfaces, one of which is ten minutes late; and a forged time.
    for step in 0..100 {
        see(base + step * second, 1, &mut seen);
        see(base + step * second - 600 * second, 2, &mut seen);
    }
    assert_eq!(see(u64::MAX / 4, 3, &mut seen), 3, "none has ended");
    assert_eq!(see(base + 300 * second, 4, &mut seen), 1, "all have");
    // Two days later, and another packet says so: the conversation goes on.
    let later = base + 172_800 * second;
    see(later, 5, &mut seen);
    assert_eq!(see(later + second, 5, &mut seen), 1, "the old one has ended, the new one has not");
}

#[test]
fn a_first_packet_from_the_future_does_not_stop_the_clock() {
    let base = 1_700_000_000_000_000_000_u64;
    let second = 1_000_000_000_u64;
    let datagram = |host: u8| ethernet(0x0800, &ipv4(17, [10, 7, 0, host].into(), SERVER, 64, &udp(5000, 6000, b"x")));
    let mut sensor = crate::engine::Sensor::new(Limits::default(), crate::apps::Catalogue::bundled());
    let mut seen = Seen::default();
    let mut live = Vec::new();
    // Then one from the past; and from where two agree, time goes on.
    for (time, host) in [(2 * base, 1), (second, 2), (base, 3), (base + second, 4), (base + 300 * second, 5)] {
        let (link, data) = (crate::capture::LinkType::ETHERNET, datagram(host));
        sensor.packet(&crate::capture::Packet { time, link, wire_len: data.len() as u32, data: &data }, &mut seen);
        live.push(sensor.live_flows());
    }
    assert_eq!(live, [1, 2, 3, 4, 1]);
    assert!(seen.anomalies.contains(&Anomaly::TimeJump));
}

/// A DNS message about `web.whatsapp.com`, perhaps with the answer that it is at [`SERVER`].
fn about_whatsapp(id: u16, answer: bool) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([
        if answer { 0x81 } else { 1 },
        if answer { 0x80 } else { 0 },
        0,
        1,
        0,
        u8::from(answer),
        0,
        0,
        0,
        0,
    ]);
    message.extend(b"\x03web\x08whatsapp\x03com\0\0\x01\0\x01");
    if answer {
        message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4]);
        message.extend(SERVER.octets());
    }
    message
}

#[test]
fn names_are_believed_when_asked_for_and_before_the_flow() {
    let resolver = std::net::Ipv4Addr::new(10, 1, 1, 1);
    let question = ethernet(0x0800, &ipv4(17, CLIENT, resolver, 64, &udp(4000, 53, &about_whatsapp(7, false))));
    let answer = |id| ethernet(0x0800, &ipv4(17, resolver, CLIENT, 64, &udp(53, 4000, &about_whatsapp(id, true))));
    let mut session = Session::open(1000);
    session.client(&[0x80; 50]);
    let last = |frames: &[&[Vec<u8>]]| {
        let flows = sense(&frames.concat(), Limits::default()).flows;
        flows.iter().filter(|(_, evidence)| evidence.contains("looked up")).count()
    };
    let frames = session.frames();
    assert_eq!(last(&[&[question.clone(), answer(7)], &frames]), 1);
    assert_eq!(last(&[&[answer(7)], &frames]), 0, "nobody asked");
    assert_eq!(last(&[&[question.clone(), answer(8)], &frames]), 0, "another question was asked");
    assert_eq!(last(&[&frames, &[question, answer(7)]]), 0, "it was looked up afterwards");
}

#[test]
fn services_on_the_local_network_have_names() {
    let mut message = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0].to_vec();
    message.extend(b"\x09_presence\x04_tcp\x05local\0\0\x0c\0\x01");
    let packet = ipv4(17, CLIENT, [224, 0, 0, 251].into(), 255, &udp(5353, 5353, &message));
    let seen = sense(&[ethernet(0x0800, &packet)], Limits::default());
    assert!(seen.evidence("xmpp").contains("_presence._tcp.local"));
}

#[test]
fn one_answer_teaches_a_few_addresses_only() {
    let resolver = std::net::Ipv4Addr::new(10, 1, 1, 1);
    let question = ethernet(0x0800, &ipv4(17, CLIENT, resolver, 64, &udp(4000, 53, &about_whatsapp(7, false))));
    let mut session = Session::open(1000);
    session.client(&[0x80; 50]);
    for (others, known) in [(15_u8, true), (16, false)] {
        let mut message = about_whatsapp(7, true);
        let server = message.split_off(message.len() - 16);
        for other in 0..others {
            message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 198, 51, 100, other]);
        }
        message[7] = others + 1;
        message.extend(server);
        let answer = ethernet(0x0800, &ipv4(17, resolver, CLIENT, 64, &udp(53, 4000, &message)));
        let flows = sense(&[vec![question.clone(), answer], session.frames()].concat(), Limits::default()).flows;
        assert_eq!(flows.iter().any(|(_, evidence)| evidence.contains("looked up")), known, "{others}");
    }
}
