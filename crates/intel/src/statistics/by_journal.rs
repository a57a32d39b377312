//! The report from this site's journal: attacks seen, stopped, and who was hit.
//!
//! An attack is a message (no copy) in which something was found, and that was not simply allowed or that weighed
//! enough to be looked at. Where the journal has no records nothing is known.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::hash::BuildHasher;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use model::{Effect, PartyKind, Protocol, RecordKind};
use serde::Deserialize;

use super::breakdown::{Breakdown, Tally};
use super::report::{Attacks, Report, Row, Source, YearToDate};
use super::{Figure, Period, Side, Span, Step};

/// What weighs so much is an attack even where the policy let it pass: most people would look.
const WEIGHTY: f32 = 5.0;
/// Most parties that are told apart in a period; more are not counted.
const MOST_PARTIES: usize = 1 << 20;

/// What this site's gateways saw in these periods. Months are UTC's.
pub fn from_journal(reader: &mut store::Reader, span: Span) -> Result<Report, store::Error> {
    let mut journal = Journal::new(span.first.step);
    if let Some(first) = reader.after(0).next() {
        journal.first = seen(&first?).map(|seen| seen.time);
    }
    // What is compared with the first period begins up to two Januaries before it.
    let begin = span.first.year_before().whole_year().first_day();
    let begin =
        begin.and_then(|day| day.to_zoned(TimeZone::UTC).ok()).map_or(Timestamp::MIN, |zoned| zoned.timestamp());
    for stored in reader.since(begin)? {
        if let Some(seen) = seen(&stored?) {
            journal.observe(&seen, span);
        }
    }
    Ok(journal.report(span))
}

/// As much of a record as is counted.
#[derive(Deserialize)]
struct Seen<'a> {
    time: Timestamp,
    kind: RecordKind,
    #[serde(default)]
    protocol: Option<Protocol>,
    #[serde(default, borrow)]
    from: Option<Someone<'a>>,
    #[serde(default, borrow)]
    to: Option<Someone<'a>>,
    #[serde(default)]
    copy: bool,
    #[serde(default, borrow)]
    findings: Vec<Found<'a>>,
    #[serde(default)]
    score: f32,
    #[serde(default)]
    verdict: Option<Effect>,
}

#[derive(Deserialize)]
struct Someone<'a> {
    #[serde(borrow)]
    account: Cow<'a, str>,
    #[serde(default = "a_person")]
    kind: PartyKind,
    #[serde(default, borrow)]
    person: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(default, borrow)]
    technique: Option<Cow<'a, str>>,
}

fn a_person() -> PartyKind {
    PartyKind::Person
}

/// The countable part of a record; one that can't be read counts for nothing, and `archive verify` tells of it.
fn seen(stored: &store::Stored) -> Option<Seen<'_>> {
    serde_json::from_str(&stored.json).ok()
}

impl Seen<'_> {
    fn is_attack(&self) -> bool {
        let acted = self.verdict.is_some_and(|verdict| verdict > Effect::Allow);
        self.kind == RecordKind::Message && !self.copy && !self.findings.is_empty() && (acted || self.score >= WEIGHTY)
    }
}

/// What is counted while reading.
struct Journal {
    step: Step,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    hasher: RandomState,
    periods: BTreeMap<Period, InPeriod>,
    whole: Tally,
}

struct InPeriod {
    attacks: Attacks,
    people: HashSet<u64>,
    reached: HashSet<u64>,
    rooms: HashSet<u64>,
    senders: HashSet<u64>,
    tally: Tally,
}

const DIMENSIONS: [&str; 5] = ["kind", "symbol", "network", "technique", "verdict"];

impl Journal {
    fn new(step: Step) -> Journal {
        Journal {
            step,
            first: None,
            last: None,
            hasher: RandomState::new(),
            periods: BTreeMap::new(),
            whole: Tally::new(&DIMENSIONS),
        }
    }

    fn period(&self, time: Timestamp) -> Period {
        Period::of(time.to_zoned(TimeZone::UTC).date(), self.step)
    }

