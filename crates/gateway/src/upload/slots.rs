//! Upload slots: what the server offered, what the client is told instead, and what becomes of it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::Limits;
use super::origins::{Origin, OriginId, OriginRefused, Origins, PublicBase, Resource, Routes};

/// Request headers that a slot may set (XEP-0363 section 4); others are dropped.
const SLOT_HEADERS: [&str; 3] = ["authorization", "cookie", "expires"];
/// Longest value of one, in bytes.
const HEADER_MOST: usize = 8 * 1024;

/// A slot as `domain`'s server gave it, and what the client had announced for it.
#[derive(Clone, Debug)]
pub struct SlotRequest<'a> {
    /// The chat domain whose server answered.
    pub domain: &'a str,
    /// The bare address of who asked.
    pub account: &'a str,
    /// The file's name as announced.
    pub name: &'a str,
    /// Its size in bytes as announced.
    pub size: u64,
    /// Its media type as announced.
    pub claimed_type: Option<&'a str>,
    /// The server's PUT URL.
    pub put_url: &'a str,
    /// The headers that the server wants with the PUT; they stay at the gateway.
    pub put_headers: &'a [(String, String)],
    /// The server's GET URL.
    pub get_url: &'a str,
}

/// What the client is told instead. There are no headers: the token in the URL is all it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Where to put the file, once, before the slot expires.
    pub put_url: String,
    /// Where the file will be, for good.
    pub get_url: String,
}

/// The slot is not passed on; tell the client with an error of the named kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferRefused {
    /// The URLs are not acceptable: `not-acceptable`.
    #[error(transparent)]
    Origin(#[from] OriginRefused),
    /// Larger than what can be checked: `not-acceptable` with `file-too-large`.
    #[error("the file is larger than {most} bytes, which is the most that is taken")]
    TooLarge {
        /// The bound.
        most: u64,
    },
    /// Too many slots wait: `resource-constraint`.
    #[error("too many uploads are waiting; try again later")]
    TooMany,
    /// No random numbers: `internal-server-error`.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// Why a PUT finds no slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SlotFault {
    /// Never offered, or expired.
    Unknown,
    /// Another PUT is under way, or was already successful.
    Taken,
    /// The file was refused before.
    Stopped(Arc<str>),
}

/// The slots that were offered and wait for their PUT. Shared by the XMPP dialect and the HTTP listener.
pub struct SlotKeeper {
    base: PublicBase,
    routes: Arc<Routes>,
    origins: Arc<dyn Origins>,
    limits: Limits,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    slots: HashMap<Token, Entered>,
    waiting: HashMap<Box<str>, usize>,
    /// Oldest first; every slot lives equally long.
    order: VecDeque<(Instant, Token)>,
}

/// 128 random bits.
type Token = [u8; 16];

struct Entered {
    slot: Arc<Slot>,
    state: State,
}

#[derive(Clone)]
enum State {
    Waiting,
    Busy,
    Done,
    Stopped(Arc<str>),
}

/// What a PUT has to be, and where it goes.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) account: Box<str>,
    pub(super) name: Box<str>,
    pub(super) size: u64,
    pub(super) claimed_type: Option<Box<str>>,
    pub(super) put: Resource,
    pub(super) put_headers: Vec<(String, String)>,
    pub(super) get: Resource,
}

/// A slot in use by one PUT; free again when dropped, unless it was settled.
pub(super) struct Claimed {
    keeper: Arc<SlotKeeper>,
    token: Token,
    pub(super) slot: Arc<Slot>,
}

impl SlotKeeper {
    /// No slots yet.
    pub fn new(base: PublicBase, routes: Arc<Routes>, origins: Arc<dyn Origins>, limits: Limits) -> Arc<SlotKeeper> {
        Arc::new(SlotKeeper { base, routes, origins, limits, table: Mutex::default() })
    }

    /// Takes a server's slot over. Cheap and synchronous, but for [`Origins::put`].
    pub fn offer(&self, request: &SlotRequest<'_>, now: Instant) -> Result<Offer, OfferRefused> {
        let SlotRequest { domain, account, name, size, claimed_type, put_url, put_headers, get_url } = *request;
        if size > self.limits.file_bytes {
            return Err(OfferRefused::TooLarge { most: self.limits.file_bytes });
        }
        let put = self.routes.check(domain, put_url)?;
        let get = self.routes.check(domain, get_url)?;
        let origin = Origin::of(domain, &get);
        let id = OriginId::of(&origin);
        if !self.origins.put(&id, &origin) {
            return Err(OriginRefused::Full.into());
        }
        let put_headers = put_headers
            .iter()
            .filter(|(name, value)| {
                SLOT_HEADERS.contains(&name.to_ascii_lowercase().as_str()) && value.len() <= HEADER_MOST
            })
            .filter(|(_, value)| !value.contains(['\r', '\n', '\0']))
            .cloned()
            .collect();
        let get = Resource::of(domain, &get);
        let offered_get = self.base.file(&id, &get.target);
        let slot = Slot {
            account: account.into(),
            name: name.into(),
            size,
            claimed_type: claimed_type.map(Into::into),
            put: Resource::of(domain, &put),
            put_headers,
            get,
        };
        let mut token: Token = [0; 16];
        getrandom::fill(&mut token).map_err(|_| OfferRefused::NoRandomness)?;
        self.enter(token, slot, now)?;
        Ok(Offer { put_url: self.base.put(&hex(&token)), get_url: offered_get })
    }

