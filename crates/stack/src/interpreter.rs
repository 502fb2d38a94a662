//! The machine that runs a program: a stack, variables, words.

mod operands;
pub(crate) mod stepping;
pub mod trace;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::StackError;
use crate::expr::Size;
use crate::lexer;
use crate::value::{List, Value, type_summary};
use crate::vocabulary::Vocabulary;
use crate::word::Word;

/// The most items on the stack, and in a list that is written out.
pub const MAX_STACK: usize = 1024;

/// The deepest nesting of programs that call programs.
pub const MAX_CALL_DEPTH: usize = 10;

/// The most that a program may do, in tokens executed, those of called programs included. Large expressions count as more than a
/// token. Nested loops could go on for ever otherwise.
pub const MAX_WORK: usize = 50_000;

/// How much weight of an expression is as much work as a token when it is built.
const WEIGHT_BUILT_PER_TOKEN: usize = 1024;

/// How much weight of an expression is as much work as a token when it is rewritten, and words in it are run again.
const WEIGHT_REWRITTEN_PER_TOKEN: usize = 64;

/// The variables a program starts with.
pub type Variables = BTreeMap<String, Value>;

/// Runs a program and gives what it leaves on the stack, bottom first.
///
/// # Errors
/// When the program cannot be read, or a word cannot run.
pub fn run(program: &str, vocabulary: &Vocabulary) -> Result<Vec<Value>, StackError> {
    run_with(program, vocabulary, Variables::new())
}

/// Runs a program that starts with variables.
///
/// # Errors
/// When the program cannot be read, or a word cannot run.
pub fn run_with(
    program: &str,
    vocabulary: &Vocabulary,
    variables: Variables,
) -> Result<Vec<Value>, StackError> {
    let program = tokens(program)?;
    let mut machine = Machine::new(vocabulary, variables);
    machine.call(&program)?;
    Ok(machine.into_stack())
}

fn tokens(program: &str) -> Result<Vec<Value>, StackError> {
    let tokens = lexer::tokens(program)?;
    Ok(tokens.into_iter().map(Value::text).collect())
}

/// The state of a run.
#[derive(Clone)]
pub struct Machine<'v> {
    vocabulary: &'v Vocabulary,
    /// The top is last.
    stack: Vec<Value>,
    /// What was frozen; it lies below the stack, out of reach.
    frozen: Vec<Value>,
    variables: Variables,
    initial_variables: Variables,
    call_depth: usize,
    work: usize,
}

impl<'v> Machine<'v> {
    fn new(vocabulary: &'v Vocabulary, variables: Variables) -> Self {
        Self {
            vocabulary,
            stack: Vec::new(),
            frozen: Vec::new(),
            initial_variables: variables.clone(),
            variables,
            call_depth: 0,
            work: 0,
        }
    }

    /// The state at the end of a program, with what was frozen in reach again.
    pub(crate) fn after(program: &str, vocabulary: &'v Vocabulary) -> Result<Self, StackError> {
        let program = tokens(program)?;
        let mut machine = Self::new(vocabulary, Variables::new());
        machine.call(&program)?;
        machine.unfreeze();
        Ok(machine)
    }

    /// True when a word fits, and a word of its name would run without an error.
    pub(crate) fn could_run(&self, word: &Word) -> bool {
        let program = [Value::text(format!(":{}", word.name()))];
        word.fits(&self.stack) && self.clone().call(&program).is_ok()
    }

    fn into_stack(mut self) -> Vec<Value> {
        self.unfreeze();
        self.stack
    }

    fn unfreeze(&mut self) {
        let above = std::mem::take(&mut self.stack);
        self.stack = std::mem::take(&mut self.frozen);
        self.stack.extend(above);
    }

