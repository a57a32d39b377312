//! How attacks divide: by kind, network, platform, technique, family.

use std::collections::BTreeMap;

use crate::{Threat, network, technique};

/// Most different values of one dimension; more count as `(others)`.
const MOST_VALUES: usize = 2_000;
/// The name that those go by.
const OTHERS: &str = "(others)";

/// How a number of attacks divides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breakdown {
    /// How many attacks it is of.
    pub of: u64,
    /// By what; empty ones are left out.
    pub dimensions: Vec<Dimension>,
}

/// One way to divide them. An attack may be in several items: it can use two networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// Its name: `kind`.
    pub name: &'static str,
    /// Its items, most frequent first.
    pub items: Vec<Item>,
}

/// One value and how many attacks have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The value: `msn`, `T1566`.
    pub id: String,
    /// How many.
    pub count: u64,
}

impl Breakdown {
    /// The dimension of a name.
    pub fn dimension(&self, name: &str) -> Option<&Dimension> {
        self.dimensions.iter().find(|dimension| dimension.name == name)
    }
}

impl Dimension {
    /// What its items are called for people.
    pub fn label(&self, item: &Item) -> String {
        match self.name {
            "network" => network::name(&item.id).to_owned(),
            "platform" => platform(&item.id).to_owned(),
            "technique" => match technique::name(&item.id) {
                Some(name) => format!("{name} {}", item.id),
                None => item.id.clone(),
            },
            _ => item.id.clone(),
        }
    }

    /// The items to be shown: the most frequent. A family of one threat says nothing.
    pub fn top(&self, most: usize) -> impl Iterator<Item = &Item> {
        let least = if self.name == "family" { 2 } else { 1 };
        self.items.iter().filter(move |item| item.count >= least).take(most)
    }

    /// Its name as a heading.
    pub fn title(&self) -> &'static str {
        match self.name {
            "kind" => "Kind",
            "novelty" => "New or variant",
            "network" => "Network",
            "platform" => "Platform",
            "technique" => "Technique (MITRE ATT&CK)",
            "family" => "Family",
            "symbol" => "Finding",
            "verdict" => "What was done",
            _ => "Other",
        }
    }
}

/// What a platform is called by those who sell it.
fn platform(id: &str) -> &str {
    match id {
        "windows" => "Windows",
        "macos" => "macOS",
        "linux" => "Linux",
        "ios" => "iOS",
        "android" => "Android",
        "symbian" => "Symbian",
        "phone" => "Other phones",
        other => other,
    }
}

/// Counts attacks by dimension; dimensions keep the order in which they were named.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    of: u64,
    dimensions: Vec<(&'static str, BTreeMap<String, u64>)>,
}

impl Tally {
    pub(super) fn new(dimensions: &[&'static str]) -> Tally {
        Tally { of: 0, dimensions: dimensions.iter().map(|name| (*name, BTreeMap::new())).collect() }
    }

    /// Begins another attack.
    pub(super) fn count(&mut self) {
        self.of += 1;
    }

    /// Says something of it.
    pub(super) fn add(&mut self, dimension: &str, value: &str) {
        let Some((_, values)) = self.dimensions.iter_mut().find(|(name, _)| *name == dimension) else { return };
        let known = values.len() < MOST_VALUES || values.contains_key(value);
        *values.entry(if known { value } else { OTHERS }.to_owned()).or_default() += 1;
    }

    pub(super) fn done(self) -> Breakdown {
        let dimensions = self.dimensions.into_iter().filter(|(_, values)| !values.is_empty()).map(|(name, values)| {
            let mut items: Vec<Item> = values.into_iter().map(|(id, count)| Item { id, count }).collect();
            items.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.id.cmp(&b.id)));
            Dimension { name, items }
        });
        Breakdown { of: self.of, dimensions: dimensions.collect() }
    }
}

/// How catalogue entries divide.
pub(super) fn of_threats<'a>(threats: impl IntoIterator<Item = &'a Threat>) -> Breakdown {
    let mut tally = Tally::new(&["kind", "novelty", "network", "platform", "technique", "family"]);
    for threat in threats {
        tally.count();
        tally.add("kind", threat.kind.as_str());
        tally.add("novelty", if threat.variant { "variant" } else { "new" });
        threat.networks.iter().for_each(|network| tally.add("network", network));
        threat.platforms.iter().for_each(|platform| tally.add("platform", platform.as_str()));
        threat.techniques.iter().for_each(|technique| tally.add("technique", technique));
        if let Some(family) = &threat.family {
            tally.add("family", family);
        }
    }
    tally.done()
}
