//! History on something that speaks S3, over the network: `gofakes3` on a port of the loopback.
//!
//! ```sh
//! go install github.com/johannesboyne/gofakes3/cmd/gofakes3@v1.2.0
//! cargo test -p hesper-history --test maintenance -- --ignored s3
//! ```

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hesper_history::backup::{Damaged, backup};
use hesper_history::objects::{Objects, Retry};
use hesper_history::place::{check_creation, open_place};
use hesper_history::verify::{Depth, Severity, verify};
use hesper_model::{Slot, TagQuery, TimeRange};
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::contents::{self, Contents};
use crate::place::{Place, STEP, narrow, series};

/// A server, ended when it is dropped.
struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> PathBuf {
    let go = std::env::var_os("GOBIN").map(PathBuf::from).or_else(|| {
        let home = PathBuf::from(std::env::var_os("HOME")?);
        Some(home.join("go/bin"))
    });
    go.expect("a home directory").join("gofakes3")
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let process = Command::new(program())
            .args(["-backend", "memory", "-initialbucket", "hesper"])
            .args(["-host", &format!("127.0.0.1:{port}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("gofakes3 is installed, see the top of this file");
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { process, port }
    }

    fn open(&self, folder: &str) -> Arc<dyn ObjectStore> {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        let options = [
            ("aws_endpoint", endpoint.as_str()),
            ("aws_allow_http", "true"),
            ("aws_region", "us-east-1"),
            ("aws_access_key_id", "test"),
            ("aws_secret_access_key", "test"),
        ];
        let options = options.map(|(k, v)| (k.to_owned(), v.to_owned()));
        open_place(&format!("s3://hesper/{folder}"), &options).expect("a bucket")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs gofakes3"]
async fn a_history_on_s3() {
    let server = Server::start();
    let store = server.open("some/history");
    let objects = Objects::new(store.clone(), Retry::default());
    check_creation(&objects, "test")
        .await
        .expect("creates once");

    // Writers that race for the numbers of commits.
    let mut tasks = Vec::new();
    for writer in 0..4u64 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let mut place = Place::new(store);
            place.start_at(1000 * (writer + 1));
            let history = place.open().await;
            for round in 0..10i64 {
                let points: Vec<_> = (0..10)
                    .map(|k| (writer as usize, 1 + round * 120 + k, k as f64))
                    .collect();
                place.load(&history, &points).await;
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    let mut model = Contents::new();
    for (writer, round, k) in
        (0..4).flat_map(|w| (0..10).flat_map(move |r| (0..10).map(move |k| (w, r, k))))
    {
        model.insert((series(writer), 1 + round * 120 + k), (k as f64).to_bits());
    }
    let mut place = Place::new(store.clone());
    place.start_at(9000);
    let history = place.open().await;
    assert_eq!(contents::raw(&history).await, model);

    place.pass(48 * 3_600_000);
    place.maintain(&history, &narrow()).await;
    let range = TimeRange {
        first: Slot(1),
        last: Slot(130),
    };
    history
        .delete(
            "d".to_owned(),
            TagQuery::Equal("node".into(), "i-1".into()),
            range,
        )
        .await
        .expect("deleted");
    model.retain(|(tags, slot), _| !(*tags == series(1) && *slot <= 130));
    assert_eq!(contents::raw(&history).await, model);
    place.maintain(&history, &narrow()).await;
    assert_eq!(contents::raw(&place.open().await).await, model);
    let found = verify(&store, STEP, Depth::Rows, |_| {})
        .await
        .expect("answers");
    assert!(
        found.findings.iter().all(|f| f.severity == Severity::Note),
        "{:?}",
        found.findings
    );

    let far = hesper_model::Timestamp(chrono::Utc::now().timestamp_millis() + 30 * 86_400_000);
    let collected = history
        .collect_orphans(far, &narrow())
        .await
        .expect("collected");
    assert!(collected.retired + collected.orphans > 40, "{collected:?}");
    assert_eq!(contents::raw(&place.open().await).await, model);

    // A backup from one bucket's folder to another's, and to memory.
    for target in [
        server.open("backup"),
        Arc::new(InMemory::new()) as Arc<dyn ObjectStore>,
    ] {
        backup(&store, &target, Damaged::Fail, |_| {})
            .await
            .expect("backed up");
        assert_eq!(contents::raw(&Place::new(target).open().await).await, model);
    }
}
