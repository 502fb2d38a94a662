//! The server by its messages.

use super::*;
use crate::tags::NoTags;
use crate::{MAX_DOCUMENT_BYTES, MAX_MESSAGE_BYTES};
use proptest::prelude::*;

/// A server that knows one document.
struct Session {
    server: Server,
    language: &'static str,
}

const URI: &str = "file:///a.asl";

impl Session {
    fn new(language: &'static str) -> Self {
        let mut server = Server::new(Language::Asl, Arc::new(NoTags));
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"capabilities": {}}});
        let answer = server.handle(hello);
        assert!(
            answer[0]["result"]["capabilities"].is_object(),
            "{answer:?}"
        );
        Self { server, language }
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut answers = self.server.handle(message);
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0]["id"], 1);
        answers.remove(0)
    }

    fn notify(&mut self, method: &str, params: Value) -> Vec<Value> {
        self.server
            .handle(json!({"jsonrpc": "2.0", "method": method, "params": params}))
    }

    /// Opens the document, and gives the messages of its diagnostics.
    fn open(&mut self, text: &str) -> Vec<String> {
        let item = json!({"uri": URI, "languageId": self.language, "version": 1, "text": text});
        let sent = self.notify("textDocument/didOpen", json!({"textDocument": item}));
        diagnostics(&sent)
    }

    fn change(&mut self, changes: Value) -> Vec<Value> {
        let document = json!({"uri": URI, "version": 2});
        let params = json!({"textDocument": document, "contentChanges": changes});
        self.notify("textDocument/didChange", params)
    }

    fn at(&mut self, method: &str, line: u32, character: u32) -> Value {
        let position = json!({"line": line, "character": character});
        let params = json!({"textDocument": {"uri": URI}, "position": position});
        self.request(method, params)
    }

    fn text(&self) -> &str {
        &self.server.documents[&Uri::from(URI)].text
    }
}

fn diagnostics(sent: &[Value]) -> Vec<String> {
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0]["method"], "textDocument/publishDiagnostics");
    let all = sent[0]["params"]["diagnostics"].as_array();
    all.expect("a list")
        .iter()
        .map(|d| d["message"].as_str().expect("a text").to_owned())
        .collect()
}

fn code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or_default()
}

#[test]
fn a_session_has_an_order() {
    let mut server = Server::new(Language::Asl, Arc::new(NoTags));
    let mut send = |message: Value| {
        server
            .handle(message)
            .into_iter()
            .next()
            .unwrap_or_default()
    };
    let request = |method: &str| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}});
    assert_eq!(code(&send(request("textDocument/hover"))), -32002);
    assert_eq!(
        code(&send(
            json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": []})
        )),
        -32602
    );
    assert!(send(request("initialize"))["result"].is_object());
    assert_eq!(code(&send(request("initialize"))), -32600);
    assert_eq!(code(&send(request("textDocument/nonsense"))), -32601);
    assert_eq!(send(request("shutdown"))["result"], Value::Null);
    assert_eq!(code(&send(request("textDocument/hover"))), -32600);
    assert_eq!(
        send(json!({"jsonrpc": "2.0", "method": "exit"})),
        Value::Null
    );
    assert_eq!(server.exit_status(), Some(0));
    assert!(server.handle(request("shutdown")).is_empty());
}

#[test]
fn documents_are_checked_as_they_change() {
    let mut session = Session::new("asl");
    assert_eq!(
        session.open("😀,sps,:eqq"),
        ["unknown word ':eqq', did you mean ':eq'?"]
    );
    let range = json!({"start": {"line": 0, "character": 9}, "end": {"line": 0, "character": 10}});
    let sent = session.change(json!([{"range": range, "text": ""}]));
    assert_eq!(diagnostics(&sent), [""; 0]);
    assert_eq!(session.text(), "😀,sps,:eq");
    assert_eq!(sent[0]["params"]["version"], 2);
    let sent = session.change(json!([{"text": "a"}, {"text": "1,:sumn"}]));
    assert_eq!(diagnostics(&sent).len(), 1);
    let closed = session.notify(
        "textDocument/didClose",
        json!({"textDocument": {"uri": URI}}),
    );
    assert_eq!(diagnostics(&closed), [""; 0]);
    assert_eq!(code(&session.at("textDocument/hover", 0, 0)), -32602);
    assert_eq!(code(&session.change(json!([]))[0]), -32602);
}

