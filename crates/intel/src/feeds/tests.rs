//! Every format: what its example gives, what its bad entries say, that none of them spoils another.

use super::*;

fn terms(feed: &dyn Feed) -> Terms {
    Terms { fetched: Some("2026-11-23T04:00:00Z".parse().unwrap()), ..Terms::of(feed, "f") }
}

fn read(format: &str, text: impl AsRef<[u8]>) -> Parsed {
    let feed = find(format).unwrap();
    parse(feed, text.as_ref(), &terms(feed))
}

fn shown(parsed: &Parsed) -> Vec<String> {
    parsed.indicators.iter().map(|indicator| indicator.pattern.shown()).collect()
}

#[test]
fn every_format_reads_its_example_and_survives_anything() {
    for (i, feed) in FEEDS.iter().enumerate() {
        let name = feed.name();
        assert!(FEEDS[i + 1..].iter().all(|other| other.name() != name), "{name} stands twice");
        let parsed = read(name, feed.example());
        assert!(!parsed.indicators.is_empty(), "{name}");
        assert_eq!(parsed.errors, [], "{name}");
        for indicator in &parsed.indicators {
            assert_eq!(indicator.source.feed, "f", "{name}");
            assert!(indicator.source.reference.is_some() && indicator.source.fetched.is_some(), "{name}");
            assert!((1..=100).contains(&indicator.confidence), "{name}");
            assert_eq!(feed.defaults().days.is_some(), indicator.valid_until.is_some(), "{name}");
        }
        for odd in [&b""[..], b"\0", b"\xff\xfe\n\xff", b"[", b"{}", b"[1,null,{}]", b"\"", b"a\n\"b", b"<html></html>"]
        {
            let parsed = read(name, odd);
            assert_eq!(parsed.indicators, [], "{name} {odd:?}");
        }
    }
}

#[test]
fn a_bad_entry_spoils_no_other() {
    for (format, text, taken, wrong) in [
        (
            "plain",
            "evil.example\nnot a thing\nhxxp://bad[.]example/a\ntext: claim your free prize\nshape:0123456789abcdef\nshape:xyz\n",
            vec!["evil[.]example", "http[:]//bad[.]example/a", "claim your free prize", "shape:0123456789abcdef"],
            vec!["line 2", "line 6"],
        ),
        (
            "hosts",
            "127.0.0.1 localhost\n0.0.0.0 a.example b.example#x\n8.8.8.8 dns.example\n0.0.0.0 bad_*name\nfoo\n::1 ip6-localhost\n",
            vec!["a[.]example", "b[.]example"],
            vec!["line 3", "line 5"],
        ),
        (
            "urlhaus",
            "# head\n\"1\",\"d\",\"http://a.example/x\",\"online\"\n\"2\",\"d\"\n\"3\",\"d\",\"not a url\",\"online\"\n\"4\",\"d\",\"http://b.example/\",\"offline\"\n\"5\",\"never closed\n\"6\",\"d\",\"http://c.example/\",\"online\"\n",
            vec!["http[:]//a[.]example/x", "http[:]//b[.]example/", "http[:]//c[.]example/"],
            vec!["line 3", "line 4", "line 6"],
        ),
        ("urlhaus", "# hosts\n127.0.0.1\ta.example\n", vec!["a[.]example"], vec![]),
        ("urlhaus", "# urls\nhttp://a.example/x\n\nnope\n", vec!["http[:]//a[.]example/x"], vec!["line 4"]),
        ("openphish", "https://a.example/b\r\nb\n", vec!["https[:]//a[.]example/b"], vec!["line 2"]),
        (
            "phishtank",
            r#"[{"phish_id":1,"url":"http://a.example/","verified":"yes","online":"yes"},{"url":3},{"phish_id":2,"url":"http://off.example/","online":"no"}]"#,
            vec!["http[:]//a[.]example/"],
            vec!["entry 1"],
        ),
        (
            "phishtank",
            "phish_id,url,verified,online\n1,\"http://a.example/?a,b\",yes,yes\n2,x,yes,yes\n",
            vec!["http[:]//a[.]example/?a,b"],
            vec!["line 3"],
        ),
        (
            "xmpp-blocklist",
            "# c\nspam.example\nxmpp:Eve@mixed.example/x\nno server\n\n",
            vec!["xmpp:spam[.]example", "xmpp:eve@mixed[.]example"],
            vec!["line 4"],
        ),
        (
            "xmpp-blocklist",
            r#"["spam.example", {"jid": "a@b.example"}, {"domain": "c.example"}, 7]"#,
            vec!["xmpp:spam[.]example", "xmpp:a@b[.]example", "xmpp:c[.]example"],
            vec!["entry 3"],
        ),
        (
            "yara",
            "rule a { strings: $a = \"spread me now\" condition: $a }\nrule b { condition: nope }\nrule c { condition: true }\n",
            vec!["yara:a"],
            vec!["line 2: b", "line 3: c"],
        ),
    ] {
        let parsed = read(format, text);
        let got: Vec<String> = shown(&parsed);
        assert_eq!(
            got.iter().map(|s| plain(s)).collect::<Vec<_>>(),
            taken.iter().map(|s| plain(s)).collect::<Vec<_>>(),
            "{format}"
        );
        assert_eq!(
            parsed.errors.iter().map(|e| e.place.as_str()).collect::<Vec<_>>(),
            wrong,
            "{format} {:?}",
            parsed.errors
        );
    }
}

