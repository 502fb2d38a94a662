//! The normaliser: turns samples taken at any time into one value for each slot, as Atlas does.
//!
//! Source of the rules: Atlas's normalisation of published datapoints (rate: weighted by the time each value held; counter: rate of
//! change, then as a rate; sum and gauge: the sum or the highest of a slot, current and previous slot open).

use hesper_model::aggregate::{add_nan, max_nan};
use hesper_model::{DataSource, Slot, Step, Timestamp};

/// A time that no sample has: the state before the first one.
const NEVER: i64 = i64::MIN;

/// What is remembered of a series between its samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormaliserState {
    /// Rate and counter: time of the last sample in ms. Sum and gauge: number of the current slot.
    last: i64,
    /// Counter: time of the last sample that the weighting has seen.
    weighed: i64,
    /// Rate and counter: what the slot under way has gathered. Sum and gauge: the current slot's value.
    carry: f64,
    /// Counter: the total at the last sample. Sum and gauge: the previous slot's value.
    previous: f64,
}

impl Default for NormaliserState {
    fn default() -> Self {
        Self {
            last: NEVER,
            weighed: NEVER,
            carry: 0.0,
            previous: f64::NAN,
        }
    }
}

/// The numbers of a state as they are stored: two integers, two doubles.
impl From<NormaliserState> for (i64, i64, f64, f64) {
    fn from(s: NormaliserState) -> Self {
        (s.last, s.weighed, s.carry, s.previous)
    }
}

impl From<(i64, i64, f64, f64)> for NormaliserState {
    fn from((last, weighed, carry, previous): (i64, i64, f64, f64)) -> Self {
        Self {
            last,
            weighed,
            carry,
            previous,
        }
    }
}

/// What became of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalised {
    /// It counts, now or when its slot is complete.
    Taken,
    /// Its slot, or a later sample's, is closed already.
    Late,
    /// The series has a sample of this very time.
    Duplicate,
}

/// The rules for one step.
#[derive(Clone, Copy, Debug)]
pub struct Normaliser {
    step: i64,
    counter_heartbeat: i64,
}

/// A time as the rules see it: worked out once for all samples of it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    time: i64,
    /// The slot that ends at the time, or the one before it when the time is not on a boundary.
    pub slot: Slot,
    /// Milliseconds since the end of the slot.
    offset: i64,
}

impl Moment {
    /// True when a slot ends at the time.
    pub const fn is_boundary(&self) -> bool {
        self.offset == 0
    }

    /// The slot that the time rounds up to.
    #[inline]
    pub const fn rounded_up(&self) -> Slot {
        Slot(self.slot.0 + (self.offset > 0) as i64)
    }
}

impl Normaliser {
    /// The rules for a store of this step.
    pub fn new(step: Step) -> Self {
        let step = step.millis();
        Self {
            step,
            counter_heartbeat: if step < 60_000 { 120_000 } else { 2 * step },
        }
    }

    /// A time as the rules see it.
    #[inline]
    pub fn moment(&self, time: Timestamp) -> Moment {
        Moment {
            time: time.0,
            slot: Slot(time.0.div_euclid(self.step)),
            offset: time.0.rem_euclid(self.step),
        }
    }

    /// Takes a sample on a boundary that comes one step after the one before, also on a boundary: the value that the slot gets.
    ///
    /// `None` for any other sample, or one that is NaN: nothing has changed then, and [`Self::apply`] knows what to do. For those that it
    /// takes it does what `apply` does.
    #[inline(always)]
    pub fn follow(
        &self,
        state: &mut NormaliserState,
        source: DataSource,
        moment: &Moment,
        value: f64,
    ) -> Option<f64> {
        if value.is_nan() {
            return None;
        }
        match source {
            DataSource::Gauge | DataSource::Sum => {
                if state.last != moment.slot.0 - 1 {
                    return None;
                }
                state.last = moment.slot.0;
                state.previous = state.carry;
                state.carry = value;
                Some(value)
            }
            DataSource::Rate => {
                if state.last != moment.time - self.step || state.carry != 0.0 {
                    return None;
                }
                state.last = moment.time;
                Some(0.0 + value)
            }
            DataSource::Counter => {
                let before = moment.time - self.step;
                let change = value - state.previous;
                if state.last != before
                    || state.weighed != before
                    || state.carry != 0.0
                    || change.is_nan()
                {
                    return None;
                }
                state.last = moment.time;
                state.weighed = moment.time;
                state.previous = value;
                let rate = if change <= 0.0 {
                    0.0
                } else {
                    change / (self.step as f64 / 1000.0)
                };
                Some(0.0 + rate)
            }
        }
    }

