//! Who is who, seen from outside; and what is said of a file that is wrong.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use identity::Directory;
use model::{Address, Party, PartyKind, Protocol, Side};

const FILE: &str = r#"
internal_domains = ["Example.ORG", "corp.example"]
external_domains = ["guests.example.org"]

[people.alice]
name = "Alice Example"
xmpp = ["alice@example.org", "Alice.Work@partner.example"]
irc = ["alice"]
matrix = ["@alice:example.org"]
groups = ["finance"]

[people.robots]
xmpp = ["*@bots.example.org"]
groups = ["automatic"]

[groups.finance]
[groups.automatic]

[groups.staff]
domains = ["example.org"]

[groups.contractors]
accounts = ["*@contractor.example", "bob@freemail.example"]

[groups.partners]
domains = ["partner.example"]
includes = ["contractors"]

[groups.everyone-outside]
includes = ["partners"]
"#;

fn directory() -> Directory {
    Directory::load(FILE, "people.toml", &["chat.served.example"]).unwrap_or_else(|p| panic!("{p:?}"))
}

fn party(account: &str, kind: PartyKind) -> Party {
    directory().party(Protocol::Xmpp, Address::account(account), kind)
}

#[test]
fn an_address_gives_side_person_and_groups() {
    use Side::{External, Internal};
    let none: &[&str] = &[];
    for (account, side, person, groups) in [
        ("alice@example.org", Internal, Some("alice"), &["finance", "staff"][..]),
        ("ALICE@example.org", Internal, Some("alice"), &["finance", "staff"]),
        ("alice.work@partner.example", External, Some("alice"), &["everyone-outside", "finance", "partners"]),
        ("carol@example.org", Internal, None, &["staff"]),
        ("carol@eu.example.org", Internal, None, &["staff"]),
        ("carol@corp.example", Internal, None, none),
        ("carol@rooms.chat.served.example", Internal, None, none),
        ("dave@guests.example.org", External, None, &["staff"]),
        ("r2@bots.example.org", Internal, Some("robots"), &["automatic", "staff"]),
        ("r2@x.bots.example.org", Internal, None, &["staff"]),
        ("eve@contractor.example", External, None, &["contractors", "everyone-outside", "partners"]),
        ("eve@x.contractor.example", External, None, none),
        ("bob@freemail.example", External, None, &["contractors", "everyone-outside", "partners"]),
        ("eve@freemail.example", External, None, none),
        ("x@notexample.org", External, None, none),
        ("x@deep.partner.example", External, None, &["everyone-outside", "partners"]),
        ("", External, None, none),
        ("@", External, None, none),
        ("....", External, None, none),
    ] {
        let found = party(account, PartyKind::Person);
        let found_groups: Vec<&str> = found.groups.iter().map(|g| &**g).collect();
        assert_eq!((found.side, found.person.as_deref(), &found_groups[..]), (side, person, groups), "{account}");
    }
}

#[test]
fn an_address_belongs_to_its_protocol() {
    let directory = directory();
    let person = |protocol, account: &str| {
        directory.party(protocol, Address::account(account), PartyKind::Person).person.as_deref().map(str::to_owned)
    };
    assert_eq!(person(Protocol::Irc, "Alice").as_deref(), Some("alice"));
    assert_eq!(person(Protocol::Matrix, "@alice:example.org").as_deref(), Some("alice"));
    let stranger = directory.party(Protocol::Matrix, Address::account("@zoe:Example.org:8448"), PartyKind::Person);
    assert_eq!((stranger.side, &*stranger.groups[0]), (Side::Internal, "staff"));
    assert_eq!(person(Protocol::Sip, "alice@example.org"), None);
    assert_eq!(person(Protocol::Xmpp, "alice"), None);
}

#[test]
fn rooms_have_a_side_and_groups_but_are_nobody() {
    let room = party("r2@bots.example.org", PartyKind::Room);
    assert_eq!((room.side, room.person, room.groups.len()), (Side::Internal, None, 2));
}

#[test]
fn group_lists_are_shared() {
    let directory = directory();
    let of = |account: &str| directory.party(Protocol::Xmpp, Address::account(account), PartyKind::Person).groups;
    assert!(Arc::ptr_eq(&of("carol@example.org"), &of("dave@example.org")));
    assert!(Arc::ptr_eq(&of("nobody@elsewhere.example"), &of("else@elsewhere.example")));
}

#[test]
fn an_empty_file_knows_only_the_served_domains() {
    let directory = Directory::load("", "people.toml", &["example.org"]).unwrap();
    assert_eq!(directory.internal_domains(), ["example.org"]);
    assert_eq!(directory.side("conference.example.org"), Side::Internal);
    assert_eq!(directory.side("example.com"), Side::External);
}