    /// The gateway's URL for a file at an origin that was offered before, such as one in an older message.
    pub fn public_url(&self, domain: &str, server_url: &str) -> Option<String> {
        let url = self.routes.check(domain, server_url).ok()?;
        let id = OriginId::of(&Origin::of(domain, &url));
        self.origins.get(&id)?;
        Some(self.base.file(&id, &Resource::of(domain, &url).target))
    }

    /// The server's URL behind one of the gateway's own.
    pub fn server_url(&self, public_url: &str) -> Option<String> {
        let rest = self.base.strip(public_url)?.strip_prefix("/d/")?;
        let (id, target) = rest.split_at_checked(rest.find('/')?)?;
        self.resource(&OriginId::parse(id)?, target).map(|resource| resource.url())
    }

    /// What `/d/<id><target>` names, if it lies where the server keeps files.
    pub(super) fn resource(&self, id: &OriginId, target: &str) -> Option<Resource> {
        let origin = self.origins.get(id)?;
        if !target.starts_with(origin.base.path()) {
            return None;
        }
        Some(Resource { domain: origin.domain, origin: origin.base, target: target.to_owned() })
    }

    pub(super) fn base(&self) -> &PublicBase {
        &self.base
    }

    pub(super) fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    fn enter(&self, token: Token, slot: Slot, now: Instant) -> Result<(), OfferRefused> {
        let mut table = self.table.lock();
        table.expire(now, &self.limits);
        let waiting = table.waiting.get(&slot.account).copied().unwrap_or(0);
        let hit = if table.order.len() >= self.limits.slots {
            Some("upload.slots")
        } else if waiting >= self.limits.slots_per_account {
            Some("upload.slots_per_account")
        } else {
            None
        };
        if let Some(limit) = hit {
            metrics::counter!("portcullis_limit_hits_total", "limit" => limit).increment(1);
            return Err(OfferRefused::TooMany);
        }
        *table.waiting.entry(slot.account.clone()).or_insert(0) += 1;
        table.order.push_back((now, token));
        table.slots.insert(token, Entered { slot: Arc::new(slot), state: State::Waiting });
        Ok(())
    }

    /// The slot of a PUT, which is now busy.
    pub(super) fn claim(self: &Arc<Self>, token: &str, now: Instant) -> Result<Claimed, SlotFault> {
        let token = unhex(token).ok_or(SlotFault::Unknown)?;
        let mut table = self.table.lock();
        table.expire(now, &self.limits);
        let entered = table.slots.get_mut(&token).ok_or(SlotFault::Unknown)?;
        match &entered.state {
            State::Waiting => entered.state = State::Busy,
            State::Busy | State::Done => return Err(SlotFault::Taken),
            State::Stopped(notice) => return Err(SlotFault::Stopped(Arc::clone(notice))),
        }
        Ok(Claimed { keeper: Arc::clone(self), token, slot: Arc::clone(&entered.slot) })
    }
}

impl Table {
    fn expire(&mut self, now: Instant, limits: &Limits) {
        while let Some(&(since, token)) = self.order.front()
            && now.saturating_duration_since(since) >= limits.slot_life
        {
            self.order.pop_front();
            if let Some(entered) = self.slots.remove(&token)
                && matches!(entered.state, State::Waiting | State::Busy)
            {
                self.leave(&entered.slot.account);
            }
        }
    }

    /// One slot less waits.
    fn leave(&mut self, account: &str) {
        if let Entry::Occupied(mut waiting) = self.waiting.entry(account.into()) {
            *waiting.get_mut() = waiting.get().saturating_sub(1);
            if *waiting.get() == 0 {
                waiting.remove();
            }
        }
    }
}

impl Claimed {
    /// The file is at the server: the slot is spent.
    pub(super) fn done(self) {
        self.settle(State::Done);
    }

    /// The file was refused, and will be if it is tried again.
    pub(super) fn stopped(self, notice: Arc<str>) {
        self.settle(State::Stopped(notice));
    }

    fn settle(&self, state: State) {
        let mut table = self.keeper.table.lock();
        if let Some(entered) = table.slots.get_mut(&self.token)
            && matches!(entered.state, State::Busy)
        {
            entered.state = state;
            table.leave(&self.slot.account);
        }
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        if let Some(entered) = self.keeper.table.lock().slots.get_mut(&self.token)
            && matches!(entered.state, State::Busy)
        {
            entered.state = State::Waiting;
        }
    }
}

