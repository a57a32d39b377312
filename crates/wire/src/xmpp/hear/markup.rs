//! XHTML-IM (XEP-0071) and XHTML anywhere else: markup written anew, so that every reader of it reads the same.

use model::{Body, Place};

use super::heard::{Heard, is_blank};
use crate::xmpp::ns;
use crate::xmpp::tree::{Element, Node};
use crate::xmpp::write::{escape_attr, escape_text};

impl<'a> Heard<'a> {
    /// The wrapper of XEP-0071: one markup part for each language. Any finding in it costs the whole wrapper.
    pub(super) fn xhtml_im(&mut self, wrapper: Element<'a>) {
        for child in wrapper.elements() {
            if child.ns() == ns::XHTML {
                self.markup(child);
            } else {
                self.payload(child);
            }
        }
        self.linked_attrs(wrapper);
        self.loose_text(wrapper, Place::Unknown);
    }

    /// One piece of markup.
    pub(super) fn markup(&mut self, element: Element<'a>) {
        let mut out = Vec::new();
        serialise(&mut out, element);
        let html = String::from_utf8(out).unwrap_or_default();
        if !is_blank(&html) {
            self.whole(Place::Html, element, Body::Html(html.into()));
        }
    }
}

/// Writes an element and its content without namespaces, attributes in double quotes, empty elements as `<br/>`.
/// The outermost `body` or `div` is kept only for its attributes, which may hold links too.
fn serialise(out: &mut Vec<u8>, element: Element<'_>) {
    let inner_only = element.name() == "body" && element.attrs().all(|a| a.ns == ns::XML);
    if inner_only {
        content(out, element);
    } else {
        write(out, element);
    }
}

fn content(out: &mut Vec<u8>, element: Element<'_>) {
    for node in element.children() {
        match node {
            Node::Text(text) => escape_text(out, text),
            Node::Element(child) => write(out, child),
        }
    }
}

fn write(out: &mut Vec<u8>, element: Element<'_>) {
    out.push(b'<');
    out.extend_from_slice(element.name().as_bytes());
    for attr in element.attrs() {
        if attr.ns == ns::XML {
            continue;
        }
        out.push(b' ');
        out.extend_from_slice(attr.name.as_bytes());
        out.extend_from_slice(b"=\"");
        escape_attr(out, attr.value);
        out.push(b'"');
    }
    if element.children().next().is_none() {
        return out.extend_from_slice(b"/>");
    }
    out.push(b'>');
    content(out, element);
    out.extend_from_slice(b"</");
    out.extend_from_slice(element.name().as_bytes());
    out.push(b'>');
}
