//! The page that lists all words, made from their definitions.

use std::fmt::Write;

use crate::vocabulary::{VOCABULARIES, Vocabulary};
use crate::word::Word;

/// What each vocabulary is for.
fn purpose(vocabulary: &str) -> &'static str {
    match vocabulary {
        "std" => "Handling the stack itself: copying, moving, lists, loops, variables.",
        "query" => "Saying which time series are meant, by their tags.",
        "data" => {
            "Asking storage for time series: made one, by group, from an earlier time, consolidated to the step."
        }
        "math" => "Computing: constants, arithmetic, aggregates of lines, percentiles, grouping.",
        "stateful" => "Values that depend on the ones before: rolling windows, smoothing, trends.",
        "filter" => {
            "Looking at the range as a whole: figures of lines, and which lines are kept. Not for live streams."
        }
        "style" => "How an expression is shown: legend, axis, colour, order.",
        "custom" => {
            "Words of the configuration, and averages that divide by the number of instances."
        }
        "event" => {
            "Asking for events instead of time series. For live streams only, on top of the query vocabulary."
        }
        _ => "",
    }
}

/// A vocabulary with the words that those before it do not have.
struct Own {
    name: &'static str,
    words: Vec<&'static Word>,
}

fn vocabularies() -> Vec<Own> {
    let mut known = 0;
    let mut all: Vec<Own> = VOCABULARIES
        .iter()
        .filter_map(|name| Vocabulary::named(name).ok())
        .map(|vocabulary| {
            let words: Vec<_> = vocabulary.words().skip(known).collect();
            known += words.len();
            Own {
                name: vocabulary.name(),
                words,
            }
        })
        .collect();
    let events = Vocabulary::events();
    let below = Vocabulary::named("query").map_or(0, |v| v.words().count());
    all.push(Own {
        name: events.name(),
        words: events.words().skip(below).collect(),
    });
    all.retain(|own| !own.words.is_empty());
    all
}

const INTRODUCTION: &str = "\
# Words of the stack language

<!-- Made from the definitions in crates/stack/src/vocabulary. To write it anew: HESPER_WRITE_DOCS=1 cargo test -p hesper-stack --test words -->

A program is a list of tokens with commas between them. What begins with a colon is a word and is executed; everything else is put on the
stack. `(` and `)` hold a list. `/* … */` is a comment. A comma, a colon at the beginning, a lone parenthesis or a blank at an edge is written
`\\u002c`, `\\u003a`, `\\u0028`, `\\u0020` and so on.

A signature says what a word takes off the stack, the top last, and what it puts there: `k:String v:String -- Query` takes two texts, called `k`
and `v`, and gives a query. Where several definitions of a word fit, the one that stands first on this page runs. A query stands for its `:sum`
where an expression is expected, and a number for a constant line. Settings of a `StyleExpr` stay when one expression with settings is
computed with.
";

/// The page, in Markdown.
pub fn words_page() -> String {
    let vocabularies = vocabularies();
    let mut page = String::from(INTRODUCTION);
    page.push_str("\n| vocabulary | what for | words |\n|---|---|---|\n");
    for Own { name, words } in &vocabularies {
        let mut links = String::new();
        for word in words {
            let separator = if links.is_empty() { "" } else { " " };
            let _ = write!(
                links,
                "{separator}[`:{}`](#{})",
                word.name(),
                anchor(name, word)
            );
        }
        let _ = writeln!(page, "| [{name}](#{name}) | {} | {links} |", purpose(name));
    }
    for Own { name, words } in &vocabularies {
        let _ = write!(page, "\n## {name}\n\n{}\n", purpose(name));
        for word in words {
            describe(&mut page, name, word);
        }
    }
    page
}

/// Words of several vocabularies may have the same name.
fn anchor(vocabulary: &str, word: &Word) -> String {
    format!("{vocabulary}-{}", word.name())
}

fn describe(page: &mut String, vocabulary: &str, word: &Word) {
    let _ = write!(
        page,
        "\n### <a id=\"{}\"></a>`:{}`\n\n`{}`\n\n{}\n",
        anchor(vocabulary, word),
        word.name(),
        word.signature().trim(),
        word.summary_text()
    );
    let mut examples = word.example_stacks().peekable();
    if examples.peek().is_some() {
        page.push('\n');
    }
    for example in examples {
        let (stack, refused) = match example.strip_prefix("ERROR:") {
            Some(stack) => (stack, " is refused"),
            None => (example, ""),
        };
        let comma = if stack.is_empty() { "" } else { "," };
        let _ = writeln!(page, "- `{stack}{comma}:{}`{refused}", word.name());
    }
}
