use super::*;
use crate::digest::Digest;
use crate::lockfile::fixture::{lockfile, packages, signed};

fn with_packages() -> Lockfile {
    Lockfile { packages: Some(packages()), ..lockfile() }
}

fn error(text: &str) -> LockfileError {
    text.parse::<Lockfile>().unwrap_err()
}

#[test]
fn a_lock_reads_back_as_it_was_written() {
    for lockfile in [lockfile(), with_packages(), signed()] {
        let text = lockfile.to_string();
        assert_eq!(text.parse::<Lockfile>().unwrap(), lockfile);
        assert_eq!(text.parse::<Lockfile>().unwrap().to_string(), text);
    }
}

#[test]
fn packages_are_written_after_the_images_each_key_on_a_line_in_a_fixed_order() {
    let text = with_packages().to_string();
    let [one, other] = [b"amd64".as_slice(), b"jq"].map(Digest::sha256);
    let expected = format!(
        r#"
[packages]
suite = "bookworm"
names = ["htop", "jq=1.6-2.1"]
recommends = false
baseline = "priority important"
sources = ["https://mirror.example/debian bookworm main", "file:lab bookworm main"]
extra = ["a b.deb {extra}"]

[[index]]
suite = "bookworm"
component = "main"
architecture = "amd64"
url = "https://mirror.example/debian"
date = 1763600000 # 2025-11-20T00:53:20Z
release = "{release}"
signers = ["4CB50190207B4758A3F73A796ED0E7B82643E131"]
path = "main/binary-amd64/Packages.gz"
size = 5
digest = "{one}"
"#,
        extra = Digest::sha256(b"extra"),
        release = Digest::sha256(b"release"),
    );
    let (before, after) = text.split_at(text.find("\n[packages]").unwrap());
    assert_eq!(before, lockfile().to_string());
    assert_eq!(
        after
            .split_once("\n[[index]]\nsuite = \"bookworm\"\ncomponent = \"main\"\narchitecture = \"arm64\"")
            .unwrap()
            .0,
        expected
    );
    let package = &after[after.find("\n[[package]]").unwrap()..];
    assert_eq!(
        package.split_inclusive("\"requested\"\n").next().unwrap(),
        format!(
            r#"
[[package]]
target = "amd64"
name = "jq"
version = "1:1.6~\"rc\"-2.1+b2"
architecture = "amd64"
suite = "bookworm"
url = "https://mirror.example/debian"
path = "pool/main/j/jq/jq_1.6-2.1_amd64.deb"
size = 6
sha256 = "{other}"
why = "requested"
"#
        )
    );
}

#[test]
fn what_is_attached_follows_its_image() {
    let text = signed().to_string();
    let image = &text[text.find("[image.platforms]").unwrap()..text.rfind("\n[[image]]").unwrap()];
    let [subject, bill, signature] = [b"x".as_slice(), b"bill", b"signature"].map(Digest::sha256);
    let hex = subject.hex();
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    assert_eq!(
        image,
        format!(
            r#"[image.platforms]
"linux/amd64" = "{subject}"
[[image.attached]]
subject = "{subject}"
digest = "{bill}"
media-type = "{media_type}"
size = 7
[[image.attached]]
subject = "{subject}"
tag = "sha256-{hex}.sig"
digest = "{signature}"
media-type = "{media_type}"
size = 7
"#
        )
    );
}

#[test]
fn signatures_that_contradict_themselves_are_refused() {
    let text = signed().to_string();
    for (found, replacement, reason) in [
        ("signatures = true\n", "", "missing field `signatures`"),
        ("manifests = 1\n", "", "missing field `manifests`"),
        ("signatures = true\n", "signatures = false\n", "says that `signatures` are false"),
        (".sig\"", ".tag\"", "whose `tag` is not made of its `subject`"),
        ("tag = \"sha256-", "tag = \"sha256-0", "whose `tag` is not made of its `subject`"),
    ] {
        assert!(text.contains(found), "{found}");
        let error = error(&text.replacen(found, replacement, 1));
        assert!(error.to_string().contains(reason), "{error} instead of {reason}");
    }
}

#[test]
fn locks_of_older_and_newer_versions_are_refused_whatever_else_they_hold() {
    let text = lockfile().to_string();
    for version in [0, 1, 2, 4] {
        let other = text.replace("version = 3\n", &format!("version = {version}\nsurprise = true\n"));
        let expected = format!("the lock has format version {version}; this seedkit reads version 3");
        assert_eq!(error(&other).to_string(), expected);
    }
}

#[test]
fn locks_that_are_malformed_are_refused() {
    let text = lockfile().to_string();
    assert!(matches!(error(&text.replace("version = 3\n", "")), LockfileError::Malformed(_)));
    assert!(matches!(error(&text.replace("epoch", "epok")), LockfileError::Malformed(_)));
    assert!(matches!(error(&text.replace("quay.io", "docker.io")), LockfileError::Duplicate(..)));
    assert!(error(&text.replace("sha256:", "md5:")).to_string().contains("line "));
}

#[test]
fn packages_that_this_version_does_not_understand_are_refused() {
    let text = with_packages().to_string();
    let request = &text[text.find("[packages]").unwrap()..text.find("[[index]]").unwrap()];
    for (found, replacement, reason) in [
        (request, "", "it has `[[index]]` or `[[package]]` without `[packages]`"),
        ("recommends = false\n", "", "missing field `recommends`"),
        ("recommends =", "suggests = true\nrecommends =", "unknown field `suggests`"),
        ("component =", "part =", "unknown field `part`"),
        ("why = \"requested\"\n", "", "missing field `why`"),
        ("date = 1763600000", "date = 7", "`7` is not a usable epoch"),
        ("size = 6\n", "size = -6\n", "invalid value"),
    ] {
        assert!(text.contains(found), "{found}");
        let error = error(&text.replace(found, replacement));
        assert!(matches!(error, LockfileError::Malformed(_)), "{error}");
        assert!(error.to_string().contains(reason), "{error} instead of {reason}");
    }
}

#[test]
fn what_is_locked_twice_is_refused_by_name() {
    let text = with_packages().to_string();
    let extra = format!("extra = [\"a b.deb {}\"", Digest::sha256(b"extra"));
    let other_extra = format!("{extra}, \"a b.deb {}\"", Digest::sha256(b"other"));
    for (found, replacement, name) in [
        ("name = \"libjq1\"", "name = \"jq\"", "amd64 jq"),
        ("target = \"arm64\"", "target = \"amd64\"", "amd64 jq"),
        (
            "architecture = \"arm64\"",
            "architecture = \"amd64\"",
            "bookworm main amd64 https://mirror.example/debian",
        ),
        ("\"jq=1.6-2.1\"]", "\"htop\"]", "htop"),
        (&extra, &other_extra, "a b.deb"),
    ] {
        assert!(text.contains(found), "{found}");
        let error = error(&text.replace(found, replacement));
        assert_eq!(error.to_string(), format!("the lock has `{name}` twice"));
    }
}

#[test]
fn packages_belong_to_the_content_that_two_locks_share_and_the_epoch_does_not() {
    let lockfile = with_packages();
    let later = Lockfile { epoch: Epoch::try_from(1_800_000_000).unwrap(), ..lockfile.clone() };
    assert!(later.pins_same_content(&lockfile));
    let mut updated = lockfile.clone();
    updated.packages.as_mut().unwrap().packages[0].version.push_str("+deb12u1");
    assert!(!updated.pins_same_content(&lockfile));
    assert!(!Lockfile { packages: None, ..lockfile.clone() }.pins_same_content(&lockfile));
}
