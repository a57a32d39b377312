//! Markup reduced to what is shown, and the links in it.
//!
//! A tokenizer for the canonical XML that the gateway's own writer makes of XHTML-IM: it
//! never fails (what is no tag is text) and keeps, for each stretch of text, where it stood.

use std::borrow::Cow;
use std::ops::Range;

/// Readable text of one part that is markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Index into `Message::parts`.
    pub part: u16,
    /// What a reader sees.
    pub text: Box<str>,
    /// Where stretches of it stood in the markup, in order.
    runs: Box<[Run]>,
}

/// A stretch of text: byte for byte as in the markup, or one that stands for something else there (`&amp;`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    text: u32,
    raw: u32,
    raw_end: u32,
    verbatim: bool,
}

impl Text {
    /// The span in the markup of a span of the text, from the first byte shown to the last.
    pub fn exposed(&self, readable: Range<usize>) -> Range<u32> {
        let start = self.place(readable.start as u32, |run, into| if run.verbatim { run.raw + into } else { run.raw });
        if readable.is_empty() {
            return start..start;
        }
        let end = self.place(readable.end as u32 - 1, |run, into| {
            if run.verbatim { (run.raw + into + 1).min(run.raw_end) } else { run.raw_end }
        });
        start..end.max(start)
    }

    fn place(&self, at: u32, of: impl Fn(&Run, u32) -> u32) -> u32 {
        let after = self.runs.partition_point(|run| run.text <= at);
        after.checked_sub(1).and_then(|i| self.runs.get(i)).map_or(0, |run| of(run, at - run.text))
    }
}

/// A link or an embedded object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Anchor<'a> {
    /// Where it leads, decoded.
    pub(super) target: Cow<'a, str>,
    /// Where the attribute's value stands in the markup.
    pub(super) span: Range<u32>,
    /// What is shown for it, in the readable text; empty for objects.
    pub(super) shown: Range<usize>,
}

/// Reads markup: its text and its links, in time linear in it.
pub(super) fn read(part: u16, markup: &str) -> (Text, Vec<Anchor<'_>>) {
    let mut reader = Reader { markup, at: 0, text: String::with_capacity(markup.len() / 2), runs: Vec::new() };
    let mut anchors: Vec<Anchor<'_>> = Vec::new();
    // Anchors that are open: where they stand in `anchors`. Depth does not matter: `</a>` closes the last.
    let mut open: Vec<usize> = Vec::new();
    let mut hidden: Option<&str> = None;
    while let Some(piece) = reader.next() {
        match piece {
            Piece::Text(start, end) if hidden.is_none() => reader.show(start, end),
            Piece::Text(..) => {}
            Piece::Close(name) => {
                if hidden == Some(name) {
                    hidden = None;
                }
                if name == "a"
                    && let Some(anchor) = open.pop().and_then(|i| anchors.get_mut(i))
                {
                    anchor.shown.end = reader.text.len();
                }
                reader.space(name);
            }
            Piece::Open { name, attributes, empty } => {
                if matches!(name, "script" | "style" | "head" | "title") && !empty && hidden.is_none() {
                    hidden = Some(name);
                }
                reader.space(name);
                for attribute in attributes {
                    match attribute.name {
                        "href" | "src" | "action" | "formaction" | "data" | "poster" | "background" => {
                            let here = reader.text.len();
                            let is_anchor = name == "a" && attribute.name == "href" && !empty;
                            if is_anchor {
                                open.push(anchors.len());
                            }
                            anchors.push(Anchor {
                                target: decode(attribute.value),
                                span: attribute.start as u32..(attribute.start + attribute.value.len()) as u32,
                                shown: here..here,
                            });
                        }
                        "alt" => reader.show(attribute.start, attribute.start + attribute.value.len()),
                        _ => {}
                    }
                }
            }
        }
    }
    // An anchor that is never closed shows all that follows.
    for i in open {
        if let Some(anchor) = anchors.get_mut(i) {
            anchor.shown.end = reader.text.len();
        }
    }
    let text = Text { part, text: reader.text.into(), runs: reader.runs.into() };
    (text, anchors)
}

struct Reader<'a> {
    markup: &'a str,
    at: usize,
    text: String,
    runs: Vec<Run>,
}

enum Piece<'a> {
    Text(usize, usize),
    Open { name: &'a str, attributes: Vec<Attribute<'a>>, empty: bool },
    Close(&'a str),
}

