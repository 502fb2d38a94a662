//! `hesper demo`: the product shown in one command. A simulated fleet and this machine publish through the client crate, over gRPC, into a
//! node in the same process; the terminal tells what to look at.
//!
//! [`topology`] and [`incident`] say what the fleet is and what goes wrong in it, [`fleet`] lets it live, [`service`] records for one of
//! its nodes, [`totals`] keeps what it has recorded. [`host`] reads the machine. [`publishing`] and [`running`] bring both into the node;
//! [`watcher`] looks at it through [`node_api`] for the [`live_line`]; [`check`] verifies that nothing was lost.

mod check;
mod dashboard;
mod fleet;
mod host;
mod incident;
mod live_line;
mod node_api;
mod publishing;
mod rules;
mod running;
mod service;
mod topology;
mod totals;
mod watcher;

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use hesper_server::{Config, Node, Settings};
use indicatif::{BinaryBytes, HumanCount};
use tokio::time::MissedTickBehavior;

use crate::duration;
use crate::error::CommandError;
use crate::serve::stop_signal;
use dashboard::PANELS;
use incident::Timetable;
use live_line::Screen;
use node_api::{NodeApi, Range};
use running::{Event, Running};
use watcher::{Watcher, bytes_in};

/// The distance between datapoints.
const STEP_MILLIS: i64 = 5000;

/// How long `--check` runs unless told otherwise.
const CHECK_FOR: Duration = Duration::from_secs(60);

/// How much longer `--check` waits for an alert that has not come and gone yet.
const CHECK_PATIENCE: Duration = Duration::from_secs(60);

/// How often the node is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// When things go wrong while somebody watches.
const SHOWN: Timetable = Timetable {
    first: Duration::from_secs(45),
    lasts: Duration::from_secs(60),
    quiet: Duration::from_secs(150),
};

/// When things go wrong for `--check`: one incident, early and short, so that its alert comes and goes within a minute.
const CHECKED: Timetable = Timetable {
    first: Duration::from_secs(12),
    lasts: Duration::from_secs(15),
    quiet: Duration::from_secs(180),
};

/// The flags of `demo`.
#[derive(clap::Args)]
pub struct DemoArgs {
    /// Verify that everything published is stored and found, that the alert came and went, and that a restart loses nothing
    #[arg(long)]
    check: bool,
    /// End after this long [default: when interrupted; with --check 60s]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::parse)]
    run_for: Option<Duration>,
    /// Where the data lie; a second start goes on with them
    #[arg(long, default_value = "./hesper-demo", value_name = "DIR")]
    data_dir: PathBuf,
    /// Where to listen for HTTP
    #[arg(long, default_value = "127.0.0.1:7101", value_name = "ADDRESS")]
    http: String,
    /// Where to listen for gRPC
    #[arg(long, default_value = "127.0.0.1:7102", value_name = "ADDRESS")]
    grpc: String,
    /// Another seed makes another fleet
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

impl DemoArgs {
    fn run_for(&self) -> Option<Duration> {
        self.run_for.or(self.check.then_some(CHECK_FOR))
    }

    fn config(&self, rules: PathBuf) -> Result<Config, CommandError> {
        let settings = Settings {
            http: Some(self.http.clone()),
            grpc: Some(self.grpc.clone()),
            data_dir: Some(self.data_dir.clone()),
            step: Some(format!("{}s", STEP_MILLIS / 1000)),
            rules: Some(rules),
            ..Settings::default()
        };
        Ok(Config::resolve(settings)?)
    }
}

/// Runs the demo.
///
/// # Errors
/// When the node cannot be started or stopped, or a check fails.
pub async fn demo(args: DemoArgs) -> Result<(), CommandError> {
    let began = Instant::now();
    let run_for = args.run_for();
    let mut screen = Screen::new();
    screen.say("starting…");
    let rules = rules::write_below(&args.data_dir, STEP_MILLIS)?;
    let config = args.config(rules)?;
    let node = Node::start(config.clone()).await?;
    let ready = began.elapsed();
    let api = NodeApi::of(&node);
    tell_found(&screen, &node, &api, &args.data_dir, ready).await?;
    tell_addresses(&screen, &api);

    let timetable = if args.check { CHECKED } else { SHOWN };
    if node.state().recovery.series > 0 {
        screen
            .say("waiting for the next step, since this one may have values of the earlier start");
    }
    let mut running = Running::start(&node, timetable, args.seed).await?;
    screen.say(format_args!(
        "{} clients publish every {} s; Ctrl-C ends the demo and keeps its data",
        running.clients(),
        STEP_MILLIS / 1000
    ));
    let since = DateTime::from_timestamp_millis(running.start_millis());
    let step = Duration::from_millis(STEP_MILLIS.unsigned_abs());
    let mut watcher = Watcher::new(
        api.clone(),
        &args.data_dir,
        step,
        since.expect("the clock is set to a time that can be written"),
    );
    let until = Until {
        run_for,
        alert_within: args.check.then_some(CHECK_PATIENCE),
    };
    let interrupted = watch(&mut screen, &node, &mut running, &mut watcher, until).await?;
    screen.finish();

    screen.say("stopping: the fleet publishes what it has, the node takes it to disk");
    let finished = running.stop().await;
    if args.check && !interrupted {
        let finished = finished?;
        let seen = watcher.transitions();
        return check::verify(&screen, node, config, &api, &finished, seen).await;
    }
    if let Err(error) = &finished {
        screen.say(format_args!("not everything was acknowledged: {error}"));
    }
    stop(&screen, node, &args.data_dir).await?;
    match args.check {
        true => Err(CommandError::Other(
            "interrupted before the checks".to_owned(),
        )),
        false => Ok(()),
    }
}

/// When the demo ends by itself.
#[derive(Clone, Copy)]
struct Until {
    /// After this long.
    run_for: Option<Duration>,
    /// But not before the alert has come and gone, unless that takes so much longer.
    alert_within: Option<Duration>,
}

impl Until {
    fn is_over(self, elapsed: Duration, watcher: &Watcher) -> bool {
        let Some(run_for) = self.run_for else {
            return false;
        };
        let patience = self.alert_within.unwrap_or_default();
        let waits = elapsed < run_for + patience
            && !patience.is_zero()
            && !check::alert_came_and_went(watcher.transitions());
        elapsed >= run_for && !waits
    }
}

/// Looks at the node every second and tells what happens, until it is time to end; true when somebody ended it.
async fn watch(
    screen: &mut Screen,
    node: &Node,
    running: &mut Running,
    watcher: &mut Watcher,
    until: Until,
) -> Result<bool, CommandError> {
    let mut signalled: Pin<Box<_>> = Box::pin(stop_signal());
    let began = Instant::now();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            signal = &mut signalled => return signal.map(|()| true),
            _ = looks.tick() => {}
        }
        let noticed = watcher.look(node.state()).await;
        for event in running.events() {
            match event {
                Event::Begins(incident) => screen.say(format_args!("INCIDENT  {incident}")),
                Event::Ends(incident) => screen.say(format_args!("over      {}", incident.over())),
            }
        }
        for transition in noticed.transitions {
            match transition.to.as_str() {
                "firing" => screen.say(format_args!("ALERT     {}", transition.summary)),
                _ => screen.say(format_args!("resolved  {}", transition.summary)),
            }
        }
        if let Some(trouble) = noticed.trouble {
            screen.say(trouble);
        }
        screen.show(&noticed.figures);
        if until.is_over(began.elapsed(), watcher) {
            return Ok(false);
        }
    }
}

