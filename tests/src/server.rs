//! The binary `hesper` as a process.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// How long a node may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running node. Killed when dropped.
pub struct Server {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    /// What it printed when it was ready.
    pub ready: String,
    /// Where it answers HTTP.
    pub http: String,
    /// Where it answers gRPC.
    pub grpc: String,
}

/// The binary under test: the one that `HESPER_BINARY` names, else the one that `cargo test --workspace` has just built.
///
/// # Panics
/// When it is missing or older than the sources.
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("HESPER_BINARY") {
        return named.into();
    }
    let test = std::env::current_exe().expect("a test has a path");
    // target/<profile>/deps/<test>
    let profile = test.parent().and_then(Path::parent);
    let binary = profile
        .expect("tests lie in a target folder")
        .join("hesper");
    let built = modified(&binary).unwrap_or_else(|| {
        panic!(
            "{} is missing; run `cargo build` or `cargo test --workspace`",
            binary.display()
        )
    });
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let newest = newest_source(&crates);
    assert!(
        newest.as_ref().is_none_or(|(_, changed)| *changed <= built),
        "{} is older than {:?}; run `cargo build` or `cargo test --workspace`",
        binary.display(),
        newest.map(|(path, _)| path)
    );
    binary
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// The source file of a binary that was changed last.
fn newest_source(folder: &Path) -> Option<(PathBuf, SystemTime)> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let newest = entries.filter_map(|entry| {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            // What is only tested does not change the binary.
            let skipped = ["tests", "benches", "target"];
            return match skipped.iter().any(|s| name == *s) {
                true => None,
                false => newest_source(&path),
            };
        }
        let is_source = path.extension().is_some_and(|e| e == "rs");
        is_source.then(|| Some((path.clone(), modified(&path)?)))?
    });
    newest.max_by_key(|(_, changed)| *changed)
}

impl Server {
    /// Starts a node on free ports, with its data in a directory.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start(data_dir: &Path, flags: &[&str]) -> Self {
        Self::start_with(data_dir, flags, &[]).await
    }

    /// [`Self::start`] with more environment.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn start_with(data_dir: &Path, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        match Self::try_start_with(data_dir, flags, environment).await {
            Ok(server) => server,
            Err(text) => panic!("the node did not start: {text}"),
        }
    }

    /// Starts a node that may refuse to; then with its messages.
    ///
    /// # Errors
    /// What it printed, when it ended instead of being ready.
    ///
    /// # Panics
    /// When the system does not run it.
    pub async fn try_start(data_dir: &Path, flags: &[&str]) -> Result<Self, String> {
        Self::try_start_with(data_dir, flags, &[]).await
    }

    /// [`Self::try_start`] with more environment.
    ///
    /// # Errors
    /// As [`Self::try_start`].
    ///
    /// # Panics
    /// As [`Self::try_start`].
    pub async fn try_start_with(
        data_dir: &Path,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self, String> {
        let mut child = Command::new(binary())
            .args(["serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(data_dir)
            .args(flags)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary can be run");
        let mut stdout = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut stderr = child.stderr.take().expect("it was asked for");
        let mut ready = String::new();
        let reading = tokio::time::timeout(PATIENCE, stdout.read_line(&mut ready));
        let read = reading.await.expect("ready in time");
        read.expect("its output can be read");
        if !ready.starts_with("ready: ") {
            let mut text = ready;
            stderr
                .read_to_string(&mut text)
                .await
                .expect("its messages can be read");
            return Err(text);
        }
        // Passed on, so that they show up with a failed test and never fill the pipe.
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("[node] {line}");
            }
        });
        let (http, rest) = ready["ready: ".len()..]
            .split_once(" (gRPC ")
            .expect("both addresses");
        let (grpc, _) = rest.split_once(')').expect("both addresses");
        Ok(Self {
            http: http.to_owned(),
            grpc: format!("http://{grpc}"),
            child,
            _stdout: stdout,
            ready,
        })
    }

    /// The most memory that it ever had, in bytes.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn peak_bytes(&self) -> u64 {
        let pid = self.child.id().expect("it is running");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        let status = status.expect("the system tells");
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.expect("a number") * 1024
    }

    /// Kills it without a warning, as a power cut would.
    ///
    /// # Panics
    /// When the system refuses.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it was running");
    }

    /// Stops it in good order.
    ///
    /// # Panics
    /// When it does not end, or ends with an error.
    pub async fn stop(mut self) {
        let pid = self.child.id().expect("it is running").to_string();
        let sent = Command::new("kill").arg(&pid).status().await;
        assert!(sent.expect("kill can be run").success());
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = ended.expect("it ends in time").expect("it was running");
        assert!(status.success(), "the node ended with {status}");
    }
}