    /// The words that the program may use.
    pub(crate) fn vocabulary(&self) -> &'v Vocabulary {
        self.vocabulary
    }

    /// The stack, its top last.
    pub(crate) fn stack_mut(&mut self) -> &mut Vec<Value> {
        &mut self.stack
    }

    /// Puts the stack out of reach, and the variables back to what they were at the start.
    pub(crate) fn freeze(&mut self) {
        self.frozen.append(&mut self.stack);
        self.variables = self.initial_variables.clone();
    }

    pub(crate) fn variable(&self, name: &str) -> Result<Value, StackError> {
        self.variables
            .get(name)
            .cloned()
            .ok_or_else(|| StackError::NoSuchElement(format!("key not found: {name}")))
    }

    pub(crate) fn set_variable(&mut self, name: &str, value: Value) {
        self.variables.insert(name.to_owned(), value);
    }

    /// Runs a program one level deeper.
    pub(crate) fn call(&mut self, program: &[Value]) -> Result<(), StackError> {
        self.call_depth += 1;
        let mut at = 0;
        loop {
            if self.call_depth > MAX_CALL_DEPTH {
                return Err(StackError::IllegalState("looping detected".to_owned()));
            }
            self.check_stack()?;
            if at == program.len() {
                break;
            }
            self.step(program, &mut at)?;
        }
        self.call_depth -= 1;
        Ok(())
    }

    fn check_stack(&self) -> Result<(), StackError> {
        if self.stack.len() > MAX_STACK {
            return Err(StackError::IllegalState(format!(
                "stack overflow: stack size exceeds limit of {MAX_STACK}"
            )));
        }
        Ok(())
    }

    fn spend(&mut self, work: usize) -> Result<(), StackError> {
        self.work += work;
        if self.work > MAX_WORK {
            return Err(StackError::IllegalState(format!(
                "program runs too long: it takes more work than executing {MAX_WORK} tokens"
            )));
        }
        Ok(())
    }

    /// Counts the work of rewriting a value.
    pub(crate) fn spend_on_rewriting(&mut self, value: &Value) -> Result<(), StackError> {
        self.spend(value.weight() / WEIGHT_REWRITTEN_PER_TOKEN)
    }

    /// Checks the size of what was built, and counts the work.
    pub(crate) fn spend_on(&mut self, size: Size) -> Result<(), StackError> {
        size.check()?;
        self.spend(size.weight() / WEIGHT_BUILT_PER_TOKEN)
    }

    /// Executes the token, or the list, at a place in the program and moves on.
    fn step(&mut self, program: &[Value], at: &mut usize) -> Result<(), StackError> {
        self.spend(1)?;
        let token = &program[*at];
        *at += 1;
        match token {
            Value::Text(text) => match &**text {
                "(" => {
                    let list = captured_list(program, at)?;
                    self.stack.push(Value::List(Arc::new(list)));
                }
                ")" => {
                    return Err(StackError::IllegalState(
                        "unmatched closing parenthesis".to_owned(),
                    ));
                }
                text => match text.strip_prefix(':') {
                    Some(name) => self.execute_word(name)?,
                    None => self.stack.push(Value::text(lexer::unescape(text))),
                },
            },
            other => self.stack.push(other.clone()),
        }
        Ok(())
    }

    fn execute_word(&mut self, name: &str) -> Result<(), StackError> {
        let Some(words) = self.vocabulary.overloads(name) else {
            return Err(StackError::IllegalState(format!("unknown word ':{name}'")));
        };
        match words.iter().find(|word| word.fits(&self.stack)) {
            Some(word) => word.run(self),
            None => {
                let candidates: Vec<_> = words.iter().map(|w| w.signature()).collect();
                Err(StackError::IllegalState(format!(
                    "no matches for word ':{name}' with stack {}, candidates: [{}]",
                    type_summary(self.stack.iter()),
                    candidates.join("], [")
                )))
            }
        }
    }
}

