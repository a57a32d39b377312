//! Loads what is decided by: policy, directory, indicators, detectors.

use std::path::Path;
use std::sync::Arc;

use ::indicators::Index;
use identity::Directory;
use inspect::detect;
use jiff::Timestamp;
use judge::Rules;
use policy::{Policy, Symbols};

use super::{filerules, indicators, subscribe};
use crate::config::{Config, RulesFromElsewhere};
use crate::failure::Failure;

/// Everything that decides, loaded and checked.
pub struct Loaded {
    /// Policy, detectors, indicators.
    pub rules: Rules,
    /// People and groups.
    pub directory: Directory,
    /// What is doubtful, in words.
    pub warnings: Vec<String>,
    /// When an indicator begins or ends to hold.
    pub until: Option<Timestamp>,
}

/// Loads what the configuration names.
pub fn load(config: &Config) -> Result<Loaded, Failure> {
    let mut warnings = Vec::new();
    let armed = indicators::load(config, &mut warnings)?;
    warnings.extend(indicators::rejections(&armed));
    let (files, version) = filerules::compile(&armed.yara, &mut warnings);
    let (index, until) = (armed.index, armed.until);
    let indicators = match version {
        Some(version) => format!("{}-{version}", index.version()).into(),
        None => index.version().clone(),
    };
    let detectors =
        detect::table(&config.detect, Arc::new(index)).map_err(|e| Failure::usage(format!("detect.{e}")))?;
    let policy = policy(config, &mut warnings)?;
    warnings.extend(policy.warnings().iter().map(ToString::to_string));
    let directory = directory(config)?;
    if directory.decoys() > 0 && !policy_texts(&config.policy.files)?.iter().any(|(_, text)| text.contains("decoy")) {
        warnings.push("there are decoys, and no rule of the policy looks at `decoy.contacted`".to_owned());
    }
    Ok(Loaded { rules: Rules { policy, detectors, indicators, files }, directory, warnings, until })
}

/// The symbols rules can name: those of the tables and the operator's own patterns.
pub fn symbols(config: &Config) -> Result<Symbols, Failure> {
    let index = Arc::new(Index::empty());
    let detectors = detect::table(&config.detect, index).map_err(|e| Failure::usage(format!("detect.{e}")))?;
    let trackers = inspect::track::table(&config.track);
    let tables = detectors.iter().map(|d| d.symbols()).chain(trackers.iter().map(|t| t.symbols()));
    Ok(Symbols::new(tables.flatten()).with_local(config.detect.patterns.iter().map(detect::LocalPattern::symbol)))
}

/// The operator's policy with the rules of the update in force; without them where they do not fit beside it.
fn policy(config: &Config, warnings: &mut Vec<String>) -> Result<Policy, Failure> {
    let (rules, mode) = subscribe::rules(config, warnings);
    if rules.is_empty() {
        return policy_with(config, &[], RulesFromElsewhere::Off);
    }
    policy_with(config, &rules, mode).or_else(|failure| {
        let policy = policy_with(config, &[], RulesFromElsewhere::Off)?;
        warnings.push(format!("the rules of the update in force do not load beside the policy: {failure}"));
        Ok(policy)
    })
}

/// The operator's policy and these rules from elsewhere.
pub fn policy_with(config: &Config, rules: &[(String, String)], mode: RulesFromElsewhere) -> Result<Policy, Failure> {
    let symbols = symbols(config)?;
    let texts = policy_texts(&config.policy.files)?;
    let (own, theirs) = (sources(&texts), sources(rules));
    let loaded = match mode {
        RulesFromElsewhere::Off => Policy::load(&own, symbols),
        RulesFromElsewhere::Observe => Policy::load_observing(&own, &theirs, symbols),
        RulesFromElsewhere::Enforce => Policy::load(&[own, theirs].concat(), symbols),
    };
    loaded.map_err(policy_problems)
}

fn sources(texts: &[(String, String)]) -> Vec<(&str, &str)> {
    texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
}

/// Everything wrong with a policy or a table of cases.
pub fn policy_problems(problems: Vec<policy::Problem>) -> Failure {
    Failure::wrong(problems.into_iter().map(|problem| {
        let policy::Problem { file, line, column, message, hint, .. } = problem;
        (format!("{file}:{line}:{column}: {message}"), hint)
    }))
}

/// The kinds of file that rules can name.
pub fn file_kinds() -> Vec<&'static str> {
    inspect::files::kind::KINDS.iter().map(|kind| kind.name).collect()
}

/// Policy files by name and text; the built-in one when there are none.
pub fn policy_texts(files: &[impl AsRef<Path>]) -> Result<Vec<(String, String)>, Failure> {
    if files.is_empty() {
        return Ok(vec![("default.cedar".to_owned(), Policy::default_text().to_owned())]);
    }
    files.iter().map(|file| Ok((file.as_ref().display().to_string(), read(file.as_ref())?))).collect()
}

/// People and groups, and the domains that are served.
pub fn directory(config: &Config) -> Result<Directory, Failure> {
    let served: Vec<&str> = config
        .gateway
        .iter()
        .flat_map(|gateway| &gateway.xmpp)
        .flat_map(|xmpp| &xmpp.domains)
        .filter_map(|domain| domain.name.as_deref())
        .collect();
    let Some(file) = &config.identity.file else { return Ok(Directory::empty(&served)) };
    Directory::load(&read(file)?, &file.display().to_string(), &served).map_err(|problems| {
        Failure::wrong(problems.into_iter().map(|problem| {
            let identity::Problem { file, line, column, message, hint } = problem;
            (format!("{file}:{line}:{column}: {message}"), hint)
        }))
    })
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|e| Failure::unreadable(file, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_policy_fits_the_symbols_that_exist() {
        let loaded = load(&Config::default()).unwrap();
        assert_eq!(loaded.warnings, Vec::<String>::new());
        let surroundings = policy::Surroundings { file_kinds: Some(&file_kinds()), ..Default::default() };
        let symbols = symbols(&Config::default()).unwrap();
        assert_eq!(policy::check(&[("default.cedar", Policy::default_text())], symbols, surroundings), []);
    }
}
