//! What gets into an index, what does not, and what it then matches: tables.
#![allow(clippy::unwrap_used)]

use indicators::{Index, Matched, ThreatKind};
use model::Protocol;

fn index(text: &str) -> Index {
    let mut builder = Index::builder();
    assert_eq!(builder.add_list("t", text, ThreatKind::Phishing), []);
    let (index, refused) = builder.build();
    assert_eq!(refused, []);
    index
}

#[test]
fn entries_that_would_hit_bystanders_are_refused_with_reason_and_place() {
    for (entry, why) in [
        ("github.com", "many people"),
        ("www.github.com", "many people"),
        ("discordapp.com", "many people"),
        ("t.me", "many people"),
        ("https://drive.google.com/", "too short"),
        ("https://docs.google.com/document/", "too short"),
        ("https://github.com/?x=/y", "too short"),
        ("https://drive.google.com/uc?", "too short"),
        ("com", "single label"),
        ("co.uk", "public suffix"),
        ("github.io", "public suffix"),
        ("blogspot.com", "public suffix"),
        ("http://github.io/", "public suffix"),
        ("localhost", "single label"),
        ("printer.local", "local network"),
        ("http://192.168.0.1/x", "public Internet"),
        ("http://0x7f.1/x", "public Internet"),
        ("127.0.0.1", "public Internet"),
        ("10.0.0.0/16", "public Internet"),
        ("1.0.0.0/8", "broad"),
        ("2600::/16", "broad"),
        ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "empty file"),
        ("0000000000000000000000000000000000000000000000000000000000000000", "not the hash"),
        ("xmpp:@", "too short"),
        ("xmpp:com", "single label"),
    ] {
        let mut builder = Index::builder();
        let errors = builder.add_list("feed", &format!("# head\n{entry}\n"), ThreatKind::Malware);
        let (index, refused) = builder.build();
        assert_eq!(errors, [], "{entry}");
        assert!(index.is_empty(), "{entry}");
        assert_eq!((&*refused[0].list, refused[0].line), ("feed", 2), "{entry}");
        assert!(refused[0].why.contains(why), "{entry}: {}", refused[0].why);
        assert!(!refused[0].to_string().contains("://"), "{entry} stays clickable");
    }
}

#[test]
fn lines_that_cannot_be_read_are_named() {
    let text = "evil.test\ntwo words\n\n8.8.8.8 dns.test\nd41d8cd98f00b204e9800998ecf8427e\n||x.test$third-party\nmailto:x@y.test/\n";
    let mut builder = Index::builder();
    let errors = builder.add_list("feed", text, ThreatKind::Spam);
    assert_eq!(errors.iter().map(|e| e.line).collect::<Vec<_>>(), [2, 4, 5, 6, 7]);
    assert!(errors[2].to_string().contains("SHA-256"));
    assert_eq!(builder.build().0.len(), 1);
}

#[test]
fn a_host_covers_itself_and_what_is_below() {
    for line in ["evil.test", "*.evil.test", ".evil.test", "||evil.test^", "0.0.0.0 evil.test", "EVIL[.]test # why"] {
        let index = index(line);
        for (host, hit) in [
            ("evil.test", true),
            ("www.evil.test", true),
            ("a.b.evil.test", true),
            ("notevil.test", false),
            ("test", false),
            ("evil.test.org", false),
            ("", false),
            (".", false),
        ] {
            assert_eq!(index.host(host).is_some(), hit, "{line} {host}");
        }
    }
    let idn = index("пример.рф");
    assert_eq!(idn.host("xn--e1afmkfd.xn--p1ai").unwrap().matched, Matched::Host);
    let deep = format!("{}evil.test", "a.".repeat(500_000));
    assert!(index("evil.test").host(&deep).is_some());
}

