//! The captures of `fixtures/captures`: every flow is called what `expected.tsv` says, told once, in lines that
//! keep the contract, and the same each time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use model::{Category, Confidence, Platform};
use serde_json::Value;

use super::Outcome;
use crate::Limits;
use crate::anomaly::Anomaly;
use crate::apps::Catalogue;
use crate::capture::Capture;
use crate::classify::CLASSIFIERS;
use crate::eve::Eve;
use crate::event::{AnomalyEvent, Sink};
use crate::flow::Flow;
use crate::view::{Endpoint, Transport, Way};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/captures")
}

/// Every capture there is, by name.
fn captures() -> Vec<PathBuf> {
    let is_capture = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".pcap"));
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).filter(is_capture).collect();
    files.sort();
    assert!(files.len() > 50);
    files
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// What was told of one flow.
#[derive(Debug)]
struct Told {
    serial: u64,
    transport: Transport,
    client: Endpoint,
    server: Endpoint,
    application: Option<String>,
    evidence: String,
    named_by: Option<usize>,
    refused: bool,
    packets: u64,
}

/// Keeps what is told.
#[derive(Default)]
struct Kept(Vec<Told>);

impl Sink for Kept {
    fn flow(&mut self, flow: &Flow, catalogue: &Catalogue) {
        let naming = flow.naming.as_ref();
        self.0.push(Told {
            serial: flow.serial,
            transport: flow.transport(),
            client: flow.client,
            server: flow.server,
            application: naming.map(|naming| catalogue.entry(naming.app).id.clone()),
            evidence: naming.map(|naming| naming.evidence.to_string()).unwrap_or_default(),
            named_by: flow.named_by.map(usize::from),
            refused: flow.tcp.closed()
                && flow.tcp.syn(Way::ToServer).is_some()
                && flow.tcp.syn(Way::ToClient).is_none(),
            packets: flow.packets.iter().sum(),
        });
    }

    fn anomaly(&mut self, _: &AnomalyEvent) {}
}

/// A capture's flows, its EVE lines, and how it ended.
fn read(path: &Path) -> (Vec<Told>, Vec<u8>, Outcome) {
    let mut lines = Vec::new();
    let mut sink = (Kept::default(), Eve::new(&mut lines, "test"));
    sink.1.capture(&name_of(path));
    let mut capture = Capture::open(path).unwrap();
    let outcome = super::capture(&mut capture, Limits::default(), Catalogue::bundled(), &mut sink, &mut |_, _| {});
    let (kept, mut eve) = sink;
    eve.stats(outcome.last, &outcome.counters);
    eve.flush().unwrap();
    drop(eve);
    (kept.0, lines, outcome)
}

/// An end of a flow as a row writes it: `*`, `ADDRESS:PORT`, with `*` for either.
struct End {
    ip: Option<std::net::IpAddr>,
    port: Option<u16>,
}

impl End {
    fn parse(text: &str) -> End {
        if text == "*" {
            return End { ip: None, port: None };
        }
        let (ip, port) = text.rsplit_once(':').unwrap();
        let part = |text: &str| (text != "*").then(|| text.trim_matches(['[', ']']).to_owned());
        End { ip: part(ip).map(|ip| ip.parse().unwrap()), port: part(port).map(|port| port.parse().unwrap()) }
    }

    fn fits(&self, end: Endpoint) -> bool {
        self.ip.is_none_or(|ip| ip == end.ip) && self.port.is_none_or(|port| port == end.port)
    }
}

/// One row of `expected.tsv`.
struct Row {
    line: usize,
    file: String,
    transport: Transport,
    ends: [End; 2],
    /// `None`: it must stay unnamed.
    application: Option<String>,
    /// It may also stay unnamed.
    perhaps: bool,
}

impl Row {
    fn fits(&self, flow: &Told) -> bool {
        let [a, b] = &self.ends;
        self.transport == flow.transport
            && ((a.fits(flow.client) && b.fits(flow.server)) || (a.fits(flow.server) && b.fits(flow.client)))
    }

    fn allows(&self, application: Option<&str>) -> bool {
        application == self.application.as_deref() || (self.perhaps && application.is_none())
    }
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(folder().join("expected.tsv")).unwrap();
    let rows = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')).map(|(index, line)| {
        let [file, transport, client, server, application] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let transport = if transport == "tcp" { Transport::Tcp } else { Transport::Udp };
        let id = application.trim_end_matches('?');
        if id != "-" {
            assert!(
                Catalogue::bundled().by_id(id).is_some(),
                "expected.tsv:{}: no application is called {id}",
                index + 1
            );
        }
        Row {
            line: index + 1,
            file: file.to_owned(),
            transport,
            ends: [End::parse(client), End::parse(server)],
            application: (id != "-").then(|| id.to_owned()),
            perhaps: application.ends_with('?'),
        }
    });
    rows.collect()
}

