//! Which application says so in its HTTP user agent.

use aho_corasick::{AhoCorasick, BuildError};

use super::App;

/// Words of user agents and whose they are.
#[derive(Debug, Default)]
pub(super) struct Agents {
    words: Option<AhoCorasick>,
    owners: Vec<App>,
}

impl Agents {
    /// From words that stand anywhere in a user agent, in any case.
    pub(super) fn new(words: &[(String, App)]) -> Result<Self, BuildError> {
        if words.is_empty() {
            return Ok(Agents::default());
        }
        let index = AhoCorasick::builder().ascii_case_insensitive(true).build(words.iter().map(|(word, _)| word))?;
        Ok(Agents { words: Some(index), owners: words.iter().map(|&(_, app)| app).collect() })
    }

    /// Whose word stands in it, as a word of its own; the longest if there are several.
    pub(super) fn owner(&self, agent: &str) -> Option<App> {
        let index = self.words.as_ref()?;
        let bytes = agent.as_bytes();
        let alone = |start: usize, end: usize| {
            let before = start.checked_sub(1).and_then(|at| bytes.get(at));
            let joins = |a: Option<&u8>, b: Option<&u8>| {
                a.zip(b).is_some_and(|(a, b)| a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric())
            };
            let last = end.checked_sub(1).and_then(|at| bytes.get(at));
            !joins(before, bytes.get(start)) && !joins(last, bytes.get(end))
        };
        index
            .find_overlapping_iter(agent)
            .filter(|found| alone(found.start(), found.end()))
            .max_by_key(|found| (found.len(), std::cmp::Reverse(found.start())))
            .and_then(|found| self.owners.get(found.pattern().as_usize()).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_counts_where_it_stands_alone() {
        let words = [("Talk/", 1), ("Talk", 2), ("Big Talk", 3), ("BitStream", 4)];
        let agents = Agents::new(&words.map(|(word, app)| (word.to_owned(), App(app)))).unwrap();
        for (agent, app) in [
            ("Talk/2.3 (Linux)", Some(1)),
            ("talk 2.3", Some(2)),
            ("Mozilla/5.0 (X11) Big Talk/1", Some(3)),
            ("SmallTalk/80", None),
            ("Talking heads", None),
            ("BitStream9", None),
            ("Mozilla/5.0;BitStream", Some(4)),
            ("", None),
        ] {
            assert_eq!(agents.owner(agent), app.map(App), "{agent}");
        }
    }
}
