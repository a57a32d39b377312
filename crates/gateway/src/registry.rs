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

/// What became of a released message; dropped unsigned, it stays released.
pub struct Receipt {
    /// The quarantine entry.
    pub id: Uuid,
    /// Where to report.
    pub office: mpsc::Sender<(Uuid, Result<(), &'static str>)>,
}

impl Receipt {
    /// It was written to the leg.
    pub fn delivered(self) {
        let _closed = self.office.try_send((self.id, Ok(())));
    }

    /// It can't be delivered, ever.
    pub fn failed(self, why: &'static str) {
        let _closed = self.office.try_send((self.id, Err(why)));
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
    fn post(&self, letter: Letter) -> bool {
        let mut letters = self.letters.lock();
        let fits = letters.len() < MAIL;
        if fits {
            letters.push_back(letter);
            self.waker.wake();
        }
        fits
    }
}

enum Resumable {
    Live(u64),
    Parked(Parked, Instant),
}

#[derive(Default)]
struct Inner {
    next: u64,
    mailboxes: HashMap<u64, Arc<Mailbox>>,
    accounts: HashMap<Box<str>, SmallVec<[u64; 2]>>,
    resumable: HashMap<Box<str>, Resumable>,
    parked: VecDeque<Box<str>>,
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

    /// Posts a letter to one session of an account; gives it back when there is none.
    pub fn post(&self, account: &str, letter: Letter) -> Result<(), Letter> {
        let mailbox = {
            let inner = self.inner.lock();
            let session = inner.accounts.get(account).and_then(|ids| ids.last());
            session.and_then(|id| inner.mailboxes.get(id)).cloned()
        };
        match mailbox {
            Some(mailbox) => {
                mailbox.post(letter);
                Ok(())
            }
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
            mailbox.post(Letter::Shutdown);
        }
    }

    /// Keeps a session for its client's return; the oldest go first when there are too many.
    pub fn park(&self, parked: Parked) {
        let mut inner = self.inner.lock();
        let now = Instant::now();
        inner.parked.push_back(parked.id.clone());
        inner.resumable.insert(parked.id.clone(), Resumable::Parked(parked, now));
        while let Some(id) = inner.parked.front() {
            let stale = match inner.resumable.get(id) {
                Some(Resumable::Parked(_, since)) => now.duration_since(*since) > self.parked_for,
                Some(Resumable::Live(_)) | None => true,
            };
            let over = inner.parked.len() > self.parked_most;
            if !stale && !over {
                break;
            }
            let Some(id) = inner.parked.pop_front() else { break };
            if matches!(inner.resumable.get(&id), Some(Resumable::Parked(..))) {
                inner.resumable.remove(&id);
            }
        }
    }

    /// Asks for a session to take it up: parked, or still held by a connection
    /// that does not know yet that its client is gone.
    pub fn claim(&self, id: &str) -> Claim {
        let mut inner = self.inner.lock();
        match inner.resumable.remove(id) {
            Some(Resumable::Parked(parked, since)) if since.elapsed() <= self.parked_for => Claim::Here(Some(parked)),
            Some(Resumable::Live(session)) => {
                let (sender, receiver) = oneshot::channel();
                if let Some(mailbox) = inner.mailboxes.get(&session) {
                    mailbox.post(Letter::Yield(sender));
                }
                Claim::Coming(receiver)
            }
            _ => Claim::Here(None),
        }
    }
}

/// A session being looked for.
pub enum Claim {
    /// Found, or not.
    Here(Option<Parked>),
    /// Another connection is finishing with it.
    Coming(oneshot::Receiver<Option<Parked>>),
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
    resumable: Option<Box<str>>,
}

impl Live {
    /// The next letter, if any.
    pub fn poll_letter(&self, cx: &mut Context<'_>) -> Option<Letter> {
        self.mailbox.waker.register(cx.waker());
        self.mailbox.letters.lock().pop_front()
    }

    /// The client is this party from now on.
    pub fn log_in(&mut self, party: &Party) {
        let account = party.address.account.clone();
        self.registry.inner.lock().accounts.entry(account.clone()).or_default().push(self.id);
        self.account = Some(account.clone());
        // A full queue means the office is busy; it looks through all accounts online every so often.
        let _busy = self.registry.logins.try_send(account);
    }

    /// The client may come back under this id.
    pub fn resumable(&mut self, id: &str) {
        self.registry.inner.lock().resumable.insert(id.into(), Resumable::Live(self.id));
        self.resumable = Some(id.into());
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
        if let Some(id) = &self.resumable
            && matches!(inner.resumable.get(id), Some(Resumable::Live(session)) if *session == self.id)
        {
            inner.resumable.remove(id);
        }
    }
}
