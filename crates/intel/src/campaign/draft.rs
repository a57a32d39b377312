//! From a campaign to indicators: drafted from the evidence, then held against the guard's warning lists and against
//! what uninvolved people were allowed to say last month.
//!
//! A draft that would have hit them becomes a note, with the count: it may be shown beside other evidence, and stops
//! nobody. What the organisation's own servers serve is never drafted, nor is a colleague's account: its owner is a
//! victim.

use std::collections::{BTreeMap, BTreeSet};

use indicators::near;
use jiff::Timestamp;
use model::{Record, Side};
use uuid::Uuid;

use super::{Campaign, Key, KeyKind, Sighting};
use crate::guard::{Guard, Ruling};
use crate::{Indicator, Pattern, Provenance, Strength, Tlp};

/// Drafts of one kind at most.
const OF_A_KIND: usize = 64;
/// Bystanders that are told apart.
const BYSTANDERS: usize = 1_000;
/// Links longer than this are cut in records, and can't be matched.
const LONGEST_URL: usize = 290;

/// Where drafts come from, and how long they hold.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    /// Id of the threat they belong to.
    pub threat: &'a str,
    /// `triage` or `decoy`.
    pub feed: &'a str,
    /// When they are drafted.
    pub now: Timestamp,
    /// Until when they hold.
    pub until: Option<Timestamp>,
    /// How far they may be passed on.
    pub marking: Tlp,
}

/// A drafted indicator, and what speaks against it.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The indicator, already weakened where something speaks against it.
    pub indicator: Indicator,
    /// Messages of the campaign that it is drafted from.
    pub messages: u64,
    /// Why it may stop nothing, or may not match at all.
    pub against: Option<String>,
    /// It may not match at all.
    pub refused: bool,
    /// Messages of uninvolved people that it would have hit.
    pub bystanders: Bystanders,
}

/// Allowed messages of uninvolved people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bystanders {
    /// Messages.
    pub messages: u64,
    /// Who sent them, as far as they are told apart.
    pub people: usize,
    /// One of them, by its record.
    pub example: Option<Uuid>,
}

/// Drafts while they are held against the past.
#[derive(Debug)]
pub struct Drafting<'c> {
    campaign: &'c Campaign,
    drafts: Vec<Draft>,
    seen: Vec<BTreeSet<Box<str>>>,
    /// What a record's text has at least one of, if any draft hits it.
    needles: Vec<String>,
}

impl<'c> Drafting<'c> {
    /// Drafts indicators for a campaign; the guard has its say at once.
    pub fn new(campaign: &'c Campaign, guard: &Guard, terms: &Terms<'_>) -> Drafting<'c> {
        let mut drafts: Vec<Draft> = patterns(campaign)
            .into_iter()
            .map(|(pattern, strength, messages)| {
                let indicator = Indicator {
                    id: pattern.id(),
                    pattern,
                    threat: Some(terms.threat.to_owned()),
                    confidence: confidence(campaign),
                    strength,
                    valid_from: None,
                    valid_until: terms.until,
                    source: Provenance {
                        feed: terms.feed.to_owned(),
                        reference: Some(campaign.id.clone()),
                        fetched: Some(terms.now),
                    },
                    marking: terms.marking,
                };
                Draft { indicator, messages, against: None, refused: false, bystanders: Bystanders::default() }
            })
            .collect();
        for draft in &mut drafts {
            match guard.rule(&draft.indicator) {
                Ruling::Take(strength) => draft.indicator.strength = strength,
                Ruling::Weaken(refusal) => {
                    draft.indicator.strength = Strength::Note;
                    draft.against = Some(format!("{}: {}", refusal.list, refusal.why));
                }
                Ruling::Refuse(refusal) => {
                    draft.refused = true;
                    draft.against = Some(format!("{}: {}", refusal.list, refusal.why));
                }
            }
        }
        let needles = drafts.iter().map(|draft| needle(&draft.indicator.pattern)).collect();
        Drafting { campaign, seen: vec![BTreeSet::new(); drafts.len()], drafts, needles }
    }

    /// Whether a record could be hit, by its text: most need not be read for that.
    pub fn may_hit(&self, json: &str) -> bool {
        self.needles.iter().any(|needle| json.contains(needle.as_str()))
    }

    /// Holds the drafts against one record of the past.
    pub fn witness(&mut self, record: &Record) {
        let Some(sighting) = Sighting::of(record, 0) else { return };
        if !sighting.verdict.delivers() || sighting.is_suspicious() {
            return;
        }
        for (draft, seen) in self.drafts.iter_mut().zip(&mut self.seen) {
            if !hits(&draft.indicator.pattern, &sighting) || involved(self.campaign, &draft.indicator, &sighting) {
                continue;
            }
            draft.bystanders.messages += 1;
            draft.bystanders.example.get_or_insert(sighting.record);
            if seen.len() < BYSTANDERS {
                seen.insert((*sighting.from.account).into());
            }
        }
    }

    /// Ids of what is drafted.
    pub fn ids(&self) -> BTreeSet<Uuid> {
        self.drafts.iter().map(|draft| draft.indicator.id).collect()
    }

    /// Whether there is anything to hold against the past.
    pub fn is_empty(&self) -> bool {
        self.drafts.is_empty()
    }

    /// The drafts, gravest first. Those that would have hit bystanders are notes now.
    pub fn finish(mut self) -> Vec<Draft> {
        for (draft, seen) in self.drafts.iter_mut().zip(&self.seen) {
            draft.bystanders.people = seen.len();
            if draft.bystanders.messages > 0 && !draft.refused {
                draft.indicator.strength = Strength::Note;
                let Bystanders { messages, people, .. } = draft.bystanders;
                draft.against.get_or_insert(format!(
                    "it would have hit {messages} allowed messages of {people} people who have nothing to do with it"
                ));
            }
        }
        self.drafts.sort_by_key(|draft| (draft.refused, std::cmp::Reverse(draft.indicator.strength)));
        self.drafts
    }
}

