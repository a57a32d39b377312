//! The straight line of one packet: decode, flow, prefix, hints, names, classifiers, event.
//!
//! A worker owns its flow table; nothing here waits, reads a clock or draws random numbers but the keys of its
//! hash tables, so the same packets give the same events.

mod derive;
mod devices;
mod identify;
mod pool;
mod probe;

use crate::Limits;
use crate::anomaly::{Anomalies, Anomaly};
use crate::apps::Catalogue;
use crate::capture::Packet;
use crate::decode::{Decoded, Decoder};
use crate::event::{AnomalyEvent, Sink};
use crate::flow::{Flow, Key, Place, Table, Turn};
use crate::lore::{Forgotten, Nanos};
use crate::view::{Endpoint, Way};
pub(crate) use identify::Follow;
use identify::Mind;
use pool::Pool;
pub(crate) use probe::Probe;

/// How many events of one kind that belong to no flow are told a minute; the rest is counted.
const TOLD: u8 = 20;

/// UDP ports that answer rather than ask, for captures that begin with an answer.
const SERVICES: [u16; 6] = [53, 67, 123, 161, 443, 3478];
const MINUTE: Nanos = 60_000_000_000;
/// Time that one packet alone may not skip.
const DAY: Nanos = 24 * 60 * MINUTE;

/// What a sensor has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Packets in which no conversation was found: not IP, damaged, fragments that are not whole.
    pub without_flow: u64,
    /// Flows begun.
    pub flows: u64,
    /// Flows ended early because the table was full.
    pub flows_given_up: u64,
    /// Beginnings of flows that were let go early because too many were held.
    pub probes_given_up: u64,
    /// What was forgotten of what flows taught, because a table was full.
    pub forgotten: Forgotten,
    /// Oddities seen, by the order of [`Anomaly::ALL`].
    pub anomalies: [u64; Anomaly::ALL.len()],
}

/// Packets in, events out.
pub struct Sensor {
    decoder: Decoder,
    worker: Worker,
}

struct Worker {
    limits: Limits,
    table: Table,
    mind: Mind,
    pool: Pool,
    now: Nanos,
    /// Another packet has borne the clock out.
    sure: bool,
    /// A time far off that one packet bore.
    far: Option<Far>,
    /// Events without a flow that were told in the current minute, by kind.
    told: [u8; Anomaly::ALL.len()],
    minute: u64,
    /// A conversation's beginning had to go before it had a name.
    let_go: bool,
    counters: Counters,
}

/// A time far off: another packet has to bear it out.
struct Far {
    time: Nanos,
    /// The flow of the packet that bore it, with its serial: should the time be right, it was heard then.
    flow: Option<(Place, u64)>,
}

impl Sensor {
    /// A sensor with empty tables.
    pub fn new(limits: Limits, catalogue: &'static Catalogue) -> Sensor {
        Sensor {
            decoder: Decoder::new(limits.fragment_bytes),
            worker: Worker {
                table: Table::new(limits.flows),
                mind: Mind::new(catalogue, &limits),
                limits,
                pool: Pool::default(),
                now: 0,
                sure: false,
                far: None,
                told: [0; Anomaly::ALL.len()],
                minute: 0,
                let_go: false,
                counters: Counters::default(),
            },
        }
    }

    /// Takes one packet.
    pub fn packet(&mut self, packet: &Packet, sink: &mut impl Sink) {
        let worker = &mut self.worker;
        worker.tick(packet.time, sink);
        worker.counters.packets += 1;
        worker.counters.bytes += u64::from(packet.wire_len);
        let mut odd = Anomalies::default();
        let mut seen = None;
        self.decoder.decode(packet, &mut odd, |decoded| seen = Some(worker.see(packet, decoded, sink)));
        if let (Some(place), Some(far)) = (seen, &mut worker.far)
            && far.time == packet.time
        {
            far.flow = worker.table.get_mut(place).map(|flow| (place, flow.serial));
        }
        if std::mem::take(&mut worker.let_go) {
            let mut full = Anomalies::default();
            full.add(Anomaly::BeginningsFull);
            worker.odd_packet(full, packet.time, sink);
        }
        match seen {
            // What is odd about the layers around is told with the flow, once.
            Some(place) if !odd.is_empty() => worker.odd_flow(place, odd, packet.time, sink),
            Some(_) => {}
            None => {
                worker.counters.without_flow += 1;
                worker.odd_packet(odd, packet.time, sink);
            }
        }
    }

