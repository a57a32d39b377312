//! Whole ways through: native to STIX and back, STIX through here and out again, what a ceiling holds back.

use jiff::Timestamp;
use model::{Platform, Protocol};
use serde_json::{Value, json};

use super::*;
use crate::{Indicator, Kind, Pattern, Provenance, Reference, Strength, Threat, Tlp, When};

const MALWARE: &str = "malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b";
const INDICATOR: &str = "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f";
const OTHERS: &str = "identity--f431f809-377b-45e0-aa1c-6a4751cae5ff";
const AMBER: &str = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn indicator(number: u128, pattern: Pattern) -> Indicator {
    Indicator {
        id: uuid::Uuid::from_u128(number),
        pattern,
        threat: Some("bropia".into()),
        confidence: 80,
        strength: Strength::Block,
        valid_from: Some(time("2005-02-03T00:00:00.123456789Z")),
        valid_until: Some(time("2027-01-01T00:00:00Z")),
        source: Provenance { feed: "catalogue".into(), reference: Some("2005.toml:7".into()), fetched: None },
        marking: Tlp::Green,
    }
}

/// A threat of which everything is known that can be.
fn bropia() -> Threat {
    let mut bare = indicator(3, Pattern::domain("evil.test").unwrap());
    (bare.valid_from, bare.valid_until, bare.strength) = (None, Some(time("2005-03-01T00:00:00Z")), Strength::Note);
    Threat {
        id: "bropia".into(),
        name: "Bropia".into(),
        aliases: vec!["W32/Bropia".into()],
        family: Some("Bropia".into()),
        variant: true,
        kind: Kind::Worm,
        networks: vec!["msn".into()],
        platforms: vec![Platform::Windows],
        first_seen: When::parse("2005-01"),
        vectors: vec!["file-transfer".into()],
        techniques: vec!["T1566.003".into(), "T1204".into()],
        payload: Some("installs an Agobot variant".into()),
        about: "Offers itself as a picture.".into(),
        unknown: vec!["who wrote it".into()],
        sources: vec![
            Reference {
                by: "F-Secure".into(),
                url: Some("https://f-secure.example/bropia".into()),
                published: When::parse("2005-01-20"),
            },
            Reference { by: "a mailing list".into(), url: None, published: None },
            Reference { by: "The Register".into(), url: None, published: When::parse("2005") },
        ],
        confidence: 90,
        marking: Tlp::Green,
        indicators: vec![
            indicator(1, Pattern::file("d41d8cd98f00b204e9800998ecf8427a").unwrap()),
            indicator(2, Pattern::url("http://evil.test/%41/", true).unwrap()),
            bare,
            indicator(4, Pattern::account(Protocol::Xmpp, "worm@evil.test").unwrap()),
            indicator(5, Pattern::Text { value: "it's you \\ :D".into() }),
            indicator(6, Pattern::Yara { name: "bropia".into(), rule: "rule bropia { condition: false }".into() }),
            // Nothing that STIX's language says makes this of it again.
            indicator(7, Pattern::Account { protocol: Protocol::Sip, value: "sip: odd".into() }),
        ],
    }
}

fn out<'a>(threats: &'a [Threat], kept: &'a Objects, ceiling: Tlp, as_of: &str) -> Export<'a> {
    Export { threats, indicators: &[], kept, ceiling, as_of: time(as_of), author: "Example" }
}

fn bundle(objects: Value) -> Vec<u8> {
    json!({"type": "bundle", "id": "bundle--44af6c39-c09b-49c5-9de2-394224b04982", "objects": objects})
        .to_string()
        .into_bytes()
}

fn object(id: &str, more: Value) -> Value {
    let mut object = json!({"type": id.split("--").next(), "spec_version": "2.1", "id": id,
        "created": "2016-05-12T08:17:27.000Z", "modified": "2016-05-12T08:17:27.000Z"});
    object.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    object
}

fn indicates(pattern: &str) -> Value {
    object(INDICATOR, json!({"pattern": pattern, "pattern_type": "stix", "valid_from": "2016-05-12T08:17:27Z"}))
}

fn imported(objects: Value) -> Import {
    import(&bundle(objects), &Limits::default(), &Context::feed("partner", None, Strength::Block)).unwrap()
}

fn ids(objects: &Objects) -> Vec<String> {
    objects.iter().map(|object| object.id().to_string()).collect()
}

