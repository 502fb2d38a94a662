//! `demo --check`: whether the demo has kept what it shows. What was published is stored, what is stored is found, the alert came and
//! went, and a restart has lost nothing.

mod comparison;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hesper_client::Registry;
use hesper_model::invariant;
use hesper_server::node::NodeState;
use hesper_server::{Config, Node};
use indicatif::HumanCount;

use super::dashboard::fleet_panels;
use super::live_line::Screen;
use super::node_api::{Lines, NodeApi, Range, Transition};
use super::publishing::Delivered;
use super::running::Finished;
use crate::error::CommandError;
use comparison::{compare, same_lines};

/// The rule that the first incident must set off.
const LATENCY_RULE: &str = "downstream-latency-p99";

/// The group of the rule that must fire: calls to the app that slows down.
const SLOW_APP: (&str, &str) = ("ipc.server.app", "database");

/// How long counters may take to agree once all clients have ended.
const SETTLE: Duration = Duration::from_secs(10);

/// The results of the checks, printed as they come.
pub struct Checks<'a> {
    screen: &'a Screen,
    made: u32,
    failed: u32,
}

impl<'a> Checks<'a> {
    /// No check yet.
    pub fn new(screen: &'a Screen) -> Self {
        Self {
            screen,
            made: 0,
            failed: 0,
        }
    }

    fn note(&mut self, what: &str, result: Result<String, String>) {
        self.made += 1;
        match result {
            Ok(figures) => self
                .screen
                .print(format_args!("  ok      {what}: {figures}")),
            Err(reason) => {
                self.failed += 1;
                self.screen
                    .print(format_args!("  FAILED  {what}: {reason}"));
            }
        }
    }

    /// What it comes to.
    ///
    /// # Errors
    /// When a check has failed.
    pub fn verdict(self) -> Result<(), CommandError> {
        if self.failed > 0 {
            let text = format!("{} of {} checks failed", self.failed, self.made);
            return Err(CommandError::Other(text));
        }
        self.screen
            .print(format_args!("all {} checks passed", self.made));
        Ok(())
    }
}

/// True once the latency alert has fired and was resolved.
pub fn alert_came_and_went(transitions: &[Transition]) -> bool {
    fired_and_resolved(transitions).is_ok()
}

/// Makes all checks; stops the node, starts it once more, and stops it again.
///
/// # Errors
/// When a check cannot be made at all, or one of them has failed.
pub async fn verify(
    screen: &Screen,
    node: Node,
    config: Config,
    api: &NodeApi,
    finished: &Finished,
    transitions: &[Transition],
) -> Result<(), CommandError> {
    let mut checks = Checks::new(screen);
    screen.print("checking");
    let state = node.state().clone();
    let settled = settle(&state, &finished.registries).await;
    checks.note(
        "published = acknowledged = stored",
        counters_agree(&settled),
    );
    checks.note(
        "nothing was refused or lost",
        nothing_lost(&state, &settled),
    );
    drop(state);
    totals_agree(&mut checks, api, finished, "").await;
    checks.note("alert rules", rules_work(api).await);
    checks.note("the latency alert", fired_and_resolved(transitions));

    let series = node.state().hot.series_count();
    let before = answers(api, finished.range).await?;
    node.stop().await?;
    let began = Instant::now();
    let node = Node::start(config).await?;
    let took = began.elapsed().as_millis();
    // With a port of the system's choice it answers somewhere else now.
    let api = &NodeApi::of(&node);
    let recovered = node.state().recovery.series;
    checks.note(
        "a restart keeps all series",
        match recovered >= series {
            true => Ok(format!("{} in {took} ms", HumanCount(recovered as u64))),
            false => Err(format!("{series} before, {recovered} after")),
        },
    );
    totals_agree(&mut checks, api, finished, ", after the restart").await;
    let after = answers(api, finished.range).await?;
    for (panel, (before, after)) in fleet_panels().iter().zip(before.iter().zip(&after)) {
        let what = format!("the same answer after the restart, {}", panel.title);
        checks.note(&what, same_lines(before, after));
    }
    checks.note(
        "the restart keeps the history of alerts",
        history_kept(api, transitions).await,
    );
    node.stop().await?;
    checks.note("promises kept", promises_kept());
    checks.verdict()
}

/// Where datapoints went, as clients and node count them.
struct Settled {
    clients: usize,
    delivered: Delivered,
    received: u64,
    accepted: u64,
    taken: u64,
}

impl Settled {
    fn read(state: &NodeState, registries: &[Registry]) -> Self {
        // The node's own client first: what it sends in between is counted by the node alone, until the next look.
        let mut delivered = Delivered::of([state.metrics.registry()]);
        delivered += Delivered::of(registries);
        let ingest = state.router.stats();
        Self {
            clients: registries.len() + 1,
            delivered,
            received: ingest.received.load(Ordering::Relaxed),
            accepted: ingest.accepted.load(Ordering::Relaxed),
            taken: state.hot.stats().taken.load(Ordering::Relaxed),
        }
    }

    fn agrees(&self) -> bool {
        let sent = self.delivered.sent;
        [self.received, self.accepted, self.taken]
            .iter()
            .all(|n| *n as f64 == sent)
    }
}

