//! Tasks with names, and the one way down: [`Shutdown`] is told once, every [`Drain`] hears it.
//!
//! A role task (a listener, a watcher) that ends unasked must end the process, so the process is told through
//! [`Roles::ended`]. A session that fails takes down only itself.

use std::future::Future;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How many ended roles may wait to be read; one is enough to end the process.
const ENDED_WAITING: usize = 16;
/// How long sessions have to fall after the drain's deadline, before they are given up.
const CUT_GRACE: Duration = Duration::from_secs(2);

/// Starts a task under a name; a panic in it is counted and logged with the name.
pub fn spawn_named<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    #[allow(clippy::disallowed_methods, reason = "the one place where tasks start")]
    tokio::spawn(async move {
        let alarm = PanicAlarm(name);
        let output = future.await;
        drop(alarm);
        output
    })
}

/// Speaks up when it is dropped by a panic.
struct PanicAlarm(&'static str);

impl Drop for PanicAlarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            metrics::counter!("portcullis_task_panics_total", "task" => self.0).increment(1);
            tracing::error!(task = self.0, "a task panicked; please report this as a defect");
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    Draining,
    Cut,
}

/// The side that ends the work: begins the drain and waits for it.
#[derive(Debug)]
pub struct Shutdown {
    stage: watch::Sender<Stage>,
}

/// The side that works: held by every listener and session, told when to finish. Holding one keeps the drain waiting.
#[derive(Clone, Debug)]
pub struct Drain {
    stage: watch::Receiver<Stage>,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Everything finished by itself.
    Clean,
    /// The deadline passed; this many holders had to be cut.
    Cut(usize),
}

impl Shutdown {
    /// A shutdown and the first of its drains; clone the latter for every task.
    pub fn new() -> (Shutdown, Drain) {
        let (sender, receiver) = watch::channel(Stage::Running);
        (Shutdown { stage: sender }, Drain { stage: receiver })
    }

    /// Listeners stop accepting, sessions say goodbye. Returns at once; a second call changes nothing.
    pub fn begin(&self) {
        self.advance(Stage::Draining);
    }

    /// Begins the drain, waits until every [`Drain`] is dropped or `deadline` has passed, then cuts the rest.
    pub async fn finish(self, deadline: Duration) -> Drained {
        self.begin();
        if tokio::time::timeout(deadline, self.stage.closed()).await.is_ok() {
            return Drained::Clean;
        }
        let left = self.stage.receiver_count();
        self.advance(Stage::Cut);
        if tokio::time::timeout(CUT_GRACE, self.stage.closed()).await.is_err() {
            tracing::warn!(left = self.stage.receiver_count(), "tasks did not end when cut; leaving them behind");
        }
        Drained::Cut(left)
    }

    fn advance(&self, to: Stage) {
        self.stage.send_if_modified(|stage| {
            let forward = *stage < to;
            if forward {
                *stage = to;
            }
            forward
        });
    }
}

impl Drain {
    /// Whether the drain has begun.
    pub fn has_begun(&self) -> bool {
        *self.stage.borrow() >= Stage::Draining
    }

    /// Resolves when the drain begins (or the [`Shutdown`] is gone): accept no more work, finish what runs.
    pub async fn begun(&mut self) {
        let _gone = self.stage.wait_for(|stage| *stage >= Stage::Draining).await;
    }

    /// Resolves when the drain's deadline has passed: drop everything now.
    pub async fn cut(&mut self) {
        let _gone = self.stage.wait_for(|stage| *stage >= Stage::Cut).await;
    }
}

/// Tasks that must run as long as the process does.
#[derive(Debug)]
pub struct Roles {
    tell: mpsc::Sender<&'static str>,
    ended: mpsc::Receiver<&'static str>,
    drain: Drain,
}

impl Roles {
    /// Roles that may end once `drain` has begun, and not before.
    pub fn new(drain: Drain) -> Roles {
        let (tell, ended) = mpsc::channel(ENDED_WAITING);
        Roles { tell, ended, drain }
    }

    /// Starts a role task.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let watchman = Watchman { name, tell: self.tell.clone(), drain: self.drain.clone() };
        spawn_named(name, async move {
            let watchman = watchman;
            future.await;
            drop(watchman);
        })
    }

    /// The name of a role that ended unasked, by returning or by a panic. Cancel-safe.
    pub async fn ended(&mut self) -> &'static str {
        match self.ended.recv().await {
            Some(name) => name,
            None => std::future::pending().await,
        }
    }
}

/// Tells when its task ends, however it ends.
struct Watchman {
    name: &'static str,
    tell: mpsc::Sender<&'static str>,
    drain: Drain,
}

impl Drop for Watchman {
    fn drop(&mut self) {
        if !self.drain.has_begun() {
            tracing::error!(task = self.name, "a role task ended unasked; the process has to end");
            // A full queue already holds a reason to end the process.
            let _full = self.tell.try_send(self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_waits_for_those_who_hold_it() {
        let (shutdown, drain) = Shutdown::new();
        let mut session = drain.clone();
        drop(drain);
        let worker = spawn_named("session", async move {
            session.begun().await;
            7
        });
        assert_eq!(shutdown.finish(Duration::from_secs(30)).await, Drained::Clean);
        assert_eq!(worker.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_drain_that_nobody_heeds_is_cut_at_its_deadline() {
        let (shutdown, mut drain) = Shutdown::new();
        let stubborn = spawn_named("session", async move { drain.cut().await });
        assert_eq!(shutdown.finish(Duration::from_millis(1)).await, Drained::Cut(1));
        stubborn.await.unwrap();
    }

    #[tokio::test]
    async fn a_role_that_ends_unasked_is_told_and_one_that_was_asked_is_not() {
        let (shutdown, drain) = Shutdown::new();
        let mut roles = Roles::new(drain.clone());
        roles.spawn("returns", async {});
        assert_eq!(roles.ended().await, "returns");
        roles.spawn("panics", async { panic!("on purpose") });
        assert_eq!(roles.ended().await, "panics");

        let mut asked = drain;
        let task = roles.spawn("asked", async move { asked.begun().await });
        shutdown.begin();
        task.await.unwrap();
        assert!(roles.ended.try_recv().is_err());
    }
}