#[test]
fn a_threat_goes_out_and_comes_back_whole() {
    let mut threats = vec![bropia(), bropia(), bropia()];
    for (at, (threat, kind)) in threats.iter_mut().zip([Kind::Exploit, Kind::Spim, Kind::P2pMalware]).enumerate() {
        (threat.kind, threat.id, threat.indicators) = (kind, format!("other-{at}"), Vec::new());
    }
    threats.insert(0, bropia());
    let kept = Objects::default();
    let exported = export(&out(&threats, &kept, Tlp::Red, "2026-11-20T00:00:00Z"));
    assert_eq!(exported.errors, []);
    let text = exported.objects.to_bundle();
    let back = import(text.as_bytes(), &Limits::default(), &Context::own()).unwrap();
    assert_eq!((back.errors.len(), back.unmatched.len()), (0, 0));
    let (again, free) = back.nested();
    assert_eq!((again, free), (threats, vec![]));
}

#[test]
fn an_export_is_the_same_every_time_and_versions_only_what_changed() {
    let kept = Objects::default();
    let mut threats = [bropia()];
    let first = export(&out(&threats, &kept, Tlp::Red, "2026-11-20T00:00:00Z")).objects;
    assert_eq!(first.to_bundle(), export(&out(&threats, &kept, Tlp::Red, "2026-11-20T00:00:00Z")).objects.to_bundle());
    let later = export(&out(&threats, &first, Tlp::Red, "2026-12-01T00:00:00Z")).objects;
    assert_eq!(later.to_bundle(), first.to_bundle());

    threats[0].techniques.pop();
    threats[0].about = "Offers itself as a picture of a chicken.".into();
    let changed = export(&out(&threats, &first, Tlp::Red, "2026-12-01T00:00:00Z")).objects;
    let new: Vec<&Object> = changed.iter().filter(|object| first.latest(object.id()) != Some(object)).collect();
    let kinds: Vec<(&str, bool)> = new.iter().map(|object| (&*object.id().kind, object.is_revoked())).collect();
    assert_eq!(kinds, [("malware", false), ("relationship", true)]);
    assert!(new.iter().all(|object| object.modified() == Some(time("2026-12-01T00:00:00Z"))));
    let back = interpret(changed, &Context::own());
    assert_eq!(back.threats[0].techniques, ["T1566.003"]);
}

#[test]
fn what_others_add_to_our_objects_stays() {
    let kept = Objects::default();
    let mut threats = [bropia()];
    let first = export(&out(&threats, &kept, Tlp::Red, "2026-11-20T00:00:00Z")).objects;
    let mut changed: Value = serde_json::from_str(&first.to_bundle()).unwrap();
    let malware = changed["objects"].as_array_mut().unwrap().iter_mut().find(|one| one["type"] == "malware").unwrap();
    malware["labels"] = json!(["seen-by-us"]);
    malware["extensions"]["extension-definition--11111111-1111-4111-8111-111111111111"] = json!({"x": 1});
    malware["modified"] = "2026-11-21T00:00:00.000Z".into();
    let kept = read(changed.to_string().as_bytes(), &Limits::default()).unwrap().objects;
    threats[0].confidence = 10;
    let exported = export(&out(&threats, &kept, Tlp::Red, "2026-12-01T00:00:00Z")).objects;
    let malware = exported.iter().find(|object| &*object.id().kind == "malware").unwrap().properties();
    assert_eq!((&malware["labels"], &malware["confidence"]), (&json!(["seen-by-us"]), &json!(10)));
    assert_eq!(malware["extensions"].as_object().unwrap().len(), 2);
}

#[test]
fn what_is_not_understood_goes_through_unchanged() {
    let objects = json!([
        object(OTHERS, json!({"name": "Partner", "x_custom": {"deep": [1, 2.50, null]}, "lang": "de"})),
        indicates("[domain-name:value = 'evil.test' OR file:name = 'a.exe']"),
        object("x-vendor-thing--11111111-1111-4111-8111-111111111111", json!({"anything": ["goes"]})),
        object("sighting--22222222-2222-4222-8222-222222222222", json!({"sighting_of_ref": INDICATOR, "count": 3})),
        object("note--33333333-3333-4333-8333-333333333333", json!({"content": "ü", "object_refs": [INDICATOR]})),
        json!({"type": "ipv4-addr", "id": "ipv4-addr--44444444-4444-4444-8444-444444444444", "value": "198.51.100.1"}),
        object(
            "language-content--55555555-5555-4555-8555-555555555555",
            json!({"object_ref": OTHERS, "contents": {"fr": {"name": "Partenaire"}}})
        ),
        object(
            MALWARE,
            json!({"name": "Worm", "is_family": false, "malware_types": ["worm"], "lang": "en",
            "granular_markings": [{"lang": "fr", "selectors": ["name"]}], "created": "2016-05-12T08:17:27Z"})
        ),
    ]);
    let import = imported(objects.clone());
    assert_eq!((import.errors.len(), import.threats.len(), import.indicators.len()), (0, 1, 1));
    let mut changed = import.threats.clone();
    changed[0].confidence = 1;
    let what =
        Export { indicators: &import.indicators, ..out(&changed, &import.objects, Tlp::Red, "2026-12-01T00:00:00Z") };
    let again: Value = serde_json::from_str(&export(&what).objects.to_bundle()).unwrap();
    assert_eq!(again["objects"], objects);
}