fn hex(token: &Token) -> String {
    token.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Token> {
    if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::MemoryOrigins;
    use super::super::origins::UploadDomain;
    use super::*;
    use crate::upstream::Trust;

    fn keeper() -> Arc<SlotKeeper> {
        let domain = UploadDomain {
            domain: "example.org".to_owned(),
            server: "127.0.0.1".to_owned(),
            more_hosts: Vec::new(),
            trust: Trust::Insecure { anywhere: false },
        };
        let limits = Limits { slots: 6, slots_per_account: 4, ..Limits::default() };
        let base = PublicBase::parse("https://gate.example.org:5443").unwrap();
        let routes = Arc::new(Routes::new(vec![domain]).unwrap());
        SlotKeeper::new(base, routes, Arc::new(MemoryOrigins::new(8)), limits)
    }

    fn request<'a>(account: &'a str, headers: &'a [(String, String)]) -> SlotRequest<'a> {
        SlotRequest {
            domain: "example.org",
            account,
            name: "cat.jpg",
            size: 10,
            claimed_type: Some("image/jpeg"),
            put_url: "https://upload.example.org/up/1/cat.jpg?v=secret",
            put_headers: headers,
            get_url: "https://upload.example.org/up/1/cat%20one.jpg",
        }
    }

    fn token(offer: &Offer) -> &str {
        offer.put_url.strip_prefix("https://gate.example.org:5443/u/").unwrap()
    }

    #[test]
    fn the_client_sees_the_gateway_only_and_urls_lead_back() {
        let keeper = keeper();
        let headers = [("Authorization".to_owned(), "Bearer x".to_owned()), ("Host".to_owned(), "evil".to_owned())];
        let offer = keeper.offer(&request("a@example.org", &headers), Instant::now()).unwrap();
        assert!(!offer.put_url.contains("secret"));
        assert!(offer.get_url.ends_with("/up/1/cat%20one.jpg"), "{}", offer.get_url);
        let server = "https://upload.example.org/up/1/cat%20one.jpg";
        assert_eq!(keeper.server_url(&offer.get_url).as_deref(), Some(server));
        assert_eq!(keeper.public_url("example.org", server), Some(offer.get_url.clone()));
        assert_eq!(keeper.public_url("example.org", "https://upload.example.org/other/1/x"), None);
        let claimed = keeper.claim(token(&offer), Instant::now()).unwrap();
        assert_eq!(claimed.slot.put_headers, [headers[0].clone()]);
        assert_eq!(claimed.slot.put.target, "/up/1/cat.jpg?v=secret");
    }

    #[test]
    fn a_slot_is_used_once_but_may_be_retried_until_it_worked() {
        let keeper = keeper();
        let now = Instant::now();
        let offer = keeper.offer(&request("a@example.org", &[]), now).unwrap();
        let claimed = keeper.claim(token(&offer), now).unwrap();
        assert_eq!(keeper.claim(token(&offer), now).err(), Some(SlotFault::Taken));
        drop(claimed);
        keeper.claim(token(&offer), now).unwrap().done();
        assert_eq!(keeper.claim(token(&offer), now).err(), Some(SlotFault::Taken));

        let offer = keeper.offer(&request("a@example.org", &[]), now).unwrap();
        keeper.claim(token(&offer), now).unwrap().stopped("no".into());
        assert_eq!(keeper.claim(token(&offer), now).err(), Some(SlotFault::Stopped("no".into())));
        assert_eq!(keeper.claim("../../etc/passwd", now).err(), Some(SlotFault::Unknown));
    }

    #[test]
    fn slots_expire_and_are_bounded() {
        let keeper = keeper();
        let start = Instant::now();
        let offers: Vec<_> = (0..4).map(|_| keeper.offer(&request("a@example.org", &[]), start).unwrap()).collect();
        assert_eq!(keeper.offer(&request("a@example.org", &[]), start), Err(OfferRefused::TooMany));
        keeper.claim(token(&offers[0]), start).unwrap().done();
        keeper.offer(&request("a@example.org", &[]), start).unwrap();
        keeper.offer(&request("b@example.org", &[]), start).unwrap();
        assert_eq!(keeper.offer(&request("c@example.org", &[]), start), Err(OfferRefused::TooMany));

        let later = start + Duration::from_secs(300);
        assert_eq!(keeper.claim(token(&offers[1]), later).err(), Some(SlotFault::Unknown));
        keeper.offer(&request("c@example.org", &[]), later).unwrap();
        let table = keeper.table.lock();
        assert_eq!((table.slots.len(), table.order.len(), table.waiting.len()), (1, 1, 1));
    }

    #[test]
    fn what_can_not_be_checked_is_not_offered() {
        let keeper = keeper();
        let now = Instant::now();
        let large = SlotRequest { size: 200 * 1024 * 1024, ..request("a@example.org", &[]) };
        assert!(matches!(keeper.offer(&large, now), Err(OfferRefused::TooLarge { .. })));
        let foreign = SlotRequest { get_url: "http://169.254.169.254/x/y/z", ..request("a@example.org", &[]) };
        assert!(matches!(keeper.offer(&foreign, now), Err(OfferRefused::Origin(OriginRefused::Host { .. }))));
    }
}
