//! Fetches against a made-up server: what is asked, what is kept, what is held.

use super::*;
use crate::feeds;

struct Server {
    folder: tempfile::TempDir,
    now: Timestamp,
    asked: Vec<Request>,
}

impl Server {
    fn new() -> Server {
        let now = "2026-11-23T04:00:00Z".parse().unwrap();
        Server { folder: tempfile::tempdir().unwrap(), now, asked: Vec::new() }
    }

    fn folder(&self) -> Folder {
        Folder::of(self.folder.path(), "f")
    }

    fn fetch(&mut self, feed: &Subscription, answer: impl Fn(&Request) -> Result<Response, String>) -> Outcome {
        self.now += jiff::SignedDuration::from_hours(1);
        let (folder, now, asked) = (self.folder(), self.now, &mut self.asked);
        fetch(feed, &folder, now, &mut |request, most| {
            asked.push(request.clone());
            answer(request).and_then(|response| match response.body.len() as u64 > most {
                true => Err("too long".into()),
                false => Ok(response),
            })
        })
        .unwrap()
    }
}

fn subscription(format: &str, url: &str) -> Subscription {
    let feed = feeds::find(format).unwrap();
    Subscription {
        feed,
        terms: Terms::of(feed, "f"),
        place: Place::Web(url.parse().unwrap()),
        auth: Auth::Bearer { token: "secret".into() },
        every: Duration::from_secs(3_600),
        most: 1 << 20,
        bounds: ChangeBounds::default(),
    }
}

fn page(body: impl Into<Vec<u8>>, headers: &[(&str, &str)]) -> Response {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Response { status: 200, headers, body: body.into() }
}

fn status(status: u16, headers: &[(&str, &str)]) -> Response {
    Response { status, ..page("", headers) }
}

fn list(range: std::ops::Range<usize>) -> String {
    range.map(|i| format!("host{i}.badcdn.top\n")).collect()
}

#[test]
fn the_last_good_stays_whatever_comes_later() {
    let mut server = Server::new();
    let feed = subscription("plain", "https://feeds.example/list");
    let first = server.fetch(&feed, |_| Ok(page(list(0..500), &[("ETag", "\"1\"")])));
    assert_eq!(first, Outcome::Taken { entries: 500, errors: 0 });
    assert!(server.asked[0].headers.contains(&("Authorization", "Bearer secret".to_owned())));
    assert_eq!(server.fetch(&feed, |_| Ok(status(304, &[]))), Outcome::Same);
    assert!(server.asked[1].headers.contains(&("If-None-Match", "\"1\"".to_owned())));
    for (what, answer) in [
        ("no network", Err("unreachable".to_owned())),
        ("an error page", Ok(page("<html>\n<p>not here any more</p>\n</html>", &[]))),
        ("a status", Ok(status(503, &[("Retry-After", "900")]))),
        ("too much", Ok(page(vec![b'x'; 2 << 20], &[]))),
        ("a circle", Ok(status(302, &[("Location", "/again")]))),
        ("elsewhere", Ok(status(302, &[("Location", "http://169.254.169.254/")]))),
        ("a broken gzip", Ok(page(b"\x1f\x8b\x08\0nonsense", &[]))),
    ] {
        let outcome = server.fetch(&feed, |_| answer.clone());
        assert!(matches!(outcome, Outcome::Failed(_)), "{what}: {outcome:?}");
        let state = server.folder().state().unwrap();
        assert_eq!(state.entries, 500, "{what}");
        assert!(state.failures > 0 && state.error.is_some(), "{what}");
        assert_eq!(server.folder().good().unwrap().unwrap(), list(0..500).into_bytes(), "{what}");
    }
    assert!(server.asked.iter().all(|request| request.url.host_str() == Some("feeds.example")));
    assert!(server.asked.len() < 25, "circles end");
    let again = server.fetch(&feed, |_| Ok(page(list(0..501), &[])));
    assert_eq!(again, Outcome::Taken { entries: 501, errors: 0 });
    assert_eq!(server.folder().state().unwrap().failures, 0);
}

#[test]
fn a_sudden_change_is_held_until_a_person_accepts_it() {
    let mut server = Server::new();
    let feed = subscription("plain", "https://feeds.example/list");
    server.fetch(&feed, |_| Ok(page(list(0..500), &[])));
    for (body, after) in [(list(0..6_000), 6_000), (list(0..20), 20), ("# nothing\n".to_owned(), 0)] {
        let outcome = server.fetch(&feed, |_| Ok(page(body.clone(), &[("ETag", "\"odd\"")])));
        assert!(matches!(&outcome, Outcome::Held(held) if held.after == after), "{outcome:?}");
        assert_eq!(server.folder().good().unwrap().unwrap(), list(0..500).into_bytes());
        let state = server.folder().state().unwrap();
        assert_eq!((state.entries, state.mark.etag), (500, None));
    }
    // The publisher takes it back.
    assert_eq!(server.fetch(&feed, |_| Ok(page(list(0..500), &[]))), Outcome::Same);
    assert_eq!((server.folder().held().unwrap(), server.folder().state().unwrap().held), (None, None));
    assert_eq!(accept(&server.folder(), server.now).unwrap(), None);
    // Or a person agrees.
    server.fetch(&feed, |_| Ok(page(list(0..6_000), &[("ETag", "\"big\"")])));
    assert_eq!(accept(&server.folder(), server.now).unwrap(), Some(6_000));
    let state = server.folder().state().unwrap();
    assert_eq!((state.entries, state.mark.etag.as_deref(), state.held), (6_000, Some("\"big\""), None));
    assert_eq!(server.folder().good().unwrap().unwrap(), list(0..6_000).into_bytes());
}

