//! What is known and by what evidence, for people: the list, the detail of one application, the
//! reference page. Everything is also plain data for JSON.

use std::fmt::{self, Write as _};

use model::{Category, Platform, suggest};
use serde::Serialize;

use super::{Application, Catalogue, Evidence};
use crate::classify::{CLASSIFIERS, Classifier};

/// One line of the list of applications.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name for people.
    pub name: &'a str,
    /// What kind of software it is.
    pub category: Category,
    /// Kinds of evidence that name it, strongest first, then those that only make it a candidate.
    pub known_by: Vec<&'static str>,
}

/// Everything known of one application.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name for people.
    pub name: &'a str,
    /// What kind of software it is.
    pub category: Category,
    /// What it is.
    pub about: &'a str,
    /// Who uses it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub who: &'a str,
    /// A building block that gives way to any more specific name.
    pub generic: bool,
    /// Peers speak to each other directly.
    pub peer_to_peer: bool,
    /// Platforms it runs on.
    pub platforms: &'a [Platform],
    /// Readers of payload that can name it.
    pub payload: Vec<Reader>,
    /// What tells it without payload.
    #[serde(flatten)]
    pub evidence: &'a Evidence,
}

/// A classifier, as far as people care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reader {
    /// Its name.
    pub classifier: &'static str,
    /// What it looks for.
    pub looks_for: &'static str,
}

/// Every application as a line.
pub fn rows(catalogue: &Catalogue) -> Vec<Row<'_>> {
    catalogue
        .all()
        .iter()
        .map(|application| Row {
            id: &application.id,
            name: &application.name,
            category: application.category,
            known_by: known_by(application),
        })
        .collect()
}

/// The list of applications as text, in columns.
pub fn table(catalogue: &Catalogue) -> String {
    let rows = rows(catalogue);
    let width = |column: fn(&Row) -> usize, title: &str| rows.iter().map(column).chain([title.len()]).max();
    let id = width(|row| row.id.chars().count(), "ID").unwrap_or_default();
    let name = width(|row| row.name.chars().count(), "NAME").unwrap_or_default();
    let mut text = format!("{:id$}  {:name$}  CATEGORY  KNOWN BY\n", "ID", "NAME");
    for row in &rows {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:id$}  {:name$}  {:8}  {}",
            row.id,
            row.name,
            row.category.as_str(),
            row.known_by.join(", ")
        );
    }
    text
}

/// Everything known of one application; for an id that is not known, what may be meant.
pub fn explain<'a>(catalogue: &'a Catalogue, id: &str) -> Result<Explanation<'a>, String> {
    let Some(app) = catalogue.by_id(id) else {
        let ids = catalogue.all().iter().map(|application| application.id.as_str());
        let near = suggest::hint(id, ids).map(|hint| format!(": {hint}")).unwrap_or_default();
        return Err(format!("no application is called `{id}`{near}"));
    };
    let application = catalogue.entry(app);
    Ok(Explanation {
        id: &application.id,
        name: &application.name,
        category: application.category,
        about: &application.about,
        who: &application.who,
        generic: application.generic,
        peer_to_peer: application.peer_to_peer,
        platforms: &application.platforms,
        payload: readers(&application.id)
            .map(|classifier| Reader { classifier: classifier.name, looks_for: classifier.looks_for })
            .collect(),
        evidence: &application.evidence,
    })
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}), {}", self.name, self.id, kind_of(self.category))?;
        writeln!(f, "{}", self.about)?;
        if !self.who.is_empty() {
            writeln!(f, "Used by: {}", self.who)?;
        }
        if self.generic {
            writeln!(f, "A building block of many applications: a more specific name goes before it.")?;
        }
        if !self.platforms.is_empty() {
            let names: Vec<&str> = self.platforms.iter().map(|platform| platform.as_str()).collect();
            writeln!(f, "Runs on {}.", names.join(", "))?;
        }
        if !self.payload.is_empty() {
            writeln!(f, "\npayload")?;
            for reader in &self.payload {
                writeln!(f, "  {}: {}", reader.classifier, reader.looks_for)?;
            }
        }
        for (title, items) in lists(self.evidence) {
            if !items.is_empty() {
                writeln!(f, "\n{title}")?;
                items.iter().try_for_each(|item| writeln!(f, "  {item}"))?;
            }
        }
        Ok(())
    }
}

