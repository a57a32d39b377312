//! Which system a device runs: what it says of itself, what only one system asks for, how it opens a
//! connection; and a bounded memory of that for each address.
//!
//! TLS fingerprints are left out on purpose: they tell the library, and the same browser says hello alike
//! on every system.

mod dhcp;
mod habits;
mod said;
mod syn;

use std::net::{IpAddr, Ipv4Addr};

use model::Platform;

use crate::lore::{Bounded, Nanos};

pub use dhcp::of_dhcp;
pub use habits::of_host;
pub use said::{of_device_name, of_user_agent};
pub use syn::of_syn;

const SECOND: Nanos = 1_000_000_000;
/// How long a claim is believed.
const CLAIM_LIFE: Nanos = 12 * 60 * 60 * SECOND;
/// How close claims that exclude each other must be to mean several devices behind one address.
const CLASH: Nanos = 10 * 60 * SECOND;

/// Systems that a device may run, as far as a piece of evidence can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family(u8);

impl Family {
    /// Nothing is excluded.
    pub const ANY: Family = Family(0x7f);
    /// Apple's systems, which share their network stack.
    pub const APPLE: Family = Family::of(&[Platform::Macos, Platform::Ios]);
    /// Everything on Linux's network stack.
    pub const LINUX: Family = Family::of(&[Platform::Linux, Platform::Android]);
    /// Windows.
    pub const WINDOWS: Family = Family::of(&[Platform::Windows]);

    /// One of these.
    pub const fn of(platforms: &[Platform]) -> Family {
        let (mut bits, mut at) = (0, 0);
        while at < platforms.len() {
            bits |= 1 << platforms[at] as u8;
            at += 1;
        }
        Family(bits)
    }

    /// The one system that is left, if it is one.
    pub fn one(self) -> Option<Platform> {
        let mut left = Platform::ALL.into_iter().filter(|&platform| self.0 & (1 << platform as u8) != 0);
        left.next().filter(|_| left.next().is_none())
    }

    /// What both allow; `None` when they exclude each other.
    fn and(self, other: Family) -> Option<Family> {
        Some(Family(self.0 & other.0)).filter(|family| family.0 != 0)
    }
}

impl From<Platform> for Family {
    fn from(platform: Platform) -> Family {
        Family::of(&[platform])
    }
}

/// What a claim about a device rests on, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Strength {
    /// How it opens TCP connections.
    Stack,
    /// Names that it asks for.
    Habit,
    /// What its owner or maker called it.
    Named,
    /// What it says of itself: user agent, DHCP.
    Stated,
}

/// What is claimed about one address on one ground.
#[derive(Clone, Copy, Debug)]
struct Claim {
    family: Family,
    until: Nanos,
    /// Until when another claim on the same ground, which excludes this one, is too young to be forgotten.
    clash: Nanos,
}

/// Systems by address, in bounded memory.
pub struct Platforms {
    now: Nanos,
    claims: Bounded<IpAddr, [Claim; 4]>,
}

impl Platforms {
    /// An empty memory of at most `most` addresses.
    pub fn new(most: usize) -> Platforms {
        Platforms { now: 0, claims: Bounded::new(most) }
    }

    /// Sets the clock.
    pub fn at(&mut self, now: Nanos) {
        self.now = now;
    }

    /// The device at this address runs one of these.
    pub fn learn(&mut self, address: IpAddr, family: impl Into<Family>, strength: Strength) {
        let (now, family) = (self.now, family.into());
        let nothing = [Claim { family: Family::ANY, until: 0, clash: 0 }; 4];
        let mut claims = self.claims.get(&address, now).copied().unwrap_or(nothing);
        let claim = &mut claims[strength as usize];
        let held = if claim.until > now { claim.family } else { Family::ANY };
        // Several devices behind one address show by saying different things in turns.
        let young = claim.until > now.saturating_add(CLAIM_LIFE - CLASH);
        let clash = match held.and(family) {
            None if young => now.saturating_add(CLASH),
            _ => claim.clash,
        };
        *claim = Claim { family: held.and(family).unwrap_or(family), until: now.saturating_add(CLAIM_LIFE), clash };
        // Every address brings one entry, so there are no shares to keep.
        self.claims.insert(Ipv4Addr::UNSPECIFIED.into(), address, claims, now, CLAIM_LIFE);
    }

    /// Addresses that were forgotten before their time.
    pub(crate) fn pushed_out(&self) -> u64 {
        self.claims.pushed_out()
    }

    /// The system at this address, where everything known leaves one. What is weaker only narrows.
    pub fn of(&self, address: IpAddr) -> Option<Platform> {
        let mut left = Family::ANY;
        for claim in self.claims.get(&address, self.now)?.iter().rev().filter(|claim| claim.until > self.now) {
            if claim.clash > self.now {
                break;
            }
            left = left.and(claim.family).unwrap_or(left);
        }
        left.one()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

    #[test]
    fn weaker_evidence_narrows_and_never_overrules() {
        let mut platforms = Platforms::new(8);
        assert_eq!(platforms.of(HOST), None);
        platforms.learn(HOST, Family::APPLE, Strength::Stack);
        assert_eq!(platforms.of(HOST), None, "a Mac and an iPhone open connections alike");
        platforms.learn(HOST, Platform::Ios, Strength::Habit);
        assert_eq!(platforms.of(HOST), Some(Platform::Ios));
        platforms.learn(HOST, Family::LINUX, Strength::Stated);
        platforms.learn(HOST, Platform::Android, Strength::Named);
        assert_eq!(platforms.of(HOST), Some(Platform::Android));
    }

    #[test]
    fn devices_that_share_an_address_are_not_told_apart() {
        let mut platforms = Platforms::new(8);
        platforms.learn(HOST, Platform::Ios, Strength::Stated);
        platforms.at(60 * SECOND);
        platforms.learn(HOST, Platform::Windows, Strength::Stated);
        assert_eq!(platforms.of(HOST), None);
        platforms.learn(HOST, Platform::Windows, Strength::Stack);
        assert_eq!(platforms.of(HOST), None, "weaker evidence does not settle it");
        platforms.at(60 * SECOND + CLASH);
        assert_eq!(platforms.of(HOST), Some(Platform::Windows), "silence of the other one: it has gone");
        platforms.at(3600 * SECOND);
        platforms.learn(HOST, Platform::Linux, Strength::Stated);
        assert_eq!(platforms.of(HOST), Some(Platform::Linux), "an address that is given anew");
    }

    #[test]
    fn claims_grow_old_and_memory_is_bounded() {
        let mut platforms = Platforms::new(2);
        for last in 1..=3 {
            platforms.learn(IpAddr::from([192, 0, 2, last]), Platform::Linux, Strength::Stated);
        }
        assert_eq!(platforms.of(IpAddr::from([192, 0, 2, 1])), None);
        assert_eq!(platforms.of(IpAddr::from([192, 0, 2, 3])), Some(Platform::Linux));
        platforms.at(CLAIM_LIFE + 1);
        assert_eq!(platforms.of(IpAddr::from([192, 0, 2, 3])), None);
    }

    #[test]
    fn a_family_of_all_is_everything() {
        assert_eq!(Family::of(&Platform::ALL), Family::ANY);
    }
}
