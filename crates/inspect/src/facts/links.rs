//! Finding links in running text.
//!
//! Most chat lines have none, so a scan over the bytes first looks for anything a link needs.
//! What follows takes time linear in the text: every word is read from left to right, and
//! what has been looked at to the left of a dot or colon is not looked at again.

use std::ops::Range;

use indicators::refang::refang;

use super::domains::{Belief, Beside, believe};
use super::hints::hints;
use super::link::Link;
use super::shape::is_invisible;
use super::spoken::spoken;

/// What to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Anything a person or a client would take for a link.
    Any,
    /// Only what begins with a scheme: names of files look like domains.
    SchemeOnly,
}

/// Where links go; `false` ends the scan. The span is in the text scanned.
pub(super) type Sink<'a> = &'a mut dyn FnMut(Link) -> bool;

/// Finds the links in a text, in order.
pub(super) fn scan(text: &str, want: Want, sink: Sink<'_>) {
    let hint = hints(text);
    if !hint.any {
        return;
    }
    let mut start = 0;
    for (at, c) in text.char_indices() {
        if ends_word(c) {
            if at > start && !word(text, start..at, want, sink) {
                return;
            }
            start = at + c.len_utf8();
        }
    }
    if start < text.len() && !word(text, start..text.len(), want, sink) {
        return;
    }
    if hint.spoken && want == Want::Any {
        spoken(text, sink);
    }
}

/// Whether a short text (an anchor's) would be taken for a link's address itself.
pub(super) fn looks_like_link(text: &str) -> bool {
    const LONGEST: usize = 512;
    let text = text.trim();
    if text.len() > LONGEST || text.contains(char::is_whitespace) {
        return false;
    }
    let mut first = None;
    scan(text, Want::Any, &mut |link| {
        first = Some(link);
        false
    });
    first.is_some_and(|link| link.span.start == 0 && !link.host.is_empty())
}

/// The scheme a text begins with, as written.
pub(super) fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    // A browser drops tabs and line breaks from a target, also inside the scheme.
    let mut chars = scheme.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r'));
    let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic());
    (first && scheme.len() <= 40 && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')))
        .then_some(scheme)
        // `example.com:8080` is a host and a port.
        .filter(|scheme| !scheme.contains('.'))
}

/// What no link contains: spaces, control characters, quotation marks, angle brackets, and
/// the punctuation of scripts that put no space after it.
fn ends_word(c: char) -> bool {
    match c {
        '!'..='~' => matches!(c, '<' | '>' | '"' | '`'),
        '\0'..=' ' | '\u{7f}' => true,
        _ => {
            c.is_whitespace()
                || c.is_control()
                || matches!(
                    c,
                    '«' | '»' | '“' | '”' | '„' | '‘' | '、' | '，' | '；' | '！' | '？' | '：' | '「'
                        ..='】' | '《' | '》' | '（' | '）'
                )
        }
    }
}

/// Finds the links in one word. Says whether to go on.
fn word(text: &str, span: Range<usize>, want: Want, sink: Sink<'_>) -> bool {
    let Some(word) = text.get(span.clone()).filter(|word| word.len() >= 4) else { return true };
    match refang(word) {
        None => Word { text: word, want }.scan(&mut |mut link| {
            link.span = link.span.start + span.start as u32..link.span.end + span.start as u32;
            sink(link)
        }),
        Some(plain) => Word { text: &plain.text, want }.scan(&mut |mut link| {
            let place = |at: u32| span.start as u32 + plain.at.get(at as usize).copied().unwrap_or(0);
            let (start, end) = (place(link.span.start), place(link.span.end));
            link.span = start..end;
            let raw = text.get(start as usize..end as usize).unwrap_or_default();
            // Only what was undone inside the link makes it a defanged one.
            link.defanged = raw != &*link.raw;
            link.raw = raw.into();
            sink(link)
        }),
    }
}

/// A stretch of text without spaces.
struct Word<'a> {
    text: &'a str,
    want: Want,
}