#[test]
fn changes_that_make_no_sense_leave_the_document_alone() {
    let mut session = Session::new("asl");
    session.open("a,:has");
    let position = |line: i64, character: i64| json!({"line": line, "character": character});
    for range in [
        json!({"start": position(5, 0), "end": position(6, 0)}),
        json!({"start": position(0, 3), "end": position(0, 1)}),
        json!({"start": position(0, -1), "end": position(0, 1)}),
        json!({"start": position(0, 0)}),
        json!("everything"),
        json!(5),
    ] {
        let sent = session.change(json!([{"range": range, "text": "x"}]));
        assert_eq!(code(&sent[0]), -32602, "{range}");
        assert_eq!(sent[0]["id"], Value::Null);
        assert_eq!(session.text(), "a,:has");
    }
    assert_eq!(code(&session.at("textDocument/hover", 9, 0)), -32602);
    let many = vec![json!({"text": ""}); MAX_CHANGES + 1];
    assert_eq!(code(&session.change(json!(many))[0]), -32803);
}

#[test]
fn limits_are_told() {
    let mut session = Session::new("asl");
    let text = "a".repeat(MAX_DOCUMENT_BYTES + 1);
    let item = json!({"uri": URI, "languageId": "asl", "version": 1, "text": text});
    let sent = session.notify("textDocument/didOpen", json!({"textDocument": item}));
    let said = "document is too large: 262145 bytes, the limit is 262144";
    assert_eq!(sent[0]["error"]["message"], said);
    assert_eq!(sent[1]["params"]["diagnostics"][0]["message"], said);
    let answer = session
        .server
        .handle_text(&" ".repeat(MAX_MESSAGE_BYTES + 1));
    assert!(answer[0].contains("message is too large"), "{answer:?}");
    for i in 0..=MAX_DOCUMENTS {
        let item =
            json!({"uri": format!("file:///{i}"), "languageId": "asl", "version": 1, "text": ""});
        let sent = session.notify("textDocument/didOpen", json!({"textDocument": item}));
        assert_eq!(sent[0]["error"].is_object(), i == MAX_DOCUMENTS);
    }
}

