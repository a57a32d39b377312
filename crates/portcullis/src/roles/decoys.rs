//! What a message to a decoy sets off: indicators drafted from it, held against the warning lists and the past, are
//! in force here at once and, where a repository is named, published to everybody who follows it. They run out by
//! themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use intel::campaign::{Campaign, Drafting, Grouper, KeyKind, Terms, draft, held_against, promote};
use intel::update::{Expiry, Keys, SecretKey};
use intel::{Indicator, Pattern, Strength, Threat, Tlp};
use jiff::{SignedDuration, Timestamp};
use judge::Judge;
use tracing::{error, info};
use uuid::Uuid;

use super::campaigns::month_before;
use super::indicators;
use crate::config::{self, Config};

/// How often it acts at most: whoever floods decoys with ever new links does not keep everybody reloading.
const EVERY: Duration = Duration::from_secs(2);
/// How long it rests when it could not.
const REST: Duration = Duration::from_secs(60);
/// Threats from decoys in force at a time; beyond, the oldest go.
const THREATS: usize = 256;
/// Records of the past that are looked at: it has to be quick.
const WITNESSES: u64 = 100_000;

/// Acts on messages to decoys.
pub struct Decoys<'a> {
    settings: &'a config::Decoys,
    config: &'a Config,
    judge: &'a Judge,
    data: PathBuf,
    /// Campaigns that have reached for a decoy since it acted last.
    pending: BTreeSet<String>,
    rests_until: Option<Instant>,
    /// What was drafted for each campaign and decided about, and until when that holds.
    decided: BTreeMap<String, (BTreeSet<Uuid>, Timestamp)>,
}

impl<'a> Decoys<'a> {
    pub fn new(settings: &'a config::Decoys, config: &'a Config, judge: &'a Judge) -> Decoys<'a> {
        let data = config.data_dir();
        Decoys { settings, config, judge, data, pending: BTreeSet::new(), rests_until: None, decided: BTreeMap::new() }
    }

    /// Takes away what has run out.
    pub fn tidy(&self, now: Timestamp) {
        if promote::folder(&self.data).join(promote::DECOYS).exists()
            && let Err(error) = promote::write_decoyed(&self.data, &promote::decoyed(&self.data, now))
        {
            error!(%error, "indicators from decoys that have run out can't be taken away");
        }
    }

    /// Notes that campaigns have reached for a decoy.
    pub fn contacted(&mut self, campaigns: Vec<String>) {
        for id in campaigns {
            metrics::counter!("portcullis_decoys_contacted_total").increment(1);
            if self.settings.publish {
                self.pending.insert(id);
            }
        }
    }

    /// Takes back what was blocked for a campaign that a person says is nothing.
    pub fn withdraw(&mut self, campaign: &str) {
        let now = self.judge.now();
        let id = threat_id(campaign);
        let mut threats = promote::decoyed(&self.data, now);
        let before = threats.len();
        threats.retain(|threat| threat.id != id);
        if threats.len() == before {
            return;
        }
        let withdrawn = promote::write_decoyed(&self.data, &threats)
            .map_err(anyhow::Error::from)
            .and_then(|()| self.publish(&threats, &[id], now));
        match withdrawn {
            Ok(published) => {
                self.judge.note(&format!("what decoys had blocked of campaign {campaign} is free{published}"))
            }
            Err(why) => self.failed(&format!("what decoys had blocked of campaign {campaign} can't be freed"), &why),
        }
    }

    /// Acts on what is noted, unless it has just acted.
    pub fn respond(&mut self, grouper: &Grouper) {
        let started = Instant::now();
        if self.pending.is_empty() || self.rests_until.is_some_and(|until| started < until) {
            return;
        }
        self.rests_until = Some(started + EVERY);
        let now = self.judge.now();
        let pending = std::mem::take(&mut self.pending);
        let campaigns = pending.iter().filter_map(|id| grouper.get(id));
        if let Err(why) = self.act(campaigns, now) {
            self.failed("what was sent to a decoy could not be blocked", &why);
            self.pending.extend(pending);
            self.rests_until = Some(started + REST);
        }
    }

    fn act<'c>(&mut self, campaigns: impl Iterator<Item = &'c Campaign>, now: Timestamp) -> Result<()> {
        self.decided.retain(|_, (_, until)| *until > now);
        let mut new = Vec::new();
        for campaign in campaigns {
            let (threat, drafted) = match self.threat(campaign, now)? {
                Some(decided) => decided,
                None => continue,
            };
            new.push((campaign.id.clone(), threat, drafted));
        }
        let mut threats = promote::decoyed(&self.data, now);
        let armed = || new.iter().map(|(_, threat, _)| threat).filter(|threat| !threat.indicators.is_empty());
        let mut published = String::new();
        if armed().next().is_some() {
            threats.retain(|old| armed().all(|threat| threat.id != old.id));
            threats.extend(armed().cloned());
            let over = threats.len().saturating_sub(THREATS);
            threats.drain(..over);
            promote::write_decoyed(&self.data, &threats)?;
            published = self.publish(&threats, &[], now)?;
        }
        let until = now + self.lasting();
        for (id, threat, drafted) in new {
            let shown: Vec<String> = threat.indicators.iter().map(|indicator| indicator.pattern.shown()).collect();
            let said = match shown.is_empty() {
                true => {
                    format!("campaign {id} reached for a decoy; nothing in it may be blocked without a person's word")
                }
                false => {
                    format!("campaign {id} reached for a decoy; blocked until {until}{published}: {}", shown.join(", "))
                }
            };
            self.judge.note(&said);
            info!(campaign = %id, indicators = shown.join(", "), "a decoy was contacted");
            self.decided.insert(id, (drafted, until));
        }
        Ok(())
    }

