//! Content that acts when a file is merely looked at: scripts in SVG, HTML and
//! PDF, objects in RTF, code hidden in pictures, XML entities that multiply.

use std::sync::OnceLock;

use aho_corasick::AhoCorasick;
use memchr::memmem;

use super::kind::{self, Group};

/// Something to look for: in which kinds, the text (any case), what must follow, and what it means.
struct Needle {
    within: Within,
    text: &'static str,
    then: Then,
    means: Meaning,
}

#[derive(Clone, Copy)]
enum Within {
    Markup,
    Pdf,
    Rtf,
    Picture,
}

/// What has to follow, so that a word is not taken for an attribute or a name.
#[derive(Clone, Copy)]
enum Then {
    Anything,
    /// `=`, white space before it allowed.
    Equals,
    /// The end of a PDF name.
    NameEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Active content, in words.
    Active(&'static str),
    /// The bytes are also a file of this kind.
    Also(&'static str),
}

const SCRIPT: Meaning = Meaning::Active("contains script");
const HANDLER: Meaning = Meaning::Active("runs script on an event");
const FRAME: Meaning = Meaning::Active("embeds other pages or objects");
const SMUGGLING: Meaning = Meaning::Active("puts a file together in the reader's browser");

const fn needle(within: Within, text: &'static str, then: Then, means: Meaning) -> Needle {
    Needle { within, text, then, means }
}

static NEEDLES: &[Needle] = &[
    needle(Within::Markup, "<script", Then::Anything, SCRIPT),
    needle(Within::Markup, ":script", Then::Anything, SCRIPT),
    needle(Within::Markup, "javascript:", Then::Anything, SCRIPT),
    needle(Within::Markup, "vbscript:", Then::Anything, SCRIPT),
    needle(Within::Markup, "data:text/html", Then::Anything, FRAME),
    needle(Within::Markup, "<iframe", Then::Anything, FRAME),
    needle(Within::Markup, "<foreignobject", Then::Anything, FRAME),
    needle(Within::Markup, "<object", Then::Anything, FRAME),
    needle(Within::Markup, "<embed", Then::Anything, FRAME),
    needle(Within::Markup, "onload", Then::Equals, HANDLER),
    needle(Within::Markup, "onerror", Then::Equals, HANDLER),
    needle(Within::Markup, "onclick", Then::Equals, HANDLER),
    needle(Within::Markup, "onfocus", Then::Equals, HANDLER),
    needle(Within::Markup, "onbegin", Then::Equals, HANDLER),
    needle(Within::Markup, "onend", Then::Equals, HANDLER),
    needle(Within::Markup, "onmouseover", Then::Equals, HANDLER),
    needle(Within::Markup, "onpointerenter", Then::Equals, HANDLER),
    needle(Within::Markup, "ontoggle", Then::Equals, HANDLER),
    needle(Within::Markup, "onanimationstart", Then::Equals, HANDLER),
    needle(Within::Markup, "mssaveoropenblob", Then::Anything, SMUGGLING),
    needle(Within::Markup, "createobjecturl", Then::Anything, SMUGGLING),
    needle(Within::Pdf, "/javascript", Then::NameEnd, SCRIPT),
    needle(Within::Pdf, "/js", Then::NameEnd, SCRIPT),
    needle(Within::Pdf, "/launch", Then::NameEnd, Meaning::Active("starts a program")),
    needle(Within::Pdf, "/embeddedfile", Then::NameEnd, Meaning::Active("carries other files")),
    needle(Within::Rtf, "\\objdata", Then::Anything, FRAME),
    needle(Within::Rtf, "\\objupdate", Then::Anything, FRAME),
    needle(Within::Rtf, "\\objocx", Then::Anything, FRAME),
    needle(Within::Rtf, "ddeauto", Then::Anything, Meaning::Active("asks another program to run something")),
    needle(Within::Picture, "<script", Then::Anything, Meaning::Also("html")),
    needle(Within::Picture, "<?php", Then::Anything, Meaning::Also("php")),
];

/// Bytes kept from one chunk to the next: longer than any needle and what must follow it.
const CARRY: usize = 48;

/// A search through the bytes of one file, fed in chunks of any size.
pub(super) struct Search {
    within: Within,
    wide: bool,
    carry: Vec<u8>,
    found: Vec<Meaning>,
}

impl Search {
    /// A search for a file of this kind, if there is anything to look for.
    pub(super) fn of(name: &str, wide: bool) -> Option<Search> {
        let within = match (name, kind::named(name).group) {
            ("pdf", _) => Within::Pdf,
            ("rtf", _) => Within::Rtf,
            (_, Group::Markup) => Within::Markup,
            (_, Group::Image) => Within::Picture,
            _ => return None,
        };
        Some(Search { within, wide, carry: Vec::new(), found: Vec::new() })
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, chunk: &[u8]) {
        let wide = self.wide;
        self.carry.extend(chunk.iter().filter(|b| !wide || **b != 0));
        self.look(CARRY);
        let keep = self.carry.len().min(CARRY);
        self.carry.drain(..self.carry.len() - keep);
    }

    /// The end: what acts, in words, and which other kinds the bytes are.
    pub(super) fn finish(mut self) -> (Vec<&'static str>, Vec<&'static str>) {
        self.look(0);
        let (mut active, mut also) = (Vec::new(), Vec::new());
        for meaning in self.found {
            match meaning {
                Meaning::Active(what) => active.push(what),
                Meaning::Also(kind) => also.push(kind),
            }
        }
        (active, also)
    }

    /// Looks through what is held; matches that end within the last `open`
    /// bytes wait for the next chunk, since what must follow may be in it.
    fn look(&mut self, open: usize) {
        let until = self.carry.len().saturating_sub(open.min(16));
        for hit in needles(self.within).find_iter(&self.carry) {
            let Some(needle) = of(self.within).nth(hit.pattern().as_usize()) else { continue };
            if hit.end() > until || self.found.contains(&needle.means) {
                continue;
            }
            let rest = &self.carry[hit.end()..];
            let follows = match needle.then {
                Then::Anything => true,
                Then::Equals => rest.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'='),
                Then::NameEnd => rest.first().is_none_or(|b| !b.is_ascii_alphanumeric()),
            };
            if follows {
                self.found.push(needle.means);
            }
        }
    }
}

fn of(within: Within) -> impl Iterator<Item = &'static Needle> {
    NEEDLES.iter().filter(move |n| n.within as u8 == within as u8)
}

