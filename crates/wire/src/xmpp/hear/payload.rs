//! The table of extensions: which of their elements hold words, whatever stanza, item or wrapper they stand in.

use model::{Body, Kind, Place, Sealed, Sealing};

use super::heard::{Heard, How};
use crate::xmpp::ns;
use crate::xmpp::tree::Element;

impl<'a> Heard<'a> {
    /// Hears one extension element. What is not in the table is swept: all its text, and attributes that look like
    /// links.
    pub(super) fn payload(&mut self, element: Element<'a>) {
        let outer = self.unit;
        self.unit = element.index();
        match element.ns() {
            // Nothing to read, in almost every stanza.
            ns::CHAT_STATES | ns::RECEIPTS | ns::SID | ns::MARKERS | ns::HINTS => self.sweep(element, Place::Unknown),
            ns::CAPS => {}
            ns::DELAY | ns::DELAY_OLD => {
                self.delayed |= !self.quoting;
                self.sweep_links(element);
            }

            // Other people's messages.
            ns::CARBONS => self.carbon(element),
            ns::MAM | ns::MAM1 => self.archived(element),
            ns::FORWARD => self.forwarded(element),
            ns::CLIENT => self.client(element),

            // Text and what belongs to it.
            ns::XHTML_IM => self.xhtml_im(element),
            ns::XHTML => self.markup(element),
            ns::OOB => self.oob(element),
            ns::OOB_IQ => {
                self.claim(Kind::File);
                self.oob(element);
            }
            ns::REFERENCE => self.reference(element),
            ns::URL_DATA => self.url_data(element),
            ns::CORRECT => {
                self.claim(Kind::Correction);
                self.refer(element.attr("id"));
                self.sweep(element, Place::Unknown);
            }
            ns::RETRACT | ns::RETRACT0 => self.retraction(element),
            ns::MODERATE | ns::MODERATE0 => self.moderation(element),
            ns::FASTEN => {
                self.refer(element.attr("id"));
                self.sweep(element, Place::Unknown);
            }
            ns::REACTIONS => self.reactions(element),
            ns::FALLBACK => self.fallback(element),
            ns::SPOILER => self.loose_text(element, Place::Subject),
            ns::RTT => self.sweep(element, Place::Body),
            ns::NICK => {
                // Alone in an item it is a profile; in a message it is mere decoration.
                self.claim(if self.in_item { Kind::Profile } else { Kind::Message });
                self.text(Place::Nick, element);
            }

            // Rooms.
            ns::MUC_USER => self.muc_user(element),
            ns::MUC_ADMIN | ns::MUC_OWNER => {
                self.claim(Kind::Profile);
                self.room_settings(element);
            }
            ns::CONFERENCE => self.direct_invitation(element),

            // Files, calls and pictures.
            ns::JINGLE => self.jingle(element),
            ns::JINGLE_MESSAGE | ns::JINGLE_MESSAGE1 => self.jingle_message(element),
            ns::CALL_INVITES => self.call_invitation(element),
            ns::SI => self.stream_initiation(element),
            ns::IBB => self.in_band_bytes(element),
            ns::BYTESTREAMS => self.socks_bytes(element),
            ns::SIMS | ns::SFS => self.shared_file(element),
            ns::FILE_METADATA => self.described_file(element),
            namespace if namespace.starts_with(ns::JINGLE_FILES_ROOT) => self.described_file(element),
            ns::BOB => self.inline_file(element, element.attr("type")),
            ns::AVATAR_DATA => {
                self.claim(Kind::Profile);
                self.inline_file(element, None);
            }
            ns::AVATAR_METADATA => {
                self.claim(Kind::Profile);
                self.avatar_metadata(element);
            }
            ns::HASHES | ns::THUMBS => {
                self.linked_attrs(element);
                self.sweep_opaque(element);
            }

            // Fields about people and things.
            ns::VCARD => {
                self.claim(Kind::Profile);
                self.vcard(element);
            }
            ns::VCARD_UPDATE => self.sweep_opaque(element),
            ns::VCARD4
            | ns::TUNE
            | ns::MOOD
            | ns::ACTIVITY
            | ns::GEOLOC
            | ns::ROSTER_NOTES
            | ns::SEARCH
            | ns::GATEWAY => {
                self.claim(Kind::Profile);
                self.sweep(element, Place::Field);
            }
            ns::BOOKMARKS | ns::STORAGE_BOOKMARKS => self.bookmarks(element),
            ns::ROSTER | ns::ROSTERX => self.roster(element),
            ns::PRIVATE => {
                self.claim(Kind::Profile);
                self.sweep(element, Place::Field);
            }
            ns::DATA => self.form(element),
            ns::COMMANDS => self.command(element),
            ns::PUBSUB | ns::PUBSUB_EVENT | ns::PUBSUB_OWNER => self.pubsub(element),
            ns::ATOM => self.atom(element),

            // Encrypted.
            ns::OMEMO_LEGACY | ns::OMEMO0 | ns::OMEMO1 | ns::OMEMO2 => self.omemo(element),
            ns::OX => self.ox(element),
            ns::PGP_ENCRYPTED => self.sealed(element, Sealing::Openpgp),
            ns::PGP_SIGNED => self.sweep_opaque(element),
            ns::SMIME => self.sealed(element, Sealing::Other),
            ns::ESFS => self.encrypted_file(element),
            ns::EME => self.announced(element),

            _ => self.unknown(element),
        }
        self.unit = outer;
    }