#[test]
fn hover_tells_words_and_literals() {
    let mut session = Session::new("asl");
    session.open("name,sps,:eq,\n5m,:nope");
    let mut hover = |line, character| {
        let answer = session.at("textDocument/hover", line, character);
        answer["result"]["contents"]["value"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    };
    let word = hover(0, 10);
    for part in [
        ":eq  k:String v:String -- Query",
        "is exactly this one",
        "nf.node,silverlight-003e,:eq",
        "String: sps\nString: name",
        "Stack after\n\n```asl\nEqual: name,sps,:eq",
    ] {
        assert!(word.contains(part), "{part} is not in {word}");
    }
    assert_eq!(hover(0, 2), "`name`: a tag key");
    assert_eq!(hover(0, 6), "`sps`: a value of the tag `name`");
    assert!(hover(1, 1).contains("PT5M"));
    assert_eq!(hover(1, 4), "`:nope` is no word");
}

#[test]
fn a_uri_is_hovered_part_by_part() {
    let mut session = Session::new("uri");
    assert_eq!(session.open("/api/v1/graph?q=name,%3Ahas&w=700"), [""; 0]);
    let mut hover = |character| {
        let answer = session.at("textDocument/hover", 0, character);
        answer["result"]["contents"]["value"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    };
    assert!(hover(3).contains("A graph: an image"));
    assert!(hover(14).contains("What is shown"));
    assert_eq!(hover(17), "`name`: a tag key");
    assert!(hover(23).starts_with("```asl\n:has  k:String -- Query"));
    assert!(hover(31).contains("The width in pixels"));
}

#[test]
fn signatures_show_the_operand_at_the_cursor() {
    let mut session = Session::new("asl");
    session.open("name,sps,:eq,(,a,),:by");
    let help = session.at("textDocument/signatureHelp", 0, 6)["result"].clone();
    assert_eq!(help["activeParameter"], 1);
    assert_eq!(help["signatures"][0]["parameters"][1]["label"], "v:String");
    let help = session.at("textDocument/signatureHelp", 0, 16)["result"].clone();
    assert_eq!(
        (&help["activeSignature"], &help["activeParameter"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(help["signatures"].as_array().map(Vec::len), Some(2));
}

#[test]
fn plain_text_is_given_to_those_who_ask_for_it() {
    let mut server = Server::new(Language::Asl, Arc::new(NoTags));
    let capabilities = json!({"textDocument": {"hover": {"contentFormat": ["x", "plaintext"]}}});
    let params = json!({"capabilities": capabilities});
    server.handle(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}));
    let mut session = Session {
        server,
        language: "asl",
    };
    session.open("name,:has");
    let contents = session.at("textDocument/hover", 0, 0)["result"]["contents"].clone();
    assert_eq!(
        contents,
        json!({"kind": "plaintext", "value": "name: a tag key"})
    );
}

#[test]
fn actions_are_of_the_kinds_asked_for() {
    let mut session = Session::new("asl");
    session.open("b,1,:eq,name,n,:eq,:and\n");
    let titles = |session: &mut Session, only: Value| -> Vec<String> {
        let range =
            json!({"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}});
        let context = json!({"diagnostics": [], "only": only});
        let params = json!({"textDocument": {"uri": URI}, "range": range, "context": context});
        let answer = session.request("textDocument/codeAction", params);
        let actions = answer["result"].as_array().expect("a list").iter();
        actions
            .map(|a| a["title"].as_str().expect("a text").to_owned())
            .collect()
    };
    assert_eq!(titles(&mut session, json!(["refactor"])), ["Normalize"]);
    assert_eq!(titles(&mut session, json!(["quickfix", "refac"])), [""; 0]);
    session.open("name,n,:eqq,\n:sum");
    assert_eq!(
        titles(&mut session, Value::Null),
        ["Put on one line"],
        "the word is out of range"
    );
}

#[test]
fn windows_line_ends_and_tabs_are_kept() {
    let mut session = Session::new("asl");
    session.open("a,:has,\r\nb,:has,:and\r\n");
    let options = json!({"tabSize": 4, "insertSpaces": false});
    let params = json!({"textDocument": {"uri": URI}, "options": options});
    let edits = session.request("textDocument/formatting", params.clone())["result"].clone();
    assert_eq!(edits[0]["newText"], "a,:has,\r\n\tb,:has,\r\n:and\r\n");
    session.open("a,/*");
    assert_eq!(
        session.request("textDocument/formatting", params)["result"],
        Value::Null
    );
}

/// Any JSON, of the words that messages are made of.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..1_000_000_000_000i64).prop_map(Value::from),
        proptest::sample::select(vec!["2.0", URI, "", "a,:has", "textDocument/hover"])
            .prop_map(Value::from),
    ];
    let key = proptest::sample::select(vec![
        "jsonrpc",
        "id",
        "method",
        "params",
        "textDocument",
        "uri",
        "position",
        "line",
        "character",
        "range",
        "start",
        "end",
        "text",
        "version",
        "contentChanges",
        "context",
        "languageId",
        "options",
        "tabSize",
        "insertSpaces",
        "diagnostics",
    ]);
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..5)
                .prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

fn method() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "initialize",
        "textDocument/didOpen",
        "textDocument/didChange",
        "textDocument/didClose",
        "textDocument/completion",
        "textDocument/hover",
        "textDocument/signatureHelp",
        "textDocument/definition",
        "textDocument/codeAction",
        "textDocument/formatting",
        "textDocument/semanticTokens/full",
        "shutdown",
        "$/cancelRequest",
    ])
}

