//! The words that handle the stack itself: copying, moving, lists, loops, variables.

use super::printf;
use crate::error::StackError;
use crate::kind::{self, Kind};
use crate::value::Value;
use crate::word::{Parameter, Word, named};

const A: Parameter = named("a", Kind::Any);
const B: Parameter = named("b", Kind::Any);

pub(super) fn words() -> Vec<Word> {
    let words = [
        Word::typed("call", &[named("program", Kind::List)], &[], |m| {
            let program = m.pop_list()?;
            m.call(program.items())
        })
        .summary("Takes a list off the stack and runs it as a program.")
        .examples(&["(,a,)"]),
        Word::own("clear", "* -- <empty>", |_| true, |m| {
            m.stack_mut().clear();
            Ok(())
        })
        .summary("Removes everything from the stack.")
        .examples(&["a,b,c"]),
        Word::typed("depth", &[], &[Kind::Int], |m| {
            let depth = m.stack_mut().len();
            m.push_text(depth.to_string())
        })
        .summary("The number of items on the stack.")
        .examples(&["", "a", "a,b"]),
        Word::typed("drop", &[A], &[], |m| m.pop().map(drop))
            .summary("Removes the top of the stack.")
            .examples(&["a,b,c", "ERROR:"]),
        Word::typed("dup", &[A], &[Kind::Any, Kind::Any], |m| {
            let a = m.pop()?;
            m.push(a.clone());
            m.push(a);
            Ok(())
        })
        .summary("Copies the top of the stack.")
        .examples(&["a", "a,b", "ERROR:"]),
        Word::own(
            "each",
            "items:List f:List -- f(items[0]) ... f(items[N])",
            two_lists,
            |m| {
                let f = m.pop_list()?;
                let items = m.pop_list()?;
                // From the last item to the first: the first one's results end up on top.
                for item in items.items().iter().rev() {
                    m.push(item.clone());
                    m.call(f.items())?;
                }
                Ok(())
            },
        )
        .summary("Runs a program for each item of a list, with the item on top of the stack; the last item first.")
        .examples(&["(,a,b,),(,:dup,)"]),
        Word::typed(
            "format",
            &[named("pattern", Kind::Text), named("args", Kind::List)],
            &[Kind::Text],
            |m| {
                let args = m.pop_list()?;
                let pattern = m.pop_text()?;
                m.push_text(printf::format(&pattern, args.items())?)
            },
        )
        .summary("Fills the items of a list into a pattern: `%s`, `%d`, `%x`, `%.2f` and so on, `%2$s` for the second item.")
        .examples(&["foo%s,(,bar,)"]),
        Word::own("freeze", "* -- <empty>", |_| true, |m| {
            m.freeze();
            Ok(())
        })
        .summary(
            "Puts everything on the stack out of the reach of the words that follow, and the variables back to what they were. \
             At the end it lies below what else there is.",
        )
        .examples(&["a,b,c"]),
        Word::typed("get", &[named("k", Kind::Text)], &[Kind::Any], |m| {
            let name = m.pop_text()?;
            let value = m.variable(&name)?;
            m.push(value);
            Ok(())
        })
        .summary("The value of a variable.")
        .examples(&["k,v,:set,k"]),
        Word::own("pick", "aN ... a0 N -- aN ... a0 aN", number_above_items, |m| {
            let n = m.pop_int()?;
            let at = place(n, m.stack_mut())?;
            let value = m.stack_mut()[at].clone();
            m.push(value);
            Ok(())
        })
        .summary("Copies the item so many places below the top to the top.")
        .examples(&["a,0", "a,b,0", "a,b,1", "ERROR:a"]),
        Word::own(
            "map",
            "items:List f:List -- List(f(items[0]) ... f(items[N]))",
            two_lists,
            |m| {
                let f = m.pop_list()?;
                let items = m.pop_list()?;
                let mut results = Vec::with_capacity(items.items().len());
                for item in items.items() {
                    m.push(item.clone());
                    m.call(f.items())?;
                    results.push(m.stack_mut().pop().ok_or_else(|| {
                        StackError::NoSuchElement("head of empty list".to_owned())
                    })?);
                }
                m.push_list(results)
            },
        )
        .summary("A list of what a program leaves on top of the stack for each item of a list.")
        .examples(&["(,a%s,b%s,),(,(,.netflix.com,),:format,)"]),
        Word::own("ndrop", "aN ... a0 N -- aN", number_on_top, |m| {
            let n = m.pop_int()?;
            take_top(m.stack_mut(), n);
            Ok(())
        })
        .summary("Removes so many items from the top.")
        .examples(&["a,0", "a,b,c,2", "a,b,c,4", "ERROR:"]),
        Word::own("nlist", "aN ... a0 N -- aN List(aN-1 ... a0)", number_on_top, |m| {
            let n = m.pop_int()?;
            let items = take_top(m.stack_mut(), n);
            m.push_list(items)
        })
        .summary("A list of so many items from the top, the top last.")
        .examples(&["a,0", "a,b,c,2", "a,b,c,4", "ERROR:"]),
        Word::typed("over", &[A, B], &[Kind::Any, Kind::Any, Kind::Any], |m| {
            let b = m.pop()?;
            let a = m.pop()?;
            for value in [a.clone(), b, a] {
                m.push(value);
            }
            Ok(())
        })
        .summary("Copies the item below the top to the top.")
        .examples(&["a,b"]),
        Word::own("-rot", "* a b -- b * a", |stack| !stack.is_empty(), |m| {
            m.stack_mut().rotate_right(1);
            Ok(())
        })
        .summary("Moves the top of the stack to the bottom.")
        .examples(&["a,b,c,d"]),
        Word::own("roll", "aN ... a0 N -- aN-1 ... a0 aN", number_above_items, |m| {
            let n = m.pop_int()?;
            if n != 0 {
                let at = place(n, m.stack_mut())?;
                let value = m.stack_mut().remove(at);
                m.push(value);
            }
            Ok(())
        })
        .summary("Moves the item so many places below the top to the top.")
        .examples(&["a,0", "a,b,0", "a,b,1", "ERROR:a"]),
        Word::own("rot", "a ... b -- ... b a", |stack| !stack.is_empty(), |m| {
            m.stack_mut().rotate_left(1);
            Ok(())
        })
        .summary("Moves the bottom of the stack to the top.")
        .examples(&["a,b,c,d"]),
        Word::typed(
            "set",
            &[named("k", Kind::Text), named("v", Kind::Any)],
            &[],
            |m| {
                let value = m.pop()?;
                let name = m.pop_text()?;
                m.set_variable(&name, value);
                Ok(())
            },
        )
        .summary("Sets a variable.")
        .examples(&["k,v"]),
        Word::typed("swap", &[A, B], &[Kind::Any, Kind::Any], |m| {
            let b = m.pop()?;
            let a = m.pop()?;
            m.push(b);
            m.push(a);
            Ok(())
        })
        .summary("Swaps the two topmost items.")
        .examples(&["a,b"]),
        Word::own("list", "* -- List(*)", |_| true, |m| {
            let mut items = std::mem::take(m.stack_mut());
            items.reverse();
            m.push_list(items)
        })
        .summary("Puts everything on the stack into one list, the top first.")
        .examples(&["a,b", ""]),
        Word::program("2over", &[A, B], &[Kind::Any; 4], &[":over", ":over"])
            .summary("Copies the two topmost items.")
            .examples(&["a,b"]),
        Word::program("nip", &[A, B], &[Kind::Any], &[":swap", ":drop"])
            .summary("Removes the item below the top.")
            .examples(&["a,b"]),
        Word::program("tuck", &[A, B], &[Kind::Any; 3], &[":swap", ":over"])
            .summary("Copies the top below the item under it.")
            .examples(&["a,b"]),
        Word::free_program("fcall", &[":get", ":call"])
            .summary("Runs the program that a variable holds.")
            .examples(&["duplicate,(,:dup,),:set,a,duplicate"]),
        Word::program(
            "sset",
            &[named("v", Kind::Any), named("k", Kind::Text)],
            &[],
            &[":swap", ":set"],
        )
        .summary("Sets a variable, its name being on top.")
        .examples(&["a,b"]),
    ];
    words.into_iter().map(Word::not_suggested).collect()
}

fn two_lists(stack: &[Value]) -> bool {
    matches!(stack, [.., Value::List(_), Value::List(_)])
}

fn number_on_top(stack: &[Value]) -> bool {
    stack.last().is_some_and(|top| kind::int(top).is_some())
}

fn number_above_items(stack: &[Value]) -> bool {
    stack.len() > 1 && number_on_top(stack)
}

/// Where the item `n` places below the top lies.
fn place(n: i32, stack: &[Value]) -> Result<usize, StackError> {
    usize::try_from(n)
        .ok()
        .and_then(|n| stack.len().checked_sub(n + 1))
        .ok_or_else(|| StackError::IndexOutOfBounds(n.to_string()))
}

/// Removes `n` items from the top, all of them if there are fewer, none if `n` is negative.
fn take_top(stack: &mut Vec<Value>, n: i32) -> Vec<Value> {
    let n = usize::try_from(n).unwrap_or(0);
    stack.split_off(stack.len().saturating_sub(n))
}
