//! Discs: the seeds of a kit, and those that cloud-localds, genisoimage and xorriso write.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use seedkit::digest::Digest;
use serde_json::{Value, json};

use crate::support::oracle;
use crate::support::sandbox::{BUILD, Run, Sandbox, files};

const SEED: &str = "kit/seeds/seed-k3s-worker2.iso";

/// Has xorriso take a disc apart.
fn extract(sandbox: &Sandbox, disc: &str, to: &str) {
    let mut command = oracle::command("xorriso");
    let arguments = ["-osirrox", "on", "-abort_on", "WARNING", "-indev", disc, "-extract", "/", to];
    oracle::finish(command.args(arguments).current_dir(sandbox.path("")));
}

/// Returns findings as `problem path`.
fn findings(run: &Run) -> Vec<String> {
    assert_eq!(run.code, Some(1), "{}\n{}", run.stdout, run.stderr);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let result = run.json();
    let findings = result["findings"].as_array().unwrap().iter();
    findings.map(|finding| format!("{} {}", text(&finding["problem"]), text(&finding["path"]))).collect()
}

/// Returns every line of every secret, but for those that frame keys.
fn secrets(folder: &Path) -> Vec<String> {
    let lines = files(folder)
        .into_iter()
        .filter(|file| file.extension().is_none_or(|ending| ending != "crt" && ending != "pub"));
    lines
        .flat_map(|file| {
            let text = fs::read_to_string(folder.join(file)).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|line| line.len() > 8 && !line.starts_with("-----"))
        .collect()
}

#[test]
fn a_seed_is_listed_as_xorriso_takes_it_apart() {
    let sandbox = Sandbox::built_lab();
    extract(&sandbox, SEED, "out");
    let result = sandbox.seedkit(&["inspect", "--json", SEED]).succeeds().json();
    assert_eq!(
        [&result["kind"], &result["volumeId"], &result["names"], &result["findings"]],
        [&json!("disc"), &json!("CIDATA"), &json!("rock-ridge"), &json!([])]
    );
    assert_eq!(result["bytes"], fs::metadata(sandbox.path(SEED)).unwrap().len());
    let found: BTreeMap<&str, u64> = result["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| (file["path"].as_str().unwrap(), file["size"].as_u64().unwrap()))
        .collect();
    let out = sandbox.path("out");
    let extracted = files(&out);
    let expected: BTreeMap<&str, u64> = extracted
        .iter()
        .map(|file| (file.to_str().unwrap(), fs::metadata(out.join(file)).unwrap().len()))
        .collect();
    assert_eq!(found, expected);

    let seed = &result["seed"];
    let seed_id = sandbox.read("out/payload/seed-id");
    assert_eq!(seed["seedId"], seed_id.trim_end());
    assert_eq!(seed["instanceId"], format!("iid-{}", seed_id.trim_end()));
    assert_eq!((&seed["hostname"], &seed["userData"]), (&json!("k3s-worker2"), &json!("cloud-config")));
    let server = "https://192.168.6.10:6443";
    let node = json!({"role": "agent", "name": "k3s-worker2", "address": "192.168.6.12", "server": server});
    assert_eq!(seed["k3s"], node);
    let listed = sandbox.read("out/payload/FILES");
    let payload: Vec<Value> = listed
        .lines()
        .map(|line| {
            let (mode, path) = line.split_once(' ').unwrap();
            let bytes = fs::read(out.join(format!("payload/root{path}"))).unwrap();
            json!({"path": path, "mode": mode, "size": bytes.len(), "sha256": Digest::sha256(&bytes)})
        })
        .collect();
    assert_eq!(seed["payload"], json!(payload));
    let bytes: u64 = payload.iter().map(|file| file["size"].as_u64().unwrap()).sum();
    assert_eq!(seed["payloadBytes"], bytes);
    let text = sandbox.seedkit(&["inspect", "kit/seeds/seed-k3s-master1.iso"]).succeeds().stdout;
    for line in
        ["  node:        k3s-master1\n", "  k3s:         server at 192.168.6.10\n", "  label:       CIDATA\n"]
    {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[test]
fn no_secret_of_a_seed_is_shown() {
    let sandbox = Sandbox::lab();
    sandbox.seedkit(&[&BUILD[..], &["--secrets", "secrets"]].concat()).succeeds();
    let secrets = secrets(&sandbox.path("secrets"));
    assert!(secrets.len() > 4, "{}", secrets.len());
    // The seeds do hold secrets: this test would find them.
    let whole = fs::read(sandbox.path("kit/seeds/seed-k3s-master1.iso")).unwrap();
    let whole = String::from_utf8_lossy(&whole);
    assert!(secrets.iter().any(|secret| whole.contains(secret.as_str())));
    for disc in sandbox.names("kit/seeds") {
        let disc = format!("kit/seeds/{disc}");
        for arguments in [&["inspect", &disc][..], &["inspect", "-v", "--json", &disc]] {
            let run = sandbox.seedkit(arguments).succeeds();
            let said = run.stdout + &run.stderr;
            assert!(secrets.iter().all(|secret| !said.contains(secret.as_str())), "{disc}");
        }
    }
}

/// Writes user-data and meta-data with a password, a token and a key in them.
fn write_foreign(sandbox: &Sandbox) {
    sandbox.write(
        "src/user-data",
        "#cloud-config\nhostname: other\npassword: sesame-1\nchpasswd: {expire: false}\nssh_keys:\n  ed25519_private: |\n    sesame-2\n",
    );
    sandbox.write("src/meta-data", "instance-id: i-0042\nlocal-hostname: mine\ntoken: sesame-3\n");
}

#[test]
fn seeds_of_other_programs_are_read_without_their_secrets() {
    let sandbox = Sandbox::new();
    write_foreign(&sandbox);
    let run = |program: &str, arguments: &[&str]| {
        oracle::finish(oracle::command(program).args(arguments).current_dir(sandbox.path("")));
    };
    run("cloud-localds", &["localds.iso", "src/user-data", "src/meta-data"]);
    run("genisoimage", &["-quiet", "-V", "cidata", "-J", "-R", "-o", "genisoimage.iso", "src"]);
    run("genisoimage", &["-quiet", "-V", "cidata", "-J", "-o", "joliet.iso", "src"]);
    run("xorriso", &["-as", "mkisofs", "-quiet", "-V", "CIDATA", "-R", "-o", "xorriso.iso", "src"]);
    for (disc, names) in [
        ("localds.iso", "rock-ridge"),
        ("genisoimage.iso", "rock-ridge"),
        ("joliet.iso", "joliet"),
        ("xorriso.iso", "rock-ridge"),
    ] {
        let result = sandbox.seedkit(&["inspect", "--json", disc]).succeeds().json();
        assert_eq!(result["names"], names, "{disc}");
        let seed = &result["seed"];
        assert_eq!(
            [&seed["instanceId"], &seed["hostname"], &seed["userData"], &seed["k3s"], &seed["payload"]],
            [&json!("i-0042"), &json!("mine"), &json!("cloud-config"), &Value::Null, &json!([])],
            "{disc}"
        );
        let paths: Vec<&Value> =
            result["files"].as_array().unwrap().iter().map(|file| &file["path"]).collect();
        assert_eq!(paths, ["meta-data", "user-data"], "{disc}");
        let text = sandbox.seedkit(&["inspect", disc]).succeeds().stdout;
        assert!(
            text.ends_with(&format!("{disc}: a disc that can be read; it has no sums to compare with\n")),
            "{text}"
        );
        assert!(!format!("{result}{text}").contains("sesame"), "{disc}");
    }
}

#[test]
fn discs_that_cloud_init_would_not_take_are_said_to_be_so() {
    let sandbox = Sandbox::new();
    write_foreign(&sandbox);
    let write = |disc: &str, arguments: &[&str]| {
        let start = ["-quiet", "-o", disc];
        let mut command = oracle::command("genisoimage");
        oracle::finish(command.args(start).args(arguments).arg("src").current_dir(sandbox.path("")));
        sandbox.seedkit(&["inspect", "--json", disc])
    };
    // Without Rock Ridge and Joliet the files are called `user_dat` and `meta_dat`.
    let plain = write("plain.iso", &["-V", "cidata"]);
    assert_eq!(findings(&plain), ["missing meta-data", "missing user-data"]);
    assert_eq!(plain.json()["seed"], Value::Null);
    assert_eq!(findings(&write("label.iso", &["-V", "Cidata", "-R"])), ["wrong volume identifier"]);
    let other = write("other.iso", &["-V", "Debian 12", "-R"]).succeeds().json();
    assert_eq!(
        (&other["volumeId"], &other["seed"], &other["count"]),
        (&json!("Debian 12"), &Value::Null, &json!(2))
    );
}

#[test]
fn a_payload_that_is_not_what_its_sums_say_is_named() {
    let sandbox = Sandbox::built_lab();
    let whole = fs::read(sandbox.path(SEED)).unwrap();
    extract(&sandbox, SEED, "out");
    let find = |path: &str| {
        let content = fs::read(sandbox.path("out").join(path)).unwrap();
        whole.windows(content.len()).position(|window| window == content).unwrap()
    };
    let changed_at = |place: usize| {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        sandbox.write("changed.iso", changed);
        findings(&sandbox.seedkit(&["inspect", "--json", "changed.iso"]))
    };
    let path = "payload/root/etc/motd";
    assert_eq!(changed_at(find(path)), [format!("bad {path}")]);
    // The first line of the list, in which a path and then a mode become another one.
    let list = find("payload/FILES");
    let found = changed_at(list + 6);
    assert!(
        found.contains(&format!("wrong {path}")) && found.contains(&"bad payload/FILES".to_owned()),
        "{found:?}"
    );
    let found = changed_at(list + 1);
    assert_eq!(found, ["bad payload/FILES".to_owned(), format!("wrong {path}")]);

    extract(&sandbox, SEED, "again");
    let repack = || {
        let _none_yet = fs::remove_file(sandbox.path("changed.iso"));
        let mut command = oracle::command("genisoimage");
        let arguments = ["-quiet", "-R", "-V", "CIDATA", "-o", "changed.iso", "again"];
        oracle::finish(command.args(arguments).current_dir(sandbox.path("")));
        sandbox.seedkit(&["inspect", "--json", "changed.iso"])
    };
    sandbox.write("again/payload/root/stray", "x");
    assert_eq!(findings(&repack()), ["extra payload/root/stray", "wrong payload/root/stray"]);
    fs::remove_file(sandbox.path("again/payload/root/stray")).unwrap();
    fs::remove_file(sandbox.path("again").join(path)).unwrap();
    assert_eq!(findings(&repack()), [format!("missing {path}")]);
    fs::remove_file(sandbox.path("again/payload/SHA256SUMS")).unwrap();
    assert_eq!(findings(&repack()), ["missing payload/SHA256SUMS".to_owned(), format!("missing {path}")]);
}

#[test]
fn a_disc_cut_anywhere_is_never_called_whole() {
    let sandbox = Sandbox::built_lab();
    let whole = fs::read(sandbox.path(SEED)).unwrap();
    for part in 0..20 {
        let length = whole.len() * part / 20;
        sandbox.write("cut.iso", &whole[..length]);
        let run = sandbox.seedkit(&["inspect", "cut.iso"]);
        assert!(matches!(run.code, Some(1 | 2)), "{length}: {run:?}");
        let said = run.stdout + &run.stderr;
        assert!(said.contains("cut.iso") && !said.contains("panicked"), "{length}: {said}");
    }
    sandbox.write("cut.iso", &whole[..whole.len() - 1]);
    let run = sandbox.seedkit(&["inspect", "--json", "cut.iso"]);
    assert_eq!(findings(&run), ["wrong volume descriptor"]);
    assert!(run.stdout.contains("it is truncated"), "{}", run.stdout);
}
