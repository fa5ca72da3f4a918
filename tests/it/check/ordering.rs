//! Who starts what on a node, and when.

use crate::support::broken::BrokenKit;

const NODE: &str = "k3s-worker1";

#[test]
fn sk0201_the_notes_forgot_to_enable_the_bootstrap() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit(
            "user-data",
            "\"enable\", \"seedkit-stage.service\", ",
            "\"enable\", \"seedkit-stage.service\",  ",
        );
        let text = disc.read("user-data");
        let line = text.lines().find(|line| line.contains("\"enable\", ")).unwrap();
        let without = line.replace(", \"k3s-agent-bootstrap.service\"", "");
        disc.write("user-data", text.replace(line, &without));
    });
    kit.is_found_by("SK0201", "k3s-agent-bootstrap.service: it is never enabled");
}

#[test]
fn sk0201_a_unit_that_is_enabled_and_not_there() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit(
            "user-data",
            "\"enable\", \"seedkit-stage.service\"",
            "\"enable\", \"lost.service\", \"seedkit-stage.service\"",
        );
    });
    kit.is_found_by("SK0201", "`lost.service` is enabled and not in the seed");
}

#[test]
fn sk0202_the_notes_ran_the_bootstrap_twice() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit("user-data", "\nruncmd:\n", "\nruncmd:\n  - [\"/usr/local/sbin/seedkit-bootstrap\"]\n");
    });
    kit.is_found_by("SK0202", "which `k3s-agent-bootstrap.service` runs as well");
}

#[test]
fn sk0203_a_unit_after_cloud_final() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit_written(
            "After=local-fs.target cloud-config.target",
            "After=local-fs.target cloud-final.service",
        );
    });
    kit.is_found_by("SK0203", "cloud-final.service");
}

#[test]
fn sk0204_a_start_that_waits() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.edit("user-data", "\"start\", \"--no-block\"", "\"start\""));
    kit.is_found_by("SK0204", "there is no --no-block");
}

#[test]
fn sk0204_a_command_that_waits_for_what_runs_it() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit("user-data", "\nruncmd:\n", "\nruncmd:\n  - \"cloud-init status --wait\"\n");
    });
    kit.is_found_by("SK0204", "waits for cloud-init");
}

#[test]
fn sk0205_a_oneshot_that_starts_what_waits_for_it() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit_written(
            "say \"checking the payload",
            "systemctl start k3s-agent\nsay \"checking the payload",
        )
    });
    kit.is_found_by("SK0205", "it starts `k3s-agent.service`");
}

#[test]
fn sk0206_k3s_after_the_ops_packages() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit_written(
            "Wants=network-online.target seedkit-clock.service\nRequires=seedkit-stage.service",
            "Wants=network-online.target seedkit-clock.service\nRequires=seedkit-stage.service k8s-ops-packages.service",
        );
    });
    kit.is_found_by("SK0206", "k3s-agent.service: Requires=");
}

#[test]
fn sk0207_a_unit_that_systemd_kills_after_90_seconds() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.edit_written("TimeoutStartSec=0\n", ""));
    kit.is_found_by("SK0207", "TimeoutStartSec=");
}

#[test]
fn sk0207_a_unit_that_takes_its_pods_along() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| disc.edit_written("KillMode=process", "KillMode=control-group"));
    kit.is_found_by("SK0207", "it is `control-group`, not process");
}

#[test]
fn sk0208_a_marker_of_the_other_role() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        let text = disc.read("user-data");
        disc.write(
            "user-data",
            text.replace("marker='/var/lib/k3s-agent-bootstrap'", "marker='/var/lib/k3s-bootstrap'"),
        );
    });
    kit.is_found_by("SK0208", "not `/var/lib/k3s-agent-bootstrap`");
}

#[test]
fn sk0209_a_variable_that_nobody_sets() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit_written("images=/var/lib/seedkit/images.txt", "images=$SEED_BASE/images.txt")
    });
    kit.is_found_by("SK0209", "$SEED_BASE is used and nowhere set");
}

#[test]
fn sk0209_a_program_that_is_not_there() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.edit_written("ExecStart=/usr/local/sbin/seedkit-clock", "ExecStart=/usr/local/bin/set-clock")
    });
    kit.is_found_by("SK0209", "`/usr/local/bin/set-clock` is not in the seed");
}

#[test]
fn sk0210_a_library_with_the_names_of_its_caller() {
    let kit = BrokenKit::lab();
    kit.seed(NODE, |disc| {
        disc.place("/opt/lib/common.sh", "0644", "#!/bin/sh\nset -eu\nscript_dir=/opt/lib\n");
        disc.place(
            "/opt/boot.sh",
            "0755",
            "#!/bin/sh\nset -eu\nscript_dir=/opt\n. /opt/lib/common.sh\nls \"$script_dir\"\n",
        );
    });
    kit.is_found_by("SK0210", "`/opt/lib/common.sh` sets $script_dir, too");
}
