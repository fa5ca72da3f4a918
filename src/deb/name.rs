//! Names of packages and architectures: what is safe to print, to put into a path and to hand to a shell.

/// Longer names do not exist; file systems end at 255 bytes with version and architecture.
const LONGEST: usize = 128;

/// Returns whether `text` is a name that dpkg accepts: a letter or digit, then those and `+ - . _`.
pub(super) fn is_package(text: &str) -> bool {
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    starts_well && text.len() <= LONGEST && text.bytes().all(is_package_byte)
}

fn is_package_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_')
}

/// Returns whether `text` is the name of an architecture or of a wildcard such as `linux-any`.
pub(super) fn is_architecture(text: &str) -> bool {
    let starts_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    starts_well
        && text.len() <= LONGEST
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Returns the beginning of `text`, fit to be printed.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(120).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_paths_and_shells() {
        for good in ["jq", "libstdc++6", "0ad", "python3.11-minimal", "Xorg_x"] {
            assert!(is_package(good), "{good}");
        }
        for bad in ["", "-rf", ".x", "a/b", "a b", "a;b", "a$b", "é", "a\n", &"a".repeat(129)] {
            assert!(!is_package(bad), "{bad}");
        }
        assert!(is_architecture("amd64") && is_architecture("any-arm64") && !is_architecture("../x"));
    }
}
