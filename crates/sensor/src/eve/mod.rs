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
use json::{Object, Today};
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
        object.time("timestamp", time, &mut self.today);
        object.plain("event_type", "anomaly");
        origin(&mut object, &self.file, &self.sensor);
        let mut anomaly = object.object("anomaly");
        anomaly.text("type", "capture");
        anomaly.text("event", crate::anomaly::Anomaly::CaptureDamaged.event());
        anomaly.text("detail", what);
        anomaly.end();
        object.end();
        self.line.push(b'\n');
        self.pass_on(false);
    }

    /// Counters of a sensor, as a `stats` event.
    pub fn stats(&mut self, time: Nanos, counters: &crate::engine::Counters) {
        let mut object = Object::new(&mut self.line);
        object.time("timestamp", time, &mut self.today);
        object.plain("event_type", "stats");
        origin(&mut object, &self.file, &self.sensor);
        let mut stats = object.object("stats");
        stats.number("packets", counters.packets);
        stats.number("bytes", counters.bytes);
        stats.number("packets_without_flow", counters.without_flow);
        stats.number("flows", counters.flows);
        stats.number("flows_given_up", counters.flows_given_up);
        stats.number("beginnings_given_up", counters.probes_given_up);
        let mut forgotten = stats.object("forgotten");
        forgotten.number("names", counters.forgotten.names);
        forgotten.number("expected", counters.forgotten.expected);
        forgotten.number("speakers", counters.forgotten.speakers);
        forgotten.number("platforms", counters.forgotten.platforms);
        forgotten.end();
        let mut anomalies = stats.object("anomalies");
        for anomaly in crate::anomaly::Anomaly::ALL {
            let count = counters.anomalies[anomaly as usize];
            if count > 0 {
                anomalies.number(anomaly.event(), count);
            }
        }
        anomalies.end();
        stats.end();
        object.end();
        self.line.push(b'\n');
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
        object.time("timestamp", flow.last, today);
        object.plain("event_type", "flow");
        about(&mut object, flow, file, sensor);
        let protocol = flow.names.as_ref().map_or(AppProto::Unknown, |names| names.protocol);
        let named = flow.naming.as_ref().map(|naming| (naming, catalogue.entry(naming.app)));
        match (protocol.as_str(), &named) {
            (Some(protocol), _) => object.plain("app_proto", protocol),
            // A flow whose own bytes name it speaks just that.
            (None, Some((naming, entry))) if naming.confidence == model::Confidence::Payload => {
                object.plain("app_proto", &entry.id);
            }
            _ => {}
        }
        let mut part = object.object("flow");
        part.number("pkts_toserver", flow.packets[Way::ToServer.index()]);
        part.number("pkts_toclient", flow.packets[Way::ToClient.index()]);
        part.number("bytes_toserver", flow.bytes[Way::ToServer.index()]);
        part.number("bytes_toclient", flow.bytes[Way::ToClient.index()]);
        part.time("start", flow.first, today);
        part.time("end", flow.last, today);
        part.end();
        if let Some(names) = &flow.names {
            names_of(&mut object, names);
        }
        let platform = flow.platform.map(Platform::as_str);
        if let Some((naming, entry)) = named {
            let mut im = object.object("im");
            im.plain("application", &entry.id);
            im.plain("category", entry.category.as_str());
            im.plain("confidence", naming.confidence.as_str());
            im.text("evidence", &naming.evidence);
            if let Some(platform) = platform {
                im.plain("platform", platform);
            }
            im.end();
        } else if let Some(by) = flow.candidates_by {
            let mut im = object.object("im");
            im.texts("candidates", flow.candidates.iter().map(|app| &*catalogue.entry(*app).id));
            im.plain("confidence", by.as_str());
            if let Some(platform) = platform {
                im.plain("platform", platform);
            }
            im.end();
        }
        object.end();
        line.push(b'\n');
        self.pass_on(false);
    }

    fn anomaly(&mut self, event: &AnomalyEvent) {
        let Eve { line, today, file, sensor, .. } = self;
        let mut object = Object::new(line);
        object.time("timestamp", event.time, today);
        object.plain("event_type", "anomaly");
        match event.flow {
            Some(flow) => about(&mut object, flow, file, sensor),
            None => origin(&mut object, file, sensor),
        }
        let mut anomaly = object.object("anomaly");
        anomaly.text("type", event.anomaly.layer());
        anomaly.text("event", event.anomaly.event());
        anomaly.end();
        object.end();
        line.push(b'\n');
        self.pass_on(false);
    }

    fn closed(&self) -> bool {
        self.failed()
    }
}