    /// Ends every flow, in the order they began. Tables are empty afterwards.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        let worker = &mut self.worker;
        for place in worker.table.all() {
            worker.end(place, sink);
        }
        worker.table.clear();
        worker.pool.clear();
    }

    /// What was seen so far.
    pub fn counters(&self) -> Counters {
        Counters { forgotten: self.worker.mind.lore.forgotten(), ..self.worker.counters }
    }

    /// Flows that have not ended.
    pub fn live_flows(&self) -> usize {
        self.worker.table.len()
    }
}

impl Worker {
    /// Moves the clock, and ends what has been silent for too long. Time does not run backwards here, whatever
    /// a capture says, and no packet alone moves it by days; only the first packet's time gives way to that of two
    /// others.
    fn tick(&mut self, time: Nanos, sink: &mut impl Sink) {
        if time <= self.now && (self.sure || self.now - time <= DAY) {
            self.sure = true;
            return;
        }
        let borne_out = |far: &Far| time.abs_diff(far.time) <= DAY;
        let first = self.now == 0;
        if !first && time.abs_diff(self.now) > DAY && !self.far.as_ref().is_some_and(borne_out) {
            self.far = Some(Far { time, flow: None });
            let mut odd = Anomalies::default();
            odd.add(Anomaly::TimeJump);
            self.odd_packet(odd, time, sink);
            return;
        }
        let far = self.far.take().filter(borne_out);
        if let Some((place, serial)) = far.and_then(|far| far.flow)
            && let Some(flow) = self.table.get_mut(place).filter(|flow| flow.serial == serial)
        {
            flow.heard = flow.last.min(time);
        }
        let back = time < self.now;
        let crossed = time / 1_000_000_000 != self.now / 1_000_000_000;
        self.sure = !first;
        self.now = time;
        self.mind.lore.at(time);
        if back {
            self.table.start_over(time, &self.limits);
        } else if crossed {
            while let Some(place) = self.table.expired(time, &self.limits) {
                self.end(place, sink);
            }
        }
    }

