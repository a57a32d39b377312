//! The words rules are written in: actions, parties, context, symbols.
//!
//! One table feeds the Cedar schema, the hints for misspelt names and the
//! reference, so that they cannot disagree.

use std::collections::BTreeMap;
use std::fmt::Write;

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use model::{Direction, Kind, PartyKind, Protocol, Sealing, Side, SymbolInfo};

/// An attribute of a party or of the context.
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    /// Cedar type.
    pub(crate) of: &'static str,
    pub(crate) optional: bool,
    pub(crate) about: &'static str,
}

/// What is known of `principal` and `resource`.
pub(crate) const PARTY: [Attribute; 5] = [
    Attribute {
        name: "account",
        of: "String",
        optional: false,
        about: "address without the device: bare JID, MXID, `user@domain`, nick",
    },
    Attribute { name: "domain", of: "String", optional: false, about: "what follows the last `@` of the account" },
    Attribute {
        name: "side",
        of: "Side",
        optional: false,
        about: "`internal` when the domain is one of the organisation's own",
    },
    Attribute { name: "kind", of: "PartyKind", optional: false, about: "an account, a room, or a server" },
    Attribute { name: "person", of: "String", optional: true, about: "id of the person in the directory" },
];

/// What is known of the message.
pub(crate) const CONTEXT: [Attribute; 9] = [
    Attribute {
        name: "symbols",
        of: "Set<Symbol>",
        optional: false,
        about: "what was found, and the families of it: a finding of `link.phishing` puts `link` in too",
    },
    Attribute { name: "score", of: "decimal", optional: false, about: "sum of the findings' scores" },
    Attribute { name: "file_kinds", of: "Set<String>", optional: false, about: "kinds of the files, by content" },
    Attribute {
        name: "sealed",
        of: "Sealing",
        optional: true,
        about: "the end-to-end encryption that hides a part of it; absent when all of it can be read",
    },
    Attribute {
        name: "direction",
        of: "Direction",
        optional: false,
        about: "sent by a client behind the gateway, or arriving at one",
    },
    Attribute { name: "protocol", of: "Protocol", optional: false, about: "where it was spoken" },
    Attribute { name: "time", of: "datetime", optional: false, about: "when, to the millisecond" },
    Attribute { name: "hour", of: "Long", optional: false, about: "hour of the day in UTC, 0 to 23" },
    Attribute { name: "weekday", of: "Weekday", optional: false, about: "day of the week in UTC" },
];

/// What each action covers.
pub(crate) fn action_about(kind: Kind) -> &'static str {
    match kind {
        Kind::Message => "text, with or without links",
        Kind::File => "a file sent, uploaded or offered",
        Kind::Correction => "new text for an earlier message",
        Kind::Retraction => "an earlier message taken back",
        Kind::Reaction => "a reaction to an earlier message",
        Kind::Invite => "an invitation to a room",
        Kind::Presence => "presence with words in it",
        Kind::Call => "a call offered",
        Kind::Profile => "a nick, vCard, avatar, room subject or room configuration",
    }
}

/// A closed vocabulary: an entity type whose ids are all known.
pub(crate) struct Enumerated {
    pub(crate) of: &'static str,
    pub(crate) names: &'static [&'static str],
}

/// The closed vocabularies beside `Symbol`. The order of names is that of the `*_index` functions.
pub(crate) const ENUMERATED: [Enumerated; 6] = [
    Enumerated { of: "Side", names: &["internal", "external"] },
    Enumerated { of: "PartyKind", names: &["person", "room", "service"] },
    Enumerated { of: "Direction", names: &["from_client", "to_client"] },
    Enumerated { of: "Protocol", names: &["xmpp", "irc", "matrix", "sip"] },
    Enumerated { of: "Sealing", names: &["omemo", "otr", "openpgp", "aesgcm", "other"] },
    Enumerated {
        of: "Weekday",
        names: &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    },
];

pub(crate) const SIDE: usize = 0;
pub(crate) const PARTY_KIND: usize = 1;
pub(crate) const DIRECTION: usize = 2;
pub(crate) const PROTOCOL: usize = 3;
pub(crate) const SEALING: usize = 4;
pub(crate) const WEEKDAY: usize = 5;

