//! Seeds that cloud-localds, genisoimage and xorriso write, and a seed of a kit without the kit.

use fs_err as fs;

use super::{findings, is_found_by, passed};
use crate::support::oracle;
use crate::support::sandbox::Sandbox;

const META_DATA: &str = "instance-id: i-0042\nlocal-hostname: mine\n";
const USER_DATA: &str = r#"#cloud-config
hostname: mine
users:
  - name: ops
    ssh_authorized_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtJ ops"]
packages: [nginx]
write_files:
  - path: /etc/systemd/system/hello.service
    permissions: "0644"
    content: |
      [Unit]
      After=network-online.target
      [Service]
      Environment=WHO=world
      ExecStart=/usr/bin/env echo hello ${WHO}
      [Install]
      WantedBy=multi-user.target
  - path: /etc/profile.d/editor.sh
    permissions: 0644
    content: export EDITOR=${EDITOR}
runcmd:
  - echo "at home in ${HOME}"
  - [systemctl, enable, --now, nginx]
  - systemctl enable --now --no-block hello.service
"#;
/// With a list of name servers in flow style, as the notes had it.
const NETWORK: &str = "version: 2\nethernets:\n  eth0:\n    addresses: [10.0.0.5/24]\n    \
    routes:\n      - {to: default, via: 10.0.0.1}\n    nameservers: {addresses: [10.0.0.1, 10.0.0.2]}\n";

fn run(sandbox: &Sandbox, program: &str, arguments: &[&str]) {
    oracle::finish(oracle::command(program).args(arguments).current_dir(sandbox.path("")));
}

/// Has a program write a disc of the folder `src`.
fn genisoimage(sandbox: &Sandbox, disc: &str, options: &[&str]) {
    run(sandbox, "genisoimage", &[&["-quiet", "-o", disc], options, &["src"]].concat());
}

fn sandbox_with(user_data: &str, meta_data: &str, network: Option<&str>) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("src/user-data", user_data);
    sandbox.write("src/meta-data", meta_data);
    if let Some(network) = network {
        sandbox.write("src/network-config", network);
    }
    sandbox
}

/// Writes a disc with these documents.
fn disc_with(user_data: &str, meta_data: &str, network: Option<&str>) -> Sandbox {
    let sandbox = sandbox_with(user_data, meta_data, network);
    genisoimage(&sandbox, "seed.iso", &["-V", "cidata", "-J", "-R"]);
    sandbox
}

