//! RTP and RTCP (RFC 3550), secured or not, over UDP and framed over TCP (RFC 4571): told by structure that holds over
//! several packets. A building block: any application's own name is better.

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::{be16, be32, byte};
use crate::view::{FlowView, Transport, Way};

pub(super) const CLASSIFIER: Classifier = Classifier {
    name: "rtp",
    applications: &["rtp"],
    looks_for: "RTP streams: one source, sequence numbers that count up; RTCP reports",
    over: Over::Both,
    inside: Inside::PLAIN.and(Inside::DTLS),
    classify,
    follow: None,
};

/// How many datagrams of something else are passed over.
const PATIENCE: usize = 8;
/// How far sequence numbers may step.
const STEP: u16 = 8;

fn classify(view: &FlowView) -> Opinion {
    let mut streams = Streams::default();
    if view.transport == Transport::Udp {
        let mut foreign = 0;
        for piece in view.pieces {
            let Some(datagram) = view.bytes_of(piece) else { continue };
            let whole = piece.len as usize == datagram.len();
            match streams.take(piece.way, datagram, whole) {
                Taken::Sure(evidence) => return Opinion::payload("rtp", evidence),
                Taken::Fits => {}
                Taken::Foreign => foreign += 1,
            }
        }
        return match foreign {
            PATIENCE.. => Opinion::No,
            _ if view.last || (foreign > 2 && foreign == view.heard) => Opinion::No,
            _ => Opinion::NeedMore,
        };
    }
    let mut waiting = false;
    for way in [Way::ToServer, Way::ToClient] {
        let mut rest = view.first(way);
        waiting |= rest.len() < 64;
        for _ in 0..16 {
            let Some(length) = be16(rest, 0).map(usize::from) else { break };
            let Some(packet) = rest.get(2..2 + length) else {
                // Cut short: the next packet may tell, if this one begins as it should.
                waiting |= length >= 12 && rest.get(2..).is_some_and(|packet| Rtp::read(packet, false).is_some());
                break;
            };
            match streams.take(way, packet, true) {
                Taken::Sure(evidence) => return Opinion::payload("rtp", evidence),
                Taken::Fits => waiting = true,
                Taken::Foreign => return Opinion::No,
            }
            rest = rest.get(2 + length..).unwrap_or_default();
        }
    }
    if waiting && !view.last && view.heard < PATIENCE { Opinion::NeedMore } else { Opinion::No }
}

/// The fixed header of an RTP packet.
#[derive(Clone, Copy)]
pub(super) struct Rtp {
    kind: u8,
    sequence: u16,
    timestamp: u32,
    /// The synchronisation source.
    pub(super) source: u32,
}

impl Rtp {
    /// Reads a packet whose header fits; `whole` when nothing of it was cut off.
    pub(super) fn read(packet: &[u8], whole: bool) -> Option<Rtp> {
        let first = byte(packet, 0)?;
        let kind = byte(packet, 1)? & 0x7f;
        // 64 to 95 would be RTCP (RFC 5761 section 4).
        if first >> 6 != 2 || (64..96).contains(&kind) {
            return None;
        }
        let mut header = 12 + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            header += 4 + 4 * usize::from(be16(packet, header + 2)?);
        }
        (header <= packet.len() || !whole).then_some(Rtp {
            kind,
            sequence: be16(packet, 2)?,
            timestamp: be32(packet, 4)?,
            source: be32(packet, 8)?,
        })
    }
}

/// RTCP: the sender's source, and whether the compound packet is plain and whole.
pub(super) fn rtcp(datagram: &[u8]) -> Option<(u32, bool)> {
    if !matches!(byte(datagram, 1)?, 200 | 201) || byte(datagram, 0)? >> 6 != 2 {
        return None;
    }
    let source = be32(datagram, 4)?;
    let (mut rest, mut packets, mut described) = (datagram, 0, false);
    while !rest.is_empty() {
        let (Some(first), Some(kind), Some(words)) = (byte(rest, 0), byte(rest, 1), be16(rest, 2)) else { break };
        if first >> 6 != 2 || !(192..=213).contains(&kind) {
            break;
        }
        match rest.get(4 + 4 * usize::from(words)..) {
            Some(next) => rest = next,
            None => break,
        }
        described |= kind == 202;
        packets += 1;
    }
    // At least the first packet must fit; what follows may be enciphered (RFC 3711 section 3.4).
    (packets > 0).then_some((source, rest.is_empty() && packets > 1 && described))
}

enum Taken {
    Sure(String),
    Fits,
    Foreign,
}

/// Sources heard so far, three a way (sound, pictures, repairs) and the sender of reports.
#[derive(Default)]
struct Streams {
    heard: [[Option<Heard>; 3]; 2],
    reports: [Option<(u32, u32)>; 2],
}

struct Heard {
    last: Rtp,
    /// Steps of the sequence, those of one, those with the same payload type, and those in which time went on.
    steps: u32,
    ones: u32,
    same: u32,
    ticks: u32,
}

