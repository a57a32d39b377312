//! Whether enough of the keys that count signed a file, and if not, what that looks like.

use std::collections::BTreeSet;

use super::metadata::Envelope;
use super::{Attack, KeyId, Role, Root};

/// Keys that counted once and were taken out: role and id.
pub(super) type Former = BTreeSet<(Role, KeyId)>;

/// Checks the signatures of a file against a root.
pub(super) fn verify(root: &Root, role: Role, envelope: &Envelope<'_>, former: &Former) -> Result<(), Attack> {
    let Some(quorum) = root.roles.get(&role) else {
        return Err(Attack::malformed(format!("the root has no keys for the {role} role")));
    };
    let Some(first) = envelope.signatures.first() else { return Err(Attack::Unsigned) };
    let mut good = BTreeSet::new();
    let (mut wrong, mut revoked) = (None, None);
    for signature in &envelope.signatures {
        let id = &signature.keyid;
        match root.keys.get(id) {
            Some(key) if quorum.keyids.contains(id) => {
                if key.verifies(envelope.signed, &signature.sig) {
                    good.insert(id);
                } else {
                    wrong = wrong.or(Some(id));
                }
            }
            _ if former.contains(&(role, id.clone())) => revoked = revoked.or(Some(id)),
            _ => {}
        }
    }
    let (have, need) = (good.len() as u32, quorum.threshold);
    match (wrong, revoked) {
        _ if have >= need => Ok(()),
        (Some(key), _) => Err(Attack::WrongSignature { key: key.clone() }),
        (_, Some(key)) => Err(Attack::KeyRevoked { role, key: key.clone() }),
        _ if have == 0 => Err(Attack::UnknownKey { role, key: first.keyid.clone() }),
        _ => Err(Attack::TooFewSignatures { role, have, need }),
    }
}

/// The keys that `new` no longer counts.
pub(super) fn taken_out(old: &Root, new: &Root) -> Former {
    let of = |root: &Root, role: Role| root.roles.get(&role).map(|q| q.keyids.clone()).unwrap_or_default();
    let lost = |role: Role| {
        let (old, new) = (of(old, role), of(new, role));
        old.difference(&new).map(|id| (role, id.clone())).collect::<Vec<_>>()
    };
    Role::ALL.into_iter().flat_map(lost).collect()
}
