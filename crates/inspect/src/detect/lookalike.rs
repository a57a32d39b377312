//! Does a host name pose as a well-known one?
//!
//! Two answers of very different weight. *Imitates*: the name reads like a brand's but is
//! spelt otherwise (`paypa1`, `rnicrosoft`, Cyrillic `а`), which nobody does by accident.
//! *Borrows*: the brand's name is there, on somebody else's domain (`paypal.com.evil.test`,
//! `paypal-login.test`), which often but not always means harm.
//!
//! What reads alike is decided by skeletons (UTS 39 section 4), to which a few folds are
//! added that hold for domain names only: case, digits for letters, `vv`, accents.

use foldhash::{HashMap, HashSet};
use unicode_normalization::char::canonical_combining_class;
use unicode_security::confusable_detection::skeleton;

use super::brands::{BRANDS, LURES};
use super::config::{Config, ConfigError, domain};

/// How a host relates to a brand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pose {
    /// Spelt to read like the brand.
    Imitates(Box<str>),
    /// Carries the brand's name on another domain.
    Borrows(Box<str>),
}

/// The brands, prepared for look-ups.
pub(super) struct Brands {
    names: Vec<Name>,
    /// Index into `names` by folded skeleton.
    by_skeleton: HashMap<String, usize>,
    /// Domains where brands are at home, or that the operator exempts.
    home: HashSet<Box<str>>,
    /// What each ASCII character looks like, as most names are made of them.
    ascii: Vec<String>,
    /// What the longer lures look like.
    lures: Vec<String>,
}

struct Name {
    name: Box<str>,
    distinct: bool,
    own: bool,
}

impl Brands {
    /// The built-in brands and the operator's.
    pub(super) fn new(config: &Config) -> Result<Brands, ConfigError> {
        let mut brands = Brands {
            names: Vec::new(),
            by_skeleton: HashMap::default(),
            home: HashSet::default(),
            lures: LURES.iter().filter(|lure| lure.len() > 3).map(|lure| looks_of(lure)).collect(),
            ascii: (0..128u8).map(|c| looks_of(char::from(c).encode_utf8(&mut [0; 4]))).collect(),
        };
        for (i, brand) in config.brands.iter().enumerate() {
            let name = brand.name.to_lowercase();
            if name.chars().count() < 3 || name.contains(|c: char| !c.is_alphanumeric() && c != '-') {
                let why = "a brand's name is one label of a domain, of three letters or more";
                return Err(ConfigError::new(format!("detect.brands[{i}].name"), why));
            }
            brands.add(&name, true, true);
            for (j, home) in brand.domains.iter().enumerate() {
                brands.home.insert(domain(&format!("brands[{i}].domains"), j, home)?);
            }
        }
        for known in BRANDS {
            brands.add(known.name, known.distinct, false);
            // Longer names of the same brand (`microsoftonline`) are imitated as well.
            let labels = known.domains.iter().filter_map(|domain| domain.split('.').next());
            for label in labels.filter(|label| label.len() > known.name.len() && label.contains(known.name)) {
                brands.add(label, known.distinct, false);
            }
            brands.home.extend(known.domains.iter().map(|domain| Box::from(*domain)));
        }
        for (i, exempt) in config.exempt_domains.iter().enumerate() {
            brands.home.insert(domain("exempt_domains", i, exempt)?);
        }
        Ok(brands)
    }

    fn add(&mut self, name: &str, distinct: bool, own: bool) {
        self.by_skeleton.entry(self.folded(name)).or_insert(self.names.len());
        self.names.push(Name { name: name.into(), distinct, own });
    }

    /// Whether a host is a brand's own or exempt, or below such a domain.
    pub(super) fn is_home(&self, host: &str) -> bool {
        suffixes(host).any(|suffix| self.home.contains(suffix))
    }

    /// How a host poses. `host` is in ASCII, `unicode` what is shown for it.
    pub(super) fn pose(&self, host: &str, unicode: &str, suffix_labels: usize) -> Option<Pose> {
        const LABELS: usize = 12;
        let labels: Vec<&str> = unicode.split('.').collect();
        let ascii: Vec<&str> = host.split('.').collect();
        let own = labels.len().checked_sub(suffix_labels).filter(|own| *own > 0 && ascii.len() == labels.len())?;
        let first = own.saturating_sub(LABELS);
        let mut borrows = None;
        for at in (first..own).rev() {
            let (label, is_registered) = (labels[at], at + 1 == own);
            for part in parts(label) {
                let Some(brand) = self.reads_like(part) else { continue };
                let spelt = plain(part) == *brand.name;
                if !spelt {
                    // A word such as `applé` or `visä` may be an honest name; of a brand's it is not.
                    if brand.distinct || part == label || !part.is_ascii() {
                        return Some(Pose::Imitates(brand.name.clone()));
                    }
                } else if borrows.is_none()
                    && self.is_borrowed(brand, label, is_registered, &labels[at..], suffix_labels)
                {
                    borrows = Some(Pose::Borrows(brand.name.clone()));
                }
            }
            if borrows.is_none()
                && is_registered
                && let Some(brand) = self.glued(label)
            {
                let name = brand.name.clone();
                borrows = Some(if label.is_ascii() { Pose::Borrows(name) } else { Pose::Imitates(name) });
            }
        }
        borrows
    }

    /// The brand that a label's part reads like, or is.
    fn reads_like(&self, part: &str) -> Option<&Name> {
        const LONGEST: usize = 64;
        if part.len() < 3 || part.len() > LONGEST {
            return None;
        }
        self.by_skeleton.get(&self.folded(part)).and_then(|i| self.names.get(*i))
    }

