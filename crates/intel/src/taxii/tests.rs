//! Talks with servers, good and bad, played by a function.

use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::http::{Exchange, Response, Step};

const ROOT: &str = "https://taxii.example/api1/";

fn answer(body: &Value) -> Response {
    Response {
        status: 200,
        headers: vec![("Content-Type".into(), MEDIA_TYPE.into())],
        body: body.to_string().into_bytes(),
    }
}

fn object(number: usize) -> Value {
    json!({"type": "identity", "spec_version": "2.1", "id": format!("identity--00000000-0000-4000-8000-{number:012}"),
        "created": "2020-01-01T00:00:00Z", "modified": "2020-01-01T00:00:00Z", "name": "x"})
}

/// Plays the exchange; gives back what was asked, too.
fn play(mut client: Client, mut server: impl FnMut(&Request) -> Response) -> (Result<Harvest, Error>, Vec<String>) {
    let mut asked = Vec::new();
    let mut step = client.start();
    loop {
        match step {
            Err(error) => return (Err(error), asked),
            Ok(Step::Done(harvest)) => return (Ok(harvest), asked),
            Ok(Step::Next(request)) => {
                assert!(asked.len() < 1_000, "it never ends");
                asked.push(request.url.to_string());
                step = client.step(server(&request));
            }
        }
    }
}

fn client(from: From) -> Client {
    Client::new(Config::new(from, Auth::Bearer { token: "secret".into() }, Cursor::default()))
}

fn discovery() -> From {
    From::Discovery(Url::parse("https://taxii.example/taxii2").unwrap())
}

/// A server with one API root and two collections, pages of two.
fn good(request: &Request) -> Response {
    let query: std::collections::HashMap<_, _> = request.url.query_pairs().into_owned().collect();
    match request.url.path() {
        "/taxii2/" => answer(&json!({"title": "t", "default": ROOT, "api_roots": ["/api1/", "https://evil.example/"]})),
        "/api1/" => answer(&json!({"title": "r", "versions": [MEDIA_TYPE], "max_content_length": 1})),
        "/api1/collections/" => answer(&json!({"collections": [
            {"id": "a", "title": "A", "can_read": true, "can_write": false},
            {"id": "hidden", "title": "H", "can_read": false, "can_write": false},
            {"id": "b/../c", "title": "B", "alias": "bee", "can_read": true, "can_write": false},
        ]})),
        "/api1/collections/a/objects/" => {
            let from: usize = query.get("next").map_or(0, |next| next.parse().unwrap_or_default());
            let from =
                if query.get("added_after").is_some_and(|after| after == "2020-01-05T00:00:00Z") { 5 } else { from };
            let objects: Vec<Value> = (from..5).take(2).map(object).collect();
            let mut response =
                answer(&json!({"more": from + 2 < 5, "next": (from + 2).to_string(), "objects": objects}));
            if !objects.is_empty() {
                let last = format!("2020-01-0{}T00:00:00Z", from + objects.len());
                response.headers.push(("x-taxii-date-added-last".into(), last));
            }
            response
        }
        "/api1/collections/b%2F..%2Fc/objects/" => Response { status: 404, ..answer(&json!({})) },
        other => panic!("nobody should ask for {other}"),
    }
}

#[test]
fn everything_that_may_be_read_is_read() {
    let (harvest, asked) = play(client(discovery()), |request| {
        assert!(request.headers.contains(&("Authorization", "Bearer secret".into())));
        good(request)
    });
    let harvest = harvest.unwrap();
    assert_eq!(harvest.objects.len(), 5);
    assert_eq!(asked.len(), 7);
    let read: Vec<_> = harvest.collections.iter().map(|one| (&*one.id, one.objects, one.pages, one.complete)).collect();
    assert_eq!(read, [("a", 5, 3, true), ("b/../c", 0, 0, false)]);
    assert!(matches!(&harvest.failures[..], [Error::Elsewhere { .. }, Error::Status { status: 404, .. }]));
    assert_eq!(harvest.cursor.0["https://taxii.example/api1/collections/a/"], "2020-01-05T00:00:00Z");

    let mut config = Config::new(discovery(), Auth::None, harvest.cursor);
    config.only = vec!["A".into()];
    let (again, asked) = play(Client::new(config), good);
    let again = again.unwrap();
    assert!(again.objects.is_empty() && asked.last().unwrap().contains("added_after=2020-01-05T00%3A00%3A00Z"));
    assert_eq!(again.cursor.0.len(), 1);
}

