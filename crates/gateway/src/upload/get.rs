//! GET and HEAD: a file that was judged before passes through; any other is fetched whole, judged once, and served
//! from the spool.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, Method, Response, StatusCode};
use tokio::time::{Instant, timeout, timeout_at};

use super::fetch::{FetchError, along, from_spool, next_bytes, passed_through};
use super::flights::{Cleared, Landing};
use super::origins::{OriginId, Resource};
use super::range::{self, Wanted};
use super::request::file_name;
use super::response::{Answer, Refusal, describe, empty, with_body};
use super::spool::{SpoolFault, SpoolFull, Spooled, Spooling};
use super::verdict::{Crossing, Ruling, UploadedFile, VerdictKey};
use super::{Oversize, Uploads};

impl Uploads {
    /// Serves one GET or HEAD.
    pub(super) async fn get(
        self: &Arc<Self>,
        method: Method,
        client: &HeaderMap,
        origin: &OriginId,
        target: &str,
    ) -> Answer {
        let (outcome, answer) = match self.try_get(method, client, origin, target).await {
            Ok((outcome, answer)) => (outcome, answer),
            Err((outcome, refusal)) => (outcome, refusal.answer()),
        };
        metrics::counter!("portcullis_downloads_total", "outcome" => outcome).increment(1);
        answer
    }

    async fn try_get(
        self: &Arc<Self>,
        method: Method,
        client: &HeaderMap,
        origin: &OriginId,
        target: &str,
    ) -> Result<(&'static str, Answer), (&'static str, Refusal)> {
        let resource = self.slots.resource(origin, target).ok_or(("unknown", Refusal::not_found()))?;
        let is_head = method == Method::HEAD;
        let answer = self
            .fetcher
            .get(method, &resource, &along(client))
            .await
            .map_err(|error| ("server_failed", failed(&resource, &error)))?;
        match answer.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
            StatusCode::NOT_MODIFIED => {
                let mut unchanged = with_body(StatusCode::NOT_MODIFIED, empty());
                describe(&mut unchanged, answer.headers());
                unchanged.headers_mut().remove(header::CONTENT_TYPE);
                return Ok(("unchanged", unchanged));
            }
            status => return Err(("server_refused", not_served(status))),
        }

