//! Specs, locks, files and secrets that cannot be used.

use fs_err as fs;

use super::{BUILD_FAILS, Fault, chmod, examine};
use crate::support::sandbox::{BUILD, SPEC, Sandbox};

fn remove(sandbox: &Sandbox, relative: &str) {
    fs::remove_file(sandbox.path(relative)).unwrap();
}

#[test]
fn specs_that_cannot_be_used_are_explained() {
    examine(&[
        Fault {
            name: "no spec",
            spoil: |sandbox| remove(sandbox, SPEC),
            error: "error: cannot read the spec `lab/seedkit.yaml`\n  \
                    because: cannot open `lab/seedkit.yaml`: No such file or directory (os error 2)\n  \
                    hint: name the spec with --file, or make one with `seedkit init`",
            ..BUILD_FAILS
        },
        Fault {
            name: "no spec, and no --file",
            spoil: |_| {},
            arguments: &["build"],
            code: 2,
            error: "error: cannot read the spec `seedkit.yaml`\n  \
                    because: cannot open `seedkit.yaml`: No such file or directory (os error 2)\n  \
                    hint: name the spec with --file, or make one with `seedkit init`",
        },
        Fault {
            name: "a folder as spec",
            spoil: |_| {},
            arguments: &["build", "-f", "lab"],
            code: 2,
            error: "error: cannot read the spec `lab`\n  \
                    because: `lab` is not a regular file\n  \
                    hint: name the spec with --file, or make one with `seedkit init`",
        },
        Fault {
            name: "a spec that is not text",
            spoil: |sandbox| sandbox.write(SPEC, [0xff, 0xfe, 0, 1]),
            error: "error: the spec has an error:\n\
                    lab/seedkit.yaml:1:1: the file is UTF-16\n  \
                    hint: save it as UTF-8",
            ..BUILD_FAILS
        },
        Fault {
            name: "a spec with several mistakes",
            spoil: |sandbox| {
                sandbox.edit(SPEC, "192.168.6.12/24", "192.168.6.11/24");
                sandbox.edit(SPEC, "timezone:", "timezon:");
            },
            error: "error: the spec has 2 errors:\n\
                    lab/seedkit.yaml:59:14: nodes[2].address: `192.168.6.11` is already the address of \
                    nodes[1]\n\
                    lab/seedkit.yaml:68:3: seed.timezon: there is no such key\n  \
                    hint: did you mean `timezone`?",
            ..BUILD_FAILS
        },
        Fault {
            name: "a node that is not in the spec",
            spoil: |_| {},
            arguments: &["iso", "-f", SPEC, "-o", "kit/seeds", "--node", "k3s-worker9"],
            code: 2,
            error: "error: there is no node `k3s-worker9`; the spec has k3s-master1, k3s-worker1, \
                    k3s-worker2",
        },
        Fault {
            name: "a release without a list",
            spoil: |sandbox| sandbox.edit(SPEC, "v1.35.0+k3s1", "v1.29.1+k3s1"),
            error: "error: cannot find out what the spec wants\n  \
                    because: there is no built-in image list for k3s `v1.29.1+k3s1`\n  \
                    hint: give the release's own list as `k3s.images` (a path or URL of its \
                    k3s-images.txt), or set `images.k3s: false`",
            ..BUILD_FAILS
        },
    ]);
}