impl Word<'_> {
    fn scan(&self, sink: Sink<'_>) -> bool {
        let bytes = self.text.as_bytes();
        // Nothing to the left of `floor` is looked at again.
        let (mut at, mut floor) = (0, 0);
        while let Some(&byte) = bytes.get(at) {
            if byte == b':' {
                match self.after_scheme(floor, at) {
                    Some(span) => {
                        if !self.emit(span.clone(), sink) {
                            return false;
                        }
                        (at, floor) = (span.end, span.end);
                    }
                    None => at += 1,
                }
                continue;
            }
            if byte == b'.' || (byte >= 0xe2 && self.text.get(at..).is_some_and(|rest| rest.starts_with(is_dot))) {
                let run = self.run(floor, at);
                if self.want == Want::Any
                    && let Some((span, belief)) = self.bare(&run)
                {
                    if !self.emit_bare(span.clone(), belief, sink) {
                        return false;
                    }
                    (at, floor) = (span.end.max(at + 1), span.end);
                } else {
                    // The last label may yet be a scheme: `end.http://…`.
                    floor = self.text[run.clone()].rfind(is_dot).map_or(run.start, |dot| run.start + dot + 1);
                    at = run.end.max(at + 1);
                    floor = floor.min(at);
                }
                while !self.text.is_char_boundary(floor) {
                    floor += 1;
                }
                continue;
            }
            at += 1;
        }
        true
    }

    /// The span of a link whose scheme ends at the colon `colon`.
    fn after_scheme(&self, floor: usize, colon: usize) -> Option<Range<usize>> {
        const LONGEST: usize = 24;
        let bytes = self.text.as_bytes();
        let is_scheme = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-');
        let letters = bytes[floor..colon].iter().rev().take(LONGEST).take_while(|b| is_scheme(b)).count();
        let scheme = self.text.get(colon - letters..colon)?;
        let rest = self.text.get(colon + 1..)?;
        let slashes = rest.bytes().take_while(|b| matches!(b, b'/' | b'\\')).count();
        let web = ["https", "http", "ftp", "wss", "ws", "aesgcm"];
        let ends_with = |name: &str| {
            scheme.len() >= name.len()
                && scheme.as_bytes()[scheme.len() - name.len()..].eq_ignore_ascii_case(name.as_bytes())
        };
        let start = if let Some(name) = web.iter().find(|name| ends_with(name)) {
            if slashes == 0 {
                return None;
            }
            // `seehttp://…` is a link to most clients; `ws` ends too many words.
            let len = if name.len() >= 4 { name.len() } else { scheme.len() };
            colon - len
        } else if (scheme.len() >= 2 && rest.starts_with("//"))
            || WITHOUT_SLASHES.iter().any(|name| name.eq_ignore_ascii_case(scheme))
        {
            colon - scheme.len()
        } else {
            return None;
        };
        let first = rest[slashes..].chars().next()?;
        if slashes > 0
            && !(first.is_alphanumeric() || matches!(first, '[' | '_' | '%') || is_invisible(first) || slashes > 2)
        {
            return None;
        }
        let end = self.end(start, colon + 1);
        (end > colon + 1 + slashes).then_some(start..end)
    }

    /// Where the link that began at `start` ends: before trailing punctuation, a bracket
    /// that was not opened inside, or the next link.
    fn end(&self, start: usize, from: usize) -> usize {
        let rest = &self.text[from..];
        let next = [",http", ";http", "|http", ")http", "]http"].iter().filter_map(|next| rest.find(next)).min();
        let cut = rest.find(['|', '^']).into_iter().chain(next).min().unwrap_or(rest.len());
        let rest = &rest[..cut];
        let count = |c: u8| memchr::memchr_iter(c, rest.as_bytes()).count();
        let mut surplus =
            [(')', count(b')'), count(b'(')), (']', count(b']'), count(b'[')), ('}', count(b'}'), count(b'{'))];
        // `*link*`, `_link_`: emphasis only if it also stands before the link.
        let emphasis = self.text[..start].chars().next_back().filter(|c| matches!(c, '*' | '_' | '~'));
        let mut end = rest.len();
        while let Some(last) = rest[..end].chars().next_back() {
            let drop = match last {
                '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '\\' | '’' | '。' | '．' | '｡' | '…' | '&' => true,
                '*' | '_' | '~' => emphasis == Some(last),
                _ => match surplus.iter_mut().find(|(close, ..)| *close == last) {
                    Some((_, closes, opens)) if *closes > *opens => {
                        *closes -= 1;
                        true
                    }
                    _ => false,
                },
            };
            if !drop {
                break;
            }
            end -= last.len_utf8();
        }
        from + end
    }

    /// The longest stretch around a dot that a host name can be made of.
    fn run(&self, floor: usize, dot: usize) -> Range<usize> {
        let left: usize = self.text[floor..dot].chars().rev().take_while(|c| is_host(*c)).map(char::len_utf8).sum();
        let right: usize = self.text[dot..].chars().take_while(|c| is_host(*c) || is_dot(*c)).map(char::len_utf8).sum();
        dot - left..dot + right
    }

    /// A link without a scheme, in a run of host characters.
    fn bare(&self, run: &Range<usize>) -> Option<(Range<usize>, Belief)> {
        let before = self.text[..run.start].chars().next_back();
        if matches!(before, Some('/' | '\\' | '@' | '~' | '$' | '=' | '-' | '_' | '%' | '+' | '#' | '&')) {
            return None;
        }
        let name = self.text[run.clone()].trim_end_matches(|c| is_dot(c) || c == '-' || c == '_');
        let end = run.start + name.len();
        let rest = &self.text[end..];
        if rest.starts_with(['@', '(']) || rest.starts_with("://") || name.starts_with(is_dot) {
            return None;
        }
        let port: usize = match rest.strip_prefix(':') {
            Some(port) => port.bytes().take(5).take_while(u8::is_ascii_digit).count(),
            None => 0,
        };
        let tail = if port > 0 { 1 + port } else { 0 };
        let path = rest[tail..].starts_with(['/', '?', '#']) && rest[tail..].len() > 1;
        let plain: String =
            name.chars().filter(|c| !is_invisible(*c)).map(|c| if is_dot(c) { '.' } else { c }).collect();
        let belief = match address(&plain) {
            Some(true) if path && !is_prefix_length(&rest[tail..]) => Belief::Sure,
            Some(true) => Belief::Doubtful,
            Some(false) => Belief::No,
            None => believe(&compatible(&plain), Beside { path: path || port > 0 }),
        };
        if belief == Belief::No {
            return None;
        }
        let end = if path { self.end(run.start, end + tail) } else { end + tail };
        Some((run.start..end, belief))
    }

    fn emit(&self, span: Range<usize>, sink: Sink<'_>) -> bool {
        let written = &self.text[span.clone()];
        let Some(mut link) = Link::read(written) else { return true };
        link.span = span.start as u32..span.end as u32;
        self.markdown(span.start, &mut link);
        sink(link) && self.nested(span, sink)
    }

    fn emit_bare(&self, span: Range<usize>, belief: Belief, sink: Sink<'_>) -> bool {
        let written = &self.text[span.clone()];
        let Some(mut link) = Link::read(&format!("http://{written}")) else { return true };
        link.raw = written.into();
        link.span = span.start as u32..span.end as u32;
        link.sure = belief == Belief::Sure;
        self.markdown(span.start, &mut link);
        sink(link)
    }

    /// `[shown](target)`: what is shown for a target that begins at `start`, when it looks like a link.
    fn markdown(&self, start: usize, link: &mut Link) {
        let Some(head) = self.text[..start].strip_suffix("](") else { return };
        (link.target, link.sure) = (true, true);
        let shown = &head[head.rfind('[').map_or(0, |open| open + 1)..];
        if looks_like_link(shown) {
            link.shown = Some(shown.trim().into());
        }
    }

    /// A link inside a link's path or query, as redirectors take it.
    fn nested(&self, span: Range<usize>, sink: Sink<'_>) -> bool {
        const SHORTEST: usize = 24;
        let outer = &self.text[span.clone()];
        if outer.len() < SHORTEST {
            return true;
        }
        let lower = outer.to_ascii_lowercase();
        let after_scheme = lower.ceil_char_boundary("https://".len());
        let marks = ["=http", "/http"].iter().filter_map(|mark| lower[after_scheme..].find(mark));
        let Some(inner) = marks.min().map(|at| after_scheme + at + 1) else { return true };
        let written = match outer[inner..].split('&').next() {
            Some(encoded) if lower[inner..].starts_with("http%3a") || lower[inner..].starts_with("https%3a") => {
                percent_decoded(encoded)
            }
            Some(plain) if outer[inner..].contains("://") => plain.to_owned(),
            _ => return true,
        };
        let Some(mut link) = Link::read(&written) else { return true };
        link.raw = outer[inner..].into();
        link.span = (span.start + inner) as u32..span.end as u32;
        link.sure = false;
        sink(link)
    }
}

