//! Properties of whole programs: nothing makes the machine panic or run away, and what it builds prints as a program that builds it again.

#[path = "programs/found.rs"]
mod found;

use std::collections::HashMap;

use found::found_for;
use hesper_model::{DataSource, Step, Tags, Timestamp};
use hesper_stack::interpreter::run;
use hesper_stack::interpreter::trace::trace;
use hesper_stack::parse::{queries_of, suggestions};
use hesper_stack::value::Value;
use hesper_stack::{
    DataGroup, EvalContext, EvalState, GraphOptions, TimeSeries, Vocabulary, data_result, evaluate,
    evaluate_chunk, normalize, parse_graph,
};
use proptest::prelude::*;

fn full() -> &'static Vocabulary {
    Vocabulary::full()
}

/// Programs that leave one query.
fn a_query() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[a-c]",
        "nf\\.app",
        Just("a b".to_owned()),
        Just("a\\u002cb".to_owned()),
        Just("\\u003ax".to_owned()),
        Just("\\u0028".to_owned()),
        Just("\\d\\u005cu0041".to_owned()),
    ];
    let clause = (text.clone(), text, 0..12usize).prop_map(|(k, v, word)| match word {
        0 => format!("{k},:has"),
        1 => format!("{k},(,{v},b,),:in"),
        2 => ":true".to_owned(),
        3 => format!(
            "{k},x[ab].*{},:re",
            if v.len() == 1 { v } else { String::new() }
        ),
        4 => format!("{k},{v},:contains"),
        5 => format!("{k},{v},:lt"),
        _ => format!("{k},{v},:eq"),
    });
    clause.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a},{b},:and")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a},{b},:or")),
            inner.prop_map(|a| format!("{a},:not")),
        ]
    })
}

/// Programs that leave one expression, or fail: operands of binary operators may not go together.
fn an_expression() -> impl Strategy<Value = String> {
    // Grouping by no key at all does not show in what a rewrite prints.
    let keys = || prop_oneof!["\\(,[a-c],\\)", "\\(,a,b,\\)"];
    let leaf = prop_oneof![
        a_query(),
        (a_query(), "sum|count|min|max|all").prop_map(|(q, word)| format!("{q},:{word}")),
        (a_query(), keys()).prop_map(|(q, keys)| format!("{q},{keys},:by")),
        (a_query(), "dist-avg|dist-max").prop_map(|(q, word)| format!("{q},:{word}")),
        // Elsewhere a consolidation may expand what prints shorter, to the same effect.
        (a_query(), "sum|count|min|max", "avg|sum|min|max")
            .prop_map(|(q, word, cf)| format!("{q},:{word},:cf-{cf}")),
        (a_query(), "avg|sum|min|max")
            .prop_map(|(q, cf)| format!("{q},(,99,),:percentiles,:cf-{cf}")),
        a_query().prop_map(|q| format!("{q},(,90,5.5,),:percentiles")),
        "-?[0-9]{1,3}(\\.[0-9])?(e-?[0-9])?",
    ];
    leaf.prop_recursive(4, 12, 2, move |inner| {
        let binary = "add|sub|mul|div|pow|gt|ge|lt|le|fadd|fsub|fmul|fdiv|and|or";
        let unary = "abs|neg|sin|sqrt|per-step|sum|count|min|max|avg|pct";
        let with_operand = prop_oneof![
            Just("5,:clamp-min"),
            Just("1e10,:clamp-max"),
            Just("a,b,:as"),
            Just("3,:rolling-count"),
            Just("1h,:offset"),
            Just("90s,:offset"),
            Just("a,x,:eq,:cq"),
            Just("max,:stat"),
            Just(":stat-max,5,:gt,:stat-avg,3,:lt,:or,:filter"),
            Just(":dup,min,:stat,:over,:gt,:filter"),
            Just("last,3,:topk"),
            Just("total,2,:bottomk-others-avg"),
            Just("avg,90s,:consolidate"),
        ];
        prop_oneof![
            2 => (inner.clone(), inner.clone(), binary).prop_map(|(a, b, word)| format!("{a},{b},:{word}")),
            2 => (inner.clone(), unary).prop_map(|(a, word)| format!("{a},:{word}")),
            2 => (inner.clone(), with_operand).prop_map(|(a, word)| format!("{a},{word}")),
            1 => (inner, keys(), "by|cg").prop_map(|(a, keys, word)| format!("{a},{keys},:{word}")),
        ]
    })
}

