//! Suricata's EVE: one JSON object a line (<https://docs.suricata.io/en/latest/output/eve/eve-json-format.html>).
//!
//! Lines are written into one buffer that is used again; nothing is allocated an event.

mod community;
mod json;
mod output;

use std::io::Write;

use model::Platform;

use crate::apps::Catalogue;
use crate::event::{AnomalyEvent, Sink};
use crate::flow::Flow;
use crate::lore::Nanos;
use crate::names::AppProto;
use crate::view::Way;
use json::{Object, Today, key};
pub use output::{Output, Rotation};

/// Written at once.
const CHUNK: usize = 64 << 10;

/// Writes events. The first error of the output is kept, and nothing is written after it.
pub struct Eve<W> {
    output: W,
    /// Its name, and that of the capture, as they stand in JSON.
    sensor: Vec<u8>,
    file: Vec<u8>,
    line: Vec<u8>,
    today: Today,
    failed: Option<std::io::Error>,
}

impl<W: Write> Eve<W> {
    /// Events of the sensor of this name, into `output`.
    pub fn new(output: W, sensor: &str) -> Eve<W> {
        Eve {
            output,
            sensor: json::escaped(sensor),
            file: Vec::new(),
            line: Vec::with_capacity(2 * CHUNK),
            today: Today::default(),
            failed: None,
        }
    }

    /// Names the capture that events come from (`pcap_filename`); empty for live traffic.
    pub fn capture(&mut self, file: &str) {
        self.file = json::escaped(file);
    }

    /// A capture could not be read to its end.
    pub fn damaged(&mut self, time: Nanos, what: &str) {
        let mut object = Object::new(&mut self.line);
        object.time(key!("timestamp"), time, &mut self.today);
        object.plain(key!("event_type"), "anomaly");
        origin(&mut object, &self.file, &self.sensor);
        let mut anomaly = object.object(key!("anomaly"));
        anomaly.text(key!("type"), "capture");
        anomaly.text(key!("event"), crate::anomaly::Anomaly::CaptureDamaged.event());
        anomaly.text(key!("detail"), what);
        anomaly.end();
        object.end_line();
        self.pass_on(false);
    }

    /// Counters of a sensor, as a `stats` event.
    pub fn stats(&mut self, time: Nanos, counters: &crate::engine::Counters) {
        let mut object = Object::new(&mut self.line);
        object.time(key!("timestamp"), time, &mut self.today);
        object.plain(key!("event_type"), "stats");
        origin(&mut object, &self.file, &self.sensor);
        let mut stats = object.object(key!("stats"));
        stats.number(key!("packets"), counters.packets);
        stats.number(key!("bytes"), counters.bytes);
        stats.number(key!("packets_without_flow"), counters.without_flow);
        stats.number(key!("flows"), counters.flows);
        stats.number(key!("flows_given_up"), counters.flows_given_up);
        stats.number(key!("beginnings_given_up"), counters.probes_given_up);
        let mut forgotten = stats.object(key!("forgotten"));
        forgotten.number(key!("names"), counters.forgotten.names);
        forgotten.number(key!("expected"), counters.forgotten.expected);
        forgotten.number(key!("speakers"), counters.forgotten.speakers);
        forgotten.number(key!("platforms"), counters.forgotten.platforms);
        forgotten.end();
        let mut anomalies = stats.object(key!("anomalies"));
        for anomaly in crate::anomaly::Anomaly::ALL {
            let count = counters.anomalies[anomaly as usize];
            if count > 0 {
                anomalies.count(anomaly.event(), count);
            }
        }
        anomalies.end();
        stats.end();
        object.end_line();
        self.pass_on(false);
    }

    /// Whether an error of the output has ended the writing; [`flush`](Eve::flush) tells it.
    pub fn failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Writes out what is buffered and returns the first error there was.
    pub fn flush(&mut self) -> std::io::Result<()> {
        self.pass_on(true);
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.output.flush(),
        }
    }

    fn pass_on(&mut self, now: bool) {
        if self.line.len() < CHUNK && !now {
            return;
        }
        if self.failed.is_none()
            && let Err(error) = self.output.write_all(&self.line)
        {
            self.failed = Some(error);
        }
        self.line.clear();
    }
}

impl<W: Write> Sink for Eve<W> {
    fn flow(&mut self, flow: &Flow, catalogue: &Catalogue) {
        let Eve { line, today, file, sensor, .. } = self;
        let mut object = Object::new(line);
        object.time(key!("timestamp"), flow.last, today);
        object.plain(key!("event_type"), "flow");
        about(&mut object, flow, file, sensor);
        let protocol = flow.names.as_ref().map_or(AppProto::Unknown, |names| names.protocol);
        let named = flow.naming.as_ref().map(|naming| (naming, catalogue.entry(naming.app)));
        match (protocol.as_str(), &named) {
            (Some(protocol), _) => object.plain(key!("app_proto"), protocol),
            // A flow whose own bytes name it speaks just that.
            (None, Some((naming, entry))) if naming.confidence == model::Confidence::Payload => {
                object.plain(key!("app_proto"), &entry.id);
            }
            _ => {}
        }
        let mut part = object.object(key!("flow"));
        part.number(key!("pkts_toserver"), flow.packets[Way::ToServer.index()]);
        part.number(key!("pkts_toclient"), flow.packets[Way::ToClient.index()]);
        part.number(key!("bytes_toserver"), flow.bytes[Way::ToServer.index()]);
        part.number(key!("bytes_toclient"), flow.bytes[Way::ToClient.index()]);
        part.time(key!("start"), flow.first, today);
        part.time(key!("end"), flow.last, today);
        part.end();
        if let Some(names) = &flow.names {
            names_of(&mut object, names);
        }
        let platform = flow.platform.map(Platform::as_str);
        if let Some((naming, entry)) = named {
            let mut im = object.object(key!("im"));
            im.plain(key!("application"), &entry.id);
            im.plain(key!("category"), entry.category.as_str());
            im.plain(key!("confidence"), naming.confidence.as_str());
            im.text(key!("evidence"), &naming.evidence);
            if let Some(platform) = platform {
                im.plain(key!("platform"), platform);
            }
            im.end();
        } else if let Some(by) = flow.candidates_by {
            let mut im = object.object(key!("im"));
            im.texts(key!("candidates"), flow.candidates.iter().map(|app| &*catalogue.entry(*app).id));
            im.plain(key!("confidence"), by.as_str());
            if let Some(platform) = platform {
                im.plain(key!("platform"), platform);
            }
            im.end();
        }
        object.end_line();
        self.pass_on(false);
    }

