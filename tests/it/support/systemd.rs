//! systemd as a judge of units: a root with those of a Debian system with cloud-init, and what it says of a boot.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use fs_err as fs;
use fs_err::os::unix::fs::symlink;

use super::oracle;

/// Makes a root with the distribution's units and the programs that ours start.
pub(crate) fn distribution(root: &Path) {
    fs::create_dir_all(root.join("usr/lib/systemd")).unwrap();
    oracle::run(
        "cp",
        ["-a".as_ref(), "/usr/lib/systemd/system".as_ref(), root.join("usr/lib/systemd").as_os_str()],
    );
    fs::create_dir_all(root.join("etc/systemd/system/multi-user.target.wants")).unwrap();
    fs::create_dir_all(root.join("etc/systemd/system/cloud-init.target.wants")).unwrap();
    symlink("usr/lib", root.join("lib")).unwrap();
    symlink("usr/sbin", root.join("sbin")).unwrap();
    for (target, unit) in [
        ("cloud-init.target", "cloud-init-local.service"),
        ("cloud-init.target", "cloud-init.service"),
        ("cloud-init.target", "cloud-config.service"),
        ("cloud-init.target", "cloud-final.service"),
        ("multi-user.target", "cloud-init.target"),
    ] {
        enable(root, unit, target);
    }
    for program in ["usr/sbin/modprobe", "usr/sbin/sysctl", "usr/local/bin/k3s"] {
        let path = root.join(program);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Enables a unit, wherever it is.
pub(crate) fn enable(root: &Path, unit: &str, target: &str) {
    let folder = root.join("etc/systemd/system").join(format!("{target}.wants"));
    let place = if root.join("etc/systemd/system").join(unit).exists() { "/etc" } else { "/usr/lib" };
    fs::create_dir_all(&folder).unwrap();
    symlink(format!("{place}/systemd/system/{unit}"), folder.join(unit)).unwrap();
}

/// Has systemd build the transaction of a whole boot.
pub(crate) fn verify(root: &Path) -> Output {
    let root = format!("--root={}", root.display());
    oracle::command("systemd-analyze")
        .args(["verify", "--man=no", &root, "multi-user.target"])
        .output()
        .unwrap()
}
