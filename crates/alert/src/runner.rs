//! Evaluates rules at each time as it becomes due, and keeps what came of it.

use std::future::Future;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hesper_model::{Step, Timestamp};
use hesper_query::QueryEngine;
use parking_lot::RwLock;
use tracing::Instrument;

use crate::book::{Book, Transition};
use crate::error::AlertError;
use crate::evaluator::Evaluator;
use crate::phase::State;
use crate::rule::Rule;
use crate::rule_set::RuleSet;
use crate::schedule::{self, Next};
use crate::state_file;
use crate::stats::AlertStats;
use crate::status::AlertsStatus;

/// State that nothing has happened to is written this often, so that a restart knows which times were evaluated.
const SAVED_EVERY_MILLIS: i64 = 60_000;

/// Tells the current time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Evaluates rules and knows how their alerts stand.
pub struct AlertRunner {
    step: Step,
    rules: Vec<Rule>,
    clock: Clock,
    state_path: Option<PathBuf>,
    /// Held while a time is evaluated.
    evaluation: tokio::sync::Mutex<Evaluation>,
    known: RwLock<Known>,
    stats: AlertStats,
}

struct Evaluation {
    evaluator: Evaluator,
    /// The time evaluated last when the state was written, unless what has changed since is still to be written.
    saved: Option<Timestamp>,
}

struct Known {
    book: Book,
    /// How long each rule took last.
    elapsed: Vec<Duration>,
    state_error: Option<String>,
}

