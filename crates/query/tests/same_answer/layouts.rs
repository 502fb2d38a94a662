//! Random layouts of three days: in memory, flushed, back-filled into history, merged, rolled up, deleted from, and with raw data gone.

use std::collections::BTreeSet;

use hesper_history::Policy;
use hesper_history::day::DAY_MILLIS;
use hesper_history::policy::{Keep, KeepRule};
use hesper_model::{Slot, TagQuery, TimeRange};
use hesper_stack::EvalContext;
use proptest::prelude::*;

use crate::node::{BASE, Node, range, tags};
use crate::plain::{AGGREGATES, CONSOLIDATIONS, Data, GROUPINGS, check_one, tags_of};
use crate::runtime;

const DAY_SLOTS: i64 = 1440;
const DAYS: i64 = 3;

/// Whose raw data expires when.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Retention {
    Nothing,
    /// Of one app, when its day is merged; of all others nothing.
    OneApp,
    /// Of the first two days, and of one app of the third.
    TwoDays,
}

#[derive(Clone, Debug)]
enum Change {
    Load(Vec<(usize, i64, f64)>),
    BackFill(Vec<(usize, i64, f64)>),
    Flush { odd: bool },
    Evict { before_slot: i64 },
    Restart,
    Maintain { hours: i64 },
    Delete { app: usize, hours: (i64, i64) },
}

fn points() -> impl Strategy<Value = Vec<(usize, i64, f64)>> {
    let value = || {
        prop_oneof![
            (0i32..500).prop_map(|n| f64::from(n) / 60.0),
            (-100i32..100).prop_map(f64::from),
            -10.0f64..10.0,
        ]
    };
    let scattered = (0usize..14, 1..=DAYS * DAY_SLOTS, value());
    let run = (0usize..14, 1..=DAYS * DAY_SLOTS - 300, 1i64..300, value());
    let run = run.prop_map(|(series, first, n, v)| {
        (0..n)
            .map(|k| (series, first + k, v + (k % 7) as f64))
            .collect::<Vec<_>>()
    });
    prop_oneof![
        prop::collection::vec(scattered, 1..150),
        prop::collection::vec(run, 1..8).prop_map(|runs| runs.concat()),
    ]
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        4 => points().prop_map(Change::Load),
        2 => points().prop_map(Change::BackFill),
        2 => any::<bool>().prop_map(|odd| Change::Flush { odd }),
        1 => (0i64..4500).prop_map(|before_slot| Change::Evict { before_slot }),
        1 => Just(Change::Restart),
        3 => (1i64..30).prop_map(|hours| Change::Maintain { hours }),
        1 => (0usize..3, 0i64..70, 1i64..30).prop_map(|(app, first, n)| Change::Delete { app, hours: (first, first + n) }),
    ];
    prop::collection::vec(change, 2..10)
}

fn retention() -> impl Strategy<Value = Retention> {
    prop::sample::select(vec![
        Retention::Nothing,
        Retention::OneApp,
        Retention::TwoDays,
    ])
}

fn policy(retention: Retention) -> Policy {
    // Small files and narrow merges, so that all ways of merging are taken.
    let mut policy = Policy {
        max_streams: 3,
        crowd: 5,
        max_file_rows: 20,
        ..Policy::default()
    };
    if retention == Retention::TwoDays {
        // The third day ends a day before the clock begins, which goes on for some days.
        policy.keep.raw_millis = Some(2 * DAY_MILLIS);
    }
    if retention != Retention::Nothing {
        policy.rules = vec![KeepRule {
            query: TagQuery::Equal("app".into(), "app-1".into()),
            keep: Keep {
                raw_millis: Some(0),
                ..Keep::default()
            },
            forever: Vec::new(),
        }];
    }
    policy
}

/// A node, and what it should hold.
struct Case {
    node: Node,
    data: Data,
    policy: Policy,
    /// Raw data of any series may be gone: what came cannot be replaced any more, and only whole cells can be answered for.
    expires: bool,
    merged: bool,
    /// The series of which data were deleted.
    deleted: BTreeSet<usize>,
}