/// Waits until the counters agree: the node goes on publishing its own metrics, so that they differ at times.
async fn settle(state: &NodeState, registries: &[Registry]) -> Settled {
    let until = Instant::now() + SETTLE;
    loop {
        let settled = Settled::read(state, registries);
        if settled.agrees() || Instant::now() > until {
            return settled;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn counters_agree(settled: &Settled) -> Result<String, String> {
    let text = format!(
        "{} datapoints acknowledged to {} clients, {} received, {} accepted, {} taken into slots",
        HumanCount(settled.delivered.sent as u64),
        settled.clients,
        HumanCount(settled.received),
        HumanCount(settled.accepted),
        HumanCount(settled.taken)
    );
    match settled.agrees() && settled.delivered.sent > 0.0 {
        true => Ok(text),
        false => Err(text),
    }
}

fn nothing_lost(state: &NodeState, settled: &Settled) -> Result<String, String> {
    let mut losses = settled.delivered.losses();
    let refused = state.router.stats().refused();
    losses.extend(
        refused
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| format!("{count} refused by {}", reason.name())),
    );
    let store = state.hot.stats();
    for (count, what) in [
        (&store.late, "too late"),
        (&store.duplicate, "doubled"),
        (&store.repeated, "repeated"),
        (&store.series_refused, "series refused"),
    ] {
        let count = count.load(Ordering::Relaxed);
        if count > 0 {
            losses.push(format!("{count} {what}"));
        }
    }
    match losses.is_empty() {
        true => Ok("none rejected, dropped, late or doubled".to_owned()),
        false => Err(losses.join(", ")),
    }
}

/// Compares what the fleet knows with what queries over its run add up to.
async fn totals_agree(checks: &mut Checks<'_>, api: &NodeApi, finished: &Finished, when: &str) {
    for expected in finished.totals.expectations() {
        let what = format!("{}{when}", expected.what);
        let result = match api.totals(&expected, finished.range).await {
            Ok(found) => compare(&expected.totals, &found),
            Err(error) => Err(error.to_string()),
        };
        checks.note(&what, result);
    }
}

fn fired_and_resolved(transitions: &[Transition]) -> Result<String, String> {
    let (key, app) = SLOW_APP;
    let of_rule = |t: &&Transition| {
        t.rule == LATENCY_RULE && t.group.get(key).is_some_and(|value| value == app)
    };
    let mut of_rule = transitions.iter().filter(of_rule);
    let Some(fired) = of_rule.find(|t| t.to == "firing") else {
        return Err(format!("{LATENCY_RULE} has not fired for {app}"));
    };
    let at = fired.at.format("%H:%M:%S");
    match of_rule.find(|t| t.to == "resolved") {
        Some(resolved) => Ok(format!(
            "{LATENCY_RULE} fired for {app} at {at} and was resolved at {} UTC",
            resolved.at.format("%H:%M:%S")
        )),
        None => Err(format!(
            "{LATENCY_RULE} fired for {app} at {at} UTC and was not resolved"
        )),
    }
}

async fn rules_work(api: &NodeApi) -> Result<String, String> {
    let alerts = api.alerts().await.map_err(|e| e.to_string())?;
    let alerts = alerts.ok_or("the node has no alerts")?;
    let errors = alerts.errors();
    match errors.is_empty() {
        true => Ok(format!("{}, all of them evaluated", alerts.rules())),
        false => Err(errors.join("; ")),
    }
}

async fn history_kept(api: &NodeApi, transitions: &[Transition]) -> Result<String, String> {
    let history = api.alert_history().await.map_err(|e| e.to_string())?;
    let history = history.unwrap_or_default();
    let missing = transitions.iter().filter(|t| !history.contains(t)).count();
    match missing {
        0 => Ok(format!("{} transitions", transitions.len())),
        _ => Err(format!("{missing} of {} are gone", transitions.len())),
    }
}

/// The panels of the fleet over its run.
async fn answers(api: &NodeApi, range: Range) -> Result<Vec<Lines>, CommandError> {
    let mut answers = Vec::new();
    for panel in fleet_panels() {
        answers.push(api.lines(panel.program, range).await?);
    }
    Ok(answers)
}

fn promises_kept() -> Result<String, String> {
    let broken = invariant::broken_counts();
    let broken: Vec<String> = broken
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(promise, count)| format!("{promise} broken {count} times"))
        .collect();
    match broken.is_empty() {
        true => Ok("no check of P1 to P6 has failed".to_owned()),
        false => Err(broken.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn transition(rule: &str, app: &str, to: &str) -> Transition {
        Transition {
            at: chrono::DateTime::from_timestamp(0, 0).expect("a time"),
            rule: rule.to_owned(),
            group: BTreeMap::from([("ipc.server.app".to_owned(), app.to_owned())]),
            to: to.to_owned(),
            summary: String::new(),
        }
    }

    #[test]
    fn the_alert_of_the_slow_app_has_to_end_too() {
        let fired = transition(LATENCY_RULE, "database", "firing");
        let resolved = transition(LATENCY_RULE, "database", "resolved");
        let other = transition(LATENCY_RULE, "api", "resolved");
        let error = |t: &[Transition]| fired_and_resolved(t).expect_err("not all of it");
        assert!(error(&[]).contains("has not fired"));
        assert!(error(&[resolved.clone(), fired.clone(), other]).contains("was not resolved"));
        assert!(alert_came_and_went(&[fired, resolved]));
    }
}
