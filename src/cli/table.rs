//! Columns and lines of text that came out of somebody's file: what steers terminals is shown, not obeyed.

use crate::text::plain;

/// The widest column: one cell of a megabyte is not to fill every row with blanks.
const WIDEST: usize = 200;

/// Returns a table with its header; columns are as wide as their widest cell, within reason.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows = rows.into_iter().map(|row| row.map(|cell| plain(&cell)));
    let rows: Vec<[String; N]> = std::iter::once(header.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default().min(WIDEST)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let text = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(text).collect()
}

/// Returns lines of `name: value`, each value `column` characters from where its name begins.
pub(crate) fn fields<'a>(
    indent: &str,
    column: usize,
    fields: impl IntoIterator<Item = (&'a str, String)>,
) -> String {
    let field = |(name, value)| line(&format!("{indent}{:<column$}{value}", format!("{name}:")));
    fields.into_iter().map(field).collect()
}

/// Returns an instant in UTC; certificates may be valid before 1970 and after 9999.
pub(crate) fn date(seconds: i64) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let date = time::OffsetDateTime::from_unix_timestamp(seconds).ok();
    date.and_then(|date| date.format(&format).ok()).unwrap_or_else(|| format!("{seconds} s"))
}

/// Returns one line.
pub(crate) fn line(text: &str) -> String {
    format!("{}\n", plain(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_cells_cannot_steer_a_terminal() {
        let rows = [["a", "1", "x y"], ["long\u{1b}[2J", "22", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["NAME", "N", "WHY"], rows),
            "NAME           N   WHY\na              1   x y\nlong\\u{1b}[2J  22\n"
        );
        assert_eq!(line("a\nb\u{202e}c"), "a\\nb\\u{202e}c\n");
    }
}
