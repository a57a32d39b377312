//! Files: what their bytes, their names and the look-ups say about them.
//!
//! What is odd about a file was found by [`files::examine`](crate::files::examine);
//! here it gets its weight and its words. A file gives each symbol once: the
//! first place it was seen is told, the others are counted.

use std::borrow::Cow;
use std::sync::Arc;

use indicators::{Index, Strength};
use model::{Content, Evidence, SymbolInfo};

use super::known;
use crate::files::{self, Oddity, names};
use crate::{Case, Detector, FileAnswer, Findings};

/// The detector of files.
pub(crate) struct Files {
    indicators: Arc<Index>,
}

impl Files {
    pub(crate) fn new(indicators: Arc<Index>) -> Files {
        Files { indicators }
    }
}

const fn symbol(symbol: &'static str, score: f32, about: &'static str, technique: Option<&'static str>) -> SymbolInfo {
    SymbolInfo { symbol, score, about, technique }
}

const LISTED: SymbolInfo =
    symbol("file.indicator", 15.0, "The hash of the file or of a file in it is on a list", Some("T1204.002"));

/// Every symbol of the family. Those a file raises by itself are the names of its [`Oddity`]s.
static SYMBOLS: &[SymbolInfo] = &[
    symbol("file.malware", 20.0, "The antivirus engine names the file or something in it", Some("T1204.002")),
    LISTED,
    symbol("file.yara", 12.0, "A YARA rule matches the file or a file in it", Some("T1204.002")),
    symbol("file.eicar", 100.0, "The file is the EICAR test file, or holds it", None),
    symbol("file.bomb", 10.0, "The file unfolds to far more than it is, to wear out whoever opens it", Some("T1499")),
    symbol("file.traversal", 9.0, "Unpacking the file writes outside of the folder chosen", Some("T1204.002")),
    symbol("file.double_extension", 8.0, "The name poses as a document but ends as a program", Some("T1036.007")),
    symbol("file.shortcut", 7.0, "The file is a shortcut that is followed when opened or shown", Some("T1204.002")),
    symbol("file.polyglot", 7.0, "The file is of two kinds at once", Some("T1036.008")),
    symbol("file.executable", 6.0, "The file is a program or installer, or holds one", Some("T1204.002")),
    symbol("file.name_trick", 6.0, "The name hides what the file is from the eye or the system", Some("T1036.002")),
    symbol("file.ambiguous", 6.0, "Programs disagree about what the archive holds", Some("T1036")),
    symbol("file.script", 5.0, "The file is a script, or holds one", Some("T1204.002")),
    symbol("file.active_content", 4.0, "The file runs something when it is looked at", Some("T1027.006")),
    symbol("file.mismatch", 3.0, "The content is not what the name or the sender says", Some("T1036.008")),
    symbol(
        "file.encrypted",
        3.0,
        "The file or a part of it is encrypted and could not be looked at",
        Some("T1027.013"),
    ),
    symbol("file.unscanned", 2.0, "The file or a part of it could not be looked at", Some("T1027")),
    symbol("file.offered", 2.0, "The file goes from client to client, where it cannot be looked at", Some("T1105")),
    symbol("file.name_odd", 1.0, "The name has characters that few names need", None),
];

fn info(symbol: &str) -> Option<&'static SymbolInfo> {
    SYMBOLS.iter().chain(std::iter::once(&known::NOTED)).find(|info| info.symbol == symbol)
}

impl Detector for Files {
    fn symbols(&self) -> &'static [SymbolInfo] {
        SYMBOLS
    }

    fn inspect(&self, case: &Case<'_>, findings: &mut Findings) {
        for (index, file) in case.message.files.iter().enumerate() {
            let shown: Box<str> = file.name.as_deref().map(names::shown).unwrap_or_default().into();
            let part = u16::try_from(case.message.parts.len() + index).unwrap_or(u16::MAX);
            let evidence = Evidence { part, start: 0, end: 0, shown };
            let mut raise = |symbol: &str, explain: String| {
                if let Some(info) = info(symbol) {
                    findings.push(info.found(Cow::Owned(explain), Some(evidence.clone())));
                }
            };
            match case.answers.files.iter().find(|answer| answer.file == index) {
                Some(answer) => self.answered(answer, &mut raise),
                None => unanswered(file.name.as_deref(), &mut raise),
            }
            if matches!(file.content, Content::Offered) {
                raise("file.offered", "The file goes from client to client and cannot be looked at".to_owned());
            }
        }
    }
}