#[test]
fn without_next_the_date_of_the_last_object_leads_on() {
    let place = From::Collection(Url::parse("https://taxii.example/api1/collections/a/").unwrap());
    let (harvest, asked) = play(client(place), |request| match request.url.query() {
        None => answer(&json!({"id": "a", "title": "A", "can_read": true, "can_write": false})),
        Some(query) => {
            let second = query.contains("added_after");
            let mut response = answer(&json!({"more": !second, "objects": [object(usize::from(second))]}));
            response
                .headers
                .push(("X-TAXII-Date-Added-Last".into(), format!("2020-01-0{}T00:00:00Z", 1 + u8::from(second))));
            response
        }
    });
    assert_eq!((harvest.unwrap().objects.len(), asked.len()), (2, 3));
}

#[test]
fn one_cursor_may_lead_through_all_pages() {
    let place = From::Collection(Url::parse("https://taxii.example/api1/collections/a/").unwrap());
    let mut count = 0;
    let (harvest, _) = play(client(place), |request| match request.url.query() {
        None => answer(&json!({"id": "a", "title": "A", "can_read": true, "can_write": false})),
        Some(_) => {
            count += 1;
            answer(&json!({"more": count < 4, "next": "session", "objects": [object(count)]}))
        }
    });
    let harvest = harvest.unwrap();
    assert_eq!((harvest.objects.len(), harvest.collections[0].complete), (4, true));
}

#[test]
fn pages_that_never_end_end() {
    let pages = |page: fn(usize) -> Value| {
        let mut count = 0;
        let mut config = Config::new(From::ApiRoot(Url::parse(ROOT).unwrap()), Auth::None, Cursor::default());
        config.bounds = Bounds { pages: 50, ..Bounds::default() };
        let (harvest, _) = play(Client::new(config), |request| match request.url.path() {
            "/api1/" | "/api1/collections/" => good(request),
            _ => {
                count += 1;
                answer(&page(count))
            }
        });
        harvest.unwrap().failures
    };
    let circle = pages(|_| json!({"more": true, "next": "x", "objects": [object(1)]}));
    assert!(matches!(circle[0], Error::Circle { .. }), "{circle:?}");
    let endless = pages(|count| json!({"more": true, "next": count.to_string(), "objects": []}));
    assert!(matches!(endless[0], Error::TooMuch { what: "pages", .. }), "{endless:?}");
    let lost = pages(|_| json!({"more": true, "objects": [object(1)]}));
    assert!(matches!(lost[0], Error::Not { .. }), "{lost:?}");
    let long = pages(|_| json!({"more": true, "next": "x".repeat(5_000), "objects": []}));
    assert!(matches!(long[0], Error::Not { .. }), "{long:?}");
}

#[test]
fn what_is_not_a_taxii_server_is_said_so() {
    let with = |change: fn(&mut Response)| {
        let (result, _) = play(client(discovery()), |_| {
            let mut response = answer(&json!({"api_roots": []}));
            change(&mut response);
            response
        });
        result.unwrap_err().to_string()
    };
    for (said, want) in [
        (with(|r| r.headers[0].1 = "text/html".into()), "content type `text/html`"),
        (with(|r| r.headers[0].1 = "application/taxii+json;version=2.0".into()), "content type"),
        (with(|r| r.headers.clear()), "content type"),
        (with(|r| r.body = b"<html>".to_vec()), "not TAXII 2.1: expected value"),
        (with(|r| r.body = vec![b' '; 5 << 20]), "more than 4194304 bytes"),
        (with(|r| r.status = 401), "check the credentials"),
        (with(|r| r.status = 406), "does not speak"),
        (with(|r| (r.status, r.headers) = (503, vec![("Retry-After".into(), "30".into())])), "come again in 30 s"),
        (
            with(|r| (r.status, r.headers) = (302, vec![("Location".into(), "/taxii2/".into())])),
            "more than 5 redirects",
        ),
        (
            with(|r| (r.status, r.headers) = (302, vec![("Location".into(), "https://evil.example/".into())])),
            "another server",
        ),
    ] {
        assert!(said.contains(want), "{said}");
    }
    let (result, _) = play(client(From::Discovery(Url::parse("file:///etc/").unwrap())), good);
    assert!(matches!(result, Err(Error::Url { .. })));
}
