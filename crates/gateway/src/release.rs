//! The office that delivers what was released from quarantine, by whichever
//! process released it: on a live session of its account, else at the next login.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use judge::Judge;
use model::{Address, Direction, Party, PartyKind, Record, RecordKind, Side, Then};
use store::{Entry, Journal, Store};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tracing::{info, warn};
use uuid::Uuid;
use wire::dialect::End;

use crate::registry::{Letter, Outcome, Receipt, Registry};
use crate::task::Drain;

/// How often the store is asked for changes: how long a release takes to go out.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often all that was released is gone through, whatever was missed: a full queue, a session that ended in between.
const PASS_EVERY: Duration = Duration::from_secs(30);
/// How long the sessions' last receipts are waited for when the gateway goes down.
const LAST_RECEIPTS: Duration = Duration::from_secs(10);
/// Released messages on their way at a time.
const ON_THE_WAY: usize = 1_024;

/// Delivers released messages until the drain begins.
pub async fn run(judge: Judge, registry: Registry, mut logins: mpsc::Receiver<Box<str>>, mut drain: Drain) {
    let (Some(journal), Some(store)) = (judge.journal().cloned(), judge.store().cloned()) else { return };
    let (sender, mut receipts) = mpsc::channel(ON_THE_WAY);
    let office = Office { judge: judge.clone(), journal, store: store.clone(), registry, sender };
    let mut revision = 0;
    let mut clock = tokio::time::interval(LOOK_EVERY);
    let mut pass = tokio::time::interval(PASS_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pass.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = drain.begun() => break,
            Some(outcome) = receipts.recv() => settle(&store, outcome).await,
            Some(account) = logins.recv() => office.deliver(account.into_string(), judge.now()).await,
            _ = clock.tick() => revision = office.look(Some(revision), judge.now()).await.unwrap_or(revision),
            _ = pass.tick() => revision = office.look(None, judge.now()).await.unwrap_or(revision),
        }
    }
    // What sessions have written is marked so, or the next start would deliver it again. Each unsigned receipt holds a
    // place in the queue, which ends when the last session has let go of its own.
    drop(office);
    let last = async {
        while let Some(outcome) = receipts.recv().await {
            settle(&store, outcome).await;
        }
    };
    tokio::select! {
        _ = tokio::time::timeout(LAST_RECEIPTS, last) => {}
        () = drain.cut() => {}
    }
}

/// An address as a record names it; what kind of party it is, quarantine does not keep.
fn then(address: &str) -> Then {
    let (account, device) =
        address.split_once('/').map_or((address, None), |(account, device)| (account, Some(device)));
    let address = Address { account: account.into(), device: device.map(Into::into) };
    Then::from(&Party::stranger(address, PartyKind::Person, Side::Internal))
}

struct Office {
    judge: Judge,
    journal: Arc<Journal>,
    store: Arc<Store>,
    registry: Registry,
    sender: mpsc::Sender<Outcome>,
}

impl Office {
    /// Looks whether anything was released since a revision of the store (or ever), and delivers what can be.
    /// Returns the revision it saw.
    async fn look(&self, since: Option<u64>, now: Timestamp) -> Option<u64> {
        let store = self.store.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let revision = store.revision()?;
            let changed = since.is_none_or(|since| revision > since);
            let accounts = if changed { store.released_accounts()? } else { Vec::new() };
            Ok::<_, store::Error>((revision, accounts))
        });
        match looked.await {
            Ok(Ok((revision, accounts))) => {
                for account in accounts.into_iter().filter(|account| self.registry.is_online(account)) {
                    self.deliver(account, now).await;
                }
                Some(revision)
            }
            Ok(Err(error)) => {
                warn!(%error, "can't look for released messages; trying again");
                None
            }
            Err(_) => None,
        }
    }

    /// Sends an account what waits for it. The release is on record before it is posted.
    async fn deliver(&self, account: String, now: Timestamp) {
        if self.sender.capacity() < ON_THE_WAY / 2 {
            return;
        }
        let store = self.store.clone();
        let name = account.clone();
        let taken = tokio::task::spawn_blocking(move || store.take_released(&name, now)).await;
        let waiting = match taken {
            Ok(Ok(waiting)) => waiting,
            Ok(Err(error)) => {
                warn!(%error, account, "can't read released messages; trying again");
                return;
            }
            Err(_) => return,
        };
        for held in waiting {
            // No place for its receipt, or no session any more: its lease runs out, and a later pass takes it again.
            let Ok(permit) = self.sender.clone().try_reserve_owned() else { return };
            if !self.registry.is_online(&account) {
                return;
            }
            let message = held.message;
            let by = held.decision.as_ref().map_or("unknown", |decision| decision.by.as_str());
            let mut record = Record::new(Uuid::now_v7(), now, RecordKind::Release);
            record.about = Some(message.id);
            record.protocol = Some(message.protocol);
            record.direction = Some(message.direction);
            record.digest = Some(message.digest);
            record.from = Some(then(&message.from));
            record.to = Some(then(&message.to));
            record.note = Some(format!("released by {by}, delivered to a session of {account}").into());
            if self.journal.append(Entry::from(record)).await.is_err() {
                warn!(id = %message.id, "a release can't be recorded, so it waits");
                continue;
            }
            // From here on it passes: its reader may be behind this gateway, too.
            self.judge.released(&message);
            let to = match message.direction {
                Direction::FromClient => End::Server,
                Direction::ToClient => End::Client,
            };
            let receipt = Receipt { id: message.id, office: permit };
            let letter = Letter::Release { bytes: Bytes::from(message.frame), to, since: message.time, receipt };
            if self.registry.post(&account, letter).is_err() {
                return;
            }
        }
    }
}

/// Marks in the store what became of a release.
async fn settle(store: &Arc<Store>, (id, outcome): Outcome) {
    if let Err(why) = outcome {
        warn!(%id, why, "a released message can't be delivered");
        return;
    }
    let store = store.clone();
    match tokio::task::spawn_blocking(move || store.mark_delivered(id)).await {
        Ok(Ok(())) => info!(%id, "a released message was delivered"),
        Ok(Err(error)) => warn!(%id, %error, "a delivered message could not be marked so"),
        Err(_) => {}
    }
}
