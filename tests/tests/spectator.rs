//! Real Spectator clients publish known totals over HTTP, and the totals come out again.
//!
//! The clients come from the package registries of their languages. Where a toolchain or a registry is missing, the test says so and passes.

use std::path::{Path, PathBuf};
use std::process::Command;

use hesper_tests::http::Http;
use hesper_tests::server::Server;

/// The step of the node, in seconds.
const STEP: u32 = 5;

/// How often a client records.
const ROUNDS: u32 = 30;

/// The folder of a client.
fn folder(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients")
        .join(language)
}

/// Runs a command to its end; what it printed when it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{command:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

/// A figure of the one line of an expression, over the last minutes.
async fn figure(http: &Http, program: &str, name: &str) -> f64 {
    let step = format!("{STEP}s");
    let params = [
        ("q", program),
        ("s", "now-10m"),
        ("e", "now+1m"),
        ("step", &step),
        ("format", "stats.json"),
    ];
    let answer = http.get("/api/v1/graph", &params).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    let stats = &json["stats"];
    assert_eq!(stats.as_array().map(Vec::len), Some(1), "{json}");
    stats[0][name].as_f64().unwrap_or(f64::NAN)
}

/// Runs a client that was prepared, and compares the totals; a client that cannot be prepared is named and passed over.
async fn check(language: &str, prepared: Result<Command, String>) {
    let mut command = match prepared {
        Ok(command) => command,
        Err(why) => {
            println!("the {language} client is not tested: {why}");
            return;
        }
    };
    let directory = tempfile::tempdir().expect("a directory");
    let step = format!("{STEP}s");
    let server = Server::start(directory.path(), &["--step", &step]).await;
    command
        .arg(&server.http)
        .args([STEP.to_string(), ROUNDS.to_string()]);
    let ended = tokio::task::spawn_blocking(move || run(&mut command)).await;
    ended.expect("no panic").expect("the client runs");
    let http = Http::new(&server.http);
    let rounds = f64::from(ROUNDS);
    let all = |name: &str, statistic: &str| {
        format!("name,{name},:eq,statistic,{statistic},:eq,:and,nf.app,{language},:eq,:and,:sum")
    };
    for (program, want) in [
        (all("st.counter", "count"), 10.0 * rounds),
        (all("st.timer", "count"), rounds),
        (all("st.timer", "totalTime"), 0.02 * rounds),
        (all("st.summary", "totalAmount"), 1000.0 * rounds),
    ] {
        // Series hold rates: each datapoint stands for so many a second, for a step.
        let got = figure(&http, &program, "total").await * f64::from(STEP);
        let close = (got - want).abs() <= 1e-9 * want;
        assert!(close, "{language}: {program}: {got}, not {want}");
    }
    let gauge = format!("name,st.gauge,:eq,nf.app,{language},:eq,:and,:max");
    assert_eq!(
        figure(&http, &gauge, "max").await,
        42.5,
        "{language}: gauge"
    );
    server.stop().await;
}

/// Copies a client to where it may be built.
fn copy(language: &str, to: &Path) -> Result<(), String> {
    run(Command::new("cp")
        .arg("-r")
        .arg(folder(language).join("."))
        .arg(to))
}

fn java(to: &Path) -> Result<Command, String> {
    copy("java", to)?;
    let goals = [
        "-q",
        "-B",
        "package",
        "dependency:copy-dependencies",
        "-DoutputDirectory=target/lib",
    ];
    run(Command::new("mvn").args(goals).current_dir(to))?;
    let mut command = Command::new("java");
    let path = format!("{0}/target/classes:{0}/target/lib/*", to.display());
    command.args(["-cp", &path, "SpectatorPublish"]);
    Ok(command)
}

fn python(to: &Path) -> Result<Command, String> {
    copy("python", to)?;
    let install = ["-m", "pip", "install", "-q", "--target"];
    run(Command::new("python3")
        .args(install)
        .arg(to)
        .arg("netflix-spectator-py==0.1.18"))?;
    let mut command = Command::new("python3");
    command.arg(to.join("publish.py"));
    Ok(command)
}

fn node(to: &Path) -> Result<Command, String> {
    copy("node", to)?;
    let install = ["install", "--silent", "--no-audit", "--no-fund"];
    run(Command::new("npm").args(install).current_dir(to))?;
    let mut command = Command::new("node");
    command.arg(to.join("publish.js"));
    Ok(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_java_publishes_comes_out() {
    let to = tempfile::tempdir().expect("a directory");
    check("java", java(to.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_python_publishes_comes_out() {
    let to = tempfile::tempdir().expect("a directory");
    check("python", python(to.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_node_publishes_comes_out() {
    let to = tempfile::tempdir().expect("a directory");
    check("node", node(to.path())).await;
}
