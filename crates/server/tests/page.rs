//! The page and all it loads come from the node itself, with headers that keep it so.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use hesper_server::{Config, Node, Settings};

/// An answer: its status, its headers by lower-case name, and its body.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

fn get(address: SocketAddr, path: &str, more: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("the node listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8(answer).expect("the files are text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let mut lines = head.lines();
    let status = lines.next().and_then(|l| l.split(' ').nth(1));
    let headers = lines.filter_map(|l| l.split_once(": "));
    Answer {
        status: status.and_then(|s| s.parse().ok()).expect("a status"),
        headers: headers
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect(),
        body: body.to_owned(),
    }
}

/// Runs `check` against the address of a node.
async fn with_node(check: impl FnOnce(SocketAddr) + Send + 'static) {
    let directory = tempfile::tempdir().expect("a directory");
    let settings = Settings {
        http: Some("127.0.0.1:0".to_owned()),
        grpc: Some("127.0.0.1:0".to_owned()),
        data_dir: Some(directory.path().join("data")),
        step: Some("5s".to_owned()),
        shards: Some(2),
        ..Settings::default()
    };
    let config = Config::resolve(settings).expect("settings that make sense");
    let node = Node::start(config).await.expect("a node");
    let http = node.http();
    let checked = tokio::task::spawn_blocking(move || check(http)).await;
    node.stop().await.expect("a clean stop");
    checked.expect("what was checked holds");
}

/// The texts between `before` and the quote that ends them.
fn quoted<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    let rests = text.split(before).skip(1);
    rests.filter_map(|rest| rest.split('"').next())
}

/// The paths that a file of the page loads.
fn loaded(path: &str, body: &str) -> Vec<String> {
    if path == "/" {
        let links = quoted(body, "src=\"").chain(quoted(body, "href=\""));
        return links.filter(|l| *l != "/").map(str::to_owned).collect();
    }
    let folder = path.rsplit_once('/').expect("absolute paths").0;
    let modules = quoted(body, "from \"./");
    modules.map(|m| format!("{folder}/{m}")).collect()
}

/// The page and all files that it loads, by path.
fn crawl(address: SocketAddr) -> BTreeMap<String, Answer> {
    let mut found = BTreeMap::new();
    let mut next = vec!["/".to_owned()];
    while let Some(path) = next.pop() {
        if found.contains_key(&path) {
            continue;
        }
        let answer = get(address, &path, "");
        assert_eq!(answer.status, 200, "{path}");
        next.extend(loaded(&path, &answer.body));
        found.insert(path, answer);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_the_page_loads_is_served_and_guarded() {
    with_node(|address| {
        let files = crawl(address);
        let suffixes: BTreeSet<&str> = files.keys().filter_map(|p| p.rsplit('.').next()).collect();
        assert_eq!(suffixes, BTreeSet::from(["/", "css", "js", "svg"]));
        assert!(
            files.contains_key("/assets/js/chart.js"),
            "modules of modules"
        );
        for (path, answer) in &files {
            let kind = match path.rsplit('.').next() {
                Some("css") => "text/css; charset=utf-8",
                Some("js") => "text/javascript; charset=utf-8",
                Some("svg") => "image/svg+xml",
                _ => "text/html; charset=utf-8",
            };
            assert_eq!(answer.headers["content-type"], kind, "{path}");
            assert_eq!(
                answer.headers["x-content-type-options"], "nosniff",
                "{path}"
            );
            let policy = &answer.headers["content-security-policy"];
            assert!(
                policy.starts_with("default-src 'self';"),
                "{path}: {policy}"
            );
            assert!(!policy.contains("unsafe"), "{path}: {policy}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_names_another_host() {
    // A name of the SVG format, the home of the chart library in its first line, and a place in the same file: none is ever asked.
    const HARMLESS: [&str; 3] = [
        "http://www.w3.org/2000/svg",
        "https://github.com/leeoniya/uPlot",
        "url(#",
    ];
    with_node(|address| {
        for (path, answer) in crawl(address) {
            let mut text = answer.body;
            for harmless in HARMLESS {
                text = text.replace(harmless, "");
            }
            for foreign in ["http://", "https://", "=\"//", "url(", "@import"] {
                assert!(!text.contains(foreign), "{path} has {foreign}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_has_nothing_inline_to_refuse() {
    with_node(|address| {
        let page = get(address, "/", "").body;
        for inline in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
            assert!(!page.contains(inline), "{inline}");
        }
        for script in page.split("<script").skip(1) {
            assert!(script.trim_start().starts_with("src="), "{script}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_still_holds_is_not_sent_again() {
    with_node(|address| {
        let first = get(address, "/assets/hesper.css", "");
        let tag = &first.headers["etag"];
        let again = get(
            address,
            "/assets/hesper.css",
            &format!("if-none-match: {tag}\r\n"),
        );
        assert_eq!((again.status, again.body.as_str()), (304, ""));
        let other = get(address, "/assets/hesper.css", "if-none-match: \"0\"\r\n");
        assert_eq!((other.status, other.body == first.body), (200, true));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_an_error_and_no_page() {
    with_node(|address| {
        for path in ["/assets/js/none.js", "/assets/../Cargo.toml", "/assets/"] {
            let answer = get(address, path, "");
            assert_eq!(answer.status, 404, "{path}");
            assert!(
                answer.body.contains("path not found"),
                "{path}: {}",
                answer.body
            );
        }
        let licence = get(address, "/assets/vendor/uplot/LICENSE", "");
        assert!(
            licence.body.contains("MIT"),
            "the licence goes with the library"
        );
    })
    .await;
}