        let seen = Seen::of(&resource, answer.headers());
        match self.known(seen.key(self.judge.rules())).await {
            Some(Ruling::Stop(notice)) => return Err(("blocked", Refusal::policy(&notice))),
            Some(Ruling::Pass) => return Ok(("passed", self.pass_through(answer, is_head))),
            None => {}
        }
        if seen.length.is_some_and(|length| length > self.limits.file_bytes) {
            return match self.limits.oversize {
                Oversize::Refuse => Err(("too_large", too_large())),
                Oversize::Pass => {
                    tracing::warn!(domain = %resource.domain, length = ?seen.length, "a file too large to be checked is served");
                    Ok(("unchecked", self.pass_through(answer, is_head)))
                }
            };
        }
        if is_head {
            // Size and type alone tell nothing that needs a verdict.
            return Ok(("described", self.pass_through(answer, true)));
        }
        match self.check(resource, answer).await {
            Landing::Refused(refusal) => Err(("refused", refusal)),
            Landing::Clear(cleared) => {
                let deadline = Instant::now() + self.limits.body_allowance(cleared.file.size);
                let answer = from_cleared(&cleared, client, deadline).await;
                answer.map(|answer| ("checked", answer)).map_err(|refusal| ("spool", refusal))
            }
        }
    }

    /// What was decided about this state of a file.
    async fn known(&self, key: Option<VerdictKey>) -> Option<Ruling> {
        let (verdicts, key) = (Arc::clone(&self.verdicts), key?);
        tokio::task::spawn_blocking(move || verdicts.get(&key)).await.ok()?
    }

    /// The server's answer with its length and range.
    fn pass_through(&self, answer: Response<Incoming>, is_head: bool) -> Answer {
        let (head, body) = answer.into_parts();
        let body = if is_head { empty() } else { passed_through(body, self.limits.idle_deadline) };
        let mut out = with_body(head.status, body);
        describe(&mut out, &head.headers);
        for name in [header::CONTENT_LENGTH, header::CONTENT_RANGE] {
            if let Some(value) = head.headers.get(&name) {
                out.headers_mut().insert(name, value.clone());
            }
        }
        out
    }

    /// Takes part in the check of a file; the answer that showed it is used when it is whole.
    async fn check(self: &Arc<Self>, resource: Resource, answer: Response<Incoming>) -> Landing {
        let uploads = Arc::clone(self);
        let url = resource.url();
        self.flights
            .join(&url, || async move {
                match uploads.fetch_and_judge(&resource, answer).await {
                    Ok(cleared) => Landing::Clear(Arc::new(cleared)),
                    Err(refusal) => Landing::Refused(refusal),
                }
            })
            .await
    }

    async fn fetch_and_judge(&self, resource: &Resource, answer: Response<Incoming>) -> Result<Cleared, Refusal> {
        let server = |error: FetchError| failed(resource, &error);
        let answer = if answer.status() == StatusCode::OK {
            answer
        } else {
            drop(answer);
            self.fetcher.get(Method::GET, resource, &HeaderMap::new()).await.map_err(server)?
        };
        if answer.status() != StatusCode::OK {
            return Err(not_served(answer.status()));
        }
        let (head, body) = answer.into_parts();
        let seen = Seen::of(resource, &head.headers);
        let file = self.spool_download(resource, &seen, body).await?;
        let ruling = self.judge_download(resource, &seen, &head.headers, &file).await?;
        match ruling {
            Ruling::Pass => Ok(Cleared { file: Arc::new(file), headers: head.headers }),
            Ruling::Stop(notice) => {
                tracing::info!(domain = %resource.domain, size = file.size, "download blocked");
                Err(Refusal::policy(&notice))
            }
        }
    }

    async fn spool_download(&self, resource: &Resource, seen: &Seen, mut body: Incoming) -> Result<Spooled, Refusal> {
        let most = self.limits.file_bytes;
        let no_room = |_full: SpoolFull| Refusal::busy("there is no room to check the file now; try again");
        let disk = |error: std::io::Error| {
            tracing::error!("upload spool: {error}; check the disk");
            Refusal::busy("the file can't be checked now; try again")
        };
        let room = self.spool.room(None, seen.length.unwrap_or(0)).map_err(no_room)?;
        let mut spooling = Spooling::create(room).await.map_err(disk)?;
        let deadline = Instant::now() + self.limits.body_allowance(seen.length.unwrap_or(most));
        loop {
            let next = timeout_at(deadline, next_bytes(&mut body, self.limits.idle_deadline)).await;
            let bytes = match next.map_err(|_elapsed| FetchError::Late).and_then(|next| next) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break,
                Err(error) => return Err(failed(resource, &error)),
            };
            if spooling.size() + bytes.len() as u64 > most {
                return Err(too_large());
            }
            match spooling.write(&bytes).await {
                Ok(()) => {}
                Err(SpoolFault::Full) => return Err(no_room(SpoolFull::Total)),
                Err(SpoolFault::Io(error)) => return Err(disk(error)),
            }
        }
        if seen.length.is_some_and(|length| length != spooling.size()) {
            return Err(failed(resource, &FetchError::Unusable("less than it announced")));
        }
        spooling.finish().await.map_err(disk)
    }

    async fn judge_download(
        &self,
        resource: &Resource,
        seen: &Seen,
        headers: &HeaderMap,
        file: &Spooled,
    ) -> Result<Ruling, Refusal> {
        let claimed_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let uploaded = UploadedFile {
            crossing: Crossing::Download,
            account: None,
            domain: resource.domain.clone(),
            name: file_name(&resource.target),
            claimed_type: claimed_type.map(str::to_owned),
            size: file.size,
            path: file.path().to_owned(),
            sha256: file.sha256,
            url: resource.url(),
        };
        let rules = self.judge.rules();
        let verdict = timeout(self.limits.judge_deadline, self.judge.judge(uploaded)).await.map_err(|_elapsed| {
            tracing::warn!(domain = %resource.domain, "no verdict on a download in time");
            Refusal::busy("the file could not be checked in time; try again")
        })?;
        let ruling = verdict.ruling();
        // What was decided while the rules changed may have been decided by either.
        if verdict.is_final
            && self.judge.rules() == rules
            && let Some(key) = seen.key_for(file.size, rules)
        {
            let (verdicts, kept) = (Arc::clone(&self.verdicts), ruling.clone());
            // Waited for, so that who asks next finds it; when that fails, the file is checked again.
            let _forgotten = tokio::task::spawn_blocking(move || verdicts.put(&key, &kept)).await;
        }
        Ok(ruling)
    }
}