    fn observe(&mut self, seen: &Seen<'_>, span: Span) {
        self.last = self.last.max(Some(seen.time));
        let period = self.period(seen.time);
        let (attack, released) = (seen.is_attack(), seen.kind == RecordKind::Release);
        if !attack && !released {
            return;
        }
        let within = span.contains(period);
        let hasher = &self.hasher;
        let count = self.periods.entry(period).or_insert_with(InPeriod::new);
        if released {
            count.attacks.released += 1;
            return;
        }
        let verdict = seen.verdict.unwrap_or_default();
        count.attacks.seen += 1;
        count.attacks.stopped += u64::from(!verdict.delivers());
        let key = |someone: &Someone<'_>| match &someone.person {
            Some(person) => hasher.hash_one((true, "", person)),
            None => hasher.hash_one((false, seen.protocol.map_or("", Protocol::name), &someone.account)),
        };
        if let Some(from) = &seen.from {
            remember(&mut count.senders, key(from));
        }
        match &seen.to {
            Some(to) if to.kind == PartyKind::Person => {
                remember(&mut count.people, key(to));
                if verdict.delivers() {
                    remember(&mut count.reached, key(to));
                }
            }
            Some(to) if to.kind == PartyKind::Room => remember(&mut count.rooms, key(to)),
            _ => {}
        }
        describe(&mut count.tally, seen, verdict);
        if within {
            describe(&mut self.whole, seen, verdict);
        }
    }

    fn report(self, span: Span) -> Report {
        let recorded = match (self.first, self.last.or(self.first)) {
            (Some(first), Some(last)) => Some((self.period(first), self.period(last))),
            _ => None,
        };
        let new_in = |period: Period| match recorded {
            Some((first, last)) if first <= period && period <= last => {
                Figure::counted(self.periods.get(&period).map_or(0, |count| count.attacks.seen))
            }
            _ => Figure::UNKNOWN,
        };
        let year_to_date = |period: Period| {
            let known = period.since_january_by_step().filter_map(|period| new_in(period).value);
            match new_in(period).value {
                Some(_) => Figure::counted(known.sum()),
                None => Figure::UNKNOWN,
            }
        };
        let row = |period: Period| Row {
            im: Side {
                new: new_in(period),
                previous: new_in(period.previous()),
                year_before: new_in(period.year_before()),
                ..Side::UNKNOWN
            },
            year: YearToDate { im: year_to_date(period), p2p: Figure::UNKNOWN, all: Figure::UNKNOWN },
            attacks: new_in(period).value.map(|_| self.periods.get(&period).map(InPeriod::attacks).unwrap_or_default()),
            breakdown: self.periods.get(&period).map(|count| count.tally.clone().done()).unwrap_or_default(),
            ..Row::empty(period)
        };
        let rows = span.periods().map(row).collect();
        let mut notes = vec![
            "An attack is a message in which something was found, and that was not simply allowed or weighed 5 or more.".to_owned(),
            "Gateways see messages; traffic between peers is not in the journal.".to_owned(),
        ];
        if let Some(first) = self.first {
            notes.push(format!("The journal begins on {}.", first.strftime("%Y-%m-%d")));
        }
        let breakdown: Breakdown = self.whole.done();
        Report {
            source: Source::Journal,
            vendor: None,
            about: "What this site's gateways saw and did, from the journal.".to_owned(),
            span,
            rows,
            breakdown,
            notes,
        }
    }
}

impl InPeriod {
    fn new() -> InPeriod {
        let none = HashSet::new;
        let tally = Tally::new(&DIMENSIONS);
        InPeriod { attacks: Attacks::default(), people: none(), reached: none(), rooms: none(), senders: none(), tally }
    }

    fn attacks(&self) -> Attacks {
        let count = |set: &HashSet<u64>| set.len() as u64;
        Attacks {
            people: count(&self.people),
            reached: count(&self.reached),
            rooms: count(&self.rooms),
            senders: count(&self.senders),
            ..self.attacks
        }
    }
}

/// What an attack was like. A finding's kind is the family of its symbol.
fn describe(tally: &mut Tally, seen: &Seen<'_>, verdict: Effect) {
    tally.count();
    tally.add("verdict", verdict.name());
    if let Some(protocol) = seen.protocol {
        tally.add("network", protocol.name());
    }
    let family = |found: &Found<'_>| found.symbol.split('.').next().unwrap_or_default().to_owned();
    let kinds: HashSet<String> = seen.findings.iter().map(family).collect();
    let symbols: HashSet<&str> = seen.findings.iter().map(|found| &*found.symbol).collect();
    let techniques: HashSet<&str> = seen.findings.iter().filter_map(|found| found.technique.as_deref()).collect();
    kinds.iter().for_each(|kind| tally.add("kind", kind));
    symbols.into_iter().for_each(|symbol| tally.add("symbol", symbol));
    techniques.into_iter().for_each(|technique| tally.add("technique", technique));
}

fn remember(set: &mut HashSet<u64>, key: u64) {
    if set.len() < MOST_PARTIES {
        set.insert(key);
    }
}