    /// Takes a sample and hands the values that slots get to `emit`, in the order of time.
    #[inline]
    pub fn apply(
        &self,
        state: &mut NormaliserState,
        source: DataSource,
        moment: &Moment,
        value: f64,
        mut emit: impl FnMut(Slot, f64),
    ) -> Normalised {
        match source {
            DataSource::Rate => {
                let NormaliserState { last, carry, .. } = state;
                let taken = self.weigh(last, carry, self.step, moment, value, &mut emit);
                match taken {
                    Ok(()) => Normalised::Taken,
                    Err(ignored) => ignored,
                }
            }
            DataSource::Counter => self.change(state, moment, value, &mut emit),
            DataSource::Sum => self.bucket(state, moment, value, add_nan, &mut emit),
            DataSource::Gauge => self.bucket(state, moment, value, max_nan, &mut emit),
        }
    }

    /// Spreads `value`, which held since the sample before, over the slots it touches.
    #[inline]
    fn weigh(
        &self,
        last: &mut i64,
        carry: &mut f64,
        heartbeat: i64,
        moment: &Moment,
        value: f64,
        emit: &mut impl FnMut(Slot, f64),
    ) -> Result<(), Normalised> {
        let step = self.step;
        let Moment { time, offset, .. } = *moment;
        let slot = moment.slot.0;
        if time <= *last {
            return Err(match time == *last {
                true => Normalised::Duplicate,
                false => Normalised::Late,
            });
        }
        let share = |millis: i64| value * (millis as f64 / step as f64);
        if *last == NEVER || time.saturating_sub(*last) > heartbeat {
            if offset == 0 {
                emit(Slot(slot), value);
                *carry = 0.0;
            } else {
                emit(Slot(slot), share(step - offset));
                *carry = share(offset);
            }
        } else {
            // Within a step it needs no division.
            let last_slot = match time - *last {
                since if since <= offset => slot,
                since if since <= offset + step => slot - 1,
                _ => last.div_euclid(step),
            };
            if slot == last_slot {
                *carry += share(time - *last);
            } else {
                let first = last_slot + 1;
                emit(Slot(first), *carry + share(first * step - *last));
                for skipped in first + 1..=slot {
                    emit(Slot(skipped), value);
                }
                *carry = if offset == 0 { 0.0 } else { share(offset) };
            }
        }
        *last = time;
        Ok(())
    }

    /// The rate of change of a running total; a total that falls has begun anew and counts as no change.
    fn change(
        &self,
        state: &mut NormaliserState,
        moment: &Moment,
        total: f64,
        emit: &mut impl FnMut(Slot, f64),
    ) -> Normalised {
        let time = moment.time;
        let (last, before) = (state.last, state.previous);
        state.last = time;
        state.previous = total;
        if last == NEVER {
            return Normalised::Taken;
        }
        let millis = time.saturating_sub(last);
        let change = total - before;
        let rate = if millis <= 0 || change <= 0.0 {
            0.0
        } else {
            change / (millis as f64 / 1000.0)
        };
        let heartbeat = self.counter_heartbeat;
        let NormaliserState { weighed, carry, .. } = state;
        match self.weigh(weighed, carry, heartbeat, moment, rate, emit) {
            Ok(()) => Normalised::Taken,
            Err(ignored) => ignored,
        }
    }