/// How sure the indicators of a campaign are.
fn confidence(campaign: &Campaign) -> u8 {
    let senders = campaign.senders.values().filter(|sender| sender.suspicious > 0).count();
    match (campaign.decoys().next().is_some(), senders) {
        (true, _) | (_, 3..) => 90,
        (_, 2) => 80,
        _ => 70,
    }
}

/// What the evidence speaks of, with how many messages.
fn patterns(campaign: &Campaign) -> Vec<(Pattern, Strength, u64)> {
    let own: BTreeSet<&str> = internal_domains(campaign);
    let mut of_kind: BTreeMap<KeyKind, Vec<(&Key, u64, u64)>> = BTreeMap::new();
    for (key, shared) in &campaign.keys {
        of_kind.entry(key.kind()).or_default().push((key, shared.suspicious, shared.messages));
    }
    for keys in of_kind.values_mut() {
        keys.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        keys.truncate(OF_A_KIND);
    }
    let of = |kind| of_kind.get(&kind).into_iter().flatten().copied();
    let mut found = Vec::new();
    let mut hosts: BTreeMap<&str, u64> = BTreeMap::new();
    for (key, _, messages) in of(KeyKind::Url) {
        let Some(host) = key.host().filter(|host| !is_within(host, &own)) else { continue };
        *hosts.entry(host).or_default() += messages;
        if key.value().len() < LONGEST_URL {
            let pattern = Pattern::Url { value: key.value().to_owned(), prefix: false };
            found.push((pattern, Strength::Block, messages));
        }
    }
    for (host, messages) in hosts {
        let pattern = match host.parse() {
            Ok(address) => Pattern::Net { address, bits: if address.is_ipv4() { 32 } else { 128 } },
            Err(_) => Pattern::Domain { value: host.trim_start_matches("www.").to_owned() },
        };
        found.push((pattern, Strength::Block, messages));
    }
    for (key, _, messages) in of(KeyKind::Sha256) {
        found.push((Pattern::File { hash: key.value().to_owned() }, Strength::Block, messages));
    }
    // People do say the same things: a text alone stops nothing unless there is nothing else to go by.
    let tangible = found.iter().any(|(pattern, ..)| !matches!(pattern, Pattern::Net { .. }));
    let text = if tangible { Strength::Note } else { Strength::Block };
    for (key, _, messages) in of(KeyKind::Shape) {
        found.push((Pattern::NearText { shape: key.value().to_owned() }, text, messages));
    }
    let protocol = campaign.protocols.iter().find_map(|name| protocol(name));
    let senders = campaign.senders.iter().filter(|(_, sender)| sender.side == Side::External && sender.suspicious > 1);
    let decoyed = campaign.keys.keys().filter(|key| key.kind() == KeyKind::Sender);
    let decoyed: BTreeSet<&str> = decoyed.filter_map(|key| key.value().split_once(':').map(|(_, who)| who)).collect();
    let outside = campaign
        .senders
        .iter()
        .filter(|(account, sender)| sender.side == Side::External && decoyed.contains(&***account));
    let accounts: BTreeMap<&str, u64> =
        senders.chain(outside).map(|(account, sender)| (&**account, sender.messages)).collect();
    for (account, messages) in accounts.into_iter().take(OF_A_KIND) {
        // An occupant of a room is not an account that could be matched elsewhere.
        if let Some(protocol) = protocol.filter(|_| !account.contains('/')) {
            found.push((Pattern::Account { protocol, value: account.to_owned() }, Strength::Block, messages));
        }
    }
    found
}

fn protocol(name: &str) -> Option<model::Protocol> {
    use model::Protocol::{Irc, Matrix, Sip, Xmpp};
    [Xmpp, Irc, Matrix, Sip].into_iter().find(|protocol| protocol.name() == name)
}

