//! A symbol table like the detectors', and shorthands for subjects.

use std::sync::Arc;

use jiff::Timestamp;
use model::{Address, Direction, Finding, Kind, Party, PartyKind, Protocol, Side, SymbolInfo};
use policy::{Subject, Symbols};

pub(crate) const NAMES: [&str; 55] = [
    "link.indicator.phishing",
    "link.indicator.malware",
    "link.indicator.spam",
    "link.indicator.local",
    "link.lookalike",
    "link.mixed_script",
    "link.mismatch",
    "link.raw_ip",
    "link.odd_port",
    "link.credentials",
    "link.shortener",
    "link.obfuscated",
    "link.script",
    "link.executable",
    "link.punycode_invalid",
    "file.executable",
    "file.script",
    "file.double_extension",
    "file.name_trick",
    "file.mismatch",
    "file.bomb",
    "file.encrypted",
    "file.traversal",
    "file.unscanned",
    "file.polyglot",
    "file.active_content",
    "file.malware",
    "file.eicar",
    "file.indicator",
    "file.yara",
    "sender.indicator",
    "text.known",
    "text.near_known",
    "intel.noted",
    "file.offered",
    "pattern.card",
    "pattern.iban",
    "pattern.secret.private_key",
    "pattern.secret.aws",
    "pattern.eicar",
    "outbreak.link",
    "outbreak.file",
    "outbreak.text",
    "contact.burst",
    "link.brand",
    "link.private_ip",
    "file.ambiguous",
    "file.name_odd",
    "file.shortcut",
    "decoy.contacted",
    "outbreak.fanout",
    "outbreak.popular",
    "link.data",
    "pattern.secret.github",
    "pattern.secret.jwt",
];

pub(crate) fn table() -> Symbols {
    let infos: Vec<SymbolInfo> =
        NAMES.iter().map(|symbol| SymbolInfo { symbol, score: 1.0, about: "a test", technique: None }).collect();
    Symbols::from(&infos).with_local(["pattern.local.project"])
}

pub(crate) fn finding(symbol: &str) -> Finding {
    Finding { symbol: symbol.to_owned().into(), score: 1.0, explain: "a test".into(), evidence: None, technique: None }
}

pub(crate) fn party(account: &str, side: Side, groups: &[&str]) -> Party {
    let mut party = Party::stranger(Address::account(account), PartyKind::Person, side);
    party.groups = groups.iter().map(|g| Arc::from(*g)).collect();
    party
}

/// A message at noon on Monday 2026-01-05.
pub(crate) fn subject<'a>(from: &'a Party, to: &'a Party, findings: &'a [Finding]) -> Subject<'a> {
    Subject {
        kind: Kind::Message,
        direction: Direction::FromClient,
        protocol: Protocol::Xmpp,
        from,
        to,
        findings,
        score: findings.iter().map(|f| f.score).sum(),
        sealed: None,
        file_kinds: &[],
        time: Timestamp::from_second(1_767_614_400).unwrap(),
    }
}