#[test]
fn flows_are_called_what_they_are() {
    let rows = rows();
    let mut used = BTreeSet::new();
    let mut wrong = String::new();
    for path in captures() {
        let file = name_of(&path);
        for flow in read(&path).0.iter().filter(|flow| !flow.refused) {
            let Some(row) = rows.iter().find(|row| row.file == file && row.fits(flow)) else { continue };
            used.insert(row.line);
            if !row.allows(flow.application.as_deref()) {
                let wanted = row.application.as_deref().unwrap_or("nothing");
                let got = flow.application.as_deref().unwrap_or("nothing");
                let (client, server) = (flow.client, flow.server);
                let _ = writeln!(
                    wrong,
                    "expected.tsv:{}: {file} {:?} {}:{} > {}:{}: {got} ({}), not {wanted}",
                    row.line, flow.transport, client.ip, client.port, server.ip, server.port, flow.evidence
                );
            }
        }
    }
    for row in rows.iter().filter(|row| !used.contains(&row.line)) {
        let _ = writeln!(wrong, "expected.tsv:{}: no flow of {} fits", row.line, row.file);
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn each_flow_is_told_once_and_every_packet_counted() {
    for path in captures() {
        let (flows, _, outcome) = read(&path);
        assert!(outcome.error.is_none(), "{}: {:?}", path.display(), outcome.error);
        let serials: BTreeSet<u64> = flows.iter().map(|flow| flow.serial).collect();
        assert_eq!(serials.len(), flows.len(), "{}: a flow was told twice", path.display());
        assert_eq!(flows.len() as u64, outcome.counters.flows, "{}", path.display());
        let packets: u64 = flows.iter().map(|flow| flow.packets).sum();
        assert_eq!(packets + outcome.counters.without_flow, outcome.counters.packets, "{}", path.display());
    }
}

#[test]
fn reading_again_gives_the_same_bytes() {
    for path in captures() {
        assert!(read(&path).1 == read(&path).1, "{}", path.display());
    }
}

/// `2026-11-23T04:00:00.000000+0000`.
fn is_time(value: &Value) -> bool {
    let shape: String =
        value.as_str().unwrap_or_default().chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000000+0000"
}

/// What an event lacks of the contract.
fn faults(event: &Value, file: &str) -> Vec<&'static str> {
    let mut faults = Vec::new();
    let mut check = |holds: bool, what: &'static str| {
        if !holds {
            faults.push(what);
        }
    };
    check(is_time(&event["timestamp"]), "timestamp");
    check(event["pcap_filename"] == file, "pcap_filename");
    check(event["sensor"] == "test", "sensor");
    let kind = event["event_type"].as_str().unwrap_or_default();
    if kind == "flow" || (kind == "anomaly" && event.get("flow_id").is_some()) {
        let is_address = |key: &str| event[key].as_str().is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok());
        let is_port = |key: &str| event[key].as_u64().is_some_and(|port| port <= 65535);
        check(event["flow_id"].is_u64(), "flow_id");
        check(event["community_id"].as_str().is_some_and(|id| id.starts_with("1:") && id.len() == 30), "community_id");
        check(is_address("src_ip") && is_address("dest_ip"), "addresses");
        let ports = matches!(event["proto"].as_str(), Some("TCP" | "UDP"));
        check(!ports || (is_port("src_port") && is_port("dest_port")), "ports");
        check(event["proto"].is_string(), "proto");
        let vlans = event.get("vlan").map(|vlans| vlans.as_array().is_some_and(|all| all.iter().all(Value::is_u64)));
        check(vlans != Some(false), "vlan");
    }
    match kind {
        "flow" => {
            let flow = &event["flow"];
            for key in ["pkts_toserver", "pkts_toclient", "bytes_toserver", "bytes_toclient"] {
                check(flow[key].is_u64(), key);
            }
            check(is_time(&flow["start"]) && is_time(&flow["end"]), "start and end");
            if let Some(im) = event.get("im") {
                named(im, &mut check);
            }
        }
        "anomaly" => {
            let anomaly = &event["anomaly"];
            let known = |kind: &Anomaly| anomaly["type"] == kind.layer() && anomaly["event"] == kind.event();
            check(Anomaly::ALL.iter().any(known), "anomaly");
        }
        "stats" => check(event["stats"]["packets"].is_u64() && event["stats"]["flows"].is_u64(), "stats"),
        _ => check(false, "event_type"),
    }
    faults
}

const CONFIDENCES: [Confidence; 10] = [
    Confidence::Payload,
    Confidence::Sni,
    Confidence::Quic,
    Confidence::Http,
    Confidence::Dns,
    Confidence::Certificate,
    Confidence::Fingerprint,
    Confidence::Behaviour,
    Confidence::Address,
    Confidence::Port,
];

