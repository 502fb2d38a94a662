//! What the tree says about programs, and that it agrees with the interpreter.

use super::*;
use crate::interpreter::run;
use crate::parse::{GraphOptions, parse_graph, suggestions};
use proptest::prelude::*;

fn tree(program: &str) -> SyntaxTree<'static> {
    SyntaxTree::new(program, &SyntaxOptions::default())
}

/// Each diagnostic: the text it is about, and what it says.
fn said(program: &str) -> Vec<(String, String)> {
    tree(program)
        .diagnostics()
        .iter()
        .map(|d| (program[d.span.clone()].to_owned(), d.message.clone()))
        .collect()
}

/// The only diagnostic.
fn only(program: &str) -> (String, String) {
    let mut said = said(program);
    assert_eq!(said.len(), 1, "{program}: {said:?}");
    said.remove(0)
}

fn pair(at: &str, message: &str) -> (String, String) {
    (at.to_owned(), message.to_owned())
}

/// The program with the first fix of its first diagnostic.
fn fixed(program: &str) -> String {
    let tree = tree(program);
    let fix = &tree.diagnostics()[0].fixes[0];
    let mut fixed = program.to_owned();
    fixed.replace_range(fix.span.clone(), &fix.text);
    fixed
}

#[test]
fn unknown_words_come_with_a_suggestion() {
    assert_eq!(
        only("name,sps,:eqq,:sum"),
        pair(":eqq", "unknown word ':eqq', did you mean ':eq'?")
    );
    assert_eq!(fixed("name,sps,:eqq,:sum"), "name,sps,:eq,:sum");
    assert_eq!(
        said("name,sps,:eq,:summ,(,a,),:byy"),
        [
            pair(":summ", "unknown word ':summ', did you mean ':sum'?"),
            pair(":byy", "unknown word ':byy', did you mean ':by'?")
        ]
    );
    assert_eq!(
        only("a,:qwertyuiop,:sum"),
        pair(":qwertyuiop", "unknown word ':qwertyuiop'")
    );
}

#[test]
fn semicolons_are_doubted_until_they_fail() {
    let program = "name,sps,:eq,;sum";
    assert_eq!(
        only(program),
        pair(";sum", "did you mean ':sum'? (semicolon instead of colon)")
    );
    assert_eq!(tree(program).diagnostics()[0].severity, Severity::Error);
    assert_eq!(fixed(program), "name,sps,:eq,:sum");
    let program = "name,sps,:eq,;sum,(,a,),:by";
    assert_eq!(only(program).0, ";sum");
    assert!(!tree(program).is_valid());
    // As a legend it is a text like any other.
    let program = "name,sps,:eq,;sum,:legend";
    assert_eq!(only(program).0, ";sum");
    assert!(tree(program).is_valid());
    assert!(said("name,sps,:eq,;nope,:legend").is_empty());
}

#[test]
fn words_that_do_not_fit_show_stack_and_candidates() {
    assert_eq!(
        only("name,(,a,),:eq"),
        pair(
            ":eq",
            "no matches for word ':eq' with stack [String,List], candidates: [k:String v:String -- Query]"
        )
    );
    // The second may be a consequence of the first, but what stands by itself is looked at.
    assert_eq!(only("a,:sum,:max").0, ":sum");
    let both = said("a,:sum,b,:max");
    assert_eq!(both.len(), 2, "{both:?}");
}

#[test]
fn failures_are_put_down_to_what_was_given() {
    let (at, message) = only("name,x[,:re,:sum");
    assert_eq!(at, "x[");
    assert!(
        message.starts_with("invalid regular expression: unclosed character class"),
        "{message}"
    );
    assert_eq!(only("name,a,:eq,(,200,),:percentiles").0, ":percentiles");
    assert_eq!(
        only("dup,(,:dup,),:set,1,dupp,:fcall"),
        pair("dupp", "key not found: dupp, did you mean 'dup'?")
    );
    assert_eq!(
        only("1,x,:get"),
        pair("x", "key not found: x: no variable of this name is set")
    );
    assert_eq!(
        only("1,(,:dup,:ad,),:call"),
        pair(
            ":ad",
            "unknown word ':ad', did you mean ':add', ':and' or ':as'?"
        )
    );
    assert_eq!(only("1,foo,:ls").0, "foo");
    assert_eq!(only("1,7,:axis"), pair("7", "invalid axis: 7"));
}

