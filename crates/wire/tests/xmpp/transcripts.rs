//! Plays `fixtures/transcripts/xmpp/*.txt`: each file a topic, each case a stanza and what becomes of it.
//!
//! ```text
//! # What the topic is about.
//!
//! == what the case shows
//! rooms> rooms the client has joined, optional
//! client> a stanza sent by Romeo's client (`server>`: one arriving at it), continued on indented lines
//! heard>
//!   what the gateway makes of it, or `nothing`
//! warned> notice          replaced> notice          error> condition          stamped> domain
//!   the stanza that comes out, line ends as `\n`, or `nothing`
//! redacted> the text to cut out, or `part N` or `file N` as a whole
//!   the stanza that comes out
//! ```
//!
//! Everything indented below `heard>` and the enforcing lines is output. With `UPDATE_TRANSCRIPTS=1` it is written
//! anew: read the difference before committing it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use model::{Body, Content, Direction, Evidence, Finding, Message, Party, PartyKind};
use wire::xmpp::enforce::{self, ErrorType};
use wire::xmpp::{Element, Parsed};

use crate::session::{hear_as_romeo, is_verbatim, parse};

#[test]
fn transcripts_hold() {
    let update = std::env::var_os("UPDATE_TRANSCRIPTS").is_some();
    let mut wrong = String::new();
    for path in files() {
        let written = std::fs::read_to_string(&path).unwrap();
        let played = play(&written);
        if played == written {
            continue;
        }
        if update {
            std::fs::write(&path, &played).unwrap();
        }
        let name = path.file_name().unwrap().to_string_lossy();
        for (number, (want, got)) in written.lines().zip(played.lines()).enumerate() {
            if want != got {
                writeln!(wrong, "{name}:{}:\n  written {want}\n  played  {got}", number + 1).unwrap();
                break;
            }
        }
        if written.lines().count() != played.lines().count() {
            writeln!(wrong, "{name}: {} lines written, {} played", written.lines().count(), played.lines().count())
                .unwrap();
        }
    }
    assert!(wrong.is_empty() || update, "{wrong}");
}

/// Every transcript, in order.
pub(crate) fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/transcripts/xmpp");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// One line with a keyword, and the indented lines below it.
pub(crate) struct Line<'a> {
    pub(crate) keyword: &'a str,
    pub(crate) rest: &'a str,
    pub(crate) below: Vec<&'a str>,
}

/// Splits a transcript into lines with keywords; titles, comments and empty lines have none.
pub(crate) fn lines(written: &str) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for line in written.lines() {
        match lines.last_mut() {
            Some(last) if line.starts_with(' ') => last.below.push(line),
            _ => {
                let keyword = line.find("> ").or(line.strip_suffix('>').map(str::len)).map_or("", |at| &line[..at]);
                let known = keyword.bytes().all(|b| b.is_ascii_lowercase());
                let keyword = if known { keyword } else { "" };
                let rest = if keyword.is_empty() { line } else { line[keyword.len() + 1..].trim_start() };
                lines.push(Line { keyword, rest, below: Vec::new() });
            }
        }
    }
    lines
}

impl Line<'_> {
    /// The stanza of a `client>` or `server>` line.
    pub(crate) fn stanza(&self) -> Option<(Direction, String)> {
        let direction = match self.keyword {
            "client" => Direction::FromClient,
            "server" => Direction::ToClient,
            _ => return None,
        };
        let mut xml = self.rest.to_owned();
        for more in &self.below {
            // A line broken between two attributes takes a space, any other none.
            if xml.rfind('<') > xml.rfind('>') {
                xml.push(' ');
            }
            xml.push_str(more.trim_start());
        }
        Some((direction, xml))
    }
}

/// The transcript as it would be written from what the code does now.
fn play(written: &str) -> String {
    let mut played = String::new();
    let mut scene: Option<(Direction, Parsed)> = None;
    let mut rooms: Vec<String> = Vec::new();
    for line in lines(written) {
        if line.keyword.is_empty() {
            writeln!(played, "{}", line.rest).unwrap();
            if line.rest.starts_with("==") {
                (scene, rooms) = (None, Vec::new());
            }
            continue;
        }
        writeln!(played, "{}", format!("{}> {}", line.keyword, line.rest).trim_end()).unwrap();
        if let Some((direction, xml)) = line.stanza() {
            scene = Some((direction, parse(&xml)));
            line.below.iter().for_each(|more| writeln!(played, "{more}").unwrap());
            continue;
        }
        if line.keyword == "rooms" {
            rooms = line.rest.split_whitespace().map(str::to_owned).collect();
            continue;
        }
        let (direction, parsed) = scene.as_ref().unwrap_or_else(|| panic!("no stanza before {}", line.keyword));
        let output = act(&line, parsed.stanza().root, *direction, &rooms);
        output.lines().for_each(|out| writeln!(played, "  {out}").unwrap());
    }
    played
}

