//! The server that begins the cluster, on a machine made anew: it begins no second one.

use std::net::{IpAddr, TcpListener};

use fs_err as fs;
use seedkit::seed::{Membership, NodeSeed, Peer};

use super::completion::{STATE, answer, started, stem};
use super::{built, lab, written_files};

/// A server that joins the first one, on an address that nothing else here listens on.
const OTHER: &str = "127.66.3.11";

fn first_server() -> NodeSeed {
    let mut seed = lab().swap_remove(0);
    let Membership::FirstServer { others, .. } = &mut seed.k3s.membership else { panic!("it is the first") };
    let address: IpAddr = OTHER.parse().unwrap();
    *others = vec![Peer { name: "k3s-server2".parse().unwrap(), address }];
    seed
}

#[test]
fn a_first_server_made_anew_begins_no_second_cluster_beside_one_that_lives() {
    let seed = first_server();
    let machine = started(&seed);
    let listener = TcpListener::bind((OTHER, 6443)).unwrap();
    assert_eq!(machine.succeeds("seedkit-alone"), "", "it has its own part of the cluster");
    fs::remove_dir_all(machine.root().join(STATE)).unwrap();
    let reason = "k3s-server2 (127.66.3.11) has a cluster already, and k3s-server1 would begin a second one: to join \
                  it, run \"kubectl delete node k3s-server1\" there, set k3s.firstServer to k3s-server2 in the spec, \
                  build, and boot this machine with its new disc. For a new cluster, turn the other servers off";
    assert_eq!(machine.fails("seedkit-alone"), format!("{reason}\n"));

    // The console has it at once, and the marker when it is late.
    answer(&machine, "activity", "activating");
    answer(&machine, "journal", "");
    let images = built(&seed);
    answer(&machine, "images", super::text(&images, "payload/root/var/lib/seedkit/images.txt"));
    answer(&machine, "server", "True");
    answer(&machine, "container", "");
    let then = "cp /var/lib/k3s-bootstrap.failed /answers/failed 2>/dev/null\nread -r now _ </proc/uptime\n\
                [ \"${now%.*}\" -lt 1200 ] || echo active >/answers/activity\n";
    answer(&machine, "then", then);
    let said = machine.completes();
    assert!(said.contains(&format!("Z {reason}\n")), "{said}");
    let failed: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(machine.root().join("answers/failed")).unwrap()).unwrap();
    assert!(failed["reason"].as_str().unwrap().contains(reason), "{failed}");
    assert_eq!(machine.marker(stem(&seed)).unwrap().0, "done");

    // Without a living cluster a new one begins.
    drop(listener);
    assert_eq!(machine.succeeds("seedkit-alone"), "");
}

#[test]
fn only_the_server_that_would_begin_a_cluster_is_kept_from_it() {
    let is_asked = |seed: &NodeSeed| {
        let files = written_files(&built(seed));
        let unit = files.iter().find(|(path, ..)| path.ends_with(seed.k3s.membership.unit())).unwrap();
        let script = files.iter().any(|(path, ..)| path == "/usr/local/sbin/seedkit-alone");
        // Without `-`: k3s does not start.
        (unit.2.contains("\nExecStartPre=/usr/local/sbin/seedkit-alone\n"), script)
    };
    let mut alone = first_server();
    let Membership::FirstServer { others, .. } = &mut alone.k3s.membership else { panic!("it is the first") };
    others.clear();
    assert_eq!(is_asked(&alone), (false, false));
    assert_eq!(
        lab().iter().map(is_asked).collect::<Vec<_>>(),
        [(true, true), (false, false), (false, false)]
    );
}