#[test]
fn settings_are_judged_as_they_are_in_the_end() {
    assert_eq!(only("1,x,:limit"), pair("x", "For input string: \"x\""));
    assert_eq!(only("1,x,:head").0, "x");
    assert_eq!(only("1,x[,a,:s").0, "a");
    assert_eq!(only("1,x,:decode"), pair("x", "unknown encoding 'x'"));
    let errors = |program: &str| {
        let found = SyntaxTree::new(program, &SyntaxOptions::default());
        let found = found.diagnostics().iter();
        let errors = found.filter(|d| d.severity == Severity::Error);
        errors
            .map(|d| (program[d.span.clone()].to_owned(), d.message.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        errors("1,(,0h,x,),:offset"),
        [pair("(", "invalid period x")]
    );
    // Neither what was set again nor what is not shown is read.
    assert_eq!(errors("1,x,:alpha,ff,:alpha"), []);
    assert_eq!(errors("1,x,:alpha,:drop,2"), []);
    assert_eq!(errors("1,x,:alpha,:dup").len(), 1);
    assert_eq!(errors("1,x,:alpha,:freeze,2").len(), 1);
    // Where a word of a list made it, the list is to blame.
    assert_eq!(errors("1,(,x,:lw,),:call")[0].0, ":call");
}

#[test]
fn too_much_for_a_graph_is_told_at_its_end() {
    let program = format!(
        "name,a,:eq{}{}",
        ",:dup,:add".repeat(12),
        ",:dup".repeat(500)
    );
    assert!(crate::parse_graph(&program, &crate::GraphOptions::default()).is_err());
    let (at, message) = only(&program);
    assert!(
        at == ":dup" && message.starts_with("expressions are too large"),
        "{message}"
    );
}

#[test]
fn parentheses_and_comments_are_recovered_from() {
    assert_eq!(
        only("name,(,a,b,:in,:sum"),
        pair("(", "unmatched opening parenthesis")
    );
    assert_eq!(fixed("name,(,a,b,:in,:sum"), "name,(,a,b,),:in,:sum");
    assert_eq!(
        only("name,a,:eq,),:sum"),
        pair(")", "unmatched closing parenthesis")
    );
    assert_eq!(only("1,/* x"), pair("/*", "unclosed comment"));
    assert_eq!(fixed("1,/* x"), "1,/* x*/");
}

#[test]
fn what_is_left_has_to_be_an_expression() {
    assert_eq!(
        said("name,sps,:eq,sum,x"),
        [
            pair(
                "sum",
                "expecting time series expr, found String 'sum', did you mean ':sum'?"
            ),
            pair("x", "expecting time series expr, found String 'x'")
        ]
    );
    // Found again after it was moved and put out of reach.
    assert_eq!(only("x,1,:swap,:freeze,2").0, "x");
    assert_eq!(only("(,a,),1").0, "(");
    assert!(said("").is_empty());
    let options = SyntaxOptions {
        purpose: Purpose::Query,
        vocabulary: Vocabulary::named("query").expect("there"),
        ..SyntaxOptions::default()
    };
    let query = |program| SyntaxTree::new(program, &options).is_valid();
    assert!(query("a,b,:eq"));
    assert!(!query("a,b,:eq,c"));
    assert!(!query(""));
}

#[test]
fn loops_and_large_stacks_end() {
    assert_eq!(
        only(&"a,".repeat(2000)).1,
        "stack overflow: stack size exceeds limit of 1024"
    );
    let list = "(,a,b,c,d,e,f,g,h,i,j,)";
    let mut program = ":drop".to_owned();
    for _ in 0..6 {
        program = format!(":drop,{list},(,{program},),:each");
    }
    let loops = format!("a,{program},:nope");
    assert!(only(&loops).1.starts_with("program runs too long"));
    assert_eq!(
        tree(&":nope1,".repeat(5000)).diagnostics().len(),
        MAX_DIAGNOSTICS
    );
}

#[test]
fn words_know_their_definition_and_operands() {
    let tree = tree("name,sps,:eq,(,nf.app,),:by,2,:gt");
    let texts = |operands: &[usize]| -> Vec<String> {
        operands
            .iter()
            .map(|at| tree.tokens()[*at].text.to_string())
            .collect()
    };
    let call = |at| tree.call(at).expect("it ran");
    assert_eq!(texts(&call(2).operands), ["name", "sps"]);
    assert_eq!(texts(&call(6).operands), [":eq", "("]);
    assert_eq!(
        call(8).word.signature(),
        "t1:TimeSeriesExpr t2:TimeSeriesExpr -- TimeSeriesExpr"
    );
    assert_eq!((tree.untouched(2), tree.untouched(7)), (Some(0), Some(1)));
    assert_eq!(tree.role(0), Role::Key);
    assert_eq!(tree.role(1), Role::Value(0));
    assert_eq!(tree.role(4), Role::Key);
    assert_eq!(tree.role(7), Role::Plain);
}

#[test]
fn variables_lead_to_where_they_were_set() {
    let program = "q,(,name,sps,:eq,),:set,q,:fcall,q,x,:set,(,q,:get,),:drop,q,:get,:drop";
    let tree = tree(program);
    let place = |text: &str, nth: usize| {
        let mut found = tree
            .tokens()
            .iter()
            .enumerate()
            .filter(|(_, t)| &*t.text == text);
        found.nth(nth).expect("there").0
    };
    assert_eq!(tree.definition(place(":fcall", 0)), Some(0));
    assert_eq!(tree.definition(place("q", 1)), Some(0));
    assert_eq!(tree.definition(place(":get", 0)), Some(place("q", 2)));
    assert_eq!(tree.definition(place("q", 4)), Some(place("q", 2)));
    assert_eq!(tree.definition(place(":drop", 0)), None);
    // Within a program that is called later.
    assert_eq!(tree.role(place("name", 0)), Role::Key);
    assert_eq!(tree.role(place("q", 3)), Role::Variable);
    // What is set again after freezing is another variable.
    let tree = self::tree("a,1,:set,:freeze,a,:get");
    assert_eq!(tree.definition(4), None);
    assert_eq!(tree.definition(5), None);
}

#[test]
fn the_state_before_a_token_is_known() {
    let tree = tree("name,sps,:eqq,:sum,x");
    let stack = |at| -> Vec<String> {
        let state = tree.state_before(at);
        state.stack().iter().map(Value::stack_text).collect()
    };
    assert_eq!(stack(2), ["name", "sps"]);
    // As if the suggestion had been taken.
    assert_eq!(stack(4), ["name,sps,:eq,:sum"]);
    let words = tree.state_before(3).words();
    assert!(words.iter().any(|w| w.name() == "sum"));
    assert!(words.iter().all(|w| w.name() != "eq"));
}

#[test]
fn offsets_lead_to_tokens_and_comments() {
    let tree = tree("ab, cd,/*x*/e/*y");
    assert_eq!(tree.token_at(0), Some(0));
    assert_eq!(tree.token_at(2), Some(0));
    assert_eq!(tree.token_at(3), None);
    assert_eq!(tree.token_at(4), Some(1));
    assert!(!tree.is_in_comment(7) && tree.is_in_comment(8) && !tree.is_in_comment(12));
    assert!(tree.is_in_comment(14) && tree.is_in_comment(16));
}

#[test]
fn deprecated_definitions_are_told_by_their_signature() {
    for word in Vocabulary::full().words() {
        let list_offset = word.name() == "offset" && word.signature().contains("List");
        let expected = word.name() == "trend" || list_offset;
        assert_eq!(deprecation(word).is_some(), expected, "{word:?}");
    }
}

/// Programs without rhyme or reason, and nearly right ones.
fn soup() -> impl Strategy<Value = String> {
    let words: Vec<String> = Vocabulary::full()
        .words()
        .map(|w| format!(":{}", w.name()))
        .collect();
    let literals: Vec<String> = [
        "a",
        "name",
        "1",
        "0.5",
        "NaN",
        "3",
        "(",
        ")",
        ":nope",
        "5m",
        "x[",
        "f00",
        "avg",
        "tz",
        ";sum",
        "/* , */",
        "\\u002c",
        "é",
        "k,v,:set,k",
        "(,:dup,)",
        ":su",
        "%s",
    ]
    .map(str::to_owned)
    .to_vec();
    let query = Just("name,a,:eq".to_owned());
    let token = prop_oneof![
        3 => proptest::sample::select(words),
        3 => proptest::sample::select(literals),
        3 => query,
    ];
    proptest::collection::vec(token, 0..24).prop_map(|tokens| tokens.join(","))
}

#[test]
fn a_word_to_come_does_not_reach_what_is_frozen() {
    let names = |program: &str| -> Vec<&str> {
        let tree = tree(program);
        let words = tree.state_before(tree.tokens().len()).words();
        words.into_iter().map(Word::name).collect()
    };
    assert!(names("name,a,:eq").contains(&"not"));
    assert!(!names("name,a,:eq,:freeze").contains(&"not"));
    let suggested = |program: &str| -> Vec<&str> {
        let words = suggestions(program, Vocabulary::full()).expect("it runs");
        words.into_iter().map(Word::name).collect()
    };
    assert!(suggested("name,a,:eq").contains(&"sum"));
    assert_eq!(suggested("name,a,:eq,:freeze"), suggested("name,a,:eq"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn the_tree_agrees_with_the_interpreter(program in soup()) {
        let vocabulary = Vocabulary::full();
        let options = SyntaxOptions { purpose: Purpose::Any, ..SyntaxOptions::default() };
        let tree = SyntaxTree::new(&program, &options);
        for d in tree.diagnostics() {
            prop_assert!(program.get(d.span.clone()).is_some());
            for fix in &d.fixes {
                prop_assert!(program.get(fix.span.clone()).is_some());
            }
        }
        // In the editor there is a time zone.
        let zone = Variables::from([("tz".to_owned(), Value::Zone("UTC".into()))]);
        match crate::interpreter::run_with(&program, vocabulary, zone) {
            Ok(stack) => {
                prop_assert!(tree.is_valid(), "{:?}", tree.diagnostics());
                let state = tree.state_before(tree.tokens().len());
                // As texts: NaN is not equal to itself.
                let shown = |stack: &[Value]| -> Vec<String> {
                    stack.iter().map(Value::stack_text).collect()
                };
                prop_assert!(shown(&stack).ends_with(&shown(state.stack())));
            }
            Err(error) => prop_assert!(!tree.is_valid(), "{}", error),
        }
        if self::tree(&program).is_valid() {
            let parsed = parse_graph(&program, &GraphOptions::default());
            prop_assert!(parsed.is_ok(), "{:?}", parsed);
        }
    }

    #[test]
    fn words_that_can_run_include_the_suggestions(program in soup()) {
        let vocabulary = Vocabulary::full();
        if run(&program, vocabulary).is_ok() {
            let tree = tree(&program);
            let state = tree.state_before(tree.tokens().len());
            // The HTTP API lays what is frozen back on the stack, as at the end of a program.
            prop_assume!(state.machine.frozen().is_empty());
            let words = state.words();
            let names: Vec<&str> = words
                .into_iter()
                .filter(|w| w.is_suggested())
                .map(Word::name)
                .collect();
            let mut suggested: Vec<&str> = suggestions(&program, vocabulary)
                .expect("it runs")
                .into_iter()
                .map(Word::name)
                .collect();
            suggested.retain(|name| vocabulary.overloads(name).is_some_and(|o| o[0].is_suggested()));
            for name in suggested {
                prop_assert!(names.contains(&name), "{}", name);
            }
        }
    }

    #[test]
    fn no_text_panics(text in "([,:;()/* a\n1]|/\\*|\\*/|é|:eq|:set|:get|,){0,30}") {
        let tree = tree(&text);
        for at in 0..tree.tokens().len() {
            tree.role(at);
            tree.definition(at);
        }
        for offset in 0..=text.len() {
            tree.token_at(offset);
            tree.is_in_comment(offset);
        }
    }
}
