//! Whole ways: events through here and out again, threats as events and back, feeds that are good and bad.

use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::*;
use crate::http::{Auth, Exchange, Request, Response, Step};
use crate::stix::Context;
use crate::{Indicator, Kind, Pattern, Provenance, Reference, Strength, Threat, Tlp, When};

const EVENT: &str = "5b773e07-e694-458b-b99c-27f30a016219";

fn attribute(number: u32, kind: &str, value: &str, to_ids: bool) -> Value {
    json!({"id": number.to_string(), "uuid": format!("00000000-0000-4000-8000-{number:012}"), "type": kind,
        "value": value, "to_ids": to_ids, "timestamp": "1534805111", "deleted": false, "x": [1, null]})
}

fn event(attributes: Value, tags: &[&str]) -> Value {
    let tags: Vec<Value> = tags.iter().map(|name| json!({"name": name, "colour": "#fff"})).collect();
    json!({"Event": {"id": "250", "uuid": EVENT, "info": "A worm", "date": "2018-08-17", "timestamp": "1534881925",
        "distribution": "3", "Orgc": {"name": "Example"}, "Tag": tags, "Attribute": attributes,
        "RelatedEvent": [], "unknown": {"kept": true}}})
}

fn context() -> Context {
    Context::feed("partner", None, Strength::Block)
}

fn imported(document: &Value) -> Import {
    import(document.to_string().as_bytes(), &Limits::default(), &context()).unwrap()
}

fn out<'a>(threats: &'a [Threat], indicators: &'a [Indicator], kept: &'a Events, ceiling: Tlp) -> Export<'a> {
    let as_of = "2026-11-20T00:00:00Z".parse().unwrap();
    Export { threats, indicators, kept, ceiling, as_of, author: "Example" }
}

#[test]
fn an_event_tells_its_threat_and_what_to_match() {
    let mut event = event(
        json!([
            attribute(1, "domain|ip", "evil.test|198.51.100.1", true),
            attribute(2, "md5", "01c0b7c5bf605ed267b2be3d024eb9ab", false),
            attribute(3, "regkey", "HKLM\\x", true),
            attribute(4, "comment", "see there", false),
            attribute(5, "link", "https://blog.example/worm", false),
        ]),
        &[
            "tlp:green",
            "misp-galaxy:mitre-attack-pattern=\"Spearphishing via Service - T1566.003\"",
            "misp-galaxy:mitre-course-of-action=\"User Training - T1204\"",
            "malware_classification:malware-category=\"Worm\"",
            "misp:confidence-level=\"usually-confident\"",
            "portcullis:network=\"msn\"",
        ],
    );
    event["Event"]["Galaxy"] = json!([{"type": "mitre-malware", "GalaxyCluster": [
        {"value": "Bropia - S0999", "meta": {"synonyms": ["Bropia", "W32/Bropia"], "external_id": ["S0999"]}}]}]);
    event["Event"]["Object"] = json!([{"name": "x", "Attribute": [attribute(6, "jabber-id", "a@evil.test", true)]}]);
    let import = imported(&event);
    let [threat] = &import.threats[..] else { panic!("one threat") };
    assert_eq!((threat.name.as_str(), threat.kind, threat.marking), ("Bropia", Kind::Worm, Tlp::Green));
    assert_eq!((&threat.aliases[..], &threat.networks[..]), (&["W32/Bropia".to_owned()][..], &["msn".to_owned()][..]));
    assert_eq!((&threat.techniques[..], threat.confidence), (&["T1566.003".to_owned()][..], 75));
    assert_eq!(threat.sources.len(), 2);
    let got: Vec<(Pattern, Strength)> =
        import.indicators.iter().map(|one| (one.pattern.clone(), one.strength)).collect();
    assert_eq!(
        got,
        [
            (Pattern::domain("evil.test").unwrap(), Strength::Block),
            (Pattern::net("198.51.100.1").unwrap(), Strength::Block),
            (Pattern::file("01c0b7c5bf605ed267b2be3d024eb9ab").unwrap(), Strength::Note),
            (Pattern::account(model::Protocol::Xmpp, "a@evil.test").unwrap(), Strength::Block),
        ]
    );
    assert!(import.indicators.iter().all(|one| one.threat.as_ref() == Some(&threat.id) && one.confidence == 75));
    assert_eq!(import.unmatched.iter().map(|one| &*one.kind).collect::<Vec<_>>(), ["regkey"]);

    let text = export(&out(&import.threats, &import.indicators, &import.events, Tlp::Red)).events.to_json();
    let again: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(again, json!({"response": [event]}));
}

