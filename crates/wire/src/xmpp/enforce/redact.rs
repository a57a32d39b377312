//! A stanza that goes on without the offending words.
//!
//! The stanza is heard once more, with a trace of the element each part came from; then spans become blocks of the
//! same number of characters, so that ranges into the text (XEP-0372, XEP-0428) stay right. Where a span cannot be
//! cut out exactly the element goes, where no element can go the whole content does.

use std::collections::HashMap;

use bytes::Bytes;
use model::{Body, Direction, Finding, Message, Place};

use super::replaced;
use crate::xmpp::Parsed;
use crate::xmpp::hear::{How, Origin, walk};
use crate::xmpp::ns;
use crate::xmpp::tree::Element;
use crate::xmpp::write::{Edit, rewrite};

/// What stands where a whole text was.
const REMOVED: &str = "[removed]";

/// What stands for one removed character.
const BLOCK: &str = "\u{2588}";

/// The most characters of one text that are blocked out one by one; beyond, the text goes as a whole.
const BLOCKED_CHARS: usize = 2_048;

/// The shortest span that is removed wherever else it stands in the stanza; a shorter one would hit other words.
const REPEATED_CHARS: usize = 4;

/// The stanza without what the findings point at, wherever else in the stanza the same words stand.
///
/// `message` is what [`hear`](crate::xmpp::hear::hear) made of this very stanza. Markup is removed whenever anything
/// is, since it repeats the text in its own way. If nothing can be cut out exactly (no evidence, evidence in an
/// address, a message that is not this stanza's), the stanza is [`replaced`]; a client's own request then goes on
/// empty, so that it is answered (`bad-request`) and nobody reads it.
pub fn redacted(stanza: Element<'_>, message: &Message, findings: &[Finding]) -> Vec<u8> {
    if let Some(bytes) = Redaction::plan(stanza, message, findings).and_then(|plan| plan.apply(stanza)) {
        return bytes;
    }
    let request = stanza.is(ns::CLIENT, "iq") && matches!(stanza.attr("type"), Some("get" | "set"));
    if message.direction == Direction::FromClient && request {
        return emptied(stanza);
    }
    replaced(stanza, REMOVED)
}

/// The stanza with its attributes alone.
fn emptied(stanza: Element<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    rewrite(&mut out, stanza, &mut |_| Edit::Text(String::new()));
    out
}

/// Edits by element, and the words that may not remain.
struct Redaction<'m> {
    edits: HashMap<u32, Edit>,
    spans: Vec<&'m str>,
    root: u32,
    /// How many files may remain.
    files: usize,
}

