//! The upload service's seams on the real house: files are decided by the judge, origins and verdicts kept in the store.

use std::path::PathBuf;
use std::sync::Arc;

use judge::{Judge, Upload};
use model::{Address, Direction, Effect, PartyKind, Protocol};
use store::Store;
use url::Url;

use super::origins::Origin;
use super::{Crossing, FileJudge, FileVerdict, Judging, OriginId, Origins, Ruling, UploadedFile, VerdictKey, Verdicts};

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
            let service = Address::account(file.domain.as_str());
            let service = self.judge.party(Protocol::Xmpp, service, PartyKind::Service);
            let account = file.account.map(|account| {
                self.judge.party(Protocol::Xmpp, Address::account(account), PartyKind::Person)
            });
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
}

/// Origins in the store: GET URLs stay good over restarts.
pub struct StoredOrigins {
    store: Arc<Store>,
}

impl StoredOrigins {
    /// Over a store.
    pub fn new(store: Arc<Store>) -> StoredOrigins {
        StoredOrigins { store }
    }
}

impl Origins for StoredOrigins {
    fn get(&self, id: &OriginId) -> Option<Origin> {
        let kept = self.store.upload(id.as_str()).ok()??;
        let (domain, base) = kept.split_once(' ')?;
        Some(Origin { domain: domain.to_owned(), base: Url::parse(base).ok()? })
    }

    fn put(&self, id: &OriginId, origin: &Origin) -> bool {
        if self.get(id).is_some() {
            return true;
        }
        match self.store.put_upload(id.as_str(), &format!("{} {}", origin.domain, origin.base)) {
            Ok(()) => true,
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
        format!("{} {} {}", key.length, key.validator, key.url)
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