#[test]
fn wrappings_differ_and_the_newest_version_counts() {
    let one = event(json!([]), &[]);
    let mut newer = one.clone();
    (newer["Event"]["timestamp"], newer["Event"]["info"]) = (json!(1_600_000_000), json!("newer"));
    for document in
        [one.clone(), json!({"response": [one]}), json!([one]), json!({"response": one}), one["Event"].clone()]
    {
        assert_eq!(imported(&document).events.len(), 1, "{document}");
    }
    let import = imported(&json!([newer, one]));
    assert_eq!(import.events.iter().next().unwrap().properties()["info"], "newer");
}

#[test]
fn one_bad_entry_does_not_spoil_the_rest() {
    let mut no_uuid = attribute(1, "domain", "a.test", true);
    no_uuid["uuid"] = "x".into();
    let mut number = attribute(2, "domain", "b.test", true);
    number["value"] = 7.into();
    let mut deleted = attribute(3, "domain", "c.test", true);
    deleted["deleted"] = "1".into();
    let good = event(json!([no_uuid, number, deleted, "text", attribute(4, "domain", "d.test", true)]), &[]);
    let import = imported(&json!([{"Event": {"uuid": "y", "info": ""}}, {"Event": {"uuid": EVENT}}, 7, good]));
    let said: Vec<String> = import.errors.iter().map(EntryError::to_string).collect();
    assert_eq!(
        said,
        [
            "event 1: uuid: `y` is no UUID",
            "5b773e07-e694-458b-b99c-27f30a016219: info: missing, or not a string",
            "event 3: not an event",
            "x: uuid: missing, or no UUID",
            "00000000-0000-4000-8000-000000000002: value: missing, or not a string",
            "5b773e07-e694-458b-b99c-27f30a016219 attribute 4: not an attribute",
        ]
    );
    assert_eq!(import.indicators.len(), 1);
    for text in ["", "7", "{}", "{\"Event\":", "[1"] {
        assert!(import_err(text), "{text}");
    }
}

fn import_err(text: &str) -> bool {
    import(text.as_bytes(), &Limits::default(), &context()).is_err()
}

fn threat() -> Threat {
    let indicator = |number: u128, pattern, marking| Indicator {
        id: Uuid::from_u128(number),
        pattern,
        threat: Some("bropia".into()),
        confidence: 80,
        strength: Strength::Block,
        valid_from: Some("2005-02-03T00:00:00Z".parse().unwrap()),
        valid_until: None,
        source: Provenance { feed: "catalogue".into(), reference: None, fetched: None },
        marking,
    };
    Threat {
        id: "bropia".into(),
        name: "Bropia".into(),
        aliases: vec!["W32/Bropia".into()],
        family: Some("Bropia".into()),
        variant: true,
        kind: Kind::Worm,
        networks: vec!["msn".into()],
        platforms: vec![],
        first_seen: When::parse("2005-01"),
        vectors: vec!["link".into()],
        techniques: vec!["T1566.003".into()],
        payload: None,
        about: "Offers itself as a picture.".into(),
        unknown: vec!["who wrote it".into()],
        sources: vec![Reference { by: "F-Secure".into(), url: None, published: When::parse("2005") }],
        confidence: 90,
        marking: Tlp::Green,
        indicators: vec![
            indicator(1, Pattern::domain("evil.test").unwrap(), Tlp::Green),
            indicator(2, Pattern::Text { value: "it's you".into() }, Tlp::Green),
            indicator(3, Pattern::net("198.51.100.0/24").unwrap(), Tlp::Red),
        ],
    }
}

#[test]
fn a_threat_goes_out_as_an_event_and_comes_back_whole() {
    let (threats, kept) = ([threat()], Events::default());
    let exported = export(&out(&threats, &[], &kept, Tlp::Red));
    assert!(exported.errors.is_empty());
    let back = import(exported.events.to_json().as_bytes(), &Limits::default(), &Context::own()).unwrap();
    assert_eq!(back.threats, [Threat { indicators: Vec::new(), ..threat() }]);
    assert_eq!(back.indicators, threat().indicators);
    let again = export(&out(&back.threats, &back.indicators, &exported.events, Tlp::Red));
    assert_eq!(again.events.to_json(), exported.events.to_json());

    // To others it is an event like any other: their trust in it is their own.
    let foreign = import(exported.events.to_json().as_bytes(), &Limits::default(), &context()).unwrap();
    assert_eq!((foreign.threats[0].kind, &foreign.threats[0].networks[..]), (Kind::Worm, &["msn".to_owned()][..]));
    assert!(foreign.threats[0].id.starts_with("misp--"));
    assert!(foreign.indicators.iter().all(|one| one.source.feed == "partner"));
}