/// The tokens up to the parenthesis that closes the list, which `at` is moved behind.
fn captured_list(program: &[Value], at: &mut usize) -> Result<List, StackError> {
    let is = |value: &Value, text: &str| matches!(value, Value::Text(t) if &**t == text);
    let mut items = Vec::new();
    let mut depth = 0;
    loop {
        if items.len() > MAX_STACK {
            return Err(StackError::IllegalState(format!(
                "stack overflow: list size exceeds limit of {MAX_STACK}"
            )));
        }
        let Some(token) = program.get(*at) else {
            return Err(StackError::IllegalState(
                "unmatched opening parenthesis".to_owned(),
            ));
        };
        *at += 1;
        if is(token, "(") {
            depth += 1;
        } else if is(token, ")") {
            if depth == 0 {
                return List::new(items);
            }
            depth -= 1;
        }
        items.push(token.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stack as a listing shows it, top first.
    fn stack(program: &str) -> Result<Vec<String>, String> {
        run(program, Vocabulary::full())
            .map(|stack| stack.iter().rev().map(Value::stack_text).collect())
            .map_err(|e| e.to_string())
    }

    fn top_first(program: &str) -> Vec<String> {
        stack(program).expect("a valid program")
    }

    fn error(program: &str) -> String {
        stack(program).expect_err("refused")
    }

    #[test]
    fn the_stack_can_be_handled() {
        assert_eq!(top_first("a,b,c,:rot"), ["a", "c", "b"]);
        assert_eq!(top_first("a,b,c,:-rot"), ["b", "a", "c"]);
        assert_eq!(top_first("a,b,c,2,:pick"), ["a", "c", "b", "a"]);
        assert_eq!(top_first("a,b,c,2,:roll"), ["a", "c", "b"]);
        assert_eq!(top_first("a,b,c,9,:nlist"), ["List(a, b, c)"]);
        assert_eq!(top_first("a,b,:list"), ["List(b, a)"]);
        assert_eq!(top_first("a,b,c,-1,:ndrop"), ["c", "b", "a"]);
        assert_eq!(top_first("a,b,:2over,:depth"), ["4", "b", "a", "b", "a"]);
        assert_eq!(top_first("a,b,:tuck,:nip"), ["b", "b"]);
        assert_eq!(error("a,b,5,:pick"), "IndexOutOfBoundsException: 5");
        assert_eq!(error("a,b,-1,:roll"), "IndexOutOfBoundsException: -1");
    }

    #[test]
    fn lists_are_not_executed_until_they_are_called() {
        assert_eq!(
            top_first("(,:nope,(,a,),\\u002c,)"),
            ["List(:nope, (, a, ), \\u002c)"]
        );
        assert_eq!(top_first("(,\\u002c,(,a,),),:call"), ["List(a)", ","]);
        assert_eq!(
            error("a,("),
            "IllegalStateException: unmatched opening parenthesis"
        );
        assert_eq!(
            error("a,)"),
            "IllegalStateException: unmatched closing parenthesis"
        );
    }

    #[test]
    fn loops_go_from_the_last_item_to_the_first_but_map_does_not() {
        assert_eq!(top_first("(,a,b,),(,:dup,),:each"), ["a", "a", "b", "b"]);
        assert_eq!(
            top_first("(,a,b,),(,x,:swap,2,:nlist,),:map"),
            ["List(List(x, a), List(x, b))"]
        );
        assert_eq!(
            top_first("n,0,:set,(,a,b,),(,:drop,n,x,:set,),:each,n,:get"),
            ["x"]
        );
        assert_eq!(
            error("(,a,),(,:drop,),:map"),
            "NoSuchElementException: head of empty list"
        );
    }

    #[test]
    fn what_is_frozen_is_out_of_reach() {
        assert_eq!(top_first("a,:freeze,b,:clear,c"), ["c", "a"]);
        assert_eq!(top_first("a,:freeze,b,:freeze,c"), ["c", "b", "a"]);
        assert_eq!(
            error("k,v,:set,:freeze,k,:get"),
            "NoSuchElementException: key not found: k"
        );
        assert_eq!(
            error("a,:freeze,:drop"),
            "IllegalStateException: no matches for word ':drop' with stack [], candidates: [a:Any -- ]"
        );
    }

    #[test]
    fn the_first_overload_that_fits_runs() {
        // Two texts are a key and a value before they are two numbers.
        assert_eq!(top_first("1,2,:gt"), ["1,2,:gt"]);
        assert_eq!(top_first("1,2,:add"), ["3.0,:const"]);
        assert_eq!(top_first("k,:has,2,:gt"), ["k,:has,:sum,2.0,:const,:gt"]);
        assert_eq!(
            error("name,sps,:eq,:by"),
            "IllegalStateException: no matches for word ':by' with stack [Equal], candidates: \
             [af:AggregateFunction keys:StringList -- DataExpr], [TimeSeriesExpr keys:List -- TimeSeriesExpr]"
        );
        assert_eq!(
            error(":nope"),
            "IllegalStateException: unknown word ':nope'"
        );
        assert_eq!(
            error("::sum"),
            "IllegalStateException: unknown word '::sum'"
        );
    }

    #[test]
    fn programs_may_call_programs_to_a_depth() {
        let nested = |depth: usize| {
            let mut program = "x".to_owned();
            for _ in 0..depth {
                program = format!("(,{program},),:call");
            }
            stack(&program)
        };
        assert_eq!(nested(9).expect("within the limit"), ["x"]);
        assert_eq!(
            nested(10).expect_err("beyond"),
            "IllegalStateException: looping detected"
        );
    }

    #[test]
    fn settings_pass_through_when_only_one_operand_has_any() {
        assert_eq!(
            top_first("1,f00,:color,:dup,:add,x,:legend"),
            ["2.0,:const,x,:legend"]
        );
        assert_eq!(
            top_first("k,:has,l,:legend,2,:mul"),
            ["k,:has,:sum,2.0,:const,:mul,l,:legend"]
        );
        assert_eq!(
            top_first("k,:has,l,:legend,k,:has,m,:legend,:mul"),
            ["k,:has,:sum,k,:has,:sum,:mul"]
        );
        assert_eq!(
            top_first("k,:has,l,:legend,:avg"),
            ["k,:has,:sum,:avg,l,:legend"]
        );
        assert!(error("k,:has,l,:legend,(,a,),:by").contains("with stack [StyleExpr,List]"));
        assert_eq!(
            top_first("k,:has,l,:legend,(,a,),:cg"),
            ["k,:has,:sum,(,a,),:by,l,:legend"]
        );
    }

    #[test]
    fn grouping_is_pushed_down_or_applied_again() {
        assert_eq!(
            top_first("k,:has,:sum,j,:has,:max,:div,(,a,),:by"),
            ["k,:has,:sum,(,a,),:by,j,:has,:max,(,a,),:by,:div"]
        );
        assert_eq!(
            top_first("k,:has,(,a,b,),:by,:max,(,a,),:by"),
            ["k,:has,:sum,(,a,b,),:by,:max,(,a,),:by"]
        );
        assert_eq!(
            top_first("k,:has,(,a,b,),:by,(,a,),:by"),
            ["k,:has,:sum,(,a,b,),:by,:sum,(,a,),:by"]
        );
        assert_eq!(
            top_first("k,:has,:dist-avg,(,a,),:by,1h,:offset"),
            ["k,:has,:dist-avg,1h,:offset,(,a,),:by"]
        );
        assert_eq!(
            error("k,:has,(,a,),:by,:sum,(,b,),:by"),
            "IllegalArgumentException: requirement failed: (,b,) is not a subset of (,a,)"
        );
        assert_eq!(
            error("k,:has,(,a,),:by,k,:has,(,b,),:by,:add"),
            "IllegalArgumentException: both sides of binary operation must have the same grouping or one side must be a subset \
             of the other [(,a,) ⊈ (,b,)]"
        );
    }

    #[test]
    fn common_queries_reach_everything() {
        assert_eq!(
            top_first("k,:has,l,:legend,a,b,:eq,:cq"),
            ["k,:has,a,b,:eq,:and,:sum,l,:legend"]
        );
        assert_eq!(
            top_first("k,:has,:avg,a,b,:eq,:cq"),
            ["k,:has,a,b,:eq,:and,:avg"]
        );
        assert_eq!(top_first("42,a,b,:eq,:cq"), ["42"]);
        assert_eq!(
            error("k,:has,:dup,foo,:named-rewrite,a,b,:eq,:cq"),
            "IllegalStateException: unknown word ':foo'"
        );
    }

    #[test]
    fn offsets_and_consolidations_are_set_everywhere() {
        let printed = |program| {
            let stack = run(program, Vocabulary::full()).expect("valid");
            stack[0].to_string()
        };
        assert_eq!(
            printed("k,:has,:max,1h,:offset,2h,:offset"),
            "k,:has,:max,2h,:offset"
        );
        assert_eq!(printed("k,:has,:avg,1h,:offset"), "k,:has,:avg,1h,:offset");
        assert_eq!(printed("k,:has,:max,:cf-max"), "k,:has,:max");
        assert_eq!(printed("k,:has,:cf-sum"), "k,:has,:sum,:cf-sum");
        assert_eq!(
            printed("k,:has,:avg,:cf-min"),
            "k,:has,:sum,:cf-min,k,:has,:count,:cf-min,:div"
        );
        assert_eq!(
            top_first("k,:has,(,a,),:by,1w,:offset"),
            ["k,:has,:sum,1w,:offset,(,a,),:by"]
        );
    }

    #[test]
    fn percentiles_are_of_sums_by_bucket() {
        assert_eq!(
            top_first("k,:has,:max,(,a,),:by,(,99,5,99,),:percentiles"),
            ["k,:has,(,a,),:by,(,5.0,99.0,),:percentiles"]
        );
        assert!(
            error("k,:has,:all,(,5,),:percentiles").contains("no matches for word ':percentiles'")
        );
        assert_eq!(
            error("k,:has,(,NaN,),:percentiles"),
            "IllegalArgumentException: requirement failed: invalid percentile NaN, value must be 0.0 <= p <= 100.0"
        );
    }

    #[test]
    fn colours_and_alphas_are_folded() {
        let style = |settings: &str| top_first(&format!("1,{settings}")).remove(0);
        assert_eq!(style("f00,:color,40,:alpha"), "1.0,:const,40ff0000,:color");
        assert_eq!(style("40,:alpha,f00,:color"), "1.0,:const,ffff0000,:color");
        assert_eq!(
            style("blue1,:color,40,:alpha"),
            "1.0,:const,blue1,:color,40,:alpha"
        );
        assert_eq!(
            style("2,:lw,1,:axis,:area"),
            "1.0,:const,2,:lw,:area,1,:axis"
        );
        assert_eq!(
            error("1,f00,:color,zz,:alpha"),
            "NumberFormatException: For input string: \"zz\" under radix 16"
        );
    }
}
