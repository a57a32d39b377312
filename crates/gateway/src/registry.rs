//! Who is connected: mail for a session from inside the house, and sessions
//! that wait for their client to come back.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use jiff::Timestamp;
use model::Party;
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::mpsc::OwnedPermit;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;
use wire::dialect::{End, Parked};

/// Something for a session from inside the house.
pub enum Letter {
    /// A message that was released from quarantine.
    Release {
        /// The frame as it was kept.
        bytes: Bytes,
        /// Whom it is for, seen from here.
        to: End,
        /// When it was kept back.
        since: Timestamp,
        /// Tells the office what became of it.
        receipt: Receipt,
    },
    /// The client came back on another connection and wants its state.
    Yield(oneshot::Sender<Option<Parked>>),
    /// The gateway is going down.
    Shutdown,
}

/// A quarantine entry, and why it can't be delivered if it can't.
pub type Outcome = (Uuid, Result<(), &'static str>);

/// What became of a released message; dropped unsigned, it stays released and is tried again.
pub struct Receipt {
    /// The quarantine entry.
    pub id: Uuid,
    /// Where to report; there is room for it.
    pub office: OwnedPermit<Outcome>,
}

impl Receipt {
    /// It was written to the leg.
    pub fn delivered(self) {
        self.office.send((self.id, Ok(())));
    }

    /// It can't be delivered, ever.
    pub fn failed(self, why: &'static str) {
        self.office.send((self.id, Err(why)));
    }
}

/// Letters a session has not read yet.
#[derive(Default)]
struct Mailbox {
    letters: Mutex<VecDeque<Letter>>,
    waker: AtomicWaker,
}

/// Letters that may wait for one session.
const MAIL: usize = 1_024;

impl Mailbox {
    /// Takes a letter, or gives it back when too many wait. What concerns the session itself always fits: each of
    /// those is sent once or twice in its life.
    fn post(&self, letter: Letter) -> Result<(), Letter> {
        let mut letters = self.letters.lock();
        if matches!(letter, Letter::Release { .. }) && letters.len() >= MAIL {
            return Err(letter);
        }
        letters.push_back(letter);
        drop(letters);
        self.waker.wake();
        Ok(())
    }
}

enum Resumable {
    /// Held by a connection, of this account.
    Live(u64, Box<str>),
    Parked(Parked, Instant),
}

impl Resumable {
    fn account(&self) -> &str {
        match self {
            Resumable::Live(_, account) => account,
            Resumable::Parked(parked, _) => &parked.account,
        }
    }
}

/// What a session is taken up by: an id means something at its domain only.
type ResumeKey = (Box<str>, Box<str>);

fn resume_key(domain: &str, id: &str) -> ResumeKey {
    (domain.to_ascii_lowercase().into(), id.into())
}

/// The key of a session of this account.
fn key_of(account: &str, id: &str) -> ResumeKey {
    resume_key(account.rsplit('@').next().unwrap_or(account), id)
}

#[derive(Default)]
struct Inner {
    next: u64,
    mailboxes: HashMap<u64, Arc<Mailbox>>,
    accounts: HashMap<Box<str>, SmallVec<[u64; 2]>>,
    resumable: HashMap<ResumeKey, Resumable>,
    parked: VecDeque<ResumeKey>,
}

/// Everybody who is connected, and who may come back. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Mutex<Inner>>,
    logins: mpsc::Sender<Box<str>>,
    parked_most: usize,
    parked_for: Duration,
}

impl Registry {
    /// An empty registry, and the accounts that log in, for whoever keeps mail for them.
    pub fn new(parked_most: usize, parked_for: Duration) -> (Registry, mpsc::Receiver<Box<str>>) {
        let (logins, heard) = mpsc::channel(1_024);
        (Registry { inner: Arc::default(), logins, parked_most, parked_for }, heard)
    }

    /// A new session, not logged in yet.
    pub fn enter(&self) -> Live {
        let mailbox = Arc::new(Mailbox::default());
        let mut inner = self.inner.lock();
        inner.next += 1;
        let id = inner.next;
        inner.mailboxes.insert(id, mailbox.clone());
        Live { registry: self.clone(), id, mailbox, account: None, resumable: None }
    }

