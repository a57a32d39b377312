//! Compiles the YARA rules in force, and keeps them while they are the same: most reloads change other things.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, PoisonError};

use intel::Strength;
use intel::arming::YaraRule;
use judge::FileRules;

/// Rules compiled last, and what they were compiled from.
static LAST: Mutex<Option<(u64, Arc<FileRules>)>> = Mutex::new(None);

/// Warnings shown.
const SHOWN: usize = 20;

/// The rules, and a version that stands for them; nothing when there are none.
pub fn compile(rules: &[YaraRule], warnings: &mut Vec<String>) -> (Option<Arc<FileRules>>, Option<String>) {
    if rules.is_empty() {
        return (None, None);
    }
    let digest = BuildHasherDefault::<DefaultHasher>::default()
        .hash_one(rules.iter().map(|r| (&*r.source, r.strength == Strength::Block, &r.rule)).collect::<Vec<_>>());
    let version = Some(format!("{digest:016x}"));
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, compiled)) = last.as_ref().filter(|(had, _)| *had == digest) {
        return (Some(compiled.clone()), version);
    }
    let strength = |strength| match strength {
        Strength::Note => ::indicators::Strength::Note,
        Strength::Block => ::indicators::Strength::Block,
    };
    let (compiled, wrong) =
        FileRules::new(rules.iter().map(|r| (r.source.clone(), strength(r.strength), r.rule.as_str())));
    warnings.extend(wrong.iter().take(SHOWN).filter_map(|(at, why)| {
        let rule = rules.get(*at)?;
        Some(format!("{}: the YARA rule {} is not in force: {why}", rule.source, rule.name))
    }));
    let compiled = Arc::new(compiled);
    *last = Some((digest, compiled.clone()));
    (Some(compiled), version)
}
