//! What a gateway counts. Handles are made once: counting a message costs an atomic addition.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};
use model::{Direction, Effect};
use wire::dialect::End;

/// Counters and histograms of all sessions.
pub struct Metrics {
    messages: [[Counter; Effect::ALL.len()]; 2],
    latency: [Histogram; 2],
}

impl Default for Metrics {
    fn default() -> Metrics {
        let of = |direction: Direction| {
            Effect::ALL.map(|effect| {
                counter!("portcullis_messages_total", "direction" => direction.name(), "verdict" => effect.name())
            })
        };
        let latency = |direction: Direction| histogram!("portcullis_message_seconds", "direction" => direction.name());
        Metrics {
            messages: [of(Direction::FromClient), of(Direction::ToClient)],
            latency: [latency(Direction::FromClient), latency(Direction::ToClient)],
        }
    }
}

impl Metrics {
    /// A message of one end went its way, so long after it was read.
    pub fn message(&self, from: End, effect: Effect, after: Duration) {
        let side = usize::from(from == End::Server);
        if let Some(count) = self.messages[side].get(effect as usize) {
            count.increment(1);
        }
        self.latency[side].record(after.as_secs_f64());
    }

    /// A login succeeded or failed.
    pub fn login(&self, outcome: &'static str) {
        counter!("portcullis_logins_total", "outcome" => outcome).increment(1);
    }

    /// Something was refused or a limit was hit.
    pub fn refused(&self, what: &'static str) {
        counter!("portcullis_refused_total", "what" => what).increment(1);
    }

    /// A session ended over a fault.
    pub fn ending(&self, condition: &'static str) {
        counter!("portcullis_sessions_ended_total", "condition" => condition).increment(1);
    }
}

/// Help texts, in the order of the reference: name, what it counts.
pub const DESCRIPTIONS: &[(&str, &str)] = &[
    ("portcullis_connections", "connections open now"),
    ("portcullis_connections_refused_total", "connections not let in, by reason"),
    ("portcullis_openings_refused_total", "connections whose first byte was neither TLS nor a stream"),
    ("portcullis_tls_handshakes_failed_total", "TLS handshakes that failed, by reason"),
    ("portcullis_upstream_failures_total", "servers that could not be reached or trusted, by reason"),
    ("portcullis_logins_total", "logins by outcome"),
    ("portcullis_messages_total", "messages by direction and verdict, copies included"),
    ("portcullis_message_seconds", "seconds from reading a message to writing it on, its record durable"),
    ("portcullis_copies", "messages recognised as copies of a recorded one since the start"),
    ("portcullis_findings_total", "findings by symbol"),
    ("portcullis_faults_total", "failures that on_fault decided, by what failed"),
    ("portcullis_refused_total", "things refused and limits hit, by name"),
    ("portcullis_sessions_ended_total", "sessions ended over a fault, by stream error condition"),
    ("portcullis_journal_backlog", "records that are not durable yet"),
    ("portcullis_intel_bundle_version", "version of the signed update in force"),
    ("portcullis_intel_bundle_age_seconds", "seconds since the update in force was signed"),
    ("portcullis_intel_update_trouble", "1 while updates can't be followed, for whatever reason"),
    ("portcullis_intel_updates_total", "signed updates put in force since the start"),
    ("portcullis_intel_update_errors_total", "looks for updates that ended in an error, by its class"),
    ("portcullis_intel_feed_entries", "indicators in force of each feed"),
    ("portcullis_intel_feed_fetches_total", "fetches of feeds, by outcome"),
    ("portcullis_reloads_total", "changed files taken up or refused"),
    ("portcullis_uploads_total", "files put by clients, by outcome"),
    ("portcullis_downloads_total", "files fetched by clients, by outcome"),
    ("portcullis_upload_requests_refused_total", "requests to the upload listener that were refused, by reason"),
    ("portcullis_upload_spool_bytes", "bytes of files being checked"),
    ("portcullis_logins_failed_total", "failed logins that counted against their address"),
    ("portcullis_logins_refused_total", "connections refused because too many logins failed from their address"),
    ("portcullis_login_refusals_total", "times an address was told to wait"),
    ("portcullis_limit_hits_total", "bounds of tables that were hit, by name"),
    ("portcullis_accept_errors_total", "connections that could not be accepted, by reason"),
    ("portcullis_certificate_expiry_timestamp_seconds", "when a certificate expires, by domain"),
    ("portcullis_certificate_reload_failures_total", "changed certificate files that were refused"),
    ("portcullis_task_panics_total", "panics, by task"),
    ("portcullis_campaigns", "campaigns that are going on"),
    ("portcullis_campaigns_total", "campaigns that began"),
    ("portcullis_campaign_faults_total", "failures to follow campaigns or to block what was sent to decoys"),
    ("portcullis_decoys_contacted_total", "messages to decoys"),
];
