//! What the server sends: its part of the negotiation, and stanzas.

use super::client::{acknowledgement, handled, sasl_step};
use super::*;
use crate::xmpp::Jid;
use crate::xmpp::sm::Arrival;
use model::{Address, PartyKind};

impl Xmpp {
    pub(super) fn server_header(&mut self, header: &Header, steps: &mut Vec<Step>) -> Result<(), Ending> {
        if header.version.as_deref() != Some("1.0") || header.content_ns != ns::CLIENT {
            return Err(ending(End::Server, Condition::UnsupportedVersion, "the server does not speak XMPP 1.0"));
        }
        let id = header.id.clone().unwrap_or_else(|| self.stream_id.to_string());
        self.open(End::Client, Some(id), header, steps);
        Ok(())
    }

    pub(super) fn server_stanza(
        &mut self,
        stanza: Stanza<'_>,
        now: Timestamp,
        steps: &mut Vec<Step>,
    ) -> Result<(), Ending> {
        let root = stanza.root;
        match (root.ns(), root.name()) {
            (ns::CLIENT, "message" | "presence" | "iq") => {
                self.server_says(stanza, now, steps);
                Ok(())
            }
            (ns::SM, name) => self.server_manages(name, root, steps),
            (ns::SASL, name) => {
                self.server_sasl(name, stanza, steps);
                Ok(())
            }
            (ns::STREAMS, "features") => {
                let bytes = self.features(stanza)?;
                steps.push(Step::Forward { bytes, lane: Lane::Barrier, tag: TAG_PLAIN });
                Ok(())
            }
            (ns::STREAMS, "error") => {
                // `see-other-host` would lead the client around the gateway.
                let mut out = Vec::with_capacity(256);
                if root.child(ns::STREAM_ERRORS, "see-other-host").is_some() {
                    steps.push(Step::Event(Event::Refused("see_other_host")));
                    let text = "the server asked to connect elsewhere";
                    write::stream_error(&mut out, &Fault::new(Condition::RemoteConnectionFailed, text));
                } else if let Form::Exotic(why) = stanza.form {
                    steps.push(Step::Event(Event::Refused("exotic")));
                    write::stream_error(&mut out, &Fault::new(Condition::UndefinedCondition, why));
                } else {
                    canonical_error(&mut out, root);
                }
                steps.push(Step::Forward { bytes: out.into(), lane: Lane::Barrier, tag: TAG_PLAIN });
                Ok(())
            }
            _ => {
                // Nothing the client was offered leads here.
                steps.push(Step::Event(Event::Refused("server_element")));
                Ok(())
            }
        }
    }

    fn server_sasl(&mut self, name: &str, stanza: Stanza<'_>, steps: &mut Vec<Step>) {
        if self.phase != Phase::Answering {
            steps.push(Step::Event(Event::Refused("server_element")));
            return;
        }
        let root = stanza.root;
        let bytes = match name {
            "success" => {
                self.phase = Phase::Opening;
                self.authenticated = true;
                self.header_written = [false; 2];
                sasl_step("success", None, &root.text())
            }
            "challenge" => {
                self.phase = Phase::Login;
                sasl_step("challenge", None, &root.text())
            }
            "failure" => {
                self.phase = Phase::Login;
                let named =
                    root.elements().find(|e| e.ns() == ns::SASL && e.name() != "text" && is_condition(e.name()));
                let condition = named.map_or("not-authorized", Element::name);
                steps.push(Step::Event(Event::LoginFailed {
                    account: self.account.take(),
                    mechanism: self.mechanism.clone(),
                    condition: condition.into(),
                }));
                sasl_failure(condition, root.child(ns::SASL, "text").map(Element::text).as_deref())
            }
            _ => {
                steps.push(Step::Event(Event::Refused("server_element")));
                return;
            }
        };
        steps.push(Step::Forward { bytes, lane: Lane::Barrier, tag: TAG_PLAIN });
    }