/// Programs without rhyme or reason.
fn soup() -> impl Strategy<Value = String> {
    let words: Vec<String> = full().words().map(|w| format!(":{}", w.name())).collect();
    let literals: Vec<String> = [
        "a", "b", "name", "1", "-1", "0.5", "1e400", "NaN", "3", "(", "(", ")", ")", ":nope", "5m",
        "PT1H", "x[", ".*x", "$(a)", "f00", "avg", "\\u002c", "é", "%s%5d", "tz",
    ]
    .map(str::to_owned)
    .to_vec();
    let query = Just("name,a,:eq".to_owned());
    let token = prop_oneof![
        3 => proptest::sample::select(words),
        3 => proptest::sample::select(literals),
        2 => query,
    ];
    proptest::collection::vec(token, 0..40).prop_map(|tokens| tokens.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_a_program_builds_prints_as_a_program_that_builds_it(program in an_expression()) {
        let Ok(stack) = run(&program, full()) else {
            return Ok(());
        };
        prop_assert_eq!(stack.len(), 1);
        let printed = stack[0].to_string();
        let again = run(&printed, full());
        prop_assert!(again.is_ok(), "{} does not run: {:?}", printed, again);
        let again = again.expect("just checked");
        prop_assert_eq!(again.len(), 1);
        prop_assert_eq!(again[0].to_string(), printed);
        // What is displayed of a rewrite may differ in its offset, but never what is evaluated.
        if let (Value::Expr(before), Value::Expr(after)) = (&stack[0], &again[0]) {
            prop_assert_eq!(before.data_exprs(), after.data_exprs());
            // Whether a rewrite was grouped once more by the same keys does not show in Atlas either.
            if !program.contains(":avg") {
                prop_assert_eq!(before.final_grouping(), after.final_grouping());
            }
        }
    }

    #[test]
    fn normal_form_is_final(program in an_expression()) {
        // Below a double negation Atlas leaves a query as it is, the first time.
        if program.contains(":not") {
            return Ok(());
        }
        let Ok(normal) = normalize(&program, full()) else {
            return Ok(());
        };
        prop_assert_eq!(normalize(&normal.join(","), full()), Ok(normal));
    }

    #[test]
    fn nothing_makes_the_machine_panic(program in soup()) {
        let _ = trace(&program, full());
        let _ = normalize(&program, full());
        let _ = queries_of(&program, full());
        let Ok(exprs) = parse_graph(&program, &GraphOptions::default()) else {
            return Ok(());
        };
        let ctx = EvalContext {
            start: Timestamp(0),
            end: Timestamp(180_000),
            step: Step::from_secs(60),
        };
        for style in exprs {
            let _ = evaluate(&style.expr, &ctx, &found_for(&style, &ctx));
        }
    }
}

fn error_of(program: &str) -> String {
    run(program, full()).expect_err("refused").to_string()
}

#[test]
fn growth_is_limited() {
    let too_large = "IllegalStateException: expression is too large";
    let doubled = format!("name,a,:eq{}", ",:dup,:add".repeat(60));
    assert!(error_of(&doubled).starts_with(too_large));
    let doubled = format!("name,a,:eq{}", ",:dup,:and".repeat(60));
    assert!(error_of(&doubled).starts_with(too_large));
    let averaged = format!("name,a,:eq{}", ",:avg".repeat(60));
    assert!(error_of(&averaged).starts_with(too_large));
    let narrowed = format!(
        "name,a,:eq,:dup,:add{}",
        ",name,a,:eq,:dup,:and,:cq,:dup,:add".repeat(40)
    );
    assert!(error_of(&narrowed).starts_with(too_large));
    let listed = format!("a{}", ",:dup,:list".repeat(60));
    assert!(error_of(&listed).starts_with("IllegalStateException: list is too large"));
    let filtered = format!(
        "name,a,:eq{}",
        ",:stat-max,:stat-min,:add,:filter".repeat(60)
    );
    assert!(error_of(&filtered).starts_with(too_large));
    let styled = format!("1{}", format!(",{},b,:s", "a".repeat(100)).repeat(700));
    assert!(
        error_of(&styled)
            .starts_with("IllegalStateException: settings of an expression are too long")
    );
    let formatted = format!("a{}", ",:dup,2,:nlist,%s%s,:swap,:format".repeat(60));
    assert!(error_of(&formatted).starts_with("IllegalStateException: text is too long"));
    let many = vec!["a"; 1025].join(",");
    assert_eq!(
        error_of(&many),
        "IllegalStateException: stack overflow: stack size exceeds limit of 1024"
    );
    assert_eq!(
        error_of(&format!("(,{many},)")),
        "IllegalStateException: stack overflow: list size exceeds limit of 1024"
    );
}

#[test]
fn running_time_is_limited() {
    assert_eq!(
        error_of("fn,(,fn,:fcall,),:set,fn,:fcall"),
        "IllegalStateException: looping detected"
    );
    let items = vec!["a"; 1000].join(",");
    let mut body = ":drop".to_owned();
    for _ in 0..3 {
        body = format!(":drop,i,:get,(,{body},),:each");
    }
    assert!(
        error_of(&format!("i,(,{items},),:set,a,{body}"))
            .starts_with("IllegalStateException: program runs too long")
    );
    let rewritten = format!(
        "name,a,:eq,:dist-avg{}{}",
        ",:dup,:add".repeat(9),
        ",:true,:cq".repeat(400)
    );
    assert!(error_of(&rewritten).starts_with("IllegalStateException: program runs too long"));
    let large = format!("name,a,:eq{}", ",:dup,:add".repeat(12));
    let many = format!("{large}{}", ",:dup".repeat(500));
    let refused = parse_graph(&many, &GraphOptions::default()).expect_err("too large a graph");
    assert!(refused.message().starts_with("expressions are too large"));
    let offsets = format!("{large},(,{},),:offset", vec!["1h"; 500].join(","));
    let refused = parse_graph(&offsets, &GraphOptions::default()).expect_err("too large a graph");
    assert!(refused.message().starts_with("expressions are too large"));
    let traced = trace(&format!("{large}{}", ",:dup".repeat(2000)), full());
    assert!(
        traced
            .expect_err("refused")
            .message()
            .contains("too large to be traced")
    );
}

#[test]
fn the_deepest_trees_fit_a_small_stack() {
    let deep = [
        format!("name,a,:eq,:sum{}", ",:neg".repeat(490)),
        format!("name,a,:eq{},:sum", ",b,c,:eq,:or".repeat(490)),
        format!("name,a,:eq{},:sum", ",:not".repeat(490)),
        format!("name,a,:eq,:sum{}", ",1,:add".repeat(490)),
        format!("name,a,:eq,(,k,),:by{}", ",a,b,:as".repeat(490)),
        format!("name,a,:eq,:sum{}", ",max,:stat".repeat(490)),
        format!("name,a,:eq,:sum{}", ",1,:filter".repeat(490)),
        format!("name,a,:eq,:sum{}", ",max,1,:topk-others-sum".repeat(490)),
        format!("name,a,:eq,:sum{}", ",avg,5m,:consolidate".repeat(490)),
    ];
    let small = std::thread::Builder::new().stack_size(1024 * 1024);
    let thread = small.spawn(move || {
        for program in &deep {
            let exprs = parse_graph(program, &GraphOptions::default()).expect("deep, not too deep");
            let printed = exprs[0].to_string();
            assert!(run(&printed, full()).is_ok());
            let narrowed = GraphOptions {
                common_query: Some("x,y,:eq"),
                ..GraphOptions::default()
            };
            assert!(parse_graph(program, &narrowed).is_ok());
            let _ = normalize(program, full());
            let ctx = EvalContext {
                start: Timestamp(0),
                end: Timestamp(60_000),
                step: Step::from_secs(60),
            };
            let found = found_for(&exprs[0], &ctx);
            assert!(evaluate(&exprs[0].expr, &ctx, &found).is_ok());
            assert!(exprs[0].expr.with_offset(1).is_grouped() == exprs[0].expr.is_grouped());
        }
    });
    assert!(thread.expect("a thread").join().is_ok());
    assert!(error_of(&format!("name,a,:eq,:sum{}", ",:neg".repeat(501))).contains("too large"));
}

#[test]
fn chunks_add_up_to_the_whole() {
    let range = |from: i64, to: i64| EvalContext {
        start: Timestamp(from * 60_000),
        end: Timestamp(to * 60_000),
        step: Step::from_secs(60),
    };
    // One series is not there for a whole chunk.
    let value = |k: &str, i: i64| match (k, i) {
        ("y", 4..8) => f64::NAN,
        _ => (i % 3) as f64,
    };
    let values = |series: &[TimeSeries], k: &str, cells: usize| -> Vec<f64> {
        let found = series.iter().find(|s| s.tags.get("k") == Some(k));
        found.map_or(vec![f64::NAN; cells], |s| s.values.clone())
    };
    let steady = "name,a,:eq,(,k,),:by,:dup,3,:rolling-count,:add,5,:rolling-count";
    for (program, k) in [
        (steady, "x"),
        ("name,a,:eq,(,k,),:by,6,:rolling-count", "y"),
    ] {
        let style = parse_graph(program, &GraphOptions::default())
            .expect("valid")
            .remove(0);
        let expr = style.expr.data_exprs().remove(0);
        let find = |ctx: &EvalContext| {
            let groups = ["x", "y"].map(|k| DataGroup {
                tags: Tags::from_pairs([("k", k)]),
                source: DataSource::Gauge,
                values: ctx.times().map(|t| value(k, t.millis() / 60_000)).collect(),
            });
            HashMap::from([(expr.clone(), data_result(&expr, groups.to_vec(), ctx))])
        };
        let whole = range(0, 12);
        let want = evaluate(&style.expr, &whole, &find(&whole)).expect("valid");
        let want = values(&want.series, k, 12);
        let mut state = EvalState::default();
        for from in [0, 4, 8] {
            let ctx = range(from, from + 4);
            let part = evaluate_chunk(&style.expr, &ctx, &find(&ctx), &mut state).expect("valid");
            let got = values(&part.series, k, 4);
            if got.iter().all(|v| !v.is_nan()) {
                assert_eq!(got, want[from as usize..][..4], "{program} from {from}");
            } else {
                assert_eq!((k, from), ("y", 4));
            }
            // The state survives being written out.
            let text = serde_json::to_string(&state).expect("plain data");
            state = serde_json::from_str(&text).expect("just written");
        }
    }
}

#[test]
fn suggestions_follow_the_stack() {
    let names = |program| -> Vec<String> {
        let words = suggestions(program, full()).expect("valid");
        words.iter().map(|w| w.name().to_owned()).collect()
    };
    assert!(names("a,b").iter().any(|n| n == "eq"));
    assert!(names("name,a,:eq,:sum,f00").iter().any(|n| n == "color"));
}