/// Schemes that lead somewhere without `//`.
const WITHOUT_SLASHES: [&str; 11] =
    ["javascript", "vbscript", "data", "mailto", "xmpp", "tel", "sip", "sips", "matrix", "magnet", "im"];

/// Characters that WHATWG hosts are made of or that vanish from them.
fn is_host(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => true,
        '\0'..='\x7f' => false,
        _ => {
            !is_dot(c) && (c.is_alphanumeric() || is_invisible(c) || unicode_normalization::char::is_combining_mark(c))
        }
    }
}

/// Every character that IDNA takes for a dot.
fn is_dot(c: char) -> bool {
    matches!(c, '.' | '。' | '．' | '｡' | '․')
}

/// Whether a name of digits is a dotted quad (`Some(true)`), only a number with dots
/// (`Some(false)`), or a name.
fn address(name: &str) -> Option<bool> {
    if !name.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    Some(name.parse::<std::net::Ipv4Addr>().is_ok())
}

/// `/24` after an address is a network's size.
fn is_prefix_length(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|digits| {
        let len = digits.bytes().take_while(u8::is_ascii_digit).count();
        (1..=2).contains(&len) && !digits[len..].starts_with(['/', '.'])
    })
}

/// Full-width and similar letters as plain ones.
fn compatible(name: &str) -> String {
    if name.is_ascii() {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        unicode_normalization::char::decompose_compatible(c, |c| out.push(c));
    }
    out
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, more @ ..] = rest {
        let hex = more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *byte == b'%') {
            Some(decoded) => {
                out.push(decoded);
                rest = &more[2..];
            }
            None => {
                out.push(*byte);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
