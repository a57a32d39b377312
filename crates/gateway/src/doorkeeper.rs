//! Who is let in: bounds on connections, on the rate of new ones, and on failed logins, for each client address.
//!
//! The server behind the gateway sees one address only, so what it did for each client's address is done here. All
//! tables are bounded and keyed with a secret (an attacker picks the addresses); the time is passed in.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::network::{Network, client_key};
use crate::recent::Recent;

/// The bounds, with their defaults.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at one time, all clients together.
    pub connections: usize,
    /// Connections at one time from one client address (IPv4 /32, IPv6 /64).
    pub connections_per_address: usize,
    /// New connections a second from one address, after the burst is used up.
    pub rate_per_second: f64,
    /// New connections from one address that may come at once.
    pub rate_burst: f64,
    /// Failed logins from one address within [`login_window`](Self::login_window) that make it wait.
    pub login_failures: u32,
    /// Over how long failed logins are counted.
    pub login_window: Duration,
    /// How long an address is refused at first; doubles each time, up to [`login_refusal_most`](Self::login_refusal_most).
    pub login_refusal: Duration,
    /// The longest refusal.
    pub login_refusal_most: Duration,
    /// Addresses remembered in each table; the least recently seen are forgotten first.
    pub addresses: usize,
    /// Networks whose connections are counted but not limited by address or rate (logins always are).
    pub exempt: Vec<Network>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 50_000,
            connections_per_address: 512,
            rate_per_second: 20.0,
            rate_burst: 200.0,
            login_failures: 10,
            login_window: Duration::from_secs(300),
            login_refusal: Duration::from_secs(60),
            login_refusal_most: Duration::from_secs(3600),
            addresses: 65_536,
            exempt: Network::loopback(),
        }
    }
}

/// Why a connection was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// [`Limits::connections`].
    #[error("too many connections")]
    Full,
    /// [`Limits::connections_per_address`].
    #[error("too many connections from this address")]
    Address,
    /// [`Limits::rate_per_second`].
    #[error("too many new connections from this address")]
    Rate,
}

impl Refused {
    /// The label in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Refused::Full => "full",
            Refused::Address => "address",
            Refused::Rate => "rate",
        }
    }
}

/// Logins from an address are refused for a while, because too many failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many failed logins from this address; wait {} s", retry_after.as_secs().max(1))]
pub struct LoginRefused {
    /// How much longer.
    pub retry_after: Duration,
}

/// Lets connections in, or not. Shared by all listeners of a role.
#[derive(Debug)]
pub struct Doorkeeper {
    limits: Limits,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    connections: usize,
    /// Holds only addresses that have a connection, so it is bounded by `Limits::connections`.
    open: HashMap<IpAddr, usize>,
    rates: Recent<IpAddr, Bucket>,
    logins: Recent<IpAddr, Failures>,
}

/// A token bucket: one token for one new connection.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    /// Failed logins since `since`.
    count: u32,
    since: Instant,
    /// How often this address has been refused before.
    strikes: u32,
    refused_until: Option<Instant>,
}

/// One connection that was let in; gives its place back when dropped.
#[derive(Debug)]
pub struct Pass {
    door: Arc<Doorkeeper>,
    key: IpAddr,
}

impl Doorkeeper {
    /// A doorkeeper with nobody inside.
    pub fn new(limits: Limits) -> Arc<Doorkeeper> {
        let book = Book {
            connections: 0,
            open: HashMap::default(),
            rates: Recent::new(limits.addresses, "doorkeeper.addresses"),
            logins: Recent::new(limits.addresses, "doorkeeper.addresses"),
        };
        Arc::new(Doorkeeper { limits, book: Mutex::new(book) })
    }

    /// Lets a connection from `client` in; it counts until the pass is dropped. A refusal is counted and logged.
    pub fn admit(self: &Arc<Self>, client: IpAddr, now: Instant) -> Result<Pass, Refused> {
        let admitted = self.decide(client_key(client), now);
        match admitted {
            Ok(pass) => Ok(pass),
            Err(why) => {
                metrics::counter!("portcullis_connections_refused_total", "why" => why.name()).increment(1);
                tracing::debug!(%client, why = why.name(), "connection refused: {why}");
                Err(why)
            }
        }
    }

