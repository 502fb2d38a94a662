//! Properties of whole programs: nothing makes the machine panic or run away, and what it builds prints as a program that builds it again.

#[path = "programs/found.rs"]
mod found;

use std::collections::HashMap;

use found::found_for;
use hesper_model::{DataSource, Step, Tags, Timestamp};
use hesper_stack::expr::StyleExpr;
use hesper_stack::interpreter::run;
use hesper_stack::interpreter::trace::trace;
use hesper_stack::parse::{queries_of, suggestions};
use hesper_stack::value::Value;
use hesper_stack::{
    DataGroup, EvalContext, EvalState, GraphOptions, Vocabulary, data_result, evaluate,
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
        (
            a_query(),
            "dist-avg|dist-max|dist-stddev|node-avg|sample-count"
        )
            .prop_map(|(q, word)| format!("{q},:{word}")),
        // Elsewhere a consolidation may expand what prints shorter, to the same effect.
        (a_query(), "sum|count|min|max", "avg|sum|min|max")
            .prop_map(|(q, word, cf)| format!("{q},:{word},:cf-{cf}")),
        (a_query(), "avg|sum|min|max")
            .prop_map(|(q, cf)| format!("{q},(,99,),:percentiles,:cf-{cf}")),
        a_query().prop_map(|q| format!("{q},(,90,5.5,),:percentiles")),
        a_query().prop_map(|q| format!("{q},0.5,2,:sample-count")),
        "(:random|7,:srandom|hourOfDay,:time|e-5m,ge,:time-span)",
        "-?[0-9]{1,3}(\\.[0-9])?(e-?[0-9])?",
    ];
    leaf.prop_recursive(4, 12, 2, move |inner| {
        let binary = "add|sub|mul|div|pow|gt|ge|lt|le|fadd|fsub|fmul|fdiv|and|or";
        let unary = "abs|neg|sin|sqrt|per-step|sum|count|min|max|avg|pct|stddev|cos|integral|derivative|des-fast|approx-distinct";
        let with_operand = prop_oneof![
            Just("5,:clamp-min"),
            Just("1e10,:clamp-max"),
            Just("a,b,:as"),
            Just("3,:rolling-count"),
            Just("5,2,:rolling-mean"),
            Just("2,0.1,1e-5,:sdes"),
            Just("90s,:trend"),
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
            // Nor does whether `:cg` has reached what a configured average divides by.
            let hidden = program.contains(":cg")
                && (program.contains(":node-avg") || program.contains(":eureka-avg"));
            if !hidden {
                prop_assert_eq!(before.data_exprs(), after.data_exprs());
            }
            // Whether a rewrite was grouped once more by the same keys does not show in Atlas either.
            if !program.contains(":avg") && !hidden {
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
        format!("name,a,:eq,:sum{}", ",:integral".repeat(490)),
        format!(
            "name,a,:eq,:sum{},:approx-distinct",
            ",2,:delay".repeat(480)
        ),
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
            // What is found has no names of registers.
            let estimated = program.ends_with("distinct");
            assert!(evaluate(&exprs[0].expr, &ctx, &found).is_ok() != estimated);
            assert!(exprs[0].expr.with_offset(1).is_grouped() == exprs[0].expr.is_grouped());
        }
    });
    assert!(thread.expect("a thread").join().is_ok());
    assert!(error_of(&format!("name,a,:eq,:sum{}", ",:neg".repeat(501))).contains("too large"));
}

/// What is followed from one chunk to the next, by itself and together.
const FOLLOWED: [&str; 16] = [
    "3,:delay",
    "4,:rolling-count",
    "3,:rolling-min",
    "5,:rolling-max",
    "5,2,:rolling-mean",
    "4,:rolling-sum",
    "2,0.3,0.2,:des",
    "-1,0.3,0.2,:des",
    "3,0.3,0.2,:sdes",
    "4m,:trend",
    "1m,:trend",
    ":integral",
    ":cumulative-max",
    ":derivative",
    ":dup,3,:rolling-sum,:add,2,:delay,2,0.1,0.5,:sdes",
    "gs+1m,ge,:time-span,:mul,3,:rolling-count",
];

const MINUTE: i64 = 60_000;

