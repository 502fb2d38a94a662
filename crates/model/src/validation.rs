//! The rules a published datapoint has to pass, with the messages Atlas gives (reference: Atlas's publish API).
//!
//! The age is checked first, then the rules in the order of [`Rule`]; the first failure is the one reported.

use std::fmt;

use crate::tags::NAME;
use crate::time::Timestamp;

/// The limits of the rules. [`Default`] gives those of Atlas.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How old, and how far in the future, a datapoint may be, in milliseconds.
    pub max_age_millis: i64,
    /// Fewest and most UTF-16 units of a key.
    pub key_length: (usize, usize),
    /// Fewest and most UTF-16 units of the value of `name`.
    pub name_length: (usize, usize),
    /// Fewest and most UTF-16 units of any other value.
    pub value_length: (usize, usize),
    /// Most tags whose key begins neither with `nf.` nor with `atlas.`; `name` counts.
    pub max_user_tags: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_age_millis: 120_000,
            key_length: (2, 60),
            name_length: (2, 255),
            value_length: (1, 120),
            max_user_tags: 20,
        }
    }
}

/// Keys allowed below the prefix `atlas.`.
const ATLAS_KEYS: [&str; 4] = ["aggr", "dstype", "legacy", "offset"];

/// Keys allowed below the prefix `nf.`.
const NF_KEYS: [&str; 20] = [
    "account",
    "ami",
    "app",
    "asg",
    "cluster",
    "container",
    "country",
    "country.rollup",
    "job",
    "node",
    "process",
    "region",
    "shard1",
    "shard2",
    "stack",
    "subnet",
    "task",
    "vmtype",
    "vpc",
    "zone",
];

/// How the allowed characters are written in messages.
const ALLOWED: &str = "[--.0-9A-Z^_a-z~]";

/// Which rule a datapoint failed. The name is the value of the counter's `error` tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// Older than the store accepts.
    DataTooOld,
    /// Further in the future than the store accepts.
    DataFromFuture,
    /// No `name`.
    HasKey,
    /// A key too short or too long.
    KeyLength,
    /// A value too short or too long.
    NameValueLength,
    /// A character outside `-._A-Za-z0-9^~`.
    ValidCharacters,
    /// Too many tags.
    MaxUserTags,
    /// A key below a reserved prefix that is not one of the known.
    ReservedKey,
}

/// All rules, in the order they are checked.
pub const RULES: [Rule; 8] = [
    Rule::DataTooOld,
    Rule::DataFromFuture,
    Rule::HasKey,
    Rule::KeyLength,
    Rule::NameValueLength,
    Rule::ValidCharacters,
    Rule::MaxUserTags,
    Rule::ReservedKey,
];

impl Rule {
    /// The name in counters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DataTooOld => "DataTooOld",
            Self::DataFromFuture => "DataFromFuture",
            Self::HasKey => "HasKeyRule",
            Self::KeyLength => "KeyLengthRule",
            Self::NameValueLength => "NameValueLengthRule",
            Self::ValidCharacters => "ValidCharactersRule",
            Self::MaxUserTags => "MaxUserTagsRule",
            Self::ReservedKey => "ReservedKeyRule",
        }
    }
}

/// Why a datapoint is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The rule it failed.
    pub rule: Rule,
    /// What was wrong, as Atlas words it.
    pub message: String,
}