/// Which state of a file an answer shows.
struct Seen {
    url: String,
    validator: Option<String>,
    /// The whole file's length, also where only a part is sent.
    length: Option<u64>,
}

impl Seen {
    fn of(resource: &Resource, headers: &HeaderMap) -> Seen {
        let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let validator = text(header::ETAG).or_else(|| text(header::LAST_MODIFIED)).map(str::to_owned);
        let length = match text(header::CONTENT_RANGE) {
            Some(range) => range::whole_length(range),
            None => text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()),
        };
        Seen { url: resource.url(), validator, length }
    }

    fn key(&self, rules: Arc<str>) -> Option<VerdictKey> {
        self.key_for(self.length?, rules)
    }

    fn key_for(&self, length: u64, rules: Arc<str>) -> Option<VerdictKey> {
        Some(VerdictKey { url: self.url.clone(), validator: self.validator.clone()?, length, rules })
    }
}

/// A checked file, whole or the part that was asked for.
async fn from_cleared(cleared: &Cleared, client: &HeaderMap, deadline: Instant) -> Result<Answer, Refusal> {
    let length = cleared.file.size;
    let text = |name: header::HeaderName| client.get(name).and_then(|value| value.to_str().ok());
    // A range that is bound to another state of the file asks for the whole (RFC 9110 section 13.1.5); weak tags and
    // dates never prove the same bytes.
    let etag = cleared.headers.get(header::ETAG).and_then(|value| value.to_str().ok());
    let is_bound_elsewhere = text(header::IF_RANGE).is_some_and(|bound| bound.starts_with("W/") || Some(bound) != etag);
    let wanted = range::wanted(text(header::RANGE).filter(|_| !is_bound_elsewhere), length);
    let (status, start, end) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0, length),
        Wanted::Part { start, end } => (StatusCode::PARTIAL_CONTENT, start, end),
        Wanted::Outside => {
            let mut outside = with_body(StatusCode::RANGE_NOT_SATISFIABLE, empty());
            set(&mut outside, header::CONTENT_RANGE, format!("bytes */{length}"));
            return Ok(outside);
        }
    };
    let body = from_spool(&cleared.file, start, end, deadline).await.map_err(|error| {
        tracing::error!("upload spool: {error}; check the disk");
        Refusal::busy("the file can't be read now; try again")
    })?;
    let mut answer = with_body(status, body);
    describe(&mut answer, &cleared.headers);
    set(&mut answer, header::CONTENT_LENGTH, (end - start).to_string());
    answer.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        set(&mut answer, header::CONTENT_RANGE, format!("bytes {start}-{}/{length}", end.saturating_sub(1)));
    }
    Ok(answer)
}

fn set(answer: &mut Answer, name: header::HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        answer.headers_mut().insert(name, value);
    }
}

fn failed(resource: &Resource, error: &FetchError) -> Refusal {
    tracing::warn!(domain = %resource.domain, "file not fetched: {error}");
    Refusal::new(StatusCode::BAD_GATEWAY, "the server that keeps the file can't be reached; try again")
}

/// The server's own refusal. A redirect is one: nothing is followed.
fn not_served(status: StatusCode) -> Refusal {
    if status.is_client_error() || status.is_server_error() {
        let text = if status == StatusCode::NOT_FOUND { "no such file" } else { "the server does not serve the file" };
        return Refusal::new(status, text);
    }
    Refusal::new(StatusCode::BAD_GATEWAY, "the server that keeps the file answered in an unexpected way")
}

fn too_large() -> Refusal {
    Refusal::policy("the file is too large to be checked")
}
