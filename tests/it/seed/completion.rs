//! Completion, as the node says it: markers that are true, whole, and of this seed.

use fs_err as fs;
use seedkit::digest::Digest;
use seedkit::seed::NodeSeed;
use seedkit::tree::FileTree;
use serde_json::{Value, json};

use super::machine::Machine;
use super::{HOSTILE, IMAGES, built, lab, text, write};

/// Speaks what the script asks of k3s; the answers lie in files, and whatever else is asked fails.
const K3S: &str = r#"#!/bin/sh
condition='jsonpath={.status.conditions[?(@.type=="Ready")].status}'
case "$*" in
    --version) printf 'k3s version v1.35.0+k3s1 (0123abcd)\ngo version go1.25\n' ;;
    "kubectl get node $(uname_of_node) -o $condition") cat /answers/server ;;
    "kubectl --kubeconfig /var/lib/rancher/k3s/agent/kubelet.kubeconfig get node $(uname_of_node) -o $condition")
        cat /answers/agent ;;
    'ctr images ls')
        echo REF TYPE DIGEST SIZE PLATFORMS LABELS
        while read -r name digest; do
            printf '%s type %s 1.0 MiB linux/amd64 -\n' "$name" "${digest:-sha256:$(printf %s "$name" | sha256sum | cut -c 1-64)}"
        done </answers/images ;;
    'ctr run --detach --null-io --snapshotter native docker.io/rancher/mirrored-pause:3.6 seedkit-look')
        cat /answers/container ;;
    'ctr tasks ls') printf 'TASK PID STATUS\nseedkit-look 7 RUNNING\n' ;;
    'ctr tasks rm --force seedkit-look' | 'ctr containers rm seedkit-look') echo "$*" >>/answers/removed ;;
    *) echo "not asked for: $*" >&2; exit 1 ;;
esac
"#;

/// What a server has once it has begun its cluster, or joined it.
pub(super) const STATE: &str = "var/lib/rancher/k3s/server/db/etcd";

/// A machine whose seed is staged and whose k3s has started.
pub(super) fn started(seed: &NodeSeed) -> Machine {
    let machine = Machine::new(seed);
    let tree = built(seed);
    machine.insert(&tree);
    machine.stage_well();
    fs::create_dir_all(machine.root().join(STATE)).unwrap();
    let mut tree = FileTree::new();
    let name = format!("echo {}", seed.node.name);
    tree.insert_file("local/bin/k3s", 0o755, K3S.replace("uname_of_node", &name)).unwrap();
    write(&tree, machine.root());
    machine
}

pub(super) fn answer(machine: &Machine, name: &str, text: impl AsRef<[u8]>) {
    fs::write(machine.root().join("answers").join(name), text).unwrap();
}

/// Returns a marker without the time in it, which must be one.
pub(super) fn timeless(mut marker: Value) -> Value {
    let time = marker.as_object_mut().unwrap().remove("finished_at").unwrap();
    let time = time.as_str().unwrap();
    assert!(time.len() == 20 && time.ends_with('Z') && time.starts_with("20"), "{time}");
    marker
}

pub(super) fn stem(seed: &NodeSeed) -> &'static str {
    seed.k3s.membership.marker().strip_prefix("/var/lib/").unwrap()
}

pub(super) fn seed_id(seed: &NodeSeed) -> String {
    text(&built(seed), "payload/seed-id").trim_end().to_owned()
}

pub(super) const DONE: &str =
    "docker.io/other/image:1\nregistry.k8s.io/pause:3.10\ndocker.io/rancher/mirrored-pause:3.6\n";

/// Returns the line of an image in the list of a node.
fn line_of(name: &str) -> String {
    format!("{name} {}", Digest::sha256(name.as_bytes()))
}

#[test]
fn a_node_with_every_image_that_is_ready_is_done() {
    for (seed, who) in lab().into_iter().zip(["server", "server", "agent"]) {
        let machine = started(&seed);
        answer(&machine, who, "True");
        answer(&machine, "images", DONE);
        machine.completes();
        let (end, marker) = machine.marker(stem(&seed)).unwrap();
        let expected = json!({
            "seed_id": seed_id(&seed),
            "role": who,
            "k3s_version": "v1.35.0+k3s1",
            "images_expected": 2,
            "images_present": 2,
        });
        assert_eq!((end, timeless(marker)), ("done", expected));
        assert!(machine.root().join("etc/cloud/cloud-init.disabled").exists());
    }
}