    /// Combines the samples of a slot; the slot that a time rounds up to, while it is the current or the previous one.
    fn bucket(
        &self,
        state: &mut NormaliserState,
        moment: &Moment,
        value: f64,
        combine: impl Fn(f64, f64) -> f64,
        emit: &mut impl FnMut(Slot, f64),
    ) -> Normalised {
        let slot = moment.rounded_up().0;
        if state.last == NEVER || slot > state.last {
            state.previous = if state.last != NEVER && slot == state.last + 1 {
                state.carry
            } else {
                f64::NAN
            };
            state.last = slot;
            state.carry = value;
            emit(Slot(slot), value);
        } else if slot == state.last {
            state.carry = combine(state.carry, value);
            emit(Slot(slot), state.carry);
        } else if slot == state.last - 1 {
            state.previous = combine(state.previous, value);
            emit(Slot(slot), state.previous);
        } else {
            return Normalised::Late;
        }
        Normalised::Taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Step = Step::from_secs(60);

    /// Feeds samples of (seconds, value) and gives what the slots (in minutes) hold at the end.
    fn feed(source: DataSource, samples: &[(i64, f64)]) -> Vec<(i64, f64)> {
        let normaliser = Normaliser::new(MINUTE);
        let mut state = NormaliserState::default();
        let mut slots = std::collections::BTreeMap::new();
        for &(secs, value) in samples {
            let moment = normaliser.moment(Timestamp::from_secs(secs));
            normaliser.apply(&mut state, source, &moment, value, |s, v| {
                slots.insert(s.0, v);
            });
        }
        slots.into_iter().collect()
    }

    #[test]
    fn rates_on_boundaries_are_stored_as_they_are() {
        let stored = feed(DataSource::Rate, &[(60, 1.0), (120, 2.0), (240, 4.0)]);
        assert_eq!(stored, [(1, 1.0), (2, 2.0), (4, 4.0)]);
    }

    #[test]
    fn rates_between_boundaries_are_weighted_by_time() {
        // Ten seconds past the boundary: the first value fills 50 of 60 seconds of the slot before.
        let stored = feed(DataSource::Rate, &[(70, 6.0), (130, 12.0)]);
        assert_eq!(stored, [(1, 5.0), (2, 1.0 + 10.0)]);
    }

    #[test]
    fn a_rate_after_a_gap_begins_anew() {
        let stored = feed(DataSource::Rate, &[(90, 6.0), (300, 1.0)]);
        assert_eq!(stored, [(1, 3.0), (5, 1.0)]);
    }

    #[test]
    fn samples_not_newer_than_the_last_are_ignored() {
        let normaliser = Normaliser::new(MINUTE);
        let mut state = NormaliserState::default();
        let mut apply = |secs, value| {
            let moment = normaliser.moment(Timestamp::from_secs(secs));
            normaliser.apply(&mut state, DataSource::Rate, &moment, value, |_, _| {})
        };
        assert_eq!(apply(120, 1.0), Normalised::Taken);
        assert_eq!(apply(120, 5.0), Normalised::Duplicate);
        assert_eq!(apply(60, 5.0), Normalised::Late);
    }

    #[test]
    fn a_counter_becomes_its_rate_and_a_reset_is_no_change() {
        let stored = feed(
            DataSource::Counter,
            &[(60, 100.0), (120, 160.0), (180, 40.0), (240, 100.0)],
        );
        assert_eq!(stored, [(2, 1.0), (3, 0.0), (4, 1.0)]);
    }

    #[test]
    fn a_counter_repeats_its_rate_over_a_skipped_slot() {
        let stored = feed(DataSource::Counter, &[(60, 0.0), (120, 60.0), (240, 300.0)]);
        assert_eq!(stored, [(2, 1.0), (3, 2.0), (4, 2.0)]);
    }

    #[test]
    fn gauges_keep_the_highest_and_sums_add_within_two_slots() {
        let samples = [
            (61, 3.0),
            (90, 7.0),
            (150, 1.0),
            (100, 9.0),
            (400, 2.0),
            (60, 99.0),
        ];
        assert_eq!(
            feed(DataSource::Gauge, &samples),
            [(2, 9.0), (3, 1.0), (7, 2.0)]
        );
        assert_eq!(
            feed(DataSource::Sum, &samples),
            [(2, 19.0), (3, 1.0), (7, 2.0)]
        );
    }

    #[test]
    fn an_old_slot_is_not_mixed_with_one_two_places_later() {
        // The slot before the current one has no sample of its own: what comes for it stands alone.
        let stored = feed(DataSource::Gauge, &[(60, 50.0), (240, 1.0), (180, 2.0)]);
        assert_eq!(stored, [(1, 50.0), (3, 2.0), (4, 1.0)]);
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => 0.0f64..1000.0,
            1 => prop::sample::select(vec![-0.0, 0.0, -5.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]),
        ]
    }

