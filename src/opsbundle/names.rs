//! What may stand in file names, in `Packages` and in the script: Debian policy 5.6.7, 5.6.8 and 5.6.12.

use super::{BundleError, BundleInput, BundledPackage};

const LONGEST: usize = 200;

/// Refuses names and versions that are none, and packages of another architecture.
pub(super) fn check(input: &BundleInput<'_>) -> Result<(), BundleError> {
    refuse_unless(is_plain(input.suite), input.suite, "code name of a release")?;
    refuse_unless(is_plain(input.architecture), input.architecture, "name of an architecture")?;
    for name in input.requested {
        refuse_unless(is_package_name(name), name, "name of a package")?;
    }
    for BundledPackage { name, version, architecture, .. } in input.packages {
        refuse_unless(is_package_name(name), name, "name of a package")?;
        refuse_unless(is_version(version), version, "version of a package")?;
        if architecture != "all" && architecture != input.architecture {
            let (name, architecture) = (name.clone(), architecture.clone());
            return Err(BundleError::WrongArchitecture { name, architecture });
        }
    }
    Ok(())
}

/// Returns the place of a package in the bundle.
///
/// Without the epoch, as in the distribution's own pool, and without any other colon: apt decodes what it
/// finds in `Filename`, and other programs read a colon as the end of a host name.
pub(super) fn pool_path(package: &BundledPackage) -> String {
    let BundledPackage { name, version, architecture, .. } = package;
    let version = version.split_once(':').map_or(version.as_str(), |(_epoch, rest)| rest).replace(':', ".");
    format!("pool/{name}_{version}_{architecture}.deb")
}

fn refuse_unless(is_valid: bool, text: &str, kind: &'static str) -> Result<(), BundleError> {
    if !is_valid || text.len() > LONGEST {
        return Err(BundleError::InvalidName { text: text.chars().take(LONGEST).collect(), kind });
    }
    Ok(())
}

fn is_plain(text: &str) -> bool {
    starts_with(text, |first| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_package_name(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    starts_with(text, |first| first.is_ascii_lowercase() || first.is_ascii_digit())
        && text.len() >= 2
        && text.bytes().all(is_allowed)
}

fn is_version(text: &str) -> bool {
    starts_with(text, |first| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-~:".contains(&byte))
}

fn starts_with(text: &str, is_first: impl Fn(u8) -> bool) -> bool {
    text.bytes().next().is_some_and(is_first)
}
