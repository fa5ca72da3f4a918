//! The seed that Ubuntu's server installer reads: its own configuration, and what it leaves on the machine.

use fs_err as fs;
use seedkit::node::Flavour;
use seedkit::seed::{NodeSeed, SeedError, build};
use seedkit::template::Templates;
use seedkit::tree::{Content, Entry, FileTree};
use serde_json::{Value, json};

use super::machine::Machine;
use super::{HOSTILE, built, lab, text, values, write};
use crate::support::oracle;

fn installed_lab() -> Vec<NodeSeed> {
    lab().into_iter().map(|seed| NodeSeed { flavour: Flavour::Autoinstall, ..seed }).collect()
}

fn user_data(tree: &FileTree) -> Value {
    values::parsed(&text(tree, "user-data"))
}

#[test]
fn cloud_init_accepts_what_the_installer_reads_and_what_the_first_boot_reads() {
    for seed in installed_lab() {
        let tree = built(&seed);
        let folder = tempfile::tempdir().unwrap();
        let first_boot = user_data(&tree)["autoinstall"]["user-data"].to_string();
        for (name, text) in [
            ("installer", text(&tree, "user-data")),
            ("first-boot", format!("#cloud-config\n{first_boot}\n")),
        ] {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            let answer = oracle::text("cloud-init", ["schema", "--config-file", file.to_str().unwrap()]);
            let expected = format!("Valid cloud-config: {}", file.display());
            assert_eq!(answer.trim().lines().last(), Some(expected.as_str()));
        }
    }
}

#[test]
fn the_first_boot_is_told_what_a_cloud_image_is_told() {
    for (cloud, installed) in lab().iter().zip(installed_lab()) {
        let mut expected = user_data(&built(cloud)).as_object().unwrap().clone();
        for done_by_the_installer in ["write_files", "runcmd", "bootcmd", "updates"] {
            expected.remove(done_by_the_installer).unwrap();
        }
        // Its cloud-init is not that of Debian 12, and sets the name.
        assert_eq!(expected.insert("preserve_hostname".to_owned(), json!(false)), Some(json!(true)));
        let tree = built(&installed);
        let autoinstall = &user_data(&tree)["autoinstall"];
        assert_eq!(autoinstall["user-data"], json!(expected));
        assert_eq!(autoinstall["network"], values::parsed(&text(&tree, "network-config")));
    }
}

#[test]
fn the_installer_asks_nothing_and_needs_no_network() {
    for seed in installed_lab() {
        let document = user_data(&built(&seed));
        assert_eq!(document.as_object().unwrap().keys().collect::<Vec<_>>(), ["autoinstall"]);
        let autoinstall = &document["autoinstall"];
        assert_eq!(autoinstall["version"], json!(1));
        let layout = json!({"name": "direct", "match": {"size": "smallest"}});
        assert_eq!(autoinstall["storage"], json!({"layout": layout, "swap": {"size": 0}}));
        assert_eq!(
            autoinstall["apt"],
            json!({"mirror-selection": {"primary": []}, "fallback": "offline-install", "geoip": false})
        );
        assert_eq!(autoinstall["refresh-installer"], json!({"update": false}));
        assert_eq!(autoinstall["shutdown"], json!("poweroff"));
        for key in ["packages", "snaps", "identity", "interactive-sections", "proxy"] {
            assert_eq!(autoinstall.get(key), None, "{key}");
        }
    }
}

/// A machine that the installer runs on: its disc is in, and the new system is mounted, but empty.
pub(super) fn installer(seed: &NodeSeed, tree: &FileTree) -> Machine {
    let machine = Machine::new(seed);
    machine.insert(tree);
    let commands: String = user_data(tree)["autoinstall"]["late-commands"]
        .as_array()
        .unwrap()
        .iter()
        .map(|command| command.as_str().unwrap())
        .map(|command| format!("sh -c '{}' || exit 1\n", command.replace('\'', "'\\''")))
        .collect();
    let mut script = FileTree::new();
    script.insert_file("local/sbin/late-commands", 0o755, format!("#!/bin/sh\n{commands}")).unwrap();
    write(&script, machine.root());
    fs::create_dir_all(machine.root().join("target/usr/bin")).unwrap();
    machine
}