    fn server_manages(&mut self, name: &str, root: Element<'_>, steps: &mut Vec<Step>) -> Result<(), Ending> {
        match name {
            "r" => {
                if let Some(down) = &self.managed.down {
                    self.managed.owed[index(End::Server)] = down.is_waiting();
                }
                let bytes = Bytes::from_static(b"<r xmlns='urn:xmpp:sm:3'/>");
                steps.push(Step::Forward { bytes, lane: Lane::Free, tag: TAG_PLAIN });
            }
            "a" => {
                let h = handled(root, End::Server)?;
                if let Some(up) = &mut self.managed.up {
                    let told = up.acknowledge(h).map_err(|bad| Xmpp::bad_count(End::Server, bad))?;
                    steps.push(Step::Forward { bytes: acknowledgement(told), lane: Lane::Free, tag: TAG_PLAIN });
                }
            }
            "enabled" if self.managed.up.is_some() && self.managed.down.is_none() => {
                self.managed.down = Some(Ledger::default());
                // No `location`: it would name the server itself.
                let mut out = b"<enabled xmlns='urn:xmpp:sm:3'".to_vec();
                for name in ["id", "max", "resume"] {
                    if let Some(value) = root.attr(name) {
                        attribute(&mut out, name, value);
                    }
                }
                out.extend_from_slice(b"/>");
                if matches!(root.attr("resume"), Some("true" | "1")) {
                    self.managed.id = root.attr("id").map(Into::into);
                }
                if let Some(id) = self.managed.id.clone() {
                    steps.push(Step::Event(Event::Resumable(id)));
                }
                steps.push(Step::Forward { bytes: out.into(), lane: Lane::Barrier, tag: TAG_AGREED });
            }
            "resumed" if self.phase == Phase::Resuming => self.resumed(root, steps)?,
            "failed" => self.managing_failed(root, steps),
            _ => steps.push(Step::Event(Event::Refused("server_element"))),
        }
        Ok(())
    }

    /// The server took the session up: both ledgers go on from what both ends agreed.
    fn resumed(&mut self, root: Element<'_>, steps: &mut Vec<Step>) -> Result<(), Ending> {
        let h = handled(root, End::Server)?;
        let Some(kept) = self.resuming.take() else { return Ok(()) };
        let Kept { mut up, mut down, party, rooms } = *kept;
        let told = up.resume(h).map_err(|bad| Xmpp::bad_count(End::Server, bad))?;
        let mut out = b"<resumed xmlns='urn:xmpp:sm:3'".to_vec();
        attribute(&mut out, "h", &told.to_string());
        attribute(&mut out, "previd", self.managed.id.as_deref().unwrap_or_default());
        out.extend_from_slice(b"/>");
        steps.push(Step::Forward { bytes: out.into(), lane: Lane::Barrier, tag: TAG_AGREED });
        for bytes in down.take_own() {
            steps.push(Step::Forward { bytes, lane: Lane::Barrier, tag: TAG_OWN });
        }
        // The server waits for nothing more, so what it is sent counts already.
        steps.extend(up.take_own().into_iter().map(|bytes| Step::Reply { bytes, tag: TAG_OWN }));
        self.managed.up_counts = true;
        self.managed.up = Some(up);
        self.managed.down = Some(down);
        self.rooms = rooms;
        self.log_in(party, true, steps);
        steps.extend(self.managed.id.clone().map(|id| Step::Event(Event::Resumable(id))));
        Ok(())
    }

    /// `<failed/>` to a resumption or to enabling.
    fn managing_failed(&mut self, root: Element<'_>, steps: &mut Vec<Step>) {
        let mut out = b"<failed xmlns='urn:xmpp:sm:3'".to_vec();
        if let Some(mut kept) = self.resuming.take() {
            self.phase = Phase::Binding;
            self.managed = Managed::default();
            self.failed_resumptions += 1;
            // What the server has handled all the same, in the client's count.
            let told = root.attr("h").and_then(|h| h.parse().ok()).and_then(|h| kept.up.acknowledge(h).ok());
            if let Some(told) = told {
                attribute(&mut out, "h", &told.to_string());
            }
        } else if self.managed.down.is_none() {
            self.managed.up = None;
            self.managed.up_counts = false;
        }
        let named = root.elements().find(|e| e.ns() == ns::STANZA_ERRORS && is_condition(e.name()));
        let condition = named.map_or("unexpected-request", Element::name);
        out.extend_from_slice(b"><");
        out.extend_from_slice(condition.as_bytes());
        out.extend_from_slice(b" xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>");
        steps.push(Step::Forward { bytes: out.into(), lane: Lane::Barrier, tag: TAG_PLAIN });
    }