/// The organisation's own domains, as far as the campaign's parties show them.
fn internal_domains(campaign: &Campaign) -> BTreeSet<&str> {
    let senders = campaign.senders.iter().map(|(account, sender)| (account, sender.side));
    let recipients = campaign.recipients.iter().map(|(account, recipient)| (account, recipient.side));
    let internal = senders.chain(recipients).filter(|(_, side)| *side == Side::Internal);
    internal.filter_map(|(account, _)| domain(account)).collect()
}

fn domain(account: &str) -> Option<&str> {
    let server = match account.strip_prefix('@').and_then(|id| id.split_once(':')) {
        Some((_, server)) => server,
        None => account.split('/').next()?.rsplit_once('@')?.1,
    };
    (!server.is_empty()).then_some(server)
}

/// Whether a host is one of the domains, below one, or above one.
fn is_within(host: &str, domains: &BTreeSet<&str>) -> bool {
    let below = |a: &str, b: &str| a.strip_suffix(b).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    domains.iter().any(|domain| below(host, domain) || below(domain, host))
}

/// Text that every record has that the pattern hits.
fn needle(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Domain { value } => value.clone(),
        Pattern::Url { value, .. } => {
            Key::new(KeyKind::Url, value).host().unwrap_or_default().trim_start_matches("www.").to_owned()
        }
        Pattern::File { hash } => hash.clone(),
        Pattern::Net { address, .. } => address.to_string(),
        Pattern::Account { value, .. } => value.clone(),
        Pattern::NearText { .. } => "shape:".to_owned(),
        Pattern::Text { .. } | Pattern::Yara { .. } => String::new(),
    }
}

/// Whether a message would have been hit.
fn hits(pattern: &Pattern, sighting: &Sighting) -> bool {
    let keys = |kind: KeyKind| sighting.keys.iter().filter(move |key| key.kind() == kind);
    match pattern {
        Pattern::Domain { value } => keys(KeyKind::Url)
            .filter_map(Key::host)
            .any(|host| host.strip_suffix(value.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))),
        Pattern::Url { value, .. } => {
            let listed = page(value);
            keys(KeyKind::Url)
                .map(|key| page(key.value()))
                .any(|said| said == listed || (!listed.contains('?') && said.split('?').next() == Some(listed)))
        }
        Pattern::File { hash } => keys(KeyKind::Sha256).any(|key| key.value() == hash),
        Pattern::Net { address, .. } => {
            keys(KeyKind::Url).filter_map(Key::host).any(|host| host.parse() == Ok(*address))
        }
        Pattern::Account { protocol, value } => {
            sighting.protocol == *protocol && sighting.from.account.eq_ignore_ascii_case(value)
        }
        Pattern::NearText { shape } => {
            let shape = u64::from_str_radix(shape, 16).ok();
            let near = |other: u64| shape.is_some_and(|shape| (shape ^ other).count_ones() <= near::DISTANCE);
            sighting.keys.iter().filter_map(Key::shape).any(near)
        }
        Pattern::Text { .. } | Pattern::Yara { .. } => false,
    }
}

/// A link without scheme and `www.`: how links are compared.
fn page(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.strip_prefix("www.").unwrap_or(rest)
}

/// Whether a message that an indicator would have hit is of somebody who has to do with the campaign. Before the
/// campaign began, nobody in the house had; an outsider who takes part in it now always has.
fn involved(campaign: &Campaign, indicator: &Indicator, sighting: &Sighting) -> bool {
    let sender = campaign.senders.get(&sighting.from.account);
    let implicated = sender.is_some_and(super::Sender::is_implicated);
    if matches!(indicator.pattern, Pattern::Account { .. }) {
        return sighting.time >= campaign.first_seen;
    }
    let outsider = sighting.from.side == Side::External;
    if sighting.time < campaign.first_seen {
        return implicated && outsider;
    }
    implicated || (!outsider && campaign.recipients.contains_key(&sighting.from.account))
}

/// What kind of attack a campaign looks like.
pub fn looks_like(campaign: &Campaign) -> crate::Kind {
    use crate::Kind;
    let has = |start: &str| campaign.symbols.keys().any(|symbol| symbol.starts_with(start));
    let implicated =
        |side: Side| campaign.senders.values().filter(|sender| sender.side == side && sender.is_implicated()).count();
    let decoyed = campaign.decoys().next().is_some();
    if has("outbreak.link") || has("outbreak.file") || implicated(Side::Internal) > 2 {
        Kind::Worm
    } else if ["link.indicator.phishing", "link.lookalike", "link.brand", "link.mismatch"].into_iter().any(has) {
        Kind::Phishing
    } else if campaign.keys.keys().any(|key| key.kind() == KeyKind::Command) {
        Kind::Botnet
    } else if campaign.keys.keys().any(|key| key.kind() == KeyKind::Sha256) || has("link.executable") {
        Kind::Trojan
    } else if decoyed && implicated(Side::Internal) > 0 {
        // Whose account writes to an address he can't know is steered by something that writes to every address.
        Kind::Worm
    } else if decoyed {
        Kind::Phishing
    } else {
        Kind::Spim
    }
}