#[test]
fn another_image_under_a_name_of_the_list_is_not_the_one_that_is_waited_for() {
    let seed = lab().swap_remove(0);
    let machine = started(&seed);
    answer(&machine, "server", "True");
    let swapped = DONE.replace(IMAGES[1], &format!("{} {}", IMAGES[1], Digest::sha256(IMAGES[0].as_bytes())));
    answer(&machine, "images", swapped);
    answer(&machine, "all", DONE);
    let markers = markers_until(&machine, 400, "cp /answers/all /answers/images");
    let expected = format!("1 of 2 images are missing, among them {}, after 120 s", line_of(IMAGES[1]));
    assert_eq!(markers[0]["reason"], expected);
    assert_eq!(markers[1]["images_present"], 2);
}

#[test]
fn an_image_whose_digest_nobody_knows_is_known_by_its_name() {
    let mut seed = lab().swap_remove(0);
    seed.images.values_mut().for_each(|digest| *digest = None);
    let machine = started(&seed);
    answer(&machine, "server", "True");
    answer(&machine, "images", DONE);
    machine.completes();
    assert_eq!(machine.marker("k3s-bootstrap").unwrap().0, "done");
}

#[test]
fn a_second_run_finds_the_node_done_and_changes_nothing() {
    let seed = lab().swap_remove(0);
    let machine = started(&seed);
    answer(&machine, "server", "True");
    answer(&machine, "images", DONE);
    machine.completes();
    let read = || {
        ["var/lib/k3s-bootstrap.done", "var/log/k3s-bootstrap.log"]
            .map(|path| fs::read_to_string(machine.root().join(path)).unwrap())
    };
    let before = (machine.listing(), read());
    answer(&machine, "server", "False");
    assert!(machine.completes().contains("is done already"));
    assert_eq!((machine.listing(), read()), before);
}

