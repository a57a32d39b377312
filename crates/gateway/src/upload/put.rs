//! PUT: the file is spooled and judged, and only then does the server get it.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, EXPECT};
use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode};
use tokio::time::{Instant, timeout, timeout_at};

use super::fetch::next_bytes;
use super::response::{Answer, Refusal, text};
use super::slots::{Claimed, Slot, SlotFault};
use super::spool::{SpoolFault, SpoolFull, Spooled, Spooling};
use super::verdict::{Crossing, Ruling, UploadedFile};
use super::{Uploads, fetch::FetchError};

/// What is read of a refused body, so that a client which does not listen while it sends still reads why.
const DISCARD_MOST: u64 = 256 * 1024;
const DISCARD_FOR: Duration = Duration::from_secs(2);

impl Uploads {
    /// Serves one PUT.
    pub(super) async fn put(&self, head: &Parts, token: &str, length: u64, mut body: Incoming) -> Answer {
        let outcome = self.try_put(head, token, length, &mut body).await;
        match outcome {
            Ok(answer) => answer,
            Err((outcome, refusal)) => {
                metrics::counter!("portcullis_uploads_total", "outcome" => outcome).increment(1);
                // Who waits for `100 Continue` is told by the answer itself.
                if !head.headers.contains_key(EXPECT) {
                    discard(&mut body).await;
                }
                refusal.answer()
            }
        }
    }

    async fn try_put(
        &self,
        head: &Parts,
        token: &str,
        length: u64,
        body: &mut Incoming,
    ) -> Result<Answer, (&'static str, Refusal)> {
        let now = std::time::Instant::now();
        let claimed = self.slots.claim(token, now).map_err(|fault| ("no_slot", no_slot(fault)))?;
        let slot = Arc::clone(&claimed.slot);
        check_announced(&head.headers, &slot, length).map_err(|refusal| ("not_as_announced", refusal))?;

        let file = self.spool_upload(&slot, body).await.map_err(|refusal| ("not_received", refusal))?;
        let ruling = self.judge_upload(&slot, &file).await.map_err(|refusal| ("not_judged", refusal))?;
        if let Ruling::Stop(notice) = ruling {
            tracing::info!(account = %slot.account, domain = %slot.put.domain, size = slot.size, "upload blocked");
            claimed.stopped(Arc::clone(&notice));
            return Err(("blocked", Refusal::policy(&notice)));
        }
        self.hand_on(claimed, &slot, &file).await
    }

    /// Receives the body, which must be exactly as long as announced.
    async fn spool_upload(&self, slot: &Slot, body: &mut Incoming) -> Result<Arc<Spooled>, Refusal> {
        let room = self.spool.room(Some(&slot.account), slot.size).map_err(|full| match full {
            SpoolFull::Total => Refusal::busy("there is no room for the file now; try again"),
            SpoolFull::Account => {
                Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too many of your uploads are under way; try again later")
            }
        })?;
        let disk = |error: std::io::Error| {
            tracing::error!("upload spool: {error}; check the disk");
            Refusal::busy("the file can't be kept now; try again")
        };
        let mut spooling = Spooling::create(room).await.map_err(disk)?;
        let deadline = Instant::now() + self.limits.body_allowance(slot.size);
        loop {
            let next = timeout_at(deadline, next_bytes(body, self.limits.idle_deadline)).await;
            match next {
                Ok(Ok(Some(bytes))) => match spooling.write(&bytes).await {
                    Ok(()) => {}
                    Err(SpoolFault::Io(error)) => return Err(disk(error)),
                    Err(SpoolFault::Full) => return Err(Refusal::bad("the file is longer than announced")),
                },
                Ok(Ok(None)) => break,
                Ok(Err(FetchError::Late)) | Err(_) => {
                    return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the file came too slowly"));
                }
                Ok(Err(_)) => return Err(Refusal::bad("the file did not arrive whole")),
            }
        }
        if spooling.size() != slot.size {
            return Err(Refusal::bad("the file is not as long as announced"));
        }
        spooling.finish().await.map(Arc::new).map_err(disk)
    }