struct Attribute<'a> {
    name: &'a str,
    value: &'a str,
    start: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<Piece<'a>> {
        let from = self.at;
        let rest = self.markup.get(from..).filter(|rest| !rest.is_empty())?;
        let opens = |after: &str| {
            after.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_' | ':' | '!' | '?'))
        };
        if !(rest.starts_with('<') && opens(&rest[1..])) {
            let skip = usize::from(rest.starts_with('<'));
            let len = memchr::memchr(b'<', &rest.as_bytes()[skip..]).map_or(rest.len(), |at| at + skip);
            self.at = from + len;
            return Some(Piece::Text(from, self.at));
        }
        let (len, attributes) = tag(rest);
        self.at = from + len;
        let inner = rest[1..len].trim_end_matches('>');
        if let Some(name) = inner.strip_prefix('/') {
            return Some(Piece::Close(local(name.trim_end())));
        }
        let name = inner.split(|c: char| c.is_ascii_whitespace() || c == '/').next().unwrap_or_default();
        let attributes = attributes.into_iter().map(|mut a| {
            a.start += from;
            a
        });
        Some(Piece::Open { name: local(name), attributes: attributes.collect(), empty: inner.ends_with('/') })
    }

    /// Adds a stretch of the markup to the text, entities decoded.
    fn show(&mut self, start: usize, end: usize) {
        let mut at = start;
        while at < end {
            let Some(rest) = self.markup.get(at..end) else { return };
            let plain = memchr::memchr(b'&', rest.as_bytes()).unwrap_or(rest.len());
            if plain > 0 {
                self.run(at, at + plain, true);
                self.text.push_str(&rest[..plain]);
            }
            at += plain;
            let Some((c, len)) = entity(&rest[plain..]) else {
                if plain < rest.len() {
                    self.run(at, at + 1, true);
                    self.text.push('&');
                    at += 1;
                }
                continue;
            };
            self.run(at, at + len, false);
            self.text.push(c);
            at += len;
        }
    }

    /// Between blocks stands a line break.
    fn space(&mut self, name: &str) {
        let block = matches!(
            name,
            "p" | "div"
                | "br"
                | "li"
                | "ul"
                | "ol"
                | "tr"
                | "td"
                | "th"
                | "table"
                | "blockquote"
                | "pre"
                | "hr"
                | "h1"
                | "h2"
                | "h3"
                | "h4"
                | "h5"
                | "h6"
                | "body"
        );
        if block && !self.text.is_empty() && !self.text.ends_with('\n') {
            self.run(self.at, self.at, false);
            self.text.push('\n');
        }
    }

    fn run(&mut self, raw: usize, raw_end: usize, verbatim: bool) {
        self.runs.push(Run { text: self.text.len() as u32, raw: raw as u32, raw_end: raw_end as u32, verbatim });
    }
}

/// Length of the tag that `rest` begins with, and its attributes. A quoted `>` does not end it.
fn tag(rest: &str) -> (usize, Vec<Attribute<'_>>) {
    let bytes = rest.as_bytes();
    let mut attributes = Vec::new();
    let mut name = 0..0;
    let mut i = 1;
    while let Some(&byte) = bytes.get(i) {
        match byte {
            b'>' => return (i + 1, attributes),
            b'"' | b'\'' => {
                let start = i + 1;
                let Some(len) = memchr::memchr(byte, &bytes[start..]) else { return (rest.len(), attributes) };
                attributes.push(Attribute {
                    name: local(&rest[name.clone()]),
                    value: &rest[start..start + len],
                    start,
                });
                i = start + len + 1;
                name = i..i;
            }
            b' ' | b'\t' | b'\n' | b'\r' | b'/' => {
                i += 1;
                if bytes.get(i) != Some(&b'=') {
                    name = i..i;
                }
            }
            b'=' => i += 1,
            _ => {
                i += 1;
                name.end = i;
            }
        }
    }
    (rest.len(), attributes)
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// The character an entity or character reference stands for, and its length.
fn entity(rest: &str) -> Option<(char, usize)> {
    let head = rest.as_bytes().get(1..rest.len().min(12))?;
    let end = memchr::memchr(b';', head)? + 1;
    let name = rest.get(1..end)?;
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((c, end + 1))
}

fn decode(value: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'&', value.as_bytes()) else { return Cow::Borrowed(value) };
    let mut out = value[..first].to_owned();
    let mut rest = &value[first..];
    while !rest.is_empty() {
        let (c, len) = entity(rest).unwrap_or(('&', 1));
        out.push(c);
        rest = &rest[len..];
        let plain = memchr::memchr(b'&', rest.as_bytes()).unwrap_or(rest.len());
        out.push_str(&rest[..plain]);
        rest = &rest[plain..];
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_is_shown() {
        for (markup, text) in [
            ("<p>Hello <b>you</b></p>", "Hello you\n"),
            ("<p>a</p><p>b</p>", "a\nb\n"),
            ("a<br/>b &lt;&amp;&#x41;&unknown; & c", "a\nb <&A&unknown; & c"),
            ("<style>p { }</style>x<script>y</script>", "x"),
            ("1 < 2 <3", "1 < 2 <3"),
            ("<img alt='a &gt; b' src=\"cid:x\"/>", "a > b"),
            ("<a title='>' href='http://x.test/'>t</a>", "t"),
            ("<a", ""),
            ("", ""),
        ] {
            assert_eq!(&*read(0, markup).0.text, text, "{markup}");
        }
    }

    #[test]
    fn anchors_have_target_place_and_what_is_shown() {
        let markup = "<p>see <a href=\"http://evil.test/?a&amp;b\">pay<b>pal</b>.com</a> now</p>";
        let (text, anchors) = read(0, markup);
        assert_eq!(anchors.len(), 1);
        assert_eq!(anchors[0].target, "http://evil.test/?a&b");
        assert_eq!(&markup[anchors[0].span.start as usize..anchors[0].span.end as usize], "http://evil.test/?a&amp;b");
        assert_eq!(&text.text[anchors[0].shown.clone()], "paypal.com");
    }

    #[test]
    fn spans_lead_back_into_the_markup() {
        let markup = "<p>A &amp; <b>B</b>C</p>";
        let (text, _) = read(0, markup);
        let at = |shown: &str| {
            let start = text.text.find(shown).unwrap();
            let span = text.exposed(start..start + shown.len());
            &markup[span.start as usize..span.end as usize]
        };
        assert_eq!(at("&"), "&amp;");
        assert_eq!(at("BC"), "B</b>C");
        assert_eq!(at("A & B"), "A &amp; <b>B");
    }
}