    fn bits(state: &NormaliserState) -> (i64, i64, u64, u64) {
        let (last, weighed, carry, previous) = (*state).into();
        (last, weighed, carry.to_bits(), previous.to_bits())
    }

    proptest! {
        #[test]
        fn a_rate_keeps_the_total_while_samples_keep_coming(
            gaps in prop::collection::vec(1i64..60_000, 1..50),
            value in 0.1f64..100.0,
        ) {
            // A constant rate stays that constant in every complete slot after the first.
            let normaliser = Normaliser::new(MINUTE);
            let mut state = NormaliserState::default();
            let mut slots = std::collections::BTreeMap::new();
            let mut time = 1_000_000i64;
            for gap in gaps {
                time += gap;
                let moment = normaliser.moment(Timestamp(time));
                normaliser.apply(&mut state, DataSource::Rate, &moment, value, |s, v| {
                    slots.insert(s, v);
                });
            }
            for (_, v) in slots.into_iter().skip(1) {
                prop_assert!((v - value).abs() < 1e-9 * value, "{v} instead of {value}");
            }
        }

        #[test]
        fn what_follows_is_taken_by_the_same_rules(
            samples in prop::collection::vec((0i64..40, prop_oneof![3 => Just(0), 1 => -1i64..30_000], value()), 1..60),
            source in 0u8..4,
        ) {
            let source = DataSource::from_number(source).expect("four sources");
            let normaliser = Normaliser::new(MINUTE);
            let (mut by_rules, mut following) = (NormaliserState::default(), NormaliserState::default());
            let mut slot = 0;
            for (advance, offset, value) in samples {
                // Mostly one slot on.
                slot += if advance < 35 { 1 } else { advance - 37 };
                let moment = normaliser.moment(Timestamp(slot * 60_000 + offset));
                let mut emitted = Vec::new();
                normaliser.apply(&mut by_rules, source, &moment, value, |s, v| emitted.push((s, v.to_bits())));
                let follows = moment.is_boundary().then(|| normaliser.follow(&mut following, source, &moment, value));
                match follows.flatten() {
                    Some(v) => {
                        prop_assert_eq!(&emitted, &[(moment.slot, v.to_bits())]);
                    }
                    None => {
                        normaliser.apply(&mut following, source, &moment, value, |_, _| {});
                    }
                }
                prop_assert_eq!(bits(&by_rules), bits(&following));
            }
        }

        #[test]
        fn no_sample_makes_it_panic(
            samples in prop::collection::vec((any::<i64>(), any::<f64>()), 0..20),
            source in 0u8..4,
        ) {
            let source = DataSource::from_number(source).expect("four sources");
            let normaliser = Normaliser::new(Step::from_secs(1));
            let mut state = NormaliserState::default();
            for (time, value) in samples {
                // Times are limited as the validation limits them.
                let moment = normaliser.moment(Timestamp(time / 4));
                normaliser.apply(&mut state, source, &moment, value, |_, _| {});
            }
        }
    }
}