#[test]
fn another_place_is_asked_from_the_start() {
    let mut server = Server::new();
    server.fetch(&subscription("plain", "https://feeds.example/list"), |_| {
        Ok(page(list(0..5), &[("Last-Modified", "Mon, 23 Nov 2026 04:00:00 GMT")]))
    });
    server.fetch(&subscription("plain", "https://feeds.example/list"), |_| Ok(status(304, &[])));
    assert!(server.asked[1].headers.iter().any(|(name, _)| *name == "If-Modified-Since"));
    server.fetch(&subscription("plain", "https://other.example/list"), |_| Ok(page(list(0..6), &[])));
    assert!(server.asked[2].headers.iter().all(|(name, _)| *name == "Authorization"));
}

#[test]
fn packed_feeds_are_unpacked_and_bombs_refused() {
    use std::io::Write;
    let packed = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let mut server = Server::new();
    let feed = subscription("plain", "https://feeds.example/list.gz");
    let bomb = packed(&vec![b'\n'; 50 << 20]);
    assert!(
        matches!(server.fetch(&feed, |_| Ok(page(bomb.clone(), &[]))), Outcome::Failed(why) if why.contains("unpacks"))
    );
    let good = packed(list(0..300).as_bytes());
    assert_eq!(server.fetch(&feed, |_| Ok(page(good.clone(), &[]))), Outcome::Taken { entries: 300, errors: 0 });
}

#[test]
fn files_are_feeds_too() {
    let mut server = Server::new();
    let path = server.folder.path().join("list.txt");
    let feed = Subscription { place: Place::File(path.clone()), ..subscription("hosts", "https://unused.example/") };
    let nobody = |_: &Request| -> Result<Response, String> { panic!("no network for a file") };
    assert!(matches!(server.fetch(&feed, nobody), Outcome::Failed(_)));
    fs::write(&path, "0.0.0.0 a.badcdn.top\n0.0.0.0 b@d.example\n").unwrap();
    assert_eq!(server.fetch(&feed, nobody), Outcome::Taken { entries: 1, errors: 1 });
    assert_eq!(server.fetch(&feed, nobody), Outcome::Same);
}

#[test]
fn misp_directories_come_in_parts() {
    const ONE: &str = "5c6983c8-3af8-4304-869c-12fe8ab2b5a1";
    const TWO: &str = "5c6983c8-3af8-4304-869c-12fe8ab2b5a2";
    let event = |uuid: &str, domain: &str| {
        format!(
            r#"{{"Event":{{"uuid":"{uuid}","info":"x","timestamp":"1600000000","date":"2026-01-01","Attribute":[{{"uuid":"{}","type":"domain","category":"Network activity","value":"{domain}","to_ids":true,"timestamp":"1600000000"}}]}}}}"#,
            uuid.replace("5c69", "6c69")
        )
    };
    let mut server = Server::new();
    let feed = subscription("misp-feed", "https://misp.example/feed/");
    let serve = |manifest: String| {
        move |request: &Request| {
            let file = request.url.path().rsplit('/').next().unwrap_or_default().to_owned();
            Ok(page(
                match file.strip_suffix(".json").unwrap_or_default() {
                    "manifest" => manifest.clone(),
                    ONE => event(ONE, "one.badcdn.top"),
                    uuid => event(uuid, "two.badcdn.top"),
                },
                &[],
            ))
        }
    };
    let manifest = |uuids: &[&str]| {
        let entries: Vec<String> = uuids.iter().map(|u| format!(r#""{u}":{{"timestamp":"1600000000"}}"#)).collect();
        format!("{{{}}}", entries.join(","))
    };
    assert_eq!(server.fetch(&feed, serve(manifest(&[ONE]))), Outcome::Taken { entries: 1, errors: 0 });
    assert_eq!(server.fetch(&feed, serve(manifest(&[ONE, TWO]))), Outcome::Taken { entries: 2, errors: 0 });
    let asked = server.asked.len();
    assert_eq!(server.fetch(&feed, serve(manifest(&[ONE, TWO]))), Outcome::Same);
    assert_eq!(server.asked.len(), asked + 1, "only the manifest is asked for");
    assert_eq!(server.fetch(&feed, serve(manifest(&[TWO]))), Outcome::Taken { entries: 1, errors: 0 });
}

#[test]
fn a_feeds_name_is_a_folders_name() {
    for (name, fits) in [("urlhaus", true), ("a.b-c_1", true), ("", false), (".x", false), ("a/b", false), ("Ä", false)]
    {
        assert_eq!(is_name(name), fits, "{name}");
    }
}
