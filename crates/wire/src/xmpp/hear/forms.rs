//! Data forms (XEP-0004), ad-hoc commands (XEP-0050) and service discovery (XEP-0030): what of them people read.

use model::{Kind, Place};

use super::heard::Heard;
use crate::xmpp::ns;
use crate::xmpp::tree::Element;

impl<'a> Heard<'a> {
    /// A form: titles, instructions, labels and values. Of the form's type, switches, secrets and a pubsub node's
    /// settings only links.
    pub(super) fn form(&mut self, form: Element<'a>) {
        for child in form.elements() {
            match child.name() {
                _ if child.ns() != ns::DATA => self.payload(child),
                "field" => self.field(child),
                "item" | "reported" => child.elements().for_each(|field| match field.ns() {
                    ns::DATA if field.name() == "field" => self.field(field),
                    ns::DATA => self.sweep(field, Place::Field),
                    _ => self.payload(field),
                }),
                _ => self.sweep(child, Place::Field),
            }
        }
        self.loose_text(form, Place::Unknown);
    }

    fn field(&mut self, field: Element<'a>) {
        self.attr(Place::Field, field, "label");
        let name = field.attr("var").unwrap_or_default();
        let mute = is_secret(name)
            || name == "FORM_TYPE"
            || matches!(field.attr("type"), Some("text-private" | "boolean"))
            || (name.starts_with("pubsub#") && !matches!(name, "pubsub#title" | "pubsub#description"));
        for child in field.elements() {
            match (child.ns(), child.name()) {
                (ns::DATA, "value") if mute => self.sweep_secret(child),
                (ns::DATA, "value") if matches!(&*child.text(), "0" | "1" | "true" | "false") => {}
                (ns::DATA, "value" | "desc") => self.text(Place::Field, child),
                (ns::DATA, "option") => {
                    self.attr(Place::Field, child, "label");
                    self.sweep(child, Place::Field);
                }
                (ns::DATA, _) => self.sweep(child, Place::Field),
                _ => self.payload(child),
            }
        }
        self.loose_text(field, Place::Unknown);
    }

    /// An ad-hoc command: its notes and forms.
    pub(super) fn command(&mut self, command: Element<'a>) {
        for child in command.elements() {
            match child.ns() {
                ns::COMMANDS => self.sweep(child, Place::Field),
                _ => self.payload(child),
            }
        }
        self.loose_text(command, Place::Unknown);
    }

    /// Information about an entity: of all of it, a room's description and subject are words of people, and a name
    /// that tries to be a link.
    pub(super) fn disco_info(&mut self, query: Element<'a>) {
        for identity in query.elements().filter(|e| e.name() == "identity") {
            if identity.attr("name").is_some_and(|name| name.contains("://")) {
                self.claim(Kind::Profile);
                self.attr(Place::Field, identity, "name");
            }
        }
        for form in query.elements().filter(|e| e.is(ns::DATA, "x")) {
            for field in form.elements() {
                if matches!(field.attr("var"), Some("muc#roominfo_description" | "muc#roominfo_subject")) {
                    self.claim(Kind::Profile);
                    self.field(field);
                }
            }
        }
    }

    /// A list of items (rooms, services): names that try to be links.
    pub(super) fn disco_items(&mut self, query: Element<'a>) {
        for item in query.elements() {
            if item.attr("name").is_some_and(|name| name.contains("://")) {
                self.claim(Kind::Profile);
                self.attr(Place::Field, item, "name");
            }
        }
    }
}

/// Whether a field of this name holds a password, by whatever prefix.
fn is_secret(name: &str) -> bool {
    let ends = |suffix: &str| {
        name.len()
            .checked_sub(suffix.len())
            .and_then(|at| name.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    ends("password") || ends("secret") || ends("password-verify") || ends("token")
}
