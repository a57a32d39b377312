//! Whose a host name is: the longest entry that is the name or a domain above it.
//!
//! A trie over labels from the right, its edges in one hash table. Most names leave it after two labels,
//! so that a look-up costs some twenty nanoseconds and allocates nothing.

use hashbrown::HashTable;

/// Most labels that are looked at; names have at most 127.
const MOST_LABELS: usize = 16;
const ROOT: u32 = 0;
/// Top-level domains that exist on one overlay network only (RFC 7686 for the first), which a pattern may own whole.
const OVERLAYS: &[&str] = &["onion", "i2p", "loki"];

/// Host patterns and whose they are.
#[derive(Debug)]
pub(crate) struct Hosts<T> {
    nodes: Vec<Node<T>>,
    edges: HashTable<u32>,
}

/// A domain that is in a pattern or above one.
#[derive(Debug)]
struct Node<T> {
    parent: u32,
    label: Box<str>,
    owner: Option<T>,
    /// Children whose label has a `*` in it.
    globs: Vec<u32>,
}

impl<T> Node<T> {
    fn new(parent: u32, label: &str) -> Self {
        Node { parent, label: label.into(), owner: None, globs: Vec::new() }
    }
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Hosts { nodes: vec![Node::new(ROOT, "")], edges: HashTable::new() }
    }
}

impl<T: Copy> Hosts<T> {
    /// Enters a pattern. In each label `*` stands for any characters, also none; what is below a pattern
    /// belongs to it. Answers who had it before.
    pub(crate) fn insert(&mut self, pattern: &str, owner: T) -> Result<Option<T>, String> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '*');
        let labels = || pattern.rsplit('.');
        if labels().any(|label| label.is_empty() || !label.chars().all(allowed)) {
            return Err(format!("`{pattern}` is not a host: lower case, without a dot at either end"));
        }
        if labels().count() > MOST_LABELS {
            return Err(format!("`{pattern}` has more than {MOST_LABELS} labels"));
        }
        let whole = labels().next().is_some_and(|top| top.contains('*')) || matches!(labels().nth(1), None | Some("*"));
        if whole && !OVERLAYS.contains(&pattern) {
            return Err(format!("`{pattern}` would match a whole top-level domain"));
        }
        let mut at = ROOT;
        for label in labels() {
            at = self.child(at, label);
        }
        Ok(self.nodes[at as usize].owner.replace(owner))
    }

    /// The node of a label below another, made if it is new.
    fn child(&mut self, parent: u32, label: &str) -> u32 {
        if let Some(found) = self.find(parent, label.as_bytes()) {
            return found;
        }
        let new = self.nodes.len() as u32;
        self.nodes.push(Node::new(parent, label));
        if label.contains('*') {
            self.nodes[parent as usize].globs.push(new);
        }
        let nodes = &self.nodes;
        let again = |&node: &u32| hash(nodes[node as usize].parent, nodes[node as usize].label.as_bytes());
        self.edges.insert_unique(hash(parent, label.as_bytes()), new, again);
        new
    }

    fn find(&self, parent: u32, label: &[u8]) -> Option<u32> {
        let same = |&node: &u32| {
            let node = &self.nodes[node as usize];
            node.parent == parent && node.label.as_bytes() == label
        };
        self.edges.find(hash(parent, label), same).copied()
    }

    /// Whose this name is. A label without `*` goes before one with.
    pub(crate) fn owner(&self, name: &str) -> Option<T> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let (mut at, mut best) = (ROOT, None);
        for label in name.as_bytes().rsplit(|&byte| byte == b'.').take(MOST_LABELS) {
            let exact = self.find(at, label);
            let glob = || {
                let globs = &self.nodes[at as usize].globs;
                globs.iter().copied().find(|&node| matches(self.nodes[node as usize].label.as_bytes(), label))
            };
            let owner_of = |node: u32| self.nodes[node as usize].owner;
            let Some(next) = exact.or_else(glob) else { break };
            best = owner_of(next).or_else(|| glob().and_then(owner_of)).or(best);
            at = next;
        }
        best
    }
}