    /// An element of the stream's own namespace where no stanza child stands: inside a wrapper.
    fn client(&mut self, element: Element<'a>) {
        match element.name() {
            "message" | "presence" | "iq" => self.quoted(element),
            "body" => self.text(Place::Quote, element),
            "subject" => self.text(Place::Subject, element),
            "error" => self.error(element),
            _ => self.unknown(element),
        }
    }

    /// An extension nobody here has read. One that calls its content encrypted is believed.
    fn unknown(&mut self, element: Element<'a>) {
        if element.name() == "encrypted" {
            self.whole(Place::Body, element, Body::Sealed(Sealed { scheme: Sealing::Other, bytes: 0 }));
        }
        self.sweep(element, Place::Unknown);
    }

    /// Out-of-band data (XEP-0066): the link and what it is said to be.
    fn oob(&mut self, x: Element<'a>) {
        for child in x.elements() {
            match child.name() {
                _ if child.ns() != x.ns() => self.payload(child),
                "url" => self.target(child),
                "desc" => self.text(Place::Caption, child),
                _ => self.sweep(child, Place::Unknown),
            }
        }
        self.loose_text(x, Place::Unknown);
    }

    /// A link as an element's text: removed with its wrapper, since half a link is none.
    pub(super) fn target(&mut self, element: Element<'a>) {
        self.say(Place::Url, element, How::Whole, element.text());
        element.elements().for_each(|child| self.payload(child));
    }

    /// A reference (XEP-0372): its target, and what stands inside (XEP-0385).
    fn reference(&mut self, reference: Element<'a>) {
        if let Some(uri) = reference.attr("uri") {
            self.say(Place::Url, reference, How::Whole, uri.into());
        }
        self.loose_text(reference, Place::Unknown);
        reference.elements().for_each(|child| self.payload(child));
    }

    /// Where data is (XEP-0103).
    fn url_data(&mut self, data: Element<'a>) {
        if let Some(target) = data.attr("target") {
            self.say(Place::Url, data, How::Whole, target.into());
        }
        self.loose_text(data, Place::Caption);
        data.elements().for_each(|child| self.payload(child));
    }

    /// A retraction (XEP-0424), or the tombstone it left in an archive.
    fn retraction(&mut self, retraction: Element<'a>) {
        if retraction.name() == "retract" {
            self.act(Kind::Retraction);
            self.refer(retraction.attr("id"));
        }
        self.reasons(retraction);
    }

    /// A moderator's retraction (XEP-0425), asked for or announced.
    fn moderation(&mut self, moderation: Element<'a>) {
        self.act(Kind::Retraction);
        self.refer(moderation.attr("id"));
        self.reasons(moderation);
    }