    /// Puts one decoded packet where it belongs, and tells where that is.
    fn see(&mut self, packet: &Packet, decoded: &Decoded, sink: &mut impl Sink) -> Place {
        let with_ports = matches!(decoded.protocol, 6 | 17 | 132 | 136);
        let (src_port, dst_port) = if with_ports { (decoded.src_port, decoded.dst_port) } else { (0, 0) };
        let src = Endpoint { ip: decoded.src, port: src_port };
        let dst = Endpoint { ip: decoded.dst, port: dst_port };
        let key = Key::new(src, dst, decoded.protocol);
        let mut place = match self.table.find(&key) {
            Ok(place) => place,
            Err(hash) => self.begin((key, hash), src, dst, decoded, packet.time, sink),
        };
        let mut odd = Anomalies::default();
        let mut believed = true;
        let mut ignored = false;
        if let (Some(segment), Some(flow)) = (&decoded.tcp, self.table.get_mut(place)) {
            let way = flow.way_of(src);
            let check = flow.probe.is_some() || !flow.decided;
            match flow.tcp.take(way, decoded, segment, check, &mut odd) {
                Turn::Here { believed: far } => believed = far,
                Turn::Ignored => ignored = true,
                Turn::NewConnection { syn } => {
                    self.end(place, sink);
                    if let Err(hash) = self.table.find(&key) {
                        place = self.begin((key, hash), src, dst, decoded, packet.time, sink);
                    }
                    if let Some(flow) = self.table.get_mut(place) {
                        if let Some(syn) = syn {
                            flow.tcp.note_syn(Way::ToServer, syn);
                        }
                        let way = flow.way_of(src);
                        flow.tcp.take(way, decoded, segment, true, &mut odd);
                    }
                }
            }
        }
        let Some(flow) = self.table.get_mut(place) else { return place };
        let way = flow.way_of(src);
        flow.last = flow.last.max(packet.time);
        flow.heard = self.now;
        let closed = decoded.protocol == 6 && flow.tcp.closed();
        let answered = way == Way::ToClient && flow.packets[1] == 0;
        flow.packets[way.index()] += 1;
        flow.bytes[way.index()] += u64::from(packet.wire_len);
        let mut again = false;
        if decoded.tcp.is_none() && flow.odd_ttl(way, decoded.ttl) {
            odd.add(Anomaly::LowTtl);
            again = way == Way::ToServer && !flow.anomalies.has(Anomaly::LowTtl);
        }
        let waiting = flow.probe.is_some();
        if again {
            self.hear_again(place);
        }
        if !ignored && with_ports {
            if decoded.payload_len > 0 {
                self.payload(place, way, decoded, believed, &mut odd);
            } else if waiting {
                self.acknowledged(place, way, decoded);
            }
        }
        if answered && let Some(flow) = self.table.get_mut(place) {
            self.mind.learn_from(flow);
        }
        if closed {
            self.table.hurry(place, self.now.saturating_add(self.limits.tcp_closed), self.now);
        }
        if !odd.is_empty() {
            self.odd_flow(place, odd, packet.time, sink);
        }
        place
    }

    /// Makes a flow for its first packet, after making room.
    fn begin(
        &mut self,
        (key, hash): (Key, u64),
        src: Endpoint,
        dst: Endpoint,
        decoded: &Decoded,
        time: Nanos,
        sink: &mut impl Sink,
    ) -> Place {
        while self.table.full() {
            let Some(given_up) = self.table.give_up() else { break };
            self.counters.flows_given_up += 1;
            self.end(given_up, sink);
            let mut odd = Anomalies::default();
            odd.add(Anomaly::FlowTableFull);
            self.odd_packet(odd, time, sink);
        }
        let backwards = match &decoded.tcp {
            Some(segment) if segment.flags.syn() => segment.flags.ack(),
            // Nobody saw how it began: the low port serves.
            Some(_) => src.port < 1024 && dst.port >= 1024,
            None => SERVICES.contains(&src.port) && dst.port >= 1024,
        };
        let (client, server) = if backwards { (dst, src) } else { (src, dst) };
        self.counters.flows += 1;
        devices::from_syn(decoded, &mut self.mind.lore);
        let mut flow = Flow::new(key, self.counters.flows, client, server, time);
        flow.vlans = decoded.vlans;
        flow.tunnels = decoded.tunnels;
        if matches!(decoded.protocol, 1 | 58) {
            flow.icmp = (decoded.src_port as u8, decoded.dst_port as u8);
        }
        self.mind.remember(&mut flow);
        self.table.insert(hash, flow, self.now, &self.limits)
    }