#[test]
fn a_url_matches_its_page_or_what_lies_under_it() {
    for (entry, url, matched) in [
        ("https://evil.test/a", "http://evil.test/a", Some(Matched::Page)),
        ("evil.test/a", "https://www.evil.test/a", Some(Matched::Page)),
        ("https://evil.test/a", "https://evil.test/a?victim=1", Some(Matched::Page)),
        ("https://evil.test/a?x=1", "https://evil.test/a?x=1", Some(Matched::Page)),
        ("https://evil.test/a?x=1", "https://evil.test/a?x=2", None),
        ("https://evil.test/a", "https://evil.test/a/b", None),
        ("https://evil.test/a", "https://evil.test/A", None),
        ("https://evil.test/a", "https://sub.evil.test/a", None),
        ("https://evil.test/a", "https://evil.test:8443/a", None),
        ("https://evil.test/a/", "https://evil.test/a/b?c", Some(Matched::Under)),
        ("https://evil.test/a/", "https://evil.test/ab", None),
        ("https://drive.google.com/uc?id=1", "https://drive.google.com/uc?id=1", Some(Matched::Page)),
        ("https://drive.google.com/uc?id=1", "https://drive.google.com/uc?id=2", None),
        ("https://evil.test/", "https://evil.test/a", Some(Matched::Under)),
        ("https://github.com/mallory/", "https://github.com/mallory/x", Some(Matched::Under)),
        ("https://github.com/mallory/", "https://github.com/alice/x", None),
        ("hxxp://evil[.]test/%61", "https://evil.test/a", Some(Matched::Page)),
        ("http://8.8.8.8/a", "http://8.8.8.8/a", Some(Matched::Page)),
    ] {
        assert_eq!(index(entry).url(url).map(|hit| hit.matched), matched, "{entry} {url}");
    }
}

#[test]
fn addresses_match_by_their_narrowest_range_in_any_family() {
    let index = index("8.8.0.0/16\n2606:4700::/32\n5.5.5.5\n");
    for (ip, hit) in [
        ("8.8.255.1", true),
        ("8.9.0.1", false),
        ("5.5.5.5", true),
        ("5.5.5.6", false),
        ("::ffff:8.8.1.1", true),
        ("64:ff9b::808:101", true),
        ("2606:4700:1::1", true),
        ("2606:4701::1", false),
    ] {
        assert_eq!(index.ip(ip.parse().unwrap()).is_some(), hit, "{ip}");
    }
    assert!(index.host("8.8.1.1").is_some());
    assert!(index.host("[2606:4700::1]").is_some());
}

#[test]
fn accounts_match_alone_or_by_their_server() {
    let index = index("a@Spam.test\nxmpp:bad.test\n@eve:evil.test\nirc:Mallory\nsip:x@y.test\n");
    for (protocol, account, matched) in [
        (Protocol::Xmpp, "A@spam.test/phone", Some(Matched::Account)),
        (Protocol::Xmpp, "b@spam.test", None),
        (Protocol::Xmpp, "anyone@bad.test", Some(Matched::Server)),
        (Protocol::Xmpp, "bad.test", Some(Matched::Server)),
        (Protocol::Matrix, "@eve:evil.test", Some(Matched::Account)),
        (Protocol::Xmpp, "@eve:evil.test", None),
        (Protocol::Irc, "mallory!u@h", Some(Matched::Account)),
        (Protocol::Sip, "sip:x@y.test", Some(Matched::Account)),
    ] {
        assert_eq!(index.account(protocol, account).map(|hit| hit.matched), matched, "{account}");
    }
}

#[test]
fn the_version_stands_for_the_content_not_its_order() {
    let forward = index("a.test\nb.test\n");
    let backward = index("b.test\na.test\na.test\n");
    assert_eq!(forward.version(), backward.version());
    assert_eq!(forward.version().len(), 16);
    assert_ne!(forward.version(), index("a.test\n").version());
    assert_ne!(forward.version(), Index::empty().version());
}

#[test]
fn hashes_are_read_as_sha256sum_prints_them() {
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let index = index(&format!("{hash}  worm.exe\n"));
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hash[2 * i..2 * i + 2], 16).unwrap();
    }
    let hit = index.hash(&bytes).unwrap();
    assert_eq!((&*hit.list, hit.kind, hit.matched), ("t", ThreatKind::Phishing, Matched::Hash));
    bytes[31] ^= 1;
    assert!(index.hash(&bytes).is_none());
}