/// The reference page: every bundled application and by what evidence it is known.
pub fn reference() -> String {
    let catalogue = Catalogue::bundled();
    let mut text = String::from(
        "# Applications\n\n<!-- generated by `cargo xtask docs`; do not edit -->\n\n\
         What the sensor can name, and by what. Each is a file in `apps/`; `portcullis sensor apps ID` shows the\n\
         hosts and networks of one. Evidence stands strongest first; `address` and `port` alone never name an\n\
         application, they only make it a candidate.\n",
    );
    for category in Category::ALL {
        let _ = write!(text, "\n## {}\n\n| id | name | known by |\n| --- | --- | --- |\n", heading(category));
        for application in catalogue.all().iter().filter(|application| application.category == category) {
            let known_by = known_by(application).join(", ");
            let _ = writeln!(text, "| `{}` | {} | {known_by} |", application.id, application.name);
        }
    }
    text.push_str("\n## What is read in payload\n\n| classifier | names | looks for |\n| --- | --- | --- |\n");
    for classifier in CLASSIFIERS {
        let names: Vec<String> = classifier.applications.iter().map(|id| format!("`{id}`")).collect();
        let _ = writeln!(text, "| {} | {} | {} |", classifier.name, names.join(", "), classifier.looks_for);
    }
    text
}

/// The classifiers that can name an application.
fn readers(id: &str) -> impl Iterator<Item = &'static Classifier> {
    CLASSIFIERS.iter().filter(move |classifier| classifier.applications.contains(&id))
}

/// Kinds of evidence that there are for an application.
fn known_by(application: &Application) -> Vec<&'static str> {
    let evidence = &application.evidence;
    let payload = readers(&application.id).next().is_some();
    let kinds = [
        ("payload", payload),
        ("host", !evidence.hosts.is_empty()),
        ("user agent", !evidence.user_agents.is_empty()),
        ("certificate", !evidence.certificates.is_empty()),
        ("alpn", !evidence.alpn.is_empty()),
        ("ja4", !evidence.ja4.is_empty()),
        ("address", !evidence.addresses.is_empty()),
        ("port", !evidence.ports.is_empty()),
    ];
    kinds.into_iter().filter(|(_, there)| *there).map(|(kind, _)| kind).collect()
}

/// The lists of an entry with their titles.
fn lists(evidence: &Evidence) -> [(&'static str, &[String]); 8] {
    [
        ("hosts, and all below them", &evidence.hosts),
        ("but not", &evidence.not_hosts),
        ("user agents", &evidence.user_agents),
        ("names in certificates", &evidence.certificates),
        ("ALPN", &evidence.alpn),
        ("JA4", &evidence.ja4),
        ("addresses (candidate only)", &evidence.addresses),
        ("ports (candidate only)", &evidence.ports),
    ]
}

/// A category as the head of a section.
fn heading(category: Category) -> &'static str {
    match category {
        Category::Im => "Instant messaging",
        Category::Uc => "Voice, video and meetings",
        Category::P2p => "Peer-to-peer sharing and storage",
        Category::P2ptv => "Peer-to-peer television",
        Category::P2pcoin => "Currencies and mining",
        Category::Anon => "Anonymisers and circumvention",
    }
}

/// A category in a sentence.
fn kind_of(category: Category) -> &'static str {
    match category {
        Category::Im => "instant messaging",
        Category::Uc => "voice, video and meetings",
        Category::P2p => "peer-to-peer sharing and storage",
        Category::P2ptv => "peer-to-peer television",
        Category::P2pcoin => "currencies and mining",
        Category::Anon => "anonymisers and circumvention",
    }
}