pub(crate) fn side_index(side: Side) -> u8 {
    match side {
        Side::Internal => 0,
        Side::External => 1,
    }
}

pub(crate) fn party_kind_index(kind: PartyKind) -> u8 {
    match kind {
        PartyKind::Person => 0,
        PartyKind::Room => 1,
        PartyKind::Service => 2,
    }
}

pub(crate) fn direction_index(direction: Direction) -> u8 {
    match direction {
        Direction::FromClient => 0,
        Direction::ToClient => 1,
    }
}

pub(crate) fn protocol_index(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Xmpp => 0,
        Protocol::Irc => 1,
        Protocol::Matrix => 2,
        Protocol::Sip => 3,
    }
}

pub(crate) fn sealing_index(sealing: Sealing) -> u8 {
    match sealing {
        Sealing::Omemo => 0,
        Sealing::Otr => 1,
        Sealing::Openpgp => 2,
        Sealing::Aesgcm => 3,
        Sealing::Other => 4,
    }
}

pub(crate) fn kind_index(kind: Kind) -> u8 {
    match kind {
        Kind::Message => 0,
        Kind::File => 1,
        Kind::Correction => 2,
        Kind::Retraction => 3,
        Kind::Reaction => 4,
        Kind::Invite => 5,
        Kind::Presence => 6,
        Kind::Call => 7,
        Kind::Profile => 8,
    }
}

/// The symbols rules may name: the detector table's, the operator's own patterns, and all their families.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Symbols(BTreeMap<Box<str>, Option<SymbolInfoText>>);

/// What the reference says of a symbol; a family has none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SymbolInfoText {
    pub(crate) score: Option<f32>,
    pub(crate) about: Box<str>,
    pub(crate) technique: Option<Box<str>>,
}

impl Symbols {
    /// The symbols of a detector table.
    pub fn new<'a>(table: impl IntoIterator<Item = &'a SymbolInfo>) -> Symbols {
        let mut symbols = Symbols::default();
        for info in table {
            let text = SymbolInfoText {
                score: Some(info.score),
                about: info.about.into(),
                technique: info.technique.map(Into::into),
            };
            symbols.add(info.symbol, text);
        }
        symbols
    }

    /// Adds symbols that only this installation has, by full name (`pattern.local.NAME`).
    pub fn with_local<S: AsRef<str>>(mut self, names: impl IntoIterator<Item = S>) -> Symbols {
        for name in names {
            let about = Box::from("an expression of this installation");
            self.add(name.as_ref(), SymbolInfoText { score: None, about, technique: None });
        }
        self
    }

    fn add(&mut self, name: &str, text: SymbolInfoText) {
        for family in ancestors(name).skip(1) {
            self.0.entry(family.into()).or_insert(None);
        }
        self.0.insert(name.into(), Some(text));
    }

    /// Whether rules may name it.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Every name, families included, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.keys().map(|k| &**k)
    }

    /// What a symbol weighs when seen once; 0 for a family or where only the detector knows.
    pub fn score(&self, name: &str) -> f32 {
        self.0.get(name).and_then(|text| text.as_ref()?.score).unwrap_or(0.0)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, Option<&SymbolInfoText>)> {
        self.0.iter().map(|(name, text)| (&**name, text.as_ref()))
    }
}

impl From<&[SymbolInfo]> for Symbols {
    fn from(table: &[SymbolInfo]) -> Symbols {
        Symbols::new(table)
    }
}

impl From<&Vec<SymbolInfo>> for Symbols {
    fn from(table: &Vec<SymbolInfo>) -> Symbols {
        Symbols::new(table)
    }
}

impl<const N: usize> From<&[SymbolInfo; N]> for Symbols {
    fn from(table: &[SymbolInfo; N]) -> Symbols {
        Symbols::new(table)
    }
}

impl From<&Symbols> for Symbols {
    fn from(symbols: &Symbols) -> Symbols {
        symbols.clone()
    }
}