impl<'m> Redaction<'m> {
    fn plan(stanza: Element<'_>, message: &'m Message, findings: &[Finding]) -> Option<Redaction<'m>> {
        let heard = walk(stanza, true);
        let mut plan =
            Redaction { edits: HashMap::new(), spans: Vec::new(), root: stanza.index(), files: heard.files.len() };
        let mut cut_files = Vec::new();
        // Byte ranges to block out, by part; `None` for a part that goes whole.
        let mut cuts: Vec<Option<Vec<(usize, usize)>>> = vec![Some(Vec::new()); heard.parts.len()];
        let mut any = false;
        for evidence in findings.iter().filter_map(|f| f.evidence.as_ref()) {
            any = true;
            let index = usize::from(evidence.part);
            let Some(part) = message.parts.get(index) else {
                cut_files.push(index - message.parts.len());
                continue;
            };
            if heard.parts.get(index) != Some(part) {
                return None;
            }
            let cut = cuts.get_mut(index)?;
            let (start, end) = (evidence.start as usize, evidence.end as usize);
            let span = match &part.body {
                Body::Text(text) if start < end => text.get(start..end),
                Body::Text(_) | Body::Html(_) | Body::Sealed(_) => None,
            };
            match (span, cut.as_mut()) {
                (Some(span), Some(ranges)) => {
                    ranges.push((start, end));
                    plan.spans.push(span);
                }
                (Some(span), None) => plan.spans.push(span),
                (None, _) => {
                    *cut = None;
                    if let Body::Text(text) = &part.body {
                        plan.spans.push(text);
                    }
                }
            }
        }
        if !any {
            return None;
        }
        cut_files.sort_unstable();
        cut_files.dedup();
        for file in &cut_files {
            plan.remove(*heard.file_origins.get(*file)?)?;
        }
        plan.files -= cut_files.len();
        plan.spans.sort_unstable();
        plan.spans.dedup();
        plan.spans.retain(|span| span.chars().count() >= REPEATED_CHARS);
        for ((part, origin), cut) in heard.parts.iter().zip(&heard.origins).zip(cuts) {
            match (&part.body, cut) {
                (Body::Html(_), _) | (_, None) => plan.remove_part(part.place, *origin)?,
                (Body::Text(text), Some(mut ranges)) => {
                    for span in &plan.spans {
                        ranges.extend(text.match_indices(span).map(|(at, found)| (at, at + found.len())));
                    }
                    plan.block(part.place, *origin, text, ranges)?;
                }
                (Body::Sealed(_), Some(_)) => {}
            }
        }
        Some(plan)
    }

    /// Blocks out ranges of a part's text.
    fn block(&mut self, place: Place, origin: Origin, text: &str, ranges: Vec<(usize, usize)>) -> Option<()> {
        if ranges.is_empty() {
            return Some(());
        }
        let exact = matches!(origin.how, How::Text | How::Attr(_)) && place != Place::Url;
        match blocked(text, ranges) {
            Some(text) if exact => self.edit(
                origin,
                match origin.how {
                    How::Attr(name) => Edit::SetAttr(name, text),
                    How::Text | How::Whole | How::Nowhere => Edit::Text(text),
                },
            ),
            _ => self.remove_part(place, origin),
        }
    }

    /// Removes all of a part; `None` where nothing can be removed.
    fn remove_part(&mut self, place: Place, origin: Origin) -> Option<()> {
        match (origin.how, place) {
            (How::Text, Place::Url) | (How::Whole, _) => self.remove(origin),
            (How::Text, _) => self.edit(origin, Edit::Text(REMOVED.to_owned())),
            (How::Attr(name), _) => self.edit(origin, Edit::DropAttr(name)),
            (How::Nowhere, _) => None,
        }
    }

    /// Removes the unit; `None` when that would be the stanza itself.
    fn remove(&mut self, origin: Origin) -> Option<()> {
        if origin.how == How::Nowhere || origin.unit == self.root {
            return None;
        }
        self.edits.insert(origin.unit, Edit::Drop);
        Some(())
    }

    /// One element takes one edit; two of them cost the unit.
    fn edit(&mut self, origin: Origin, edit: Edit) -> Option<()> {
        match self.edits.get(&origin.element) {
            None => {
                self.edits.insert(origin.element, edit);
                Some(())
            }
            Some(Edit::Drop) => Some(()),
            Some(_) => {
                self.edits.insert(origin.element, Edit::Drop);
                self.remove(origin)
            }
        }
    }

    /// Writes the stanza with the edits, and makes sure that no span and no removed file is left.
    fn apply(mut self, stanza: Element<'_>) -> Option<Vec<u8>> {
        let payload = stanza.elements().next().filter(|_| stanza.name() == "iq").map(Element::index);
        let mut out = Vec::with_capacity(1024);
        rewrite(&mut out, stanza, &mut |element| {
            match self.edits.remove(&element.index()) {
                // A query has one payload (RFC 6120 section 8.2.3), if only its shell.
                Some(Edit::Drop) if payload == Some(element.index()) => Edit::Text(String::new()),
                // Without a body there would be no message to see.
                Some(Edit::Drop)
                    if element.ns() == ns::CLIENT && matches!(element.name(), "body" | "subject" | "status") =>
                {
                    Edit::Text(REMOVED.to_owned())
                }
                Some(edit) => edit,
                None => Edit::Keep,
            }
        });
        let bytes = Bytes::from(out);
        let parsed = Parsed::new(bytes.clone()).ok()?;
        let left = walk(parsed.stanza().root, false);
        let clean =
            left.parts.iter().filter_map(|p| p.body.expose()).all(|text| !self.spans.iter().any(|s| text.contains(s)));
        (clean && left.files.len() <= self.files).then(|| bytes.into())
    }
}

/// The text with ranges blocked out, overlaps merged; `None` when that would make it too long.
fn blocked(text: &str, mut ranges: Vec<(usize, usize)>) -> Option<String> {
    ranges.sort_unstable();
    let mut out = String::with_capacity(text.len() + 64);
    let (mut at, mut chars) = (0, 0);
    for (start, end) in ranges {
        let (start, end) = (start.max(at), end.max(at));
        out.push_str(text.get(at..start)?);
        let count = text.get(start..end)?.chars().count();
        chars += count;
        if chars > BLOCKED_CHARS {
            return None;
        }
        (0..count).for_each(|_| out.push_str(BLOCK));
        at = end;
    }
    out.push_str(text.get(at..)?);
    Some(out)
}
