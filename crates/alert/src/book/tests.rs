use super::*;
use crate::phase::Delays;
use crate::rule::RuleDefinition;
use hesper_model::DataSource;
use hesper_stack::{ResultSet, TimeSeries};
use proptest::prelude::*;
use std::time::Duration;

fn rule(no_data: NoData, minutes: u64) -> Rule {
    let mut definition = RuleDefinition::new("slow", "name,a,:eq,(,app,),:by,5,:gt");
    definition.no_data = no_data;
    definition.summary = Some("$(app) is slow".to_owned());
    definition.delays = Delays {
        before_firing: Duration::from_secs(minutes * 60),
        before_resolving: Duration::ZERO,
    };
    Rule::new(definition).expect("a valid rule")
}

fn minute(i: usize) -> Timestamp {
    Timestamp::from_secs(i as i64 * 60)
}

fn tags(app: &str) -> Tags {
    Tags::from_pairs([("app", app)])
}

/// Apps with their signals: `+` on, `-` off, `n` a line without a value, `.` no line.
fn answer(rule: &Rule, signals: &[(&str, char)]) -> Answer {
    let set = |value: fn(char) -> Option<f64>| {
        let series = signals.iter().filter_map(|(app, c)| {
            let values = vec![value(*c)?];
            Some(TimeSeries::new(tags(app), DataSource::Gauge, values))
        });
        ResultSet {
            series: series.collect(),
            messages: Vec::new(),
        }
    };
    let lines = set(|c| match c {
        '+' => Some(1.0),
        '-' => Some(0.0),
        'n' => Some(f64::NAN),
        _ => None,
    });
    let inputs = set(|c| matches!(c, '+' | '-').then_some(3.0));
    Answer::new(rule, &lines, &[inputs])
}

/// The states of the groups after each minute, one text a minute: `x:firing y:pending`.
fn run(book: &mut Book, rule: &Rule, apps: &[(&str, &str)]) -> Vec<String> {
    book.take_rules(std::slice::from_ref(rule), Timestamp(0));
    let minutes = apps[0].1.len();
    let first = book
        .evaluated()
        .map_or(0, |t| t.millis() as usize / 60_000 + 1);
    (0..minutes)
        .map(|i| {
            let at = |signals: &str| signals.as_bytes()[i] as char;
            let signals: Vec<_> = apps.iter().map(|(app, s)| (*app, at(s))).collect();
            book.apply(rule, minute(first + i), Ok(answer(rule, &signals)));
            book.set_evaluated(minute(first + i));
            states(book)
        })
        .collect()
}