    fn anomaly(&mut self, event: &AnomalyEvent) {
        let Eve { line, today, file, sensor, .. } = self;
        let mut object = Object::new(line);
        object.time(key!("timestamp"), event.time, today);
        object.plain(key!("event_type"), "anomaly");
        match event.flow {
            Some(flow) => about(&mut object, flow, file, sensor),
            None => origin(&mut object, file, sensor),
        }
        let mut anomaly = object.object(key!("anomaly"));
        anomaly.text(key!("type"), event.anomaly.layer());
        anomaly.text(key!("event"), event.anomaly.event());
        anomaly.end();
        object.end_line();
        self.pass_on(false);
    }

    fn closed(&self) -> bool {
        self.failed()
    }
}

/// Where an event without a flow comes from.
fn origin(object: &mut Object, file: &[u8], sensor: &[u8]) {
    if !file.is_empty() {
        object.plain(key!("pcap_filename"), file);
    }
    object.plain(key!("sensor"), sensor);
}

/// Which flow an event is about.
fn about(object: &mut Object, flow: &Flow, file: &[u8], sensor: &[u8]) {
    if !file.is_empty() {
        object.plain(key!("pcap_filename"), file);
    }
    let community = community::id(flow);
    object.number(key!("flow_id"), community.flow_id);
    object.plain(key!("community_id"), community.text);
    object.plain(key!("sensor"), sensor);
    object.numbers(key!("vlan"), flow.vlans.iter().filter(|vlan| **vlan != 0).map(|vlan| u64::from(*vlan)));
    object.address(key!("src_ip"), flow.client.ip);
    let with_ports = matches!(flow.protocol, 6 | 17 | 132 | 136);
    if with_ports {
        object.number(key!("src_port"), u64::from(flow.client.port));
    }
    object.address(key!("dest_ip"), flow.server.ip);
    if with_ports {
        object.number(key!("dest_port"), u64::from(flow.server.port));
    }
    if matches!(flow.protocol, 1 | 58) {
        object.number(key!("icmp_type"), u64::from(flow.icmp.0));
        object.number(key!("icmp_code"), u64::from(flow.icmp.1));
    }
    match flow.protocol {
        1 => object.plain(key!("proto"), "ICMP"),
        2 => object.plain(key!("proto"), "IGMP"),
        6 => object.plain(key!("proto"), "TCP"),
        17 => object.plain(key!("proto"), "UDP"),
        47 => object.plain(key!("proto"), "GRE"),
        50 => object.plain(key!("proto"), "ESP"),
        58 => object.plain(key!("proto"), "IPv6-ICMP"),
        132 => object.plain(key!("proto"), "SCTP"),
        136 => object.plain(key!("proto"), "UDPLite"),
        other => object.plain(key!("proto"), other.to_string()),
    }
    if flow.tunnels > 0 {
        let mut tunnel = object.object(key!("tunnel"));
        tunnel.number(key!("depth"), u64::from(flow.tunnels));
        tunnel.end();
    }
}

/// What hints gave, under the names that Suricata gives them.
fn names_of(object: &mut Object, names: &crate::names::Names) {
    let part = match names.protocol {
        AppProto::Tls | AppProto::Dtls | AppProto::Stun => key!("tls"),
        AppProto::Quic => key!("quic"),
        AppProto::Http | AppProto::Socks => key!("http"),
        AppProto::Dns | AppProto::Mdns => key!("dns"),
        _ => return,
    };
    let said = names.sni.is_some()
        || names.ja4.is_some()
        || names.host.is_some()
        || names.query.is_some()
        || names.user_agent.is_some()
        || !names.certificate.is_empty();
    if !said {
        return;
    }
    let mut object = object.object(part);
    if let Some(sni) = &names.sni {
        object.text(key!("sni"), sni);
    }
    if let Some(ja4) = &names.ja4 {
        object.text(key!("ja4"), ja4);
    }
    if !names.alpn.is_empty() {
        object.texts(key!("alpn"), names.alpn.iter().map(|alpn| &**alpn));
    }
    if names.ech {
        object.truth(key!("ech"), true);
    }
    if !names.certificate.is_empty() {
        object.texts(key!("certificate_names"), names.certificate.iter().map(|name| &**name));
    }
    if let Some(host) = &names.host {
        object.text(key!("hostname"), host);
    }
    if let Some(target) = &names.target {
        object.text(key!("url"), target);
    }
    if let Some(agent) = &names.user_agent {
        object.text(key!("http_user_agent"), agent);
    }
    if let Some(query) = &names.query {
        object.text(key!("rrname"), query);
    }
    object.end();
}
