//! The three stanzas, and stanzas inside stanzas: carbons, archive results, forwards.

use model::{Kind, Place};

use super::heard::{Envelope, Heard, How};
use crate::xmpp::ns;
use crate::xmpp::tree::{Element, Node};

/// Everything there is to read in a stanza; `trace` keeps where it came from. Allocates nothing when there is nothing.
pub(crate) fn walk(stanza: Element<'_>, trace: bool) -> Heard<'_> {
    start(Heard::new(trace), stanza)
}

/// The same of a query between a client and its own server (or account), without what is between those two alone.
pub(super) fn walk_own(stanza: Element<'_>) -> Heard<'_> {
    let mut heard = Heard::new(false);
    heard.own = true;
    start(heard, stanza)
}

fn start<'a>(mut heard: Heard<'a>, stanza: Element<'a>) -> Heard<'a> {
    heard.unit = stanza.index();
    if stanza.ns() == ns::CLIENT {
        match stanza.name() {
            "message" => heard.message(stanza),
            "presence" => heard.presence(stanza),
            "iq" => heard.iq(stanza),
            _ => {}
        }
    }
    heard.finish();
    heard
}

impl<'a> Heard<'a> {
    /// A message stanza, outermost or inside an envelope.
    pub(super) fn message(&mut self, message: Element<'a>) {
        let groupchat = message.attr("type") == Some("groupchat");
        if groupchat && !self.quoting {
            self.room = true;
        }
        let outer = self.returned(message);
        let mut subject = false;
        for node in message.children() {
            let child = match node {
                Node::Element(child) => child,
                Node::Text(text) => {
                    self.stray(message, text);
                    continue;
                }
            };
            self.unit = child.index();
            if child.ns() != ns::CLIENT {
                self.payload(child);
                continue;
            }
            match child.name() {
                "body" => {
                    self.bodies += usize::from(!self.quoting);
                    self.text(if self.quoting { Place::Quote } else { Place::Body }, child);
                }
                "subject" => {
                    subject = true;
                    self.text(Place::Subject, child);
                }
                "thread" => self.sweep_links(child),
                "error" => self.error(child),
                _ => self.payload(child),
            }
        }
        self.unit = message.index();
        if groupchat && self.bodies == 0 && subject {
            self.claim(Kind::Profile);
        }
        self.quoting = outer;
        self.settle();
    }

    /// A stanza of type `error` gives back what was sent (RFC 6120 section 8.3.1): all of it is a quotation but the
    /// error itself. Returns what [`Heard::quoting`] was.
    fn returned(&mut self, stanza: Element<'a>) -> bool {
        let outer = self.quoting;
        if !outer && stanza.attr("type") == Some("error") {
            self.bounce = true;
            self.quoting = true;
        }
        outer
    }

    /// A message that brings a body of its own is a message, whatever is attached to call it less; a reaction or
    /// retraction may bring one that is marked as a mere fallback for readers that do not know them (XEP-0428).
    fn settle(&mut self) {
        let less = match self.kind {
            Kind::Profile | Kind::Presence => true,
            Kind::Reaction | Kind::Retraction => !self.whole_fallback,
            Kind::Message | Kind::File | Kind::Correction | Kind::Invite | Kind::Call => false,
        };
        if less && self.bodies > 0 {
            self.kind = Kind::Message;
        }
    }

    /// A presence stanza: status, nick, and whatever extensions say.
    pub(super) fn presence(&mut self, presence: Element<'a>) {
        self.claim(Kind::Presence);
        let outer = self.returned(presence);
        for node in presence.children() {
            let child = match node {
                Node::Element(child) => child,
                Node::Text(text) => {
                    self.stray(presence, text);
                    continue;
                }
            };
            self.unit = child.index();
            match (child.ns(), child.name()) {
                (ns::CLIENT, "status") => self.text(Place::Status, child),
                (ns::CLIENT, "show" | "priority") => self.sweep_opaque(child),
                (ns::CLIENT, "error") => self.error(child),
                (ns::MUC, "x") => self.room |= !outer,
                (ns::MUC_USER, "x") => {
                    self.room |= !outer;
                    self.payload(child);
                }
                (ns::CAPS, _) => {}
                _ => self.payload(child),
            }
        }
        self.quoting = outer;
        self.unit = presence.index();
    }

    /// An iq stanza. Of the many protocols between a client and its own server only those are heard whose content a
    /// person reads; the rest are named here, so that everything unnamed is heard. Spoken with anyone else, they are
    /// heard too: what another's client shows of them is that other's choice.
    pub(super) fn iq(&mut self, iq: Element<'a>) {
        let kind = iq.attr("type").unwrap_or_default();
        let outer = self.returned(iq);
        for node in iq.children() {
            let child = match node {
                Node::Element(child) => child,
                Node::Text(text) => {
                    self.stray(iq, text);
                    continue;
                }
            };
            self.unit = child.index();
            match child.ns() {
                ns::CLIENT if child.name() == "error" => self.error(child),
                ns::MAM | ns::MAM1 | ns::TIME | ns::UPLOAD | ns::UPLOAD_OLD | ns::UPLOAD_EU => self.machine(child),
                // Hosts to reach it by; the files were offered before.
                ns::BYTESTREAMS if kind != "set" => self.machine(child),
                ns::PING
                | ns::BIND
                | ns::SESSION
                | ns::CARBONS
                | ns::BLOCKING
                | ns::PRIVACY
                | ns::PUSH
                | ns::VERSION
                | ns::EXTDISCO
                | ns::EXTDISCO1
                | ns::MUC_UNIQUE
                | ns::REGISTER
                | ns::AUTH => {
                    if !self.own {
                        self.sweep(child, Place::Field);
                    }
                }
                ns::DISCO_INFO => self.disco_info(child),
                ns::DISCO_ITEMS => self.disco_items(child),
                ns::ROSTER if kind == "result" && self.own => {}
                ns::LAST => self.text(Place::Status, child),
                _ => self.payload(child),
            }
        }
        self.quoting = outer;
        self.unit = iq.index();
    }

    /// What machines tell each other, between a client and its own server nobody's to hear.
    fn machine(&mut self, element: Element<'a>) {
        if !self.own {
            self.sweep_machine(element, Place::Field);
        }
    }

    /// A stanza error: its text, and the address in `gone` or `redirect` (RFC 6120 section 8.3).
    pub(super) fn error(&mut self, error: Element<'a>) {
        for child in error.elements() {
            match (child.ns(), child.name()) {
                (ns::STANZA_ERRORS, "text") => self.text(Place::Reason, child),
                (ns::STANZA_ERRORS, "gone" | "redirect") => self.text(Place::Url, child),
                (ns::CLIENT, _) => self.sweep(child, Place::Unknown),
                _ => self.payload(child),
            }
        }
        self.loose_text(error, Place::Unknown);
    }

    /// Text directly in a stanza, where the schema allows none: some readers show it.
    fn stray(&mut self, stanza: Element<'a>, text: &'a str) {
        self.unit = stanza.index();
        self.say(Place::Unknown, stanza, How::Nowhere, text.into());
    }

    /// A carbon copy (XEP-0280): `sent` or `received` around a forwarded message.
    pub(super) fn carbon(&mut self, carbon: Element<'a>) {
        match carbon.child(ns::FORWARD, "forwarded") {
            Some(forwarded) => self.enveloped(forwarded, false),
            None => self.sweep(carbon, Place::Unknown),
        }
    }

    /// A result of an archive query (XEP-0313).
    pub(super) fn archived(&mut self, result: Element<'a>) {
        if result.name() != "result" {
            return self.sweep_links(result);
        }
        for child in result.elements() {
            if child.is(ns::FORWARD, "forwarded") {
                self.enveloped(child, true);
            } else {
                self.payload(child);
            }
        }
        self.loose_text(result, Place::Unknown);
    }

    /// The message inside a carbon or an archive result: as if it had arrived itself, once. A second envelope, in
    /// the first or beside it, is a mere forward.
    fn enveloped(&mut self, forwarded: Element<'a>, archived: bool) {
        if self.quoting || self.envelope.is_some() {
            return self.forwarded(forwarded);
        }
        for child in forwarded.elements() {
            match child.name() {
                "message" if child.ns() == ns::CLIENT && self.envelope.is_none() => {
                    let (from, to, id) = (child.attr("from"), child.attr("to"), child.attr("id"));
                    self.envelope = Some(Envelope { from, to, id, archived });
                    self.message(child);
                }
                "delay" if child.ns() == ns::DELAY => self.sweep_links(child),
                _ => self.quoted(child),
            }
        }
        self.loose_text(forwarded, Place::Unknown);
    }

    /// A forwarded stanza (XEP-0297) that someone shows to someone: all of it is read as a quotation.
    pub(super) fn forwarded(&mut self, forwarded: Element<'a>) {
        for child in forwarded.elements() {
            match child.ns() {
                ns::DELAY => self.sweep_links(child),
                _ => self.quoted(child),
            }
        }
        self.loose_text(forwarded, Place::Unknown);
    }

    /// Hears an element whose claims are not this stanza's own.
    pub(super) fn quoted(&mut self, element: Element<'a>) {
        let outer = (self.quoting, self.own, self.unit);
        (self.quoting, self.own) = (true, false);
        match (element.ns(), element.name()) {
            (ns::CLIENT, "message") => self.message(element),
            (ns::CLIENT, "presence") => self.presence(element),
            (ns::CLIENT, "iq") => self.iq(element),
            _ => self.payload(element),
        }
        (self.quoting, self.own, self.unit) = outer;
    }
}
