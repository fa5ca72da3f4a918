//! The grammar of image references, as the distribution project's `reference` package has it.
//!
//! ```text
//! reference := [ domain "/" ] path [ ":" tag ] [ "@" digest ]
//! domain    := label *( "." label ) [ ":" port ]       label := alnum *( alnum / "-" ), not ending in "-"
//! path      := component *( "/" component )            at most 255 bytes, `library/` counted
//! component := lower *( separator lower )              separator := "." / "_" / "__" / 1*"-"
//! tag       := ( alnum / "_" ) *127( alnum / "_" / "." / "-" )
//! ```
//!
//! The first component is a domain if it has a `.` or a `:`, or is `localhost`: so does every container runtime tell
//! `quay.io/etcd` from `coreos/etcd`.
//!
//! # Why
//! A parser of our own: the one of `oci-spec` compiles one regular expression of the whole grammar, which takes each
//! command 60 ms and 20 MiB before it begins, takes letters of any script in tags, and names no reason. In the tests
//! it is the judge.

/// The most bytes of a repository, fully qualified.
const LONGEST_REPOSITORY: usize = 255;
/// The most bytes of a tag.
const LONGEST_TAG: usize = 128;

/// A reference's parts, as they are written; neither the digest nor the path's length is looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) domain: Option<&'a str>,
    pub(super) path: &'a str,
    pub(super) tag: Option<&'a str>,
    pub(super) digest: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Splits a text; the error is the reason why it is not a reference.
    pub(super) fn of(text: &'a str) -> Result<Self, String> {
        let (rest, digest) = split(text, text.find('@'));
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = split(rest, rest[last..].rfind(':').map(|colon| last + colon));
        let (domain, path) = match name.split_once('/') {
            Some((first, path)) if is_domain(first) => (Some(first), path),
            Some(_) | None => (None, name),
        };
        domain.map_or(Ok(()), check_domain)?;
        check_path(path)?;
        tag.map_or(Ok(()), check_tag)?;
        Ok(Self { domain, path, tag, digest })
    }
}

/// Splits a text before and after the byte at a position.
fn split(text: &str, position: Option<usize>) -> (&str, Option<&str>) {
    position.map_or((text, None), |position| (&text[..position], Some(&text[position + 1..])))
}

fn is_domain(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

fn check_domain(domain: &str) -> Result<(), String> {
    let (host, port) = domain.split_once(':').map_or((domain, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(is_inside) && !label.starts_with('-') && !label.ends_with('-')
    };
    if !host.split('.').all(is_label) {
        return Err(format!("`{host}` is not the name of a host"));
    }
    match port {
        Some("") => Err(format!("`{domain}` has no port after its colon")),
        Some(port) if !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(format!("`{port}` is not a port"))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_path(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Err("it has no repository".to_owned());
    }
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err("repository name must be lowercase".to_owned());
    }
    match path.split('/').find(|component| !is_component(component)) {
        Some("") => Err("a part of the repository is empty".to_owned()),
        Some(component) => Err(format!("`{component}` cannot be part of a repository")),
        None => Ok(()),
    }
}

fn is_component(component: &str) -> bool {
    let is_alphanumeric = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let is_separator = |text: &str| matches!(text, "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
    component.starts_with(is_alphanumeric)
        && component.ends_with(is_alphanumeric)
        && component.split(is_alphanumeric).all(is_separator)
}

/// Checks the length of a repository, fully qualified: what is read is written so that it is read again.
pub(super) fn check_length(repository: &str) -> Result<(), String> {
    match repository.len() {
        ..=LONGEST_REPOSITORY => Ok(()),
        _ => Err(format!("the repository has more than {LONGEST_REPOSITORY} characters")),
    }
}

fn check_tag(tag: &str) -> Result<(), String> {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if tag.is_empty() {
        return Err("there is no tag after the colon".to_owned());
    }
    if tag.len() > LONGEST_TAG {
        return Err(format!("the tag has more than {LONGEST_TAG} characters"));
    }
    if !tag.bytes().all(is_inside) || tag.starts_with(['.', '-']) {
        return Err(format!("`{tag}` cannot be a tag"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use oci_spec::distribution::Reference as Judge;

    use super::*;

    /// Texts of pieces that mean something in the grammar, the same each time.
    fn texts() -> impl Iterator<Item = String> {
        const PIECES: [&str; 22] = [
            "a",
            "b1",
            "Z",
            ".",
            "..",
            "-",
            "--",
            "_",
            "__",
            "___",
            ":",
            "@",
            "/",
            "//",
            "localhost",
            "quay.io",
            "x:5",
            "v1.2-3_4",
            "sha256:",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "+",
            " ",
        ];
        let mut state = 1_u64;
        let mut random = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        (0..20_000).map(move |_| (0..=random(8)).map(|_| PIECES[random(PIECES.len())]).collect())
    }

    #[test]
    fn what_oci_spec_takes_for_a_reference_has_the_same_parts_here() {
        let mut taken = 0;
        for text in texts() {
            let judged = text.parse::<Judge>();
            let parts = Parts::of(&text);
            let Ok(judge) = judged else {
                let is_for_its_digest = parts.as_ref().is_ok_and(|parts| parts.digest.is_some());
                assert!(parts.is_err() || is_for_its_digest, "{text:?} is none: {judged:?}");
                continue;
            };
            if let Err(reason) = &parts {
                let is_known = judge.registry().contains('_') || reason.ends_with("must be lowercase");
                assert!(is_known, "{text:?} is one: {reason}");
                continue;
            }
            let Parts { domain, path, tag, digest } = parts.unwrap();
            assert_eq!(domain.unwrap_or("docker.io"), judge.registry(), "{text:?}");
            let path = if domain.is_none() && !path.contains('/') {
                format!("library/{path}")
            } else {
                path.to_owned()
            };
            assert_eq!(path, judge.repository(), "{text:?}");
            let tag = tag.or(if digest.is_none() { Some("latest") } else { None });
            assert_eq!((tag, digest), (judge.tag(), judge.digest()), "{text:?}");
            taken += 1;
        }
        assert!(taken > 300, "{taken}");
    }

    #[test]
    fn a_reason_names_the_part_that_is_wrong() {
        for (text, reason) in [
            ("", "it has no repository"),
            ("a b", "`a b` cannot be part of a repository"),
            ("a//b", "a part of the repository is empty"),
            ("a:", "there is no tag after the colon"),
            ("a:v1+k3s1", "`v1+k3s1` cannot be a tag"),
            ("a:größe", "`größe` cannot be a tag"),
            ("quay.io:http/a", "`http` is not a port"),
            ("my_host.lan/a", "`my_host.lan` is not the name of a host"),
            (&format!("a:{}", "a".repeat(129)), "the tag has more than 128 characters"),
        ] {
            assert_eq!(Parts::of(text), Err(reason.to_owned()), "{text:?}");
        }
    }
}