fn plain(shown: &str) -> String {
    shown.replace("[.]", ".").replace("[:]", ":")
}

#[test]
fn tables_are_read_by_their_columns() {
    let feed = find("csv").unwrap();
    let columns = Columns {
        delimiter: Some(';'),
        header: true,
        value: Column::Name("IOC".into()),
        kind: Type::Auto,
        reference: Some(Column::Name("ref".into())),
        confidence: Some(Column::Number(3)),
        until: Some(Column::Name("end".into())),
    };
    let text = "ref;ioc;sure;end\n7;evil.example;90;2027-01-01T00:00:00Z\n8;\"https://a.example/x;y\";200;soon\n9;???;1;\n10;d41d8cd98f00b204e9800998ecf8427e;;\n11;@eve:m.example;5;\n";
    let parsed = parse(feed, text.as_bytes(), &Terms { columns: columns.clone(), ..terms(feed) });
    let got: Vec<_> = parsed.indicators.iter().map(|i| (plain(&i.pattern.shown()), i.confidence)).collect();
    let expected = [
        ("evil.example", 90),
        ("https://a.example/x;y", 100),
        ("d41d8cd98f00b204e9800998ecf8427e", 60),
        ("matrix:@eve:m.example", 5),
    ];
    assert_eq!(got, expected.map(|(text, sure)| (text.to_owned(), sure)));
    assert_eq!(parsed.indicators[0].valid_until, Some("2027-01-01T00:00:00Z".parse().unwrap()));
    assert_eq!(parsed.indicators[0].source.reference.as_deref(), Some("7"));
    assert_eq!(parsed.errors.len(), 1);
    let missing = Columns { value: Column::Name("nothing".into()), ..columns };
    let parsed = parse(feed, text.as_bytes(), &Terms { columns: missing, ..terms(feed) });
    assert!(parsed.errors[0].why.contains("the header has ref, ioc"), "{:?}", parsed.errors);
}

#[test]
fn what_is_not_verified_or_offline_counts_less() {
    let unverified = read("phishtank", r#"[{"phish_id":1,"url":"http://a.example/","verified":"no","online":"yes"}]"#);
    assert_eq!(unverified.indicators[0].strength, Strength::Note);
    let offline = read("urlhaus", "\"1\",\"d\",\"http://a.example/x\",\"offline\"\n");
    assert_eq!(offline.indicators[0].confidence, 65);
    assert_eq!(offline.indicators[0].source.reference.as_deref(), Some("id 1"));
}

#[test]
fn floods_of_errors_are_counted_not_kept() {
    let parsed = read("openphish", "nope\n".repeat(5_000));
    assert_eq!((parsed.errors.len(), parsed.errors_more), (ERRORS, 4_000));
}
