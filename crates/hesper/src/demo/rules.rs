//! The alert rules that are shipped with Hesper, in the binary, so that the demo runs anywhere.

use std::path::{Path, PathBuf};

use hesper_stack::span::Span;
use rust_embed::RustEmbed;

use crate::error::CommandError;

#[derive(RustEmbed)]
#[folder = "../../deploy/rules"]
struct ShippedRules;

/// Where they are written, below the data directory.
const FOLDER: &str = "shipped-rules";

/// The step that the delays of the shipped rules are meant for.
const SERVICE_STEP_MILLIS: i64 = 60_000;

/// Writes the rules below a directory, in place of those of an earlier start, and gives the directory that holds them. Delays
/// become shorter in the same proportion as the step, so that they wait for as many datapoints as in service.
///
/// # Errors
/// When a file cannot be written.
pub fn write_below(directory: &Path, step_millis: i64) -> Result<PathBuf, CommandError> {
    let rules = directory.join(FOLDER);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CommandError::File { path, source }
    };
    match std::fs::remove_dir_all(&rules) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(&rules)(e)),
        _ => {}
    }
    std::fs::create_dir_all(&rules).map_err(failed(&rules))?;
    for name in ShippedRules::iter() {
        let path = rules.join(&*name);
        let file = ShippedRules::get(&name).expect("the name is one of the shipped files");
        let text = String::from_utf8_lossy(&file.data);
        std::fs::write(&path, with_delays_for(&text, step_millis)).map_err(failed(&path))?;
    }
    Ok(rules)
}

/// The text of a rule file with the delays that suit a step; whole seconds, and none shorter than a step.
fn with_delays_for(text: &str, step_millis: i64) -> String {
    let line = |line: &str| {
        let (field, value) = line.split_once(": ")?;
        if !["for", "keep_firing_for"].contains(&field.trim_start()) {
            return None;
        }
        let millis = Span::parse(value.trim()).and_then(Span::millis).ok()?;
        if millis == 0 {
            return None;
        }
        let scaled = (millis * step_millis / SERVICE_STEP_MILLIS).max(step_millis);
        Some(format!("{field}: {}s", scaled.div_euclid(1000).max(1)))
    };
    let lines = text
        .lines()
        .map(|l| line(l).unwrap_or_else(|| l.to_owned()));
    lines.map(|l| l + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_rules_are_written_out() {
        let directory = tempfile::tempdir().expect("a directory");
        let rules = write_below(directory.path(), 5000).expect("written");
        std::fs::write(rules.join("old.yaml"), "of another version").expect("written");
        let again = write_below(directory.path(), 5000).expect("written again");
        assert_eq!(rules, again);
        assert!(!rules.join("old.yaml").exists());
        let text = std::fs::read_to_string(rules.join("ipc.yaml")).expect("the rules of calls");
        assert!(text.contains("ipc.client.call"), "{text}");
    }

    #[test]
    fn delays_shrink_with_the_step_and_nothing_else_changes() {
        let text = "# for: 1m\nrules:\n  - name: a\n    expr: b,5m,:offset\n    for: 1m\n    keep_firing_for: 2m\n  - name: b\n    for: 10s\n    keep_firing_for: 0\n";
        let expected = "# for: 1m\nrules:\n  - name: a\n    expr: b,5m,:offset\n    for: 5s\n    keep_firing_for: 10s\n  - name: b\n    for: 5s\n    keep_firing_for: 0\n";
        assert_eq!(with_delays_for(text, 5000), expected);
        let unchanged = "rules:\n  - name: a\n    for: 60s\n";
        assert_eq!(with_delays_for(unchanged, 60_000), unchanged);
    }
}