    fn decide(self: &Arc<Self>, key: IpAddr, now: Instant) -> Result<Pass, Refused> {
        let is_exempt = self.limits.exempt.iter().any(|network| network.contains(key));
        let mut book = self.book.lock();
        if book.connections >= self.limits.connections {
            return Err(Refused::Full);
        }
        if !is_exempt {
            if book.open.get(&key).is_some_and(|&open| open >= self.limits.connections_per_address) {
                return Err(Refused::Address);
            }
            let full = Bucket { tokens: self.limits.rate_burst, at: now };
            let bucket = book.rates.entry(key, || full);
            let elapsed = now.saturating_duration_since(bucket.at).as_secs_f64();
            bucket.tokens = (bucket.tokens + elapsed * self.limits.rate_per_second).min(self.limits.rate_burst);
            bucket.at = now;
            if bucket.tokens < 1.0 {
                return Err(Refused::Rate);
            }
            bucket.tokens -= 1.0;
        }
        book.connections += 1;
        *book.open.entry(key).or_insert(0) += 1;
        Ok(Pass { door: Arc::clone(self), key })
    }

    /// Whether `client` may try to log in now. Asked at every attempt; a refusal is counted.
    pub fn login_allowed(&self, client: IpAddr, now: Instant) -> Result<(), LoginRefused> {
        let mut book = self.book.lock();
        let until = book.logins.get(&client_key(client)).and_then(|failures| failures.refused_until);
        match until {
            Some(until) if until > now => {
                metrics::counter!("portcullis_logins_refused_total").increment(1);
                Err(LoginRefused { retry_after: until - now })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Takes down a failed login: logged and counted with the client's address. Returns how long the address is
    /// refused, when this failure was one too many. A success takes nothing off: an attacker may own an account too.
    pub fn login_failed(&self, client: IpAddr, account: Option<&str>, now: Instant) -> Option<Duration> {
        metrics::counter!("portcullis_logins_failed_total").increment(1);
        let limits = &self.limits;
        let refusal = {
            let mut book = self.book.lock();
            let fresh = Failures { count: 0, since: now, strikes: 0, refused_until: None };
            let failures = book.logins.entry(client_key(client), || fresh);
            failures.note(limits, now)
        };
        tracing::warn!(%client, account = account.unwrap_or("unknown"), "login failed");
        if let Some(refusal) = refusal {
            metrics::counter!("portcullis_login_refusals_total").increment(1);
            tracing::warn!(%client, seconds = refusal.as_secs(), "too many failed logins; logins from this address are refused");
        }
        refusal
    }

    /// Connections that are open now.
    pub fn connections(&self) -> usize {
        self.book.lock().connections
    }
}

impl Failures {
    /// Counts one failure; the refusal it leads to, if any.
    fn note(&mut self, limits: &Limits, now: Instant) -> Option<Duration> {
        // Strikes are forgotten after a quiet time as long as the longest refusal, counted from the end of the last.
        let quiet_since = self.refused_until.unwrap_or(self.since);
        if now.saturating_duration_since(quiet_since) > limits.login_refusal_most.max(limits.login_window) {
            self.strikes = 0;
        }
        if now.saturating_duration_since(self.since) > limits.login_window {
            self.count = 0;
            self.since = now;
        }
        self.count = self.count.saturating_add(1);
        if self.count < limits.login_failures.max(1) {
            return None;
        }
        let factor = 2u32.saturating_pow(self.strikes);
        let refusal = limits.login_refusal.saturating_mul(factor).min(limits.login_refusal_most);
        self.strikes = self.strikes.saturating_add(1);
        self.count = 0;
        self.since = now;
        self.refused_until = Some(now + refusal);
        Some(refusal)
    }
}

impl Pass {
    /// The doorkeeper that gave it.
    pub fn door(&self) -> &Arc<Doorkeeper> {
        &self.door
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut book = self.door.book.lock();
        book.connections = book.connections.saturating_sub(1);
        if let Entry::Occupied(mut open) = book.open.entry(self.key) {
            *open.get_mut() = open.get().saturating_sub(1);
            if *open.get() == 0 {
                open.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strict() -> Limits {
        Limits {
            connections: 5,
            connections_per_address: 3,
            rate_per_second: 1.0,
            rate_burst: 4.0,
            login_failures: 3,
            login_window: Duration::from_secs(60),
            login_refusal: Duration::from_secs(10),
            login_refusal_most: Duration::from_secs(40),
            addresses: 64,
            exempt: Network::loopback(),
        }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_given_back() {
        let door = Doorkeeper::new(Limits { rate_burst: 100.0, ..strict() });
        let now = Instant::now();
        let (a, b) = (address("192.0.2.1"), address("192.0.2.2"));
        let mut passes: Vec<_> = (0..3).map(|_| door.admit(a, now).unwrap()).collect();
        assert_eq!(door.admit(a, now).unwrap_err(), Refused::Address);
        passes.push(door.admit(b, now).unwrap());
        passes.push(door.admit(b, now).unwrap());
        assert_eq!(door.admit(address("192.0.2.3"), now).unwrap_err(), Refused::Full);
        assert_eq!(door.connections(), 5);
        passes.clear();
        assert_eq!(door.connections(), 0);
        assert!(door.book.lock().open.is_empty());
        assert!(door.admit(a, now).is_ok());
    }

    #[test]
    fn an_ipv6_network_of_one_household_shares_its_bound() {
        let door = Doorkeeper::new(strict());
        let now = Instant::now();
        let _passes: Vec<_> = (1..=3).map(|i| door.admit(address(&format!("2001:db8::{i}")), now).unwrap()).collect();
        assert_eq!(door.admit(address("2001:db8::ffff:9"), now).unwrap_err(), Refused::Address);
        assert!(door.admit(address("2001:db8:0:1::9"), now).is_ok());
    }

    #[test]
    fn new_connections_come_at_the_rate() {
        let door = Doorkeeper::new(strict());
        let start = Instant::now();
        let client = address("192.0.2.1");
        let mut now = start;
        // (seconds later, how many of ten get in)
        for (later, admitted) in [(0, 4), (0, 0), (1, 1), (2, 2), (100, 4)] {
            now += Duration::from_secs(later);
            let count = (0..10).filter(|_| door.admit(client, now).is_ok()).count();
            assert_eq!(count, admitted, "{later} s later");
        }
    }

    #[test]
    fn exempt_networks_are_bound_only_by_the_whole() {
        let door = Doorkeeper::new(strict());
        let now = Instant::now();
        let passes: Vec<_> = (0..10).map(|_| door.admit(address("127.0.0.1"), now)).collect();
        assert_eq!(passes.iter().filter(|p| p.is_ok()).count(), 5);
        assert_eq!(passes[9].as_ref().unwrap_err(), &Refused::Full);
    }

    #[test]
    fn failed_logins_are_refused_for_growing_times() {
        let door = Doorkeeper::new(strict());
        let client = address("127.0.0.1");
        let mut now = Instant::now();
        for expected in [10, 20, 40, 40] {
            assert_eq!(door.login_failed(client, None, now), None);
            assert_eq!(door.login_failed(client, Some("a@example.org"), now), None);
            assert!(door.login_allowed(client, now).is_ok());
            let refusal = Duration::from_secs(expected);
            assert_eq!(door.login_failed(client, None, now), Some(refusal));
            assert_eq!(door.login_allowed(client, now).unwrap_err().retry_after, refusal);
            assert!(door.login_allowed(address("192.0.2.9"), now).is_ok());
            now += refusal;
            assert!(door.login_allowed(client, now).is_ok());
        }
        now += Duration::from_secs(61);
        assert_eq!(door.login_failed(client, None, now), None);
        assert_eq!(door.login_failed(client, None, now), None);
        assert_eq!(door.login_failed(client, None, now), Some(Duration::from_secs(10)), "strikes are forgotten");
    }

    #[test]
    fn failures_that_are_far_apart_do_not_add_up() {
        let door = Doorkeeper::new(strict());
        let client = address("192.0.2.1");
        let mut now = Instant::now();
        for _ in 0..20 {
            assert_eq!(door.login_failed(client, None, now), None);
            now += Duration::from_secs(61);
        }
    }

    #[test]
    fn tables_stay_bounded_and_keep_who_is_active() {
        let door = Doorkeeper::new(strict());
        let now = Instant::now();
        let attacker = address("192.0.2.1");
        for _ in 0..3 {
            door.login_failed(attacker, None, now);
        }
        for i in 0..10_000u32 {
            door.login_failed(IpAddr::V4(i.into()), None, now);
            if i % 20 == 0 {
                assert!(door.login_allowed(attacker, now).is_err());
            }
        }
        let book = door.book.lock();
        assert!(book.logins.len() <= 64);
    }
}
