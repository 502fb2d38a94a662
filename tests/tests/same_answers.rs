//! P3: the same two hundred questions give the same answers from memory, after a kill and a replay, and from history.

use std::collections::BTreeMap;

use hesper_tests::golden::{self, Case};
use hesper_tests::http::{Answer, Http};
use hesper_tests::server::Server;

const QUESTIONS: usize = 200;

const ALL_IN_MEMORY: [&str; 4] = ["--max-age", "7300d", "--hot-window", "7300d"];
const OLD: [&str; 2] = ["--max-age", "7300d"];

/// Recorded questions that are answered with lines; spread over all areas.
fn questions() -> Vec<Case> {
    let mut by_area: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in golden::rows::<Case>("cases.jsonl.gz") {
        let lines = case.response["json"]["values"].as_array();
        if lines.is_some_and(|l| {
            l.iter()
                .any(|row| row.as_array().is_some_and(|r| !r.is_empty()))
        }) {
            by_area.entry(case.area.clone()).or_default().push(case);
        }
    }
    let mut chosen = Vec::new();
    while chosen.len() < 4 * QUESTIONS && by_area.values().any(|cases| !cases.is_empty()) {
        for cases in by_area.values_mut() {
            chosen.extend(cases.pop());
        }
    }
    chosen
}

async fn ask(http: &Http, questions: &[Case]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for case in questions {
        let answer = case.request.send(http).await;
        answers.push(answer.unwrap_or_else(|e| panic!("{}: {e}", case.id)));
    }
    answers
}

#[tokio::test]
async fn answers_do_not_depend_on_where_the_data_lies() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), &ALL_IN_MEMORY).await;
    let http = Http::new(&server.http);
    golden::publish(&http, "data.jsonl.gz").await;
    let mut questions = questions();
    let mut in_memory = ask(&http, &questions).await;
    // Those that are not known yet would be the same everywhere.
    let known: Vec<bool> = in_memory.iter().map(|a| a.status == 200).collect();
    let mut keep = known.iter();
    questions.retain(|_| *keep.next().expect("an answer each"));
    in_memory.retain(|a| a.status == 200);
    questions.truncate(QUESTIONS);
    in_memory.truncate(QUESTIONS);
    assert_eq!(
        questions.len(),
        QUESTIONS,
        "enough questions that can be answered"
    );
    assert!(
        in_memory
            .iter()
            .all(|a| a.header("hesper-read").contains("files=0"))
    );
    server.kill().await;

    let server = Server::start(directory.path(), &ALL_IN_MEMORY).await;
    let replayed = ask(&Http::new(&server.http), &questions).await;
    server.stop().await;

    let server = Server::start(directory.path(), &OLD).await;
    let from_history = ask(&Http::new(&server.http), &questions).await;
    let read_files = |a: &Answer| !a.header("hesper-read").contains("files=0");
    assert!(from_history.iter().filter(|a| read_files(a)).count() > QUESTIONS / 2);
    server.stop().await;

    for (what, answers) in [("replayed", &replayed), ("from history", &from_history)] {
        for ((case, want), got) in questions.iter().zip(&in_memory).zip(answers) {
            let difference = golden::difference(&want.json(), &got.json(), "");
            assert_eq!(difference, None, "{what}: {}", case.id);
        }
    }
}