impl Files {
    fn answered(&self, answer: &FileAnswer, raise: &mut impl FnMut(&str, String)) {
        if let Some(Ok(Some(name))) = &answer.antivirus {
            raise("file.malware", format!("The antivirus engine found {}", names::shown(name)));
        }
        let inside = answer.facts.members.iter().map(|m| (&m.sha256, m.name.as_str()));
        let listed = std::iter::once((&answer.facts.sha256, ""))
            .chain(inside)
            .find_map(|(hash, member)| Some((self.indicators.hash(hash)?, member)));
        if let Some((hit, member)) = listed {
            let place = place(member);
            let explain = format!("{place} is on the list {} of known bad files", hit.list);
            raise(known::of(&LISTED, &hit).symbol, explain);
        }
        for (symbol, strength) in [("file.yara", Strength::Block), (known::NOTED.symbol, Strength::Note)] {
            let mut hits = answer.rules.iter().filter(|hit| hit.strength == strength);
            let Some(first) = hits.next() else { continue };
            let more = match hits.count() {
                0 => String::new(),
                n => format!(", and {n} more of the kind"),
            };
            let place = place(&first.member);
            raise(symbol, format!("{place} matches the rule {} of the list {}{more}", first.rule, first.list));
        }
        tell(&answer.facts.oddities, raise);
    }
}

/// A file whose bytes nobody has seen is judged by its name.
fn unanswered(name: Option<&str>, raise: &mut impl FnMut(&str, String)) {
    let Some(name) = name else { return };
    let named = names::inspect(name);
    let mut oddities = named.oddities;
    if let Some((symbol, what)) = files::acts("unknown", named.extension.as_deref()) {
        oddities.push(Oddity { symbol, member: String::new(), what: format!("{what}, by its name") });
    }
    tell(&oddities, raise);
}

/// One finding a symbol: the first oddity in words, the others counted.
fn tell(oddities: &[Oddity], raise: &mut impl FnMut(&str, String)) {
    for info in SYMBOLS {
        let mut of_it = oddities.iter().filter(|o| o.symbol == info.symbol);
        let Some(first) = of_it.next() else { continue };
        let more = match of_it.count() {
            0 => String::new(),
            n => format!(", and {n} more of the kind"),
        };
        raise(info.symbol, format!("{}: {}{more}", place(&first.member), first.what));
    }
}

