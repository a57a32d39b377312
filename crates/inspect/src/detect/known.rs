//! What lists say about a message as a whole: who sends it, its words, a text much like it; and what
//! lists merely note.

use std::sync::Arc;

use indicators::text::fold;
use indicators::{Hit, Index, Strength};
use model::{Evidence, SymbolInfo};

use crate::{Case, Detector, Findings};

const SENDER: SymbolInfo = SymbolInfo {
    symbol: "sender.indicator",
    score: 10.0,
    about: "The sender's account, or the server it is on, is on a list",
    technique: Some("T1585"),
};
const TEXT: SymbolInfo = SymbolInfo {
    symbol: "text.known",
    score: 8.0,
    about: "Words of the message are on a list of known attacks",
    technique: Some("T1566.003"),
};
const NEAR: SymbolInfo = SymbolInfo {
    symbol: "text.near_known",
    score: 6.0,
    about: "The message is much like one of a known attack",
    technique: Some("T1566.003"),
};
/// What a match is called that may not stop a message by itself, whatever it is a match of.
pub(super) const NOTED: SymbolInfo = SymbolInfo {
    symbol: "intel.noted",
    score: 2.0,
    about: "Something in the message is on a list that is not sure enough to stop it",
    technique: None,
};

/// The detector.
pub(super) struct Known {
    index: Arc<Index>,
}

impl Known {
    pub(super) fn new(index: Arc<Index>) -> Known {
        Known { index }
    }
}

impl Detector for Known {
    fn symbols(&self) -> &'static [SymbolInfo] {
        const { &[SENDER, TEXT, NEAR, NOTED] }
    }

    fn inspect(&self, case: &Case<'_>, findings: &mut Findings) {
        if self.index.is_empty() {
            return;
        }
        self.sender(case, findings);
        if self.index.has_texts() {
            self.words(case, findings);
        }
        self.shape(case, findings);
    }
}

impl Known {
    fn sender(&self, case: &Case<'_>, findings: &mut Findings) {
        let account = &case.message.from.address.account;
        let Some(hit) = self.index.account(case.message.protocol, account) else { return };
        let what = match hit.matched {
            indicators::Matched::Server => "The server of the sender's account",
            _ => "The sender's account",
        };
        findings.push(of(&SENDER, &hit).found(because(what, &hit), None));
    }

    /// One finding a message: whoever puts many bad words in it is no worse.
    fn words(&self, case: &Case<'_>, findings: &mut Findings) {
        let found = case.facts.readable(case.message).filter_map(|(part, text)| {
            let (hit, span) = self.index.text(&fold(text))?;
            let shown = shown(text.get(span.clone())?);
            let span = case.facts.exposed(part, span);
            Some((hit, Evidence { part, start: span.start, end: span.end, shown }))
        });
        if let Some((hit, evidence)) = found.min_by_key(|(hit, _)| (hit.strength == Strength::Note, hit.kind)) {
            findings.push(of(&TEXT, &hit).found(because("Words of the message", &hit), Some(evidence)));
        }
    }

    fn shape(&self, case: &Case<'_>, findings: &mut Findings) {
        let Some((hit, distance)) = case.facts.shape.and_then(|shape| self.index.shape(shape)) else { return };
        let part = case.facts.readable(case.message).next().map_or(0, |(part, _)| part);
        let what = match distance {
            0 => "The text".to_owned(),
            bits => format!("A text that differs from it in {bits} of 64 bits"),
        };
        let evidence = Evidence { part, start: 0, end: 0, shown: "".into() };
        findings.push(of(&NEAR, &hit).found(because(&what, &hit), Some(evidence)));
    }
}

/// The symbol for a match: its own, or that of a note.
pub(super) fn of<'a>(own: &'a SymbolInfo, hit: &Hit) -> &'a SymbolInfo {
    if hit.strength == Strength::Note { &NOTED } else { own }
}

fn because(what: &str, hit: &Hit) -> String {
    let verb = if what.starts_with("Words") { "are" } else { "is" };
    format!("{what} {verb} on the list {:?} as {}.", hit.list, hit.kind.name())
}

/// The words found, shortened and not clickable.
fn shown(text: &str) -> Box<str> {
    const MOST: usize = 60;
    let short: String = text.chars().take(MOST).collect();
    short.replace("://", "[:]//").into()
}

#[cfg(test)]
mod tests {
    use model::{Address, Direction, Kind, Message, Party, PartyKind, Place, Protocol, Side};

    use super::*;
    use crate::{Answers, facts};

    const TEXT: &str = "Hello, your parcel is waiting at our depot. Please pay the customs fee of 2.99 today.";

    fn found(lists: &[(&str, Strength)], from: &str, text: &str) -> Vec<String> {
        let mut builder = Index::builder();
        for (list, strength) in lists {
            let (entries, errors) = indicators::list::parse("feed", list, indicators::ThreatKind::Spam);
            assert_eq!(errors, []);
            for mut entry in entries {
                entry.source.strength = *strength;
                builder.add(&entry);
            }
        }
        let (index, refused) = builder.build();
        assert_eq!(refused, []);
        let party = |a: &str| Arc::new(Party::stranger(Address::account(a), PartyKind::Person, Side::External));
        let time = "2026-11-23T04:00:00Z".parse().unwrap();
        let mut message = Message::new(
            Protocol::Xmpp,
            Kind::Message,
            Direction::ToClient,
            time,
            party(from),
            party("juliet@example.org"),
        );
        message.say(Place::Body, text);
        let facts = facts::extract(&message);
        let case = Case { message: &message, facts: &facts, answers: &Answers::default() };
        let mut findings = Findings::default();
        Known::new(Arc::new(index)).inspect(&case, &mut findings);
        findings.into_vec().into_iter().map(|f| f.symbol.into_owned()).collect()
    }

    #[test]
    fn senders_words_and_near_texts_are_known() {
        let shape = {
            let party = Arc::new(Party::stranger(Address::account("a@x"), PartyKind::Person, Side::External));
            let time = "2026-11-23T04:00:00Z".parse().unwrap();
            let mut message =
                Message::new(Protocol::Xmpp, Kind::Message, Direction::ToClient, time, party.clone(), party);
            message.say(Place::Body, TEXT);
            format!("shape:{:016x}", facts::extract(&message).shape.unwrap())
        };
        let list = format!("xmpp:spam.test\neve@mixed.test\ntext: Bitcoin  doubler now\n{shape}");
        let (block, note) = ([(&*list, Strength::Block)], [(&*list, Strength::Note)]);
        for (from, text, symbols) in [
            ("a@spam.test", "hello", vec!["sender.indicator"]),
            ("eve@mixed.test/phone", "hello", vec!["sender.indicator"]),
            ("bob@mixed.test", "hello", vec![]),
            ("bob@mixed.test", "try the BITCOIN d\u{200b}oubler now!", vec!["text.known"]),
            ("bob@mixed.test", "the bitcoin doublers now", vec![]),
            ("bob@mixed.test", &TEXT.replace("2.99", "14.50").to_uppercase(), vec!["text.near_known"]),
            ("bob@mixed.test", "Shall we meet at noon for lunch, or is one o'clock better for you?", vec![]),
        ] {
            assert_eq!(found(&block, from, text), symbols, "{from}: {text}");
            let noted: Vec<&str> = symbols.iter().map(|_| "intel.noted").collect();
            assert_eq!(found(&note, from, text), noted, "{from}: {text}");
        }
    }
}
