//! The one place where fail-open or fail-closed happens.

use std::sync::Arc;

use model::{Effect, OnFault, Verdict};
use policy::EvalFault;

/// A rule that matters could not be evaluated.
pub(crate) fn of_rule(eval: &EvalFault, on_fault: OnFault) -> Arc<Verdict> {
    metrics::counter!("portcullis_faults_total", "what" => "rule").increment(1);
    tracing::error!(error = %eval, "a rule could not be evaluated; on_fault decides");
    let chosen = Verdict { on_fault: true, ..eval.resolve(on_fault) };
    Arc::new(with_notice(chosen, "The messaging policy could not be applied; please try again later."))
}

/// Look-ups failed or ran out of time.
pub(crate) fn of_lookups(verdict: Arc<Verdict>, faults: &[String], on_fault: OnFault) -> Arc<Verdict> {
    if faults.is_empty() {
        return verdict;
    }
    metrics::counter!("portcullis_faults_total", "what" => "lookup").increment(faults.len() as u64);
    for fault in faults {
        tracing::warn!(fault, "a look-up failed; on_fault decides");
    }
    let stronger = on_fault.effect() > verdict.effect;
    let effect = if stronger { on_fault.effect() } else { verdict.effect };
    let notice = verdict.notice.clone().filter(|_| !stronger);
    let chosen = Verdict { effect, notice, on_fault: true, ..Verdict::clone(&verdict) };
    Arc::new(with_notice(chosen, "A file could not be scanned; please try again later."))
}

/// Judging itself ended without a result: whatever it was, nobody knows what is in it.
pub(crate) fn of_judging() -> Arc<Verdict> {
    metrics::counter!("portcullis_faults_total", "what" => "judge").increment(1);
    tracing::error!("judging a message ended without a result; it is not delivered");
    let refused = Verdict { effect: Effect::Block, on_fault: true, ..Verdict::default() };
    Arc::new(with_notice(refused, "The message could not be checked; please try again later."))
}

/// The record could not be made durable.
pub(crate) fn of_journal(verdict: Arc<Verdict>, fault: &store::Fault, on_fault: OnFault) -> Arc<Verdict> {
    metrics::counter!("portcullis_faults_total", "what" => "journal").increment(1);
    if on_fault == OnFault::Pass || !verdict.effect.delivers() {
        tracing::error!(%fault, effect = verdict.effect.name(), "a message goes on WITHOUT a record (on_fault = \"pass\")");
        return verdict;
    }
    // What can't be recorded can't be kept for review either.
    tracing::error!(%fault, "a message is refused because it can't be recorded");
    let refused = Verdict { effect: Effect::Block, notice: None, on_fault: true, ..Verdict::clone(&verdict) };
    Arc::new(with_notice(
        refused,
        "Messages can't be recorded at the moment, so none is delivered; please try again later.",
    ))
}

fn with_notice(mut verdict: Verdict, text: &str) -> Verdict {
    if verdict.effect > Effect::Allow && verdict.notice.is_none() {
        verdict.notice = Some(text.into());
    }
    verdict
}
