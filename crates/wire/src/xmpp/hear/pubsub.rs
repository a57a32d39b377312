//! Publish-subscribe (XEP-0060, XEP-0163): what is published, notified or fetched; and Atom entries (XEP-0277).

use std::borrow::Cow;

use model::Place;

use super::heard::{Heard, How};
use crate::xmpp::ns;
use crate::xmpp::tree::Element;

impl<'a> Heard<'a> {
    /// A request, its result or a notification.
    pub(super) fn pubsub(&mut self, pubsub: Element<'a>) {
        for child in pubsub.elements() {
            match child.name() {
                "publish" | "items" => self.items(child),
                "publish-options" => {}
                _ => self.sweep(child, Place::Unknown),
            }
        }
        self.loose_text(pubsub, Place::Unknown);
    }

    /// Items: each payload stands for itself, so that one of them can go without the others.
    fn items(&mut self, items: Element<'a>) {
        let outer = self.in_item;
        self.in_item = true;
        for item in items.elements() {
            for payload in item.elements() {
                self.payload(payload);
            }
            self.linked_attrs(item);
            self.loose_text(item, Place::Unknown);
        }
        self.loose_text(items, Place::Unknown);
        self.in_item = outer;
    }

    /// An entry of a microblog: its texts, markup and links.
    pub(super) fn atom(&mut self, element: Element<'a>) {
        let outer = self.unit;
        self.unit = element.index();
        match element.name() {
            "title" | "subtitle" | "summary" | "content" => self.text(Place::Body, element),
            "id" | "updated" | "published" | "generator" => self.sweep_links(element),
            _ => {
                for name in ["href", "src", "uri"] {
                    if let Some(target) = element.attr(name) {
                        self.say(Place::Url, element, How::Whole, Cow::Borrowed(target));
                    }
                }
                self.attr(Place::Caption, element, "title");
                self.loose_text(element, Place::Field);
                for child in element.elements() {
                    if child.ns() == ns::ATOM {
                        self.atom(child);
                    } else {
                        self.payload(child);
                    }
                }
            }
        }
        self.unit = outer;
    }
}