    /// Looks at payload for as long as there is something to learn from it.
    fn payload(&mut self, place: Place, way: Way, decoded: &Decoded, believed: bool, odd: &mut Anomalies) {
        let Some(flow) = self.table.get_mut(place) else { return };
        if flow.decided && flow.probe.is_none() {
            if let Some(follow) = flow.follow {
                self.mind.follow(follow, flow, way, decoded.payload);
            }
            return;
        }
        let held = flow.probe.take();
        let fresh = held.is_none();
        let mut probe = held.unwrap_or_else(|| self.pool.take());
        if fresh {
            probe.begin(flow, &self.limits);
        }
        let grown = probe.push(flow, way, decoded, believed, odd);
        let keep = if flow.decided {
            if let Some(follow) = flow.follow {
                self.mind.follow(follow, flow, way, decoded.payload);
            }
            let enough = probe.watched_enough();
            if enough {
                self.mind.restate(flow, &probe);
            }
            !enough
        } else if probe.spent() {
            self.mind.settle(flow, &mut probe);
            probe.watch(flow)
        } else {
            !(grown && self.mind.identify(flow, &mut probe, false)) || probe.watch(flow)
        };
        if keep {
            self.pool.weigh(&mut probe);
            flow.probe = Some(probe);
            if fresh {
                self.pool.keeps(place, flow);
                self.make_room();
            }
        } else {
            match fresh {
                true => self.pool.spare(probe),
                false => self.pool.give_back(probe),
            }
        }
    }

    /// The first QUIC hello may not have got as far as the server: whoever has no name by it is listened to anew,
    /// once.
    #[cold]
    fn hear_again(&mut self, place: Place) {
        let Some(flow) = self.table.get_mut(place).filter(|flow| self.mind.nameless_quic(flow)) else { return };
        flow.decided = false;
        if let Some(probe) = flow.probe.take() {
            self.pool.give_back(probe);
        }
    }

    /// A packet without payload may acknowledge what was in doubt.
    fn acknowledged(&mut self, place: Place, way: Way, decoded: &Decoded) {
        let Some(flow) = self.table.get_mut(place) else { return };
        let Some(mut probe) = flow.probe.take() else { return };
        let news = probe.acknowledge(way, decoded);
        if news && !flow.decided && self.mind.identify(flow, &mut probe, false) && !probe.watch(flow) {
            self.pool.give_back(probe);
        } else {
            flow.probe = Some(probe);
        }
    }

    /// Lets go of probes when too many are held.
    fn make_room(&mut self) {
        let Limits { probes, probe_bytes, .. } = self.limits;
        while let Some(place) = self.pool.too_many(probes, probe_bytes, &mut self.table) {
            let Some(flow) = self.table.get_mut(place) else { continue };
            let Some(mut probe) = flow.probe.take() else { continue };
            self.counters.probes_given_up += u64::from(!flow.decided);
            self.let_go |= !flow.decided;
            self.mind.settle(flow, &mut probe);
            self.pool.give_back(probe);
        }
    }

    /// A flow has ended: what is known of it is told, where it is, and then it goes.
    fn end(&mut self, place: Place, sink: &mut impl Sink) {
        let Some(flow) = self.table.get_mut(place) else { return };
        if let Some(mut probe) = flow.probe.take() {
            self.mind.settle(flow, &mut probe);
            self.pool.give_back(probe);
        }
        self.mind.conclude(flow);
        sink.flow(flow, self.mind.catalogue);
        self.table.remove(place);
    }

    /// Tells what is odd about a flow, each kind once.
    fn odd_flow(&mut self, place: Place, odd: Anomalies, time: Nanos, sink: &mut impl Sink) {
        let Some(flow) = self.table.get_mut(place) else { return };
        for anomaly in odd.iter() {
            self.counters.anomalies[anomaly as usize] += 1;
        }
        for anomaly in flow.anomalies.take_new(odd).iter() {
            sink.anomaly(&AnomalyEvent { anomaly, time, flow: Some(flow) });
        }
    }

    /// Tells what is odd about a packet without a flow, a bounded number of times.
    fn odd_packet(&mut self, odd: Anomalies, time: Nanos, sink: &mut impl Sink) {
        if self.now / MINUTE != self.minute {
            self.minute = self.now / MINUTE;
            self.told = [0; Anomaly::ALL.len()];
        }
        for anomaly in odd.iter() {
            self.counters.anomalies[anomaly as usize] += 1;
            let told = &mut self.told[anomaly as usize];
            if *told < TOLD {
                *told += 1;
                sink.anomaly(&AnomalyEvent { anomaly, time, flow: None });
            }
        }
    }
}

#[cfg(test)]
mod tests;