    /// Sessions connected now.
    pub fn len(&self) -> usize {
        self.inner.lock().mailboxes.len()
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Posts a letter to one session of an account; gives it back when there is none, or too much waits for it.
    pub fn post(&self, account: &str, letter: Letter) -> Result<(), Letter> {
        let mailbox = {
            let inner = self.inner.lock();
            let session = inner.accounts.get(account).and_then(|ids| ids.last());
            session.and_then(|id| inner.mailboxes.get(id)).cloned()
        };
        match mailbox {
            Some(mailbox) => mailbox.post(letter),
            None => Err(letter),
        }
    }

    /// Accounts with a session now.
    pub fn is_online(&self, account: &str) -> bool {
        self.inner.lock().accounts.contains_key(account)
    }

    /// Tells every session that the gateway is going down.
    pub fn shut_down(&self) {
        let mailboxes: Vec<_> = self.inner.lock().mailboxes.values().cloned().collect();
        for mailbox in mailboxes {
            let _fits = mailbox.post(Letter::Shutdown);
        }
    }

    /// Keeps a session for its client's return; the oldest go first when there are too many.
    pub fn park(&self, parked: Parked) {
        let mut inner = self.inner.lock();
        let now = Instant::now();
        let key = key_of(&parked.account, &parked.id);
        inner.parked.push_back(key.clone());
        inner.resumable.insert(key, Resumable::Parked(parked, now));
        while let Some(key) = inner.parked.front() {
            let stale = match inner.resumable.get(key) {
                Some(Resumable::Parked(_, since)) => now.duration_since(*since) > self.parked_for,
                Some(Resumable::Live(..)) | None => true,
            };
            let over = inner.parked.len() > self.parked_most;
            if !stale && !over {
                break;
            }
            let Some(key) = inner.parked.pop_front() else { break };
            if matches!(inner.resumable.get(&key), Some(Resumable::Parked(..))) {
                inner.resumable.remove(&key);
            }
        }
    }

    /// Asks for a session to take it up: parked, or still held by a connection
    /// that does not know yet that its client is gone. `account` is who asks, where that is known: nobody else's
    /// session is touched.
    pub fn claim(&self, domain: &str, id: &str, account: Option<&str>) -> Claim {
        let key = resume_key(domain, id);
        let mut inner = self.inner.lock();
        let fits = |held: &Resumable| account.is_none_or(|asks| same_account(asks, held.account()));
        if !inner.resumable.get(&key).is_some_and(fits) {
            return Claim::Here(None);
        }
        match inner.resumable.remove(&key) {
            Some(Resumable::Parked(parked, since)) if since.elapsed() <= self.parked_for => Claim::Here(Some(parked)),
            Some(Resumable::Live(session, _)) => {
                let (sender, receiver) = oneshot::channel();
                if let Some(mailbox) = inner.mailboxes.get(&session) {
                    let _fits = mailbox.post(Letter::Yield(sender));
                }
                Claim::Coming(receiver)
            }
            _ => Claim::Here(None),
        }
    }
}

/// Whether two spellings name one account; servers fold case when they prepare a name (RFC 7622).
fn same_account(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase()
}

/// A session being looked for.
pub enum Claim {
    /// Found, or not.
    Here(Option<Parked>),
    /// Another connection is finishing with it.
    Coming(oneshot::Receiver<Option<Parked>>),
}

impl Claim {
    /// Nobody waits for it any more: what was found all the same.
    pub fn give_up(self) -> Option<Parked> {
        match self {
            Claim::Here(parked) => parked,
            Claim::Coming(mut receiver) => {
                receiver.close();
                receiver.try_recv().ok().flatten()
            }
        }
    }
}

impl Future for Claim {
    type Output = Option<Parked>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Parked>> {
        match self.get_mut() {
            Claim::Here(parked) => Poll::Ready(parked.take()),
            Claim::Coming(receiver) => Pin::new(receiver).poll(cx).map(|parked| parked.ok().flatten()),
        }
    }
}

/// A session's own entry; dropped, it is gone.
pub struct Live {
    registry: Registry,
    id: u64,
    mailbox: Arc<Mailbox>,
    account: Option<Box<str>>,
    resumable: Option<ResumeKey>,
}

impl Live {
    /// The next letter, if any. Releases wait, in order, as long as there is no room for the first of them; other
    /// letters don't wait behind them.
    pub fn poll_letter(&self, cx: &mut Context<'_>, has_room: impl Fn(End) -> bool) -> Option<Letter> {
        self.mailbox.waker.register(cx.waker());
        let mut letters = self.mailbox.letters.lock();
        let mut held = false;
        let next = letters.iter().position(|letter| match letter {
            Letter::Release { to, .. } => {
                held |= !has_room(*to);
                !held
            }
            Letter::Yield(_) | Letter::Shutdown => true,
        })?;
        letters.remove(next)
    }

    /// The client is this party from now on.
    pub fn log_in(&mut self, party: &Party) {
        let account = party.address.account.clone();
        self.registry.inner.lock().accounts.entry(account.clone()).or_default().push(self.id);
        self.account = Some(account.clone());
        // A full queue means the office is busy; it looks through all accounts every so often.
        let _busy = self.registry.logins.try_send(account);
    }

