//! The seed's disc and what cloud-init makes of it.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::process::Command;

use fs_err as fs;

use crate::support::broken::BrokenKit;
use crate::support::sandbox::{BUILD, SPEC, Sandbox};

const NODE: &str = "k3s-worker1";

#[test]
fn sk0001_a_byte_that_changed_on_its_way() {
    let kit = BrokenKit::lab();
    let path = kit.path("images/index.json");
    let bytes = fs::read(&path).unwrap();
    kit.seal();
    fs::write(&path, [bytes, b" ".to_vec()].concat()).unwrap();
    let run = kit.run(&["--json"]);
    assert_eq!(run.code, Some(1));
    let json = run.json();
    let ids: Vec<&str> =
        json["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["SK0001"]);
}

#[test]
fn sk0002_a_disc_that_is_none() {
    let kit = BrokenKit::lab();
    let disc = "seeds/seed-k3s-worker1.iso";
    fs::write(kit.path(disc), "this is not a disc\n").unwrap();
    kit.is_found_by("SK0002", disc);
}

#[test]
fn sk0002_a_disc_that_is_named_and_not_there() {
    let kit = BrokenKit::lab();
    fs::remove_file(kit.path("seeds/seed-k3s-worker1.iso")).unwrap();
    kit.is_found_by("SK0002", "`seeds/seed-k3s-worker1.iso` is not in the kit");
}

#[test]
fn sk0002_a_tarball_that_ends_too_early() {
    let kit = BrokenKit::lab();
    let names = crate::support::sandbox::names(&kit.path(""));
    let path = names.into_iter().find(|name| name.starts_with("airgap-images-")).unwrap();
    let bytes = fs::read(kit.path(&path)).unwrap();
    fs::write(kit.path(&path), &bytes[..bytes.len() / 2]).unwrap();
    kit.is_found_by("SK0002", &path);
}

#[test]
fn sk0101_a_label_that_cloud_init_does_not_look_for() {
    let mut kit = BrokenKit::lab();
    kit.disc_options = ["-quiet", "-R", "-V", "Cidata"].map(str::to_owned).to_vec();
    kit.seed(NODE, |_| {});
    kit.is_found_by("SK0101", "it is `Cidata`");
}

#[test]
fn sk0101_a_bridge_disc_with_udf() {
    let mut kit = BrokenKit::lab();
    kit.disc_options.push("-udf".to_owned());
    kit.seed(NODE, |_| {});
    kit.is_found_by("SK0101", "UDF");
}

#[test]
fn sk0101_a_disc_without_rock_ridge() {
    let mut kit = BrokenKit::lab();
    kit.disc_options = ["-quiet", "-iso-level", "4", "-V", "CIDATA"].map(str::to_owned).to_vec();
    kit.seed(NODE, |_| {});
    kit.is_found_by("SK0101", "no Rock Ridge");
}

#[test]
fn sk0102_a_seed_without_meta_data() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.remove("meta-data"));
    kit.is_found_by("SK0102", "meta-data: it is not there");
}

#[test]
fn sk0102_meta_data_without_an_instance() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.write("meta-data", "local-hostname: \"k3s-worker1\"\n"));
    kit.is_found_by("SK0102", "no instance-id");
}

#[test]
fn sk0103_a_seed_that_was_changed_and_kept_its_name() {
    let mut kit = BrokenKit::lab();
    kit.is_renamed = false;
    kit.seed(NODE, |disc| disc.edit("user-data", "timezone: \"Asia/Seoul\"", "timezone: \"Etc/UTC\""));
    kit.is_found_by("SK0103", "the content was changed");
}

#[test]
fn sk0104_user_data_with_a_byte_order_mark() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let text = disc.read("user-data");
        disc.write("user-data", format!("\u{feff}{text}"));
    });
    kit.is_found_by("SK0104", "byte order mark");
}

#[test]
fn sk0104_a_script_with_the_line_ends_of_windows() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.place("/usr/local/bin/tool", "0755", "#!/bin/sh\r\nset -eu\r\necho hello\r\n")
    });
    kit.is_found_by("SK0104", "as on Windows");
}

#[test]
fn sk0106_what_envsubst_left_in_the_notes() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.edit_written("node='k3s-worker1'", "node=${DOLLAR}{NODE_NAME}"));
    kit.is_found_by("SK0106", "${DOLLAR}");
}

#[test]
fn a_file_that_nobody_may_read_changes_no_name_of_a_seed() {
    let sandbox = Sandbox::lab();
    sandbox.edit(SPEC, "mode: \"0644\"", "mode: \"0000\"");
    sandbox.seedkit(&BUILD).succeeds();
    let run = sandbox.seedkit(&["check", "kit", "--json"]).succeeds();
    assert_eq!(run.json()["findings"].as_array().unwrap().len(), 0, "{}", run.stdout);
}

