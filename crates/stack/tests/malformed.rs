//! Programs that are wrong somewhere: nothing panics, nothing hangs, and every error says what is wrong.
//!
//! They are made from the signatures of all words, so that they go wrong late, and then damaged.

#[path = "programs/found.rs"]
mod found;

use std::collections::HashMap;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use found::found_for;
use hesper_model::{Step, Timestamp};
use hesper_stack::graph::{DisplayOptions, assemble};
use hesper_stack::interpreter::trace::trace;
use hesper_stack::outdated::replace_outdated;
use hesper_stack::parse::{queries_of, suggestions};
use hesper_stack::strip::strip;
use hesper_stack::{
    EvalContext, GraphOptions, StackError, Vocabulary, evaluate, lexer, normalize, parse_events,
    parse_graph, parse_query,
};

/// Far more than the slowest program takes.
const TOO_LONG: Duration = Duration::from_secs(20);

/// A sequence of numbers that looks random; the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

const LITERALS: [&str; 42] = [
    "a",
    "b",
    "name",
    "nf.app",
    "statistic",
    "count",
    "sps",
    "1",
    "-1",
    "0",
    "3",
    "0.5",
    "1e400",
    "NaN",
    "Infinity",
    "2147483648",
    "0x1p3",
    "5m",
    "0s",
    "PT1H",
    "PT-1M",
    "9999y",
    "avg",
    "max",
    "desc",
    "x[",
    "(?<n>a+)+$",
    ".*x",
    "$(a)",
    "$n",
    "$9",
    "f00",
    "reds",
    "hash:reds",
    "\\u002c",
    "\\u003ax",
    "é",
    "%s%5d%%",
    "tz",
    "gs",
    "e-5m",
    "😀",
];

/// What the lexer may stumble over.
const MARKS: [&str; 6] = ["/*", "*/", "\\u00", ",,", " ", "\u{0}"];

/// A word: its name, and what its signature says it takes and gives.
struct Shape {
    name: String,
    takes: Vec<String>,
    gives: String,
}

struct Grammar {
    shapes: Vec<Shape>,
    by_result: HashMap<String, Vec<usize>>,
}

impl Grammar {
    fn of(vocabularies: &[&Vocabulary]) -> Self {
        let words = vocabularies.iter().flat_map(|v| v.words());
        let shapes: Vec<Shape> = words
            .map(|word| {
                let signature = word.signature();
                let (takes, gives) = signature.split_once("--").expect("two sides");
                let kind = |operand: &str| {
                    let kind = operand.split_once(':').map_or(operand, |(_, kind)| kind);
                    kind.to_owned()
                };
                Shape {
                    name: format!(":{}", word.name()),
                    takes: takes.split_whitespace().map(kind).collect(),
                    gives: kind(gives.split_whitespace().last().unwrap_or("")),
                }
            })
            .collect();
        let mut by_result: HashMap<String, Vec<usize>> = HashMap::new();
        for (i, shape) in shapes.iter().enumerate() {
            by_result.entry(shape.gives.clone()).or_default().push(i);
        }
        Self { shapes, by_result }
    }