#[test]
fn what_is_wrong_has_a_place_and_a_hint() {
    for (text, want) in [
        ("internal_domain = []", "d.toml:1:1: unknown field `internal_domain`, expected"),
        ("[people.a]\nxmp = [\"a@b\"]", "d.toml:2:1: unknown field `xmp`, expected"),
        ("[people.a]\nxmpp = \"a@b\"", "d.toml:2:8: invalid type: string \"a@b\", expected"),
        (
            "[people.a]\ngroups = [\n \"finanse\"]\n[groups.finance]",
            "d.toml:3:2: there is no group `finanse` - did you mean `finance`?",
        ),
        ("[people.a]\ngroups = [\"x\"]", "d.toml:2:11: there is no group `x` - add a table [groups.x]"),
        ("[groups.a]\nincludes = [\"b\"]\n[groups.b]\nincludes = [\"a\"]", "d.toml:1:9: group `a` includes itself"),
        ("[groups.a]\nincludes = [\"a\"]", "d.toml:1:9: group `a` includes itself"),
        ("[groups.a]\ndomains = [\"*.x.example\"]", "d.toml:2:12: `*.x.example` is not a domain - write `x.example`"),
        ("[groups.a]\ndomains = [\"a@x.example\"]", "d.toml:2:12: `a@x.example` is not a domain"),
        ("[groups.a]\naccounts = [\"al*@x.example\"]", "d.toml:2:13: `al*@x.example` is not an account"),
        ("[people.a]\nxmpp = [\"a@x/phone\"]", "d.toml:2:9: `a@x/phone` is not an account"),
        ("[people.a]\nxmpp = [\"a@x\"]\n[people.b]\nxmpp = [\"A@x\"]", "d.toml:4:9: `A@x` is also an address of `a`"),
        ("[people.\"\"]", "d.toml:1:9: a name of a person or group"),
        ("people = ", "d.toml:1:"),
    ] {
        let problems = Directory::load(text, "d.toml", &[]).unwrap_err();
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(shown.iter().any(|p| p.starts_with(want)), "{text}\n{shown:#?}\n{want}");
        assert!(
            problems.iter().all(|p| p.hint.is_some() || p.message.contains("invalid type") || text == "people = "),
            "{shown:?}"
        );
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let text = "[people.a]\ngroups = [\"x\", \"y\"]\nxmpp = [\"*\"]\n[groups.z]\ndomains = [\"\"]";
    let problems = Directory::load(text, "d.toml", &[]).unwrap_err();
    assert_eq!(problems.iter().map(|p| p.line).collect::<Vec<_>>(), [2, 2, 3, 5]);
}

#[test]
fn decoys_are_known_by_account_or_by_nick_in_a_room() {
    let text = "[[decoy]]\nname = \"Front desk\"\n\
                xmpp = [\"Helpdesk2@example.org\", \"lobby@rooms.example.org/Front desk\"]\n";
    let directory = Directory::load(text, "people.toml", &["example.org"]).unwrap();
    assert_eq!(directory.decoys(), 2);
    let party = |account: &str, device: Option<&str>, kind| {
        let address = Address { account: account.into(), device: device.map(Into::into) };
        directory.party(Protocol::Xmpp, address, kind)
    };
    assert!(party("helpdesk2@example.org", None, PartyKind::Person).decoy);
    assert!(party("helpdesk2@example.org", Some("phone"), PartyKind::Person).decoy);
    assert!(party("lobby@rooms.example.org", Some("Front desk"), PartyKind::Room).decoy);
    for (account, device, kind) in [
        ("lobby@rooms.example.org", None, PartyKind::Room),
        ("lobby@rooms.example.org", Some("Alice"), PartyKind::Room),
        ("helpdesk@example.org", None, PartyKind::Person),
        ("example.org", None, PartyKind::Service),
    ] {
        assert!(!party(account, device, kind).decoy, "{account} {device:?}");
    }
    let irc = directory.party(Protocol::Irc, Address::account("helpdesk2@example.org"), PartyKind::Person);
    assert!(!irc.decoy, "an address is a decoy on its own network");
}

#[test]
fn a_decoy_is_nobodys_address() {
    let text = "[people.alice]\nxmpp = [\"alice@example.org\"]\n\n\
                [[decoy]]\nxmpp = [\"alice@example.org\", \"*@example.org\"]\n";
    let problems = Directory::load(text, "people.toml", &[]).unwrap_err();
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(said[0].starts_with("people.toml:5:9: `alice@example.org` is an address of `alice` - "), "{said:?}");
    assert!(said[1].starts_with("people.toml:5:30: `*@example.org` can't be a decoy - "), "{said:?}");
}
