//! Columns and lines of text that came out of somebody's file: what steers terminals is shown, not obeyed.

use crate::text::plain;

/// The widest column: one cell of a megabyte is not to fill every row with blanks.
const WIDEST: usize = 200;

/// Returns a table with its header; columns are as wide as their widest cell, within reason.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = std::iter::once(header.map(str::to_owned))
        .chain(rows.iter().map(|row| row.each_ref().map(|cell| plain(cell))))
        .collect();
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
            table(["NAME", "N", "WHY"], &rows),
            "NAME           N   WHY\na              1   x y\nlong\\u{1b}[2J  22\n"
        );
        assert_eq!(line("a\nb\u{202e}c"), "a\\nb\\u{202e}c\n");
    }
}