/// Where an event without a flow comes from.
fn origin(object: &mut Object, file: &[u8], sensor: &[u8]) {
    if !file.is_empty() {
        object.plain("pcap_filename", file);
    }
    object.plain("sensor", sensor);
}

/// Which flow an event is about.
fn about(object: &mut Object, flow: &Flow, file: &[u8], sensor: &[u8]) {
    if !file.is_empty() {
        object.plain("pcap_filename", file);
    }
    let community = community::id(flow);
    object.number("flow_id", community.flow_id);
    object.plain("community_id", community.text);
    object.plain("sensor", sensor);
    object.numbers("vlan", flow.vlans.iter().filter(|vlan| **vlan != 0).map(|vlan| u64::from(*vlan)));
    object.address("src_ip", flow.client.ip);
    let with_ports = matches!(flow.protocol, 6 | 17 | 132 | 136);
    if with_ports {
        object.number("src_port", u64::from(flow.client.port));
    }
    object.address("dest_ip", flow.server.ip);
    if with_ports {
        object.number("dest_port", u64::from(flow.server.port));
    }
    if matches!(flow.protocol, 1 | 58) {
        object.number("icmp_type", u64::from(flow.icmp.0));
        object.number("icmp_code", u64::from(flow.icmp.1));
    }
    match flow.protocol {
        1 => object.plain("proto", "ICMP"),
        2 => object.plain("proto", "IGMP"),
        6 => object.plain("proto", "TCP"),
        17 => object.plain("proto", "UDP"),
        47 => object.plain("proto", "GRE"),
        50 => object.plain("proto", "ESP"),
        58 => object.plain("proto", "IPv6-ICMP"),
        132 => object.plain("proto", "SCTP"),
        136 => object.plain("proto", "UDPLite"),
        other => object.display("proto", other),
    }
    if flow.tunnels > 0 {
        let mut tunnel = object.object("tunnel");
        tunnel.number("depth", u64::from(flow.tunnels));
        tunnel.end();
    }
}

/// What hints gave, under the names that Suricata gives them.
fn names_of(object: &mut Object, names: &crate::names::Names) {
    let part = match names.protocol {
        AppProto::Tls | AppProto::Dtls | AppProto::Stun => "tls",
        AppProto::Quic => "quic",
        AppProto::Http | AppProto::Socks => "http",
        AppProto::Dns | AppProto::Mdns => "dns",
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
        object.text("sni", sni);
    }
    if let Some(ja4) = &names.ja4 {
        object.text("ja4", ja4);
    }
    if !names.alpn.is_empty() {
        object.texts("alpn", names.alpn.iter().map(|alpn| &**alpn));
    }
    if names.ech {
        object.truth("ech", true);
    }
    if !names.certificate.is_empty() {
        object.texts("certificate_names", names.certificate.iter().map(|name| &**name));
    }
    if let Some(host) = &names.host {
        object.text("hostname", host);
    }
    if let Some(target) = &names.target {
        object.text("url", target);
    }
    if let Some(agent) = &names.user_agent {
        object.text("http_user_agent", agent);
    }
    if let Some(query) = &names.query {
        object.text("rrname", query);
    }
    object.end();
}
