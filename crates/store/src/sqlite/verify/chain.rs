//! One writer's chain while it is walked: what each row has to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Bad, Report};
use crate::Head;
use crate::chain::{self, ChainHash, Tip};

/// What is known of one writer's chain while walking it.
pub(super) struct Chain {
    pub(super) name: Arc<str>,
    pub(super) tip: Tip,
    /// Where the writer says that it ends.
    pub(super) claimed: Option<(Tip, u64)>,
    pub(super) records: u64,
    pub(super) position: u64,
    pub(super) heads: BTreeMap<u64, Claim>,
    pub(super) signed: Option<Head>,
}

/// What the heads say about one record.
pub(super) enum Claim {
    Signed(Head),
    Bad(String),
}

impl Chain {
    pub(super) fn new(name: Arc<str>, claimed: Option<(Tip, u64)>) -> Chain {
        let tip = Tip::genesis(&name);
        Chain { name, tip, claimed, records: 0, position: 0, heads: BTreeMap::new(), signed: None }
    }

    pub(super) fn bad(&self, seq: u64, position: u64, what: impl Into<String>) -> Bad {
        Bad { writer: self.name.clone(), seq, position, what: what.into() }
    }

    /// Adds what a head says; a wrong or contradicting one stays as such.
    pub(super) fn claim(&mut self, head: Head, checked: Result<(), &'static str>) {
        let claim = match checked {
            Err(why) => Claim::Bad(format!("the signed head for it does not hold: {why}")),
            Ok(()) => match self.heads.get(&head.seq) {
                Some(Claim::Signed(other)) if other.hash != head.hash => {
                    Claim::Bad("two signed heads for it disagree: the chain was rolled back and written on".to_owned())
                }
                Some(_) => return,
                None => Claim::Signed(head.clone()),
            },
        };
        self.heads.insert(head.seq, claim);
    }
}

/// A row's columns, whatever types someone gave them.
pub(super) struct Columns<'a> {
    pub(super) seq: u64,
    pub(super) json: &'a [u8],
    pub(super) hash: [u8; 32],
    pub(super) salt: Option<&'a [u8]>,
    pub(super) body: Option<&'a [u8]>,
}

impl Chain {
    pub(super) fn check(&mut self, position: u64, row: &Columns<'_>, report: &mut Report, found: &mut Vec<Bad>) {
        self.records += 1;
        self.position = position;
        if row.seq != self.tip.seq + 1 {
            let what = if row.seq <= self.tip.seq {
                format!("it follows record {}: it was moved, repeated or inserted", self.tip.seq)
            } else {
                format!("it follows record {}: what was between is missing or was moved", self.tip.seq)
            };
            found.push(self.bad(row.seq, position, what));
            // Go on from here, so that the report counts places, not everything after the first.
            self.tip = Tip { seq: row.seq, hash: ChainHash(row.hash) };
        } else {
            let next = self.tip.next(row.json);
            if next.hash.0 != row.hash {
                let what = "its hash does not follow from its content and the record before it";
                found.push(self.bad(row.seq, position, what));
            }
            self.tip = Tip { seq: row.seq, hash: ChainHash(row.hash) };
        }
        match self.heads.get(&row.seq) {
            Some(Claim::Signed(head)) if head.hash == self.tip.hash => {
                report.segments += 1;
                self.signed = Some(head.clone());
            }
            Some(Claim::Signed(head)) => {
                let what = format!("it, or one before it, is not what was signed at {}", head.time);
                found.push(self.bad(row.seq, position, what));
            }
            Some(Claim::Bad(what)) => found.push(self.bad(row.seq, position, what.clone())),
            None => {}
        }
        self.check_body(position, row, report, found);
    }

    fn check_body(&self, position: u64, row: &Columns<'_>, report: &mut Report, found: &mut Vec<Bad>) {
        if row.body.is_none() && row.salt.is_none() {
            report.erased += u64::from(find_commitment(row.json).is_some());
            return;
        }
        let salt: Option<[u8; 16]> = row.salt.and_then(|salt| salt.try_into().ok());
        let (Some(salt), Some(body)) = (salt, row.body) else {
            found.push(self.bad(row.seq, position, "of its salt and body one is missing"));
            return;
        };
        match commitment(row.json) {
            Some(commitment) if commitment == chain::commitment(&salt, body) => report.bodies += 1,
            Some(_) => found.push(self.bad(row.seq, position, "its body is not the one that was recorded")),
            None => found.push(self.bad(row.seq, position, "it has a body beside it that was not recorded")),
        }
    }
}

/// The commitment in a record.
///
/// `body` is the last key, so it is looked for at the end before everything is
/// parsed; inside of a string its quotes would be escaped.
fn commitment(json: &[u8]) -> Option<model::Commitment> {
    #[derive(serde::Deserialize)]
    struct Committed {
        #[serde(default)]
        body: Option<model::Commitment>,
    }
    let at_end = find_commitment(json).and_then(|at| json.get(at..json.len() - 1));
    if let Some(found) = at_end.and_then(|object| serde_json::from_slice(object).ok()) {
        return Some(found);
    }
    serde_json::from_slice::<Committed>(json).ok()?.body
}

/// Where the commitment begins near the end of a record, when there is one.
fn find_commitment(json: &[u8]) -> Option<usize> {
    const KEY: &[u8] = b"\"body\":{\"sha256\":\"";
    const OBJECT: usize = b"\"body\":".len();
    const LONGEST: usize = 128;
    let from = json.len().saturating_sub(LONGEST);
    json[from..].windows(KEY.len()).position(|window| window == KEY).map(|at| from + at + OBJECT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_is_told_from_words_about_one() {
        let given = model::Commitment { sha256: "00".into(), bytes: 1 };
        let last = br#"{"id":"x","body":{"sha256":"00","bytes":1}}"#;
        let first = br#"{"body":{"sha256":"00","bytes":1},"id":"x"}"#;
        for json in [&last[..], first] {
            assert_eq!(commitment(json).as_ref(), Some(&given));
        }
        for json in [&br#"{"id":"x","note":"\"body\":{\"sha256\":\"00\""}"#[..], b"{}", b""] {
            assert_eq!((find_commitment(json), commitment(json)), (None, None));
        }
    }
}