    fn server_says(&mut self, stanza: Stanza<'_>, now: Timestamp, steps: &mut Vec<Step>) {
        let root = stanza.root;
        let (count, again) = match self.managed.down.as_mut().map(Ledger::arrive) {
            Some(Arrival::Handled) => return,
            Some(Arrival::Again(count)) => (Some(count), true),
            Some(Arrival::New(count)) => (Some(count), false),
            None => (None, false),
        };
        let tag = self.managed.counted(count);
        let lane = self.lane(root.attr("from").unwrap_or_default());
        if let Form::Exotic(why) = stanza.form {
            steps.push(Step::Event(Event::Refused("exotic")));
            steps.push(Step::Forward { bytes: enforce::replaced(root, why).into(), lane, tag });
            if root.is(ns::CLIENT, "iq")
                && let Some(error) = enforce::error_reply(root, enforce::ErrorType::Modify, "not-acceptable", Some(why))
            {
                steps.push(Step::Reply { bytes: error.into(), tag: TAG_OWN });
            }
            return;
        }
        let mut bytes = Xmpp::safe_bytes(stanza);
        if root.is(ns::CLIENT, "iq") {
            if self.phase == Phase::Binding {
                self.bound(root, steps);
            }
            if let Some(slot) = self.slot_given(root) {
                bytes = slot;
            }
        }
        match self.heard(Direction::ToClient, stanza, now) {
            Some(mut message) => {
                message.resent = again;
                steps.push(Step::Judge { message, bytes, lane, tag, can_wait: root.is(ns::CLIENT, "message") });
            }
            None => steps.push(Step::Forward { bytes, lane, tag }),
        }
    }

    /// Learns from the answer to the bind request who the client is.
    fn bound(&mut self, root: Element<'_>, steps: &mut Vec<Step>) {
        let asked = self.bind_id.as_deref() == Some(root.attr("id").unwrap_or_default());
        if !asked || root.attr("type") != Some("result") {
            return;
        }
        let jid = root.child(ns::BIND, "bind").and_then(|b| b.child(ns::BIND, "jid")).map(|jid| jid.text());
        let Some(jid) = jid.as_deref() else { return };
        self.bind_id = None;
        // The server is free to give names that a client would be refused for.
        let (bare, resource) = jid.split_once('/').map_or((jid, None), |(bare, resource)| (bare, Some(resource)));
        let account = Jid::parse(bare).map_or_else(|_| bare.to_owned(), |jid| jid.bare());
        let address = Address { account: account.into(), device: resource.map(Into::into) };
        let party = self.host.party(address, PartyKind::Person);
        self.log_in(party, false, steps);
    }
}

/// A refused login in the words of RFC 6120 section 6.5.
fn sasl_failure(condition: &str, text: Option<&str>) -> Bytes {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><");
    out.extend_from_slice(condition.as_bytes());
    out.extend_from_slice(b"/>");
    if let Some(text) = text {
        out.extend_from_slice(b"<text>");
        write::escape_text(&mut out, text);
        out.extend_from_slice(b"</text>");
    }
    out.extend_from_slice(b"</failure>");
    out.into()
}

/// A stream error as the server sent it, its payload in canonical form.
fn canonical_error(out: &mut Vec<u8>, root: Element<'_>) {
    out.extend_from_slice(b"<stream:error>");
    for child in root.elements() {
        write::canonical(out, child);
    }
    out.extend_from_slice(b"</stream:error>");
}
