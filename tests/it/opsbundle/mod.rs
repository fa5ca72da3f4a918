//! Bundles of packages that dpkg built, judged by the programs that read them: as a repository, and installed.

pub(crate) mod debs;
mod install;
mod lab;
pub(crate) mod node;
mod refusals;
mod repository;
mod signed;
mod unit;

use std::collections::BTreeSet;
use std::num::NonZero;

use seedkit::opsbundle::{Bundle, BundleInput, BundledPackage};
use seedkit::template::Templates;

use debs::{Debs, native};
use node::suite;

/// Plans a bundle for the machine that the tests run on.
fn bundle(packages: &[BundledPackage], requested: &[&str]) -> Bundle {
    bundle_for((&suite(), &native()), packages, requested)
}

/// Plans a bundle for a suite and an architecture, dated in the future of every clock.
fn bundle_for(
    (suite, architecture): (&str, &str),
    packages: &[BundledPackage],
    requested: &[&str],
) -> Bundle {
    let requested: BTreeSet<String> = requested.iter().map(|name| (*name).to_owned()).collect();
    let epoch = "4102444800".parse().unwrap();
    let input = BundleInput { suite, architecture, requested: &requested, packages, epoch, signer: None };
    Bundle::plan(&input, &Templates::builtin()).unwrap()
}

/// Returns the finished archive.
fn archive(bundle: &Bundle) -> Vec<u8> {
    bundle.write(NonZero::new(2).unwrap(), Vec::new()).unwrap()
}

/// A tool with an epoch and a configuration file, on libraries that need each other configured first.
fn tools() -> Debs {
    let debs = Debs::new();
    debs.add(
        "Package: ops-base\nVersion: 1.0\nArchitecture: all",
        &[(
            "DEBIAN/postinst",
            "#!/bin/sh\nenv >/environment\n! read -r line && touch /usr/lib/ops-base.configured\n",
        )],
    );
    // Unpacked before ops-base is configured, as with `dpkg -i *.deb`, this fails.
    let script = "#!/bin/sh\ntest -e /usr/lib/ops-base.configured\n";
    debs.add(
        "Package: ops-core\nVersion: 1.0-1\nPre-Depends: ops-base (>= 1.0)",
        &[("DEBIAN/preinst", script), ("usr/lib/ops-core", "core\n")],
    );
    debs.add(
        "Package: ops-lib\nSource: ops-suite\nVersion: 1.5-1\nPre-Depends: ops-core (>= 1.0)",
        &[("usr/lib/ops-lib", "lib\n")],
    );
    debs.add("Package: ops-data\nSource: ops-suite\nVersion: 1.5-1\nArchitecture: all", &[]);
    debs.add(
        "Package: ops-tool\nVersion: 2:1.0~rc1+b1-1\nDepends: ops-lib (>= 1.5)\nRecommends: ops-extra",
        &[
            ("etc/ops-tool.conf", "of the package\n"),
            ("DEBIAN/conffiles", "/etc/ops-tool.conf\n"),
            ("usr/bin/ops-tool", "#!/bin/sh\ncat /usr/lib/ops-lib\n"),
        ],
    );
    debs.add("Package: ops-extra\nVersion: 1.0\nArchitecture: all", &[]);
    debs.add("Package: ops-notes\nVersion: 1.2\nArchitecture: all", &[]);
    debs
}