    /// `<reason/>` children as reasons, whatever else as unknown.
    fn reasons(&mut self, element: Element<'a>) {
        for child in element.elements() {
            match child.name() {
                "reason" => self.text(Place::Reason, child),
                _ => self.payload(child),
            }
        }
        self.linked_attrs(element);
        self.loose_text(element, Place::Unknown);
    }

    /// Reactions (XEP-0444); none at all takes earlier ones back.
    fn reactions(&mut self, reactions: Element<'a>) {
        self.act(Kind::Reaction);
        self.refer(reactions.attr("id"));
        for child in reactions.elements() {
            match child.name() {
                "reaction" => self.text(Place::Reaction, child),
                _ => self.payload(child),
            }
        }
        self.loose_text(reactions, Place::Unknown);
    }

    /// A fallback marker (XEP-0428). The marked text is heard like all other: not every reader hides it.
    fn fallback(&mut self, fallback: Element<'a>) {
        let mut parts = fallback.elements().peekable();
        let whole = parts.peek().is_none()
            || parts.any(|p| p.name() == "body" && p.attr("start").is_none() && p.attr("end").is_none());
        self.whole_fallback |= whole && !self.quoting;
        self.sweep(fallback, Place::Unknown);
    }

    /// What a room says of its occupants (XEP-0045): reasons, nicks, mediated invitations.
    fn muc_user(&mut self, x: Element<'a>) {
        for child in x.elements() {
            match child.name() {
                _ if child.ns() != ns::MUC_USER => self.payload(child),
                "invite" => {
                    self.room |= !self.quoting;
                    self.act(Kind::Invite);
                    self.reasons(child);
                }
                "decline" | "destroy" => self.reasons(child),
                "item" => self.room_item(child),
                "password" => self.sweep_secret(child),
                "status" => self.sweep_links(child),
                _ => self.sweep(child, Place::Unknown),
            }
        }
        self.loose_text(x, Place::Unknown);
    }

    /// An occupant or affiliation: nick, reason, who did it.
    fn room_item(&mut self, item: Element<'a>) {
        self.attr(Place::Nick, item, "nick");
        for child in item.elements() {
            match child.name() {
                "reason" => self.text(Place::Reason, child),
                "actor" => self.attr(Place::Nick, child, "nick"),
                _ => self.sweep(child, Place::Unknown),
            }
        }
        self.loose_text(item, Place::Unknown);
    }

    /// Administration and configuration of a room.
    fn room_settings(&mut self, query: Element<'a>) {
        for child in query.elements() {
            match child.name() {
                _ if child.ns() != query.ns() => self.payload(child),
                "item" => self.room_item(child),
                "destroy" => self.reasons(child),
                _ => self.sweep(child, Place::Unknown),
            }
        }
        self.loose_text(query, Place::Unknown);
    }

    /// A direct invitation (XEP-0249): the room and why.
    fn direct_invitation(&mut self, x: Element<'a>) {
        self.act(Kind::Invite);
        if let Some(room) = x.attr("jid") {
            self.say(Place::Field, x, How::Whole, room.into());
        }
        self.attr(Place::Reason, x, "reason");
        self.sweep(x, Place::Unknown);
    }

    /// Contacts and what they are called.
    fn roster(&mut self, query: Element<'a>) {
        self.claim(Kind::Profile);
        for item in query.elements() {
            self.attr(Place::Nick, item, "name");
            for group in item.elements() {
                self.sweep(group, Place::Field);
            }
            self.loose_text(item, Place::Unknown);
        }
        self.loose_text(query, Place::Unknown);
    }

    /// Bookmarked rooms (XEP-0402, XEP-0048): what they are called, and one's nick there.
    fn bookmarks(&mut self, element: Element<'a>) {
        self.claim(Kind::Profile);
        self.attr(Place::Field, element, "name");
        self.attr(Place::Url, element, "url");
        self.loose_text(element, Place::Field);
        for child in element.elements() {
            match child.name() {
                "password" => self.sweep_secret(child),
                "nick" => self.text(Place::Nick, child),
                _ if child.ns() == element.ns() => self.bookmarks(child),
                _ => self.payload(child),
            }
        }
    }
}
