//! Documents and messages that are meant to be slow are answered all the same.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hesper_lsp::{Language, MAX_DOCUMENT_BYTES, NoTags, Server};
use serde_json::{Value, json};

/// Large enough that what takes time with the square of it is found.
const BYTES: usize = MAX_DOCUMENT_BYTES / 2;

/// As many copies of a part as make a large document.
fn filled(part: &str) -> String {
    part.repeat(BYTES / part.len())
}

fn documents() -> Vec<(&'static str, String)> {
    let deep = BYTES / 4;
    let stack = "a,".repeat(1_000);
    let words = ":dup,:drop,".repeat(BYTES / 11);
    vec![
        ("asl", filled("a,")),
        ("asl", filled(":nope,")),
        ("asl", filled("(,")),
        ("asl", filled("),")),
        ("asl", filled("/*")),
        ("asl", filled("/**/")),
        ("asl", filled("*/")),
        ("asl", filled("/**/a,\n")),
        ("asl", filled("😀")),
        ("asl", filled("\n")),
        ("asl", format!("(,{}),", filled("a,"))),
        ("asl", format!("x,(,{}),:set", "a,".repeat(deep))),
        ("asl", format!("{}{}", "(,".repeat(deep), "),".repeat(deep))),
        ("asl", stack + &words),
        ("asl", format!(":{}", "x".repeat(BYTES))),
        ("asl", filled("a,:has,")),
        ("asl", filled("a,b,:eq,:sum,")),
        ("uri", filled("&")),
        ("uri", format!("?{}", filled("&a"))),
        ("uri", format!("?{}", filled("&q=:x"))),
        ("uri", format!("?q={}", filled("%2C"))),
        ("uri", filled("%F0")),
    ]
}

#[test]
fn every_document_is_answered_in_time() {
    let mut server = Server::new(Language::Asl, Arc::new(NoTags));
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}});
    server.handle(initialize);
    let mut slowest = (Duration::ZERO, String::new());
    for (language, text) in documents() {
        let item = json!({"uri": "a", "languageId": language, "version": 1, "text": text});
        let notification = |method: &str, params: Value| json!({"jsonrpc": "2.0", "method": method, "params": params});
        let request = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let document = json!({"uri": "a"});
        let place = json!({"line": 0, "character": text.len() / 2});
        let at = json!({"textDocument": document, "position": place});
        let options = json!({"tabSize": 2, "insertSpaces": true});
        let all = json!({"start": {"line": 0, "character": 0}, "end": place});
        let context = json!({"diagnostics": []});
        let messages = [
            notification("textDocument/didOpen", json!({"textDocument": item})),
            request("textDocument/completion", at.clone()),
            request("textDocument/hover", at.clone()),
            request("textDocument/signatureHelp", at.clone()),
            request("textDocument/definition", at.clone()),
            request(
                "textDocument/semanticTokens/full",
                json!({"textDocument": document}),
            ),
            request(
                "textDocument/formatting",
                json!({"textDocument": document, "options": options}),
            ),
            request(
                "textDocument/codeAction",
                json!({"textDocument": document, "range": all, "context": context}),
            ),
        ];
        for message in messages {
            let method = message["method"].to_string();
            let start = Instant::now();
            let sent = server.handle(message);
            let took = start.elapsed();
            assert!(
                sent[0].get("error").is_none(),
                "{method}: {}",
                sent[0]["error"]
            );
            if took > slowest.0 {
                let begin = &text[..text.floor_char_boundary(20)];
                slowest = (took, format!("{method} of {begin}"));
            }
        }
    }
    // What takes longest is a program that does as much work as it may.
    assert!(slowest.0 < Duration::from_secs(3), "{slowest:?}");
}
