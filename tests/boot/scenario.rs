//! What the guests go through, once for all claims. One scenario runs at a time.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::evidence::Evidence;
use crate::guest::{Boot, Drive, Guest};
use crate::kit::{AGENT, Kit, SERVER, address};
use crate::lan::Lan;
use crate::registry::Registry;
use crate::tools::finish;
use crate::words;

/// The image that nodes pull.
const PULLED: &str = "docker.io/lab/hello:1.0";

/// A server and an agent that came up together.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) kit: Kit,
    pub(crate) server: Node,
    pub(crate) agent: Node,
    /// What the server answers to somebody with a wrong token who wants to join.
    pub(crate) stranger: String,
    /// The same for the agent's token, without a node behind it.
    pub(crate) nobody: String,
}

/// One node, as it was seen.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: &'static str,
    /// After the first boot.
    pub(crate) first: Evidence,
    /// After the second one: the server with its disc in the drive, the agent without.
    pub(crate) second: Evidence,
    /// What was tried after the first boot.
    pub(crate) tried: Tried,
}

/// What was tried on a node.
#[derive(Debug)]
pub(crate) struct Tried {
    /// To log in without a key.
    pub(crate) login_without_key: Attempt,
    /// To have containerd pull an image from the registry.
    pub(crate) pull: Attempt,
    /// To have a service started with hostile words: its arguments and its environment as JSON.
    pub(crate) words: String,
}

/// Nodes that something was wrong with from the start.
#[derive(Debug)]
pub(crate) struct Mishaps {
    /// An agent whose seed has one wrong bit in its payload.
    pub(crate) damaged: Evidence,
    /// A server whose clock began in 1970.
    pub(crate) old: Evidence,
    /// The kit that both come from.
    pub(crate) kit: Kit,
}

/// How something ended that was tried in or on a guest.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) succeeded: bool,
    pub(crate) said: String,
}

impl Attempt {
    fn of(command: &mut Command) -> Self {
        let answer = command.output().unwrap();
        let said = [answer.stdout, answer.stderr].concat();
        Self { succeeded: answer.status.success(), said: String::from_utf8_lossy(&said).trim().to_owned() }
    }
}

/// Returns the nodes of a cluster.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: Once<Cluster> = Once::new();
    CLUSTER.get(|| {
        let kit = Kit::build("cluster", |spec| spec);
        boot_cluster(kit)
    })
}

/// Returns the nodes that something was wrong with.
pub(crate) fn mishaps() -> &'static Mishaps {
    static MISHAPS: Once<Mishaps> = Once::new();
    MISHAPS.get(|| {
        let kit = Kit::build("mishaps", |spec| spec);
        let (old, damaged) = boot_mishaps(&kit);
        Mishaps { old, damaged, kit }
    })
}

/// Boots a server and an agent, and both again: the server with its disc in the drive and a wrong clock, the agent
/// without a disc.
fn boot_cluster(kit: Kit) -> Cluster {
    let lan = Lan::new();
    let _registry = Registry::start(&lan, &kit);
    let mut server = Guest::new(SERVER, &lan, 0, &kit);
    let mut agent = Guest::new(AGENT, &lan, 1, &kit);
    let [server_seed, agent_seed] = [SERVER, AGENT].map(|name| kit.seed(name));
    server.start(Boot { drive: Drive::Disk, ..Boot::with(&server_seed) });
    agent.start(Boot::with(&agent_seed));
    let first = both(|| server.look(), || agent.look());
    let tried = both(|| Tried::on(&server), || Tried::on(&agent));
    let stranger =
        ask_to_join(&lan, "server", "0000000000000000000000000000000000000000000000000000000000000000");
    let nobody = ask_to_join(&lan, "node", &kit.secret("agent-token"));
    both(|| server.shut_down(), || agent.shut_down());
    server.start(Boot { clock: "1970-01-01", drive: Drive::Disk, ..Boot::with(&server_seed) });
    agent.start(Boot { seed: None, ..Boot::with(&agent_seed) });
    let second = both(|| server.look(), || agent.look());
    drop((server, agent));
    let server = Node { name: SERVER, first: first.0, second: second.0, tried: tried.0 };
    let agent = Node { name: AGENT, first: first.1, second: second.1, tried: tried.1 };
    Cluster { kit, server, agent, stranger, nobody }
}

/// Boots a server with a wrong clock, and an agent from a damaged seed; nobody else is there.
fn boot_mishaps(kit: &Kit) -> (Evidence, Evidence) {
    let lan = Lan::new();
    let mut old = Guest::new(SERVER, &lan, 0, kit);
    let mut damaged = Guest::new(AGENT, &lan, 1, kit);
    old.start(Boot { clock: "1970-01-01", ..Boot::with(&kit.seed(SERVER)) });
    damaged.start(Boot::with(&kit.damaged_seed(AGENT)));
    both(|| old.look(), || damaged.look())
}

impl Tried {
    fn on(guest: &Guest) -> Self {
        Self {
            login_without_key: login_without_key(guest),
            pull: pull(guest),
            words: words::seen_by_a_service(guest),
        }
    }
}

fn login_without_key(guest: &Guest) -> Attempt {
    let methods = "PreferredAuthentications=password,keyboard-interactive";
    Attempt::of(&mut guest.ssh(&["-o", "PubkeyAuthentication=no", "-o", methods], "true"))
}

/// Has containerd fetch an image again, by what `registries.yaml` says.
fn pull(guest: &Guest) -> Attempt {
    let remove = format!("sudo k3s ctr images rm --sync {PULLED}");
    let hosts = "/var/lib/rancher/k3s/agent/etc/containerd/certs.d";
    let pull = format!("sudo k3s ctr images pull --hosts-dir {hosts} {PULLED}");
    Attempt::of(&mut guest.ssh(&[], &format!("{remove} && {pull}")))
}

/// Returns the status of the server's answer to somebody who wants to join, and is not a node.
fn ask_to_join(lan: &Lan, user: &str, password: &str) -> String {
    let mut curl = lan.command("curl");
    curl.args(["--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code}"]);
    // The secrets of a test; a process list shows them for a moment.
    curl.args(["--user", &format!("{user}:{password}")]);
    curl.arg(format!("https://{}:6443/v1-k3s/serving-kubelet.crt", address(SERVER)));
    String::from_utf8(finish(&mut curl).stdout).unwrap()
}

/// Does two things at the same time.
pub(crate) fn both<A: Send, B>(first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        (first.join().unwrap_or_else(|panic| resume_unwind(panic)), second)
    })
}

/// A scenario happens once; a claim that comes after its failure says so instead of trying again.
pub(crate) struct Once<T>(OnceLock<Option<T>>);

impl<T> Once<T> {
    pub(crate) const fn new() -> Self {
        Self(OnceLock::new())
    }

    pub(crate) fn get(&self, run: impl FnOnce() -> T) -> &T {
        static TURN: Mutex<()> = Mutex::new(());
        let scenario = self.0.get_or_init(|| {
            let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
            catch_unwind(AssertUnwindSafe(run)).ok()
        });
        scenario.as_ref().expect("the scenario failed; what went wrong stands with the first claim about it")
    }
}