#[test]
fn one_bad_object_does_not_spoil_the_rest() {
    let import = imported(json!([
        object("malware--31b940d4", json!({})),
        object("campaign--11111111-1111-4111-8111-111111111111", json!({"name": 7})),
        object(OTHERS, json!({"name": "x", "modified": "2015-01-01T00:00:00Z"})),
        object(
            "relationship--22222222-2222-4222-8222-222222222222",
            json!({"relationship_type": "uses", "source_ref": MALWARE})
        ),
        "a string",
        indicates(&format!("[domain-name:value = '{}']", "x".repeat(2 << 20))),
        object(
            "indicator--33333333-3333-4333-8333-333333333333",
            json!({"pattern": "[domain-name:value = 'evil.test']", "pattern_type": "stix", "valid_from": "2016-01-01T00:00:00Z"})
        ),
    ]));
    let said: Vec<String> = import.errors.iter().map(ObjectError::to_string).collect();
    let want = [
        "malware--31b940d4: id: missing, or not of the form type--UUID",
        "campaign--11111111-1111-4111-8111-111111111111: name: 7: not a string",
        "identity--f431f809-377b-45e0-aa1c-6a4751cae5ff: modified: before `created`",
        "relationship--22222222-2222-4222-8222-222222222222: target_ref: missing",
        "objects[4]: `a string`: not an object",
        "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f: pattern: longer than 1048576 bytes",
    ];
    assert_eq!(said, want);
    assert_eq!((import.objects.len(), import.indicators.len()), (1, 1));
}

