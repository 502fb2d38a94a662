//! Durations in flags: `60s`, `5m`.

use std::time::Duration;

use hesper_stack::span::Span;

/// Reads a duration above zero, as the stack language writes it.
///
/// # Errors
/// When it is none; the message says what one looks like.
pub fn parse(text: &str) -> Result<Duration, String> {
    let millis = Span::parse(text).and_then(Span::millis).ok();
    let millis = millis.and_then(|m| u64::try_from(m).ok());
    match millis {
        Some(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
        _ => Err(format!("it must be a duration such as 60s, not '{text}'")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_durations_above_zero_are_taken() {
        assert_eq!(parse("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        for text in ["", "0s", "-1s", "soon", "7"] {
            assert!(parse(text).is_err_and(|e| e.contains(text)), "{text}");
        }
    }
}
