//! One check a file at a time: who asks for a file that is being fetched and judged waits for that check.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use hyper::HeaderMap;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::response::Refusal;
use super::spool::Spooled;
use crate::task::spawn_named;

/// What became of a check.
#[derive(Clone)]
pub(super) enum Landing {
    /// The file may be served, from here.
    Clear(Arc<Cleared>),
    /// It may not, or it could not be fetched.
    Refused(Refusal),
}

/// A checked file and what the server says about it.
pub(super) struct Cleared {
    pub(super) file: Arc<Spooled>,
    pub(super) headers: HeaderMap,
}

/// Checks under way, by URL.
pub(super) struct Flights {
    open: Arc<Mutex<HashMap<String, watch::Receiver<Option<Landing>>>>>,
    most: usize,
    #[cfg(test)]
    waiting: std::sync::atomic::AtomicUsize,
}

impl Flights {
    pub(super) fn new(most: usize) -> Flights {
        Flights {
            open: Arc::default(),
            most,
            #[cfg(test)]
            waiting: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// Askers that wait for a check now.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Waits for the check of `url`, which is started when none is under way. It goes on when its first asker goes
    /// away: others may wait for it, and its verdict is kept.
    pub(super) async fn join<F>(&self, url: &str, check: impl FnOnce() -> F) -> Landing
    where
        F: Future<Output = Landing> + Send + 'static,
    {
        let Some(mut landing) = self.take_part(url, check) else {
            metrics::counter!("portcullis_limit_hits_total", "limit" => "upload.checks").increment(1);
            return Landing::Refused(Refusal::busy("too many files are being checked; try again"));
        };
        #[cfg(test)]
        self.waiting.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let landed = match landing.wait_for(Option::is_some).await {
            Ok(landed) => landed.clone(),
            Err(_closed) => None,
        };
        landed.unwrap_or_else(|| Landing::Refused(Refusal::busy("the check failed; try again")))
    }

    fn take_part<F>(&self, url: &str, check: impl FnOnce() -> F) -> Option<watch::Receiver<Option<Landing>>>
    where
        F: Future<Output = Landing> + Send + 'static,
    {
        let mut open = self.open.lock();
        if let Some(landing) = open.get(url) {
            return Some(landing.clone());
        }
        if open.len() >= self.most {
            return None;
        }
        let (tell, landing) = watch::channel(None);
        open.insert(url.to_owned(), landing.clone());
        let entry = Entry { open: Arc::clone(&self.open), url: url.to_owned() };
        let check = check();
        spawn_named("upload check", async move {
            let _entry = entry;
            tell.send_replace(Some(check.await));
        });
        Some(landing)
    }
}

/// Takes the check off the list when it ends, however it ends.
struct Entry {
    open: Arc<Mutex<HashMap<String, watch::Receiver<Option<Landing>>>>>,
    url: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.open.lock().remove(&self.url);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn refused(text: &str) -> Landing {
        Landing::Refused(Refusal::bad(text))
    }

    fn text(landing: Landing) -> String {
        match landing {
            Landing::Refused(refusal) => refusal.text,
            Landing::Clear(_) => "clear".to_owned(),
        }
    }

    #[tokio::test]
    async fn many_askers_share_one_check_and_the_number_is_bounded() {
        let flights = Flights::new(1);
        let (go, gate) = oneshot::channel::<()>();
        let first = flights.join("a", || async {
            gate.await.unwrap();
            refused("first")
        });
        let second = flights.join("a", || async { refused("second") });
        let meanwhile = async {
            assert!(text(flights.join("b", || async { refused("b") }).await).contains("too many"));
            go.send(()).unwrap();
        };
        let (first, second, ()) = tokio::join!(first, second, meanwhile);
        assert_eq!(text(first), "first");
        assert_eq!(text(second), "first");
    }

    #[tokio::test]
    async fn a_check_that_panics_leaves_nobody_waiting() {
        let flights = Flights::new(4);
        let broken = flights.join("a", || async { panic!("on purpose") }).await;
        assert!(text(broken).contains("failed"));
        assert_eq!(text(flights.join("a", || async { refused("again") }).await), "again");
    }
}
