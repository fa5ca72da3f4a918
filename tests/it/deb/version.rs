//! dpkg compares the same versions, made up and real ones.

use std::fmt::Write as _;
use std::process::Stdio;

use seedkit::deb::index;
use seedkit::deb::version::Version;

use super::real_indices;
use crate::support::oracle;

/// Answers a line of two versions with how dpkg's own library orders them.
const COMPARE: &str = r#"
    use Dpkg::Version;
    while (<STDIN>) { chomp; my ($a, $b) = split / /; print version_compare($a, $b), "\n" }
"#;

/// Asks dpkg's library for the order of many pairs, in one process.
fn expected(pairs: &[(String, String)]) -> Vec<i32> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pairs");
    let lines = pairs.iter().fold(String::new(), |mut lines, (left, right)| {
        writeln!(lines, "{left} {right}").unwrap();
        lines
    });
    fs_err::write(&path, lines).unwrap();
    let mut command = oracle::command("perl");
    command
        .args(["-e", COMPARE])
        .stdin(fs_err::File::open(&path).unwrap().into_file())
        .stderr(Stdio::inherit());
    let answers = String::from_utf8(oracle::finish(&mut command).stdout).unwrap();
    answers.lines().map(|line| line.parse().unwrap()).collect()
}

fn assert_agreement(pairs: &[(String, String)]) {
    let expected = expected(pairs);
    assert_eq!(expected.len(), pairs.len(), "Dpkg::Version is missing: install libdpkg-perl");
    for ((left, right), expected) in pairs.iter().zip(expected) {
        let order = Version::parse(left).unwrap().cmp(&Version::parse(right).unwrap());
        assert_eq!(order as i32, expected, "{left} {right}");
    }
}

/// Returns `count` versions of the characters that matter, always the same ones.
fn generated(count: usize) -> Vec<String> {
    let mut state = 20_241_109_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let mut part = |alphabet: &str, longest: usize| -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..below(longest)).map(|_| alphabet[below(alphabet.len())]).collect()
    };
    (0..count)
        .map(|number| {
            let epoch = if number % 5 == 0 { part("01", 2) } else { String::new() };
            let epoch = if epoch.is_empty() { epoch } else { epoch + ":" };
            let revision = if number % 3 == 0 { format!("-{}0", part("01a~.+", 4)) } else { String::new() };
            format!("{epoch}{}{}{revision}", number % 2, part("0019ab~~..++-", 8).trim_end_matches('-'))
        })
        .collect()
}

#[test]
fn dpkg_orders_made_up_versions_in_the_same_way() {
    let versions = generated(200);
    let mut pairs: Vec<(String, String)> = Vec::new();
    for left in &versions {
        pairs.extend(versions.iter().map(|right| (left.clone(), right.clone())));
    }
    let long = "9".repeat(30);
    pairs.extend([(long.clone(), format!("{long}0")), (format!("1.{long}"), format!("1.0{long}"))]);
    assert_agreement(&pairs);
}

#[test]
fn dpkg_orders_real_versions_in_the_same_way() {
    let mut versions: Vec<String> = Vec::new();
    for text in real_indices() {
        versions.extend(index::parse(&text).unwrap().iter().map(|package| package.version.to_string()));
    }
    versions.sort();
    versions.dedup();
    // Neighbours of the list differ late, which is what is hard; those far away differ at once.
    let pair = |distance: usize| move |pair: &[String]| (pair[0].clone(), pair[distance].clone());
    let mut pairs: Vec<_> = versions.windows(2).map(pair(1)).collect();
    pairs.extend(versions.windows(8).step_by(5).map(pair(7)));
    assert!(pairs.len() > 10_000, "{} pairs of real versions", pairs.len());
    assert_agreement(&pairs);
}
