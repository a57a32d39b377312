//! A subject's answers to the rules' questions, packed: the key of the decision cache.

use cedar_policy::pst::PatternElem;
use model::Party;
use smallvec::SmallVec;

use crate::questions::{Asked, PartyQuestions, Questions, Scale, Text, field};
use crate::schema::{self, Symbols, ancestors};
use crate::subject::Subject;
use crate::{Map, fixed};

/// The answers. Equal keys mean equal decisions.
pub(crate) type Key = SmallVec<[u8; 96]>;

/// Longest key that is worth keeping; a subject with a longer one is decided anew each time.
const MOST_KEY: usize = 1_024;

/// The questions, arranged for answering fast.
pub(crate) struct Keyer {
    fields: u64,
    /// Bytes that hold one bit for each yes-or-no question.
    bit_bytes: usize,
    /// A symbol to the questions that it and its families answer with yes.
    symbols: Map<Box<str>, Box<[u32]>>,
    file_kinds: Map<Box<str>, u32>,
    whole_file_kinds: bool,
    score: Steps,
    time: Steps,
    from: PartyKeyer,
    to: PartyKeyer,
}

/// Where a number lies between thresholds.
enum Steps {
    Unread,
    Between(Box<[i64]>),
    Whole,
}

#[derive(Default)]
struct PartyKeyer {
    accounts: Map<Box<str>, u32>,
    domains: Map<Box<str>, u32>,
    people: Map<Box<str>, u32>,
    groups: Map<Box<str>, u32>,
    within: Map<Box<str>, u32>,
    likes: Vec<(Text, Box<[PatternElem]>, u32)>,
    whole: Vec<Text>,
}

/// Hands out bit numbers.
struct Bits(u32);

impl Bits {
    fn next(&mut self) -> u32 {
        self.0 += 1;
        self.0 - 1
    }

    fn each<'a>(&mut self, literals: impl IntoIterator<Item = &'a Box<str>>) -> Map<Box<str>, u32> {
        literals.into_iter().map(|literal| (literal.clone(), self.next())).collect()
    }
}

impl Keyer {
    /// `None` when the rules read the exact time, so that no two subjects are alike.
    pub(crate) fn new(questions: &Questions, symbols: &Symbols) -> Option<Keyer> {
        if questions.time.whole {
            return None;
        }
        let mut bits = Bits(0);
        Some(Keyer {
            fields: questions.fields,
            symbols: symbol_bits(&questions.symbols, symbols, &mut bits),
            file_kinds: bits.each(&questions.file_kinds.literals),
            whole_file_kinds: questions.file_kinds.whole,
            score: Steps::new(&questions.score),
            time: Steps::new(&questions.time),
            from: PartyKeyer::new(&questions.from, &mut bits),
            to: PartyKeyer::new(&questions.to, &mut bits),
            bit_bytes: bits.0.div_ceil(8) as usize,
        })
    }

    /// The subject's key, unless it is too long to keep.
    pub(crate) fn key(&self, subject: &Subject<'_>) -> Option<Key> {
        let mut key = Key::from_slice(&(self.word(subject) & self.fields).to_le_bytes());
        key.resize(8 + self.bit_bytes, 0);
        let mut yes = |bit: u32| {
            if let Some(byte) = key.get_mut(8 + (bit / 8) as usize) {
                *byte |= 1 << (bit % 8);
            }
        };
        for finding in subject.findings {
            // A symbol that the table lacks still belongs to its families.
            let known = ancestors(&finding.symbol).find_map(|s| self.symbols.get(s));
            known.into_iter().flatten().for_each(|bit| yes(*bit));
        }
        for kind in subject.file_kinds {
            self.file_kinds.get(*kind).into_iter().for_each(|bit| yes(*bit));
        }
        self.from.answer(subject.from, &mut yes);
        self.to.answer(subject.to, &mut yes);
        self.score.append(&mut key, || fixed::score(subject.score));
        self.time.append(&mut key, || fixed::millis(subject.time));
        self.from.append(&mut key, subject.from);
        self.to.append(&mut key, subject.to);
        if self.whole_file_kinds {
            let mut kinds: SmallVec<[&str; 8]> = SmallVec::from_slice(subject.file_kinds);
            kinds.sort_unstable();
            kinds.dedup();
            kinds.iter().for_each(|kind| append(&mut key, Some(kind)));
        }
        (key.len() <= MOST_KEY).then_some(key)
    }

    fn word(&self, subject: &Subject<'_>) -> u64 {
        let put = |(first, _): field::Field, value: u8| u64::from(value) << first;
        let mut word = put(field::KIND, schema::kind_index(subject.kind))
            | put(field::SAME, u8::from(subject.from.address.account == subject.to.address.account))
            | put(field::DIRECTION, schema::direction_index(subject.direction))
            | put(field::PROTOCOL, schema::protocol_index(subject.protocol))
            | put(field::SEALED, subject.sealed.map_or(0, |s| 1 + schema::sealing_index(s)))
            | put(field::FROM_SIDE, schema::side_index(subject.from.side))
            | put(field::FROM_KIND, schema::party_kind_index(subject.from.kind))
            | put(field::FROM_PERSON, u8::from(subject.from.person.is_some()))
            | put(field::TO_SIDE, schema::side_index(subject.to.side))
            | put(field::TO_KIND, schema::party_kind_index(subject.to.kind))
            | put(field::TO_PERSON, u8::from(subject.to.person.is_some()));
        let clock = field::mask(field::HOUR) | field::mask(field::WEEKDAY);
        if self.fields & clock != 0 {
            let (hour, weekday) = subject.clock();
            word |= put(field::HOUR, hour) | put(field::WEEKDAY, weekday);
        }
        word
    }
}

