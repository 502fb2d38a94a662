//! The commands as they are typed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;

fn hesper() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hesper"));
    // Settings of whoever runs the tests must not reach them.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HESPER_")) {
        command.env_remove(name);
    }
    command
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A node on free ports; killed when dropped.
struct Node {
    child: Child,
    http: String,
    grpc: String,
}

impl Node {
    fn start(directory: &Path, flags: &[&str]) -> Self {
        let mut child = hesper()
            .args(["serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"])
            .args(flags)
            .arg("--data-dir")
            .arg(directory)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary can be run");
        let stdout = child.stdout.take().expect("it was asked for");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("its output can be read");
        let rest = line
            .strip_prefix("ready: ")
            .unwrap_or_else(|| panic!("{line}"));
        let (http, rest) = rest.split_once(" (gRPC ").expect("both addresses");
        let (grpc, _) = rest.split_once(')').expect("both addresses");
        Self {
            child,
            http: http.to_owned(),
            grpc: format!("http://{grpc}"),
        }
    }

    fn run(&self, args: &[&str]) -> Output {
        let server = match args[0] {
            "load" => &self.grpc,
            _ => &self.http,
        };
        let output = hesper().args(args).args(["--server", server]).output();
        output.expect("the binary can be run")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const LINES: &str = r#"{"tags":{"name":"old.requests","nf.app":"api"},"start":1767578460,"step":60,"values":[1,2,null,4]}
{"tags":{"name":"old.requests","nf.app":"www"},"start":1767578460,"step":60,"values":[10,20,30,40]}
"#;

const RANGE: [&str; 4] = ["--start", "2026-01-05T02:00", "--end", "2026-01-05T02:04"];

#[test]
fn what_is_loaded_is_answered_in_every_format() {
    let directory = tempfile::tempdir().expect("a directory");
    let plain = directory.path().join("old.jsonl");
    std::fs::write(&plain, LINES).expect("written");
    let packed = directory.path().join("old.jsonl.gz");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(LINES.as_bytes()).expect("packed");
    std::fs::write(&packed, gzip.finish().expect("packed")).expect("written");

    let node = Node::start(&directory.path().join("data"), &[]);
    // Twice the same changes nothing.
    for file in [&plain, &packed] {
        let loaded = node.run(&["load", &file.display().to_string()]);
        assert!(loaded.status.success(), "{}", text(&loaded));
        assert!(
            text(&loaded).contains("loaded 7 datapoints of 2 series"),
            "{}",
            text(&loaded)
        );
    }

    let ask = |format: &str| {
        let mut args = vec![
            "query",
            "name,old.requests,:eq,(,nf.app,),:by",
            "--format",
            format,
        ];
        args.extend(RANGE);
        let output = node.run(&args);
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    let csv = "\"timestamp\",\"api\",\"www\"\n\
        2026-01-05T02:01:00Z,1.000000,10.000000\n\
        2026-01-05T02:02:00Z,2.000000,20.000000\n\
        2026-01-05T02:03:00Z,NaN,30.000000\n\
        2026-01-05T02:04:00Z,4.000000,40.000000\n";
    assert_eq!(ask("csv"), csv);
    let json: serde_json::Value = serde_json::from_str(&ask("json")).expect("JSON");
    assert_eq!(json["values"][1], serde_json::json!([2.0, 20.0]));
    let table = ask("table");
    let www = table
        .lines()
        .find(|l| l.starts_with("www"))
        .expect("a line");
    assert!(www.contains("▁") && www.contains("40.000"), "{table}");

    let keys = text(&node.run(&["tags"]));
    assert_eq!(keys.lines().collect::<Vec<_>>(), ["name", "nf.app"]);
    let values = text(&node.run(&["tags", "nf.app", "--query", "nf.app,a,:starts"]));
    assert_eq!(values, "api\n");
}

#[test]
fn refusals_name_what_is_wrong_and_fail() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(&directory.path().join("data"), &[]);
    let file = directory.path().join("bad.jsonl");
    let load = |content: &str| {
        std::fs::write(&file, content).expect("written");
        let output = node.run(&["load", &file.display().to_string()]);
        assert!(!output.status.success(), "{}", text(&output));
        text(&output)
    };
    assert!(load("{\"tags\":{}}\n").contains("bad.jsonl, line 1: missing field"));
    assert!(
        load(&LINES.replace("\"step\":60", "\"step\":10")).contains("the store's step is 60000 ms")
    );
    assert!(load(&LINES.replace("old.requests", "old requests")).contains("invalid characters"));
    let missing = node.run(&["load", "/nowhere/at/all"]);
    assert!(
        text(&missing).contains("/nowhere/at/all"),
        "{}",
        text(&missing)
    );
    let query = node.run(&["query", ":nope"]);
    assert!(!query.status.success());
    assert!(
        text(&query).contains("unknown word ':nope'"),
        "{}",
        text(&query)
    );
    let nobody = hesper()
        .args(["query", "1", "--server", "http://127.0.0.1:1"])
        .output();
    let nobody = text(&nobody.expect("run"));
    assert!(
        nobody.contains("cannot be reached") && nobody.contains("--server"),
        "{nobody}"
    );
}

#[test]
fn a_flag_goes_before_the_environment_that_before_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("hesper.toml");
    let data = directory.path().join("data");
    let failing_step = |file: &str, env: Option<&str>, flag: Option<&str>| {
        std::fs::write(&config, file).expect("written");
        let mut command = hesper();
        command
            .args(["serve", "--data-dir"])
            .arg(&data)
            .arg("--config")
            .arg(&config);
        if let Some(step) = env {
            command.env("HESPER_STEP", step);
        }
        if let Some(step) = flag {
            command.args(["--step", step]);
        }
        let output = command.output().expect("run");
        assert!(!output.status.success());
        text(&output)
    };
    // None of these steps is allowed: the message shows which one counted.
    let file = "step = \"f\"\n";
    assert!(failing_step(file, None, None).contains("not 'f'"));
    assert!(failing_step(file, Some("e"), None).contains("not 'e'"));
    assert!(failing_step(file, Some("e"), Some("x")).contains("not 'x'"));
    let unknown = failing_step("hot-windw = \"1h\"\n", None, None);
    assert!(
        unknown.contains("unknown key 'hot-windw', did you mean 'hot-window'?"),
        "{unknown}"
    );
    assert!(
        !data.exists(),
        "nothing is made before the settings are known"
    );
}

#[test]
fn a_node_stops_cleanly_when_asked_to() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut node = Node::start(&directory.path().join("data"), &["--step", "1s"]);
    let pid = node.child.id().to_string();
    let sent = Command::new("kill")
        .arg(&pid)
        .status()
        .expect("kill can be run");
    assert!(sent.success());
    let status = node.child.wait().expect("it was running");
    assert!(status.success(), "{status}");
}