#[test]
fn good_seeds_of_other_programs_have_no_finding() {
    let sandbox = sandbox_with(USER_DATA, META_DATA, Some(NETWORK));
    run(&sandbox, "cloud-localds", &["bare.iso", "src/user-data"]);
    run(
        &sandbox,
        "cloud-localds",
        &["-N", "src/network-config", "localds.iso", "src/user-data", "src/meta-data"],
    );
    genisoimage(&sandbox, "genisoimage.iso", &["-V", "cidata", "-J", "-R"]);
    genisoimage(&sandbox, "joliet.iso", &["-V", "cidata", "-J"]);
    run(&sandbox, "xorriso", &["-as", "mkisofs", "-quiet", "-V", "CIDATA", "-R", "-o", "xorriso.iso", "src"]);
    for disc in ["bare.iso", "localds.iso", "genisoimage.iso", "joliet.iso", "xorriso.iso"] {
        assert_eq!(findings(&sandbox, disc), [""; 0], "{disc}");
        let passed = passed(&sandbox, disc);
        for id in [
            "SK0002", "SK0101", "SK0102", "SK0104", "SK0105", "SK0107", "SK0112", "SK0201", "SK0203",
            "SK0205",
        ] {
            assert!(passed.iter().any(|one| one == id), "{disc}: {id} is not among {passed:?}");
        }
        assert_eq!(passed.iter().any(|one| one == "SK0108"), disc != "bare.iso", "{disc}");
    }
    let text = sandbox.seedkit(&["check", "localds.iso"]).succeeds().stdout;
    for line in [
        "  SK0103  only seedkit's own seeds derive their id from their content\n",
        "  SK0401  only a whole kit can tell: `seedkit check KIT`\n",
        "  SK0702  the seeds are for cloud images, not for Ubuntu's installer\n",
        "localds.iso: yes: all parts that were checked fit each other\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn seeds_that_seedkit_would_not_write_are_not_blamed_for_it() {
    let script = "#!/bin/sh\necho hello ${WHO}\n";
    let multipart =
        "Content-Type: multipart/mixed; boundary=\"x\"\nMIME-Version: 1.0\n\n--x\n\nhello\n--x--\n";
    let bond = "version: 2\nethernets:\n  a: {dhcp4: false, optional: true}\nbonds:\n  bond0: {interfaces: [a], dhcp4: true}\n";
    let first = "version: 1\nconfig:\n  - {type: physical, name: eth0, subnets: [{type: dhcp}]}\n";
    let installer = "#cloud-config\nautoinstall:\n  version: 1\n  identity: {hostname: a, username: b, password: c}\n  \
        apt: {fallback: offline-install}\n  shutdown: poweroff\n";
    for (user_data, network) in [
        (script, None),
        (multipart, Some(NETWORK)),
        ("## template: jinja\n#cloud-config\nhostname: {{ v1.local_hostname }}\n", None),
        (USER_DATA, Some(bond)),
        (USER_DATA, Some(first)),
        (USER_DATA, Some("network: {config: disabled}\n")),
        (
            USER_DATA,
            Some("network:\n  version: 2\n  ethernets:\n    all: {match: {name: \"e*\"}, dhcp4: true}\n"),
        ),
        (installer, None),
    ] {
        let sandbox = disc_with(user_data, META_DATA, network);
        assert_eq!(findings(&sandbox, "seed.iso"), [""; 0], "{user_data}\n{network:?}");
    }
}

#[test]
fn each_fault_of_a_foreign_seed_is_found_by_its_row_alone() {
    let edited = |old: &str, new: &str| {
        assert_eq!(USER_DATA.matches(old).count(), 1, "{old}");
        USER_DATA.replace(old, new)
    };
    let network = |old: &str, new: &str| {
        assert_eq!(NETWORK.matches(old).count(), 1, "{old}");
        NETWORK.replace(old, new)
    };
    let unit = "[Unit]\n      After=network-online.target\n";
    let cycle =
        "[Unit]\n      After=network-online.target cloud-final.service\n      Before=multi-user.target\n";
    for (user_data, meta_data, network, id, part) in [
        (edited("hostname: mine\n", "hostnme: mine\n"), META_DATA, NETWORK.to_owned(), "SK0105", "`hostnme`"),
        (
            edited("hostname: mine\n", "hostname: mine\nhostname: mine\n"),
            META_DATA,
            NETWORK.to_owned(),
            "SK0105",
            "already set",
        ),
        (
            edited("hostname: mine\n", "hostname: ${HOST}\n"),
            META_DATA,
            NETWORK.to_owned(),
            "SK0106",
            "`${HOST}`",
        ),
        (
            edited("- echo \"at home", "- echo a: \"at home"),
            META_DATA,
            NETWORK.to_owned(),
            "SK0107",
            "a mapping",
        ),
        (
            edited("permissions: \"0644\"", "permissions: 644"),
            META_DATA,
            NETWORK.to_owned(),
            "SK0107",
            "octal",
        ),
        (
            edited("#cloud-config\n", "# cloud-config\n"),
            META_DATA,
            NETWORK.to_owned(),
            "SK0104",
            "first line",
        ),
        (
            edited("#cloud-config\n", "\u{feff}#cloud-config\n"),
            META_DATA,
            NETWORK.to_owned(),
            "SK0104",
            "byte order mark",
        ),
        (
            edited("packages: [nginx]\n", "anchored: &one [nginx]\n"),
            META_DATA,
            NETWORK.to_owned(),
            "SK0105",
            "it is not looked into",
        ),
        (
            edited("  - systemctl enable --now --no-block hello.service\n", ""),
            META_DATA,
            NETWORK.to_owned(),
            "SK0201",
            "never enabled",
        ),
        (edited(unit, cycle), META_DATA, NETWORK.to_owned(), "SK0203", "each comes after the next"),
        (
            edited("--no-block ", ""),
            META_DATA,
            NETWORK.to_owned(),
            "SK0204",
            "until `hello.service` has started",
        ),
        (USER_DATA.to_owned(), "local-hostname: mine\n", NETWORK.to_owned(), "SK0102", "no instance-id"),
        (
            USER_DATA.to_owned(),
            META_DATA,
            network("addresses: [10.0.0.1, 10.0.0.2]", "addresses: 10.0.0.1"),
            "SK0108",
            "`nameservers.addresses` is not a list",
        ),
        (
            USER_DATA.to_owned(),
            META_DATA,
            network("10.0.0.5/24", "10.0.0.5"),
            "SK0108",
            "not an address with its prefix",
        ),
        (
            USER_DATA.to_owned(),
            META_DATA,
            network("via: 10.0.0.1}", "via: 10.1.0.1}"),
            "SK0108",
            "in none of its networks",
        ),
        (
            USER_DATA.to_owned(),
            META_DATA,
            network("routes:\n      - {to: default, via: 10.0.0.1}", "gateway4: 10.0.0.1"),
            "SK0108",
            "deprecated",
        ),
    ] {
        let sandbox = disc_with(&user_data, meta_data, Some(&network));
        is_found_by(&sandbox, "seed.iso", id, part);
    }
}

#[test]
fn discs_that_cloud_init_would_not_take_are_found() {
    let sandbox = sandbox_with(USER_DATA, META_DATA, Some(NETWORK));
    genisoimage(&sandbox, "label.iso", &["-V", "Cidata", "-R"]);
    is_found_by(&sandbox, "label.iso", "SK0101", "it is `Cidata`, not cidata or CIDATA");
    genisoimage(&sandbox, "udf.iso", &["-V", "cidata", "-R", "-udf"]);
    is_found_by(&sandbox, "udf.iso", "SK0101", "UDF");
    genisoimage(&sandbox, "plain.iso", &["-V", "cidata"]);
    is_found_by(&sandbox, "plain.iso", "SK0101", "no Rock Ridge");
    fs::remove_file(sandbox.path("src/meta-data")).unwrap();
    genisoimage(&sandbox, "half.iso", &["-V", "cidata", "-R"]);
    is_found_by(&sandbox, "half.iso", "SK0102", "it is not there");
}

#[test]
fn a_disc_cut_anywhere_has_one_finding() {
    let sandbox = sandbox_with(USER_DATA, META_DATA, Some(NETWORK));
    run(&sandbox, "xorriso", &["-as", "mkisofs", "-quiet", "-V", "CIDATA", "-R", "-o", "whole.iso", "src"]);
    let whole = fs::read(sandbox.path("whole.iso")).unwrap();
    // The descriptors end with block 18; folders and files follow, and padding at the end.
    let mut seen = Vec::new();
    for blocks in (19..whole.len() / 2048).step_by(3) {
        sandbox.write("cut.iso", &whole[..blocks * 2048]);
        let found = findings(&sandbox, "cut.iso");
        let [one] = &found[..] else { panic!("{blocks}: {found:#?}") };
        assert!(
            one.starts_with("SK0112") && one.contains("it says that it has") || one.starts_with("SK0002"),
            "{one}"
        );
        seen.push(one[..6].to_owned());
    }
    seen.dedup();
    assert_eq!(seen, ["SK0002", "SK0112"]);
}

#[test]
fn a_seed_of_a_kit_is_checked_without_it() {
    let sandbox = Sandbox::built_lab();
    let disc = "kit/seeds/seed-k3s-worker1.iso";
    assert_eq!(findings(&sandbox, disc), [""; 0]);
    let passed = passed(&sandbox, disc);
    for id in
        ["SK0103", "SK0106", "SK0108", "SK0109", "SK0201", "SK0202", "SK0203", "SK0204", "SK0205", "SK0303"]
    {
        assert!(passed.iter().any(|one| one == id), "{id} is not among {passed:?}");
    }
    // A byte of a file that the node places: neither its sum nor the seed's name fits any more.
    let motd = "payload/root/etc/motd";
    run(&sandbox, "xorriso", &["-osirrox", "on", "-indev", disc, "-extract", motd, "motd"]);
    let (mut bytes, motd) = (fs::read(sandbox.path(disc)).unwrap(), fs::read(sandbox.path("motd")).unwrap());
    let place = bytes.windows(motd.len()).position(|window| window == motd).unwrap();
    bytes[place] ^= 1;
    sandbox.write("changed.iso", &bytes);
    let found = findings(&sandbox, "changed.iso");
    assert_eq!(found.iter().map(|one| &one[..6]).collect::<Vec<_>>(), ["SK0103", "SK0303"], "{found:#?}");
    assert!(found[1].contains("payload/root/etc/motd"), "{found:#?}");
}
