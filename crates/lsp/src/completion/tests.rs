use super::*;
use crate::document::Language;
use crate::tags::NoTags;
use hesper_stack::Vocabulary;

struct SomeTags;

impl Tags for SomeTags {
    fn keys(&self, prefix: &str, limit: usize) -> Vec<String> {
        let keys = ["name", "nf.app", "nf.cluster"].into_iter();
        keys.filter(|k| k.starts_with(prefix))
            .take(limit)
            .map(str::to_owned)
            .collect()
    }

    fn values(&self, key: &str, prefix: &str, limit: usize) -> Vec<String> {
        let values = match key {
            "name" => vec!["requests", "sps", "a,b"],
            "nf.app" => vec!["www"],
            _ => vec![],
        };
        values
            .into_iter()
            .filter(|v| v.starts_with(prefix))
            .take(limit)
            .map(str::to_owned)
            .collect()
    }
}

/// What is offered where `|` stands: the labels, and the text after the first offer was taken.
fn offers(text: &str, language: Language) -> (Vec<String>, String) {
    let offset = text.find('|').expect("a cursor");
    let mut text = text.replacen('|', "", 1);
    let document = Document::new(text.clone(), language, Vocabulary::full()).expect("small");
    let list = completion(&document, offset, &SomeTags, &MarkupKind::Markdown);
    if let Some(CompletionItemTextEdit::TextEdit(edit)) =
        list.items.first().and_then(|item| item.text_edit.clone())
    {
        let span = document.lines.span(&edit.range).expect("in range");
        assert!(span.start <= offset && offset <= span.end);
        text.replace_range(span, &edit.new_text);
    }
    (
        list.items.into_iter().map(|item| item.label).collect(),
        text,
    )
}

fn labels(text: &str) -> Vec<String> {
    offers(text, Language::Asl).0
}

fn has(labels: &[String], label: &str) -> bool {
    labels.iter().any(|l| l == label)
}

#[test]
fn words_fit_the_stack() {
    let words = labels("name,sps,:eq,:|");
    assert!(has(&words, ":sum") && has(&words, ":not") && has(&words, ":dup"));
    assert!(!has(&words, ":eq") && !has(&words, ":div") && !has(&words, ":call"));
    // Those of little use come last.
    let place = |label: &str| words.iter().position(|l| l == label);
    assert!(place(":sum") < place(":dup"));
    let words = labels("name,sps,:eq,:su|,2,:mul");
    assert!(has(&words, ":sum"), "{words:?}");
    assert!(has(&labels(":nope,name,sps,:eq,|"), ":sum"));
    assert!(labels("name,sps,/* :| */").is_empty());
    assert!(labels("name |").is_empty());
}

#[test]
fn the_token_is_replaced() {
    let text = "name,sps,:eq,:alx,:dup";
    let document = Document::new(text.to_owned(), Language::Asl, Vocabulary::full());
    let document = document.expect("small");
    let list = completion(&document, 16, &NoTags, &MarkupKind::Markdown);
    for item in &list.items {
        let Some(CompletionItemTextEdit::TextEdit(edit)) = &item.text_edit else {
            panic!("{} replaces nothing", item.label);
        };
        assert_eq!(document.lines.span(&edit.range).expect("in range"), 13..17);
        assert_eq!(edit.new_text, item.label);
    }
    assert!(list.items.iter().any(|item| item.label == ":all"));
    let document = Document::new("1,;ab".to_owned(), Language::Asl, Vocabulary::full());
    let document = document.expect("small");
    let list = completion(&document, 5, &NoTags, &MarkupKind::Markdown);
    let abs = list.items.iter().find(|item| item.label == ":abs");
    let filter = abs.and_then(|item| item.filter_text.as_deref());
    assert_eq!(filter, Some(";abs"));
}

#[test]
fn tags_are_offered_where_they_are_asked_for() {
    let first = |text: &str| labels(text)[0].clone();
    assert_eq!(first("|"), "name");
    assert_eq!(first("name,|"), "requests");
    assert_eq!(first("name,s|"), "sps");
    assert_eq!(first("nf|,www,:eq"), "nf.app");
    assert_eq!(first("nf.app,w|,:eq,:sum"), "www");
    assert_eq!(first("name,(,sps,|,),:in"), "requests");
    assert_eq!(first("name,(,|"), "requests");
    assert_eq!(first("name,sps,:eq,(,nf.c|,),:by"), "nf.cluster");
    assert_eq!(first("name,sps,:eq,(,|"), "name");
    assert_eq!(first("name,sps,:eq,nf|"), "nf.app");
    // Of a key without values nothing is made up.
    assert!(!has(&labels("nf.cluster,n|,:eq"), "name"));
    let (labels, text) = offers("name,a|", Language::Asl);
    assert_eq!(
        (labels[0].as_str(), text.as_str()),
        ("a,b", "name,a\\u002cb")
    );
}

#[test]
fn variables_are_offered() {
    assert!(has(&labels("total,1,:set,t|"), "total"));
    assert!(!has(&labels("total,1,:set,:|"), "total"));
}

#[test]
fn in_lists_any_word_may_come() {
    let words = labels("x,(,a,:|,),:set");
    assert!(has(&words, ":eq") && has(&words, ":swap"));
}

#[test]
fn a_uri_has_parameters_and_values() {
    let uri = |text: &str| offers(text, Language::Uri);
    assert_eq!(uri("|").0, ["/api/v1/graph", "/api/v2/fetch"]);
    let (names, text) = uri("/api/v1/graph?|");
    assert_eq!(
        (names[0].as_str(), text.as_str()),
        ("q", "/api/v1/graph?q=")
    );
    let (names, text) = uri("/api/v1/graph?q=1&|=x");
    assert!(!has(&names, "q"));
    assert_eq!(text, "/api/v1/graph?q=1&s=x");
    assert!(has(&uri("/api/v1/graph?format=s|").0, "std.json"));
    assert!(has(&uri("/api/v1/graph?tz=|").0, "US/Pacific"));
    assert!(has(&uri("/api/v1/graph?palette.1=|").0, "armytage"));
    assert_eq!(
        uri("/api/v1/graph?hints=no-image,|&w=1").1,
        "/api/v1/graph?hints=no-image,no-image&w=1"
    );
    for name in ["theme", "layout", "vision", "scale", "s", "step", "sort"] {
        assert!(
            !uri(&format!("/api/v1/graph?{name}=|")).0.is_empty(),
            "{name}"
        );
    }
}

#[test]
fn programs_in_a_uri_are_encoded() {
    let (labels, text) = offers("/api/v1/graph?q=name%2Cs|&w=1", Language::Uri);
    assert_eq!(labels[0], "sps");
    assert_eq!(text, "/api/v1/graph?q=name%2Csps&w=1");
    let (labels, text) = offers("/api/v1/graph?q=name,a|", Language::Uri);
    assert_eq!(labels[0], "a,b");
    assert_eq!(text, "/api/v1/graph?q=name,a%5Cu002cb");
    let (labels, _) = offers("/api/v1/graph?cq=name,sps,:eq,:|", Language::Uri);
    assert!(has(&labels, ":not") && !has(&labels, ":sum"));
}
