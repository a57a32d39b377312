//! What a fetch asks and what comes back, without a network: protocols that take several requests are state
//! machines ([`Exchange`]), and whoever has the network drives them.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Url;

/// How a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Ask for it.
    Get,
}

/// One request.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Of whom.
    pub url: Url,
    /// Headers beside those the network side sets itself (`Host`, `User-Agent`, `Accept-Encoding`).
    pub headers: Vec<(&'static str, String)>,
}

impl Request {
    /// Asks for a URL.
    pub fn get(url: Url) -> Request {
        Request { method: Method::Get, url, headers: Vec::new() }
    }

    /// With a header more.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Request {
        self.headers.push((name, value.into()));
        self
    }
}

/// Credentials do not slip into logs.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Request").field("url", &self.url.as_str()).field("headers", &names).finish()
    }
}

/// What came back. The network side has undone transfer and content encoding, within its limits, and follows no
/// redirect by itself: where credentials may go is for the exchange to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers, names in any case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The status is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Seconds the server asks to wait (`Retry-After` in seconds), at most a day.
    pub fn retry_after(&self) -> Option<u64> {
        self.header("retry-after")?.parse().ok().map(|seconds: u64| seconds.min(86_400))
    }
}

/// What to do next.
#[derive(Debug)]
pub enum Step<T> {
    /// Ask this, and come back with the answer.
    Next(Request),
    /// It is done.
    Done(T),
}

/// Several requests that make one fetch. It is bounded by itself: whatever the answers are, it ends.
pub trait Exchange {
    /// What it comes to.
    type Outcome;
    /// Why it may fail.
    type Error: std::error::Error;

    /// The first request.
    fn start(&mut self) -> Result<Step<Self::Outcome>, Self::Error>;

    /// The answer to the last request.
    fn step(&mut self, response: Response) -> Result<Step<Self::Outcome>, Self::Error>;
}

/// Who asks.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Auth {
    /// Nobody in particular.
    #[default]
    None,
    /// RFC 7617.
    Basic {
        /// User.
        user: String,
        /// Password.
        password: String,
    },
    /// RFC 6750.
    Bearer {
        /// Token.
        token: String,
    },
}

impl Auth {
    /// The value of the `Authorization` header.
    pub fn header(&self) -> Option<String> {
        use base64::Engine as _;
        match self {
            Auth::None => None,
            Auth::Basic { user, password } => {
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                Some(format!("Basic {pair}"))
            }
            Auth::Bearer { token } => Some(format!("Bearer {token}")),
        }
    }
}

/// Secrets do not slip into logs.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Auth::None => "Auth::None",
            Auth::Basic { .. } => "Auth::Basic",
            Auth::Bearer { .. } => "Auth::Bearer",
        })
    }
}

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// No place.
    #[error("{from}: a redirect to nowhere (status {status}, no usable Location)")]
    Nowhere {
        /// What was asked.
        from: String,
        /// The answer's status.
        status: u16,
    },
    /// Another server.
    #[error("{from}: a redirect to another server, {to}: name that one in the configuration if it is right")]
    Elsewhere {
        /// What was asked.
        from: String,
        /// Where it leads.
        to: String,
    },
}

/// Where a response redirects to, if it does: never to another origin, so that credentials and a feed's name stay
/// with the server that the configuration names.
pub fn redirect(asked: &Url, response: &Response) -> Result<Option<Url>, RedirectError> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let to = response.header("location").and_then(|location| asked.join(location).ok());
    match to {
        None => Err(RedirectError::Nowhere { from: asked.to_string(), status: response.status }),
        Some(to) if to.origin() != asked.origin() => {
            Err(RedirectError::Elsewhere { from: asked.to_string(), to: to.to_string() })
        }
        Some(to) => Ok(Some(to)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(location: Option<&str>) -> Result<Option<Url>, RedirectError> {
        let headers = location.map(|to| ("Location".to_owned(), to.to_owned())).into_iter().collect();
        redirect(
            &Url::parse("https://feeds.example/a/b").unwrap(),
            &Response { status: 302, headers, body: Vec::new() },
        )
    }

    #[test]
    fn redirects_stay_on_the_server() {
        assert_eq!(moved(Some("../c")).unwrap().unwrap().as_str(), "https://feeds.example/c");
        assert_eq!(moved(Some("https://feeds.example:443/d")).unwrap().unwrap().as_str(), "https://feeds.example/d");
        for elsewhere in
            ["http://feeds.example/a", "https://feeds.example:8443/", "//other.example/", "file:///etc/passwd"]
        {
            assert!(matches!(moved(Some(elsewhere)), Err(RedirectError::Elsewhere { .. })), "{elsewhere}");
        }
        assert!(matches!(moved(None), Err(RedirectError::Nowhere { .. })));
        assert!(matches!(moved(Some("https://[")), Err(RedirectError::Nowhere { .. })));
    }

    #[test]
    fn secrets_are_not_shown() {
        let auth = Auth::Basic { user: "u".into(), password: "hunter2".into() };
        assert_eq!(auth.header().unwrap(), "Basic dTpodW50ZXIy");
        let request = Request::get(Url::parse("https://a.example/").unwrap())
            .with("Authorization", auth.header().unwrap_or_default());
        assert!(!format!("{auth:?} {request:?}").contains("dTpodW50ZXIy"));
    }
}