fn named(im: &Value, check: &mut impl FnMut(bool, &'static str)) {
    let catalogue = Catalogue::bundled();
    let known = |id: &Value| id.as_str().and_then(|id| catalogue.by_id(id));
    let confidence = CONFIDENCES.into_iter().find(|confidence| im["confidence"] == confidence.as_str());
    check(confidence.is_some(), "confidence");
    let platform = im.get("platform");
    check(platform.is_none_or(|name| Platform::ALL.iter().any(|known| *name == known.as_str())), "platform");
    if im.get("application").is_some() {
        let app = known(&im["application"]);
        check(app.is_some(), "application");
        let category = Category::ALL.into_iter().find(|category| im["category"] == category.as_str());
        check(category.is_some() && category == app.map(|app| catalogue.entry(app).category), "category");
        check(confidence.is_some_and(Confidence::names), "an application by address or port alone");
        check(im["evidence"].as_str().is_some_and(|evidence| !evidence.is_empty()), "evidence");
        check(im.get("candidates").is_none(), "candidates beside an application");
    } else {
        let candidates = im["candidates"].as_array().map(Vec::as_slice).unwrap_or_default();
        check(!candidates.is_empty() && candidates.iter().all(|id| known(id).is_some()), "candidates");
        check(confidence.is_some_and(|confidence| !confidence.names()), "candidates by what names");
    }
}

#[test]
fn every_line_keeps_the_contract() {
    for path in captures() {
        let file = name_of(&path);
        let (flows, lines, _) = read(&path);
        let mut count = 0;
        for line in std::str::from_utf8(&lines).unwrap().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(faults(&event, &file), Vec::<&str>::new(), "{line}");
            count += usize::from(event["event_type"] == "flow");
        }
        assert_eq!(count, flows.len(), "{file}: one flow event a flow");
    }
}

/// The client is closed, and wants an account or a phone.
const CLOSED: &str = "closed client";
/// Its network or its servers are no more, or no free client of it can be had.
const GONE: &str = "no client that runs today";

#[test]
fn the_guide_explains_every_anomaly_and_confidence() {
    let guide = std::fs::read_to_string(folder().join("../../docs/sensor.md")).unwrap();
    let words = Anomaly::ALL.map(Anomaly::event).into_iter().chain(CONFIDENCES.map(Confidence::as_str));
    for word in words.chain(Category::ALL.map(Category::as_str)).chain(Platform::ALL.map(Platform::as_str)) {
        assert!(guide.contains(&format!("`{word}`")), "docs/sensor.md does not say what `{word}` is");
    }
}

/// Classifiers that no capture here shows at work, and why. Each is tested by byte tables in its own file, made
/// from what is published about its protocol.
const NOT_CAPTURED: &[(&str, &str)] = &[
    ("agora", CLOSED),
    ("dingtalk", CLOSED),
    ("discord-voice", CLOSED),
    ("imo", CLOSED),
    ("kakaotalk", CLOSED),
    ("line-call", CLOSED),
    ("qq", CLOSED),
    ("snapchat-call", CLOSED),
    ("stun-calls", CLOSED),
    ("stun-framed", CLOSED),
    ("teams-relay", CLOSED),
    ("threema", CLOSED),
    ("thunder", CLOSED),
    ("thunder-http", CLOSED),
    ("ultrasurf", CLOSED),
    ("viber", CLOSED),
    ("wechat", CLOSED),
    ("zoom", CLOSED),
    ("aimini-udp", GONE),
    ("ares", GONE),
    ("kontiki", GONE),
    ("mrim", GONE),
    ("skype-peer", GONE),
    ("television-tcp", GONE),
    ("television-udp", GONE),
    ("xfire", GONE),
];

#[test]
fn every_classifier_is_shown_at_work_or_excused() {
    let mut seen: BTreeMap<usize, String> = BTreeMap::new();
    for path in captures() {
        for flow in read(&path).0 {
            if let Some(index) = flow.named_by {
                seen.entry(index).or_insert_with(|| name_of(&path));
            }
        }
    }
    let excused: BTreeSet<&str> = NOT_CAPTURED.iter().map(|(name, _)| *name).collect();
    let mut wrong = String::new();
    for (index, classifier) in CLASSIFIERS.iter().enumerate() {
        match (seen.get(&index), excused.contains(classifier.name)) {
            (None, false) => {
                let _ = writeln!(wrong, "{}: no capture shows {:?}", classifier.name, classifier.applications);
            }
            (Some(file), true) => {
                let _ = writeln!(wrong, "{}: no longer needs an excuse, see {file}", classifier.name);
            }
            _ => {}
        }
    }
    for name in excused.iter().filter(|name| CLASSIFIERS.iter().all(|classifier| classifier.name != **name)) {
        let _ = writeln!(wrong, "{name}: no such classifier");
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
