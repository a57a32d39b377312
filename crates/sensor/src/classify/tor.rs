//! Tor: relays' certificates and clients' hellos, both with host names made up for the occasion. Pluggable
//! transports are made to look like something else or like nothing, and are left alone.

use std::borrow::Cow;

use model::Confidence;

use super::{Classifier, Inside, Opinion, Over};
use crate::bytes::contains;
use crate::names::Names;
use crate::view::{FlowView, Way};

const ID: &str = "tor";

/// The cipher suites that Tor has offered since it speaks TLS 1.3, with and without those that OpenSSL was built for.
const CIPHERS: [&str; 2] = ["6c2ba73853a4", "796efca44d18"];

/// The length from which a name that is no word is no abbreviation either: people register short ones.
const LONG: usize = 10;

/// Links between clients and relays.
pub(crate) const TLS: Classifier = Classifier {
    name: "tor",
    applications: &[ID],
    looks_for: "a relay's certificate of two invented names (www.random.net by www.random.com), or a hello to an invented name nobody looked up",
    over: Over::Tcp,
    inside: Inside::TLS,
    classify,
    follow: None,
};

/// Directories over HTTP.
pub(crate) const HTTP: Classifier = Classifier {
    name: "tor-directory",
    applications: &[ID],
    looks_for: "a request for what Tor's directories hold: consensus, descriptors, keys",
    over: Over::Tcp,
    inside: Inside::HTTP,
    classify: classify_http,
    follow: None,
};

/// What directories are asked for (dir-spec, rend-spec).
const DIRECTORIES: [&str; 6] =
    ["/tor/status-vote/", "/tor/keys/", "/tor/micro/d/", "/tor/server/", "/tor/extra/", "/tor/rendezvous2/"];

fn classify_http(view: &FlowView) -> Opinion {
    let Some(target) = view.names.target.as_deref() else { return Opinion::NeedMore };
    if DIRECTORIES.iter().any(|path| target.starts_with(path)) {
        return Opinion::payload(ID, "Tor directory");
    }
    // A relay describes itself to an authority.
    if target == "/tor/" && contains(view.first(Way::ToServer), b"\r\n\r\nrouter ", 1024) {
        return Opinion::payload(ID, "relay's descriptor for a Tor directory");
    }
    if target == "/tor/" && view.heard < 4 { Opinion::NeedMore } else { Opinion::No }
}

fn classify(view: &FlowView) -> Opinion {
    let names = view.names;
    if let [subject, issuer] = names.certificate.as_slice()
        && invented(subject, ".net", 8..=20).is_some()
        && invented(issuer, ".com", 8..=20).is_some()
        && names.sni.as_deref() != Some(&**subject)
    {
        return yes(Confidence::Certificate, "certificate of a Tor relay");
    }
    let name = names.sni.as_deref().and_then(|sni| invented(sni, ".com", 4..=25));
    // Nobody looks up a name that was invented.
    let looked_up = view.lore.name(view.client.ip, view.server.ip).is_some();
    if names.hello && (name.is_none() || !names.alpn.is_empty() || looked_up) {
        return Opinion::No;
    }
    // A relay's certificate tells more than the hello, and shows others for what they are.
    if names.certificate.is_empty() && view.heard < 8 && !view.last {
        return Opinion::NeedMore;
    }
    // Where it can be seen at all, it is in no way that of the name in the hello.
    let vouched = names.sni.as_ref().is_some_and(|sni| names.certificate.iter().any(|known| covers(known, sni)));
    if !vouched && name.is_some_and(|name| is_tors(names) || (name.len() >= LONG && is_random(name))) {
        return yes(Confidence::Fingerprint, "hello to an invented name, as Tor says it");
    }
    Opinion::No
}

/// Whether a certificate's name, perhaps with a wildcard, is for this host.
fn covers(known: &str, host: &str) -> bool {
    match known.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent) || host == parent,
        None => known == host || host.strip_prefix("www.") == Some(known),
    }
}

/// Whether the hello offers what Tor's does (JA4's hash of cipher suites), in versions that offer TLS 1.3. Before
/// that, Tor said hello as the Firefox of its day did.
fn is_tors(names: &Names) -> bool {
    names.ja4.as_deref().is_some_and(|ja4| {
        ja4.starts_with("t13d") && ja4.split('_').nth(1).is_some_and(|ciphers| CIPHERS.contains(&ciphers))
    })
}

fn yes(confidence: Confidence, evidence: &'static str) -> Opinion {
    Opinion::Yes { application: ID, confidence, evidence: Cow::Borrowed(evidence) }
}

/// The middle of a name that Tor may have invented: `www.`, letters and digits of base 32, an ending.
fn invented<'a>(name: &'a str, ending: &str, length: std::ops::RangeInclusive<usize>) -> Option<&'a str> {
    let middle = name.strip_prefix("www.")?.strip_suffix(ending)?;
    let base32 = middle.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
    (length.contains(&middle.len()) && base32).then_some(middle)
}