/// Bytes that a compressor might write: no text, and what looks like the beginning of a placeholder.
fn packed(start: &[u8]) -> Vec<u8> {
    let noise = (0..600u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8);
    [start, b"{{p", &noise.collect::<Vec<u8>>(), b"{%x @@A@@ ${HOME}"].concat()
}

#[test]
fn archives_are_not_searched_for_what_templates_leave() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let gzip = Command::new("gzip").arg("-c").arg(disc.file("user-data")).output().unwrap().stdout;
        for (name, bytes) in [
            (
                "tools.deb",
                packed(b"!<arch>\ndebian-binary   1763683200  0     0     100644  4         `\n2.0\n"),
            ),
            ("tools.tar.gz", packed(&gzip)),
            ("tools.tar.zst", packed(b"\x28\xb5\x2f\xfd")),
            ("tools.tar", packed(b"usr/bin/tool\0\0\0ustar")),
        ] {
            disc.place(&format!("/opt/{name}"), "0644", bytes);
        }
    });
    assert_eq!(kit.findings(), [""; 0]);
}

#[test]
fn sk0106_what_is_left_is_found_in_every_kind_of_text() {
    for (path, text) in [
        ("/opt/start.sh", "#!/bin/sh\necho {{ left }}\n"),
        ("/opt/values.yaml", "이름: 서버\n설명: \"{{ left }}\"\n"),
        ("/opt/values.json", "{\"name\": \"{{ left }}\"}\n"),
        ("/etc/systemd/system/own.service", "[Unit]\nDescription={{ left }}\n"),
        ("/opt/notes.txt", "\u{feff}{{ left }}"),
    ] {
        let kit = BrokenKit::lab();
        kit.seed(NODE, |disc| disc.place(path, "0644", text));
        kit.is_found_by("SK0106", "{{ left }}");
    }
}

#[test]
fn sk0106_a_name_that_is_empty() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.edit("user-data", "hostname: \"k3s-worker1\"", "hostname: \"\""));
    kit.is_found_by("SK0106", "it is empty");
}

#[test]
fn sk0106_a_name_is_empty_however_that_is_written() {
    for empty in ["''", "\" \"", "~", "Null", "NULL", "", "[]", "[\"\"]", "{}"] {
        let kit = BrokenKit::lab();
        kit.seed(NODE, |disc| {
            disc.edit("user-data", "hostname: \"k3s-worker1\"", &format!("hostname: {empty}"))
        });
        kit.is_found_by("SK0106", "user-data: hostname: it is empty");
    }
}

#[test]
fn a_list_of_addresses_is_not_empty_in_any_style() {
    for list in ["[\"192.168.6.11\"]", "\n  - 192.168.6.11", "192.168.6.11", "'192.168.6.11'"] {
        let kit = BrokenKit::lab();
        kit.seed(NODE, |disc| {
            let path = "/etc/rancher/k3s/config.yaml";
            let text = disc.read(&format!("payload/root{path}"));
            let changed = text.replace("\"node-ip\": \"192.168.6.11\"", &format!("\"node-ip\": {list}"));
            assert_ne!(text, changed);
            disc.place(path, "0600", changed);
        });
        assert_eq!(kit.findings(), [""; 0], "{list}");
    }
}

#[test]
fn sk0106_what_is_left_is_found_however_it_is_written() {
    let search = |value: &str| format!("nameservers:\n      search: [{value}]\n");
    for value in ["\"${LEFT}\"", "'${LEFT}'", "\"\\x24{LEFT}\"", "\"$\\u007bLEFT}\""] {
        let kit = BrokenKit::lab();
        kit.seed(NODE, |disc| disc.edit("network-config", "nameservers:\n", &search(value)));
        kit.is_found_by("SK0106", "nameservers: search[0]: `${LEFT}` was left by a template");
    }
    for (path, text) in [
        ("/opt/values.json", "{\"name\": \"\\u007b{ left }}\"}\n"),
        ("/opt/values.yaml", "servers: [{name: \"\\x7b{ left }}\"}]\n"),
        ("/opt/keys.yml", "\"\\x7b{ left }}\": 1\n"),
    ] {
        let kit = BrokenKit::lab();
        kit.seed(NODE, |disc| disc.place(path, "0644", text));
        kit.is_found_by("SK0106", "`{{ left }}` was left by a template");
    }
}

#[test]
fn sk0112_a_disc_that_is_shorter_than_it_says() {
    let kit = BrokenKit::lab();
    let path = kit.path("seeds/seed-k3s-worker1.iso");
    let mut disc = fs::OpenOptions::new().write(true).open(path).unwrap();
    // The volume space size, in both byte orders (ECMA-119, section 8.4.8).
    disc.seek(SeekFrom::Start(16 * 2048 + 80)).unwrap();
    let blocks = 9_999_u32;
    disc.write_all(&[blocks.to_le_bytes(), blocks.to_be_bytes()].concat()).unwrap();
    drop(disc);
    kit.is_found_by("SK0112", "it says that it has");
}