impl AlertRunner {
    /// A runner that goes on where the state file ends. Without a path nothing is kept, as for a back-test. The directory of the
    /// path has to be there; the file comes with the first evaluation.
    ///
    /// # Errors
    /// When the state cannot be read, or a rule does not fit the step of the store.
    pub fn new(
        engine: Arc<QueryEngine>,
        rules: RuleSet,
        state_path: Option<PathBuf>,
        clock: Clock,
    ) -> Result<Self, AlertError> {
        let step = engine.tiers().hot.step();
        let rules = rules.into_rules();
        for rule in &rules {
            rule.check_step(step)?;
        }
        let mut book = match &state_path {
            Some(path) => state_file::load(path)?.unwrap_or_default(),
            None => Book::default(),
        };
        let ended = book.take_rules(&rules, clock());
        log(&ended);
        let runner = Self {
            step,
            clock,
            state_path,
            evaluation: tokio::sync::Mutex::new(Evaluation {
                evaluator: Evaluator::new(engine, rules.len()),
                saved: book.evaluated().filter(|_| ended.is_empty()),
            }),
            known: RwLock::new(Known {
                book,
                elapsed: vec![Duration::ZERO; rules.len()],
                state_error: None,
            }),
            stats: AlertStats::default(),
            rules,
        };
        runner.count(&ended);
        Ok(runner)
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The counters.
    pub fn stats(&self) -> &AlertStats {
        &self.stats
    }

    /// How all rules and their alerts stand.
    pub fn status(&self) -> AlertsStatus {
        let known = self.known.read();
        AlertsStatus::of(
            &known.book,
            &self.rules,
            &known.elapsed,
            known.state_error.clone(),
        )
    }

    /// The last transitions, newest first; there are at most [`MAX_HISTORY`](crate::book::MAX_HISTORY).
    pub fn history(&self) -> Vec<Transition> {
        self.known.read().book.history().rev().cloned().collect()
    }

    /// The last time that was evaluated.
    pub fn evaluated(&self) -> Option<Timestamp> {
        self.known.read().book.evaluated()
    }

    /// Evaluates each time once it is due, until `shutdown` is ready. A time whose evaluation has begun is finished, and the state is
    /// written, before this returns.
    pub async fn run(self: Arc<Self>, shutdown: impl Future<Output = ()> + Send) {
        let mut shutdown = pin!(shutdown);
        loop {
            let wait = match schedule::next(self.evaluated(), (self.clock)(), self.step) {
                Next::Wait(wait) => wait,
                Next::SkipUntil(until) => {
                    self.skip_until(until).await;
                    Duration::ZERO
                }
                Next::Evaluate(at) => {
                    if let Err(error) = self.evaluate_at(at).await {
                        // Somebody else has evaluated it in the meantime.
                        tracing::warn!(%error, "alert rules were not evaluated");
                    }
                    Duration::ZERO
                }
            };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        let mut evaluation = self.evaluation.lock().await;
        self.save(&mut evaluation).await;
    }

    /// Evaluates all rules at a time, and writes the state if something has changed or a minute has passed. Gives the transitions, which
    /// are durable then unless the status says otherwise.
    ///
    /// A rule that fails keeps its state; the failure is in the status and the counters.
    ///
    /// # Errors
    /// When the time is no boundary of the step, or not after the last one.
    pub async fn evaluate_at(&self, at: Timestamp) -> Result<Vec<Transition>, AlertError> {
        let mut evaluation = self.evaluation.lock().await;
        if at.floor(self.step) != at {
            return Err(AlertError::OffStep {
                at,
                step: self.step,
            });
        }
        if let Some(evaluated) = self.evaluated().filter(|e| at <= *e) {
            return Err(AlertError::NotLater { at, evaluated });
        }
        let began = Instant::now();
        let in_error = |rule: &Rule| error_of(&self.known.read().book, rule).is_some();
        let evaluator = &mut evaluation.evaluator;
        let span = tracing::info_span!("alert rules", rules = self.rules.len(), at = at.millis());
        let outcomes = evaluator.evaluate(&self.rules, at, in_error);
        let outcomes = outcomes.instrument(span).await;
        let mut transitions = Vec::new();
        let mut errors = 0;
        {
            let known = &mut *self.known.write();
            let elapsed = known.elapsed.iter_mut();
            for ((rule, outcome), elapsed) in self.rules.iter().zip(outcomes).zip(elapsed) {
                let before = error_of(&known.book, rule).map(str::to_owned);
                *elapsed = outcome.elapsed;
                transitions.extend(known.book.apply(rule, at, outcome.answer));
                let error = error_of(&known.book, rule);
                errors += u64::from(error.is_some());
                // Once is enough: it stands in the status as long as it lasts.
                if let Some(error) = error.filter(|e| before.as_deref() != Some(*e)) {
                    tracing::warn!(rule = rule.name(), error, "alert rule fails");
                }
            }
            known.book.set_evaluated(at);
        }
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        AlertStats::add(&self.stats.evaluations, self.rules.len() as u64);
        AlertStats::add(&self.stats.errors, errors);
        AlertStats::add(&self.stats.evaluation_micros, micros);
        AlertStats::set(&self.stats.last_evaluation_micros, micros);
        self.count(&transitions);
        log(&transitions);
        let is_old = |saved: Timestamp| at.millis() - saved.millis() >= SAVED_EVERY_MILLIS;
        if !transitions.is_empty() || evaluation.saved.is_none_or(is_old) {
            self.save(&mut evaluation).await;
        }
        Ok(transitions)
    }

    async fn skip_until(&self, until: Timestamp) {
        let mut evaluation = self.evaluation.lock().await;
        let transitions = {
            let book = &mut self.known.write().book;
            let evaluated = book.evaluated().unwrap_or(until);
            let skipped = (until.millis() - evaluated.millis()) / self.step.millis();
            tracing::warn!(
                skipped,
                "alert rules were not evaluated for too long; the oldest times are passed over"
            );
            AlertStats::add(&self.stats.skipped_times, skipped.max(0).unsigned_abs());
            book.skip(&self.rules, until)
        };
        self.count(&transitions);
        log(&transitions);
        self.save(&mut evaluation).await;
    }

    /// Writes the state; whoever holds the evaluation is the only one to do so.
    async fn save(&self, evaluation: &mut Evaluation) {
        let Some(path) = self.state_path.clone() else {
            return;
        };
        let (evaluated, bytes) = {
            let book = &self.known.read().book;
            (book.evaluated(), state_file::encode(book))
        };
        let written = tokio::task::spawn_blocking(move || {
            let bytes = bytes.map_err(|source| AlertError::WriteState {
                path: path.clone(),
                source,
            })?;
            state_file::save(&path, &bytes)
        });
        let error = match written.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(format!("cannot write the alert state: {error}")),
        };
        evaluation.saved = evaluated.filter(|_| error.is_none());
        if let Some(error) = &error {
            tracing::error!(error, "alerts may fire once more after a restart");
            AlertStats::add(&self.stats.save_errors, 1);
        }
        self.known.write().state_error = error;
    }

    fn count(&self, transitions: &[Transition]) {
        AlertStats::add(&self.stats.transitions, transitions.len() as u64);
        let book = &self.known.read().book;
        let set = |gauge: &std::sync::atomic::AtomicU64, state| {
            gauge.store(book.count(state) as u64, Ordering::Relaxed);
        };
        set(&self.stats.firing, State::Firing);
        set(&self.stats.pending, State::Pending);
    }
}

/// Why the last evaluation of a rule failed, if it did.
fn error_of<'a>(book: &'a Book, rule: &Rule) -> Option<&'a str> {
    let record = book.rule(rule.name()).filter(|r| r.in_error)?;
    record.last_error.as_ref().map(|e| e.message.as_str())
}

fn log(transitions: &[Transition]) {
    for t in transitions {
        let (rule, group, summary) = (&t.rule, t.group.to_string(), &t.summary);
        match t.to {
            State::Firing => tracing::warn!(rule, group, summary, "alert fires"),
            State::Resolved => tracing::info!(rule, group, summary, "alert is resolved"),
            State::Pending | State::Inactive => {
                tracing::debug!(rule, group, summary, to = ?t.to, "alert changes");
            }
        }
    }
}
