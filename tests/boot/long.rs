//! Claims that take too long for every change: `tests/long` runs them.

use std::hash::{BuildHasher as _, RandomState};

use serde_json::Value;

use crate::evidence::Evidence;
use crate::guest::{Boot, Card, Guest};
use crate::kit::{AGENT, Kit, SERVER};
use crate::lan::Lan;
use crate::scenario::{Once, both};

/// How many first boots end with a power cut.
const CUTS: u64 = 5;
/// In seconds of the processor: nothing of a seed has been read, and the node is done.
const FIRST_BOOT: std::ops::Range<u64> = 15..120;

#[test]
#[ignore = "tests/long runs it: ten boots"]
#[expect(clippy::disallowed_methods, reason = "whoever repeats a run names its moments")]
#[expect(clippy::print_stdout, reason = "whoever reads of a failure needs its moments")]
fn a_first_boot_that_ends_at_any_moment_is_done_by_the_next_one() {
    let seed = std::env::var("SEEDKIT_CUTS").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| RandomState::new().hash_one("cuts"));
    println!("SEEDKIT_CUTS={seed} cuts the power at these moments again");
    let moment = |cut: u64| {
        let spread = seed.wrapping_add(cut).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        FIRST_BOOT.start + spread % (FIRST_BOOT.end - FIRST_BOOT.start)
    };
    // Two at a time, each on a link of its own.
    let run = |name: &'static str, cuts: Vec<u64>| {
        let kit = Kit::build(name, |spec| spec);
        cuts.into_iter().map(|cut| (cut, moment(cut), cut_and_boot(&kit, moment(cut)))).collect::<Vec<_>>()
    };
    let (even, odd) = (0..CUTS).partition(|cut| cut % 2 == 0);
    let (even, odd) = both(|| run("cuts-even", even), || run("cuts-odd", odd));
    for (cut, moment, (shown, evidence)) in even.into_iter().chain(odd) {
        let last = shown.lines().last().unwrap_or_default();
        println!("cut {cut} came after {moment} s of work, when the console showed: {last}");
        assert_eq!((evidence.text("unit"), evidence.text("ready")), ("active", "True"), "cut {cut}");
        assert_eq!(evidence.text("markers"), "/var/lib/k3s-bootstrap.done", "cut {cut}");
        assert_eq!(evidence.json("done")["seed_id"], evidence.text("seed id"), "cut {cut}");
        assert_eq!(evidence.text("failed units"), "", "cut {cut}");
    }
}

/// Cuts the power of a first boot and boots again; returns what the console had shown, and what came of it.
fn cut_and_boot(kit: &Kit, moment: u64) -> (String, Evidence) {
    let lan = Lan::new();
    let mut server = Guest::new(SERVER, &lan, 0, kit);
    let seed = kit.seed(SERVER);
    server.start(Boot::with(&seed));
    server.cut_power_after(moment, "is Ready with");
    let shown = server.shown();
    server.start(Boot::with(&seed));
    (shown, server.look())
}

/// What nodes say that cannot come up.
struct Strangers {
    /// A server whose tarball has two images under each other's names.
    swapped: (String, Evidence),
    /// An agent with the tokens of another cluster: its marker, and the console.
    unknown: (Value, String),
    /// An agent in a machine with another network card, the same.
    misplaced: (Value, String),
    /// An agent without its cable, the same.
    unplugged: (Value, String),
}

fn strangers() -> &'static Strangers {
    static STRANGERS: Once<Strangers> = Once::new();
    STRANGERS.get(|| {
        let kit = Kit::build("strangers", less_patient);
        let other = Kit::build("others", less_patient);
        let lan = Lan::new();
        let mut server = Guest::new(SERVER, &lan, 0, &kit);
        server.start(Boot::with(&kit.swapped_seed(SERVER)));
        // None of them ever settles, so they are not looked at from inside.
        let agent = |kit: &Kit, card: Card, end: &str| {
            let mut agent = Guest::new(AGENT, &lan, 1, kit);
            agent.start(Boot { card, ..Boot::with(&kit.seed(AGENT)) });
            let shown = agent.shows(end);
            agent.cut_power();
            let marker = agent.file("/var/lib/k3s-agent-bootstrap.failed");
            (serde_json::from_str(&marker).unwrap(), shown)
        };
        let agents = || {
            let failed = "failed: k3s-agent.service";
            let misplaced = agent(&kit, Card::Another, "is failed: seed");
            let unplugged = agent(&kit, Card::Unplugged, failed);
            (agent(&other, Card::Own, failed), misplaced, unplugged)
        };
        let (swapped, (unknown, misplaced, unplugged)) =
            both(|| (server.shows("failed: 2 of"), server.look()), agents);
        Strangers { swapped, unknown, misplaced, unplugged }
    })
}

