//! Links as people say them, to each other or past a filter: `example dot com`.

use super::domains::is_spoken;
use super::link::Link;
use super::links::Sink;

/// `example dot com`, as people say it.
pub(super) fn spoken(text: &str, sink: Sink<'_>) {
    const DOT: &str = " dot ";
    let bytes = text.as_bytes();
    let is_dot_at = |at: usize| bytes.get(at..at + DOT.len()).is_some_and(|b| b.eq_ignore_ascii_case(DOT.as_bytes()));
    let mut at = 0;
    while let Some(found) = memchr::memchr(b' ', &bytes[at..]).map(|space| at + space) {
        at = found + 1;
        if !is_dot_at(found) {
            continue;
        }
        let label = |rest: &str| rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'-').count();
        let start = found
            - text[..found]
                .bytes()
                .rev()
                .take(64)
                .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
                .count();
        let mut host = text[start..found].trim_start_matches('.').to_owned();
        let start = found - host.len();
        let mut end = found;
        while is_dot_at(end) {
            let next = end + DOT.len();
            let len = label(&text[next..]);
            if len == 0 {
                break;
            }
            host.push('.');
            host.push_str(&text[next..next + len]);
            end = next + len;
        }
        at = at.max(end);
        let (name, top) = host.rsplit_once('.').unwrap_or_default();
        if name.len() < 3 || !is_spoken(top) || end == found {
            continue;
        }
        let Some(mut link) = Link::read(&format!("http://{host}")) else { continue };
        link.raw = text[start..end].into();
        link.span = start as u32..end as u32;
        link.defanged = true;
        if !sink(link) {
            return;
        }
    }
}
