//! What captures held, in one table: applications, hosts, bytes, platforms.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use model::{Category, Confidence, Platform};

use crate::apps::{App, Catalogue};
use crate::event::{AnomalyEvent, Sink};
use crate::flow::Flow;

/// Distinct hosts counted an application; beyond that the count stands.
const MOST_HOSTS: usize = 1 << 20;

/// Counts flows by what they are called.
#[derive(Debug, Default)]
pub struct Summary {
    applications: BTreeMap<App, Tally>,
    /// All flows.
    pub flows: u64,
    /// Flows with a name.
    pub named: u64,
    /// Flows with candidates only.
    pub candidates: u64,
    /// Anomaly events.
    pub anomalies: u64,
}

/// One application's share.
#[derive(Debug, Default)]
struct Tally {
    flows: u64,
    bytes: u64,
    hosts: HashSet<IpAddr>,
    surest: Option<Confidence>,
    platforms: BTreeMap<Platform, u64>,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Name for people.
    pub application: String,
    /// Kind of software.
    pub category: Category,
    /// Flows.
    pub flows: u64,
    /// Clients.
    pub hosts: usize,
    /// Bytes on the wire, both ways.
    pub bytes: u64,
    /// The strongest ground on which any of them was named.
    pub surest: Confidence,
    /// Flows by the client's platform, where it is known.
    pub platforms: Vec<(Platform, u64)>,
}

impl Summary {
    /// The table: by category, the most flows first.
    pub fn rows(&self, catalogue: &Catalogue) -> Vec<Row> {
        let mut rows: Vec<Row> = self
            .applications
            .iter()
            .map(|(app, tally)| {
                let entry = catalogue.entry(*app);
                Row {
                    application: entry.name.clone(),
                    category: entry.category,
                    flows: tally.flows,
                    hosts: tally.hosts.len(),
                    bytes: tally.bytes,
                    surest: tally.surest.unwrap_or(Confidence::Port),
                    platforms: tally.platforms.iter().map(|(platform, flows)| (*platform, *flows)).collect(),
                }
            })
            .collect();
        rows.sort_by(|a, b| (a.category, b.flows, &a.application).cmp(&(b.category, a.flows, &b.application)));
        rows
    }
}

impl Sink for Summary {
    fn flow(&mut self, flow: &Flow, _: &Catalogue) {
        self.flows += 1;
        let Some(naming) = &flow.naming else {
            self.candidates += u64::from(flow.candidates_by.is_some());
            return;
        };
        self.named += 1;
        let tally = self.applications.entry(naming.app).or_default();
        tally.flows += 1;
        tally.bytes += flow.bytes.iter().sum::<u64>();
        if tally.hosts.len() < MOST_HOSTS {
            tally.hosts.insert(flow.client.ip);
        }
        tally.surest = Some(tally.surest.map_or(naming.confidence, |held| held.min(naming.confidence)));
        if let Some(platform) = flow.platform {
            *tally.platforms.entry(platform).or_default() += 1;
        }
    }

    fn anomaly(&mut self, _: &AnomalyEvent) {
        self.anomalies += 1;
    }
}