/// Pairs of letters that names of people, places and things are made of, by first letter.
const PAIRS: [&str; 26] = [
    "bcdfgiklmnprstuvwxyz",
    "aeilorsuy",
    "aehiklotuy",
    "aeioruy",
    "abcdefglmnprstvwxyz",
    "aefilortu",
    "aehilnoru",
    "aeiotuy",
    "abcdefglmnoprstvz",
    "aeou",
    "aeilnosuy",
    "adefiklostuvy",
    "abeimopsuy",
    "acdefgiknostuvy",
    "abcdefgiklmnoprstuvw",
    "aehiloprstu",
    "u",
    "acdeghiklmnostuvy",
    "acehiklmnopqstuwy",
    "aehilorstuwy",
    "abcdegilmnprst",
    "aeio",
    "aehinors",
    "aeipt",
    "aelmnos",
    "aeiouz",
];

/// Whether a name is no word: it has digits, and nearly half of its neighbours are no usual pair.
fn is_random(name: &str) -> bool {
    let pairs = || name.as_bytes().windows(2);
    let usual = |pair: &&[u8]| match pair {
        [first @ b'a'..=b'z', second] => {
            PAIRS.get(usize::from(first - b'a')).is_some_and(|next| next.as_bytes().contains(second))
        }
        _ => false,
    };
    let unusual = pairs().count() - pairs().filter(usual).count();
    name.bytes().any(|byte| byte.is_ascii_digit()) && unusual * 9 > pairs().count() * 4
}

#[cfg(test)]
mod tests {
    use super::super::testing::Talk;
    use super::*;
    use crate::names::AppProto;

    fn talk(sni: &str, certificate: &[&str]) -> Talk {
        let mut talk = Talk::tcp().inside(AppProto::Tls).client("\x16");
        talk.names.hello = true;
        talk.names.sni = Some(sni.into());
        talk.names.certificate = certificate.iter().map(|&name| name.into()).collect();
        talk
    }

    #[test]
    fn relays() {
        assert_eq!(talk("www.abc.com", &["www.axslhtfqq.net", "www.hkkch64skp7am.com"]).named(&TLS), Some(ID));
        assert_eq!(talk("www.abc.com", &["www.axslhtfqq.net", "www.hkkch64skp7am.com", "Example"]).named(&TLS), None);
        assert_eq!(talk("www.example12.net", &["www.example.net", "GlobalSign"]).named(&TLS), None);
    }

    #[test]
    fn directories() {
        let ask = |target: &str, body: &str| {
            let mut talk = Talk::tcp().inside(AppProto::Http).client(format!("POST {target} HTTP/1.0\r\n\r\n{body}"));
            talk.names.target = Some(target.into());
            talk.named(&HTTP)
        };
        assert_eq!(ask("/tor/status-vote/current/consensus/9F4465.z", ""), Some(ID));
        assert_eq!(ask("/tor/", "router nick 192.0.2.1 9001 0 0\n"), Some(ID));
        assert_eq!((ask("/tor/", "hammer"), ask("/tor/index.html", "")), (None, None));
    }

    #[test]
    fn clients() {
        for sni in ["www.ct7ctrgb6cr7.com", "www.t3i3ru.com", "www.q4cyamnc6mtokjurvdclt.com", "www.5m5n3xbd4zqk.com"] {
            assert_eq!(talk(sni, &[]).last().named(&TLS).is_some(), sni.len() >= 18, "{sni}");
        }
        let sni = "www.ct7ctrgb6cr7.com";
        assert_eq!(talk(sni, &[]).ask(&TLS), Opinion::NeedMore, "the certificate may come yet");
        for certificate in [sni, "ct7ctrgb6cr7.com", "*.ct7ctrgb6cr7.com"] {
            assert_eq!(talk(sni, &[certificate, "Some CA"]).last().named(&TLS), None, "{certificate}");
        }
        for sni in [
            "www.facebook.com",
            "www.mp3skull.com",
            "www.channel4news.com",
            "www.hkkch64skp7am.org",
            "www.4shared.com",
            "www.world24online.com",
            "www.web2pdf7.com",
            "www.tv2mx5gt.com",
        ] {
            assert_eq!(talk(sni, &[]).last().named(&TLS), None, "{sni}");
        }
        let mut short = talk("www.2xik.com", &[]).last();
        assert_eq!(short.named(&TLS), None);
        short.names.ja4 = Some("t13d181100_6c2ba73853a4_d41ae481755e".into());
        assert_eq!(short.named(&TLS), Some(ID));
        let mut known = talk(sni, &[]).last();
        known.lore.learn_name(known.client.ip, known.server.ip, sni);
        assert_eq!(known.named(&TLS), None);
        let mut browser = talk(sni, &[]).last();
        browser.names.alpn.push("h2".into());
        assert_eq!(browser.named(&TLS), None);
    }
}
