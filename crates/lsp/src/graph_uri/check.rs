//! Whether the value of a parameter is one that it takes.

use hesper_model::Timestamp;
use hesper_stack::graph::MAX_AXES;
use hesper_stack::kind::hex_color;
use hesper_stack::number::parse_double;
use hesper_stack::span::Span;
use hesper_stack::syntax::Severity;
use hesper_stack::time::{TimeZone, time_range};

use super::parameter::{BOUNDS, PALETTES, Values};

/// Any time does to see whether a text is one: 2026-01-05.
const NOW: Timestamp = Timestamp::from_secs(1_767_571_200);

/// What is wrong with a value; programs and times are checked elsewhere.
pub(super) fn value(values: Values, text: &str) -> Result<(), (Severity, String)> {
    let error = |message: String| Err((Severity::Error, message));
    match values {
        Values::Expression | Values::Query | Values::Time | Values::Text => Ok(()),
        Values::Zone => match TimeZone::parse(text) {
            Ok(_) => Ok(()),
            Err(e) => error(e.message().to_owned()),
        },
        Values::Duration => match Span::parse(text) {
            Ok(_) => Ok(()),
            Err(e) => error(e.message().to_owned()),
        },
        Values::Pixels => match text.parse::<i32>() {
            Ok(1..) => Ok(()),
            Ok(_) => error(format!("must be positive (got {text})")),
            Err(_) => error(format!("'{text}' is no whole number")),
        },
        Values::Number => match parse_double(text) {
            Some(_) => Ok(()),
            None => error(format!("'{text}' is no number")),
        },
        Values::Switch if matches!(text, "0" | "1") => Ok(()),
        Values::Switch => {
            let message = format!("'{text}' is off: only 1 is on");
            Err((Severity::Warning, message))
        }
        Values::Bound if BOUNDS.contains(&text) || parse_double(text).is_some() => Ok(()),
        Values::Bound => error(format!(
            "'{text}' is no number, and none of {}",
            list(&BOUNDS)
        )),
        Values::OneOf(all) if all.contains(&text) => Ok(()),
        Values::OneOf(all) => error(format!("'{text}' is none of {}", list(all))),
        Values::Preferably(all) if all.contains(&text) => Ok(()),
        Values::Preferably(all) => Err((
            Severity::Warning,
            format!("'{text}' is none of {}", list(all)),
        )),
        Values::SomeOf(all) => match text.split(',').map(str::trim).find(|t| !all.contains(t)) {
            Some(unknown) => Err((
                Severity::Warning,
                format!("'{unknown}' is none of {}", list(all)),
            )),
            None => Ok(()),
        },
        Values::Palette => palette(text),
    }
}

fn palette(text: &str) -> Result<(), (Severity, String)> {
    let name = text.strip_prefix("hash:").unwrap_or(text);
    let colors = match name.strip_prefix("colors:") {
        Some(colors) => Some(colors),
        None => name.strip_prefix('(').and_then(|n| n.strip_suffix(')')),
    };
    let wrong = match colors {
        Some(colors) => colors
            .split(',')
            .map(str::trim)
            .find(|color| !color.is_empty() && hex_color(color).is_none())
            .map(|color| format!("'{color}' is no colour of 3, 6 or 8 hexadecimal digits")),
        None if PALETTES.contains(&name) => None,
        None => Some(format!("'{name}' is none of {}", list(&PALETTES))),
    };
    wrong.map_or(Ok(()), |message| Err((Severity::Error, message)))
}

/// What is wrong with the start and the end.
pub(super) fn times(start: &str, end: &str, zone: &str) -> Result<(), String> {
    // A zone that is none is told of by itself.
    let zone = TimeZone::parse(zone).unwrap_or(TimeZone::UTC);
    time_range(start, end, NOW, zone)
        .map(|_| ())
        .map_err(|e| e.message().to_owned())
}

/// What is wrong with the number of an axis.
pub(super) fn axis(text: &str) -> Result<(), String> {
    match text.parse::<usize>() {
        Ok(axis) if axis < MAX_AXES => Ok(()),
        _ => Err(format!(
            "invalid axis: {text}, there are 0 to {}",
            MAX_AXES - 1
        )),
    }
}

fn list(names: &[&str]) -> String {
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::parameter::find;
    use super::*;

    fn wrong(name: &str, text: &str) -> Option<String> {
        let (kind, _) = find(name).expect("a parameter");
        value(kind.values, text).err().map(|(_, message)| message)
    }

    #[test]
    fn values_are_checked_by_their_parameter() {
        for (name, text) in [
            ("format", "std.json"),
            ("w", "700"),
            ("zoom", "1.5"),
            ("tz", "US/Pacific"),
            ("step", "PT5M"),
            ("u", "auto-data"),
            ("l", "-1e3"),
            ("palette", "hash:armytage"),
            ("palette.1", "colors:f00,00ff00"),
            ("palette", "(,f00,0f0,)"),
            ("hints", "no-image,ambiguous-multi-y"),
            ("title", "any thing"),
        ] {
            assert_eq!(wrong(name, text), None, "{name}={text}");
        }
        for (name, text) in [
            ("format", "jpg"),
            ("w", "0"),
            ("w", "wide"),
            ("zoom", "x"),
            ("tz", "Mars/Base"),
            ("step", "5 minutes"),
            ("u", "auto"),
            ("palette", "rainbow"),
            ("palette", "colors:zz"),
            ("hints", "all"),
            ("sort", "size"),
            ("no_legend", "true"),
        ] {
            assert!(wrong(name, text).is_some(), "{name}={text}");
        }
    }

    #[test]
    fn times_are_checked_together() {
        assert_eq!(times("e-3h", "now", "UTC"), Ok(()));
        assert!(times("e-3h", "s+1h", "UTC").is_err());
        assert!(times("e-3q", "now", "UTC").is_err());
        assert!(axis("4").is_ok() && axis("5").is_err() && axis("x").is_err());
    }
}
