//! The commands that look after history: backup, restore, fsck and delete, with the real binary and real files.

use std::path::Path;
use std::process::Output;

use hesper_tests::golden;
use hesper_tests::http::Http;
use hesper_tests::server::{Server, binary};
use tokio::process::Command;

/// What is older than a second leaves memory once it is in history.
const FLAGS: [&str; 6] = [
    "--max-age",
    "7300d",
    "--hot-window",
    "1s",
    "--self-metrics",
    "false",
];

const PROGRAM: &str = "name,sps,:eq,(,nf.cluster,),:by";
const RANGE: (&str, &str) = ("2026-01-05T01:00", "2026-01-05T03:30");

async fn hesper(args: &[&str]) -> Output {
    let output = Command::new(binary()).args(args).output().await;
    output.expect("the binary can be run")
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

async fn succeeds(args: &[&str]) -> String {
    let output = hesper(args).await;
    let text = text(&output);
    assert!(output.status.success(), "{args:?}: {text}");
    text
}

async fn fails(args: &[&str]) -> String {
    let output = hesper(args).await;
    let text = text(&output);
    assert!(!output.status.success(), "{args:?}: {text}");
    text
}

/// A data directory with the recorded data in history.
async fn filled(data: &Path) -> Vec<(String, Vec<f64>)> {
    let server = Server::start(data, &FLAGS).await;
    let http = Http::new(&server.http);
    golden::publish(&http, "data.jsonl.gz").await;
    server.stop().await;
    answers(data, &FLAGS).await
}

async fn answers(data: &Path, flags: &[&str]) -> Vec<(String, Vec<f64>)> {
    let server = Server::start(data, flags).await;
    let http = Http::new(&server.http);
    let lines = http.graph(PROGRAM, RANGE.0, RANGE.1).await;
    server.stop().await;
    lines
}

fn same(a: &[(String, Vec<f64>)], b: &[(String, Vec<f64>)]) -> bool {
    let bits = |lines: &[(String, Vec<f64>)]| -> Vec<(String, Vec<u64>)> {
        let line = |(name, values): &(String, Vec<f64>)| {
            let values = values
                .iter()
                .map(|v| if v.is_nan() { 0 } else { v.to_bits() });
            (name.clone(), values.collect())
        };
        lines.iter().map(line).collect()
    };
    bits(a) == bits(b)
}

/// The first file in a folder or below whose name ends so.
fn find(folder: &Path, ending: &str) -> Option<std::path::PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).ok()?.flatten().collect();
    paths.sort_by_key(std::fs::DirEntry::path);
    paths.into_iter().find_map(|entry| {
        let path = entry.path();
        match path.is_dir() {
            true => find(&path, ending),
            false => path.to_str()?.ends_with(ending).then_some(path),
        }
    })
}

#[tokio::test]
async fn a_backup_answers_as_the_original_did() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (data, history) = (path("data"), path("data/history"));
    let before = filled(Path::new(&data)).await;
    assert!(!before.is_empty());
    let told = succeeds(&["backup", &history, &path("backup")]).await;
    assert!(told.contains("backed up commit"), "{told}");
    let again = succeeds(&["backup", &history, &path("backup"), "--keep", "1"]).await;
    assert!(again.contains("of them 0 copied"), "{again}");
    let restored = path("restored");
    succeeds(&["restore", &path("backup"), &restored]).await;
    let flags = [&FLAGS[..], &["--history", &restored]].concat();
    let after = answers(Path::new(&path("other")), &flags).await;
    assert!(same(&before, &after));
    let refused = fails(&["restore", &path("backup"), &restored]).await;
    assert!(refused.contains("there is a history already"), "{refused}");
    let sound = ["fsck", "--data-dir", &data, "--depth", "rows"];
    let told = succeeds(&sound).await;
    assert!(told.contains("log: nothing is damaged"), "{told}");
    let file = find(Path::new(&history).join("raw").as_path(), ".parquet").expect("a data file");
    let mut bytes = std::fs::read(&file).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    let told = fails(&["fsck", "--data-dir", &data]).await;
    let name = file.file_name().and_then(|n| n.to_str()).expect("a name");
    assert!(told.contains("damage:") && told.contains(name), "{told}");
}

#[tokio::test]
async fn what_is_deleted_is_gone_from_answers() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    let before = filled(&data).await;
    let server = Server::start(&data, &FLAGS).await;
    let http = Http::new(&server.http);
    let (gone, kept) = (before[0].0.clone(), before.len() - 1);
    let cluster = gone.rsplit(['=', ' ']).next().expect("a value");
    let query = format!(
        "name,sps,:eq,nf.cluster,{},:eq,:and",
        cluster.trim_end_matches(')')
    );
    let delete = |query: String| {
        let server = server.http.clone();
        async move {
            succeeds(&[
                "delete",
                &query,
                "--start",
                "2026-01-01T00:00",
                "--end",
                "2026-01-10T00:00",
                "--server",
                &server,
            ])
            .await
        }
    };
    let told = delete(query).await;
    assert!(told.starts_with("deleted"), "{told}");
    let after = http.graph(PROGRAM, RANGE.0, RANGE.1).await;
    assert_eq!(after.len(), kept, "{after:?}");
    assert!(after.iter().all(|(name, _)| *name != gone));
    let metric = r#"{"tags":{"name":"fresh","nf.app":"x"},"timestamp":1767571200000,"value":1}"#;
    let published = http
        .publish(&format!("{{\"tags\":{{}},\"metrics\":[{metric}]}}"))
        .await;
    assert_eq!(published.status, 200);
    let target = "/api/v1/data?q=name,fresh,:eq&s=2026-01-01&e=2026-01-10";
    let refused = http.send("DELETE", target, &[], Vec::new()).await;
    let refused = refused.expect("an answer");
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("memory holds data from"));
    server.stop().await;
}

#[tokio::test]
async fn a_file_is_loaded_into_history_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("old.jsonl");
    let lines = (0..50).map(|i| {
        let values: Vec<String> = (0..400).map(|p| (i * 1000 + p).to_string()).collect();
        let tags = format!(r#"{{"name":"old","node":"i-{i}","atlas.dstype":"gauge"}}"#);
        let values = values.join(",");
        format!("{{\"tags\":{tags},\"start\":1767571200,\"step\":60,\"values\":[{values}]}}\n")
    });
    std::fs::write(&file, lines.collect::<String>()).expect("written");
    let data = directory.path().join("data");
    let server = Server::start(&data, &["--self-metrics", "false"]).await;
    let http = Http::new(&server.http);
    let load = [
        "load",
        file.to_str().expect("text"),
        "--server",
        &server.grpc,
    ];
    let told = succeeds(&load).await;
    assert!(
        told.contains("loaded 20000 datapoints of 50 series"),
        "{told}"
    );
    let manifest = data.join("history/manifest");
    let commits = || std::fs::read_dir(&manifest).expect("a manifest").count();
    let once = commits();
    let lines = http.graph("name,old,:eq,:sum", "2026-01-04T23:59", "2026-01-05T06:39");
    let lines = lines.await;
    let expected: Vec<f64> = (0..400).map(|p| f64::from(50 * p + 1000 * 1225)).collect();
    assert_eq!(lines[0].1, expected);
    succeeds(&load).await;
    assert_eq!(commits(), once, "the same file again writes nothing");
    server.kill().await;
    let server = Server::start(&data, &["--self-metrics", "false"]).await;
    let http = Http::new(&server.http);
    let again = http.graph("name,old,:eq,:sum", "2026-01-04T23:59", "2026-01-05T06:39");
    assert_eq!(again.await[0].1, expected);
    server.stop().await;
}