/// Whether a label fits a pattern in which `*` stands for any characters.
fn matches(pattern: &[u8], label: &[u8]) -> bool {
    let mut parts = pattern.split(|&byte| byte == b'*');
    let Some(mut rest) = parts.next().and_then(|head| label.strip_prefix(head)) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match memchr::memmem::find(rest, part).and_then(|at| rest.get(at + part.len()..)) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    rest.is_empty()
}

/// Hash of an edge. Its key is no secret: whoever makes names collide gains a comparison of labels.
fn hash(parent: u32, label: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = (u64::from(parent) << 8 | label.len() as u64 & 0xff).wrapping_mul(ODD);
    let (words, rest) = label.as_chunks::<8>();
    for word in words {
        hash = (hash.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(ODD);
    }
    let tail = rest.iter().fold(0, |tail, &byte| tail << 8 | u64::from(byte));
    hash = (hash.rotate_left(23) ^ tail).wrapping_mul(ODD);
    hash ^ hash >> 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hosts(patterns: &[(&str, Option<u16>)]) -> Hosts<Option<u16>> {
        let mut hosts = Hosts::default();
        for (pattern, app) in patterns {
            hosts.insert(pattern, *app).unwrap();
        }
        hosts
    }

    #[test]
    fn the_longest_domain_above_a_name_owns_it() {
        let hosts = hosts(&[
            ("chat.example", Some(1)),
            ("media.chat.example", Some(2)),
            ("www.chat.example", None),
            ("e*.talk.example", Some(3)),
            ("edge.talk.example", Some(4)),
            ("media-*.cdn.talk.example", Some(5)),
            ("*.below.example", Some(6)),
            ("edge.deep.er.talk.example", Some(7)),
            ("a*b*c.example", Some(8)),
        ]);
        for (name, app) in [
            ("chat.example", Some(1)),
            ("chat.example.", Some(1)),
            ("a.b.chat.example", Some(1)),
            ("media.chat.example", Some(2)),
            ("x.media.chat.example", Some(2)),
            ("www.chat.example", None),
            ("x.www.chat.example", None),
            ("chat.example.evil.test", None),
            ("notchat.example", None),
            ("xchat.example", None),
            ("talk.example", None),
            ("e1.talk.example", Some(3)),
            ("e.talk.example", Some(3)),
            ("x.e9.talk.example", Some(3)),
            ("edge.talk.example", Some(4)),
            ("er.talk.example", Some(3)),
            ("x.er.talk.example", Some(3)),
            ("edge.deep.er.talk.example", Some(7)),
            ("media-fra3.cdn.talk.example", Some(5)),
            ("cdn.talk.example", None),
            ("below.example", None),
            ("x.below.example", Some(6)),
            ("a1b2c.example", Some(8)),
            ("abc.example", Some(8)),
            ("ac.example", None),
            ("abcd.example", None),
            ("example", None),
            ("", None),
            (".", None),
            ("..chat.example", Some(1)),
        ] {
            assert_eq!(hosts.owner(name).flatten(), app, "{name}");
        }
    }

    #[test]
    fn patterns_that_would_own_too_much_are_refused() {
        for pattern in
            ["com", "*.com", "*.com.*", "a.*", "", ".example.org", "example.org.", "Example.org", "exa mple.org"]
        {
            assert!(Hosts::default().insert(pattern, 1).is_err(), "{pattern}");
        }
    }

    #[test]
    fn endless_names_end() {
        let hosts = hosts(&[("chat.example", Some(1))]);
        let name = format!("{}chat.example", "a.".repeat(5000));
        assert_eq!(hosts.owner(&name), Some(Some(1)));
        assert_eq!(hosts.owner(&".".repeat(5000)), None);
    }

    proptest! {
        #[test]
        fn owners_are_those_of_the_longest_suffix(
            patterns in prop::collection::btree_set("[ab]{1,2}(\\.[ab]{1,2}){1,3}", 1..12),
            name in "([ab]{0,2}\\.){0,5}[ab]{1,2}",
        ) {
            let mut hosts = Hosts::default();
            for pattern in &patterns {
                hosts.insert(pattern, pattern.len()).unwrap();
            }
            let above = |pattern: &&String| name == **pattern || name.ends_with(&format!(".{pattern}"));
            let longest = patterns.iter().filter(above).map(String::len).max();
            prop_assert_eq!(hosts.owner(&name), longest, "{}", name);
        }
    }
}
