//! The words that a program may use.
//!
//! The vocabularies build on each other, each holding the words of those before it. Where a word has several definitions, the one of the
//! deeper vocabulary comes first, and the first that fits the stack runs.

pub mod custom;
mod data;
mod event;
mod filter;
mod math;
mod printf;
mod query;
mod standard;
mod stateful;
mod style;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

pub use self::custom::CustomWords;
pub(crate) use self::query::with_common_query;
use crate::error::StackError;
use crate::word::Word;

/// The names of the vocabularies, from the deepest up.
pub const VOCABULARIES: [&str; 8] = [
    "std", "query", "data", "math", "stateful", "filter", "style", "custom",
];

/// A set of words.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    name: &'static str,
    /// In the order in which definitions are tried.
    words: Vec<Arc<Word>>,
    by_name: HashMap<String, Vec<Arc<Word>>>,
}

impl Vocabulary {
    /// The vocabulary with this name, and all that it builds on.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<&'static Self, StackError> {
        static ALL: LazyLock<Vec<Vocabulary>> = LazyLock::new(all);
        ALL.iter()
            .find(|v| v.name == name)
            .ok_or_else(|| StackError::NoSuchElement(format!("key not found: {name}")))
    }

    /// All words: what a graph understands.
    ///
    /// # Panics
    /// Never: the vocabulary is always there.
    pub fn full() -> &'static Self {
        Self::named("custom").expect("the last of the vocabularies")
    }

    /// All words, with those of a configuration in place of the ones that are shipped.
    ///
    /// # Errors
    /// When a word of the configuration cannot be defined.
    ///
    /// # Panics
    /// Never: the vocabulary below is always there.
    pub fn with_custom_words(config: &CustomWords) -> Result<Self, StackError> {
        let below = Self::named("style").expect("the vocabulary below the custom one");
        let own = custom::words(config)?.into_iter().map(Arc::new);
        let words = below.words.iter().cloned().chain(own).collect();
        Ok(Self::of("custom", words))
    }

    /// The words for streams of events, and all that they build on: those of queries. It is none of the vocabularies that go by a name,
    /// since it has no part in graphs.
    pub fn events() -> &'static Self {
        static EVENTS: LazyLock<Vocabulary> = LazyLock::new(|| {
            let mut words: Vec<Arc<Word>> = Vec::new();
            for own in [standard::words(), query::words(), event::words()] {
                words.extend(own.into_iter().map(Arc::new));
            }
            Vocabulary::of("event", words)
        });
        &EVENTS
    }

    fn of(name: &'static str, words: Vec<Arc<Word>>) -> Self {
        let mut by_name: HashMap<String, Vec<Arc<Word>>> = HashMap::new();
        for word in &words {
            let overloads = by_name.entry(word.name().to_owned()).or_default();
            overloads.push(word.clone());
        }
        Self {
            name,
            words,
            by_name,
        }
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The words, in the order in which definitions are tried.
    pub fn words(&self) -> impl Iterator<Item = &Word> {
        self.words.iter().map(|w| &**w)
    }

    /// The definitions of a word, in the order in which they are tried; `None` when there is no such word.
    pub fn overloads(&self, name: &str) -> Option<&[Arc<Word>]> {
        self.by_name.get(name).map(Vec::as_slice)
    }
}

fn all() -> Vec<Vocabulary> {
    let mut words: Vec<Arc<Word>> = Vec::new();
    VOCABULARIES
        .iter()
        .map(|&name| {
            let own = match name {
                "std" => standard::words(),
                "query" => query::words(),
                "data" => data::words(),
                "math" => math::words(),
                "stateful" => stateful::words(),
                "filter" => filter::words(),
                "style" => style::words(),
                "custom" => {
                    custom::words(&CustomWords::default()).expect("shipped words are valid")
                }
                _ => Vec::new(),
            };
            words.extend(own.into_iter().map(Arc::new));
            Vocabulary::of(name, words.clone())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpreter::run;

    #[test]
    fn every_word_is_explained() {
        for word in Vocabulary::full().words() {
            assert!(!word.summary_text().is_empty(), "{word:?}");
        }
    }

    #[test]
    fn examples_run_unless_they_say_so() {
        for (vocabulary, word) in [Vocabulary::full(), Vocabulary::events()]
            .into_iter()
            .flat_map(|v| v.words().map(move |word| (v, word)))
        {
            for example in word.example_stacks() {
                let stack = example.strip_prefix("ERROR:");
                let program = format!("{},:{}", stack.unwrap_or(example), word.name());
                let result = run(&program, vocabulary);
                assert_eq!(result.is_err(), stack.is_some(), "{program}: {result:?}");
            }
        }
    }

    #[test]
    fn a_vocabulary_holds_the_words_of_those_before_it() {
        let query = Vocabulary::named("query").expect("there");
        assert!(query.overloads("dup").is_some());
        assert!(query.overloads("sum").is_none());
        assert_eq!(
            Vocabulary::named("event").expect_err("none").to_string(),
            "NoSuchElementException: key not found: event"
        );
        let names: Vec<_> = Vocabulary::full()
            .overloads("sum")
            .expect("there")
            .iter()
            .map(|w| w.signature())
            .collect();
        assert_eq!(
            names,
            ["q:Query -- DataExpr", "TimeSeriesExpr -- TimeSeriesExpr"]
        );
    }
}