fn place(member: &str) -> String {
    if member.is_empty() { "The file".to_owned() } else { format!("{member} inside the file") }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use model::{Address, Direction, File, Kind, Message, Party, PartyKind, Protocol, Side};

    use super::*;
    use crate::files::{FileFacts, Limits, Member};
    use crate::{Answers, Facts};

    fn message(name: &str, content: Content) -> Message {
        let party = |a: &str| Arc::new(Party::stranger(Address::account(a), PartyKind::Person, Side::Internal));
        let time = "2026-11-23T04:00:00Z".parse().unwrap();
        let (from, to) = (party("romeo@example.org"), party("juliet@example.org"));
        let mut message = Message::new(Protocol::Xmpp, Kind::File, Direction::FromClient, time, from, to);
        message.files.push(File { name: Some(name.into()), claimed_type: None, size: None, content });
        message
    }

    fn inspect(message: &Message, answers: &Answers, index: Index) -> Vec<(String, String)> {
        let facts = Facts::default();
        let mut findings = Findings::default();
        Files::new(Arc::new(index)).inspect(&Case { message, facts: &facts, answers }, &mut findings);
        findings.into_vec().into_iter().map(|f| (f.symbol.into_owned(), f.explain.into_owned())).collect()
    }

    fn answer(facts: FileFacts, antivirus: Option<Result<Option<String>, String>>) -> Answers {
        Answers { files: vec![FileAnswer { file: 0, facts, antivirus, rules: Vec::new() }], faults: Vec::new() }
    }

    #[test]
    fn every_oddity_has_its_symbol_once() {
        for (i, info) in SYMBOLS.iter().enumerate() {
            assert!(info.symbol.starts_with("file."));
            assert!(SYMBOLS[i + 1..].iter().all(|other| other.symbol != info.symbol));
        }
    }

    #[test]
    fn rules_that_match_raise_their_symbol_by_their_strength() {
        let message = message("a.doc", Content::Inline(b"x".to_vec().into()));
        let hit = |rule: &str, strength| crate::RuleHit {
            rule: rule.into(),
            list: "ours".into(),
            member: "in/side.bin".into(),
            strength,
        };
        let mut answers = answer(FileFacts { kind: "text", ..FileFacts::default() }, None);
        answers.files[0].rules =
            vec![hit("maybe", Strength::Note), hit("worm", Strength::Block), hit("worm2", Strength::Block)];
        let found = inspect(&message, &answers, Index::empty());
        let symbols: Vec<_> = found.iter().map(|(symbol, _)| symbol.as_str()).collect();
        assert_eq!(symbols, ["file.yara", "intel.noted"]);
        assert_eq!(
            found[0].1,
            "in/side.bin inside the file matches the rule worm of the list ours, and 1 more of the kind"
        );
    }

    #[test]
    fn an_offered_program_is_judged_by_its_name() {
        let message = message("holiday.jpg .exe", Content::Offered);
        let symbols: Vec<_> =
            inspect(&message, &Answers::default(), Index::empty()).into_iter().map(|(s, _)| s).collect();
        assert_eq!(symbols, ["file.double_extension", "file.executable", "file.offered"]);
    }

    #[test]
    fn what_the_engine_names_is_told_and_escaped() {
        let message = message("a.txt", Content::Inline(Arc::from(*b"hello")));
        let facts = files::examine(&mut Cursor::new(b"hello"), Some("a.txt"), None, &Limits::default());
        let said = |av| inspect(&message, &answer(facts.clone(), av), Index::empty());
        assert!(said(None).is_empty());
        assert!(said(Some(Ok(None))).is_empty());
        assert!(said(Some(Err("no answer".to_owned()))).is_empty());
        let found = said(Some(Ok(Some("Win.Test\u{1b}[2J".to_owned()))));
        assert_eq!(found[0].0, "file.malware");
        assert!(found[0].1.contains("Win.Test\\u{1b}[2J"));
    }

    #[test]
    fn a_listed_hash_is_found_in_a_member_too() {
        let message = message("a.zip", Content::Inline(Arc::from(*b"")));
        let mut builder = Index::builder();
        let source = indicators::Source {
            list: "bad-files".into(),
            kind: indicators::ThreatKind::Malware,
            strength: Strength::Block,
            line: 1,
        };
        let sha256 = std::array::from_fn(|i| i as u8);
        builder.add_hash(&source, &sha256);
        let (index, _) = builder.build();
        let member = Member { name: "x/y.bin".to_owned(), sha256, ..Member::default() };
        let facts = FileFacts { members: vec![member], ..FileFacts::default() };
        let found = inspect(&message, &answer(facts, None), index);
        assert_eq!(found[0].0, "file.indicator");
        assert!(found[0].1.contains("x/y.bin") && found[0].1.contains("bad-files"));
    }

    #[test]
    fn many_oddities_of_a_kind_are_one_finding() {
        let message = message("a.zip", Content::Inline(Arc::from(*b"")));
        let oddity =
            |n: u32| Oddity { symbol: "file.script", member: format!("{n}.js"), what: "is a script".to_owned() };
        let facts = FileFacts { oddities: (0..100).map(oddity).collect(), ..FileFacts::default() };
        let found = inspect(&message, &answer(facts, None), Index::empty());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1, "0.js inside the file: is a script, and 99 more of the kind");
    }
}