#[test]
fn hostile_bundles_are_bounded() {
    let limits = Limits { bytes: 10_000, objects: 3, errors: 2, ..Limits::default() };
    assert!(matches!(read(&[b' '; 10_001], &limits), Err(Error::TooLarge { .. })));
    assert!(matches!(read(b"\xff", &limits), Err(Error::Encoding { at: 0 })));
    assert!(read(br#"{"objects":[1,2,3,4]}"#, &limits).unwrap_err().to_string().contains("more than 3 objects"));
    let bad = read(br#"{"objects":[1,2,3]}"#, &limits).unwrap();
    assert_eq!((bad.errors.len(), bad.more_errors), (2, 1));
    for text in ["", "[", "[]", "7", r#"{"objects":[]} x"#, r#"{"objects":[],"objects":[]}"#] {
        assert!(read(text.as_bytes(), &limits).is_err(), "{text}");
    }
    let deep = format!(r#"{{"objects":[{{"a":{}1{}}}]}}"#, "[".repeat(1_000), "]".repeat(1_000));
    assert!(read(deep.as_bytes(), &limits).unwrap().errors[0].why.contains("deeper"));
    let future = Limits { latest: Some(time("2016-01-01T00:00:00Z")), ..Limits::default() };
    let read = read(&bundle(json!([object(OTHERS, json!({"name": "x"}))])), &future).unwrap();
    assert!(read.objects.is_empty() && read.errors[0].why.contains("future"));
}

#[test]
fn feeds_do_not_say_how_far_they_are_trusted() {
    let kept = Objects::default();
    let text = export(&out(&[bropia()], &kept, Tlp::Red, "2026-11-20T00:00:00Z")).objects.to_bundle();
    let context = Context::feed("partner", None, Strength::Note);
    let import = import(text.as_bytes(), &Limits::default(), &context).unwrap();
    assert!(import.indicators.iter().all(|one| one.strength == Strength::Note && one.source.feed == "partner"));
    assert!(import.threats.iter().all(|threat| threat.id.starts_with("malware--")));
    assert!(import.indicators.iter().all(|one| one.threat.as_ref() == Some(&import.threats[0].id)));
}

#[test]
fn revoked_objects_and_old_versions_arm_nothing() {
    let mut new = indicates("[domain-name:value = 'evil.test']");
    new["modified"] = "2020-01-01T00:00:00Z".into();
    new["revoked"] = true.into();
    let import = imported(json!([new, indicates("[domain-name:value = 'evil.test']")]));
    assert!(import.indicators.is_empty());
    assert_eq!((ids(&import.objects), import.revoked[0].to_string()), (vec![INDICATOR.into()], INDICATOR.into()));
}

#[test]
fn circles_of_relationships_do_no_harm() {
    let relation = |number: u32, kind: &str, from: &str, to: &str| {
        object(
            &format!("relationship--00000000-0000-4000-8000-{number:012}"),
            json!({"relationship_type": kind, "source_ref": from, "target_ref": to}),
        )
    };
    let campaign = "campaign--11111111-1111-4111-8111-111111111111";
    let import = imported(json!([
        object(MALWARE, json!({"name": "Worm", "malware_types": ["worm"]})),
        object(campaign, json!({"name": "Spread"})),
        relation(1, "uses", campaign, MALWARE),
        relation(2, "uses", MALWARE, campaign),
        relation(3, "uses", campaign, campaign),
        relation(4, "indicates", INDICATOR, campaign),
        relation(5, "uses", "malware--99999999-9999-4999-8999-999999999999", MALWARE),
        indicates("[domain-name:value = 'evil.test']"),
    ]));
    assert_eq!(import.threats.iter().map(|threat| threat.kind).collect::<Vec<_>>(), [Kind::Worm, Kind::Worm]);
    assert_eq!(import.indicators[0].threat.as_deref(), Some(campaign));
    let exported = export(&out(&import.threats, &import.objects, Tlp::Clear, "2026-12-01T00:00:00Z"));
    assert_eq!(exported.objects.len(), import.objects.len());
}

#[test]
fn nothing_above_the_ceiling_goes_out_nor_what_mentions_it() {
    let relation = "relationship--22222222-2222-4222-8222-222222222222";
    let report = "report--33333333-3333-4333-8333-333333333333";
    let objects = json!([
        object(OTHERS, json!({"name": "Partner"})),
        object(MALWARE, json!({"name": "Worm", "object_marking_refs": [AMBER]})),
        indicates("[domain-name:value = 'evil.test']"),
        object(relation, json!({"relationship_type": "indicates", "source_ref": INDICATOR, "target_ref": MALWARE})),
        object(report, json!({"name": "r", "object_refs": [relation]})),
        object(
            "note--44444444-4444-4444-8444-444444444444",
            json!({"content": format!("as {report} says"), "object_refs": [OTHERS]})
        ),
    ]);
    let import = imported(objects);
    assert_eq!(import.threats[0].marking, Tlp::Amber);
    let exported = export(&out(&import.threats, &import.objects, Tlp::Green, "2026-12-01T00:00:00Z"));
    assert_eq!(ids(&exported.objects), [OTHERS, INDICATOR]);
    assert_eq!(exported.withheld.len(), 4);
    assert_eq!(exported.withheld[0].marking, Some(Tlp::Amber));
    assert_eq!(exported.withheld[1].mentions.as_ref().map(Id::to_string).as_deref(), Some(MALWARE));
    let all = export(&out(&import.threats, &import.objects, Tlp::Amber, "2026-12-01T00:00:00Z"));
    assert_eq!((all.objects.len(), all.withheld.len()), (6, 0));

    // What this site keeps closer than its source did stays in as well.
    let mut closer = import.indicators.clone();
    closer[0].marking = Tlp::Red;
    let what = Export { indicators: &closer, ..out(&[], &import.objects, Tlp::Amber, "2026-12-01T00:00:00Z") };
    assert!(!ids(&export(&what).objects).contains(&INDICATOR.to_owned()));
}

#[test]
fn ones_own_marks_count_as_they_are_now_and_others_as_they_ever_were() {
    let kept = Objects::default();
    let mut threats = [bropia()];
    threats[0].marking = Tlp::Red;
    let secret = export(&out(&threats, &kept, Tlp::Red, "2026-11-20T00:00:00Z")).objects;
    let shut = export(&out(&threats, &secret, Tlp::Green, "2026-11-21T00:00:00Z"));
    assert!(!shut.objects.to_bundle().contains("Bropia"));
    threats[0].marking = Tlp::Clear;
    let open = export(&out(&threats, &secret, Tlp::Green, "2026-11-21T00:00:00Z"));
    assert!(
        open.objects
            .all()
            .all(|object| !object.text().contains("e828b379") || &*object.id().kind == "marking-definition")
    );
    assert!(open.objects.to_bundle().contains("Bropia"));

    let mut later = object(MALWARE, json!({"name": "Worm"}));
    later["modified"] = "2020-01-01T00:00:00Z".into();
    let import = imported(json!([object(MALWARE, json!({"name": "Worm", "object_marking_refs": [AMBER]})), later]));
    assert!(export(&out(&[], &import.objects, Tlp::Green, "2026-12-01T00:00:00Z")).objects.is_empty());
}

proptest::proptest! {
    #[test]
    fn no_bundle_is_too_strange(text in r#"[\[\]{}:," \\a-dtype0-9-]{0,80}"#) {
        let _ = import(text.as_bytes(), &Limits::default(), &Context::own());
    }
}