    fn operand(&self, kind: &str, depth: usize, random: &mut Random, out: &mut Vec<String>) {
        // An expression may come from any word that gives one.
        let kind = match (kind, random.below(4)) {
            ("TimeSeriesExpr" | "StyleExpr" | "Expr", 0) => "DataExpr",
            ("StyleExpr" | "Expr", 1) => "TimeSeriesExpr",
            ("TimeSeriesExpr" | "DataExpr" | "AggregateFunction", 2) => "Query",
            (kind, _) => kind,
        };
        let words = self.by_result.get(kind).filter(|_| depth > 0);
        if let Some(words) = words {
            self.application(*random.pick(words), depth, random, out);
            return;
        }
        match kind {
            "Query" | "DataExpr" | "AggregateFunction" | "Expr" | "EventExpr" => {
                let clause = ["name", *random.pick(&LITERALS), ":eq"];
                out.extend(clause.map(str::to_owned));
                if kind != "Query" && kind != "EventExpr" && random.below(2) == 0 {
                    out.push((*random.pick(&[":sum", ":count", ":max", ":all"])).to_owned());
                }
            }
            "TimeSeriesExpr" | "StyleExpr" | "Double" | "Int" => {
                out.push((*random.pick(&["1", "0", "-3", "2.5", "7", "NaN"])).to_owned());
            }
            "List" | "StringList" | "DoubleList" => {
                out.push("(".to_owned());
                for _ in 0..random.below(4) {
                    match kind {
                        "DoubleList" => out.push(random.below(120).to_string()),
                        "List" if depth > 0 => {
                            let word = random.below(self.shapes.len());
                            self.application(word, depth - 1, random, out);
                        }
                        _ => out.push(
                            (*random.pick(&["a", "b", "percentile", "name", "1h"])).to_owned(),
                        ),
                    }
                }
                out.push(")".to_owned());
            }
            "Duration" => out.push((*random.pick(&["5m", "0s", "PT1H", "1w", "7s"])).to_owned()),
            "ConsolidationFunction" => {
                out.push((*random.pick(&["avg", "sum", "min", "max"])).to_owned());
            }
            "Color" => out.push((*random.pick(&["f00", "40ff0000", "blue1"])).to_owned()),
            _ => out.push((*random.pick(&LITERALS)).to_owned()),
        }
    }

    fn application(&self, word: usize, depth: usize, random: &mut Random, out: &mut Vec<String>) {
        let shape = &self.shapes[word];
        for kind in &shape.takes {
            self.operand(kind, depth.saturating_sub(1), random, out);
        }
        out.push(shape.name.clone());
    }

    fn program(&self, random: &mut Random) -> String {
        let mut tokens = Vec::new();
        for _ in 0..1 + random.below(3) {
            let depth = 1 + random.below(4);
            match random.below(4) {
                0 => self.application(random.below(self.shapes.len()), depth, random, &mut tokens),
                1 => self.operand("StyleExpr", depth, random, &mut tokens),
                _ => self.operand("TimeSeriesExpr", depth, random, &mut tokens),
            }
        }
        for _ in 0..random.below(5) {
            self.damage(&mut tokens, random);
        }
        tokens.truncate(120);
        let mut text = tokens.join(",");
        if random.below(20) == 0 {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            if !places.is_empty() {
                text.insert_str(*random.pick(&places), MARKS[random.below(MARKS.len())]);
            }
        }
        text
    }

    fn damage(&self, tokens: &mut Vec<String>, random: &mut Random) {
        let any = |random: &mut Random| match random.below(3) {
            0 => (*random.pick(&LITERALS)).to_owned(),
            1 => (*random.pick(&["(", ")", ":nope", "::", ":"])).to_owned(),
            _ => self.shapes[random.below(self.shapes.len())].name.clone(),
        };
        if tokens.is_empty() {
            tokens.push(any(random));
            return;
        }
        let at = random.below(tokens.len());
        match random.below(6) {
            0 => drop(tokens.remove(at)),
            1 => tokens[at] = any(random),
            2 => tokens.insert(at, any(random)),
            3 => tokens.insert(at, tokens[at].clone()),
            4 => {
                let other = random.below(tokens.len());
                tokens.swap(at, other);
            }
            _ => tokens.truncate(at),
        }
    }
}

const CTX: EvalContext = EvalContext {
    start: Timestamp(0),
    end: Timestamp(300_000),
    step: Step::from_secs(60),
};

/// Runs a program in every way there is, and gives the errors.
fn run_everywhere(program: &str, with_suggestions: bool) -> Vec<StackError> {
    let full = Vocabulary::full();
    let mut errors = Vec::new();
    errors.extend(trace(program, full).err());
    errors.extend(normalize(program, full).err());
    errors.extend(queries_of(program, full).err());
    errors.extend(strip(program, &["name"], &["filter", "style"], full).err());
    errors.extend(replace_outdated(program, full).err());
    errors.extend(parse_events(program).err());
    errors.extend(parse_query(program).err());
    if with_suggestions {
        errors.extend(suggestions(program, full).err());
    }
    match parse_graph(program, &GraphOptions::default()) {
        Err(e) => errors.push(e),
        Ok(exprs) => {
            let options = DisplayOptions::default();
            let graph = assemble(&exprs, &options, &CTX, |style| {
                evaluate(&style.expr, &CTX, &found_for(style, &CTX))
            });
            errors.extend(graph.err());
        }
    }
    errors
}

