//! What a client sends: negotiation it may take part in, and stanzas.

use super::*;
use crate::xmpp::{Jid, jid, sasl};

impl Xmpp {
    pub(super) fn client_header(&mut self, header: &Header, steps: &mut Vec<Step>) -> Result<(), Ending> {
        if self.phase != Phase::Opening {
            return Err(ending(End::Client, Condition::NotWellFormed, "second stream header"));
        }
        if header.content_ns != ns::CLIENT {
            return Err(ending(
                End::Client,
                Condition::InvalidNamespace,
                "the stream's namespace is not jabber:client",
            ));
        }
        match header.version.as_deref() {
            Some("1.0") => {}
            _ => return Err(ending(End::Client, Condition::UnsupportedVersion, "XMPP 1.0 is spoken here (RFC 6120)")),
        }
        if header.to.as_deref().is_some_and(|to| !to.eq_ignore_ascii_case(&self.domain)) {
            return Err(ending(End::Client, Condition::HostUnknown, "the domain changed within the session"));
        }
        self.phase = if self.authenticated { Phase::Binding } else { Phase::Login };
        self.open(End::Server, None, header, steps);
        Ok(())
    }

    pub(super) fn client_stanza(
        &mut self,
        stanza: Stanza<'_>,
        now: Timestamp,
        steps: &mut Vec<Step>,
    ) -> Result<(), Ending> {
        let root = stanza.root;
        match (root.ns(), root.name()) {
            (ns::CLIENT, "message" | "presence" | "iq") => self.client_says(stanza, now, steps),
            (ns::SASL, name) => self.client_sasl(name, stanza, steps),
            (ns::SM, name) => self.client_manages(name, root, steps),
            (ns::CSI, "active" | "inactive") if self.phase == Phase::Bound => {
                let state: &'static [u8] = match root.name() {
                    "active" => b"<active xmlns='urn:xmpp:csi:0'/>",
                    _ => b"<inactive xmlns='urn:xmpp:csi:0'/>",
                };
                steps.push(Step::Forward { bytes: Bytes::from_static(state), lane: Lane::Free, tag: TAG_PLAIN });
                Ok(())
            }
            (ns::COMPRESS, "compress") => {
                steps.push(Step::Event(Event::Refused("compression")));
                let bytes = Bytes::from_static(
                    b"<failure xmlns='http://jabber.org/protocol/compress'><unsupported-method/></failure>",
                );
                steps.push(Step::Reply { bytes, tag: TAG_PLAIN });
                Ok(())
            }
            (ns::TLS, _) => Err(ending(End::Client, Condition::PolicyViolation, "TLS is already in place")),
            _ if !self.authenticated => {
                Err(ending(End::Client, Condition::NotAuthorized, "log in first (RFC 6120 section 4.9.3.12)"))
            }
            _ => Err(ending(End::Client, Condition::UnsupportedStanzaType, "this element is not understood here")),
        }
    }

    fn client_sasl(&mut self, name: &str, stanza: Stanza<'_>, steps: &mut Vec<Step>) -> Result<(), Ending> {
        if self.phase != Phase::Login || self.authenticated {
            return Err(ending(End::Client, Condition::PolicyViolation, "SASL out of turn"));
        }
        if let Form::Exotic(why) = stanza.form {
            return Err(ending(End::Client, Condition::PolicyViolation, why));
        }
        let mut mechanism = None;
        match name {
            "auth" => {
                let Some(attempt) = sasl::Attempt::read(stanza.root) else {
                    return Err(ending(End::Client, Condition::BadFormat, "auth without a mechanism"));
                };
                let plus = attempt.mechanism.ends_with("-PLUS") && self.settings.binding == Binding::Broken;
                if plus || &*attempt.mechanism == "?" {
                    // It was not offered: somebody between client and gateway, or a client that guesses.
                    steps.push(Step::Event(Event::Refused(if plus { "channel_binding" } else { "mechanism" })));
                    let bytes = Bytes::from_static(
                        b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><invalid-mechanism/></failure>",
                    );
                    steps.push(Step::Reply { bytes, tag: TAG_PLAIN });
                    return Ok(());
                }
                self.mechanism = attempt.mechanism;
                self.account = attempt.account.map(Into::into);
                mechanism = Some(&*self.mechanism);
            }
            "response" | "abort" => {}
            _ => return Err(ending(End::Client, Condition::PolicyViolation, "not a SASL step of a client")),
        }
        // One step at a time: the client is read again when the server has answered, so that
        // nothing sent early can end up inside the authenticated stream.
        self.phase = Phase::Answering;
        let bytes = sasl_step(name, mechanism, &stanza.root.text());
        steps.push(Step::Forward { bytes, lane: Lane::Barrier, tag: TAG_PLAIN });
        Ok(())
    }

    fn client_manages(&mut self, name: &str, root: Element<'_>, steps: &mut Vec<Step>) -> Result<(), Ending> {
        match (name, self.phase) {
            ("r", Phase::Bound) => {
                if let Some(up) = &self.managed.up {
                    self.managed.owed[index(End::Client)] = up.is_waiting();
                }
                let bytes = Bytes::from_static(b"<r xmlns='urn:xmpp:sm:3'/>");
                steps.push(Step::Forward { bytes, lane: Lane::Free, tag: TAG_PLAIN });
            }
            ("a", Phase::Bound) => {
                let h = handled(root, End::Client)?;
                if let Some(down) = &mut self.managed.down {
                    let told = down.acknowledge(h).map_err(|bad| Xmpp::bad_count(End::Client, bad))?;
                    steps.push(Step::Forward { bytes: acknowledgement(told), lane: Lane::Free, tag: TAG_PLAIN });
                }
            }
            ("enable", Phase::Bound) if self.managed.up.is_none() => {
                self.managed.up = Some(Ledger::default());
                self.managed.epoch = self.managed.epoch.wrapping_add(1);
                let mut out = b"<enable xmlns='urn:xmpp:sm:3'".to_vec();
                for name in ["max", "resume"] {
                    if let Some(value) = root.attr(name) {
                        attribute(&mut out, name, value);
                    }
                }
                out.extend_from_slice(b"/>");
                steps.push(Step::Forward { bytes: out.into(), lane: Lane::Barrier, tag: TAG_ENABLE });
            }
            ("resume", Phase::Binding) if self.failed_resumptions >= FAILED_RESUMPTIONS => {
                return Err(ending(End::Client, Condition::PolicyViolation, "too many sessions asked for in vain"));
            }
            ("resume", Phase::Binding) => {
                let h = handled(root, End::Client)?;
                let Some(id) = root.attr("previd").filter(|id| id.len() <= 1_024) else {
                    return Err(ending(End::Client, Condition::BadFormat, "resume without previd (XEP-0198)"));
                };
                self.phase = Phase::Unparking;
                self.managed.id = Some(id.into());
                self.managed.resume_h = h;
                let (domain, account) = (self.domain.clone(), self.authenticated_account());
                steps.push(Step::Event(Event::Unpark { id: id.into(), domain, account }));
            }
            _ => return Err(ending(End::Client, Condition::PolicyViolation, "stream management out of turn")),
        }
        Ok(())
    }

    /// A parked session was found, or not. What this gateway does not remember
    /// it cannot take up, whatever the server says: the counts would be wrong.
    pub(super) fn resume(&mut self, parked: Option<Parked>, steps: &mut Vec<Step>) {
        let id = self.managed.id.take().unwrap_or_default();
        let kept = parked.and_then(|parked| parked.state.downcast::<Kept>().ok());
        let told = kept.and_then(|mut kept| {
            let told = kept.down.resume(self.managed.resume_h).ok()?;
            Some((kept, told))
        });
        let Some((kept, told)) = told else {
            self.phase = Phase::Binding;
            self.failed_resumptions += 1;
            steps.push(Step::Event(Event::Refused("resume_unknown")));
            let bytes = Bytes::from_static(
                b"<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
            );
            steps.push(Step::Reply { bytes, tag: TAG_PLAIN });
            return;
        };
        self.phase = Phase::Resuming;
        self.resuming = Some(kept);
        let mut out = b"<resume xmlns='urn:xmpp:sm:3'".to_vec();
        attribute(&mut out, "h", &told.to_string());
        attribute(&mut out, "previd", &id);
        out.extend_from_slice(b"/>");
        self.managed.id = Some(id);
        steps.push(Step::Forward { bytes: out.into(), lane: Lane::Barrier, tag: TAG_PLAIN });
    }

    fn client_says(&mut self, stanza: Stanza<'_>, now: Timestamp, steps: &mut Vec<Step>) -> Result<(), Ending> {
        let root = stanza.root;
        if self.phase != Phase::Bound {
            return self.client_before_session(stanza, steps);
        }
        let arrival = self.managed.up.as_mut().map(Ledger::arrive);
        let (count, again) = match arrival {
            Some(crate::xmpp::sm::Arrival::Handled) => return Ok(()),
            Some(crate::xmpp::sm::Arrival::Again(count)) => (Some(count), true),
            Some(crate::xmpp::sm::Arrival::New(count)) => (Some(count), false),
            None => (None, false),
        };
        let tag = self.managed.counted(count);
        let to = root.attr("to");
        if to.is_some_and(|to| jid::split(to).is_err()) {
            steps.push(Step::Event(Event::Refused("jid")));
            self.refuse(root, "jid-malformed", "the address is not a valid JID (RFC 7622)", tag, steps);
            return Ok(());
        }
        let Some(party) = self.party.clone() else { return Ok(()) };
        let own = root.attr("from").is_none_or(|from| is_own(from, &party));
        if let Form::Exotic(why) = stanza.form {
            steps.push(Step::Event(Event::Refused("exotic")));
            if is_answer(stanza) && own {
                // An error in its place, since somebody waits for it.
                let bytes = enforce::replaced(root, why).into();
                steps.push(Step::Forward { bytes, lane: self.lane(to.unwrap_or_default()), tag });
            } else {
                self.refuse(root, "not-acceptable", why, tag, steps);
            }
            return Ok(());
        }
        if root.is(ns::CLIENT, "iq") && self.slot_asked(root, tag, steps) {
            return Ok(());
        }
        if root.is(ns::CLIENT, "presence") {
            self.note_room(root);
        }
        let bytes = if own {
            Xmpp::safe_bytes(stanza)
        } else {
            steps.push(Step::Event(Event::Refused("from")));
            without_from(root)
        };
        let lane = match to {
            Some(to) => self.lane(to),
            None if root.is(ns::CLIENT, "presence") => Lane::Barrier,
            None => self.lane(""),
        };
        match self.heard(Direction::FromClient, stanza, now) {
            Some(mut message) => {
                message.resent = again;
                steps.push(Step::Judge { message, bytes, lane, tag, can_wait: root.is(ns::CLIENT, "message") });
            }
            None => steps.push(Step::Forward { bytes, lane, tag }),
        }
        Ok(())
    }

    /// Before a resource is bound only the server itself may be spoken to.
    fn client_before_session(&mut self, stanza: Stanza<'_>, steps: &mut Vec<Step>) -> Result<(), Ending> {
        let root = stanza.root;
        let payload = root.elements().next();
        let registers = payload.is_some_and(|p| p.is(ns::REGISTER, "query"));
        let binds = payload.is_some_and(|p| p.is(ns::BIND, "bind") || p.is(ns::SESSION, "session"));
        let allowed = root.is(ns::CLIENT, "iq")
            && root.attr("to").is_none_or(|to| to.eq_ignore_ascii_case(&self.domain))
            && matches!(stanza.form, Form::Verbatim | Form::Rewrite)
            && match self.phase {
                Phase::Login => registers,
                Phase::Binding => binds,
                _ => false,
            };
        if !allowed {
            return Err(ending(End::Client, Condition::NotAuthorized, "log in and bind a resource first"));
        }
        if payload.is_some_and(|p| p.is(ns::BIND, "bind")) {
            self.bind_id = Some(root.attr("id").unwrap_or_default().into());
        }
        let bytes = Xmpp::safe_bytes(stanza);
        steps.push(Step::Forward { bytes, lane: Lane::Barrier, tag: TAG_PLAIN });
        Ok(())
    }

    /// Answers a stanza that goes no further.
    pub(super) fn refuse(
        &mut self,
        root: Element<'_>,
        condition: &'static str,
        text: &str,
        tag: Tag,
        steps: &mut Vec<Step>,
    ) {
        if let Some(bytes) = self.kept(End::Client, tag) {
            steps.push(Step::Forward { bytes, lane: Lane::Free, tag: TAG_PLAIN });
        }
        if let Some(reply) = enforce::error_reply(root, enforce::ErrorType::Modify, condition, Some(text)) {
            steps.push(Step::Reply { bytes: reply.into(), tag: TAG_OWN });
        }
    }

    /// Remembers which rooms the session is in: what comes from them is speech
    /// of their occupants.
    fn note_room(&mut self, root: Element<'_>) {
        let Some(room) = root.attr("to").and_then(|to| Jid::parse(to).ok()).map(|jid| jid.bare()) else { return };
        match root.attr("type") {
            Some("unavailable") => {
                self.rooms.remove(&*room);
            }
            None if root.child(ns::MUC, "x").is_some() && self.rooms.len() < self.settings.rooms => {
                self.rooms.insert(room.into());
            }
            _ => {}
        }
    }
}