/// Texts that are nearly programs, or URIs.
fn near_program() -> impl Strategy<Value = String> {
    let part = proptest::sample::select(vec![
        ",",
        "name",
        ":eq",
        "sps",
        ":sum",
        "(",
        ")",
        ":by",
        "/*",
        "*/",
        "\n",
        "\r\n",
        "😀",
        "é",
        ";sum",
        ":set",
        ":get",
        "%2C",
        "%C3",
        "&q=",
        "?",
        "=",
        "/api/v1/graph",
        "&s=e-3h",
        "#",
        "&tz=",
        "&format=",
        " ",
        "[",
        "\\u002c",
    ]);
    proptest::collection::vec(part, 0..16).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_message_makes_the_server_panic(
        methods in proptest::collection::vec((method(), any_json(), any::<bool>()), 1..6),
        noise in any_json(),
        text in "[{}\\[\\]\":,a-z0-9]{0,30}",
    ) {
        let mut session = Session::new("asl");
        session.open("name,sps,:eq");
        for (method, params, is_request) in methods {
            if is_request && method != "shutdown" {
                let answer = session.request(method, params);
                prop_assert!(answer.get("result").is_some() || answer.get("error").is_some());
            } else {
                session.notify(method, params);
            }
        }
        session.server.handle(noise);
        session.server.handle_text(&text);
    }

    #[test]
    fn edits_give_the_text_they_should(
        text in near_program(),
        edits in proptest::collection::vec((0.0..1.0f64, 0.0..1.0f64, near_program()), 1..5),
        is_uri in any::<bool>(),
    ) {
        let mut session = Session::new(if is_uri { "uri" } else { "asl" });
        session.open(&text);
        let mut expected: Vec<char> = text.chars().collect();
        for (a, b, replacement) in edits {
            let place = |part: f64| (part * (expected.len() + 1) as f64) as usize;
            let (start, end) = (place(a).min(place(b)), place(a).max(place(b)));
            let position = |at: usize| {
                let before: String = expected[..at].iter().collect();
                // As an editor counts: `\r\n` is one line end.
                let lines: Vec<&str> = before.split('\n').collect();
                let last = lines.last().copied().unwrap_or_default();
                json!({"line": lines.len() - 1, "character": last.encode_utf16().count()})
            };
            // Within a line end there is no position.
            let splits = |at: usize| {
                at > 0 && expected.get(at) == Some(&'\n') && expected[at - 1] == '\r'
            };
            if splits(start) || splits(end) {
                continue;
            }
            let range = json!({"start": position(start), "end": position(end)});
            session.change(json!([{"range": range, "text": replacement}]));
            expected.splice(start..end, replacement.chars());
            // A replacement may end a line in the middle of a line end; then the counts differ.
            if expected.iter().collect::<String>().replace("\r\n", "").contains('\r') {
                break;
            }
            prop_assert_eq!(session.text(), expected.iter().collect::<String>());
        }
        let units = session.text().encode_utf16().count() as u32;
        for character in 0..=units {
            for method in [
                "textDocument/completion",
                "textDocument/hover",
                "textDocument/signatureHelp",
                "textDocument/definition",
            ] {
                session.at(method, 0, character);
                session.at(method, 1, character);
            }
        }
        let document = json!({"uri": URI});
        let options = json!({"tabSize": 2, "insertSpaces": true});
        session.request("textDocument/formatting", json!({"textDocument": document, "options": options}));
        session.request("textDocument/semanticTokens/full", json!({"textDocument": document}));
        let everything = json!({"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": units}});
        let params = json!({"textDocument": document, "range": everything, "context": {"diagnostics": []}});
        session.request("textDocument/codeAction", params);
    }
}
