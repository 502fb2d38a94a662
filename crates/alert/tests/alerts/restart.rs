//! Alerts over restarts.

use hesper_alert::{AlertRunner, RuleSet, Transition};
use hesper_model::{Step, Timestamp};
use hesper_query::QueryLimits;
use proptest::prelude::*;
use std::sync::Arc;

use crate::node::{Node, shown};

const MINUTE: Step = Step::from_secs(60);

const RULES: &str = "
rules:
  - name: at-once
    expr: name,a,:eq,(,app,),:by,5,:gt
    keep_firing_for: 2m
  - name: lasting
    expr: name,a,:eq,(,app,),:by,5,:gt
    for: 2m
  - name: counted
    expr: name,a,:eq,(,app,),:by,5,:gt,6,:rolling-count,4,:ge
  - name: missed
    expr: name,a,:eq,(,app,),:by,5,:gt
    no_data: alert
  - name: kept
    expr: name,a,:eq,(,app,),:by,5,:gt
    no_data: keep
";

fn values() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![3 => Just(9.0), 3 => Just(1.0), 1 => Just(f64::NAN)];
    prop::collection::vec(value, 30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_restart_at_any_time_changes_no_transition(
        x in values(),
        y in values(),
        restarts in prop::collection::vec(any::<bool>(), 30),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let node = Node::new(MINUTE).await;
            node.load(&[("name", "a"), ("app", "x")], 61, &x);
            node.load(&[("name", "a"), ("app", "y")], 61, &y);
            let rules = RuleSet::read([("rules.yaml", RULES)]).expect("valid rules");
            let engine = node.engine(QueryLimits::default());
            let clock = Arc::new(|| Timestamp(0));
            let steady = AlertRunner::new(engine, rules, None, clock).expect("valid rules");
            let mut restarted = node.runner(RULES).expect("valid rules");
            for (i, restart) in restarts.iter().enumerate() {
                if *restart {
                    restarted = node.runner(RULES).expect("valid rules and state");
                }
                let at = node.time(61 + i as i64);
                let expected = steady.evaluate_at(at).await.expect("a later time");
                let found = restarted.evaluate_at(at).await.expect("a later time");
                assert_eq!(shown(&found, MINUTE), shown(&expected, MINUTE));
            }
            assert_eq!(restarted.history(), steady.history());
        });
    }
}

async fn all(
    node: &Node,
    runner: &AlertRunner,
    slots: std::ops::RangeInclusive<i64>,
) -> Vec<Transition> {
    let mut all = Vec::new();
    for slot in slots {
        all.extend(
            runner
                .evaluate_at(node.time(slot))
                .await
                .expect("a later time"),
        );
    }
    all
}

#[tokio::test]
async fn what_was_not_written_is_evaluated_again_with_the_same_result() {
    let node = Node::new(Step::from_secs(5)).await;
    node.load(&[("name", "a"), ("app", "x")], 61, &[9.0; 40]);
    let rules = "rules:\n  - name: lasting\n    expr: name,a,:eq,(,app,),:by,5,:gt\n    for: 1m\n";
    let first = node.runner(rules).expect("valid rules");
    // Slot 61 makes it pending, which is written; then nothing happens that has to be written.
    assert_eq!(all(&node, &first, 61..=71).await.len(), 1);
    drop(first);
    let second = node.runner(rules).expect("valid state");
    assert_eq!(second.evaluated(), Some(node.time(61)));
    let fired = all(&node, &second, 62..=80).await;
    assert_eq!(
        shown(&fired, node.step),
        ["73 lasting {app=x} pending>firing"]
    );
    drop(second);
    let third = node.runner(rules).expect("valid state");
    assert_eq!(third.status().firing, 1);
    assert_eq!(all(&node, &third, 81..=90).await, []);
}

#[tokio::test]
async fn a_state_that_makes_no_sense_is_refused() {
    let node = Node::new(MINUTE).await;
    std::fs::write(node.state_path(), "{\"version\":1,\"rul").expect("written");
    let error = node.runner("rules: []").err().expect("damaged").to_string();
    assert!(error.contains("alerts.json is damaged"), "{error}");
    assert!(error.contains("move it away"), "{error}");
}

#[tokio::test]
async fn a_state_that_cannot_be_written_is_told() {
    let node = Node::new(MINUTE).await;
    node.load(&[("name", "a"), ("app", "x")], 61, &[9.0; 4]);
    let runner = node
        .runner("rules:\n  - name: r\n    expr: name,a,:eq,5,:gt\n")
        .expect("valid");
    // A directory in its place.
    std::fs::create_dir(node.state_path()).expect("made");
    assert_eq!(all(&node, &runner, 61..=61).await.len(), 1);
    let error = runner.status().state_error.expect("told");
    assert!(error.contains("cannot write the alert state"), "{error}");
    std::fs::remove_dir(node.state_path()).expect("empty");
    assert_eq!(all(&node, &runner, 62..=62).await.len(), 0);
    assert_eq!(runner.status().state_error, None);
    assert!(node.state_path().is_file());
}

#[tokio::test]
async fn alerts_of_a_rule_that_is_gone_end() {
    let node = Node::new(MINUTE).await;
    node.load(&[("name", "a"), ("app", "x")], 61, &[9.0; 4]);
    let rule = "rules:\n  - name: r\n    expr: name,a,:eq,(,app,),:by,5,:gt\n";
    all(&node, &node.runner(rule).expect("valid"), 61..=61).await;
    let without = node.runner("rules: []").expect("no rules");
    let last = &without.history()[0];
    assert_eq!(
        shown(std::slice::from_ref(last), MINUTE),
        ["0 r {app=x} firing>resolved"]
    );
    assert_eq!(last.reason.as_deref(), Some("the rule is gone"));
}