#[test]
fn the_installer_places_the_payload_and_enables_every_unit() {
    for seed in installed_lab() {
        let tree = built(&seed);
        let machine = installer(&seed, &tree);
        machine.succeeds("late-commands");
        let target = machine.root().join("target");
        for line in text(&tree, "payload/FILES").lines() {
            let (mode, path) = line.split_once(' ').unwrap();
            let placed = machine.file(&format!("target{path}"));
            let expected =
                (u32::from_str_radix(mode, 8).unwrap(), text(&tree, &format!("payload/root{path}")));
            assert_eq!(placed, expected, "{path}");
        }
        let membership = &seed.k3s.membership;
        let asked = fs::read_to_string(machine.root().join("answers/systemctl")).unwrap();
        let (enabled, masked) = asked.trim().split_once('\n').unwrap();
        assert!(
            masked.starts_with("--root=/target mask ") && masked.contains(" apt-daily.timer "),
            "{masked}"
        );
        let units: Vec<&str> = enabled.strip_prefix("--root=/target enable ").unwrap().split(' ').collect();
        for unit in ["seedkit-stage.service", membership.unit(), membership.completion_unit()] {
            assert!(units.contains(&unit), "{unit} is not among {units:?}");
        }
        // systemd itself, which needs no chroot for that.
        let root = format!("--root={}", target.display());
        oracle::run("systemctl", [root.as_str(), "enable"].into_iter().chain(units.iter().copied()));
        for unit in units {
            let link = target.join("etc/systemd/system/multi-user.target.wants").join(unit);
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "{unit}");
        }
    }
}

#[test]
fn the_installed_machine_finds_everything_in_place_with_any_disc_or_none() {
    let seed = installed_lab().swap_remove(0);
    let tree = built(&seed);
    let machine = installer(&seed, &tree);
    machine.succeeds("late-commands");
    // The new system boots: what was its mount point is its root.
    let booted = Machine::new(&seed);
    let said = booted.fails("seedkit-stage");
    assert!(said.contains("install this machine again"), "{said}");
    let staged = machine.file("target/var/lib/seedkit/staged").1;
    fs::create_dir_all(booted.root().join("var/lib/seedkit")).unwrap();
    fs::write(booted.root().join("var/lib/seedkit/staged"), &staged).unwrap();
    let before = booted.listing();
    for other in [None, Some(1)] {
        if let Some(number) = other {
            booted.insert(&built(&installed_lab()[number]));
        }
        assert!(booted.stage_well().contains(staged.trim_end()));
        assert_eq!(booted.listing(), before);
    }
}

#[test]
fn a_damaged_disc_ends_the_installation_and_places_nothing() {
    let seed = installed_lab().swap_remove(2);
    let tree = built(&seed);
    for victim in ["root/usr/local/bin/k3s", "root/usr/local/sbin/seedkit-stage", "FILES"] {
        let machine = installer(&seed, &tree);
        let path = machine.root().join("seed/disc/payload").join(victim);
        let mut bytes = fs::read(&path).unwrap();
        bytes[3] ^= 1;
        fs::write(&path, bytes).unwrap();
        let said = machine.fails("late-commands");
        assert!(said.contains(victim), "{victim}: {said}");
        let placed = walkdir::WalkDir::new(machine.root().join("target")).into_iter().map(Result::unwrap);
        let files: Vec<_> = placed.filter(|entry| entry.file_type().is_file()).collect();
        assert!(files.is_empty(), "{victim}: {files:?}");
        assert!(!machine.root().join("answers/systemctl").exists(), "{victim}");
    }
}