fn needles(within: Within) -> &'static AhoCorasick {
    static BUILT: [OnceLock<AhoCorasick>; 4] = [const { OnceLock::new() }; 4];
    BUILT[within as usize].get_or_init(|| {
        let texts: Vec<&str> = of(within).map(|n| n.text).collect();
        AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(&texts)
            .unwrap_or_else(|_| unreachable!("a table of short literals always builds"))
    })
}

/// Headers whose size fields can be written as a comment opening, so that the
/// picture is also a script: `GIF89a/*…*/=1;code`.
const DISGUISES: &[(&[u8], usize)] = &[(b"GIF8", 6), (b"\xff\xd8\xff\xe0", 4), (b"BM", 2), (b"RIFF", 4)];

/// Whether a picture's header doubles as the start of a JavaScript program.
pub(super) fn is_script_disguised(head: &[u8]) -> bool {
    DISGUISES.iter().any(|(magic, at)| {
        let Some(rest) = head.starts_with(magic).then(|| head.get(*at..)).flatten() else { return false };
        let code = if let Some(comment) = rest.strip_prefix(b"/*") {
            memmem::find(comment, b"*/").map(|end| &comment[end + 2..])
        } else {
            Some(rest)
        };
        let code = code.map(<[u8]>::trim_ascii_start).unwrap_or_default();
        code.starts_with(b"=") && memchr::memchr3(b';', b'(', b'/', code).is_some()
    })
}

/// Whether XML declares entities that are made of other entities several
/// times over: a few hundred bytes that unfold to gigabytes.
pub(super) fn multiplies(head: &[u8]) -> bool {
    let mut names: Vec<&[u8]> = Vec::new();
    for at in memmem::find_iter(head, b"<!ENTITY").take(64) {
        let declaration = head[at + 8..].trim_ascii_start();
        let declaration = declaration.strip_prefix(b"%").unwrap_or(declaration).trim_ascii_start();
        let end = declaration.iter().position(u8::is_ascii_whitespace).unwrap_or(declaration.len());
        let (name, value) = declaration.split_at(end);
        let value = &value[..memchr::memchr(b'>', value).unwrap_or(value.len())];
        let references = memchr::memchr2_iter(b'&', b'%', value)
            .filter(|at| {
                let name_end = memchr::memchr(b';', &value[*at..]).map(|len| at + len);
                name_end.is_some_and(|end| names.contains(&&value[at + 1..end]))
            })
            .take(2)
            .count();
        if references >= 2 {
            return true;
        }
        names.push(name);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(kind: &str, bytes: &[u8], chunk: usize) -> (Vec<&'static str>, Vec<&'static str>) {
        let mut search = Search::of(kind, false).unwrap();
        bytes.chunks(chunk).for_each(|c| search.feed(c));
        search.finish()
    }

    #[test]
    fn active_content_is_found_at_any_chunking() {
        let far = [vec![b' '; 300], b"<rect ONLOAD \n= 'x()'/>".to_vec()].concat();
        for chunk in [1, 7, 64, 4096] {
            assert_eq!(search("svg", b"<svg><ScRiPt>1</script></svg>", chunk).0, ["contains script"]);
            assert_eq!(search("svg", &far, chunk).0, ["runs script on an event"]);
            assert!(search("svg", b"<svg><text>what onload does</text></svg>", chunk).0.is_empty());
            assert_eq!(search("pdf", b"<< /S /JavaScript /JS (x) >>", chunk).0, ["contains script"]);
            assert!(search("pdf", b"/JSomething", chunk).0.is_empty());
            assert_eq!(search("gif", b"GIF89a....<?php eval(1);", chunk).1, ["php"]);
        }
    }

    #[test]
    fn pictures_that_are_scripts_are_told_from_pictures() {
        assert!(is_script_disguised(b"GIF89a/*\0\0*/=1;alert(1)//"));
        assert!(is_script_disguised(b"GIF89a=1;alert(1)"));
        assert!(is_script_disguised(b"\xff\xd8\xff\xe0/*JFIF...*/=alert(1)"));
        assert!(!is_script_disguised(b"GIF89a\x2f\x01\x10\x00rest"));
        assert!(!is_script_disguised(b"\xff\xd8\xff\xe0\x00\x10JFIF"));
    }

    #[test]
    fn entities_made_of_entities_multiply() {
        assert!(multiplies(b"<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]><l>&b;</l>"));
        assert!(multiplies(b"<!ENTITY % a 'x'><!ENTITY % b '%a;%a;'>"));
        assert!(!multiplies(b"<!ENTITY ns_svg \"http://www.w3.org/2000/svg\"><!ENTITY x \"a &amp; b &amp; c\">"));
    }
}