#[test]
fn what_is_waited_for_is_logged_once_and_nothing_is_marked_before() {
    let seed = lab().swap_remove(0);
    let machine = started(&seed);
    // Each time the script sleeps, one thing more is so.
    answer(
        &machine,
        "then",
        "case ${now%.*} in
            105) ls /var/lib/*.done /var/lib/*.failed && exit 1; echo False >/answers/server ;;
            115) echo True >/answers/server; echo docker.io/rancher/mirrored-pause:3.6 >/answers/images ;;
            125) echo registry.k8s.io/pause:3.10 >>/answers/images ;;
        esac",
    );
    machine.completes();
    let log = fs::read_to_string(machine.root().join("var/log/k3s-bootstrap.log")).unwrap();
    let lines: Vec<&str> =
        log.lines().filter(|line| !line.starts_with('{')).map(|line| &line[21..]).collect();
    let missing = format!("1 of 2 images are missing, among them {}", line_of(IMAGES[1]));
    let first = format!("waiting for node k3s-server1 and 2 images of seed {}", seed_id(&seed));
    let expected = [
        first.as_str(),
        "the node is not Ready: cat: /answers/server: No such file or directory",
        "the node is not Ready: False",
        missing.as_str(),
        "node k3s-server1 is Ready with 2 images, after 30 s",
    ];
    assert_eq!(lines, expected);
    assert_eq!(machine.marker("k3s-bootstrap").unwrap().0, "done");
}

#[test]
fn a_node_on_which_no_container_runs_is_not_done() {
    let seed = lab().swap_remove(0);
    let machine = started(&seed);
    answer(&machine, "server", "True");
    answer(&machine, "images", DONE);
    // What k3s writes for its containerd.
    let folder = machine.root().join("var/lib/rancher/k3s/agent/etc/containerd");
    fs::create_dir_all(&folder).unwrap();
    let config = "  sandbox_image = \"rancher/mirrored-pause:3.6\"\n    snapshotter = \"native\"\n";
    fs::write(folder.join("config.toml"), config).unwrap();
    // Without a file of that name the answer is cat's, and no container.
    let markers = markers_until(&machine, 400, ": >/answers/container");
    let expected =
        "no container runs: cat: /answers/container: No such file or directory, after 120 s".to_owned();
    assert_eq!(markers[0]["reason"], expected);
    assert_eq!(machine.marker("k3s-bootstrap").unwrap().0, "done");
    let removed = machine.file("answers/removed").1;
    assert!(
        removed.ends_with("ctr tasks rm --force seedkit-look\nctr containers rm seedkit-look\n"),
        "{removed}"
    );
}

#[test]
fn what_containers_need_is_named_before_k3s_starts_with_what_to_do() {
    let seed = lab().swap_remove(0);
    let machine = started(&seed);
    assert_eq!(machine.succeeds("seedkit-look"), "");
    let parameters = machine.root().join("sys/module/apparmor/parameters");
    fs::create_dir_all(&parameters).unwrap();
    fs::write(parameters.join("enabled"), "Y\n").unwrap();
    // Nothing of the kernel is there.
    machine.stand_in("modprobe", "#!/bin/sh\nexit 1\n");
    fs::write(machine.root().join("sys/fs/cgroup/cgroup.controllers"), "cpuset cpu io pids\n").unwrap();
    let said = machine.succeeds("seedkit-look");
    let lines: Vec<&str> = said.lines().collect();
    let expected = [
        "apparmor_parser is missing and the kernel has AppArmor on, so no container starts: install the package apparmor",
        "the kernel has no module overlay: install all modules of this kernel",
        "the kernel has no module br_netfilter: ",
        "the kernel has no module nf_conntrack: ",
        "the kernel has no module vxlan: ",
        "the kernel has neither nf_tables nor ip_tables, which iptables needs: ",
        "the control group controller memory is off: start the kernel with cgroup_enable=memory",
    ];
    assert_eq!(lines.len(), expected.len(), "{said}");
    assert!(lines.iter().zip(expected).all(|(line, expected)| line.starts_with(expected)), "{said}");
    // k3s' unit runs it first; and a node that fails has it in its marker.
    let unit = text(&built(&seed), "user-data");
    assert!(
        unit.find("/usr/local/sbin/seedkit-look\\n").unwrap()
            < unit.find("ExecStart=/usr/local/bin/k3s").unwrap()
    );
    answer(&machine, "server", "False");
    answer(&machine, "images", DONE);
    let markers = markers_soon(&machine, &seed, "echo True >/answers/server");
    let reason = markers[0]["reason"].as_str().unwrap();
    assert!(expected.iter().all(|expected| reason.contains(expected)), "{reason}");
}

#[test]
fn a_node_without_its_cable_says_so_soon_and_in_its_marker() {
    let seed = lab().swap_remove(2);
    let machine = started(&seed);
    answer(&machine, "images", DONE);
    answer(&machine, "activity", "activating\n");
    answer(&machine, "journal", "time=\"2026-11-22T08:00:01Z\" level=info msg=waiting\n");
    let card = machine.root().join("sys/class/net/eth0/carrier");
    fs::write(&card, "0\n").unwrap();
    let told =
        "the network card eth0 has no link: is its cable in, and is it connected to the virtual network?";
    let change =
        "echo True >/answers/agent; echo active >/answers/activity; echo 1 >/sys/class/net/eth0/carrier";
    let markers = markers_soon(&machine, &seed, change);
    let reason = markers[0]["reason"].as_str().unwrap();
    assert!(reason.contains(told) && reason.ends_with("; k3s says: waiting"), "{reason}");
    let log = fs::read_to_string(machine.root().join("var/log/k3s-bootstrap.log")).unwrap();
    let soon = log.lines().position(|line| line.contains(told) && line.contains(", for 60 s; ")).unwrap();
    assert!(soon < log.lines().position(|line| line.starts_with('{')).unwrap(), "{log}");
}

#[test]
fn a_slow_machine_may_be_given_another_time() {
    let seed = lab().swap_remove(0);
    let machine = started(&seed);
    answer(&machine, "images", DONE);
    answer(&machine, "server", "False");
    let markers = markers_soon(&machine, &seed, "echo True >/answers/server");
    assert_eq!(markers[0]["reason"], "the node is not Ready: False, after 60 s");
}

#[test]
fn an_agent_that_cannot_join_says_so_with_the_reason_of_k3s() {
    let seed = lab().swap_remove(2);
    let machine = started(&seed);
    answer(&machine, "images", DONE);
    answer(&machine, "activity", "activating\n");
    let journal = "time=\"2026-11-22T08:00:00Z\" level=error msg=\"token is not valid: 서버 \\\"x\\\"\"\n\
                   time=\"2026-11-22T08:00:01Z\" level=info msg=\"Waiting\"\n";
    answer(&machine, "journal", journal);
    let change = "echo True >/answers/agent; echo active >/answers/activity";
    let markers = markers_until(&machine, 1150, change);
    let [failed, done] = &markers[..] else { panic!("{markers:?}") };
    let expected = "k3s-agent.service is not active, but activating, after 900 s; k3s says: \
                    \"token is not valid: 서버 \\\"x\\\"\"";
    assert_eq!(failed["reason"], expected);
    assert_eq!(machine.marker("k3s-agent-bootstrap").unwrap(), ("done", done.clone()));
}

#[test]
fn a_node_is_not_done_while_its_own_k3s_does_not_run() {
    let seed = lab().swap_remove(2);
    let machine = started(&seed);
    // What answers is the k3s of the role that the node had before.
    answer(&machine, "agent", "True");
    answer(&machine, "images", DONE);
    answer(&machine, "activity", "inactive\n");
    answer(&machine, "journal", "");
    let markers = markers_until(&machine, 1150, "echo active >/answers/activity");
    assert_eq!(
        markers[0]["reason"],
        "k3s-agent.service is not active, but inactive, after 900 s; k3s says: "
    );
    assert_eq!(markers.len(), 2, "{markers:?}");
}

#[test]
fn the_completion_unit_of_another_role_marks_nothing() {
    let seed = lab().swap_remove(2);
    let machine = started(&seed);
    answer(&machine, "agent", "True");
    answer(&machine, "images", DONE);
    for stale in ["seedkit-bootstrap", "seedkit-bootstrap k3s-bootstrap.service"] {
        let said = machine.fails(stale);
        assert!(said.contains("this node is done when k3s-agent-bootstrap.service says so"), "{said}");
        assert_eq!(machine.marker("k3s-agent-bootstrap"), None);
    }
}

/// The same with a unit that is told to wait a minute only.
fn markers_soon(machine: &Machine, seed: &NodeSeed, change: &str) -> Vec<Value> {
    let unit = seed.k3s.membership.completion_unit();
    machine.add_script("patient", &format!("#!/bin/sh\nSEEDKIT_PATIENCE=60 exec seedkit-bootstrap {unit}\n"));
    answer(machine, "then", format!("[ ${{now%.*}} -lt 200 ] || {{ {change}; }}"));
    machine.succeeds("patient");
    logged(machine)
}

/// Runs the script until the world changes at the second `at`, and returns the lines of JSON in its log.
fn markers_until(machine: &Machine, at: u32, change: &str) -> Vec<Value> {
    let keep = "cp /var/lib/k3s-bootstrap.failed /answers/failed 2>/dev/null || true";
    answer(machine, "then", format!("{keep}\n[ ${{now%.*}} -lt {at} ] || {{ {change}; }}"));
    machine.completes();
    logged(machine)
}

fn logged(machine: &Machine) -> Vec<Value> {
    let log = fs::read_to_string(machine.root().join("var/log/k3s-bootstrap.log")).unwrap();
    log.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_image_that_does_not_come_is_a_failure_until_it_does() {
    let seed = lab().swap_remove(0);
    let machine = started(&seed);
    answer(&machine, "server", "True");
    answer(&machine, "images", format!("{}\n", IMAGES[0]));
    answer(&machine, "all", DONE);
    let markers = markers_until(&machine, 400, "cp /answers/all /answers/images");
    let [failed, done] = &markers[..] else { panic!("{markers:?}") };
    let expected = json!({
        "seed_id": seed_id(&seed),
        "role": "server",
        "k3s_version": "v1.35.0+k3s1",
        "images_expected": 2,
        "images_present": 1,
        "reason": format!("1 of 2 images are missing, among them {}, after 120 s", line_of(IMAGES[1])),
    });
    assert_eq!(timeless(failed.clone()), expected);
    assert_eq!(machine.marker("k3s-bootstrap").unwrap(), ("done", done.clone()));
    let kept: Value =
        serde_json::from_slice(&fs::read(machine.root().join("answers/failed")).unwrap()).unwrap();
    assert_eq!(&kept, failed);
}

#[test]
fn a_node_that_does_not_become_ready_is_a_failure_with_what_was_answered() {
    let seed = lab().swap_remove(0);
    let machine = started(&seed);
    answer(&machine, "images", DONE);
    let hostile = HOSTILE.replace('\n', "\u{1b}");
    answer(&machine, "server", [hostile.as_bytes(), b"\xff\xfe end\nsecond line"].concat());
    let markers = markers_until(&machine, 1150, "echo True >/answers/server");
    let reason = markers[0]["reason"].as_str().unwrap();
    let seen: String =
        hostile.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect();
    assert_eq!(reason, format!("the node is not Ready: {seen} end, after 900 s"));
    assert_eq!(markers.len(), 2, "a failure is marked once: {markers:?}");
}
