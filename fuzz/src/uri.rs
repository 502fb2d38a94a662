//! A graph URI is helped with as an editor asks for it: every request is answered, every place lies in the document, every change can be made,
//! and what has no error is what a node takes.

use std::sync::Arc;

use hesper_lsp::{Language, NoTags, Server};
use hesper_model::{Step, Timestamp};
use hesper_stack::graph::DisplayOptions;
use hesper_stack::time::{GraphTime, TimeZone, time_range};
use hesper_stack::{GraphOptions, StackError, StyleExpr, parse_graph};
use serde_json::{Value, json};

/// What `now` stands for.
const NOW: Timestamp = Timestamp(1_767_571_200_000);

/// What editors ask about a place.
const AT_A_PLACE: [&str; 3] = ["hover", "signatureHelp", "definition"];

/// Takes the input for a URI.
pub fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let mut editor = Editor::new();
    let diagnostics = editor.open(text);
    for diagnostic in &diagnostics {
        span(text, &diagnostic["range"]);
        assert!(
            diagnostic["message"]
                .as_str()
                .is_some_and(|m| !m.is_empty())
        );
    }
    editor.ask_everywhere(text);
    editor.check_actions(text);
    let formatted = editor.formatted(text);
    let again = editor.open(&formatted);
    assert_eq!(editor.formatted(&formatted), formatted, "formatted twice");
    // Of nothing at all nothing is said. Blanks between the parts are for the eye: a node does not take them.
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return;
    }
    let read = read(text);
    if !has_errors(&diagnostics) {
        let read = read.expect("nothing was said to be wrong");
        let after = self::read(&formatted).expect("formatted");
        // As texts, because a NaN is not itself.
        assert_eq!(format!("{after:?}"), format!("{read:?}"), "{formatted}");
        assert!(!has_errors(&again), "{formatted}: {again:?}");
    }
}

fn has_errors(diagnostics: &[Value]) -> bool {
    /// As the protocol numbers severities.
    const ERROR: u64 = 1;
    diagnostics.iter().any(|d| d["severity"] == ERROR)
}

/// What a node makes of a URI.
fn read(uri: &str) -> Result<(Vec<StyleExpr>, DisplayOptions, GraphTime), StackError> {
    let uri = uri.split('#').next().unwrap_or_default();
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let params: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let param = |name: &str| {
        let found = params.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    };
    let display = DisplayOptions::read(|name| param(name).map(str::to_owned))?;
    let name = param("tz").unwrap_or("UTC");
    for (_, zone) in params.iter().filter(|(key, _)| key == "tz") {
        TimeZone::parse(zone)?;
    }
    let (start, end) = (param("s").unwrap_or("e-3h"), param("e").unwrap_or("now"));
    let range = time_range(start, end, NOW, TimeZone::parse(name)?)?;
    let width = usize::try_from(display.width).expect("above zero");
    let time = GraphTime::new(range, Step::from_secs(60), param("step"), width)?;
    let program = param("q").ok_or_else(|| StackError::IllegalArgument("no 'q'".to_owned()))?;
    let options = GraphOptions {
        time_zone: name,
        common_query: param("cq"),
        ..GraphOptions::default()
    };
    Ok((parse_graph(program, &options)?, display, time))
}

struct Editor(Server);

