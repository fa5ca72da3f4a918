//! Plain scalars: what the YAML 1.2 core schema makes of them, and which of them mean two things.

use super::Value;

/// What a plain scalar means.
#[derive(Debug, PartialEq)]
pub(super) enum Plain {
    /// One thing to every reader.
    Clear(Value),
    /// Text here, but something else to many readers; the reason and the remedy.
    Doubtful(&'static str, &'static str),
    /// Nothing that could be passed on unchanged; the reason and the remedy.
    Refused(&'static str, &'static str),
}

/// Reads a plain scalar by the core schema (YAML 1.2.2, section 10.3.2).
pub(super) fn resolve(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Clear(Value::Null),
        "true" | "True" | "TRUE" => return Plain::Clear(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Plain::Clear(Value::Bool(false)),
        _ => {}
    }
    if is_old_boolean(text) {
        return Plain::Doubtful(
            "is text in YAML 1.2 and a boolean in YAML 1.1",
            "write true or false, or quote it",
        );
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Plain::Refused("is not a finite number", "quote it if it is meant as text");
    }
    if is_integer(unsigned) {
        return integer(text, unsigned);
    }
    if is_base_60(unsigned) {
        return Plain::Doubtful("is text in YAML 1.2 and a number to the base of 60 in YAML 1.1", "quote it");
    }
    if let Some(value) = radix(text) {
        return value;
    }
    if is_float(unsigned) {
        return match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Plain::Clear(Value::Float(value)),
            Ok(_) | Err(_) => Plain::Refused("is too large for a number", "quote it if it is meant as text"),
        };
    }
    Plain::Clear(Value::String(text.to_owned()))
}

fn is_old_boolean(text: &str) -> bool {
    matches!(text, "yes" | "Yes" | "YES" | "no" | "No" | "NO" | "on" | "On" | "ON" | "off" | "Off" | "OFF")
}

fn is_integer(unsigned: &str) -> bool {
    !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit())
}

/// Matches `[1-9] [0-9]* ( : [0-5]? [0-9] )+`: a hardware address of digits is one, and a time of the day.
fn is_base_60(unsigned: &str) -> bool {
    let is_part =
        |part: &str| is_integer(part) && part.len() <= 2 && part.parse().is_ok_and(|part: u8| part < 60);
    unsigned.split_once(':').is_some_and(|(first, rest)| {
        is_integer(first) && !first.starts_with('0') && rest.split(':').all(is_part)
    })
}

fn integer(text: &str, unsigned: &str) -> Plain {
    if unsigned.len() > 1 && unsigned.starts_with('0') {
        return Plain::Refused("is octal to some readers and decimal to others", "quote it");
    }
    match text.parse() {
        Ok(value) => Plain::Clear(Value::Integer(value)),
        Err(_) => Plain::Refused("is too large for an integer", "quote it if it is meant as text"),
    }
}

/// Reads `0o17` and `0x1f`.
fn radix(text: &str) -> Option<Plain> {
    let (digits, radix) = match (text.strip_prefix("0o"), text.strip_prefix("0x")) {
        (Some(digits), _) => (digits, 8),
        (None, Some(digits)) => (digits, 16),
        (None, None) => return None,
    };
    let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    is_number.then(|| match i64::from_str_radix(digits, radix) {
        Ok(value) => Plain::Clear(Value::Integer(value)),
        Err(_) => Plain::Refused("is too large for an integer", "quote it if it is meant as text"),
    })
}

/// Matches `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`.
fn is_float(unsigned: &str) -> bool {
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let has_exponent =
        exponent.is_none_or(|exponent| is_integer(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    let has_mantissa = match mantissa.split_once('.') {
        None => is_integer(mantissa),
        Some(("", fraction)) => is_integer(fraction),
        Some((whole, fraction)) => is_integer(whole) && (fraction.is_empty() || is_integer(fraction)),
    };
    has_exponent && has_mantissa
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_the_core_schema_says() {
        for (text, value) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("NULL", Value::Null),
            ("True", Value::Bool(true)),
            ("0", Value::Integer(0)),
            ("-7", Value::Integer(-7)),
            ("+7", Value::Integer(7)),
            ("0o17", Value::Integer(15)),
            ("0x1F", Value::Integer(31)),
            ("1.30", Value::Float(1.3)),
            (".5", Value::Float(0.5)),
            ("5.", Value::Float(5.0)),
            ("1e3", Value::Float(1000.0)),
        ] {
            assert_eq!(resolve(text), Plain::Clear(value), "{text}");
        }
        let words = [
            "tRue",
            "nul",
            "1.2.3",
            "192.168.6.10/24",
            "00:50:56:12:34:00",
            "52:54:00:12:34:60",
            "8080:80",
            "12:",
            "1e",
            ".",
            "-",
            "0o8",
            "e3",
            "yEs",
            "y",
        ];
        for text in words {
            assert_eq!(resolve(text), Plain::Clear(Value::String(text.to_owned())));
        }
    }

    #[test]
    fn scalars_that_mean_two_things_are_not_passed_on_silently() {
        for text in
            ["0644", "-010", ".inf", "-.INF", ".nan", "9223372036854775808", "1e999", "0xffffffffffffffff"]
        {
            assert!(matches!(resolve(text), Plain::Refused(..)), "{text}");
        }
        for text in ["yes", "No", "ON", "off", "52:54:00:12:34:00", "-12:30", "22:22"] {
            assert!(matches!(resolve(text), Plain::Doubtful(..)), "{text}");
        }
    }
}
