//! A node in a process of its own, and what the system says of it.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::error::CommandError;

/// How long a node may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running node.
pub struct NodeProcess {
    child: Child,
    pid: u32,
    data_dir: PathBuf,
    /// Where it answers HTTP.
    pub http: String,
    /// Where it answers gRPC.
    pub grpc: String,
}

/// What the system says of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time, in seconds.
    pub cpu_secs: f64,
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
    /// The part of it that mirrors files: the program itself above all. The system takes it back when it needs it.
    pub file_bytes: u64,
    /// The most memory that was in use.
    pub peak_bytes: u64,
    /// Files and connections that are open.
    pub open_files: usize,
}

impl Usage {
    /// What the system says of this very process.
    pub fn own() -> Self {
        Self::of("self")
    }

    fn of(process: &str) -> Self {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{process}/{name}"));
        let kilobytes = |status: &str, key: &str| {
            let line = status.lines().find(|l| l.starts_with(key))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        let stat = read("stat").unwrap_or_default();
        // Behind the name, which may hold anything: state, then user and system time as fields 12 and 13.
        let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
        let status = read("status").unwrap_or_default();
        Self {
            cpu_secs: (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0,
            resident_bytes: kilobytes(&status, "VmRSS:").unwrap_or(0) * 1024,
            file_bytes: kilobytes(&status, "RssFile:").unwrap_or(0) * 1024,
            peak_bytes: kilobytes(&status, "VmHWM:").unwrap_or(0) * 1024,
            open_files: std::fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count),
        }
    }
}

impl NodeProcess {
    /// Starts this very program as a node that takes data of any age, and keeps them in memory unless `flags` say otherwise.
    ///
    /// # Errors
    /// When it does not come up; the message has its own words.
    pub async fn start(data_dir: &Path, flags: &[&str]) -> Result<Self, CommandError> {
        let failed = |what: String| CommandError::Other(format!("the node did not start: {what}"));
        let program = std::env::current_exe().map_err(|e| failed(e.to_string()))?;
        let settings: &[&str] = match flags {
            [] => &["--hot-window", "7300d"],
            flags => flags,
        };
        let mut child = Command::new(program)
            .args(["serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"])
            .args(["--max-age", "7300d"])
            .args(settings)
            .args(["--max-lines", "10000", "--max-datapoints", "5000000"])
            .arg("--data-dir")
            .arg(data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| failed(e.to_string()))?;
        let pid = child.id().unwrap_or_default();
        let output = child.stdout.take().expect("it was asked for");
        let mut line = String::new();
        let mut output = BufReader::new(output);
        let ready = tokio::time::timeout(PATIENCE, output.read_line(&mut line));
        match ready.await {
            Ok(Ok(n)) if n > 0 => {}
            _ => return Err(failed("it said nothing; see its messages above".to_owned())),
        }
        let (http, grpc) = addresses(&line).ok_or_else(|| failed(line.clone()))?;
        Ok(Self {
            child,
            pid,
            data_dir: data_dir.to_owned(),
            http,
            grpc,
        })
    }

    /// What the system says of it now.
    pub fn usage(&self) -> Usage {
        Usage::of(&self.pid.to_string())
    }

    /// Bytes on disk below a folder of the data directory.
    pub fn disk_bytes(&self, folder: &str) -> u64 {
        bytes_below(&self.data_dir.join(folder))
    }

    /// Stops it in good order.
    ///
    /// # Errors
    /// When it does not end, or ends with an error.
    pub async fn stop(mut self) -> Result<(), CommandError> {
        let kill = Command::new("kill")
            .arg(self.pid.to_string())
            .status()
            .await;
        let ended = match kill {
            Ok(status) if status.success() => {
                tokio::time::timeout(PATIENCE, self.child.wait()).await
            }
            _ => return Err(CommandError::Other("the node is gone".to_owned())),
        };
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(CommandError::Other(format!("the node ended with {status}"))),
            _ => Err(CommandError::Other("the node did not stop".to_owned())),
        }
    }
}

/// The addresses in the line that a node prints when it is ready.
fn addresses(line: &str) -> Option<(String, String)> {
    let rest = line.strip_prefix("ready: ")?;
    let (http, rest) = rest.split_once(" (gRPC ")?;
    let (grpc, _) = rest.split_once(')')?;
    Some((http.to_owned(), format!("http://{grpc}")))
}

fn bytes_below(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(m) if m.is_dir() => bytes_below(&entry.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_are_read_from_the_ready_line() {
        let line = "ready: http://127.0.0.1:7101 (gRPC 127.0.0.1:7102), data in x\n";
        let (http, grpc) = addresses(line).expect("a ready line");
        assert_eq!(http, "http://127.0.0.1:7101");
        assert_eq!(grpc, "http://127.0.0.1:7102");
        assert_eq!(addresses("error: no"), None);
    }
}