/// As genisoimage does it with `-allow-limited-size`: the length is written modulo 4 GiB.
#[test]
fn sk0112_a_file_that_was_cut_at_4_gib() {
    let mut kit = BrokenKit::lab();
    let path = crate::support::sandbox::names(&kit.path(""))
        .into_iter()
        .find(|name| name.starts_with("airgap-images-"))
        .unwrap();
    let size = fs::metadata(kit.path(&path)).unwrap().len();
    kit.stated.insert(path, (1 << 32) + size);
    kit.is_found_by("SK0112", "it was cut at 4 GiB");
}

#[test]
fn sk0105_a_key_that_cloud_init_ignores() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.edit("user-data", "\ntimezone:", "\nhostnme: x\ntimezone:"));
    kit.is_found_by("SK0105", "does not know `hostnme`");
}

#[test]
fn sk0105_a_key_that_is_there_twice() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.edit("user-data", "\ntimezone:", "\nssh_pwauth: false\ntimezone:"));
    kit.is_found_by("SK0105", "already set");
}

#[test]
fn sk0107_a_command_that_is_a_mapping() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.edit("user-data", "\nruncmd:\n", "\nruncmd:\n  - echo a: b\n"));
    kit.is_found_by("SK0107", "it is a mapping");
}

#[test]
fn sk0107_a_mode_without_quotes() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let text = disc.read("user-data");
        disc.write("user-data", text.replacen("permissions: \"0644\"", "permissions: 644", 1));
    });
    kit.is_found_by("SK0107", "not text of three or four octal digits");
}

#[test]
fn sk0107_a_script_for_bash_that_sh_runs() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.place("/opt/tool", "0755", "#!/bin/sh\nset -eu\nif [[ -e /x ]]; then ls; fi\n")
    });
    kit.is_found_by("SK0107", "`[[` is of bash");
}

#[test]
fn sk0108_an_address_without_its_prefix() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.edit("network-config", "192.168.6.11/24", "192.168.6.11"));
    kit.is_found_by("SK0108", "not an address with its prefix");
}

#[test]
fn sk0108_a_gateway_in_another_network() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.edit("network-config", "via: \"192.168.6.1\"", "via: \"192.168.7.1\""));
    kit.is_found_by("SK0108", "in none of its networks");
}

#[test]
fn sk0108_flow_and_block_style_of_nameservers_are_the_same() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit("network-config", "addresses: [\"192.168.6.1\"]", "addresses:\n      - \"192.168.6.1\"")
    });
    assert_eq!(kit.findings(), [""; 0]);
    kit.seed(NODE, |disc| {
        disc.edit("network-config", "addresses:\n      - \"192.168.6.1\"", "addresses: \"192.168.6.1\"")
    });
    kit.is_found_by("SK0108", "`nameservers.addresses` is not a list");
}

#[test]
fn sk0109_two_nodes_with_one_mac() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.edit("network-config", "00:50:56:06:00:11", "00:50:56:06:00:12"));
    kit.is_found_by("SK0109", "is also that of node");
}

/// Somebody who writes the sums anew, too.
#[test]
fn sk0109_a_bill_with_another_name_or_address_than_the_seeds() {
    for (written, told) in [
        ("\"address\": \"192.168.6.11/24\"", "kit.json says `192.168.6.99`, and the seed `192.168.6.11`"),
        ("\"name\": \"k3s-worker1\"", "kit.json says `k3s-worker9`, and the seed `k3s-worker1`"),
    ] {
        let kit = BrokenKit::lab();
        let other = written.replace("6.11", "6.99").replace("worker1", "worker9");
        kit.edit("kit.json", written, &other);
        kit.is_found_by("SK0109", told);
    }
}

#[test]
fn sk0109_a_node_in_the_network_of_pods() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let text = disc.read("network-config");
        disc.write("network-config", text + "  pods:\n    match: {macaddress: \"00:50:56:06:01:11\"}\n    addresses: [\"10.42.0.11/24\"]\n");
        let path = "/etc/rancher/k3s/config.yaml";
        let text = disc.read(&format!("payload/root{path}"));
        disc.place(path, "0600", text + "flannel-iface: eth0\n");
    });
    kit.is_found_by("SK0109", "within the network of `cluster-cidr`");
}

#[test]
fn sk0111_a_copy_before_the_disk_has_grown() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit("user-data", "\nbootcmd:\n", "\nbootcmd:\n  - [\"cp\", \"-r\", \"/mnt\", \"/srv\"]\n");
    });
    kit.is_found_by("SK0111", "before the root file system has grown");
}