#[test]
fn hostile_values_reach_the_first_boot_intact() {
    let mut seed = installed_lab().swap_remove(0);
    seed.timezone = HOSTILE.to_owned();
    let autoinstall = user_data(&built(&seed))["autoinstall"].clone();
    assert_eq!(autoinstall["user-data"]["timezone"], json!(HOSTILE));
}

/// Builds a seed with a changed template of the installer's configuration.
fn built_with(from: &str, to: &str) -> Result<FileTree, SeedError> {
    let source = include_str!("../../../templates/autoinstall/user-data.tera");
    assert!(source.contains(from), "{from}");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("autoinstall")).unwrap();
    fs::write(folder.path().join("autoinstall/user-data.tera"), source.replacen(from, to, 1)).unwrap();
    build(&installed_lab()[0], &Templates::with_overrides(folder.path()).unwrap())
}

#[test]
fn what_the_installer_would_refuse_or_ignore_or_stumble_over_is_refused_here() {
    for (from, to, expected) in [
        ("autoinstall:\n", "hostname: a\nautoinstall:\n", "`hostname` stands beside `autoinstall`"),
        ("autoinstall:\n", "autoinstaller:\n", "`autoinstaller` stands beside"),
        ("  version: 1\n", "  version: 2\n", "`autoinstall.version` is not 1"),
        ("  version: 1\n", "", "`autoinstall.version` is not 1"),
        ("  shutdown:", "  shutdwon:", "does not know the key `autoinstall.shutdwon`"),
        (
            "{\"layout\": \"us\"}",
            "{\"layuot\": \"us\"}",
            "does not know the key `autoinstall.keyboard.layuot`",
        ),
        ("\"allow-pw\": false", "\"allow-pw\": 0", "`autoinstall.ssh.allow-pw` is an integer, not a boolean"),
        ("    layout:", "    layuot:", "does not know the key `autoinstall.storage.layuot`"),
        ("  late-commands:", "  late-commands: \"true\"\n  error-commands:", "is a string, not a list"),
        ("- \"mkdir -p /run", "- 1\n    - \"mkdir -p /run", "a command of `late-commands` is an integer"),
        ("- \"mkdir -p /run", "- \"cp /cdrom/k3s /target\"\n    - \"mkdir -p /run", "the installer's disc"),
        ("- \"mkdir -p /run", "- [cp, \"/a/*\", /b]\n    - \"mkdir -p /run", "not read by any shell"),
        ("\"fallback\": \"offline-install\", ", "", "gives up without a mirror"),
        ("  version: 1\n", "  version: 1\n  packages: [jq]\n", "`autoinstall.packages` is fetched"),
        ("  version: 1\n", "  version: 1\n  interactive-sections: [storage]\n", "wait for a person"),
        ("  version: 1\n", "  version: 1\n  version: 1\n", "version"),
        (", \"match\": {{ node.disk | json }}", "", "the installer erases the largest disk"),
        ("{{ node.disk | json }}", "{}", "the installer erases the largest disk"),
        ("{{ cloud_config | json }}", "{}", "who may log in"),
    ] {
        let said = built_with(from, to).unwrap_err().to_string();
        assert!(said.contains(expected) && said.contains("k3s-server1"), "{to:?} gives {said:?}");
    }
    // A shell in a list is one after all.
    built_with("- \"mkdir -p /run", "- [sh, -c, \"ls | wc\"]\n    - \"mkdir -p /run").unwrap();
}

#[test]
fn the_servers_token_is_on_no_agents_disc_of_this_kind_either() {
    let tree = built(&installed_lab()[2]);
    for (path, entry) in tree.iter() {
        let Entry::File { content: Content::Bytes(bytes), .. } = entry else { continue };
        assert!(!String::from_utf8_lossy(bytes).contains("server-token"), "{path}");
    }
}
