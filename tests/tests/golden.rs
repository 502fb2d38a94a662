//! The recorded answers of the real Atlas, held against a real node: from memory, and after a flush and a restart from history.
//!
//! `golden/floor.toml` says how many cases of each area have to pass. A gain is written there with `HESPER_RAISE_FLOOR=1`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hesper_tests::golden::{self, Tally};
use hesper_tests::http::Http;
use hesper_tests::server::Server;

/// Areas and the number of their cases that have to pass, by set of cases.
type Floors = BTreeMap<String, BTreeMap<String, usize>>;

fn floor_file() -> PathBuf {
    golden::folder().join("floor.toml")
}

fn floors() -> Floors {
    let text = std::fs::read_to_string(floor_file()).unwrap_or_default();
    toml::from_str(&text).expect("a table of areas for each set")
}

/// Prints the areas with failures and fails when one is below its floor.
fn judge(set: &str, tally: &Tally) {
    let floors = floors();
    let floor = |area: &str| {
        floors
            .get(set)
            .and_then(|f| f.get(area))
            .copied()
            .unwrap_or(0)
    };
    let mut fallen = Vec::new();
    for (area, (passed, cases)) in &tally.areas {
        if passed < cases {
            println!("{area:36} {passed:5} of {cases}");
        }
        if *passed < floor(area) {
            fallen.push(format!(
                "{area}: {passed} of {cases}, the floor is {}",
                floor(area)
            ));
        }
    }
    let (passed, cases) = tally.total();
    println!("{set}: passed {passed} of {cases}");
    if std::env::var_os("HESPER_RAISE_FLOOR").is_some() {
        raise(set, tally);
    }
    if !fallen.is_empty() {
        for (id, difference) in &tally.failed {
            println!("{id}: {difference}");
        }
        panic!("{set}: below the floor:\n{}", fallen.join("\n"));
    }
}

fn raise(set: &str, tally: &Tally) {
    let mut floors = floors();
    let of_set = floors.entry(set.to_owned()).or_default();
    for (area, (passed, _)) in &tally.areas {
        let floor = of_set.entry(area.clone()).or_default();
        *floor = (*floor).max(*passed);
    }
    let mut text =
        String::from("# How many cases of each area have to pass; see tests/golden.rs.\n");
    for (set, areas) in &floors {
        text.push_str(&format!("\n[{set}]\n"));
        for (area, passed) in areas.iter().filter(|(_, passed)| **passed > 0) {
            text.push_str(&format!("{area:?} = {passed}\n"));
        }
    }
    std::fs::write(floor_file(), text).expect("the floor file can be written");
}

// A slow run takes longer than a step: the node's own series would be among the tags.
const OLD: [&str; 4] = ["--max-age", "7300d", "--self-metrics", "false"];
const ALL_IN_MEMORY: [&str; 6] = [
    "--max-age",
    "7300d",
    "--self-metrics",
    "false",
    "--hot-window",
    "7300d",
];

async fn from_memory(set: &str, data: &str, setup: Option<&str>) {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), &ALL_IN_MEMORY).await;
    let http = Http::new(&server.http);
    golden::publish(&http, data).await;
    judge(
        set,
        &golden::replay(&http, &format!("{set}.jsonl.gz"), setup).await,
    );
    server.stop().await;
}

async fn from_history(set: &str, data: &str, setup: Option<&str>) {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start(directory.path(), &OLD).await;
    golden::publish(&Http::new(&server.http), data).await;
    server.stop().await;
    let server = Server::start(directory.path(), &OLD).await;
    assert!(server.ready.contains(" 0 series "), "{}", server.ready);
    let http = Http::new(&server.http);
    judge(
        set,
        &golden::replay(&http, &format!("{set}.jsonl.gz"), setup).await,
    );
    server.stop().await;
}

#[tokio::test]
async fn cases_from_memory() {
    from_memory("cases", "data.jsonl.gz", Some("publish-load.jsonl.gz")).await;
}

#[tokio::test]
async fn cases_from_history() {
    from_history("cases", "data.jsonl.gz", Some("publish-load.jsonl.gz")).await;
}

#[tokio::test]
async fn docs_from_memory() {
    from_memory("docs-cases", "docs-data.jsonl.gz", None).await;
}

#[tokio::test]
async fn docs_from_history() {
    from_history("docs-cases", "docs-data.jsonl.gz", None).await;
}