impl Streams {
    fn take(&mut self, way: Way, packet: &[u8], whole: bool) -> Taken {
        if let Some((source, plain)) = rtcp(packet) {
            if plain {
                return Taken::Sure(format!("RTCP report and description of source {source:#010x}"));
            }
            let report = self.reports[way.index()].get_or_insert((source, 0));
            if report.0 == source && source != 0 {
                report.1 += 1;
                if report.1 >= 3 {
                    return Taken::Sure(format!("RTCP reports of source {source:#010x}"));
                }
            }
            return Taken::Fits;
        }
        let Some(rtp) = Rtp::read(packet, whole) else { return Taken::Foreign };
        for place in &mut self.heard[way.index()] {
            match place {
                Some(heard) if heard.last.source == rtp.source => {
                    return heard.step(rtp);
                }
                Some(_) => {}
                None => {
                    *place = Some(Heard { last: rtp, steps: 0, ones: 0, same: 0, ticks: 0 });
                    return Taken::Fits;
                }
            }
        }
        Taken::Foreign
    }
}

impl Heard {
    fn step(&mut self, rtp: Rtp) -> Taken {
        let ahead = rtp.sequence.wrapping_sub(self.last.sequence);
        // Pictures may come in another order than they are shown.
        let time = rtp.timestamp.wrapping_sub(self.last.timestamp).cast_signed();
        // Clocks run in samples: who counts by one or two counts packets.
        let counts = (1..8).contains(&time.unsigned_abs());
        if (1..=STEP).contains(&ahead) && time.unsigned_abs() < 1 << 22 && !counts {
            self.steps += 1;
            self.ones += u32::from(ahead == 1);
            self.same += u32::from(rtp.kind == self.last.kind);
            self.ticks += u32::from(time > 0);
            self.last = rtp;
        } else if (512..=u16::MAX - 64).contains(&ahead) {
            // Repeats, late ones and losses are forgiven; leaps are not.
            return Taken::Foreign;
        }
        // Small sources are also what fields of other protocols look like.
        let enough = match rtp.source {
            0 => self.steps >= 3 && self.ticks == self.steps,
            1..0x1_0000 => self.steps >= 3 && self.ticks >= 2,
            _ => self.ones >= 2 || self.steps >= 4,
        };
        match enough && self.same >= 1 {
            true => Taken::Sure(format!("RTP stream of source {:#010x}, payload type {}", rtp.source, rtp.kind)),
            false => Taken::Fits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::testing::{Talk, hex};

    fn packet(kind: u8, sequence: u16, timestamp: u32, source: u32) -> Vec<u8> {
        let mut bytes = vec![0x80, kind];
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(timestamp.to_be_bytes());
        bytes.extend(source.to_be_bytes());
        bytes.resize(172, 0xd5);
        bytes
    }

    #[test]
    fn three_packets_of_one_source_that_count_up() {
        let talk = Talk::udp().client(packet(0x88, 65535, 160, 0x0eaf_0eaf)).client(packet(8, 0, 320, 0x0eaf_0eaf));
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore);
        assert_eq!(talk.client(packet(8, 1, 480, 0x0eaf_0eaf)).named(&CLASSIFIER), Some("rtp"));
    }

    #[test]
    fn what_only_looks_alike_is_not_rtp() {
        // Sources change, numbers jump, types count up, nothing moves.
        let packets: [fn(u16) -> Vec<u8>; 6] = [
            |at| packet(3, at, 0x8600_0000 + u32::from(at), 0x0014_0102),
            |at| packet(8, at, 160, 0x0eaf_0000 + u32::from(at)),
            |at| packet(8, at * 1000, 160, 0x0eaf_0eaf),
            |at| packet(at as u8, at, u32::from(at), 0x0eaf_0eaf),
            |at| packet(8, at, 0, 0),
            |_| packet(8, 7, 7, 0x0eaf_0eaf),
        ];
        for (case, make) in packets.iter().enumerate() {
            let talk = (0..6).fold(Talk::udp(), |talk, at| talk.client(make(at)));
            assert_eq!(talk.last().named(&CLASSIFIER), None, "case {case}");
        }
    }

    #[test]
    fn framed_over_tcp() {
        let mut stream = Vec::new();
        for at in 0..4u16 {
            let packet = packet(8, 50_000 + at, 1200 * u32::from(at), 0);
            stream.extend((packet.len() as u16).to_be_bytes());
            stream.extend(packet);
        }
        assert_eq!(Talk::tcp().client(stream).named(&CLASSIFIER), Some("rtp"));
        assert_eq!(Talk::tcp().client("GET / HTTP/1.1\r\n\r\n").ask(&CLASSIFIER), Opinion::NeedMore);
        assert_eq!(Talk::tcp().client(hex("000e 80080001")).last().named(&CLASSIFIER), None);
    }

    #[test]
    fn reports() {
        let report = hex("80c90001 11223344 81ca0003 11223344 0104 61626364 0000");
        assert_eq!(Talk::udp().client(&report).named(&CLASSIFIER), Some("rtp"));
        let sealed = hex("80c90001 11223344 99887766554433221100");
        let talk = Talk::udp().client(&sealed).client(&sealed);
        assert_eq!(talk.ask(&CLASSIFIER), Opinion::NeedMore);
        assert_eq!(talk.client(&sealed).named(&CLASSIFIER), Some("rtp"));
    }
}
