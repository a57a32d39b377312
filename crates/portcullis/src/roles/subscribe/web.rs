//! A repository on a web server. The timestamp is asked for by its ETag, so that most looks cost a few hundred bytes.

use intel::http::Request;
use intel::update::{Got, Source, SourceError};
use url::Url;

use crate::failure::Failure;
use crate::web::{self, WebError};

/// A repository under a URL.
pub struct Web {
    base: Url,
    /// The newest timestamp and its ETag.
    timestamp: Option<(String, Vec<u8>)>,
}

impl Web {
    /// The repository at `url`.
    pub fn new(url: &str) -> Result<Web, Failure> {
        let wrong = |why: &dyn std::fmt::Display| Failure::usage(format!("intel.subscribe.url: {url}: {why}"));
        let mut base: Url = url.parse().map_err(|e| wrong(&e))?;
        web::check(&base).map_err(|e| wrong(&e))?;
        if base.query().is_some() || base.fragment().is_some() {
            return Err(wrong(&"a repository's address has no query").hint("leave out what begins with ? or #"));
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(Web { base, timestamp: None })
    }
}

impl Source for Web {
    fn get(&mut self, path: &str, most: u64) -> Result<Got, SourceError> {
        let place = || self.base.join(path).map_or_else(|_| path.to_owned(), String::from);
        let failed = |why: String| SourceError { place: place(), why };
        let url = self.base.join(path).map_err(|e| failed(e.to_string()))?;
        let known = self.timestamp.as_ref().filter(|_| path == "timestamp.json");
        let request = match known {
            Some((etag, _)) => Request::get(url).with("If-None-Match", etag.clone()),
            None => Request::get(url),
        };
        let response = match web::ask(&request, most) {
            Ok(response) => response,
            Err(WebError::TooLong(_)) => return Ok(Got::TooLong),
            Err(error) => return Err(failed(error.to_string())),
        };
        match (response.status, known) {
            (200, _) => {
                if path == "timestamp.json" {
                    let etag = response.header("etag").map(str::to_owned);
                    self.timestamp = etag.map(|etag| (etag, response.body.clone()));
                }
                Ok(Got::File(response.body))
            }
            (304, Some((_, bytes))) => Ok(Got::File(bytes.clone())),
            (404 | 410, _) => Ok(Got::Absent),
            (status, _) => Err(failed(format!("the server answers {status}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repositorys_address_is_checked_before_it_is_asked() {
        assert_eq!(
            Web::new("https://intel.example/im").ok().map(|web| web.base.to_string()).as_deref(),
            Some("https://intel.example/im/")
        );
        for (wrong, why) in [
            ("http://intel.example/", "use https"),
            ("intel.example", "relative"),
            ("https://i.example/?a=b", "no query"),
        ] {
            let refused = Web::new(wrong).err().map(|failure| failure.to_string()).unwrap_or_default();
            assert!(refused.contains(why), "{wrong}: {refused}");
        }
    }
}
