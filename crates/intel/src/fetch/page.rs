//! One file from a web server: asked for only if it has changed, and unpacked within bounds.

use std::io::Read;

use url::Url;

use super::folder::Mark;
use crate::http::{Auth, Exchange, RedirectError, Request, Response, Step, redirect};

/// Redirects that are followed, all on the same server.
const REDIRECTS: usize = 5;

/// The exchange.
pub(super) struct Page {
    url: Url,
    auth: Option<String>,
    etag: Option<String>,
    last_modified: Option<String>,
    redirects: usize,
}

/// What comes.
pub(super) enum Paged {
    Same,
    New { body: Vec<u8>, etag: Option<String>, last_modified: Option<String> },
    Busy { why: String, retry_after: Option<u64> },
}

/// Why it does not come.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    #[error("{0}: more than {REDIRECTS} redirects")]
    Circle(Url),
}

impl Page {
    /// A page, of which a version may be known.
    pub(super) fn new(url: Url, auth: &Auth, known: Option<&Mark>) -> Page {
        let known = known.cloned().unwrap_or_default();
        Page { url, auth: auth.header(), etag: known.etag, last_modified: known.last_modified, redirects: 0 }
    }

    fn ask(&self) -> Step<Paged> {
        let mut request = Request::get(self.url.clone());
        if let Some(auth) = &self.auth {
            request = request.with("Authorization", auth.clone());
        }
        // RFC 9110 section 13.1: where there is a tag, the date says nothing more.
        request = match (&self.etag, &self.last_modified) {
            (Some(etag), _) => request.with("If-None-Match", etag.clone()),
            (None, Some(date)) => request.with("If-Modified-Since", date.clone()),
            (None, None) => request,
        };
        Step::Next(request)
    }
}

impl Exchange for Page {
    type Outcome = Paged;
    type Error = PageError;

    fn start(&mut self) -> Result<Step<Paged>, PageError> {
        Ok(self.ask())
    }

    fn step(&mut self, response: Response) -> Result<Step<Paged>, PageError> {
        if let Some(to) = redirect(&self.url, &response)? {
            self.redirects += 1;
            if self.redirects > REDIRECTS {
                return Err(PageError::Circle(to));
            }
            self.url = to;
            return Ok(self.ask());
        }
        let header = |name: &str| response.header(name).map(|value| value.chars().take(1_000).collect());
        let conditional = self.etag.is_some() || self.last_modified.is_some();
        Ok(Step::Done(match response.status {
            304 if conditional => Paged::Same,
            200 => Paged::New { etag: header("etag"), last_modified: header("last-modified"), body: response.body },
            status => Paged::Busy {
                why: match status {
                    401 | 403 => format!("{}: status {status}: check the credentials", self.url),
                    _ => format!("{}: status {status}", self.url),
                },
                retry_after: response.retry_after(),
            },
        }))
    }
}

/// What a gzip file holds; other bytes as they are. Never more than `most`.
pub fn unpacked(bytes: Vec<u8>, most: u64) -> Result<Vec<u8>, String> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return if bytes.len() as u64 > most { Err(format!("more than {most} bytes")) } else { Ok(bytes) };
    }
    let mut out = Vec::new();
    #[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "read to a bound")]
    let decoder = flate2::read::MultiGzDecoder::new(&*bytes);
    decoder.take(most.saturating_add(1)).read_to_end(&mut out).map_err(|e| format!("damaged gzip: {e}"))?;
    if out.len() as u64 > most { Err(format!("unpacks to more than {most} bytes")) } else { Ok(out) }
}
