//! What rules say about data, and what happens when the engine cannot answer.

use hesper_alert::phase::State;
use hesper_alert::status::Health;
use hesper_alert::{AlertRunner, Transition};
use hesper_model::Step;
use hesper_query::QueryLimits;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::node::{Node, shown};

const MINUTE: Step = Step::from_secs(60);
const NAN: f64 = f64::NAN;

async fn evaluate(
    node: &Node,
    runner: &AlertRunner,
    slots: std::ops::RangeInclusive<i64>,
) -> Vec<String> {
    let mut all: Vec<Transition> = Vec::new();
    for slot in slots {
        let found = runner.evaluate_at(node.time(slot)).await;
        all.extend(found.expect("a later time"));
    }
    shown(&all, node.step)
}

#[tokio::test]
async fn each_group_has_its_own_alert() {
    let node = Node::new(MINUTE).await;
    node.load(
        &[("name", "latency"), ("app", "x"), ("node", "1")],
        61,
        &[1.0, 9.0, 9.0, 9.0, 1.0],
    );
    node.load(
        &[("name", "latency"), ("app", "x"), ("node", "2")],
        61,
        &[1.0; 5],
    );
    node.load(
        &[("name", "latency"), ("app", "y"), ("node", "3")],
        61,
        &[1.0, 1.0, 9.0, NAN, NAN],
    );
    let rules = "
rules:
  - name: slow
    expr: name,latency,:eq,:max,(,app,),:by,5,:gt
    summary: $(app) is slow
  - name: slow-for-long
    expr: name,latency,:eq,:max,(,app,),:by,5,:gt
    for: 2m
";
    let runner = node.runner(rules).expect("valid rules");
    let transitions = evaluate(&node, &runner, 61..=65).await;
    assert_eq!(
        transitions,
        [
            "62 slow {app=x} inactive>firing",
            "62 slow-for-long {app=x} inactive>pending",
            "63 slow {app=y} inactive>firing",
            "63 slow-for-long {app=y} inactive>pending",
            "64 slow {app=y} firing>resolved",
            "64 slow-for-long {app=x} pending>firing",
            "64 slow-for-long {app=y} pending>inactive",
            "65 slow {app=x} firing>resolved",
            "65 slow-for-long {app=x} firing>resolved",
        ]
    );
    let newest = &runner.history()[0];
    assert_eq!((newest.to, newest.at), (State::Resolved, node.time(65)));
    let stats = runner.stats();
    assert_eq!(stats.evaluations.load(Ordering::Relaxed), 10);
    assert_eq!(stats.transitions.load(Ordering::Relaxed), 9);
    assert_eq!(stats.errors.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn operators_remember_from_step_to_step_and_are_warmed_up_at_first() {
    let node = Node::new(MINUTE).await;
    // The count of the last three values above 5: 1 2 3 2 1 0 1.
    node.load(&[("name", "a")], 100, &[9.0, 9.0, 9.0, 1.0, 1.0, 1.0, 9.0]);
    let rules = "rules:\n  - name: r\n    expr: name,a,:eq,5,:gt,3,:rolling-count,2,:ge\n";
    let expected = ["101 r {} inactive>firing", "104 r {} firing>resolved"];
    let stepwise = node.runner(rules).expect("valid rules");
    assert_eq!(evaluate(&node, &stepwise, 99..=106).await, expected);
    // A start in the middle sees what came before, and so does a leap.
    std::fs::remove_file(node.state_path()).expect("written");
    let late = node.runner(rules).expect("valid rules");
    assert_eq!(
        evaluate(&node, &late, 103..=103).await,
        ["103 r {} inactive>firing"]
    );
    std::fs::remove_file(node.state_path()).expect("written");
    let leaping = node.runner(rules).expect("valid rules");
    assert_eq!(evaluate(&node, &leaping, 100..=100).await, [""; 0]);
    assert_eq!(
        evaluate(&node, &leaping, 103..=103).await,
        ["103 r {} inactive>firing"]
    );
}

#[tokio::test]
async fn a_rule_compares_with_the_past() {
    let node = Node::new(MINUTE).await;
    node.load(
        &[("name", "sps")],
        61,
        &[10.0, 10.0, 10.0, 4.0, 4.0, 4.0, 4.0],
    );
    let rules =
        "rules:\n  - name: fell\n    expr: name,sps,:eq,name,sps,:eq,2m,:offset,:div,0.5,:lt\n";
    let runner = node.runner(rules).expect("valid rules");
    assert_eq!(
        evaluate(&node, &runner, 61..=67).await,
        ["64 fell {} inactive>firing", "66 fell {} firing>resolved"]
    );
    let refused =
        node.runner("rules:\n  - name: between\n    expr: name,sps,:eq,90s,:offset,1,:lt\n");
    let error = refused.err().expect("between two datapoints").to_string();
    assert!(error.contains("alert rule `between`"), "{error}");
}

#[tokio::test]
async fn a_policy_for_missing_data_holds_for_comparisons_too() {
    let node = Node::new(MINUTE).await;
    node.load(&[("name", "up")], 61, &[1.0, 1.0, NAN, NAN, 1.0]);
    let rules = "
rules:
  - name: ok
    expr: name,up,:eq,1,:gt
  - name: alert
    expr: name,up,:eq,1,:gt
    no_data: alert
    for: 1m
  - name: never-there
    expr: name,nothing,:eq,(,app,),:by,1,:gt
    no_data: alert
";
    let runner = node.runner(rules).expect("valid rules");
    assert_eq!(
        evaluate(&node, &runner, 61..=65).await,
        [
            "61 never-there {} inactive>firing",
            "63 alert {} inactive>pending",
            "64 alert {} pending>firing",
            "65 alert {} firing>resolved",
        ]
    );
    let status = runner.status();
    assert!(status.rules[2].alerts[0].no_data);
    assert_eq!((status.firing, status.rules[2].state), (1, State::Firing));
}

#[tokio::test]
async fn a_rule_that_fails_keeps_its_state_and_harms_no_other() {
    let node = Node::new(MINUTE).await;
    for app in ["x", "y"] {
        node.load(&[("name", "a"), ("app", app)], 120, &[9.0; 70]);
    }
    let load = |apps: &[&str]| {
        for app in apps {
            node.load(&[("name", "b"), ("app", app)], 120, &[9.0; 70]);
        }
    };
    load(&["0", "1"]);
    let rules = "
rules:
  - name: few
    expr: name,a,:eq,(,app,),:by,5,:gt
  - name: many
    expr: name,b,:eq,(,app,),:by,5,:gt
";
    let limits = QueryLimits {
        max_lines: 3,
        ..QueryLimits::default()
    };
    let rules = hesper_alert::RuleSet::read([("rules.yaml", rules)]).expect("valid rules");
    let clock = Arc::new(|| hesper_model::Timestamp(0));
    let runner = AlertRunner::new(node.engine(limits), rules, None, clock).expect("valid rules");
    let fired = evaluate(&node, &runner, 120..=120).await;
    assert_eq!(fired.len(), 4, "{fired:?}");
    load(&["2", "3"]);
    assert_eq!(evaluate(&node, &runner, 121..=121).await, [""; 0]);
    let status = runner.status();
    assert_eq!((status.in_error, status.firing), (1, 4));
    assert_eq!(status.rules[0].health, Health::Ok);
    assert_eq!(status.rules[0].evaluated, Some(node.time(121)));
    let many = &status.rules[1];
    assert_eq!(
        (many.health, many.evaluated),
        (Health::Error, Some(node.time(120)))
    );
    let error = many.last_error.as_ref().expect("an error");
    assert!(
        error.message.contains("too many lines: 4 > 3"),
        "{}",
        error.message
    );
    assert_eq!(error.at, node.time(121));
    assert_eq!(runner.stats().errors.load(Ordering::Relaxed), 1);

    // From now on it is asked for alone.
    assert_eq!(evaluate(&node, &runner, 122..=122).await, [""; 0]);
    let status = runner.status();
    assert_eq!((status.in_error, status.firing), (1, 4));
    assert_eq!(status.rules[0].evaluated, Some(node.time(122)));
    assert_eq!(runner.stats().errors.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn an_answer_that_lacks_a_part_is_no_answer() {
    let node = Node::new(MINUTE).await;
    // Window 1 has the slots 61 to 120, window 2 those up to 180.
    node.load(&[("name", "a")], 119, &[9.0, 9.0, 9.0, 9.0, 1.0]);
    let rules = "
rules:
  - name: now
    expr: name,a,:eq,5,:gt
  - name: before
    expr: name,a,:eq,3m,:offset,5,:gt
  - name: both
    expr: name,a,:eq,5,:gt,5,:rolling-count,3,:ge
";
    let whole = node.break_history(1..3, 1).await;
    let runner = node.runner(rules).expect("valid rules");
    assert_eq!(
        evaluate(&node, &runner, 122..=122).await,
        ["122 now {} inactive>firing"]
    );
    let status = runner.status();
    let health: Vec<_> = status.rules.iter().map(|r| r.health).collect();
    assert_eq!(health, [Health::Ok, Health::Error, Health::Error]);
    for rule in &status.rules[1..] {
        let message = &rule.last_error.as_ref().expect("an error").message;
        assert!(message.contains("the answer would lack "), "{message}");
    }
    node.mend_history(whole).await;
    assert_eq!(
        evaluate(&node, &runner, 123..=123).await,
        [
            "123 now {} firing>resolved",
            "123 before {} inactive>firing",
            "123 both {} inactive>firing",
        ]
    );
}

#[tokio::test]
async fn times_are_evaluated_in_order_and_on_the_step() {
    let node = Node::new(MINUTE).await;
    let runner = node.runner("rules: []").expect("no rules");
    assert_eq!(evaluate(&node, &runner, 5..=5).await, [""; 0]);
    let error = async |at| {
        runner
            .evaluate_at(at)
            .await
            .expect_err("refused")
            .to_string()
    };
    assert!(error(node.time(5)).await.contains("is not after"));
    assert!(error(node.time(4)).await.contains("is not after"));
    assert!(
        error(node.time(6).plus_millis(1))
            .await
            .contains("no multiple of the store's step of 1m")
    );
}

#[tokio::test]
async fn the_status_is_pleasant_to_read() {
    let node = Node::new(MINUTE).await;
    node.load(&[("name", "latency"), ("app", "x")], 61, &[9.0]);
    let rules = "
rules:
  - name: slow
    expr: name,latency,:eq,(,app,),:by,5,:gt
    for: 0
    keep_firing_for: 90s
    labels: {team: core}
    runbook: https://runbooks.example/slow
    summary: $(app) is slow
";
    let runner = node.runner(rules).expect("valid rules");
    evaluate(&node, &runner, 61..=61).await;
    let mut status = runner.status();
    status.rules[0].evaluation_millis = 0.5;
    let graph = "q=name,latency,:eq,:sum,(,app,),:by,5.0,:const,name,latency,:eq,(,app,),:by,5,:gt,:vspan,40,:alpha&s=e-1h&e=3660000";
    let of_x = "q=name,latency,:eq,:sum,(,app,),:by,app,x,:eq,:cq,5.0,:const,app,x,:eq,:cq,name,latency,:eq,(,app,),:by,5,:gt,app,x,:eq,\
                :cq,:vspan,40,:alpha&s=e-1h&e=3660000";
    let expected = serde_json::json!({
        "evaluated": "1970-01-01T01:01:00Z",
        "firing": 1,
        "pending": 0,
        "in_error": 0,
        "rules": [{
            "name": "slow",
            "state": "firing",
            "health": "ok",
            "severity": "page",
            "expr": "name,latency,:eq,(,app,),:by,5,:gt",
            "for": "0s",
            "keep_firing_for": "90s",
            "no_data": "ok",
            "labels": {"team": "core"},
            "runbook": "https://runbooks.example/slow",
            "file": "rules.yaml",
            "evaluated": "1970-01-01T01:01:00Z",
            "evaluation_millis": 0.5,
            "graph": format!("/api/v1/graph?{graph}"),
            "page": format!("/?{graph}"),
            "alerts": [{
                "state": "firing",
                "summary": "x is slow",
                "severity": "page",
                "group": {"app": "x"},
                "tags": {"app": "x", "name": "latency"},
                "labels": {"team": "core"},
                "value": 1.0,
                "no_data": false,
                "since": "1970-01-01T01:01:00Z",
                "starts_at": "1970-01-01T01:01:00Z",
                "runbook": "https://runbooks.example/slow",
                "graph": format!("/api/v1/graph?{of_x}"),
                "page": format!("/?{of_x}"),
            }],
        }],
    });
    assert_eq!(serde_json::to_value(&status).expect("plain data"), expected);
}