    /// What may be blocked of a campaign on the word of a decoy alone, with all that was drafted; `None` when that was
    /// decided before.
    fn threat(&self, campaign: &Campaign, now: Timestamp) -> Result<Option<(Threat, BTreeSet<Uuid>)>> {
        let guard = indicators::guard(self.config).map_err(|failure| anyhow::anyhow!("{failure}"))?;
        let id = threat_id(&campaign.id);
        let marking = Tlp::Amber;
        let until = Some(now + self.lasting());
        let terms = Terms { threat: &id, feed: "decoy", now, until, marking };
        let drafting = Drafting::new(campaign, &guard, &terms);
        let drafted = drafting.ids();
        if self.decided.get(&campaign.id).is_some_and(|(decided, _)| drafted.is_subset(decided)) {
            return Ok(None);
        }
        let (drafts, _) = held_against(drafting, &self.data, month_before(now), WITNESSES)?;
        let name = format!("Sent to a decoy: {}", campaign.title());
        let mut threat = promote::threat(campaign, id, name, draft::looks_like(campaign), marking);
        threat.indicators = drafts
            .into_iter()
            .filter(|draft| !draft.refused && draft.indicator.strength == Strength::Block)
            .map(|draft| draft.indicator)
            .filter(|indicator| is_telling(campaign, indicator))
            .collect();
        Ok(Some((threat, drafted)))
    }

    /// Publishes to those who follow; says so.
    fn publish(&self, threats: &[Threat], gone: &[String], now: Timestamp) -> Result<String> {
        let Some(repository) = &self.settings.repository else { return Ok(String::new()) };
        let read = |files: &[PathBuf]| files.iter().map(|file| SecretKey::read(file)).collect::<Result<Vec<_>, _>>();
        let keys =
            Keys { release: read(&self.settings.release_keys)?, timestamp: read(&self.settings.timestamp_keys)? };
        let published = promote::publish(repository, threats, gone, Tlp::AmberStrict, &keys, now, Expiry::default())
            .with_context(|| format!("in force here, but not published to {}", repository.display()))?;
        Ok(format!(" and published as release {}", published.release))
    }

    fn failed(&self, what: &str, why: &anyhow::Error) {
        let why = format!("{why:#}");
        self.judge.note(&format!("{what}: {why}"));
        metrics::counter!("portcullis_campaign_faults_total").increment(1);
        error!(why, "{what}");
    }

    fn lasting(&self) -> SignedDuration {
        SignedDuration::from_hours(i64::from(self.settings.expiry_hours.clamp(1, 24 * 31)))
    }
}

/// The threat that stands for what a campaign sent to decoys.
fn threat_id(campaign: &str) -> String {
    format!("decoy-{campaign}")
}

/// One message is enough for the page it links to, not for the whole site: that takes two pages.
fn is_telling(campaign: &Campaign, indicator: &Indicator) -> bool {
    let Pattern::Domain { value } = &indicator.pattern else { return true };
    let on_it = campaign.keys.keys().filter(|key| key.kind() == KeyKind::Url).filter_map(|key| key.host());
    on_it.filter(|host| host.ends_with(value.as_str())).count() > 1
}
