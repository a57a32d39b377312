//! When a feed is asked for again: at its own pace, later after failures, never all feeds at once.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::State;

/// The first pause after a failure.
const FIRST: Duration = Duration::from_secs(60);

/// When a feed is to be asked for. `chance`, from 0 to 1, is different for each feed and try, so that many
/// gateways do not come at the same moment.
pub fn due(state: &State, every: Duration, chance: f64) -> Timestamp {
    let Some(tried) = state.tried else { return Timestamp::UNIX_EPOCH };
    let chance = chance.clamp(0.0, 1.0);
    let pause = match state.failures {
        0 => every.mul_f64(0.9 + 0.2 * chance),
        failures => {
            let back_off = FIRST.saturating_mul(1 << failures.min(12).saturating_sub(1)).min(every.max(FIRST));
            let asked = Duration::from_secs(state.retry_after.unwrap_or_default());
            back_off.mul_f64(0.5 + 0.5 * chance).max(asked)
        }
    };
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    tried.checked_add(pause).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_slow_down_and_servers_may_ask_for_more() {
        let tried: Timestamp = "2026-11-23T04:00:00Z".parse().unwrap();
        let hour = Duration::from_secs(3_600);
        for (failures, retry_after, chance, seconds) in [
            (0, None, 0.5, 3_600),
            (0, None, 0.0, 3_240),
            (0, Some(9_000), 1.0, 3_960),
            (1, None, 1.0, 60),
            (1, None, 0.0, 30),
            (3, None, 1.0, 240),
            (40, None, 1.0, 3_600),
            (1, Some(7_200), 0.3, 7_200),
        ] {
            let state = State { tried: Some(tried), failures, retry_after, ..State::default() };
            assert_eq!(due(&state, hour, chance).duration_since(tried).as_secs(), seconds, "{failures} {chance}");
        }
        assert_eq!(due(&State::default(), hour, 0.5), Timestamp::UNIX_EPOCH);
    }
}
