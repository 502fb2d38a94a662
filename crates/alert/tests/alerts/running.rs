//! The runner by itself: when it evaluates, and how it ends.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use hesper_alert::{AlertRunner, Clock, RuleSet};
use hesper_model::{Step, Timestamp};
use hesper_query::QueryLimits;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::node::{Node, shown};

const STEP: Step = Step::from_secs(5);
const RULES: &str = "rules:\n  - name: r\n    expr: name,a,:eq,5,:gt\n";

/// A clock that follows tokio's, and starts at this second.
fn clock(starts_secs: i64) -> Clock {
    let began = Instant::now();
    Arc::new(move || {
        let passed = began.elapsed().as_millis() as i64;
        Timestamp::from_secs(starts_secs).plus_millis(passed)
    })
}

fn runner(node: &Node, clock: Clock) -> Arc<AlertRunner> {
    let rules = RuleSet::read([("rules.yaml", RULES)]).expect("valid rules");
    let engine = node.engine(QueryLimits::default());
    let runner = AlertRunner::new(engine, rules, Some(node.state_path()), clock);
    Arc::new(runner.expect("valid rules"))
}

#[tokio::test(start_paused = true)]
async fn a_time_is_evaluated_a_step_and_a_second_later() {
    let node = Node::new(STEP).await;
    node.load(&[("name", "a")], 200, &[1.0, 9.0, 9.0, 1.0]);
    // Slot 200 ends at second 1000, and is due at 1006.
    let runner = runner(&node, clock(1000));
    let running = tokio::spawn(runner.clone().run(pending()));
    sleep(Duration::from_millis(5_900)).await;
    assert_eq!(runner.evaluated(), Some(node.time(199)));
    sleep(Duration::from_millis(200)).await;
    assert_eq!(runner.evaluated(), Some(node.time(200)));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(runner.evaluated(), Some(node.time(201)));
    assert_eq!(runner.status().firing, 1);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(runner.status().firing, 0);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_it_is_told_and_goes_on_where_it_ended() {
    let node = Node::new(STEP).await;
    node.load(&[("name", "a")], 190, &[9.0; 100]);
    let first = runner(&node, clock(1000));
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(first.clone().run(async { _ = stopped.await }));
    sleep(Duration::from_secs(12)).await;
    stop.send(()).expect("it runs");
    running.await.expect("it ends");
    let evaluated = first.evaluated().expect("evaluated");
    assert_eq!(evaluated, node.time(201));

    // Twenty steps later, all of which are caught up with; nothing fires again.
    let second = runner(&node, clock(1112));
    assert_eq!(second.evaluated(), Some(evaluated));
    let running = tokio::spawn(second.clone().run(pending()));
    sleep(Duration::from_millis(10)).await;
    assert_eq!(second.evaluated(), Some(node.time(221)));
    assert_eq!(second.stats().evaluations.load(Ordering::Relaxed), 20);
    assert_eq!(second.stats().transitions.load(Ordering::Relaxed), 0);
    assert_eq!(shown(&second.history(), STEP), ["198 r {} inactive>firing"]);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn after_a_long_time_only_the_last_steps_are_caught_up_with() {
    let node = Node::new(STEP).await;
    let now = Arc::new(AtomicI64::new(1_006_000));
    let shared = now.clone();
    let clock: Clock = Arc::new(move || Timestamp(shared.load(Ordering::Relaxed)));
    let runner = runner(&node, clock);
    let running = tokio::spawn(runner.clone().run(pending()));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(runner.evaluated(), Some(node.time(200)));
    // The clock is set, while it sleeps.
    now.store(1_006_000 + 1000 * STEP.millis(), Ordering::Relaxed);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(runner.evaluated(), Some(node.time(1200)));
    assert_eq!(runner.stats().evaluations.load(Ordering::Relaxed), 1 + 120);
    assert_eq!(runner.stats().skipped_times.load(Ordering::Relaxed), 880);
    running.abort();
}