/// A symbol and its families, longest first: `a.b.c`, `a.b`, `a`.
pub(crate) fn ancestors(symbol: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(symbol), |s| s.rsplit_once('.').map(|(family, _)| family))
}

/// The Cedar schema in its human-readable form.
pub(crate) fn text(symbols: &Symbols) -> String {
    let mut out = String::new();
    for Enumerated { of, names } in ENUMERATED {
        enumeration(&mut out, of, names.iter().copied());
    }
    enumeration(&mut out, "Symbol", symbols.names());
    out.push_str("entity Group;\nentity Domain in [Domain];\nentity Party in [Group, Domain] = {\n");
    attributes(&mut out, &PARTY);
    out.push_str("};\n");
    let kinds = Kind::ALL.map(|k| format!("\"{}\"", k.name())).join(", ");
    let _ = writeln!(out, "action {kinds} appliesTo {{ principal: [Party], resource: [Party], context: {{");
    attributes(&mut out, &CONTEXT);
    out.push_str("} };\n");
    out
}

fn enumeration<'a>(out: &mut String, of: &str, names: impl Iterator<Item = &'a str>) {
    let names: Vec<String> = names.map(|n| format!("\"{}\"", n.escape_default())).collect();
    match names.is_empty() {
        // An enumeration has at least one member; a type without members can't be named in a rule either.
        true => _ = writeln!(out, "entity {of} enum [\"\"];"),
        false => _ = writeln!(out, "entity {of} enum [{}];", names.join(", ")),
    }
}

fn attributes(out: &mut String, attributes: &[Attribute]) {
    for Attribute { name, of, optional, .. } in attributes {
        let _ = writeln!(out, "  {name}{}: {of},", if *optional { "?" } else { "" });
    }
}

/// Cedar names made once at load, cloned for each request.
pub(crate) struct Names {
    pub(crate) party: EntityTypeName,
    pub(crate) group: EntityTypeName,
    pub(crate) domain: EntityTypeName,
    pub(crate) actions: Vec<EntityUid>,
    pub(crate) enumerated: Vec<Vec<EntityUid>>,
    pub(crate) symbols: crate::Map<Box<str>, EntityUid>,
}

impl Names {
    pub(crate) fn new(symbols: &Symbols) -> Result<Names, Box<cedar_policy::ParseErrors>> {
        let name = |name: &str| name.parse::<EntityTypeName>().map_err(Box::new);
        let (action, symbol) = (name("Action")?, name("Symbol")?);
        let mut enumerated = Vec::new();
        for Enumerated { of, names } in ENUMERATED {
            let of = name(of)?;
            enumerated.push(names.iter().map(|id| uid(&of, id)).collect());
        }
        Ok(Names {
            party: name("Party")?,
            group: name("Group")?,
            domain: name("Domain")?,
            actions: Kind::ALL.iter().map(|kind| uid(&action, kind.name())).collect(),
            enumerated,
            symbols: symbols.names().map(|id| (id.into(), uid(&symbol, id))).collect(),
        })
    }
}

pub(crate) fn uid(of: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of.clone(), EntityId::new(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_and_names_agree() {
        for kind in Kind::ALL {
            assert_eq!(Kind::ALL[usize::from(kind_index(kind))], kind);
        }
        let name = |list: usize, index: u8| ENUMERATED[list].names[usize::from(index)];
        for p in [Protocol::Xmpp, Protocol::Irc, Protocol::Matrix, Protocol::Sip] {
            assert_eq!(name(PROTOCOL, protocol_index(p)), p.name());
        }
        for s in [Sealing::Omemo, Sealing::Otr, Sealing::Openpgp, Sealing::Aesgcm, Sealing::Other] {
            assert_eq!(name(SEALING, sealing_index(s)), s.name());
        }
        for d in [Direction::FromClient, Direction::ToClient] {
            assert_eq!(name(DIRECTION, direction_index(d)), d.name());
        }
    }

    #[test]
    fn families_are_symbols_too() {
        let symbols = Symbols::default().with_local(["pattern.local.project"]);
        assert_eq!(symbols.names().collect::<Vec<_>>(), ["pattern", "pattern.local", "pattern.local.project"]);
    }
}