/// What one line of a case puts out.
fn act(line: &Line<'_>, stanza: Element<'_>, direction: Direction, rooms: &[String]) -> String {
    let message = hear_as_romeo(stanza, direction, rooms);
    let bytes = match line.keyword {
        "heard" => return message.map_or_else(|| "nothing".to_owned(), |m| describe(&m)),
        "warned" => enforce::warned(stanza, line.rest),
        "replaced" => enforce::replaced(stanza, line.rest),
        "stamped" => enforce::stamped(stanza, line.rest, "2026-11-23T04:00:00Z".parse().unwrap()),
        "error" => match enforce::error_reply(stanza, ErrorType::Modify, line.rest, Some("Not here.")) {
            Some(bytes) => bytes,
            None => return "nothing".to_owned(),
        },
        "redacted" => {
            let message = message.expect("nothing was heard that could be cut out");
            enforce::redacted(stanza, &message, &[point_at(&message, line.rest)])
        }
        other => panic!("unknown keyword {other}"),
    };
    let written = String::from_utf8(bytes).unwrap();
    assert!(is_verbatim(written.as_bytes()), "not verbatim: {written}");
    written.replace('\n', "\\n")
}

/// A finding at a text, or at a part or file as a whole.
fn point_at(message: &Message, what: &str) -> Finding {
    let (part, start, end) = if let Some(number) = what.strip_prefix("part ") {
        (number.parse().unwrap(), 0, 0)
    } else if let Some(number) = what.strip_prefix("file ") {
        (message.parts.len() + number.parse::<usize>().unwrap(), 0, 0)
    } else {
        let found = message.parts.iter().enumerate().find_map(|(i, p)| Some((i, p.body.expose()?.find(what)?)));
        let (part, at) = found.unwrap_or_else(|| panic!("no part says {what}"));
        (part, at, at + what.len())
    };
    finding(part, start, end)
}

/// A finding at a span of a part.
pub(crate) fn finding(part: usize, start: usize, end: usize) -> Finding {
    Finding {
        symbol: "test.span".into(),
        score: 1.0,
        explain: "a test points here".into(),
        evidence: Some(Evidence { part: part as u16, start: start as u32, end: end as u32, shown: "".into() }),
        technique: None,
    }
}

fn describe(message: &Message) -> String {
    let mut out = format!("{} from {} to {}", message.kind.name(), party(&message.from), party(&message.to));
    message.id.iter().for_each(|id| write!(out, " id {id}").unwrap());
    message.refers_to.iter().for_each(|id| write!(out, " about {id}").unwrap());
    out.push_str(if message.copy { " copy" } else { "" });
    out.push_str(if message.bounce { " bounce\n" } else { "\n" });
    for part in &message.parts {
        out.push_str(part.place.name());
        part.lang.iter().for_each(|lang| write!(out, " [{lang}]").unwrap());
        match &part.body {
            Body::Text(text) => writeln!(out, " {text:?}").unwrap(),
            Body::Html(html) => writeln!(out, " {html}").unwrap(),
            Body::Sealed(sealed) => writeln!(out, " sealed {} {}", sealed.scheme.name(), sealed.bytes).unwrap(),
        }
    }
    for file in &message.files {
        out.push_str("file");
        file.name.iter().for_each(|name| write!(out, " {name:?}").unwrap());
        file.claimed_type.iter().for_each(|claimed| write!(out, " {claimed}").unwrap());
        file.size.iter().for_each(|size| write!(out, " {size} bytes").unwrap());
        match &file.content {
            Content::Inline(bytes) => writeln!(out, " inline {:?}", String::from_utf8_lossy(bytes)).unwrap(),
            Content::Offered => out.push_str(" offered\n"),
            Content::Spooled(path) => panic!("spooled: {}", path.display()),
        }
    }
    out
}

fn party(party: &Party) -> String {
    let kind = match party.kind {
        PartyKind::Person => "",
        PartyKind::Room => " (room)",
        PartyKind::Service => " (service)",
    };
    format!("{}{kind}", party.address)
}