#[test]
fn lists_and_files_that_cannot_be_read_are_named() {
    examine(&[
        Fault {
            name: "no image list",
            spoil: |sandbox| remove(sandbox, "lab/images.txt"),
            error: "error: cannot find out what the spec wants\n  \
                    because: cannot read the image list `lab/images.txt`\n  \
                    because: cannot open `lab/images.txt`: No such file or directory (os error 2)\n  \
                    hint: check the path or address of the list under `images.lists` or `k3s.images`",
            ..BUILD_FAILS
        },
        Fault {
            name: "an image list that means nothing",
            spoil: |sandbox| {
                sandbox.write("lab/images.txt", "docker.io/lab/hello:1.0\nUPPER/case\na b c d\n")
            },
            error: "error: cannot find out what the spec wants\n  \
                    because: the image list cannot be used:\n\
                    images.txt:2:1: `UPPER/case` is not an image reference: repository name must be \
                    lowercase\n  \
                    hint: repositories are written in lower case\n\
                    images.txt:3:1: warning: `a` has no tag and means `docker.io/library/a:latest`\n  \
                    hint: name the tag; latest is another image each week\n\
                    images.txt:3:5: there are more than two columns\n  \
                    hint: write `image`, or `image destination`",
            ..BUILD_FAILS
        },
        Fault {
            name: "no file, no lock",
            spoil: |sandbox| {
                remove(sandbox, "lab/motd");
                remove(sandbox, "lab/seedkit.lock");
            },
            error: "error: cannot lock the files\n  \
                    because: cannot read file /etc/motd from `lab/motd`\n  \
                    because: cannot open `lab/motd`: No such file or directory (os error 2)",
            ..BUILD_FAILS
        },
        Fault {
            name: "no file, and nothing in the store",
            spoil: |sandbox| remove(sandbox, "lab/motd"),
            error: "error: cannot fetch the files\n  \
                    because: cannot read file /etc/motd from `lab/motd`\n  \
                    because: cannot open `lab/motd`: No such file or directory (os error 2)",
            ..BUILD_FAILS
        },
        Fault {
            name: "a folder as file",
            spoil: |sandbox| {
                remove(sandbox, "lab/motd");
                fs::create_dir(sandbox.path("lab/motd")).unwrap();
            },
            error: "error: cannot fetch the files\n  \
                    because: cannot read file /etc/motd from `lab/motd`\n  \
                    because: `lab/motd` is not a regular file",
            ..BUILD_FAILS
        },
        Fault {
            name: "a pipe as file: nobody ever writes to it",
            spoil: |sandbox| {
                remove(sandbox, "lab/motd");
                let path = sandbox.path("lab/motd");
                rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0)
                    .unwrap();
            },
            error: "error: cannot fetch the files\n  \
                    because: cannot read file /etc/motd from `lab/motd`\n  \
                    because: `lab/motd` is not a regular file",
            ..BUILD_FAILS
        },
        Fault {
            name: "another content than the spec demands",
            spoil: |sandbox| {
                let zeros = "0".repeat(64);
                sandbox.edit(SPEC, "{ path: motd }", &format!("{{ path: motd, sha256: \"{zeros}\" }}"));
                remove(sandbox, "lab/seedkit.lock");
            },
            error: "error: cannot lock the files\n  \
                    because: cannot store file /etc/motd from `lab/motd`\n  \
                    because: blob sha256:0000000000000000000000000000000000000000000000000000000000000000 \
                    has the wrong content: it hashes to \
                    sha256:e0fa45da7b2d6f3fdadf0197370909796904c01d2436f3d5d16c174a10997a5d\n  \
                    hint: the file changed where it comes from: look at it, then correct its checksum in \
                    the spec or run `seedkit lock`",
            ..BUILD_FAILS
        },
        Fault {
            name: "checksums that do not name the file",
            spoil: |sandbox| {
                sandbox.edit(SPEC, "{ path: motd }", "{ path: motd, checksums: { path: sums } }");
                sandbox.write("lab/sums", format!("{}  another\n", "0".repeat(64)));
                remove(sandbox, "lab/seedkit.lock");
            },
            error: "error: cannot lock the files\n  \
                    because: `lab/sums` has no checksum of `motd`, needed for file /etc/motd",
            ..BUILD_FAILS
        },
    ]);
}

