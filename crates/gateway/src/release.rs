//! The office that delivers what was released from quarantine, by whichever
//! process released it: on a live session of its account, else at the next login.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use judge::Judge;
use model::{Direction, Record, RecordKind};
use store::{Entry, Journal, Store};
use tokio::sync::mpsc;
use tracing::{info, warn};
use uuid::Uuid;
use wire::dialect::End;

use crate::registry::{Letter, Receipt, Registry};
use crate::task::Drain;

/// How often the store is asked for changes: how long a release takes to go out.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Released messages on their way at a time.
const ON_THE_WAY: usize = 1_024;

/// Delivers released messages until the drain begins.
pub async fn run(judge: Judge, registry: Registry, mut logins: mpsc::Receiver<Box<str>>, mut drain: Drain) {
    let (Some(journal), Some(store)) = (judge.journal().cloned(), judge.store().cloned()) else { return };
    let (sender, mut receipts) = mpsc::channel(ON_THE_WAY);
    let office = Office { journal, store, registry, sender };
    let mut revision = 0;
    let mut clock = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = drain.begun() => return,
            Some((id, outcome)) = receipts.recv() => office.settle(id, outcome).await,
            Some(account) = logins.recv() => office.deliver(account.into_string(), judge.now()).await,
            _ = clock.tick() => revision = office.look(revision, judge.now()).await,
        }
    }
}

struct Office {
    journal: Arc<Journal>,
    store: Arc<Store>,
    registry: Registry,
    sender: mpsc::Sender<(Uuid, Result<(), &'static str>)>,
}

impl Office {
    /// Looks whether anything was released since a revision of the store.
    async fn look(&self, since: u64, now: Timestamp) -> u64 {
        let store = self.store.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let revision = store.revision()?;
            let accounts = if revision > since { store.released_accounts()? } else { Vec::new() };
            Ok::<_, store::Error>((revision, accounts))
        });
        match looked.await {
            Ok(Ok((revision, accounts))) => {
                for account in accounts.into_iter().filter(|account| self.registry.is_online(account)) {
                    self.deliver(account, now).await;
                }
                revision
            }
            Ok(Err(error)) => {
                warn!(%error, "can't look for released messages; trying again");
                since
            }
            Err(_) => since,
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
                warn!(%error, account, "can't read released messages; trying again at the next login");
                return;
            }
            Err(_) => return,
        };
        for held in waiting {
            let message = held.message;
            let by = held.decision.as_ref().map_or("unknown", |decision| decision.by.as_str());
            let mut record = Record::new(Uuid::now_v7(), now, RecordKind::Release);
            record.about = Some(message.id);
            record.protocol = Some(message.protocol);
            record.direction = Some(message.direction);
            record.note = Some(format!("released by {by}, delivered to a session of {account}").into());
            if self.journal.append(Entry::from(record)).await.is_err() {
                warn!(id = %message.id, "a release can't be recorded, so it waits");
                continue;
            }
            let to = match message.direction {
                Direction::FromClient => End::Server,
                Direction::ToClient => End::Client,
            };
            let receipt = Receipt { id: message.id, office: self.sender.clone() };
            let letter = Letter::Release { bytes: Bytes::from(message.frame), to, since: message.time, receipt };
            if self.registry.post(&account, letter).is_err() {
                // The session ended meanwhile: the lease runs out, and the next login asks again.
                return;
            }
        }
    }

    async fn settle(&self, id: Uuid, outcome: Result<(), &'static str>) {
        if let Err(why) = outcome {
            warn!(%id, why, "a released message can't be delivered");
            return;
        }
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || store.mark_delivered(id)).await {
            Ok(Ok(())) => info!(%id, "a released message was delivered"),
            Ok(Err(error)) => warn!(%id, %error, "a delivered message could not be marked so"),
            Err(_) => {}
        }
    }
}