/// Four minutes until an agent has failed, by a file of the user's own.
fn less_patient(spec: String) -> String {
    let destination = "/etc/systemd/system/k3s-agent-bootstrap.service.d/patience.conf";
    let file = format!("files:\n  - source: {{ path: patience.conf }}\n    destination: {destination}\n");
    spec.replace("files:\n", &file)
}

#[test]
#[ignore = "tests/long runs it: four boots"]
fn a_kit_with_swapped_images_is_not_done_and_says_which() {
    let (shown, evidence) = &strangers().swapped;
    assert_eq!(evidence.text("markers"), "/var/lib/k3s-bootstrap.failed");
    let reason = evidence.json("failed")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("images are missing, among them docker.io/lab/hello:1.0 sha256:"), "{reason}");
    assert!(shown.contains("images are missing, among them docker.io/lab/hello:1.0 sha256:"));
}

#[test]
#[ignore = "tests/long runs it: four boots"]
fn a_wrong_token_leaves_its_reason_on_the_console_and_in_the_marker() {
    let (marker, shown) = &strangers().unknown;
    let reason = marker["reason"].as_str().unwrap();
    let told = "token CA hash does not match the Cluster CA certificate hash";
    assert!(reason.contains("k3s-agent.service is not active, but activating"), "{reason}");
    assert!(reason.contains(told), "{reason}");
    assert!(shown.contains(told));
}

#[test]
#[ignore = "tests/long runs it: four boots"]
fn another_network_card_leaves_its_reason_on_the_console_and_in_the_marker() {
    let (marker, shown) = &strangers().misplaced;
    let told = "is for a machine whose network card is 52:54:00:06:00:11; this one has 52:54:00:ff:ff:ff";
    assert!(marker["reason"].as_str().unwrap().contains(told), "{marker}");
    assert!(shown.contains(told));
}

#[test]
#[ignore = "tests/long runs it: four boots"]
fn a_cut_cable_leaves_its_reason_on_the_console_and_in_the_marker() {
    let (marker, shown) = &strangers().unplugged;
    let told = "has no link: is its cable in, and is it connected to the virtual network?";
    assert!(marker["reason"].as_str().unwrap().contains(told), "{marker}");
    assert!(shown.contains(told));
}

/// Two nodes whose seeds were changed for those of the other role.
struct Turned {
    /// The seeds that they had at first.
    before: [String; 2],
    /// The server, which became the other one's agent; and that one.
    after: [Evidence; 2],
    /// The names of the images.
    images: Vec<String>,
}

fn turned() -> &'static Turned {
    static TURNED: Once<Turned> = Once::new();
    TURNED.get(|| {
        let kit = Kit::build("turned-from", |spec| spec);
        let lan = Lan::new();
        let mut nodes = [(SERVER, 0), (AGENT, 1)].map(|(name, port)| Guest::new(name, &lan, port, &kit));
        let [first, second] = &mut nodes;
        first.start(Boot::with(&kit.seed(SERVER)));
        second.start(Boot::with(&kit.seed(AGENT)));
        let before = both(|| first.look(), || second.look());
        both(|| first.shut_down(), || second.shut_down());
        kit.build_as("turned", |spec| {
            spec.replace("role: server", "role: other")
                .replace("role: agent", "role: server")
                .replace("role: other", "role: agent")
        });
        let [agent, server] = [SERVER, AGENT].map(|name| kit.seed_of("turned", name));
        // They were done: cloud-init reads the new seed in one boot, and the next one starts what it has placed.
        first.start(Boot::with(&agent));
        second.start(Boot::with(&server));
        let after = both(
            || {
                first.restart(Boot::with(&agent));
                first.look()
            },
            || {
                second.restart(Boot::with(&server));
                second.look()
            },
        );
        let before = [before.0, before.1].map(|evidence| evidence.text("seed id").to_owned());
        let images = kit.images();
        Turned { before, after: after.into(), images }
    })
}

#[test]
#[ignore = "tests/long runs it: six boots"]
fn a_changed_role_leaves_nothing_of_the_old_one_and_the_node_joins() {
    let Turned { before, after: [agent, server], images } = turned();
    assert_eq!((agent.text("role"), server.text("role")), ("agent", "server"));
    for (evidence, unit) in [(agent, "k3s-agent"), (server, "k3s")] {
        assert_eq!((evidence.text("unit"), evidence.text("ready")), ("active", "True"));
        let units = [format!("{unit}-bootstrap.service enabled"), format!("{unit}.service enabled")];
        assert_eq!(evidence.lines("units of k3s"), units);
        assert_eq!(evidence.lines("running units of k3s"), units.map(|unit| unit.replace(" enabled", "")));
        assert_eq!(evidence.text("markers"), format!("/var/lib/{unit}-bootstrap.done"));
        assert_eq!(evidence.json("done")["seed_id"], evidence.text("seed id"));
        assert_eq!(evidence.lines("images"), *images);
        assert!(!before.contains(&evidence.text("seed id").to_owned()), "{before:?}");
    }
}
