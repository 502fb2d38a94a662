//! All words: as Atlas has them, and described on a page that is current.

use std::path::PathBuf;

use hesper_stack::Vocabulary;
use hesper_stack::reference::words_page;
use hesper_stack::vocabulary::VOCABULARIES;
use hesper_stack::word::Word;
use serde::Deserialize;

fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

#[derive(Deserialize)]
struct AtlasVocabulary {
    vocab: String,
    words: Vec<AtlasWord>,
}

#[derive(Deserialize)]
struct AtlasWord {
    name: String,
    signature: String,
    examples: Vec<String>,
}

/// The words of a vocabulary that those below it do not have.
fn own_words(name: &str) -> Vec<&'static Word> {
    let (vocabulary, below) = match name {
        "event" => (Vocabulary::events(), Some("query")),
        name => {
            let at = VOCABULARIES.iter().position(|v| *v == name);
            let below = at
                .and_then(|at| at.checked_sub(1))
                .map(|at| VOCABULARIES[at]);
            (Vocabulary::named(name).expect("there"), below)
        }
    };
    let known = below.map_or(0, |below| {
        Vocabulary::named(below).expect("there").words().count()
    });
    vocabulary.words().skip(known).collect()
}

#[test]
fn words_are_those_of_atlas() {
    let text = std::fs::read_to_string(file("tests/golden/words.json")).expect("the list of words");
    let vocabularies: Vec<AtlasVocabulary> = serde_json::from_str(&text).expect("a list");
    for AtlasVocabulary { vocab, words } in vocabularies {
        let ours = own_words(&vocab);
        let names: Vec<&str> = ours.iter().map(|word| word.name()).collect();
        let atlas: Vec<&str> = words.iter().map(|word| word.name.as_str()).collect();
        // Which definition runs, and in which order words are suggested, follows from their order.
        assert_eq!(names, atlas, "{vocab}");
        for (own, word) in ours.iter().zip(&words) {
            let label = format!("{vocab}/:{}", word.name);
            assert_eq!(own.signature(), word.signature, "{label}");
            let examples: Vec<&str> = own.example_stacks().collect();
            assert_eq!(examples, word.examples, "{label}");
        }
    }
}

#[test]
fn the_page_of_all_words_is_current() {
    let path = file("docs/words.md");
    let page = words_page();
    if std::env::var_os("HESPER_WRITE_DOCS").is_some_and(|v| v == "1") {
        std::fs::write(&path, &page).expect("a page that can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/words.md is not what the definitions of words say; write it anew with HESPER_WRITE_DOCS=1 cargo test -p hesper-stack \
         --test words"
    );
}
