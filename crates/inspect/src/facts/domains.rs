//! Which words with a dot are believed to be domains when nothing else says so.
//!
//! Precision matters here: people write `e.g.this`, `readme.md`, `node.js` and forget the
//! space after a full stop. So a bare name counts only under a known public suffix, and under
//! suffixes that are also words or file endings only with more evidence. What is doubtful is
//! still found, as a link that is not sure.

/// How far a bare name is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// Not a domain.
    No,
    /// Could be one; could as well be a file or two words.
    Doubtful,
    /// Surely meant as one.
    Sure,
}

/// Generic top-level domains under which a bare name is believed at once.
const PLAIN: &[&str] = &[
    "aero", "asia", "bid", "biz", "bond", "buzz", "cfd", "club", "com", "coop", "cyou", "dev", "edu", "gdn", "gov",
    "icu", "info", "int", "jobs", "loan", "mil", "mobi", "monster", "museum", "net", "online", "org", "pro", "quest",
    "sbs", "shop", "site", "tech", "tel", "top", "vip", "website", "xyz",
];

/// Country domains that are words in some language often written here, or abbreviations.
const WORDS: &[&str] = &[
    "ad", "ai", "al", "am", "ar", "as", "at", "au", "be", "by", "ca", "ch", "cm", "de", "dj", "do", "es", "et", "fi",
    "fm", "ga", "gg", "gs", "hm", "ho", "id", "ie", "il", "im", "in", "is", "it", "je", "la", "le", "li", "lt", "ma",
    "me", "mm", "mo", "ms", "mu", "my", "na", "ne", "no", "nu", "om", "pa", "pe", "re", "sa", "se", "si", "so", "su",
    "to", "tv", "us", "va", "vi",
];

/// Top-level domains that are file endings: only a path or `www.` makes the name a domain.
const ENDINGS: &[&str] = &[
    "ac", "am", "app", "bz", "cab", "cc", "cpa", "do", "in", "java", "la", "md", "mk", "ml", "mov", "ms", "pl", "pm",
    "ps", "pub", "py", "rs", "run", "sc", "sh", "so", "st", "tm", "vi", "vu", "zip",
];

/// What is known about a bare name besides its letters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Beside {
    /// A path, query or port follows.
    pub(super) path: bool,
}

/// How far a bare name (as written, dots ASCII) is believed to be a domain.
pub(super) fn believe(name: &str, beside: Beside) -> Belief {
    let Some((rest, top)) = name.rsplit_once('.') else { return Belief::No };
    if name.len() > 253 || rest.is_empty() || !(2..=63).contains(&top.len()) {
        return Belief::No;
    }
    if name
        .split('.')
        .any(|label| label.is_empty() || label.len() > 63 || label.starts_with('-') || label.ends_with('-'))
    {
        return Belief::No;
    }
    let lower = name.to_lowercase();
    let top_lower = lower.rsplit('.').next().unwrap_or_default();
    let ascii_top = match top_lower.is_ascii() {
        true => top_lower.to_owned(),
        false => idna::domain_to_ascii(top_lower).unwrap_or_default(),
    };
    if ascii_top.bytes().all(|b| b.is_ascii_digit()) {
        return Belief::No;
    }
    // Clients take `www.` for a link whatever follows.
    if lower.starts_with("www.") && name.matches('.').count() > 1 {
        return Belief::Sure;
    }
    if !is_known_suffix(&ascii_top) {
        return Belief::No;
    }
    if name.contains('_') {
        return Belief::Doubtful;
    }
    if beside.path {
        return Belief::Sure;
    }
    // `done.It`: two sentences.
    let joined = top.starts_with(char::is_uppercase) && name.starts_with(char::is_lowercase);
    if joined || !top_lower.is_ascii() || ENDINGS.contains(&top_lower) {
        return Belief::Doubtful;
    }
    let country = top_lower.len() == 2;
    if PLAIN.contains(&top_lower) || (country && !WORDS.contains(&top_lower)) {
        return Belief::Sure;
    }
    // A hyphen, a digit or a third label is rare where a space was forgotten.
    let name_like = rest.contains(['.', '-']) || rest.bytes().any(|b| b.is_ascii_digit());
    if name_like { Belief::Sure } else { Belief::Doubtful }
}

/// Whether ` dot ` between words may stand for a dot before this top-level domain.
pub(super) fn is_spoken(top: &str) -> bool {
    const SPOKEN: &[&str] = &[
        "biz", "cc", "club", "cn", "co", "com", "icu", "info", "io", "net", "online", "org", "ru", "shop", "site",
        "tk", "top", "vip", "xyz",
    ];
    SPOKEN.iter().any(|spoken| spoken.eq_ignore_ascii_case(top))
}

fn is_known_suffix(top: &str) -> bool {
    psl::suffix(top.as_bytes()).is_some_and(|suffix| suffix.is_known())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_believed_as_far_as_they_deserve() {
        for (name, path, belief) in [
            ("example.com", false, Belief::Sure),
            ("EXAMPLE.COM", false, Belief::Sure),
            ("bbc.co.uk", false, Belief::Sure),
            ("heise.de", false, Belief::Doubtful),
            ("bit.ly", true, Belief::Sure),
            ("login.heise.de", false, Belief::Sure),
            ("readme.md", false, Belief::Doubtful),
            ("readme.md", true, Belief::Sure),
            ("install.sh", false, Belief::Doubtful),
            ("setup-1.2.run", false, Belief::Doubtful),
            ("id_dsa.pub", true, Belief::Doubtful),
            ("node.js", false, Belief::No),
            ("www.js", false, Belief::No),
            ("www.intra.test", false, Belief::Sure),
            ("e.g", false, Belief::No),
            ("e.g.this", false, Belief::No),
            ("done.It", false, Belief::Doubtful),
            ("sources.list", false, Belief::No),
            ("paypal-login.it", false, Belief::Sure),
            ("1.2.3.4", false, Belief::No),
            ("-x.com", false, Belief::No),
            ("..com", false, Belief::No),
            ("пример.рф", false, Belief::Doubtful),
            ("пример.рф", true, Belief::Sure),
        ] {
            assert_eq!(believe(name, Beside { path }), belief, "{name}");
        }
    }
}
