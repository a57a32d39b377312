//! `portcullis policy`: check rules, try them on a table of cases, show the built-in ones.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use model::{Message, Party, Place};
use policy::{Policy, Severity, Surroundings, cases, check};

use super::{Outcome, say};
use crate::config::Config;
use crate::failure::{FOUND, Failure, USAGE, complain};
use crate::roles;

#[derive(Subcommand)]
pub enum PolicyCommand {
    /// Check policy files: every error and doubt with its place and a hint.
    Check {
        #[command(flatten)]
        from: Source,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Try a policy on a table of messages and expected verdicts.
    Test {
        /// The table (TOML); `docs/policy.md` shows its form.
        table: PathBuf,
        #[command(flatten)]
        from: PolicyOption,
    },
    /// Print the built-in policy, to begin one's own with.
    Default,
}

#[derive(Args)]
pub struct Source {
    /// Policy files; the configured or built-in policy when none is named.
    files: Vec<PathBuf>,
    /// Take symbols, groups and policy files from this configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Args)]
pub struct PolicyOption {
    /// Policy file; the configured or built-in policy when none is named.
    #[arg(long, value_name = "FILE")]
    policy: Vec<PathBuf>,
    /// Take everything else from this configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl PolicyCommand {
    pub fn run(self) -> Outcome {
        match self {
            PolicyCommand::Check { from, json } => check_files(configured(from.config, from.files)?, json),
            PolicyCommand::Test { table, from } => test(&configured(from.config, from.policy)?, &table),
            PolicyCommand::Default => {
                say(Policy::default_text().trim_end());
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// The configuration, with policy files from the command line in place of its own.
fn configured(config: Option<PathBuf>, files: Vec<PathBuf>) -> Result<Config, Failure> {
    let mut config = config.map(|file| crate::config::load(&file)).transpose()?.unwrap_or_default();
    if !files.is_empty() {
        config.policy.files = files;
    }
    Ok(config)
}

fn check_files(config: Config, json: bool) -> Outcome {
    let symbols = roles::symbols(&config)?;
    let texts = roles::policy_texts(&config.policy.files)?;
    let sources: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let today = jiff::Zoned::now().date();
    // Without a directory nothing is known of groups, which is not to say that there are none.
    let directory = config.identity.file.is_some().then(|| roles::directory(&config)).transpose()?;
    let groups: Option<Vec<&str>> = directory.as_ref().map(|known| known.groups().iter().map(|name| &**name).collect());
    let file_kinds = roles::file_kinds();
    let surroundings = Surroundings { today: Some(today), groups: groups.as_deref(), file_kinds: Some(&file_kinds) };
    let problems = check(&sources, symbols, surroundings);
    for problem in &problems {
        if json {
            say(serde_json::to_string(problem).unwrap_or_default());
        } else {
            let how_bad = if problem.severity == Severity::Error { "error" } else { "warning" };
            let policy::Problem { file, line, column, message, hint, .. } = problem;
            complain(how_bad, &format!("{file}:{line}:{column}: {message}"), hint.as_deref());
        }
    }
    if problems.iter().any(|p| p.severity == Severity::Error) {
        return Ok(ExitCode::from(USAGE));
    }
    if !json {
        let names: Vec<&str> = sources.iter().map(|(name, _)| *name).collect();
        say(format!("{}: ok", names.join(", ")));
    }
    Ok(ExitCode::SUCCESS)
}

fn test(config: &Config, table: &std::path::Path) -> Outcome {
    let loaded = roles::load(config)?;
    let name = table.display().to_string();
    let text = std::fs::read_to_string(table).map_err(|e| Failure::unreadable(table, &e))?;
    let found = cases::parse(&name, &text, &roles::symbols(config)?).map_err(roles::policy_problems)?;
    let outcomes = cases::run(&loaded.rules.policy, &found, |case| {
        let party = |protocol, address, kind| loaded.directory.party(protocol, address, kind);
        let staged = case.stage(party, Vec::new());
        let findings = case.text.as_deref().map_or_else(Vec::new, |text| inspect(&loaded, case, text, &staged));
        Ok(case.stage(party, findings))
    });
    for outcome in &outcomes {
        say(outcome.to_string());
    }
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    say(format!("{} passed, {failed} failed", outcomes.len() - failed));
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

/// What the detectors find in a case's text.
fn inspect(loaded: &roles::Loaded, case: &cases::Case, text: &str, staged: &cases::Staged) -> Vec<model::Finding> {
    let party = |party: &Party| Arc::new(party.clone());
    let mut message =
        Message::new(case.protocol, case.kind, case.direction, case.time, party(&staged.from), party(&staged.to));
    message.say(Place::Body, text);
    let facts = inspect::facts::extract(&message);
    let answers = inspect::Answers::default();
    let seen = inspect::Case { message: &message, facts: &facts, answers: &answers };
    let mut findings = inspect::Findings::default();
    for detector in &loaded.rules.detectors {
        detector.inspect(&seen, &mut findings);
    }
    findings.into_vec()
}