impl Editor {
    fn new() -> Self {
        let mut editor = Self(Server::new(Language::Uri, Arc::new(NoTags)));
        editor.request("initialize", json!({}));
        editor
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut sent = self.0.handle(message);
        assert_eq!(sent.len(), 1, "{method} has one answer");
        let answer = sent.remove(0);
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Opens the document with another text, and gives the diagnostics.
    fn open(&mut self, text: &str) -> Vec<Value> {
        let item = json!({"uri": "a", "languageId": "uri", "version": 1, "text": text});
        let params = json!({"textDocument": item});
        let message = json!({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": params});
        let sent = self.0.handle(message);
        let diagnostics = sent[0]["params"]["diagnostics"].as_array();
        diagnostics.expect("they are published").clone()
    }

    /// Asks at the ends, and at a few places that follow from the text.
    fn ask_everywhere(&mut self, text: &str) {
        let marks = ['?', '=', '&', ',', ':', '%'];
        let mut places = vec![0, text.len() / 2, text.len()];
        places.extend(marks.iter().filter_map(|mark| Some(text.rfind(*mark)? + 1)));
        for place in &places {
            for feature in AT_A_PLACE {
                let answer = self.ask(feature, text, *place);
                if !answer["range"].is_null() {
                    span(text, &answer["range"]);
                }
            }
        }
        // What may come is found by trying all words: once is enough.
        let place = places[text.len() % places.len()];
        for item in self.ask("completion", text, place)["items"]
            .as_array()
            .expect("a list")
        {
            span(text, &item["textEdit"]["range"]);
        }
        let params = json!({"textDocument": {"uri": "a"}});
        let tokens = self.request("textDocument/semanticTokens/full", params);
        let length = tokens["data"].as_array().map_or(0, Vec::len);
        assert_eq!(length % 5, 0, "a token is five numbers");
    }

    fn ask(&mut self, feature: &str, text: &str, place: usize) -> Value {
        let position = position(text, text.floor_char_boundary(place));
        let params = json!({"textDocument": {"uri": "a"}, "position": position});
        self.request(&format!("textDocument/{feature}"), params)
    }

    fn check_actions(&mut self, text: &str) {
        let all = json!({"start": position(text, 0), "end": position(text, text.len())});
        let context = json!({"diagnostics": []});
        let params = json!({"textDocument": {"uri": "a"}, "range": all, "context": context});
        let actions = self.request("textDocument/codeAction", params);
        for action in actions.as_array().expect("a list") {
            changed(text, &action["edit"]["changes"]["a"]);
        }
    }

    fn formatted(&mut self, text: &str) -> String {
        let options = json!({"tabSize": 2, "insertSpaces": true});
        let params = json!({"textDocument": {"uri": "a"}, "options": options});
        let edits = self.request("textDocument/formatting", params);
        changed(text, &edits)
    }
}

/// The text after one change, or none.
fn changed(text: &str, edits: &Value) -> String {
    match edits.as_array().map_or(&[][..], Vec::as_slice) {
        [] => text.to_owned(),
        [edit] => {
            let span = span(text, &edit["range"]);
            let new = edit["newText"].as_str().expect("a text");
            [&text[..span.start], new, &text[span.end..]].concat()
        }
        more => panic!("{} changes at a time", more.len()),
    }
}

/// The bytes of a range, which must be there.
fn span(text: &str, range: &Value) -> std::ops::Range<usize> {
    let span = offset(text, &range["start"])..offset(text, &range["end"]);
    assert!(span.start <= span.end, "{range}");
    span
}

/// The lines of a text with where they begin, without what ends them.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let ends = text.match_indices(['\n', '\r']).filter(|(at, end)| {
        // The two characters of one end count once.
        !(*end == "\r" && text[at + 1..].starts_with('\n'))
    });
    let mut start = 0;
    let ends: Vec<usize> = ends.map(|(at, _)| at).chain([text.len()]).collect();
    ends.into_iter().map(move |end| {
        let line = (start, text[start..end].trim_end_matches('\r'));
        start = end + 1;
        line
    })
}

fn position(text: &str, offset: usize) -> Value {
    let found = lines(text).enumerate().filter(|(_, (at, _))| *at <= offset);
    let (number, (start, line)) = found.last().expect("a line begins at 0");
    let within = &line[..(offset - start).min(line.len())];
    json!({"line": number, "character": within.encode_utf16().count()})
}

fn offset(text: &str, position: &Value) -> usize {
    let number = |key: &str| position[key].as_u64().expect("a number") as usize;
    let (start, line) = lines(text).nth(number("line")).expect("a line");
    let mut units = 0;
    for (at, c) in line.char_indices() {
        if units == number("character") {
            return start + at;
        }
        units += c.len_utf16();
    }
    assert_eq!(
        units,
        number("character"),
        "between characters, in the line"
    );
    start + line.len()
}
