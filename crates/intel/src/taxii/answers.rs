//! What servers answer (TAXII 2.1 sections 4 and 5), as far as it is used.

use serde::Deserialize;
use url::Url;

use super::Error;
use crate::http::Response;

/// What is found at `/taxii2/`.
#[derive(Debug, Deserialize)]
pub(super) struct Discovery {
    #[serde(default)]
    pub(super) default: Option<String>,
    #[serde(default)]
    pub(super) api_roots: Vec<String>,
}

/// An API root.
#[derive(Debug, Deserialize)]
pub(super) struct Root {
    pub(super) versions: Vec<String>,
}

/// The collections of an API root.
#[derive(Debug, Deserialize)]
pub(super) struct Collections {
    #[serde(default)]
    pub(super) collections: Vec<Collection>,
}

/// A collection.
#[derive(Debug, Deserialize)]
pub(super) struct Collection {
    pub(super) id: String,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) alias: Option<String>,
    #[serde(default)]
    pub(super) can_read: bool,
}

/// Reads an answer of the size that all but pages of objects have.
pub(super) fn read<'a, T: Deserialize<'a>>(url: &Url, body: &'a [u8]) -> Result<T, Error> {
    const MOST: usize = 4 << 20;
    if body.len() > MOST {
        return Err(Error::TooMuch { url: url.to_string(), what: "bytes", most: MOST });
    }
    serde_json::from_slice(body).map_err(|error| Error::Not { url: url.to_string(), why: error.to_string() })
}

/// Whether an answer is one, and is TAXII 2.1.
pub(super) fn check(url: &Url, response: &Response) -> Result<(), Error> {
    let (url, status) = (url.to_string(), response.status);
    match status {
        200..300 => {}
        401 | 403 => return Err(Error::Refused { url, status }),
        429 | 503 => return Err(Error::Busy { url, status, after: response.retry_after() }),
        406 => return Err(Error::Not { url, why: format!("status 406: it does not speak {}", super::MEDIA_TYPE) }),
        _ => return Err(Error::Status { url, status }),
    }
    let kind = response.header("content-type").unwrap_or_default();
    let mut parts = kind.split(';').map(|part| part.trim().to_ascii_lowercase());
    let is_taxii = parts.next().as_deref() == Some("application/taxii+json");
    let version =
        parts.find_map(|part| part.strip_prefix("version=").map(|version| version.trim_matches('"').to_owned()));
    match (is_taxii, version.as_deref()) {
        (true, None | Some("2.1")) => Ok(()),
        _ => Err(Error::Not { url, why: format!("content type `{}`", crate::stix::short(kind)) }),
    }
}
