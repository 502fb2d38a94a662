//! Words that whoever runs a server defines.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Vocabulary, query, standard};
use crate::error::StackError;
use crate::expr::{CustomAverage, PrintQuery, TimeSeriesExpr};
use crate::lexer;
use crate::parse::parse_query_with;
use crate::value::Value;
use crate::word::Word;

/// The words to define, as a configuration holds them. By default these are the averages that come with Atlas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CustomWords {
    /// Words that stand for programs.
    #[serde(default)]
    pub words: Vec<CustomWord>,
    /// Averages by what another query counts.
    #[serde(default = "shipped_averages")]
    pub custom_averages: Vec<AverageConfig>,
}

/// A word that stands for a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomWord {
    /// Its name, without the colon.
    pub name: String,
    /// The program that it stands for.
    pub body: String,
    /// Stacks to try it on.
    #[serde(default)]
    pub examples: Vec<String>,
}

/// A word for the sum of a query, divided by the sum of another one that counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AverageConfig {
    /// Its name, without the colon.
    pub name: String,
    /// The query that counts.
    pub base_query: String,
    /// The keys that what it counts is tagged with.
    pub keys: Vec<String>,
}

impl Default for CustomWords {
    fn default() -> Self {
        Self {
            words: Vec::new(),
            custom_averages: shipped_averages(),
        }
    }
}

fn shipped_averages() -> Vec<AverageConfig> {
    const KEYS: [&str; 11] = [
        "nf.account",
        "nf.app",
        "nf.ami",
        "nf.asg",
        "nf.cluster",
        "nf.stack",
        "nf.zone",
        "nf.region",
        "nf.node",
        "nf.ns",
        "nf.vmtype",
    ];
    let average = |name: &str, base_query: &str| AverageConfig {
        name: name.to_owned(),
        base_query: base_query.to_owned(),
        keys: KEYS.map(str::to_owned).to_vec(),
    };
    vec![
        average("node-avg", "name,poller.asg.instance,:eq"),
        average("eureka-avg", "name,discovery.status,:eq,state,UP,:eq,:and"),
    ]
}

/// The words that a configuration defines, in the order in which it does.
///
/// # Errors
/// When a name is none, a body cannot be read, or what should count is no query.
pub(super) fn words(config: &CustomWords) -> Result<Vec<Word>, StackError> {
    // Made here, since the shared vocabularies are not there before the shipped words are.
    let queries = standard::words().into_iter().chain(query::words());
    let queries = Vocabulary::of("query", queries.map(Arc::new).collect());
    let words = config.words.iter().map(word);
    let averages = config.custom_averages.iter().map(|a| average(a, &queries));
    words.chain(averages).collect()
}

fn word(config: &CustomWord) -> Result<Word, StackError> {
    check_name(&config.name)?;
    let body =
        lexer::tokens(&config.body).map_err(|e| refused(&config.name, "body", &config.body, &e))?;
    Ok(Word::free_program(config.name.clone(), &body)
        .summary(format!("The same as `{}`.", body.join(",")))
        .configured_examples(&config.examples))
}

fn average(config: &AverageConfig, queries: &Vocabulary) -> Result<Word, StackError> {
    check_name(&config.name)?;
    let base = parse_query_with(&config.base_query, queries)
        .map_err(|e| refused(&config.name, "base-query", &config.base_query, &e))?;
    let summary = format!(
        "The average of a query by what `{}` counts: the sum of the one divided by the sum of the other, as far as both can be asked for \
         the same. Of the keys in the query and in a grouping these count for both: {}.",
        PrintQuery(&base),
        config.keys.join(", ")
    );
    let average = Arc::new(CustomAverage {
        name: config.name.as_str().into(),
        base,
        keys: config.keys.iter().map(|k| k.as_str().into()).collect(),
    });
    let fits = |stack: &[Value]| matches!(stack.last(), Some(Value::Query(_)));
    let signature = "Query -- TimeSeriesExpr";
    Ok(Word::own(config.name.clone(), signature, fits, move |m| {
        let query = m.pop_query()?;
        m.push_expr(TimeSeriesExpr::NamedRewrite(average.of(query)))
    })
    .summary(summary))
}

/// A name has to be one that a program can call.
fn check_name(name: &str) -> Result<(), StackError> {
    let token = format!(":{name}");
    match lexer::tokens(&token) {
        Ok(tokens) if !name.is_empty() && tokens == [token] => Ok(()),
        _ => Err(StackError::IllegalArgument(format!(
            "custom word '{name}': a name may not be empty, nor hold commas, comments, or blanks at its end"
        ))),
    }
}