#[test]
fn nothing_above_the_ceiling_goes_out() {
    let (threats, kept) = ([threat()], Events::default());
    let green = export(&out(&threats, &[], &kept, Tlp::Green)).events.to_json();
    assert!(green.contains("evil.test") && !green.contains("198.51.100"));
    assert!(export(&out(&threats, &[], &kept, Tlp::Clear)).events.is_empty());

    // What this site keeps closer than its source did stays in as well.
    let mut import = imported(&event(json!([attribute(1, "domain", "a.test", true)]), &["tlp:clear"]));
    assert_eq!(export(&out(&[], &import.indicators, &import.events, Tlp::Green)).events.len(), 1);
    import.indicators[0].marking = Tlp::Red;
    assert!(export(&out(&[], &import.indicators, &import.events, Tlp::Green)).events.is_empty());

    let mut inner = attribute(1, "domain", "a.test", true);
    inner["Tag"] = json!([{"name": "tlp:red"}]);
    let mut shut = event(json!([]), &[]);
    shut["Event"]["distribution"] = "0".into();
    for document in
        [event(json!([]), &["tlp:amber"]), event(json!([inner]), &["tlp:clear"]), event(json!([]), &["tlp:odd"]), shut]
    {
        let import = imported(&document);
        let exported = export(&out(&import.threats, &import.indicators, &import.events, Tlp::Green));
        assert_eq!((exported.events.len(), exported.withheld.len()), (0, 1), "{document}");
    }
}

fn play(feed: Feed, mut server: impl FnMut(&Request) -> Response) -> (Result<Fetched, FeedError>, Vec<String>) {
    let mut feed = feed;
    let mut asked = Vec::new();
    let mut step = feed.start();
    loop {
        match step {
            Err(error) => return (Err(error), asked),
            Ok(Step::Done(fetched)) => return (Ok(fetched), asked),
            Ok(Step::Next(request)) => {
                assert!(asked.len() < 100, "it never ends");
                asked.push(request.url.path().to_owned());
                step = feed.step(server(&request));
            }
        }
    }
}

fn answer(status: u16, body: &Value) -> Response {
    Response { status, headers: Vec::new(), body: body.to_string().into_bytes() }
}

#[test]
fn a_feed_gives_what_has_changed() {
    const OTHER: &str = "11111111-1111-4111-8111-111111111111";
    const LOST: &str = "22222222-2222-4222-8222-222222222222";
    let base = Url::parse("https://feed.example/osint/manifest.json").unwrap();
    let manifest = json!({EVENT: {"timestamp": "100", "info": "x"}, OTHER: {"timestamp": 50}, LOST: {"timestamp": 7},
        "../../etc/passwd": {"timestamp": 1}, "33333333-3333-4333-8333-333333333333": {}});
    let server = |request: &Request| match request.url.path() {
        "/osint/manifest.json" => answer(200, &manifest),
        path if path.ends_with(&format!("{LOST}.json")) => answer(404, &json!({})),
        _ => answer(200, &event(json!([]), &[])),
    };
    let (fetched, asked) = play(Feed::new(base.clone(), Auth::None, Manifest::default(), Limits::default()), server);
    let fetched = fetched.unwrap();
    assert_eq!(asked.len(), 4);
    assert_eq!(fetched.events.iter().map(|event| event.uuid().to_string()).collect::<Vec<_>>(), [EVENT]);
    let wrong: Vec<String> = fetched.errors.iter().map(EntryError::to_string).collect();
    assert_eq!(
        wrong,
        [
            "../../etc/passwd: uuid: missing, or makes no sense",
            "33333333-3333-4333-8333-333333333333: timestamp: missing, or makes no sense",
            "11111111-1111-4111-8111-111111111111: the file holds another event",
            "22222222-2222-4222-8222-222222222222: status 404",
        ]
    );
    // What failed is asked for again, what came is not, what is gone is said.
    let mut before = fetched.manifest;
    before.0.insert(Uuid::from_u128(9), Entry { timestamp: 1 });
    let (again, asked) = play(Feed::new(base, Auth::None, before, Limits::default()), server);
    assert_eq!(asked.len(), 3);
    assert_eq!(again.unwrap().gone, [Uuid::from_u128(9)]);
}

#[test]
fn a_feed_that_is_none_is_said_so() {
    let feed =
        || Feed::new(Url::parse("https://feed.example").unwrap(), Auth::None, Manifest::default(), Limits::default());
    let said = |response: Response| play(feed(), |_| response.clone()).0.unwrap_err().to_string();
    assert!(said(answer(500, &json!({}))).contains("status 500"));
    assert!(said(answer(200, &json!([]))).contains("not a MISP manifest"));
    let round = Response { status: 301, headers: vec![("Location".into(), "/manifest.json".into())], body: Vec::new() };
    assert!(said(round).contains("redirects"));
    let away =
        Response { status: 301, headers: vec![("Location".into(), "https://evil.example".into())], body: Vec::new() };
    assert!(said(away).contains("another server"));
}

proptest::proptest! {
    #[test]
    fn no_document_is_too_strange(text in r#"[\[\]{}:,"a-zEO0-9-]{0,80}"#) {
        let _ = import(text.as_bytes(), &Limits::default(), &Context::own());
    }
}
