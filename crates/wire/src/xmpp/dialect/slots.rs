//! HTTP File Upload (XEP-0363): slots lead to the gateway, never to the server.

use super::*;

/// What a client announced when it asked for a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRequest {
    /// Id of the request, repeated in the answer.
    pub id: Box<str>,
    /// The service asked; empty: the own account's server.
    pub to: Box<str>,
    /// File name as announced.
    pub name: Box<str>,
    /// Size in bytes as announced.
    pub size: u64,
    /// Media type as announced.
    pub content_type: Option<Box<str>>,
}

/// Where to put a file and where to get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// URL to PUT to.
    pub put: Box<str>,
    /// Headers to send with it.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// URL to GET from.
    pub get: Box<str>,
}

/// Who leads uploads through the gateway.
pub trait Slots {
    /// Whether there is an upload listener at all.
    fn takes_uploads(&self) -> bool;
    /// The server gave this slot: the gateway's own instead, or nothing when it
    /// can't be led through (an unusable URL, a full table).
    fn offer(&self, party: &Party, request: &SlotRequest, slot: Slot) -> Option<Slot>;
}

/// Requests that may wait for their answer at a time; the oldest are forgotten.
const REQUESTS: usize = 32;
/// Namespaces of earlier versions, which clients fall back from.
const OLD: [&str; 2] = ["urn:xmpp:http:upload", "eu:siacs:conversations:http:upload"];

impl Xmpp {
    /// Notes a slot request; true when it was answered instead of forwarded.
    pub(super) fn slot_asked(&mut self, root: Element<'_>, tag: Tag, steps: &mut Vec<Step>) -> bool {
        if root.attr("type") != Some("get") {
            return false;
        }
        let Some(request) = root.elements().find(|e| e.name() == "request") else { return false };
        if OLD.contains(&request.ns()) {
            self.refuse(root, "service-unavailable", "use XEP-0363 (urn:xmpp:http:upload:0)", tag, steps);
            return true;
        }
        if request.ns() != ns::UPLOAD {
            return false;
        }
        if !self.host.takes_uploads() {
            let text = "file uploads are not available through the gateway";
            self.refuse(root, "service-unavailable", text, tag, steps);
            return true;
        }
        let size = request.attr("size").and_then(|s| s.parse().ok());
        let (Some(size), Some(name), Some(id)) = (size, request.attr("filename"), root.attr("id")) else {
            self.refuse(root, "bad-request", "a slot request needs id, filename and size (XEP-0363)", tag, steps);
            return true;
        };
        if self.requests.len() >= REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(SlotRequest {
            id: id.into(),
            to: root.attr("to").unwrap_or_default().into(),
            name: name.into(),
            size,
            content_type: request.attr("content-type").map(Into::into),
        });
        false
    }

    /// The server's answer to a slot request, rewritten; `None` for any other iq.
    pub(super) fn slot_given(&mut self, root: Element<'_>) -> Option<Bytes> {
        let id = root.attr("id")?;
        let slot = root.child(ns::UPLOAD, "slot");
        let from = root.attr("from").unwrap_or_default();
        let position = self.requests.iter().position(|r| &*r.id == id && self.answers(from, &r.to));
        if slot.is_none() {
            // An error answers the request as well.
            if root.attr("type") == Some("error")
                && let Some(position) = position
            {
                self.requests.remove(position);
            }
            return None;
        }
        let request = position.and_then(|position| self.requests.remove(position));
        let ours = request.and_then(|request| {
            let theirs = read_slot(slot?)?;
            self.host.offer(self.party.as_deref()?, &request, theirs)
        });
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b"<iq");
        for name in ["from", "to", "id"] {
            if let Some(value) = root.attr(name) {
                attribute(&mut out, name, value);
            }
        }
        match ours {
            Some(ours) => write_slot(&mut out, &ours),
            None => out.extend_from_slice(
                b" type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>the upload can't be led through the gateway</text></error></iq>",
            ),
        }
        Some(out.into())
    }

    /// Whether an answer from there can be one to a request sent to `to`. The own account may be left out (RFC 6120
    /// section 8.1.2.1).
    fn answers(&self, from: &str, to: &str) -> bool {
        let own = |address: &str| {
            address.is_empty()
                || self.party.as_ref().is_some_and(|party| address.eq_ignore_ascii_case(&party.address.account))
        };
        from.eq_ignore_ascii_case(to) || (own(from) && own(to))
    }
}

fn read_slot(slot: Element<'_>) -> Option<Slot> {
    let put = slot.child(ns::UPLOAD, "put")?;
    let headers = put
        .elements()
        .filter(|h| h.is(ns::UPLOAD, "header"))
        .filter_map(|h| Some((h.attr("name")?.into(), h.text().into())))
        .take(16)
        .collect();
    Some(Slot { put: put.attr("url")?.into(), headers, get: slot.child(ns::UPLOAD, "get")?.attr("url")?.into() })
}

fn write_slot(out: &mut Vec<u8>, slot: &Slot) {
    out.extend_from_slice(b" type='result'><slot xmlns='urn:xmpp:http:upload:0'><put");
    attribute(out, "url", &slot.put);
    out.push(b'>');
    for (name, value) in &slot.headers {
        out.extend_from_slice(b"<header");
        attribute(out, "name", name);
        out.push(b'>');
        write::escape_text(out, value);
        out.extend_from_slice(b"</header>");
    }
    out.extend_from_slice(b"</put><get");
    attribute(out, "url", &slot.get);
    out.extend_from_slice(b"/></slot></iq>");
}