/// What an error says without a part of the program.
const SELF_EXPLANATORY: [&str; 47] = [
    // What they are about may have been made by the program.
    "unknown statistic: ",
    "unknown encoding ",
    "key not found: ",
    "For input string: ",
    "invalid axis: ",
    "No enum constant ",
    "invalid period ",
    "regex is too expensive to evaluate: ",
    "invalid value on stack: ",
    "expecting time series expr, found ",
    // Of a word that the program's word stands for.
    "unknown word ':",
    "no matches for word ':",
    "unclosed comment",
    "unmatched opening parenthesis",
    "unmatched closing parenthesis",
    "looping detected",
    "is too large",
    "too large to be traced",
    "runs too long",
    "text is too long",
    "stack overflow",
    "head of empty list",
    "stack is empty",
    "expected a single query",
    "expected an expression",
    "has too many alternatives",
    "grouping must match",
    "must have the same grouping",
    "is not a subset of",
    "input expression must already be grouped",
    "too many values for key",
    "empty result for filter expression",
    "k must be positive",
    "input must have an aggregate that can be grouped by",
    "minimum number of values must be",
    "invalid type specifier ",
    "time is relative to itself",
    "start and end time are relative to each other",
    "start must be <= end",
    "step must be multiple",
    "step of :consolidate is too long",
    "/ by zero",
    "long overflow",
    "pct array cannot be empty",
    "cannot be empty",
    "value should be 2 digit hex string",
    "value must be 0.0 <= p <= 100.0",
];

/// True when the error names something of the program, or says what is wrong by itself.
fn explains(error: &StackError, program: &str) -> bool {
    // Atlas tells only which place it is that does not exist.
    if matches!(error, StackError::IndexOutOfBounds(_)) {
        return true;
    }
    let message = error.message();
    let upper = message.to_uppercase();
    let tokens = lexer::tokens(program).unwrap_or_default();
    let named = |token: &String| {
        let text = lexer::unescape(token).to_uppercase();
        !text.is_empty() && upper.contains(text.trim_start_matches(':'))
    };
    SELF_EXPLANATORY.iter().any(|text| message.contains(text)) || tokens.iter().any(named)
}

fn check(programs: usize, seed: u64) {
    let grammar = Grammar::of(&[Vocabulary::full(), Vocabulary::events()]);
    let mut random = Random(seed);
    let mut refused = 0;
    for i in 0..programs {
        let program = grammar.program(&mut random);
        let start = Instant::now();
        let errors = catch_unwind(|| run_everywhere(&program, i % 50 == 0))
            .unwrap_or_else(|_| panic!("program {i} panics: {program}"));
        let took = start.elapsed();
        assert!(took < TOO_LONG, "program {i} takes {took:?}: {program}");
        for error in &errors {
            assert!(
                explains(error, &program),
                "'{error}' does not explain {program}"
            );
            if let Some(rest) = error.message().strip_prefix("no matches for word ':") {
                assert!(
                    rest.contains("' with stack [") && rest.contains(", candidates: ["),
                    "{error}"
                );
            }
        }
        refused += usize::from(parse_graph(&program, &GraphOptions::default()).is_err());
    }
    // Otherwise it would not be errors that are tested, or nothing else.
    let share = refused * 100 / programs;
    assert!(
        (30..95).contains(&share),
        "{share} % of the programs are refused"
    );
}

#[test]
fn malformed_programs_are_refused_with_reasons() {
    check(4_000, 7);
}

#[test]
#[ignore = "takes minutes: 100,000 programs"]
fn many_malformed_programs_are_refused_with_reasons() {
    check(100_000, 42);
}
