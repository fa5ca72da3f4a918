//! From the columns of a line to an image and its destination.

use super::line::{Entry, Piece};
use crate::net::{LOGIN, LOGIN_HINT, has_login};
use crate::oci::{DOCKER_HUB, Reference};
use crate::text::{Finding, Location, Path, is_name, quoted};

/// An image as a line names it.
#[derive(Debug)]
pub(super) struct ReadLine {
    pub(super) reference: Reference,
    pub(super) destination: Option<String>,
    pub(super) location: Location,
}

pub(super) fn refusal(location: Location, message: impl Into<String>) -> Finding {
    Finding::error(location, Path::root(), message)
}

pub(super) fn note(location: Location, message: impl Into<String>) -> Finding {
    Finding::note(location, Path::root(), message)
}

/// Reads an entry; what is wrong with it is added to the findings.
pub(super) fn read(entry: &Entry<'_>, line: usize, findings: &mut Vec<Finding>) -> Option<ReadLine> {
    let place = |piece: &Piece<'_>| Location { line, column: piece.offset + 1 };
    let Some((source, others)) = entry.columns.split_first() else {
        findings.push(refusal(Location { line, column: 1 }, "there is no image beside the separator"));
        return None;
    };
    let location = place(source);
    let reference = read_reference(source.text, location, findings);
    let destination = match others {
        [] if entry.is_explicit => {
            findings.push(refusal(location, "there is nothing on one side of the separator"));
            return None;
        }
        [] => None,
        [second] if entry.is_explicit || is_destination(second.text) => {
            Some(read_destination(second.text, reference.as_ref(), place(second), findings)?)
        }
        [second] => {
            findings.push(note(place(second), "the second column is not a destination, and is passed over"));
            None
        }
        [_, third, ..] => {
            let message = "there are more than two columns";
            findings.push(refusal(place(third), message).with_hint("write `image`, or `image destination`"));
            return None;
        }
    };
    let reference = reference?;
    let destination = destination.filter(|destination| *destination != own_name(&reference));
    Some(ReadLine { reference, destination, location })
}

/// Returns the name that an image has in a private registry by itself: `repository:tag`.
pub(super) fn own_name(reference: &Reference) -> String {
    let name = reference.tagged_name();
    name.strip_prefix(reference.registry())
        .and_then(|name| name.strip_prefix('/'))
        .unwrap_or(&name)
        .to_owned()
}

fn read_reference(text: &str, location: Location, findings: &mut Vec<Finding>) -> Option<Reference> {
    let bare = text.strip_prefix("docker://").unwrap_or(text);
    if has_login(bare) {
        findings.push(refusal(location, LOGIN).with_hint(LOGIN_HINT));
        return None;
    }
    match bare.parse::<Reference>() {
        Ok(reference) if is_windows(&reference) => {
            let message = format!("`{reference}` is a Windows image, and k3s nodes run Linux");
            findings.push(refusal(location, message).with_hint("remove it"));
            None
        }
        // A token or password would be asked for at Docker Hub, by its name.
        Ok(_) if !bare.contains(['/', ':', '@', '.']) && !is_name(bare) => {
            findings.push(
                refusal(location, "this does not look like the name of an image")
                    .with_hint("name its registry"),
            );
            None
        }
        Ok(reference) => {
            if !Reference::text_says_version(bare) {
                let message = format!("`{bare}` has no tag and means `{reference}`");
                let hint = "name the tag; latest is another image each week";
                findings.push(Finding::warning(location, Path::root(), message).with_hint(hint));
            }
            Some(reference)
        }
        Err(error) => {
            let finding = refusal(
                location,
                if is_name(bare) {
                    error.to_string()
                } else {
                    format!("{} is not an image reference", quoted(bare))
                },
            );
            findings.push(match hint_for(bare) {
                Some(hint) => finding.with_hint(hint),
                None => finding,
            });
            None
        }
    }
}

fn is_windows(reference: &Reference) -> bool {
    let tag = reference.tag().unwrap_or_default();
    reference.repository().split('/').any(|part| matches!(part, "windows" | "wins"))
        || ["windows", "nanoserver", "ltsc20"].iter().any(|word| tag.contains(word))
}

/// Says what was probably meant by a text that is not a reference.
fn hint_for(text: &str) -> Option<String> {
    let tag = text.rsplit('/').next().unwrap_or(text).split_once(':').map(|(_, tag)| tag);
    if is_name(text) && tag.is_some_and(|tag| tag.contains('+')) {
        return Some(format!("tags have no `+`; k3s writes `-` instead: {}", text.replace('+', "-")));
    }
    if text.contains("://") {
        return Some("write the image without `https://`".to_owned());
    }
    if text.contains("${") || text.contains("{{") {
        return Some("fill in the variable: lists are taken as they stand".to_owned());
    }
    if text.ends_with(':') {
        return Some("this looks like YAML; write one image a line".to_owned());
    }
    text.bytes()
        .any(|byte| byte.is_ascii_uppercase())
        .then(|| "repositories are written in lower case".to_owned())
}

/// Returns whether a second column is meant as a destination: rancher's lists have remarks and URLs there.
fn is_destination(text: &str) -> bool {
    let has_shape = text.contains('/') || text.contains(':') || text.contains('@');
    has_shape && !text.contains(',') && !text.contains("://")
}

fn read_destination(
    text: &str,
    source: Option<&Reference>,
    location: Location,
    findings: &mut Vec<Finding>,
) -> Option<String> {
    let mut refuse = |message: String, hint: &str| {
        findings.push(refusal(location, message).with_hint(hint));
        None
    };
    if has_login(text) {
        return refuse(LOGIN.to_owned(), LOGIN_HINT);
    }
    let bare = text.strip_prefix("docker.io/").unwrap_or(text);
    let host = bare
        .split_once('/')
        .map(|(host, _)| host)
        .filter(|host| host.contains(['.', ':']) || *host == "localhost");
    if let Some(host) = host {
        let message = format!("the destination names the registry {}", quoted(host));
        return refuse(message, "write repository:tag only; the registry is that of the spec");
    }
    // With a host before it, a bare name is not taken for one of Docker Hub's library.
    let parsed = match format!("localhost/{bare}").parse::<Reference>() {
        Ok(parsed) if parsed.digest().is_none() => parsed,
        Ok(_) => {
            return refuse(format!("the destination {} has a digest", quoted(bare)), "write repository:tag");
        }
        Err(_) => return refuse(format!("{} is not a destination", quoted(bare)), "write repository:tag"),
    };
    let source = source?;
    let tag = match parsed.tag().filter(|_| Reference::text_says_version(bare)) {
        Some(tag) => tag.to_owned(),
        None => own_name(source).rsplit(':').next().unwrap_or_default().to_owned(),
    };
    let is_official =
        source.registry() == DOCKER_HUB && source.repository() == format!("library/{}", parsed.repository());
    let repository = if is_official { source.repository() } else { parsed.repository() };
    Some(format!("{repository}:{tag}"))
}
