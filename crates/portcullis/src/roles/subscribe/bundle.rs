//! What a bundle in force gives to the roles: indicators to the index, rules to the policy. Signatures for sensors
//! stay in its folder.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use intel::Catalogue;
use intel::arming::{Arming, warns_of};
use intel::update::{Bundle, BundleError, Subscription, folder};

use super::super::indicators::Source;
use super::super::rules as roles_rules;
use crate::config::{Config, RulesFromElsewhere};
use crate::failure::Failure;

/// Indicators of the update in force.
pub struct Subscribed;

impl Source for Subscribed {
    fn files(&self, config: &Config) -> Vec<PathBuf> {
        let subscribed = config.intel.subscribe.is_some();
        subscribed.then(|| folder(&config.data_dir()).join("current")).into_iter().collect()
    }

    fn load(&self, config: &Config, arming: &mut Arming<'_>, warnings: &mut Vec<String>) -> Result<(), Failure> {
        let Some(bundle) = in_force(config, warnings) else { return Ok(()) };
        if let Err(error) = add(&bundle, arming) {
            warnings.push(format!("update {}: {error}", bundle.version()));
        }
        Ok(())
    }
}

fn add(bundle: &Bundle, arming: &mut Arming<'_>) -> Result<(), BundleError> {
    let threats = bundle.threats()?;
    let kinds: HashMap<&str, _> = threats.iter().map(|threat| (&*threat.id, threat.kind)).collect();
    let mut feeds: HashMap<String, Arc<str>> = HashMap::new();
    for indicator in bundle.indicators()? {
        let threat = indicator.threat.as_deref().unwrap_or_default();
        let kind = kinds.get(threat).copied().or_else(|| Catalogue::bundled().get(threat).map(|threat| threat.kind));
        let name = &indicator.source.feed;
        let feed = feeds.entry(name.clone()).or_insert_with(|| name.as_str().into());
        // Who signs an indicator of no known threat still says that it does harm.
        let warns = kind.map_or(indicators::ThreatKind::Malware, warns_of);
        arming.add(feed, warns, &indicator);
    }
    Ok(())
}

/// Rules of the update in force, and how far they may go.
pub fn rules(config: &Config, warnings: &mut Vec<String>) -> (Vec<(String, String)>, RulesFromElsewhere) {
    let mode = mode(config);
    if mode == RulesFromElsewhere::Off {
        return (Vec::new(), mode);
    }
    let Some(bundle) = in_force(config, warnings) else { return (Vec::new(), mode) };
    let rules = bundle.rules().unwrap_or_else(|error| {
        warnings.push(format!("update {}: {error}", bundle.version()));
        Vec::new()
    });
    (rules, mode)
}

/// Whether a bundle would load here, with the policy that is configured now.
pub fn check(config: &Config, bundle: &Bundle) -> Result<(), Failure> {
    let refused = |error: BundleError| Failure::usage(error);
    bundle.indicators().map_err(refused)?;
    let mode = mode(config);
    if mode != RulesFromElsewhere::Off {
        roles_rules::policy_with(config, &bundle.rules().map_err(refused)?, mode)?;
    }
    if let Some(apps) = bundle.apps() {
        sensor::apps::Catalogue::load(&[apps])
            .map_err(|problems| Failure::wrong(problems.into_iter().map(|p| (p.to_string(), p.hint))))?;
    }
    Ok(())
}

fn mode(config: &Config) -> RulesFromElsewhere {
    config.intel.subscribe.as_ref().map_or(RulesFromElsewhere::Off, |subscribe| subscribe.rules)
}

fn in_force(config: &Config, warnings: &mut Vec<String>) -> Option<Bundle> {
    config.intel.subscribe.as_ref()?;
    Subscription::last_good(&folder(&config.data_dir())).unwrap_or_else(|error| {
        warnings.push(format!("the update that was in force is damaged and left out: {error}"));
        None
    })
}
