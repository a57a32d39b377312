//! The bundled catalogue: that it loads, and whom it takes well-known names for.

use std::collections::BTreeSet;

use super::*;
use crate::classify::CLASSIFIERS;

#[test]
fn every_bundled_file_loads() {
    let sources = load::BUNDLED.iter().map(|&(file, text)| (0, entry::Source { file, text }));
    let (catalogue, problems) = load::build(sources);
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(catalogue.all().len(), load::BUNDLED.len());
}

#[test]
fn every_classifier_names_applications_that_exist() {
    let catalogue = Catalogue::bundled();
    for classifier in CLASSIFIERS {
        for id in classifier.applications {
            assert!(catalogue.by_id(id).is_some(), "{} names `{id}`, which has no file in apps/", classifier.name);
        }
    }
}

#[test]
fn every_entry_is_found_by_what_it_says() {
    let catalogue = Catalogue::bundled();
    for (at, application) in catalogue.all().iter().enumerate() {
        let app = App(at as u16);
        assert_eq!(catalogue.by_id(&application.id), Some(app));
        for host in &application.evidence.hosts {
            let host = host.replace('*', "1");
            assert_eq!(catalogue.by_host(&host), Some(app), "{host}");
            assert_eq!(catalogue.by_host(&format!("x.{host}")), Some(app), "x.{host}");
        }
        for host in &application.evidence.not_hosts {
            assert_ne!(catalogue.by_host(&host.replace('*', "1")), Some(app), "{host}");
        }
        for name in &application.evidence.certificates {
            assert_eq!(catalogue.by_certificate(&name.to_ascii_uppercase()), Some(app), "{name}");
        }
        for word in &application.evidence.user_agents {
            assert!(catalogue.by_user_agent(word).is_some(), "{word}");
        }
        for alpn in &application.evidence.alpn {
            assert_eq!(catalogue.by_alpn(alpn), Some(app), "{alpn}");
        }
        for network in &application.evidence.addresses {
            let (first, last) = entry::network(network).unwrap();
            assert!(catalogue.by_address(first).contains(&app) && catalogue.by_address(last).contains(&app));
        }
    }
}

#[test]
fn an_entry_says_who_by_whole_sentences() {
    let mut names = BTreeSet::new();
    for application in Catalogue::bundled().all() {
        assert!(application.about.ends_with('.'), "{}: about is a sentence", application.id);
        assert!(application.who.is_empty() || application.who.ends_with('.'), "{}: who is a sentence", application.id);
        assert!(names.insert(application.name.to_lowercase()), "{} is there twice", application.name);
    }
}

#[test]
fn tables_and_explanations_name_everything() {
    let catalogue = Catalogue::bundled();
    let (table, reference) = (table(catalogue), reference());
    for application in catalogue.all() {
        assert!(table.contains(&format!("\n{} ", application.id)), "{}", application.id);
        assert!(reference.contains(&format!("| `{}` |", application.id)), "{}", application.id);
        let explanation = explain(catalogue, &application.id).unwrap();
        let (text, json) = (explanation.to_string(), serde_json::to_value(&explanation).unwrap());
        assert!(text.contains(&application.about));
        assert_eq!(json["id"], application.id.as_str());
        for host in &application.evidence.hosts {
            assert!(text.contains(host.as_str()));
        }
    }
    let error = explain(catalogue, "xmp").unwrap_err();
    assert!(error.contains("did you mean `xmpp`?"), "{error}");
}

#[test]
fn no_host_is_listed_below_another_of_its_own_entry() {
    for application in Catalogue::bundled().all() {
        let Evidence { hosts, not_hosts, .. } = &application.evidence;
        for host in hosts {
            let above = host.match_indices('.').filter_map(|(dot, _)| host.get(dot + 1..));
            let nearest = above.into_iter().find(|up| hosts.iter().chain(not_hosts).any(|other| other == up));
            let listed_twice = nearest.is_some_and(|up| hosts.iter().any(|other| other == up));
            assert!(!listed_twice, "{}: {host} lies below {nearest:?}", application.id);
        }
    }
}