    async fn judge_upload(&self, slot: &Slot, file: &Spooled) -> Result<Ruling, Refusal> {
        let uploaded = UploadedFile {
            crossing: Crossing::Upload,
            account: Some(slot.account.to_string()),
            domain: slot.put.domain.clone(),
            name: Some(slot.name.to_string()),
            claimed_type: slot.claimed_type.as_deref().map(str::to_owned),
            size: file.size,
            path: file.path().to_owned(),
            sha256: file.sha256,
            url: slot.get.url(),
        };
        let verdict = timeout(self.limits.judge_deadline, self.judge.judge(uploaded)).await.map_err(|_elapsed| {
            tracing::warn!(account = %slot.account, "no verdict on an upload in time");
            Refusal::busy("the file could not be checked in time; try again")
        })?;
        Ok(verdict.ruling())
    }

    /// Gives the file to the server; what it answers is what the client is told.
    async fn hand_on(
        &self,
        claimed: Claimed,
        slot: &Slot,
        file: &Arc<Spooled>,
    ) -> Result<Answer, (&'static str, Refusal)> {
        match self.fetcher.put(slot, file).await {
            Ok(status) if status.is_success() => {
                claimed.done();
                metrics::counter!("portcullis_uploads_total", "outcome" => "stored").increment(1);
                tracing::info!(account = %slot.account, domain = %slot.put.domain, size = slot.size, "upload stored");
                Ok(text(status, "stored"))
            }
            Ok(status) if status.is_client_error() || status.is_server_error() => {
                tracing::warn!(domain = %slot.put.domain, %status, "the upload server refused a file");
                Err(("server_refused", Refusal::new(status, "the server refused the file")))
            }
            Ok(status) => {
                tracing::warn!(domain = %slot.put.domain, %status, "the upload server answered a PUT in an unexpected way");
                Err(("server_failed", Refusal::new(StatusCode::BAD_GATEWAY, "the server did not take the file")))
            }
            Err(error) => {
                tracing::warn!(domain = %slot.put.domain, "upload not handed on: {error}");
                Err(("server_failed", Refusal::new(StatusCode::BAD_GATEWAY, "the server can't be reached; try again")))
            }
        }
    }
}

fn no_slot(fault: SlotFault) -> Refusal {
    match fault {
        SlotFault::Unknown => Refusal::new(StatusCode::NOT_FOUND, "no such slot, or it has expired; ask for a new one"),
        SlotFault::Taken => Refusal::new(StatusCode::CONFLICT, "the slot is in use or used up; ask for a new one"),
        SlotFault::Stopped(notice) => Refusal::policy(&notice),
    }
}

/// XEP-0363 section 4: length and type are as they were announced.
fn check_announced(headers: &HeaderMap, slot: &Slot, length: u64) -> Result<(), Refusal> {
    if length != slot.size {
        let status = if length > slot.size { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
        return Err(Refusal::new(status, "the Content-Length is not what was announced"));
    }
    let (Some(announced), Some(given)) = (&slot.claimed_type, headers.get(CONTENT_TYPE)) else { return Ok(()) };
    let is_same = given.to_str().is_ok_and(|given| given.trim().eq_ignore_ascii_case(announced.trim()));
    if is_same { Ok(()) } else { Err(Refusal::bad("the Content-Type is not what was announced")) }
}

async fn discard(body: &mut Incoming) {
    let read = async {
        let mut left = DISCARD_MOST;
        while let Ok(Some(bytes)) = next_bytes(body, DISCARD_FOR).await {
            left = left.saturating_sub(bytes.len() as u64);
            if left == 0 {
                return;
            }
        }
    };
    // What is cut here is only politeness.
    let _cut = timeout(DISCARD_FOR, read).await;
}
