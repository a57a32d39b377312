//! STIX identifiers: `type--uuid`, and those that are derived so that an export is the same every time.

use std::fmt;

use uuid::Uuid;

/// What identifiers are derived in (RFC 9562, version 5).
const NAMESPACE: Uuid = Uuid::from_u128(0x5d1c_07a6_93be_4f0e_8a74_c1d2_6e0b_53f8);

/// An identifier of an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Type of the object: `indicator`.
    pub kind: Box<str>,
    /// The rest.
    pub uuid: Uuid,
}

impl Id {
    /// Reads `type--uuid`.
    pub fn parse(text: &str) -> Option<Id> {
        let (kind, uuid) = text.split_once("--")?;
        if !is_type(kind) || uuid.len() != 36 {
            return None;
        }
        Some(Id { kind: kind.into(), uuid: Uuid::try_parse(uuid).ok()? })
    }

    /// Of a known UUID.
    pub fn new(kind: &str, uuid: Uuid) -> Id {
        Id { kind: kind.into(), uuid }
    }

    /// The same for the same type and name, for ever.
    pub fn derived(kind: &str, name: &str) -> Id {
        Id::new(kind, Uuid::new_v5(&NAMESPACE, format!("{kind}:{name}").as_bytes()))
    }

    /// A UUID that depends on this one and a name: of the indicators that come from one object.
    pub fn part(&self, name: &str) -> Uuid {
        Uuid::new_v5(&self.uuid, name.as_bytes())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}--{}", self.kind, self.uuid)
    }
}

/// Whether a text may be the type of an object.
pub(super) fn is_type(text: &str) -> bool {
    (3..=250).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

/// Every UUID that stands anywhere in a text, whatever is before it.
pub(super) fn mentioned(text: &str) -> Vec<Uuid> {
    let hyphens = text.bytes().enumerate().filter(|(_, b)| *b == b'-').map(|(at, _)| at);
    let around = hyphens.filter_map(|at| text.get(at.checked_sub(8)?..at.checked_add(28)?));
    around.filter_map(|uuid| Uuid::try_parse(uuid).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_identifiers_are_taken() {
        let good = "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f";
        assert_eq!(Id::parse(good).unwrap().to_string(), good);
        for bad in [
            "",
            "indicator",
            "indicator--",
            "indicator--8e2e2d2b17d44cbf938f98ee46b3cd3f",
            "Indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
            "a--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
            "-ab--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
            "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3g",
            "../../etc--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        ] {
            assert_eq!(Id::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn identifiers_are_found_in_running_text() {
        let uuid = "31b940d4-6f7f-459a-80ea-9c1f17b5891b";
        let text = format!("see (malware--{uuid}), é-31b940d4, x--y--{} or ---- -- {uuid}x", uuid.to_uppercase());
        assert_eq!(mentioned(&text), [Uuid::try_parse(uuid).unwrap(); 3]);
    }

    #[test]
    fn derived_identifiers_never_change() {
        assert_eq!(Id::derived("malware", "bropia").to_string(), "malware--36e26b3b-cd8c-554b-9336-d5ae394d989a");
    }
}
