//! The words are those of Atlas: by name, signature and examples, in the order in which Atlas lists them.

use hesper_stack::Vocabulary;
use hesper_stack::vocabulary::VOCABULARIES;
use serde_json::{Value, json};

/// The vocabularies that are whole.
const WHOLE: [&str; 6] = ["std", "query", "data", "math", "stateful", "custom"];

/// The words of a vocabulary without those that it builds on.
fn own_words(name: &str) -> Vec<Value> {
    let at = VOCABULARIES.iter().position(|n| *n == name);
    let at = at.expect("the name of a vocabulary");
    let named = |name| Vocabulary::named(name).expect("there");
    let below = at.checked_sub(1).map_or(0, |below| {
        named(VOCABULARIES[below]).words().count()
    });
    let own = named(name).words().skip(below);
    own.map(|word| {
        json!({
            "name": word.name(),
            "signature": word.signature(),
            "examples": word.example_stacks().collect::<Vec<_>>(),
        })
    })
    .collect()
}

#[test]
fn they_are_those_of_atlas() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/words.json");
    let text = std::fs::read_to_string(path).expect("the list of words");
    let recorded: Value = serde_json::from_str(&text).expect("a list");
    for name in WHOLE {
        let all = recorded.as_array().into_iter().flatten();
        let vocabulary = all.filter(|v| v["vocab"] == name).next_back();
        let words = vocabulary.expect("recorded")["words"].clone();
        let wanted = words.as_array().expect("a list").iter();
        let wanted: Vec<Value> = wanted
            .map(|word| {
                json!({
                    "name": word["name"],
                    "signature": word["signature"],
                    "examples": word["examples"],
                })
            })
            .collect();
        let got = own_words(name);
        for (got, wanted) in got.iter().zip(&wanted) {
            assert_eq!(got, wanted, "in {name}");
        }
        assert_eq!(got.len(), wanted.len(), "words in {name}");
    }
}