/// Tells what an earlier start has left.
async fn tell_found(
    screen: &Screen,
    node: &Node,
    api: &NodeApi,
    data_dir: &Path,
    ready: Duration,
) -> Result<(), CommandError> {
    let state = node.state();
    let millis = ready.as_millis();
    let place = data_dir.display();
    let (bytes, in_history) = state.history.size();
    if state.recovery.series == 0 && in_history == 0 {
        screen.say(format_args!(
            "ready in {millis} ms, with no data yet in {place}"
        ));
        return Ok(());
    }
    let now = Utc::now().timestamp_millis();
    let end_millis = now - now.rem_euclid(STEP_MILLIS) + STEP_MILLIS;
    let hot_window_millis = state.config.store.hot_window_millis;
    let recent = Range {
        start_millis: end_millis - hot_window_millis,
        end_millis,
        step_millis: STEP_MILLIS,
    };
    screen.say(format_args!(
        "ready in {millis} ms, with what an earlier start left in {place}: {} series, {} datapoints of the last {} hours; {} in history ({})",
        HumanCount(state.recovery.series as u64),
        HumanCount(api.datapoints(recent).await?),
        hot_window_millis / 3_600_000,
        HumanCount(in_history),
        BinaryBytes(bytes),
    ));
    Ok(())
}

fn tell_addresses(screen: &Screen, api: &NodeApi) {
    let base = api.base();
    let [first, ..] = &PANELS;
    screen.print("");
    screen.print(format_args!(
        "  open      {base}/?q={}&s=e-15m",
        first.program
    ));
    screen.print(format_args!(
        "  graph     {base}/api/v1/graph?q=name,sps,:eq,:sum&s=e-15m&format=csv"
    ));
    screen.print(format_args!("  alerts    {base}/api/v1/alerts"));
    screen.print(format_args!("  metrics   {base}/metrics"));
    screen.print("");
    for panel in &PANELS[1..] {
        screen.print(format_args!("  {:<46} {}", panel.title, panel.program));
    }
    screen.print("");
}

/// Stops the node and tells what it keeps.
async fn stop(screen: &Screen, node: Node, data_dir: &Path) -> Result<(), CommandError> {
    let series = node.state().hot.series_count() as u64;
    let stats = node.state().hot.stats();
    let taken = stats.taken.load(std::sync::atomic::Ordering::Relaxed);
    let history = node.state().history.clone();
    node.stop().await?;
    let (bytes, datapoints) = history.size();
    screen.say(format_args!(
        "stored {} datapoints of {} series; in {}: log {}, history {} with {} datapoints. The next start goes on from here",
        HumanCount(taken),
        HumanCount(series),
        data_dir.display(),
        BinaryBytes(bytes_in(&data_dir.join("log"))),
        BinaryBytes(bytes),
        HumanCount(datapoints),
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(check: bool, run_for: Option<Duration>) -> DemoArgs {
        DemoArgs {
            check,
            run_for,
            data_dir: "./hesper-demo".into(),
            http: "127.0.0.1:7101".to_owned(),
            grpc: "127.0.0.1:7102".to_owned(),
            seed: 1,
        }
    }

    #[test]
    fn a_check_takes_a_minute_unless_told_otherwise() {
        let run_for = |check, given| args(check, given).run_for();
        assert_eq!(run_for(false, None), None);
        assert_eq!(run_for(true, None), Some(CHECK_FOR));
        let given = Some(Duration::from_secs(90));
        assert_eq!(run_for(true, given), given);
    }
}