/// Whether a `from` names the session's own account, with or without its resource.
fn is_own(from: &str, party: &Party) -> bool {
    let (bare, resource) = match from.split_once('/') {
        Some((bare, resource)) => (bare, Some(resource)),
        None => (from, None),
    };
    bare.eq_ignore_ascii_case(&party.address.account)
        && (resource.is_none() || resource == party.address.device.as_deref())
}

/// A SASL element made of nothing but what it is for (RFC 6120 section 6.4).
pub(super) fn sasl_step(name: &str, mechanism: Option<&str>, text: &str) -> Bytes {
    let mut out = Vec::with_capacity(128 + text.len());
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    attribute(&mut out, "xmlns", ns::SASL);
    if let Some(mechanism) = mechanism {
        attribute(&mut out, "mechanism", mechanism);
    }
    if text.is_empty() {
        out.extend_from_slice(b"/>");
        return out.into();
    }
    out.push(b'>');
    write::escape_text(&mut out, text);
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
    out.into()
}

/// The `h` of an acknowledgement (XEP-0198).
pub(super) fn handled(root: Element<'_>, at: End) -> Result<u32, Ending> {
    root.attr("h").and_then(|h| h.parse().ok()).ok_or(ending(
        at,
        Condition::BadFormat,
        "an acknowledgement needs a count h (XEP-0198)",
    ))
}

/// An acknowledgement of `h` stanzas.
pub(super) fn acknowledgement(h: u32) -> Bytes {
    Bytes::from(format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>"))
}