/// Minutes since 1970, the first of which is a boundary of none of the trainings.
fn minutes(from: i64, to: i64) -> EvalContext {
    EvalContext {
        start: Timestamp((from + 7) * MINUTE),
        end: Timestamp((to + 7) * MINUTE),
        step: Step::from_secs(60),
    }
}

proptest! {
    #[test]
    fn chunks_add_up_to_the_whole(
        operator in proptest::sample::select(&FOLLOWED[..]),
        // Two series; what is missing from a chunk altogether is not there at all.
        lines in proptest::collection::vec(proptest::option::of(-5i32..5), 2..60),
        mut cuts in proptest::collection::vec(0usize..30, 0..5),
    ) {
        let program = format!("name,a,:eq,(,k,),:by,{operator}");
        let expr = &parse_graph(&program, &GraphOptions::default()).expect("valid")[0].expr;
        let cells = lines.len() / 2;
        let wanted = expr.data_exprs().remove(0);
        let find = |ctx: &EvalContext| {
            let value = |k: usize, t: Timestamp| {
                let i = (t.millis() / MINUTE - 7) as usize;
                lines[2 * i + k].map_or(f64::NAN, f64::from)
            };
            let groups = [0, 1].map(|k| DataGroup {
                tags: Tags::from_pairs([("k", k.to_string())]),
                source: DataSource::Gauge,
                values: ctx.times().map(|t| value(k, t)).collect(),
            });
            HashMap::from([(wanted.clone(), data_result(&wanted, groups.to_vec(), ctx))])
        };
        let range = minutes(0, cells as i64);
        let whole = evaluate(expr, &range, &find(&range)).expect("valid");
        cuts.retain(|cut| *cut < cells);
        cuts.extend([0, cells]);
        cuts.sort_unstable();
        cuts.dedup();
        // A line that is missing from a chunk is missing from the operands of what comes next: operators on operators need all lines.
        let there = |k: usize, i: usize| lines[2 * i + k].is_some();
        let all_there = |chunk: &[usize]| [0, 1].iter().all(|k| (chunk[0]..chunk[1]).any(|i| there(*k, i)));
        if operator.matches(':').count() > 1 && !cuts.windows(2).all(all_there) {
            return Ok(());
        }
        let mut state = EvalState::over(range);
        for chunk in cuts.windows(2) {
            let ctx = minutes(chunk[0] as i64, chunk[1] as i64);
            let part = evaluate_chunk(expr, &ctx, &find(&ctx), &mut state).expect("valid");
            for series in part.series {
                let want = whole.series.iter().find(|s| s.tags == series.tags);
                let want = &want.expect("a line of the whole").values[chunk[0]..chunk[1]];
                let same = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9 || (a.is_nan() && b.is_nan());
                prop_assert!(
                    series.values.iter().zip(want).all(same),
                    "{} from {}: want {:?}, got {:?}", program, chunk[0], want, series.values
                );
            }
            // The state survives being written out.
            let text = serde_json::to_string(&state).expect("plain data");
            state = serde_json::from_str(&text).expect("just written");
        }
    }
}

#[test]
fn a_series_that_never_comes_back_is_forgotten() {
    let expr = &parse_graph("name,a,:eq,(,k,),:by,:integral", &GraphOptions::default())
        .expect("valid")[0]
        .expr;
    let mut state = EvalState::default();
    let mut written = Vec::new();
    for (from, to, there) in [(0, 10, true), (10, 86_000, false), (86_000, 87_000, false)] {
        let ctx = minutes(from, to);
        let data = if there {
            found_for(&StyleExpr::new(expr.clone()), &ctx)
        } else {
            HashMap::new()
        };
        evaluate_chunk(expr, &ctx, &data, &mut state).expect("valid");
        written.push(
            serde_json::to_string(&state)
                .expect("plain data")
                .contains("sum"),
        );
    }
    assert_eq!(written, [true, true, false]);
}

#[test]
fn nested_estimates_are_limited() {
    let nested =
        "name,a,:eq,(,distinct,),:by".to_owned() + &",:approx-distinct,name,b,:eq,:add".repeat(40);
    assert!(error_of(&nested).starts_with("IllegalStateException: expression is too large"));
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