fn states(book: &Book) -> String {
    let groups = book.rule("slow").expect("taken").groups.values();
    let shown = groups.map(|g| {
        let app = g.group.get("app").unwrap_or("*");
        format!("{app}:{:?}", g.phase.state()).to_lowercase()
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_group_that_is_gone_is_resolved() {
    let mut book = Book::default();
    let states = run(
        &mut book,
        &rule(NoData::Ok, 0),
        &[("x", "-+.."), ("y", "-+n-")],
    );
    assert_eq!(
        states,
        [
            "",
            "x:firing y:firing",
            "x:resolved y:resolved",
            "x:resolved y:resolved"
        ]
    );
    let transitions: Vec<_> = book.history().filter(|t| t.group == tags("x")).collect();
    assert_eq!(transitions[0].summary, "x is slow");
    assert_eq!(transitions[0].value, Some(1.0));
    assert_eq!((transitions[1].at, transitions[1].value), (minute(2), None));
    assert_eq!(transitions[1].reason.as_deref(), Some("there is no data"));
}

#[test]
fn what_was_resolved_is_shown_for_a_while() {
    let mut book = Book::default();
    let rule = rule(NoData::Ok, 0);
    let signals = format!("+{}", "-".repeat(61));
    let states = run(&mut book, &rule, &[("x", &signals)]);
    assert_eq!(states[60], "x:resolved");
    assert_eq!(states[61], "");
    assert_eq!(book.history().len(), 2);
}

#[test]
fn missing_data_can_be_an_alert() {
    let mut book = Book::default();
    let states = run(
        &mut book,
        &rule(NoData::Alert, 1),
        &[("x", "---...-"), ("y", "--.-+--")],
    );
    assert_eq!(
        states,
        [
            "x:inactive y:inactive",
            "x:inactive y:inactive",
            "x:inactive y:pending",
            "x:pending y:inactive",
            "x:firing y:pending",
            "x:firing y:inactive",
            "x:resolved y:inactive",
        ]
    );
}

#[test]
fn without_any_data_ever_the_rule_itself_alerts() {
    let mut book = Book::default();
    let rule = rule(NoData::Alert, 0);
    let states = run(&mut book, &rule, &[("x", "..-..")]);
    assert_eq!(
        states,
        [
            "*:firing",
            "*:firing",
            "*:resolved x:inactive",
            // Now a group is known that is missed.
            "*:resolved x:firing",
            "*:resolved x:firing",
        ]
    );
    let first = book.history().next().expect("a transition");
    assert_eq!(first.summary, "app is slow");
    assert!(first.group.is_empty());
}

#[test]
fn a_group_that_is_gone_for_a_day_is_forgotten_if_others_are_there() {
    let mut book = Book::default();
    let rule = rule(NoData::Alert, 0);
    run(&mut book, &rule, &[("x", "-."), ("y", "--")]);
    let day = FORGOTTEN_AFTER_MILLIS as usize / 60_000;
    book.apply(&rule, minute(day - 1), Ok(answer(&rule, &[("y", '-')])));
    assert_eq!(states(&book), "x:firing y:inactive");
    book.apply(&rule, minute(day), Ok(answer(&rule, &[])));
    assert_eq!(states(&book), "x:firing y:firing", "nobody is left");
    book.apply(&rule, minute(day + 1), Ok(answer(&rule, &[("y", '-')])));
    assert_eq!(states(&book), "x:resolved y:resolved");
    let last = book
        .history()
        .find(|t| t.group == tags("x") && t.to == State::Resolved);
    let reason = last.expect("forgotten").reason.as_deref();
    assert_eq!(reason, Some("it had no data for a day"));
    book.apply(&rule, minute(day + 61), Ok(answer(&rule, &[("y", '-')])));
    assert_eq!(states(&book), "y:inactive");
}

#[test]
fn missing_data_can_leave_things_as_they_are() {
    let mut book = Book::default();
    let states = run(
        &mut book,
        &rule(NoData::Keep, 1),
        &[("x", "+.+.n-"), ("y", "......")],
    );
    assert_eq!(
        states,
        [
            "x:pending",
            "x:pending",
            "x:firing",
            "x:firing",
            "x:firing",
            "x:resolved"
        ]
    );
}

#[test]
fn an_error_changes_nothing_and_is_remembered() {
    let mut book = Book::default();
    let rule = rule(NoData::Ok, 0);
    run(&mut book, &rule, &[("x", "+")]);
    let transitions = book.apply(&rule, minute(1), Err("the disk is gone".to_owned()));
    assert!(transitions.is_empty());
    assert_eq!(states(&book), "x:firing");
    let record = book.rule("slow").expect("taken").clone();
    assert!(record.in_error);
    assert_eq!(record.evaluated, Some(minute(0)));
    let message = record.last_error.expect("an error").message;
    assert_eq!(message, "the disk is gone");
    book.apply(&rule, minute(2), Ok(answer(&rule, &[("x", '-')])));
    let record = book.rule("slow").expect("taken");
    assert!(!record.in_error && record.last_error.is_some());
}

#[test]
fn groups_end_with_their_rule() {
    let mut book = Book::default();
    let (slow, later) = (rule(NoData::Ok, 0), minute(9));
    run(&mut book, &slow, &[("x", "+"), ("y", "-")]);
    let mut definition = slow.definition().clone();
    definition.expr = "name,a,:eq,(,app,),:by,7,:gt".to_owned();
    let same_groups = Rule::new(definition.clone()).expect("valid");
    assert_eq!(book.take_rules(&[same_groups], later), []);
    definition.expr = "name,a,:eq,(,app,zone,),:by,7,:gt".to_owned();
    let other_groups = Rule::new(definition).expect("valid");
    let mut copy = book.clone();
    for (rules, reason) in [
        (vec![other_groups], "the rule groups by other keys now"),
        (vec![], "the rule is gone"),
    ] {
        let transitions = copy.take_rules(&rules, later);
        assert_eq!(transitions.len(), 1);
        assert_eq!(
            (transitions[0].from, transitions[0].to),
            (State::Firing, State::Resolved)
        );
        assert_eq!(transitions[0].reason.as_deref(), Some(reason));
        assert_eq!(copy.count(State::Firing), 0);
        copy = book.clone();
    }
}

#[test]
fn what_is_pending_begins_anew_after_a_gap() {
    let mut book = Book::default();
    let rule = rule(NoData::Ok, 2);
    run(&mut book, &rule, &[("x", "++"), ("y", "..")]);
    let transitions = book.skip(std::slice::from_ref(&rule), minute(500));
    assert_eq!(transitions.len(), 1);
    assert_eq!(book.evaluated(), Some(minute(500)));
    let after = run(&mut book, &rule, &[("x", "+++")]);
    assert_eq!(after, ["x:pending", "x:pending", "x:firing"]);
}

#[test]
fn history_and_groups_are_bounded() {
    let mut book = Book::default();
    let rule = rule(NoData::Ok, 0);
    run(&mut book, &rule, &[("x", &"+-".repeat(600))]);
    assert_eq!(book.history().len(), MAX_HISTORY);
    let last = book.history().next_back().expect("a transition");
    assert_eq!(last.at, minute(1199));

    let mut book = Book::default();
    book.take_rules(std::slice::from_ref(&rule), Timestamp(0));
    let names: Vec<String> = (0..MAX_GROUPS + 5).map(|i| i.to_string()).collect();
    let signals: Vec<_> = names.iter().map(|n| (n.as_str(), '+')).collect();
    book.apply(&rule, minute(2000), Ok(answer(&rule, &signals)));
    let record = book.rule("slow").expect("taken");
    assert_eq!(record.groups.len(), MAX_GROUPS);
    assert!(record.in_error);
    let message = &record.last_error.as_ref().expect("an error").message;
    assert!(
        message.starts_with("5 groups are not followed"),
        "{message}"
    );
}

fn policy() -> impl Strategy<Value = NoData> {
    prop_oneof![Just(NoData::Ok), Just(NoData::Alert), Just(NoData::Keep)]
}

/// Minutes of signals for three apps; `None` is an error.
fn minutes() -> impl Strategy<Value = Vec<Option<[char; 3]>>> {
    let signal = prop_oneof![3 => Just('+'), 3 => Just('-'), 1 => Just('n'), 2 => Just('.')];
    let signals = [signal.clone(), signal.clone(), signal];
    let minute = prop_oneof![8 => signals.prop_map(Some), 1 => Just(None)];
    prop::collection::vec(minute, 1..40)
}

fn apply(book: &mut Book, rule: &Rule, i: usize, signals: &Option<[char; 3]>) -> Vec<Transition> {
    let answer = match signals {
        Some([x, y, z]) => Ok(answer(rule, &[("x", *x), ("y", *y), ("z", *z)])),
        None => Err("no answer".to_owned()),
    };
    let transitions = book.apply(rule, minute(i), answer);
    book.set_evaluated(minute(i));
    transitions
}

proptest! {
    #[test]
    fn a_restart_at_any_time_changes_nothing(
        minutes in minutes(),
        no_data in policy(),
        before_firing in 0u64..4,
        restarts in prop::collection::vec(any::<bool>(), 40),
    ) {
        let rule = rule(no_data, before_firing);
        let rules = std::slice::from_ref(&rule);
        let (mut steady, mut restarted) = (Book::default(), Book::default());
        steady.take_rules(rules, Timestamp(0));
        restarted.take_rules(rules, Timestamp(0));
        for (i, signals) in minutes.iter().enumerate() {
            if restarts[i] {
                let text = serde_json::to_string(&restarted).expect("plain data");
                restarted = serde_json::from_str(&text).expect("just written");
                prop_assert_eq!(restarted.take_rules(rules, minute(i)), []);
            }
            let (a, b) = (apply(&mut steady, &rule, i, signals), apply(&mut restarted, &rule, i, signals));
            prop_assert_eq!(a, b);
        }
        prop_assert_eq!(steady, restarted);
    }

    #[test]
    fn missing_data_never_change_what_is_kept(minutes in minutes(), before_firing in 0u64..4) {
        let rule = rule(NoData::Keep, before_firing);
        let mut book = Book::default();
        book.take_rules(std::slice::from_ref(&rule), Timestamp(0));
        for (i, signals) in minutes.iter().enumerate() {
            let transitions = apply(&mut book, &rule, i, signals);
            for (app, place) in [("x", 0), ("y", 1), ("z", 2)] {
                let has_data = signals.is_some_and(|s| matches!(s[place], '+' | '-'));
                let changed = transitions.iter().any(|t| t.group == tags(app));
                prop_assert!(has_data || !changed, "{app} at {i}");
            }
        }
    }

    #[test]
    fn an_alert_fires_after_its_time_and_once(minutes in minutes(), no_data in policy(), before_firing in 0u64..4) {
        let rule = rule(no_data, before_firing);
        let mut book = Book::default();
        book.take_rules(std::slice::from_ref(&rule), Timestamp(0));
        let mut state: BTreeMap<Tags, State> = BTreeMap::new();
        for (i, signals) in minutes.iter().enumerate() {
            for t in apply(&mut book, &rule, i, signals) {
                let before = state.insert(t.group.clone(), t.to).unwrap_or(State::Inactive);
                prop_assert_eq!(t.from, before);
                if t.to == State::Firing {
                    let group = &book.rule("slow").expect("taken").groups[&t.group];
                    let Phase::Firing { since, starts_at, .. } = group.phase else {
                        panic!("{group:?}");
                    };
                    prop_assert_eq!(starts_at, minute(i));
                    prop_assert!(minute(i).millis() - since.millis() >= before_firing as i64 * 60_000);
                }
            }
        }
        let firing = state.values().filter(|s| **s == State::Firing).count();
        prop_assert_eq!(book.count(State::Firing), firing);
    }
}