impl Rejection {
    fn new(rule: Rule, message: fmt::Arguments<'_>) -> Self {
        Self {
            rule,
            message: message.to_string(),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Limits {
    /// Checks the age of a datapoint.
    ///
    /// # Errors
    /// When it is older, or further in the future, than the limit.
    pub fn check_age(&self, time: Timestamp, now: Timestamp) -> Result<(), Rejection> {
        // Saturating: a timestamp from outside can be any integer.
        let age = now.0.saturating_sub(time.0);
        if age > self.max_age_millis {
            return Err(Rejection::new(
                Rule::DataTooOld,
                format_args!(
                    "data is too old: now = {now}, timestamp = {time}, {age} > {}",
                    self.max_age_millis
                ),
            ));
        }
        if age < -self.max_age_millis {
            return Err(Rejection::new(
                Rule::DataFromFuture,
                format_args!("data is from future: now = {now}, timestamp = {time}"),
            ));
        }
        Ok(())
    }

    /// Checks the tags of a series, given sorted by key.
    ///
    /// # Errors
    /// The first rule that fails, in the order of [`Rule`].
    pub fn check_tags<'a, I>(&self, tags: I) -> Result<(), Rejection>
    where
        I: Iterator<Item = (&'a str, &'a str)> + Clone,
    {
        if !tags.clone().any(|(k, _)| k == NAME) {
            return Err(Rejection::new(
                Rule::HasKey,
                format_args!("missing key '{NAME}'"),
            ));
        }
        for (k, _) in tags.clone() {
            self.check_key_length(k)?;
        }
        for (k, v) in tags.clone() {
            self.check_value_length(k, v)?;
        }
        for (k, v) in tags.clone() {
            check_characters(k, v)?;
        }
        let user_tags = tags
            .clone()
            .filter(|(k, _)| !k.starts_with("nf.") && !k.starts_with("atlas."))
            .count();
        if user_tags > self.max_user_tags {
            return Err(Rejection::new(
                Rule::MaxUserTags,
                format_args!("too many user tags: {user_tags} > {}", self.max_user_tags),
            ));
        }
        for (prefix, known) in [("atlas.", &ATLAS_KEYS[..]), ("nf.", &NF_KEYS[..])] {
            for (k, _) in tags.clone() {
                check_reserved(prefix, known, k)?;
            }
        }
        Ok(())
    }

    fn check_key_length(&self, key: &str) -> Result<(), Rejection> {
        let (min, max) = self.key_length;
        let (word, sign, bound, n) = match utf16_len(key) {
            n if n > max => ("long", '>', max, n),
            n if n < min => ("short", '<', min, n),
            _ => return Ok(()),
        };
        Err(Rejection::new(
            Rule::KeyLength,
            format_args!("key too {word}: [{key}] ({n} {sign} {bound})"),
        ))
    }

    fn check_value_length(&self, key: &str, value: &str) -> Result<(), Rejection> {
        let (min, max) = match key {
            NAME => self.name_length,
            _ => self.value_length,
        };
        let (word, sign, bound, n) = match utf16_len(value) {
            n if n > max => ("long", '>', max, n),
            n if n < min => ("short", '<', min, n),
            _ => return Ok(()),
        };
        Err(Rejection::new(
            Rule::NameValueLength,
            format_args!("value too {word}: {key} = [{value}] ({n} {sign} {bound})"),
        ))
    }
}

fn check_characters(key: &str, value: &str) -> Result<(), Rejection> {
    if !valid_text(key) {
        return Err(Rejection::new(
            Rule::ValidCharacters,
            format_args!("invalid characters in key: [{key}] ({ALLOWED} are allowed)"),
        ));
    }
    if !valid_text(value) {
        return Err(Rejection::new(
            Rule::ValidCharacters,
            format_args!("invalid characters in value: {key} = [{value}] ({ALLOWED} are allowed)"),
        ));
    }
    Ok(())
}

fn check_reserved(prefix: &str, known: &[&str], key: &str) -> Result<(), Rejection> {
    match key.strip_prefix(prefix) {
        Some(rest) if !known.contains(&rest) => Err(Rejection::new(
            Rule::ReservedKey,
            format_args!("invalid key for reserved prefix '{prefix}': {key}"),
        )),
        _ => Ok(()),
    }
}

/// True when a character may stand in a key or a value.
pub const fn valid_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'^' | b'~')
}

fn valid_text(text: &str) -> bool {
    text.bytes().all(valid_byte)
}

fn utf16_len(text: &str) -> usize {
    if text.is_ascii() {
        text.len()
    } else {
        text.encode_utf16().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::Tags;

    fn check(pairs: &[(&str, &str)]) -> Result<(), String> {
        let tags = Tags::from_pairs(pairs.iter().copied());
        Limits::default()
            .check_tags(tags.iter())
            .map_err(|r| format!("{}: {}", r.rule.name(), r.message))
    }

    #[test]
    fn a_usual_series_passes() {
        let series = [
            ("name", "ipc.server.call"),
            ("nf.app", "api"),
            ("atlas.dstype", "rate"),
            ("cs", "^a~b-._"),
        ];
        assert_eq!(check(&series), Ok(()));
    }

    #[test]
    fn each_rule_words_its_failure_as_atlas_does() {
        let cases: [(&[(&str, &str)], &str); 8] = [
            (&[("nf.app", "x")], "HasKeyRule: missing key 'name'"),
            (
                &[("name", "ab"), ("a", "x")],
                "KeyLengthRule: key too short: [a] (1 < 2)",
            ),
            (
                &[("name", "p")],
                "NameValueLengthRule: value too short: name = [p] (1 < 2)",
            ),
            (
                &[("name", "ab"), ("kk", "")],
                "NameValueLengthRule: value too short: kk = [] (0 < 1)",
            ),
            (
                &[("name", "ab"), ("k k", "x")],
                "ValidCharactersRule: invalid characters in key: [k k] ([--.0-9A-Z^_a-z~] are allowed)",
            ),
            (
                &[("name", "ab"), ("kk", "é")],
                "ValidCharactersRule: invalid characters in value: kk = [é] ([--.0-9A-Z^_a-z~] are allowed)",
            ),
            (
                &[("name", "ab"), ("nf.bogus", "x")],
                "ReservedKeyRule: invalid key for reserved prefix 'nf.': nf.bogus",
            ),
            (
                &[("name", "ab"), ("atlas.bogus", "x")],
                "ReservedKeyRule: invalid key for reserved prefix 'atlas.': atlas.bogus",
            ),
        ];
        for (pairs, want) in cases {
            assert_eq!(check(pairs), Err(want.to_owned()));
        }
    }

    #[test]
    fn twenty_user_tags_are_the_most() {
        let keys: Vec<String> = (0..20).map(|i| format!("tag{i:02}")).collect();
        let mut pairs = vec![("name", "ab"), ("nf.app", "x")];
        pairs.extend(keys[..19].iter().map(|k| (k.as_str(), "v")));
        assert_eq!(check(&pairs), Ok(()));
        pairs.push((&keys[19], "v"));
        assert_eq!(
            check(&pairs),
            Err("MaxUserTagsRule: too many user tags: 21 > 20".to_owned())
        );
    }

    #[test]
    fn the_age_has_a_limit_on_both_sides() {
        let limits = Limits::default();
        let now = Timestamp::from_secs(1_000_000);
        assert_eq!(limits.check_age(now.plus_millis(-120_000), now), Ok(()));
        assert_eq!(limits.check_age(now.plus_millis(120_000), now), Ok(()));
        let old = limits.check_age(now.plus_millis(-120_001), now);
        assert_eq!(
            old.expect_err("too old").message,
            "data is too old: now = 1000000000, timestamp = 999879999, 120001 > 120000"
        );
        let future = limits.check_age(Timestamp(i64::MAX), now);
        assert_eq!(future.expect_err("future").rule, Rule::DataFromFuture);
        let ancient = limits.check_age(Timestamp(i64::MIN), now);
        assert_eq!(ancient.expect_err("old").rule, Rule::DataTooOld);
    }
}
