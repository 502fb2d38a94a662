//! Sizes in bytes as people write them: `1500000`, `512MiB`, `8GiB`.

/// Reads a size. The suffixes are `KiB`, `MiB`, `GiB` and `TiB`; without one it is bytes.
pub fn parse(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    let number: usize = digits.trim_end().parse().ok()?;
    number.checked_mul(1 << shift).filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse("1500"), Some(1500));
        assert_eq!(parse("8GiB"), Some(8 << 30));
        assert_eq!(parse("512 MiB"), Some(512 << 20));
        for wrong in ["", "GiB", "0", "8GB", "-1", "1.5GiB", "99999999999TiB"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
