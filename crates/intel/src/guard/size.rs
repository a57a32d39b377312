//! The change-size guard: a feed that suddenly grows tenfold or shrinks to nothing waits for a person.

use serde::{Deserialize, Serialize};

/// How much a feed may change from one fetch to the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeBounds {
    /// Times as many entries as before at most.
    pub growth: f64,
    /// The part of the entries before that must be left, 0 to 1.
    pub left: f64,
    /// Feeds with fewer entries, before and after, may change as they like.
    pub from: usize,
}

impl Default for ChangeBounds {
    fn default() -> ChangeBounds {
        ChangeBounds { growth: 10.0, left: 0.1, from: 100 }
    }
}

/// Why a fetched feed is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Entries in force.
    pub before: usize,
    /// Entries fetched.
    pub after: usize,
    /// In words.
    pub why: String,
}

impl ChangeBounds {
    /// Whether a feed that had `before` entries and now has `after` must wait for a person.
    pub fn check(&self, before: usize, after: usize) -> Result<(), Held> {
        let held = |why: String| Err(Held { before, after, why });
        if after == 0 && before > 0 {
            return held(format!("it has no entries any more; it had {before}"));
        }
        if before.max(after) < self.from || before == 0 {
            return Ok(());
        }
        if after as f64 > before as f64 * self.growth {
            return held(format!("it grew from {before} to {after} entries"));
        }
        if (after as f64) < before as f64 * self.left {
            return held(format!("it shrank from {before} to {after} entries"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sudden_change_waits_for_a_person() {
        let bounds = ChangeBounds::default();
        for (before, after, held) in [
            (0, 1_000_000, false),
            (3, 90, false),
            (1, 0, true),
            (1_000, 0, true),
            (1_000, 99, true),
            (1_000, 100, false),
            (1_000, 10_000, false),
            (1_000, 10_001, true),
            (50, 600, true),
        ] {
            assert_eq!(bounds.check(before, after).is_err(), held, "{before} {after}");
        }
    }
}
