//! Metrics and health for the operator's own network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::gateway::doorkeeper::Doorkeeper;
use ::gateway::metrics::DESCRIPTIONS;
use ::gateway::task::{Drain, Roles};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use judge::Judge;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use store::Journal;

use crate::failure::Failure;

/// Upper bounds of the latency histogram, in seconds.
const LATENCIES: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
/// How often histograms are tidied up.
const UPKEEP: Duration = Duration::from_secs(5);

/// Starts counting; nothing is counted when nobody asks.
pub fn recorder(wanted: bool) -> Option<PrometheusHandle> {
    if !wanted {
        return None;
    }
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full("portcullis_message_seconds".to_owned()), LATENCIES)
        .ok()?;
    let handle = builder.install_recorder().ok()?;
    for (name, about) in DESCRIPTIONS {
        if name.ends_with("_total") {
            metrics::describe_counter!(*name, *about);
        } else if *name == "portcullis_message_seconds" {
            metrics::describe_histogram!(*name, *about);
        } else {
            metrics::describe_gauge!(*name, *about);
        }
    }
    Some(handle)
}

/// Whether the process can do its work now.
#[derive(Clone)]
pub struct Ready {
    up: Arc<AtomicBool>,
    journal: Arc<Journal>,
    doors: Vec<Arc<Doorkeeper>>,
    judge: Judge,
}

impl Ready {
    /// Not ready yet.
    pub fn new(journal: Arc<Journal>, doors: Vec<Arc<Doorkeeper>>, judge: Judge) -> Ready {
        Ready { up: Arc::default(), journal, doors, judge }
    }

    /// Says whether the roles are up.
    pub fn set(&self, up: bool) {
        self.up.store(up, Ordering::Release);
    }

    /// Why it is not ready, if it is not.
    fn why_not(&self) -> Option<String> {
        if !self.up.load(Ordering::Acquire) {
            return Some("starting or stopping".to_owned());
        }
        self.journal.stats().fault.map(|fault| format!("journal: {fault}"))
    }
}

#[derive(Clone)]
struct Page {
    metrics: PrometheusHandle,
    ready: Ready,
}

/// Serves `/metrics`, `/healthz` and `/readyz` until the drain begins.
pub async fn serve(
    listen: SocketAddr,
    metrics: PrometheusHandle,
    ready: Ready,
    roles: &Roles,
    drain: Drain,
) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .map_err(|e| Failure::work(format!("admin.listen: {listen}: {e}")).hint("choose a free port"))?;
    let page = Page { metrics: metrics.clone(), ready };
    let router = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(show_ready))
        .with_state(page);
    let mut upkeep_drain = drain.clone();
    roles.spawn("metrics upkeep", async move {
        loop {
            tokio::select! {
                () = upkeep_drain.begun() => return,
                () = tokio::time::sleep(UPKEEP) => metrics.run_upkeep(),
            }
        }
    });
    let mut drain = drain;
    roles.spawn("admin", async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(async move { drain.begun().await });
        if let Err(error) = served.await {
            tracing::error!(%error, "the admin listener failed");
        }
    });
    Ok(())
}

async fn show_metrics(State(page): State<Page>) -> String {
    let connections: usize = page.ready.doors.iter().map(|door| door.connections()).sum();
    metrics::gauge!("portcullis_connections").set(connections as f64);
    metrics::gauge!("portcullis_journal_backlog").set(page.ready.journal.backlog() as f64);
    metrics::gauge!("portcullis_copies").set(page.ready.judge.copies() as f64);
    page.metrics.render()
}

async fn show_ready(State(page): State<Page>) -> impl IntoResponse {
    match page.ready.why_not() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}