#[test]
fn locks_that_cannot_be_used_are_explained() {
    examine(&[
        Fault {
            name: "--locked without a lock",
            spoil: |sandbox| remove(sandbox, "lab/seedkit.lock"),
            arguments: &["build", "-f", SPEC, "--locked"],
            code: 2,
            error: "error: --locked forbids making a lock\n  \
                    because: there is no `lab/seedkit.lock`\n  \
                    hint: run `seedkit lock`, review the result, and commit it",
        },
        Fault {
            name: "lock --check without a lock",
            spoil: |sandbox| remove(sandbox, "lab/seedkit.lock"),
            arguments: &["lock", "-f", SPEC, "--check"],
            code: 2,
            error: "error: there is no `lab/seedkit.lock`\n  \
                    hint: run `seedkit lock`, review the result, and commit it",
        },
        Fault {
            name: "a lock that is not TOML",
            spoil: |sandbox| sandbox.edit("lab/seedkit.lock", "version = 3\n", "version = \n"),
            error: "error: cannot use `lab/seedkit.lock`\n  \
                    because: the lock is malformed: line 4: string values must be quoted, expected literal \
                    string\n  \
                    hint: take it back from version control, or remove it and run `seedkit lock`",
            ..BUILD_FAILS
        },
        Fault {
            name: "a lock with a conflict of git",
            spoil: |sandbox| sandbox.edit("lab/seedkit.lock", "image-size", "<<<<<<< HEAD\nimage-size"),
            error: "error: cannot use `lab/seedkit.lock`\n  \
                    because: the lock is malformed: line 8: key with no value, expected `=`\n  \
                    hint: take it back from version control, or remove it and run `seedkit lock`",
            ..BUILD_FAILS
        },
        Fault {
            name: "a lock of a newer seedkit",
            spoil: |sandbox| {
                sandbox.edit("lab/seedkit.lock", "version = 3\n", "version = 4\nsigned-by = \"us\"\n")
            },
            error: "error: cannot use `lab/seedkit.lock`\n  \
                    because: the lock has format version 4; this seedkit reads version 3\n  \
                    hint: use the seedkit that wrote it, or remove it and run `seedkit lock`",
            ..BUILD_FAILS
        },
        Fault {
            name: "a lock of an older seedkit",
            spoil: |sandbox| {
                sandbox.edit("lab/seedkit.lock", "version = 3\n", "version = 2\n");
                sandbox.edit("lab/seedkit.lock", "signatures = false\n", "");
            },
            error: "error: cannot use `lab/seedkit.lock`\n  \
                    because: the lock has format version 2; this seedkit reads version 3\n  \
                    hint: use the seedkit that wrote it, or remove it and run `seedkit lock`",
            ..BUILD_FAILS
        },
        Fault {
            name: "a lock with an image twice",
            spoil: |sandbox| {
                let lock = sandbox.read("lab/seedkit.lock");
                let (images, packages) = lock.split_once("[packages]").unwrap();
                let image = &images[images.rfind("[[image]]").unwrap()..];
                sandbox.write("lab/seedkit.lock", format!("{images}{image}[packages]{packages}"));
            },
            error: "error: cannot use `lab/seedkit.lock`\n  \
                    because: the lock has `quay.io/lab/hello:1.0` twice\n  \
                    hint: take it back from version control, or remove it and run `seedkit lock`",
            ..BUILD_FAILS
        },
        Fault {
            name: "everything changed after locking",
            spoil: |sandbox| {
                sandbox.write("lab/motd", "changed\n");
                sandbox.write("lab/greeting", "hello\n");
                sandbox.write(
                    "lab/images.txt",
                    "docker.io/lab/hello:1.0 mirror/hello:1.0\nquay.io/lab/hello:2.0\n",
                );
                sandbox.edit(SPEC, "[linux/amd64]", "[linux/amd64, linux/arm64]");
                sandbox.edit(
                    SPEC,
                    "mode: \"0644\"\n",
                    "mode: \"0644\"\n  - source: { path: greeting }\n    destination: /etc/issue\n",
                );
                fs::rename(sandbox.path("lab/k3s-stand-in.sh"), sandbox.path("lab/k3s")).unwrap();
                sandbox.edit(SPEC, "path: k3s-stand-in.sh }", "path: k3s }\n    linux/arm64: { path: k3s }");
            },
            arguments: &BUILD,
            code: 1,
            error: "error: the lock does not fit the spec: 8 differences\n  \
                    - platform `linux/arm64` is not locked\n  \
                    - k3s-binary linux/amd64 comes from `k3s`, locked from `k3s-stand-in.sh`\n  \
                    - k3s-binary linux/arm64 is not locked\n  \
                    - file /etc/motd must have \
                    sha256:7f8b1dfc466b6249f06cbe55c9174df2578e7754da793fded244ef5cba2a38f1, locked with \
                    sha256:e0fa45da7b2d6f3fdadf0197370909796904c01d2436f3d5d16c174a10997a5d\n  \
                    - file /etc/issue is not locked\n  \
                    - image `docker.io/lab/hello:1.0` (images.txt:1) has another destination than the \
                    lock\n  \
                    - image `quay.io/lab/hello:2.0` (images.txt:2) is not locked\n  \
                    - image `quay.io/lab/hello:1.0` is locked, and no longer wanted\n  \
                    hint: run `seedkit lock`, review the difference, and commit it",
        },
        Fault {
            name: "a file that changed after locking",
            spoil: |sandbox| sandbox.write("lab/k3s-stand-in.sh", "#!/bin/sh\n"),
            arguments: &["lock", "-f", SPEC, "--check"],
            code: 1,
            error: "error: the lock does not fit the spec: 1 difference\n  \
                    - k3s-binary linux/amd64 must have \
                    sha256:a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf, locked with \
                    sha256:4f30a3869a927a174e4b54b0016d107c2ccd75a602f643da178b421d495bc247\n  \
                    hint: run `seedkit lock`, review the difference, and commit it",
        },
    ]);
}

#[test]
fn secrets_that_cannot_be_used_are_explained() {
    examine(&[Fault {
        name: "a folder of secrets that others may enter",
        spoil: |sandbox| {
            fs::create_dir(sandbox.path("lab/secrets")).unwrap();
            chmod(&sandbox.path("lab/secrets"), 0o755);
        },
        arguments: &["build", "-f", SPEC, "-o", "kit", "--secrets", "lab/secrets"],
        code: 2,
        error: "error: `lab/secrets` is open to other users (mode 0755): type `chmod 0700 'lab/secrets'`",
    }]);
}