    /// The client, which has logged in, may come back under this id.
    pub fn resumable(&mut self, id: &str) {
        let Some(account) = &self.account else { return };
        let key = key_of(account, id);
        self.registry.inner.lock().resumable.insert(key.clone(), Resumable::Live(self.id, account.clone()));
        self.resumable = Some(key);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let mut inner = self.registry.inner.lock();
        inner.mailboxes.remove(&self.id);
        if let Some(account) = &self.account
            && let Some(ids) = inner.accounts.get_mut(account)
        {
            ids.retain(|id| *id != self.id);
            if ids.is_empty() {
                inner.accounts.remove(account);
            }
        }
        if let Some(key) = &self.resumable
            && matches!(inner.resumable.get(key), Some(Resumable::Live(session, _)) if *session == self.id)
        {
            inner.resumable.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use model::{Address, PartyKind, Side};

    use super::*;

    fn registry() -> Registry {
        Registry::new(2, Duration::from_secs(600)).0
    }

    fn parked(account: &str, id: &str) -> Parked {
        Parked { id: id.into(), account: account.into(), state: Box::new(()) }
    }

    /// A session of this account that can be resumed by this id.
    fn live(registry: &Registry, account: &str, id: &str) -> Live {
        let mut live = registry.enter();
        live.log_in(&Party::stranger(Address::account(account), PartyKind::Person, Side::Internal));
        live.resumable(id);
        live
    }

    fn found(claim: Claim) -> Option<String> {
        claim.give_up().map(|parked| parked.account.to_string())
    }

    #[test]
    fn a_parked_session_is_its_accounts_only() {
        let registry = registry();
        registry.park(parked("Alice@server.test", "1"));
        assert_eq!(found(registry.claim("server.test", "1", Some("eve@server.test"))), None);
        assert_eq!(found(registry.claim("other.test", "1", Some("alice@server.test"))), None);
        assert_eq!(found(registry.claim("other.test", "1", None)), None, "an id means something at its domain only");
        let back = registry.claim("Server.test", "1", Some("alice@Server.test"));
        assert_eq!(found(back).as_deref(), Some("Alice@server.test"));
        assert_eq!(found(registry.claim("server.test", "1", Some("alice@server.test"))), None, "taken once");
        // Where the mechanism does not tell who logged in, the server decides.
        registry.park(parked("alice@server.test", "2"));
        assert!(found(registry.claim("server.test", "2", None)).is_some());
    }

    #[test]
    fn a_live_session_yields_to_its_account_only() {
        let registry = registry();
        let alice = live(&registry, "alice@server.test", "1");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(registry.claim("server.test", "1", Some("eve@server.test")), Claim::Here(None)));
        assert!(alice.poll_letter(&mut cx, |_| true).is_none(), "it is not disturbed");
        let claim = registry.claim("server.test", "1", Some("alice@server.test"));
        let Some(Letter::Yield(answer)) = alice.poll_letter(&mut cx, |_| true) else { panic!("it is asked") };
        assert!(answer.send(Some(parked("alice@server.test", "1"))).is_ok());
        assert!(found(claim).is_some(), "what came too late to be used is not lost");
    }

    #[test]
    fn the_same_id_at_two_domains_is_two_sessions() {
        let registry = registry();
        registry.park(parked("a@one.test", "1"));
        registry.park(parked("a@two.test", "1"));
        assert_eq!(found(registry.claim("one.test", "1", None)).as_deref(), Some("a@one.test"));
        assert_eq!(found(registry.claim("two.test", "1", None)).as_deref(), Some("a@two.test"));
    }

    fn release(office: &mpsc::Sender<Outcome>, to: End) -> Letter {
        let id = Uuid::nil();
        let receipt = Receipt { id, office: office.clone().try_reserve_owned().unwrap() };
        Letter::Release { bytes: Bytes::new(), to, since: Timestamp::UNIX_EPOCH, receipt }
    }

    #[test]
    fn releases_wait_for_room_and_hold_up_nothing_else() {
        let registry = registry();
        let alice = live(&registry, "alice@server.test", "1");
        let (office, _outcomes) = mpsc::channel(8);
        for to in [End::Client, End::Server] {
            assert!(registry.post("alice@server.test", release(&office, to)).is_ok());
        }
        registry.shut_down();
        let next = |has_room: fn(End) -> bool| alice.poll_letter(&mut Context::from_waker(Waker::noop()), has_room);
        assert!(matches!(next(|to| to == End::Server), Some(Letter::Shutdown)));
        assert!(next(|to| to == End::Server).is_none(), "in order");
        assert!(matches!(next(|_| true), Some(Letter::Release { to: End::Client, .. })));
        assert!(matches!(next(|_| true), Some(Letter::Release { to: End::Server, .. })));
    }

    #[test]
    fn a_release_that_does_not_fit_is_given_back() {
        let registry = registry();
        let alice = live(&registry, "alice@server.test", "1");
        let (office, _outcomes) = mpsc::channel(MAIL + 8);
        for _ in 0..MAIL {
            assert!(registry.post("alice@server.test", release(&office, End::Client)).is_ok());
        }
        assert!(registry.post("alice@server.test", release(&office, End::Client)).is_err());
        registry.shut_down();
        let shutdown = alice.poll_letter(&mut Context::from_waker(Waker::noop()), |_| false);
        assert!(matches!(shutdown, Some(Letter::Shutdown)), "what concerns the session itself always fits");
        drop(alice);
        assert_eq!(office.capacity(), MAIL + 8, "receipts of a session that ended are free again");
    }
}
