//! The names that someone may have meant who wrote another one.

use std::cmp::Reverse;

/// The most names that are offered.
const MAX_NAMES: usize = 3;

/// Longer names are not compared: nobody means a word by them.
const MAX_LENGTH: usize = 40;

/// The names that are most like the one given, the likeliest first: those with the fewest letters changed, and of these the ones
/// that begin alike.
pub(super) fn similar<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if name.is_empty() || name.len() > MAX_LENGTH {
        return Vec::new();
    }
    let name = name.to_lowercase();
    let most = (name.chars().count() / 3).clamp(1, 3);
    let mut found: Vec<(usize, &str)> = Vec::new();
    for candidate in candidates {
        if candidate.len().abs_diff(name.len()) > 2 * most
            || found.iter().any(|(_, f)| *f == candidate)
        {
            continue;
        }
        let distance = strsim::osa_distance(&name, &candidate.to_lowercase());
        // Of a name of two letters with one of them changed nothing is left.
        if distance <= most && distance < candidate.chars().count() {
            found.push((distance, candidate));
        }
    }
    let begins_alike = |other: &str| {
        let pairs = name.chars().zip(other.chars());
        pairs.take_while(|(a, b)| a == b).count()
    };
    found.sort_by_key(|(distance, other)| (*distance, Reverse(begins_alike(other))));
    found.truncate(MAX_NAMES);
    found.into_iter().map(|(_, name)| name).collect()
}

/// Names as a question: ` did you mean ':a' or ':b'?`.
pub(super) fn question(mark: &str, names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("'{mark}{n}'")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => format!("did you mean {last}?"),
        Some((last, others)) => format!("did you mean {} or {last}?", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 7] = ["sum", "sub", "sum", "rolling-mean", "eq", "ge", "min"];

    #[test]
    fn near_names_are_found() {
        let found = |name| similar(name, NAMES.into_iter());
        assert_eq!(found("summ"), ["sum"]);
        assert_eq!(found("Sum"), ["sum", "sub"]);
        assert_eq!(found("usm"), ["sum"]);
        assert_eq!(found("roling-maen"), ["rolling-mean"]);
        assert_eq!(found("qe"), ["eq", "ge"]);
        assert_eq!(found("su"), ["sum", "sub"]);
        assert_eq!(found("percentiles"), [""; 0]);
        assert!(found("").is_empty() && found(&"x".repeat(1000)).is_empty());
    }

    #[test]
    fn names_make_a_question() {
        assert_eq!(question(":", &["a"]), "did you mean ':a'?");
        assert_eq!(
            question("", &["a", "b", "c"]),
            "did you mean 'a', 'b' or 'c'?"
        );
        assert_eq!(question("", &[]), "");
    }
}
