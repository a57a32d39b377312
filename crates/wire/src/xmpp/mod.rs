//! XMPP: bytes to stanzas to nouns, and back.
//!
//! ```text
//! Reader   bytes in any chunks      -> Header, Stanza, Space, End
//! Element  a stanza as a tree       -> hear: what people read in it
//! write    Element (with edits)     -> canonical bytes
//! Form     may the bytes themselves go on?
//! ```
//!
//! # What goes through, and how
//!
//! A gateway and the software behind it must read the same bytes as the same
//! stanzas, or an attacker says one thing to the gateway and another to the
//! victim: a client's reader that took `>` where the server's saw a letter
//! (CVE-2022-25235, the chain of CVE-2022-22784 to CVE-2022-22787 in Zoom),
//! or one that glued namespace and name together with a character that a
//! namespace may hold (CVE-2022-25236). So each construct has one of four fates:
//!
//! * *verbatim* ([`Form::Verbatim`]): every sane reader reads it alike;
//! * *rewritten* ([`Form::Rewrite`]): its meaning is certain, its spelling is
//!   not read alike by all; it goes on in the spelling of [`write::canonical`];
//! * *exotic* ([`Form::Exotic`]): readers disagree about any spelling of it; the
//!   stanza is answered with an error and goes nowhere, the stream goes on;
//! * *refused* ([`Fault`]): the stream ends.
//!
//! | construct | fate | why |
//! | --- | --- | --- |
//! | elements, attributes, text, the five predefined entities | verbatim | |
//! | characters beyond ASCII in text and values, U+FEFF among them | verbatim | |
//! | `xmlns` on the element, prefixes declared inside the stanza (below the first level) | verbatim | names in content may rely on the prefix |
//! | `&#9;` `&#10;` `&#13;` in values, `&#13;` in text | verbatim | the only way to say them |
//! | `>` in text | verbatim | |
//! | first-level elements by the prefix `stream` as the header declares it | verbatim | what every server sends |
//! | `xmlns=''` inside a stanza | verbatim | namespace-aware readers agree |
//! | CDATA sections | rewritten | weak readers look for tags inside |
//! | `>` in attribute values | rewritten | weak readers end the tag there |
//! | tab, LF, CR in attribute values; CR in text | rewritten | normalised by some readers only |
//! | other character references (`&#60;`, `&#x1F600;`) | rewritten | decoded too early, or in halves, by weak readers |
//! | white space other than a space inside tags, around `=`, in end tags | rewritten | weak readers look for `</name>` |
//! | `message`, `presence`, `iq` or any first-level element by prefix | rewritten | weak readers look at raw names |
//! | prefixes that only the stream header declares, or a default namespace of the stream that is not `jabber:client` | rewritten | the other leg's header does not declare them |
//! | a prefix bound anew inside its own scope; `stream` bound to something else; `xmlns:xml` | rewritten | CVE-2022-22786 class |
//! | names beyond ASCII | exotic | XML 1.0's fourth and fifth edition have different alphabets, and CVE-2022-25235 lived here |
//! | namespace names with characters that no URI has (white space, controls, `\|`, `}`, non-ASCII) | exotic; refused on the first level (`invalid-namespace`) | CVE-2022-25236 |
//! | elements of the stream's namespace inside a stanza | exotic | CVE-2022-22787 class: taken for stream-level by a weak reader |
//! | elements of the namespace of the prefix `xml` | exotic | no default spelling |
//! | first-level `message`, `presence`, `iq` outside the stream's content namespace (`jabber:client:x`) | refused, `invalid-namespace` | nothing may be mistaken for a stanza |
//! | comments, processing instructions, document types, other entities | refused, `restricted-xml` | RFC 6120 section 11.1; CVE-2013-1664 |
//! | bad UTF-8, characters XML forbids, also by reference | refused, `not-well-formed` | CVE-2022-25235 |
//! | U+FEFF in a name, a byte order mark before the header | refused, `not-well-formed` | dropped by some readers |
//! | duplicate attributes (also by namespace), `]]>` in text, `<` in values, reserved prefixes declared, prefixes undeclared, mismatched tags, text between stanzas | refused, `not-well-formed` | |
//! | prefixes not declared | refused, `bad-namespace-prefix` | |
//! | other encodings; other XML versions | refused, `unsupported-encoding`; `unsupported-version` | RFC 6120 section 11.6 |
//! | a second stream header | refused, `bad-format` | two headers, two meanings of what follows |
//! | anything beyond [`Limits`], 64 prefixes in scope, names of 256 or namespaces of 1,024 bytes | refused, `policy-violation` | CVE-2024-8176, CVE-2023-52425 class; [`Fault::limit`] names it |
//!
//! `xml:lang` of the stream header is inherited by every stanza without one;
//! it is the header's, not the stanza's, to carry on ([`Header::lang`]).

mod chars;
pub mod dialect;
pub mod enforce;
pub mod fault;
pub mod header;
pub mod hear;
pub mod jid;
pub mod ns;
pub mod reader;
pub mod sasl;
mod scan;
mod scope;
pub mod sm;
pub mod starttls;
pub mod tree;
pub mod write;

pub use fault::{Condition, Fault};
pub use header::Header;
pub use jid::Jid;
pub use reader::{Form, Limits, Parsed, Read, Reader, Stanza};
pub use tree::{Attr, Element, Node};

#[cfg(test)]
mod tests;
