//! What a group of a rule goes through: inactive → pending → firing → resolved, and round again.
//!
//! Time is that of the datapoints, so that a replay goes through the same phases. What is asked of `for` is that the signal was on at
//! every step evaluated from `since` to `since + for`, both included: with a step of 60 s a `for` of 2m takes three datapoints.

use std::time::Duration;

use hesper_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::time_text;

/// What a rule says at a time about one of its groups, the policy for missing data applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It is as it should not be.
    On,
    /// All is well.
    Off,
    /// Nothing is known, and the rule wants things to stay as they are.
    Unknown,
}

/// How long a signal has to last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    /// How long it is on before an alert fires. With none the first datapoint fires.
    pub before_firing: Duration,
    /// How long it is off before an alert is resolved. With none the first datapoint resolves.
    pub before_resolving: Duration,
}

/// Where a group stands, without the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing is wrong.
    Inactive,
    /// Something is wrong, but not for long enough.
    Pending,
    /// Somebody should act.
    Firing,
    /// It has fired, and is over.
    Resolved,
}

/// Where a group stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Phase {
    /// Nothing is wrong, and nothing was lately.
    #[default]
    Inactive,
    /// The signal is on, but not for long enough.
    Pending {
        /// The first time it was on.
        #[serde(with = "time_text")]
        since: Timestamp,
    },
    /// The alert fires.
    Firing {
        /// The first time the signal was on.
        #[serde(with = "time_text")]
        since: Timestamp,
        /// The time from which the alert fires.
        #[serde(with = "time_text")]
        starts_at: Timestamp,
        /// The first time the signal was off, if it is off but not for long enough.
        #[serde(
            with = "time_text::option",
            default,
            skip_serializing_if = "Option::is_none"
        )]
        off_since: Option<Timestamp>,
    },
    /// The alert has fired, and is over.
    Resolved {
        /// The first time the signal was on.
        #[serde(with = "time_text")]
        since: Timestamp,
        /// The time from which the alert fired.
        #[serde(with = "time_text")]
        starts_at: Timestamp,
        /// The time it was resolved.
        #[serde(with = "time_text")]
        ends_at: Timestamp,
    },
}

impl Phase {
    /// The phase after the signal of time `at`, which is later than any before.
    #[must_use]
    pub fn next(self, signal: Signal, at: Timestamp, delays: Delays) -> Self {
        match (signal, self) {
            (Signal::Unknown, phase) => phase,
            (Signal::On, Self::Inactive | Self::Resolved { .. }) => {
                Self::pending_or_firing(at, at, delays)
            }
            (Signal::On, Self::Pending { since }) => Self::pending_or_firing(since, at, delays),
            (
                Signal::On,
                Self::Firing {
                    since, starts_at, ..
                },
            ) => Self::Firing {
                since,
                starts_at,
                off_since: None,
            },
            (Signal::Off, Self::Pending { .. }) => Self::Inactive,
            (
                Signal::Off,
                Self::Firing {
                    since,
                    starts_at,
                    off_since,
                },
            ) => {
                let off_since = off_since.unwrap_or(at);
                if has_passed(delays.before_resolving, off_since, at) {
                    Self::Resolved {
                        since,
                        starts_at,
                        ends_at: at,
                    }
                } else {
                    Self::Firing {
                        since,
                        starts_at,
                        off_since: Some(off_since),
                    }
                }
            }
            (Signal::Off, phase @ (Self::Inactive | Self::Resolved { .. })) => phase,
        }
    }

    /// The phase after an end that no signal brought about: the rule is gone, or the group was given up.
    #[must_use]
    pub fn ended(self, at: Timestamp) -> Self {
        match self {
            Self::Firing {
                since, starts_at, ..
            } => Self::Resolved {
                since,
                starts_at,
                ends_at: at,
            },
            Self::Pending { .. } => Self::Inactive,
            phase => phase,
        }
    }

    fn pending_or_firing(since: Timestamp, at: Timestamp, delays: Delays) -> Self {
        if has_passed(delays.before_firing, since, at) {
            Self::Firing {
                since,
                starts_at: at,
                off_since: None,
            }
        } else {
            Self::Pending { since }
        }
    }

    /// The phase without its times.
    pub fn state(&self) -> State {
        match self {
            Self::Inactive => State::Inactive,
            Self::Pending { .. } => State::Pending,
            Self::Firing { .. } => State::Firing,
            Self::Resolved { .. } => State::Resolved,
        }
    }
}

