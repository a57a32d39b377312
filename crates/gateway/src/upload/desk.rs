//! The upload service's seams on the real house: files are decided by the judge, origins and verdicts kept in the store.

use std::path::PathBuf;
use std::sync::Arc;

use judge::{Judge, Upload};
use model::{Address, Direction, Effect, PartyKind};
use parking_lot::Mutex;
use store::Store;
use tokio::runtime::{Handle, RuntimeFlavor};
use url::Url;

use super::origins::Origin;
use super::{Crossing, FileJudge, FileVerdict, Judging, OriginId, Origins, Ruling, UploadedFile, VerdictKey, Verdicts};
use crate::recent::Recent;
use crate::xmpp::host;

/// Origins kept at hand; a server has one or two.
const ORIGINS_AT_HAND: usize = 1_024;

/// Decides on files through the judge, each on record.
pub struct FileDesk {
    judge: Judge,
}

impl FileDesk {
    /// A desk in front of a judge.
    pub fn new(judge: Judge) -> FileDesk {
        FileDesk { judge }
    }
}

impl FileJudge for FileDesk {
    fn judge(&self, file: UploadedFile) -> Judging<'_> {
        Box::pin(async move {
            let party = |account: &str, kind| host::party(&self.judge, &file.domain, Address::account(account), kind);
            let service = party(&file.domain, PartyKind::Service);
            let account = file.account.as_deref().map(|account| party(account, PartyKind::Person));
            let (from, to, direction) = match (file.crossing, account) {
                (Crossing::Upload, Some(account)) => (account, service, Direction::FromClient),
                (Crossing::Upload, None) => (service.clone(), service, Direction::FromClient),
                (Crossing::Download, reader) => (service.clone(), reader.unwrap_or(service), Direction::ToClient),
            };
            let upload = Upload {
                from,
                to,
                direction,
                name: file.name.map(Into::into),
                claimed_type: file.claimed_type.map(Into::into),
                size: file.size,
                path: PathBuf::from(&file.path),
            };
            let ruled = self.judge.upload(upload).await;
            FileVerdict {
                effect: ruled.verdict.effect,
                notice: ruled.verdict.notice.clone(),
                is_final: !ruled.verdict.on_fault,
            }
        })
    }

    fn rules(&self) -> Arc<str> {
        let rules = self.judge.rules();
        format!("{}+{}", rules.policy.version(), rules.indicators).into()
    }
}

/// Origins in the store: GET URLs stay good over restarts. Those in use are at hand, so that the store is asked once,
/// and written before the first slot of an origin is offered.
pub struct StoredOrigins {
    store: Arc<Store>,
    at_hand: Mutex<Recent<OriginId, Origin>>,
}

impl StoredOrigins {
    /// Over a store.
    pub fn new(store: Arc<Store>) -> StoredOrigins {
        StoredOrigins { store, at_hand: Mutex::new(Recent::new(ORIGINS_AT_HAND, "upload.origins_at_hand")) }
    }

    fn stored(&self, id: &OriginId) -> Option<Origin> {
        let kept = off_the_worker(|| self.store.upload(id.as_str())).ok()??;
        let (domain, base) = kept.split_once(' ')?;
        Some(Origin { domain: domain.to_owned(), base: Url::parse(base).ok()? })
    }

    fn keep_at_hand(&self, id: &OriginId, origin: &Origin) {
        self.at_hand.lock().entry(id.clone(), || origin.clone());
    }
}

/// Runs what may block, the worker's other tasks handed to another one meanwhile.
fn off_the_worker<T>(blocking: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(blocking),
        _ => blocking(),
    }
}

impl Origins for StoredOrigins {
    fn get(&self, id: &OriginId) -> Option<Origin> {
        if let Some(origin) = self.at_hand.lock().get(id) {
            return Some(origin.clone());
        }
        let origin = self.stored(id)?;
        self.keep_at_hand(id, &origin);
        Some(origin)
    }

    fn put(&self, id: &OriginId, origin: &Origin) -> bool {
        if self.get(id).is_some() {
            return true;
        }
        let text = format!("{} {}", origin.domain, origin.base);
        match off_the_worker(|| self.store.put_upload(id.as_str(), &text)) {
            Ok(()) => {
                self.keep_at_hand(id, origin);
                true
            }
            Err(error) => {
                tracing::error!(%error, "an upload origin can't be kept, so the slot is refused");
                false
            }
        }
    }
}

/// Verdicts about files at the server, in the store.
pub struct StoredVerdicts {
    store: Arc<Store>,
}

impl StoredVerdicts {
    /// Over a store.
    pub fn new(store: Arc<Store>) -> StoredVerdicts {
        StoredVerdicts { store }
    }

    fn key(key: &VerdictKey) -> String {
        format!("{} {} {} {}", key.rules, key.length, key.validator, key.url)
    }
}

impl Verdicts for StoredVerdicts {
    fn get(&self, key: &VerdictKey) -> Option<Ruling> {
        let kept = self.store.file_verdict(&StoredVerdicts::key(key)).ok()??;
        Some(match kept.effect.delivers() {
            true => Ruling::Pass,
            false => Ruling::Stop(kept.notice.unwrap_or_default().into()),
        })
    }

    fn put(&self, key: &VerdictKey, ruling: &Ruling) {
        #[allow(clippy::disallowed_methods, reason = "the gateway is a role: time enters here")]
        let time = jiff::Timestamp::now();
        let (effect, notice) = match ruling {
            Ruling::Pass => (Effect::Allow, None),
            Ruling::Stop(notice) => (Effect::Block, Some(notice.to_string())),
        };
        let verdict = store::FileVerdict { effect, rule: None, notice, time };
        if let Err(error) = self.store.put_file_verdict(&StoredVerdicts::key(key), &verdict) {
            tracing::warn!(%error, "a file's verdict can't be kept; it will be checked again");
        }
    }
}