fn symbol_bits(asked: &Asked, symbols: &Symbols, bits: &mut Bits) -> Map<Box<str>, Box<[u32]>> {
    let numbers: Map<Box<str>, u32> = match asked.whole {
        true => symbols.names().map(|name| (name.into(), bits.next())).collect(),
        false => bits.each(&asked.literals),
    };
    let of = |name: &str| ancestors(name).filter_map(|s| numbers.get(s).copied()).collect();
    symbols.names().map(|name| (name.into(), of(name))).collect()
}

impl Steps {
    fn new(scale: &Scale) -> Steps {
        match (scale.whole, scale.thresholds.is_empty()) {
            (true, _) => Steps::Whole,
            (false, true) => Steps::Unread,
            (false, false) => Steps::Between(scale.thresholds.iter().copied().collect()),
        }
    }

    fn append(&self, key: &mut Key, value: impl FnOnce() -> i64) {
        match self {
            Steps::Unread => {}
            Steps::Whole => key.extend_from_slice(&value().to_le_bytes()),
            Steps::Between(thresholds) => {
                // Even below, between and above the thresholds; odd on one of them.
                let step = match thresholds.binary_search(&value()) {
                    Ok(at) => 2 * at + 1,
                    Err(at) => 2 * at,
                };
                key.extend_from_slice(&(step as u32).to_le_bytes());
            }
        }
    }
}

impl PartyKeyer {
    fn new(questions: &PartyQuestions, bits: &mut Bits) -> PartyKeyer {
        let whole = [
            (Text::Account, &questions.accounts),
            (Text::Domain, &questions.domains),
            (Text::Person, &questions.people),
        ];
        PartyKeyer {
            accounts: bits.each(&questions.accounts.literals),
            domains: bits.each(&questions.domains.literals),
            people: bits.each(&questions.people.literals),
            groups: bits.each(&questions.groups),
            within: bits.each(&questions.within),
            likes: questions.likes.iter().map(|(text, p)| (*text, Box::from(&p[..]), bits.next())).collect(),
            whole: whole.into_iter().filter(|(_, asked)| asked.whole).map(|(text, _)| text).collect(),
        }
    }

    /// Says yes to the questions that the party answers so.
    fn answer(&self, party: &Party, yes: &mut impl FnMut(u32)) {
        let mut ask = |map: &Map<Box<str>, u32>, what: &str| {
            if !map.is_empty() {
                map.get(what).into_iter().for_each(|bit| yes(*bit));
            }
        };
        let domain = party.address.domain();
        ask(&self.accounts, &party.address.account);
        ask(&self.domains, domain);
        party.person.iter().for_each(|person| ask(&self.people, person));
        party.groups.iter().for_each(|group| ask(&self.groups, group));
        if !self.within.is_empty() {
            suffixes(domain).for_each(|suffix| ask(&self.within, suffix));
        }
        for (text, pattern, bit) in &self.likes {
            if text_of(party, *text).is_some_and(|value| is_like(value, pattern)) {
                yes(*bit);
            }
        }
    }

    fn append(&self, key: &mut Key, party: &Party) {
        self.whole.iter().for_each(|text| append(key, text_of(party, *text)));
    }
}

fn text_of(party: &Party, text: Text) -> Option<&str> {
    match text {
        Text::Account => Some(&party.address.account),
        Text::Domain => Some(party.address.domain()),
        Text::Person => party.person.as_deref(),
    }
}

/// Appends a text so that no two sequences of texts look alike.
fn append(key: &mut Key, text: Option<&str>) {
    match text {
        None => key.extend_from_slice(&u32::MAX.to_le_bytes()),
        Some(text) => {
            key.extend_from_slice(&(text.len() as u32).to_le_bytes());
            // More than this is refused at the end anyway.
            key.extend_from_slice(&text.as_bytes()[..text.len().min(MOST_KEY + 1)]);
        }
    }
}

/// A domain and the domains above it: `a.b.c`, `b.c`, `c`.
pub(crate) fn suffixes(domain: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(domain), |d| d.split_once('.').map(|(_, above)| above))
}

/// Cedar's `like`: `*` stands for any characters. Time is at most the product of the lengths.
fn is_like(text: &str, pattern: &[PatternElem]) -> bool {
    let text: SmallVec<[char; 64]> = text.chars().collect();
    let (mut t, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(PatternElem::Wildcard) => {
                star = Some((p, t));
                p += 1;
            }
            Some(PatternElem::Char(c)) if text.get(t) == Some(c) => {
                t += 1;
                p += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    p = at + 1;
                    t = from + 1;
                    star = Some((at, t));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|e| *e == PatternElem::Wildcard)
}