fn has_passed(delay: Duration, since: Timestamp, at: Timestamp) -> bool {
    let passed = at.millis().saturating_sub(since.millis());
    u128::try_from(passed).is_ok_and(|passed| passed >= delay.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEP_SECS: i64 = 60;

    fn delays(before_firing: u64, before_resolving: u64) -> Delays {
        Delays {
            before_firing: Duration::from_secs(before_firing),
            before_resolving: Duration::from_secs(before_resolving),
        }
    }

    /// `+` is on, `-` is off, `?` is unknown; gives the phase after each.
    fn run(signals: &str, delays: Delays) -> Vec<Phase> {
        let mut phase = Phase::default();
        let step = |(i, c): (usize, char)| {
            let signal = match c {
                '+' => Signal::On,
                '-' => Signal::Off,
                _ => Signal::Unknown,
            };
            phase = phase.next(signal, minute(i as i64), delays);
            phase
        };
        signals.chars().enumerate().map(step).collect()
    }

    fn minute(i: i64) -> Timestamp {
        Timestamp::from_secs(i * STEP_SECS)
    }

    fn letters(phases: &[Phase]) -> String {
        let letter = |phase: &Phase| match phase.state() {
            State::Inactive => 'i',
            State::Pending => 'p',
            State::Firing => 'F',
            State::Resolved => 'r',
        };
        phases.iter().map(letter).collect()
    }

    #[test]
    fn without_delays_it_follows_the_signal() {
        assert_eq!(letters(&run("-++--+", delays(0, 0))), "iFFrrF");
    }

    #[test]
    fn a_signal_has_to_last() {
        let phases = run("-++-+++++", delays(120, 0));
        assert_eq!(letters(&phases), "ippippFFF");
        assert_eq!(
            phases[8],
            Phase::Firing {
                since: minute(4),
                starts_at: minute(6),
                off_since: None
            }
        );
    }

    #[test]
    fn an_alert_keeps_firing_until_it_was_off_for_long_enough() {
        let phases = run("+-+----+", delays(0, 120));
        assert_eq!(letters(&phases), "FFFFFrrF");
        assert_eq!(
            phases[5],
            Phase::Resolved {
                since: minute(0),
                starts_at: minute(0),
                ends_at: minute(5)
            }
        );
    }

    #[test]
    fn what_is_unknown_changes_nothing() {
        assert_eq!(letters(&run("?+??+?-?+", delays(60, 0))), "ipppFFrrp");
    }

    #[test]
    fn an_end_from_outside_resolves_what_fires() {
        assert_eq!(Phase::Inactive.ended(minute(9)), Phase::Inactive);
        let pending = Phase::Pending { since: minute(1) };
        assert_eq!(pending.ended(minute(9)), Phase::Inactive);
        let firing = run("+", delays(0, 0))[0];
        let resolved = firing.ended(minute(9));
        assert_eq!(resolved.state(), State::Resolved);
        assert_eq!(resolved.ended(minute(10)), resolved);
    }

    proptest! {
        #[test]
        fn it_fires_when_the_signal_lasted_and_not_before(
            signals in "[+-]{1,60}",
            before_firing in 0u64..8,
            before_resolving in 0u64..8,
        ) {
            let phases = run(&signals, delays(before_firing * 60, before_resolving * 60));
            let bytes = signals.as_bytes();
            let all = |range: std::ops::RangeInclusive<usize>, c| range.clone().all(|i| bytes[i] == c);
            for i in 0..phases.len() {
                let was_firing = i > 0 && phases[i - 1].state() == State::Firing;
                let is_firing = phases[i].state() == State::Firing;
                let lasted = i as u64 >= before_firing && all(i - before_firing as usize..=i, b'+');
                let over = i as u64 >= before_resolving && all(i - before_resolving as usize..=i, b'-');
                if was_firing {
                    prop_assert_eq!(is_firing, !over);
                } else {
                    prop_assert_eq!(is_firing, lasted);
                }
            }
        }

        #[test]
        fn what_was_resolved_can_fire_again(signals in "[+?-]{0,40}", minutes in 0u64..5) {
            let calm = "-".repeat(minutes as usize + 1);
            let storm = "+".repeat(minutes as usize + 1);
            let phases = run(&format!("{signals}{calm}{storm}"), delays(minutes * 60, minutes * 60));
            let (last, before) = (phases[phases.len() - 1], phases[signals.len() + calm.len() - 1]);
            prop_assert_ne!(before.state(), State::Firing);
            prop_assert_eq!(last.state(), State::Firing);
        }

        #[test]
        fn a_phase_reads_back(signals in "[+?-]{1,20}") {
            for phase in run(&signals, delays(60, 120)) {
                let text = serde_json::to_string(&phase).expect("plain data");
                prop_assert_eq!(serde_json::from_str::<Phase>(&text).expect("just written"), phase);
            }
        }
    }
}