    /// What a name looks like; two names that look alike give the same.
    fn folded(&self, name: &str) -> String {
        let looks = match name.is_ascii() {
            true => name.bytes().filter_map(|b| self.ascii.get(usize::from(b))).map(String::as_str).collect(),
            false => looks_of(name),
        };
        if looks.contains("vv") { looks.replace("vv", "w") } else { looks }
    }

    /// Whether a brand's name, correctly spelt, stands where it does not belong.
    fn is_borrowed(&self, brand: &Name, label: &str, is_registered: bool, from: &[&str], suffix_labels: usize) -> bool {
        let lures =
            label.split('-').filter(|part| *part != &*brand.name).all(|part| LURES.contains(&part) || is_number(part));
        let alone = label == &*brand.name;
        if is_registered {
            // The brand's name under another suffix is often the brand's: only one's own names are pointed out.
            return if alone { brand.own } else { (brand.distinct || brand.own) && lures };
        }
        // `paypal.com.evil.test`: the name and a suffix, before somebody else's domain.
        // A character that looks like a slash may end the suffix: `google.com∕signin.evil.test`.
        let next = from.get(1).and_then(|next| next.split(|c: char| !c.is_ascii_alphanumeric()).next());
        let then_suffix = from.len() > suffix_labels + 1 && next.is_some_and(|next| SUFFIXES.contains(&next));
        (alone && then_suffix) || (!alone && brand.distinct && lures)
    }

    /// A brand's name with a lure and no hyphen: `paypallogin`, `securepaypal`. In a label with
    /// letters beyond ASCII, something that reads so.
    fn glued(&self, label: &str) -> Option<&Name> {
        const SHORTEST: usize = 5;
        const LONGEST: usize = 40;
        if label.len() > LONGEST {
            return None;
        }
        let reads = self.folded(label);
        self.lures.iter().find_map(|lure| {
            let rest = reads.strip_prefix(&**lure).or_else(|| reads.strip_suffix(&**lure))?;
            let brand = self.by_skeleton.get(rest).and_then(|i| self.names.get(*i))?;
            let spelt = !label.is_ascii() || label.contains(&*brand.name);
            (rest.len() >= SHORTEST && brand.distinct && spelt).then_some(brand)
        })
    }
}

/// Suffixes that imitations put after a brand's name.
const SUFFIXES: &[&str] = &["com", "net", "org", "co", "de", "fr", "ru", "uk", "io", "me"];

/// The host and the domains above it.
fn suffixes(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(host), |host| host.split_once('.').map(|(_, rest)| rest))
}

/// A label and, if it has any, the parts between its hyphens and slash-like characters.
fn parts(label: &str) -> impl Iterator<Item = &str> {
    const PARTS: usize = 8;
    let divides = |c: char| c == '-' || (!c.is_ascii() && !c.is_alphanumeric() && canonical_combining_class(c) == 0);
    let pieces = label.split(divides).filter(move |piece| piece.len() < label.len()).take(PARTS);
    std::iter::once(label).chain(pieces)
}

fn is_number(part: &str) -> bool {
    part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit())
}

/// A part as compared with a correctly spelt name.
fn plain(part: &str) -> String {
    part.to_lowercase()
}

/// What a text looks like: its skeleton, without accents, with the digits that stand for letters.
fn looks_of(text: &str) -> String {
    let lower = text.to_lowercase();
    let marks_apart = skeleton(&lower).flat_map(char::to_lowercase);
    let letters = marks_apart.filter(|c| canonical_combining_class(*c) == 0);
    letters
        .map(|c| {
            if c == '3' {
                'e'
            } else if c == '5' {
                's'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::config::Brand;

    fn pose(host: &str) -> Option<Pose> {
        let config = Config {
            brands: vec![Brand { name: "acme".into(), domains: vec!["acme.example".into()] }],
            ..Config::default()
        };
        let brands = Brands::new(&config).unwrap();
        let ascii = idna::domain_to_ascii(host).unwrap();
        let unicode = idna::domain_to_unicode(&ascii).0;
        if brands.is_home(&ascii) {
            return None;
        }
        let suffix = psl::suffix_str(&ascii).unwrap().split('.').count();
        brands.pose(&ascii, &unicode, suffix)
    }

    #[test]
    fn imitations_are_told_from_borrowed_names() {
        let imitates = |name: &str| Some(Pose::Imitates(name.into()));
        let borrows = |name: &str| Some(Pose::Borrows(name.into()));
        for (host, expected) in [
            ("paypa1.com", imitates("paypal")),
            ("rnicrosoft.com", imitates("microsoft")),
            ("g00gle.com", imitates("google")),
            ("netfl1x.com", None),
            ("vvhatsapp.com", imitates("whatsapp")),
            ("аpple.com", imitates("apple")),
            ("www.аррӏе.com", imitates("apple")),
            ("micrösoft.com", imitates("microsoft")),
            ("paypaⅼ.com", None),
            ("gοοgle.com", imitates("google")),
            ("paypa1-login.test", imitates("paypal")),
            ("paypa1.com.evil.test", imitates("paypal")),
            ("acrne.example", imitates("acme")),
            ("dıscordapp.com", imitates("discordapp")),
            ("metåmasklogin.test", imitates("metamask")),
            ("paypal.com", None),
            ("www.paypal.com", None),
            ("paypal.com.evil.test", borrows("paypal")),
            ("paypal-login.test", borrows("paypal")),
            ("secure-paypal.evil.test", borrows("paypal")),
            ("paypallogin.test", borrows("paypal")),
            ("paypal-haters.test", None),
            ("google.de", None),
            ("apple.test", None),
            ("acme.test", borrows("acme")),
            ("acme.example", None),
            ("pineapple.com", None),
            ("googleplex.test", None),
        ] {
            assert_eq!(pose(host), expected, "{host}");
        }
    }
}
