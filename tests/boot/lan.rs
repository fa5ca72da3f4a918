//! The link between the guests: a bridge in a network namespace of its own, from which nothing leads anywhere.
//!
//! The proof itself is on the link too, with the address that the seeds have for gateway, name server and registry:
//! that is how it looks at the guests. Everything that runs for a scenario is in one namespace of processes, whose
//! first one reads from this process: it ends with it, however that ends, and takes QEMU along.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use crate::tools::as_root;

/// The address of the proof on the link.
pub(crate) const ADDRESS: &str = "192.168.6.1";

/// The outer shell says which process holds the namespaces; the inner one sets up the link and waits for the end.
const HOLD: &str = r#"
echo "$$"
exec unshare --net --pid --fork --kill-child sh -euc '
    ip link set lo up
    ip link add br0 type bridge
    ip address add '"$1"'/24 dev br0
    ip link set br0 up
    for tap in tap0 tap1; do
        ip tuntap add "$tap" mode tap
        ip link set "$tap" master br0 up
    done
    echo ready
    exec cat
'
"#;

/// A link for two guests.
pub(crate) struct Lan {
    holder: Child,
    /// The process whose namespaces are the link's.
    id: u32,
}

impl Lan {
    /// Makes a link.
    pub(crate) fn new() -> Self {
        let mut holder = as_root("sh")
            .args(["-euc", HOLD, "sh", ADDRESS])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        let id = lines.next().unwrap().unwrap().parse().unwrap();
        let lan = Self { holder, id };
        let ready = lines.next().and_then(Result::ok);
        assert_eq!(ready.as_deref(), Some("ready"), "the proof's network cannot be made");
        lan
    }

    /// Prepares a program on the link. It ends with the link at the latest.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = as_root("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.id))
            .arg(format!("--pid=/proc/{}/ns/pid_for_children", self.id))
            .arg("--")
            .arg(program);
        command
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        // Its input ends, so it does; the kernel then ends all processes of the namespace before it says so.
        if let Some(mut input) = self.holder.stdin.take() {
            let _flushed = input.flush();
        }
        let _ended = self.holder.wait();
    }
}