#[test]
fn messengers_are_told_from_what_shares_their_domain() {
    let catalogue = Catalogue::bundled();
    for (host, id) in [
        ("mmg.whatsapp.net", Some("whatsapp")),
        ("media-fra3-1.cdn.whatsapp.net", Some("whatsapp")),
        ("edge-mqtt.facebook.com", Some("messenger")),
        ("5-edge-chat.facebook.com", Some("messenger")),
        ("edge-chat.instagram.com", Some("instagram")),
        ("www.facebook.com", None),
        ("static.xx.fbcdn.net", None),
        ("www.instagram.com", None),
        ("graph.facebook.com", None),
        ("chat.signal.org", Some("signal")),
        ("textsecure-service.whispersystems.org", Some("signal")),
        ("teams.microsoft.com", Some("teams")),
        ("emea.ng.msg.teams.microsoft.com", Some("teams")),
        ("sip.contoso.onmicrosoft.com", None),
        ("www.microsoft.com", None),
        ("login.live.com", None),
        ("db3msgr5011709.gateway.messenger.live.com", Some("skype")),
        ("messenger.hotmail.com", Some("msn")),
        ("www.msn.com", None),
        ("hotmail.com", None),
        ("scs.msg.yahoo.com", Some("yahoo")),
        ("cs101.msg.mud.yahoo.com", Some("yahoo")),
        ("mail.yahoo.com", None),
        ("login.oscar.aol.com", Some("oscar")),
        ("www.aol.com", None),
        ("meet.google.com", Some("googlemeet")),
        ("chat.google.com", Some("googlechat")),
        ("mtalk.google.com", None),
        ("alt4-mtalk.google.com", None),
        ("www.google.com", None),
        ("stun.l.google.com", None),
        ("1-courier.push.apple.com", None),
        ("gateway.icloud.com", None),
        ("short.weixin.qq.com", Some("wechat")),
        ("mp.weixin.qq.com", None),
        ("www.qq.com", None),
        ("v.qq.com", None),
        ("booking-loco.kakao.com", None),
        ("booking.loco.kakao.com", Some("kakaotalk")),
        ("maps.kakao.com", None),
        ("gd2.line.naver.jp", Some("line")),
        ("www.naver.com", None),
        ("app.snapchat.com", Some("snapchat")),
        ("wss-primary.slack.com", Some("slack")),
        ("us04web.zoom.us", Some("zoom")),
        ("dc5.example.onion", Some("tor")),
        ("tracker.opentrackr.org", Some("bittorrent")),
        ("dht.transmissionbt.com", Some("bittorrent")),
        ("eu1.ethermine.org", Some("mining")),
        ("seed.bitcoin.sipa.be", Some("bitcoin")),
        ("config.rcs.mnc001.mcc262.pub.3gppnetwork.org", Some("rcs")),
        ("epdg.epc.mnc001.mcc262.pub.3gppnetwork.org", None),
    ] {
        let found = catalogue.by_host(host).map(|app| catalogue.entry(app).id.as_str());
        assert_eq!(found, id, "{host}");
    }
    let candidates = catalogue.by_address("157.240.20.52".parse().unwrap());
    let ids: Vec<&str> = candidates.iter().map(|&app| catalogue.entry(app).id.as_str()).collect();
    assert_eq!(ids, ["instagram", "messenger", "whatsapp"]);
}

#[test]
fn every_application_can_be_named() {
    for application in Catalogue::bundled().all() {
        let Evidence { hosts, certificates, alpn, ja4, user_agents, .. } = &application.evidence;
        let by_data = [hosts, certificates, alpn, ja4, user_agents].iter().any(|list| !list.is_empty());
        let by_payload = CLASSIFIERS.iter().any(|classifier| classifier.applications.contains(&&*application.id));
        // Building blocks are also named by the signalling that announces them.
        let announced = application.generic;
        assert!(by_data || by_payload || announced, "{}: nothing but an address or a port tells it", application.id);
    }
}