fn refused(name: &str, field: &str, text: &str, e: &StackError) -> StackError {
    StackError::IllegalArgument(format!("custom word '{name}': {field} '{text}': {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpreter::run;

    fn vocabulary(config: &str) -> Result<Vocabulary, StackError> {
        Vocabulary::with_custom_words(&serde_json::from_str(config).expect("a configuration"))
    }

    fn printed(program: &str, vocabulary: &Vocabulary) -> String {
        let stack = run(program, vocabulary).expect("a valid program");
        let texts: Vec<String> = stack.iter().map(ToString::to_string).collect();
        texts.join(" ")
    }

    fn evaluated(program: &str, vocabulary: &Vocabulary) -> String {
        let stack = run(program, vocabulary).expect("a valid program");
        match &stack[0] {
            Value::Expr(expr) => match &**expr {
                TimeSeriesExpr::NamedRewrite(named) => named.eval.to_string(),
                other => other.to_string(),
            },
            other => other.to_string(),
        }
    }

    #[test]
    fn words_stand_for_programs() {
        let custom = vocabulary(
            r#"{"words": [{"name": "square", "body": ":dup, :mul", "examples": ["2"]}]}"#,
        )
        .expect("valid");
        assert_eq!(printed("3,:square", &custom), "9.0,:const");
        let word = custom
            .words()
            .find(|w| w.name() == "square")
            .expect("there");
        assert_eq!(word.signature(), "? -- ?");
        assert_eq!(word.example_stacks().collect::<Vec<_>>(), ["2"]);
        // The shipped averages are there unless others are given.
        assert!(custom.overloads("node-avg").is_some());
        assert!(
            vocabulary(r#"{"custom-averages": []}"#)
                .expect("valid")
                .overloads("node-avg")
                .is_none()
        );
        // A word that exists is tried first.
        let custom = vocabulary(r#"{"words": [{"name": "add", "body": "x"}]}"#).expect("valid");
        assert_eq!(printed("1,2,:add,a,:add", &custom), "3.0,:const a x");
    }

    #[test]
    fn averages_divide_by_what_counts() {
        let custom = vocabulary(
            r#"{"custom-averages": [{"name": "node-avg", "base-query": "name,nodes,:eq", "keys": ["app", "zone"]}]}"#,
        )
        .expect("valid");
        let shown = |program| (printed(program, &custom), evaluated(program, &custom));
        assert_eq!(
            shown("name,x,:eq,app,a,:eq,:and,:node-avg"),
            (
                "name,x,:eq,app,a,:eq,:and,:node-avg".to_owned(),
                "name,x,:eq,app,a,:eq,:and,:sum,name,nodes,:eq,app,a,:eq,:and,:sum,:div".to_owned()
            )
        );
        assert_eq!(
            shown("name,x,:eq,:node-avg,(,status,zone,),:by"),
            (
                "name,x,:eq,:node-avg,(,status,zone,),:by".to_owned(),
                "name,x,:eq,:sum,(,status,zone,),:by,name,nodes,:eq,:sum,(,zone,),:by,:div"
                    .to_owned()
            )
        );
        assert_eq!(
            shown("name,x,:eq,:node-avg,1h,:offset,(,status,),:by").1,
            "name,x,:eq,:sum,1h,:offset,(,status,),:by,1h,:offset,name,nodes,:eq,:sum,1h,:offset,:div"
        );
        assert_eq!(
            shown("name,x,:eq,:node-avg,app,a,:eq,:cq,(,zone,),:cg").1,
            "name,x,:eq,app,a,:eq,:and,:sum,(,zone,),:by,name,nodes,:eq,app,a,:eq,:and,:sum,(,zone,),:by,:div"
        );
    }

    #[test]
    fn what_cannot_be_a_word_is_refused() {
        let error = |config| vocabulary(config).expect_err("refused").to_string();
        assert_eq!(
            error(r#"{"words": [{"name": "a,b", "body": "1"}]}"#),
            "IllegalArgumentException: custom word 'a,b': a name may not be empty, nor hold commas, comments, or blanks at its end"
        );
        assert_eq!(
            error(r#"{"words": [{"name": "a", "body": "1/*"}]}"#),
            "IllegalArgumentException: custom word 'a': body '1/*': IllegalStateException: unclosed comment"
        );
        assert_eq!(
            error(r#"{"custom-averages": [{"name": "a", "base-query": "name,x", "keys": []}]}"#),
            "IllegalArgumentException: custom word 'a': base-query 'name,x': IllegalStateException: expected a single query on the stack"
        );
    }
}