impl Case {
    async fn apply(&mut self, change: &Change) {
        match change {
            Change::Load(points) => {
                let points = self.take(points);
                self.node.load(&points);
            }
            Change::BackFill(points) => {
                let points = self.take(points);
                self.node.back_fill(&points).await;
            }
            Change::Flush { odd } => {
                let windows = (0..DAYS * 24).filter(|w| (w % 2 == 1) == *odd);
                self.node.flush(windows).await;
            }
            Change::Evict { before_slot } => {
                // The hot window is one hour: sixty slots.
                let now = Slot(before_slot + 60).time(BASE);
                self.node.tiers.hot.evict(now).expect("room");
            }
            Change::Restart => self.node.restart().await,
            Change::Maintain { hours } => {
                self.maintain(*hours).await;
            }
            Change::Delete { app, hours } => {
                let slots = hours.0 * 60 + 1..=hours.1 * 60;
                let query = TagQuery::Equal("app".into(), format!("app-{app}").into());
                let deleted = TimeRange {
                    first: Slot(*slots.start()),
                    last: Slot(*slots.end()),
                };
                self.node.delete(query, deleted).await;
                let deleted = &mut self.deleted;
                self.data.retain(|(s, slot), _| {
                    let is_deleted = s % 3 == *app && slots.contains(slot);
                    if is_deleted {
                        deleted.insert(*s);
                    }
                    !is_deleted
                });
            }
        }
    }

    /// Maintains history. What memory holds goes there before: nothing could be replaced after.
    async fn maintain(&mut self, hours: i64) {
        if self.expires {
            self.node.flush(0..DAYS * 24).await;
        }
        self.merged = true;
        self.node.maintain(hours, &self.policy).await;
    }

    /// The points that count. Where raw data may have expired what is there stays, and nothing says the same of it again.
    fn take(&mut self, points: &[(usize, i64, f64)]) -> Vec<(usize, i64, f64)> {
        let held = |data: &Data, (s, slot, _): &(usize, i64, f64)| data.contains_key(&(*s, *slot));
        let frozen = self.expires && self.merged;
        let mut seen = BTreeSet::new();
        let taken = points
            .iter()
            .filter(|p| !frozen || (!held(&self.data, p) && seen.insert((p.0, p.1))))
            .copied();
        let taken: Vec<_> = taken.collect();
        self.data
            .extend(taken.iter().map(|(s, slot, v)| ((*s, *slot), *v)));
        taken
    }

    fn ranges(&self) -> Vec<EvalContext> {
        let mut ranges = vec![
            range(0, 864, 5),
            range(1400, 150, 15),
            range(0, 72, 60),
            range(720, 30, 60),
            range(0, 10, 420),
            range(0, 3, 1440),
        ];
        if !self.expires {
            ranges.extend([range(1380, 100, 1), range(700, 300, 7)]);
        }
        ranges
    }

    async fn check_one(&self, aggregate: &str, how: &str, keys: &[&str], ctx: &EvalContext) {
        let (node, data, gone) = (&self.node, &self.data, &self.deleted);
        check_one(node, data, gone, aggregate, how, keys, ctx).await;
    }

    async fn check(&self, turn: usize) {
        for (i, ctx) in self.ranges().iter().enumerate() {
            for (j, aggregate) in AGGREGATES.iter().enumerate() {
                for (k, consolidation) in CONSOLIDATIONS.iter().enumerate() {
                    let n = turn + i + j + k;
                    // A third of all ways each time, all of them in the long run.
                    if !(turn + i + j * 2 + k).is_multiple_of(3) {
                        continue;
                    }
                    let keys = GROUPINGS[n % 3];
                    self.check_one(aggregate, consolidation, keys, ctx).await;
                }
            }
        }
        let (got, want) = tags_of(&self.node, &self.data).await;
        // A row of a roll-up is of a day: it stays when a part of the day is deleted.
        match self.deleted.is_empty() {
            true => assert_eq!(got, want),
            false => assert!(got.is_superset(&want), "{got:?} lacks some of {want:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn days_are_answered_alike_from_raw_data_and_roll_ups(changes in changes(), retention in retention()) {
        runtime().block_on(async {
            let mut case = Case {
                node: Node::new().await,
                data: Data::new(),
                policy: policy(retention),
                expires: retention != Retention::Nothing,
                merged: false,
                deleted: BTreeSet::new(),
            };
            for change in &changes {
                case.apply(change).await;
            }
            case.check(changes.len()).await;
            case.maintain(1).await;
            case.check(changes.len() + 1).await;
            case.node.empty_memory().await;
            case.check(changes.len() + 2).await;
            case.maintain(72).await;
            case.check(changes.len()).await;
        });
    }
}

#[test]
fn apps_are_told_by_the_number_of_a_series() {
    assert!((0..14).all(|s| tags(s).get("app") == Some(&*format!("app-{}", s % 3))));
}
