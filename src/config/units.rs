//! Sizes and durations, as a person writes them and as they are shown again.

use std::time::Duration;

const SIZES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const TIMES: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Bytes, from `64MiB`: a whole number and a unit of 1,024s.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = (&text[..at], text[at..].trim());
    let number: u64 = digits.parse().map_err(|_| not_a_size(text))?;
    if unit.is_empty() && number == 0 {
        return Ok(0);
    }
    let unit_of = |name: &str| SIZES.iter().find(|(unit, _)| unit.eq_ignore_ascii_case(name));
    match unit_of(unit) {
        Some((_, factor)) => number
            .checked_mul(*factor)
            .filter(|bytes| i64::try_from(*bytes).is_ok())
            .ok_or_else(|| format!("{text:?} is more than there can be")),
        None => {
            let meant = unit.get(..1).and_then(|letter| unit_of(&format!("{letter}iB")));
            Err(match meant {
                Some((unit, _)) => {
                    format!("{text:?} is not a size; did you mean \"{number}{unit}\"?")
                }
                None => not_a_size(text),
            })
        }
    }
}

fn not_a_size(text: &str) -> String {
    format!("{text:?} is not a size; write one such as \"64MiB\"")
}

/// A time, from `10m` or `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a duration; write one such as \"10m\" or \"1h30m\"");
    let mut rest = text.trim();
    let mut millis = 0_u64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = rest[digits..].trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let factor = TIMES.iter().find(|(unit, _)| *unit == &rest[..end]).ok_or_else(wrong)?.1;
        millis = number
            .checked_mul(factor)
            .and_then(|more| millis.checked_add(more))
            .filter(|millis| i64::try_from(*millis).is_ok())
            .ok_or_else(|| format!("{text:?} is more than there can be"))?;
        rest = rest[end..].trim_start();
    }
    Ok(Duration::from_millis(millis))
}

/// Bytes for a person, rounded: `1.5 GiB`.
pub(crate) fn show_size(bytes: u64) -> String {
    match SIZES.iter().find(|(_, factor)| bytes >= *factor) {
        #[expect(clippy::cast_precision_loss, reason = "it is rounded to one decimal anyway")]
        Some((unit, factor)) if *factor > 1 => {
            format!("{:.1} {unit}", bytes as f64 / *factor as f64)
        }
        _ => format!("{bytes} B"),
    }
}

/// A time for a person, as it may be written: `1h30m`.
pub(crate) fn show_duration(time: Duration) -> String {
    let mut millis = time.as_millis();
    let mut shown = String::new();
    for (unit, factor) in TIMES {
        let number = millis / u128::from(factor);
        millis %= u128::from(factor);
        if number > 0 {
            shown.push_str(&format!("{number}{unit}"));
        }
    }
    if shown.is_empty() { "0s".into() } else { shown }
}

#[cfg(test)]
mod tests {
    //! Good and bad spellings.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("0", 0), ("1B", 1), ("64MiB", 64 << 20), (" 10 gib ", 10 << 30), ("2TiB", 2 << 40)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, message) in [
            ("", r#""" is not a size; write one such as "64MiB""#),
            ("64", r#""64" is not a size; write one such as "64MiB""#),
            ("-1MiB", r#""-1MiB" is not a size; write one such as "64MiB""#),
            ("1.5GiB", r#""1.5GiB" is not a size; write one such as "64MiB""#),
            ("64MB", r#""64MB" is not a size; did you mean "64MiB"?"#),
            ("64m", r#""64m" is not a size; did you mean "64MiB"?"#),
            ("8 apples", r#""8 apples" is not a size; write one such as "64MiB""#),
            ("9999999TiB", r#""9999999TiB" is more than there can be"#),
        ] {
            assert_eq!(size(text).unwrap_err(), message);
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in [
            ("0s", 0),
            ("500ms", 500),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("2 d", 172_800_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "10", "m", "10 minutes", "1.5h", "-1s", "10m5", "ü"] {
            assert!(duration(text).unwrap_err().contains("is not a duration"), "{text}");
        }
        assert!(duration("99999999999999999d").unwrap_err().contains("more than there can be"));
    }

    #[test]
    fn durations_for_a_person() {
        for text in ["0s", "500ms", "1h30m", "2d", "1d1h1m1s1ms"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
        assert_eq!(show_duration(Duration::from_secs(90)), "1m30s");
    }

    #[test]
    fn sizes_for_a_person() {
        assert_eq!(show_size(0), "0 B");
        assert_eq!(show_size(1023), "1023 B");
        assert_eq!(show_size(1536), "1.5 KiB");
        assert_eq!(show_size(10 << 30), "10.0 GiB");
    }
}
