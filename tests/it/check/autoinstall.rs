//! What Ubuntu's server installer makes of a seed.

use std::sync::OnceLock;

use crate::support::broken::BrokenKit;
use crate::support::sandbox::{BUILD, SPEC, Sandbox};

const NODE: &str = "k3s-worker1";

/// The lab for the installer.
fn lab() -> &'static Sandbox {
    static LAB: OnceLock<Sandbox> = OnceLock::new();
    LAB.get_or_init(|| {
        let sandbox = Sandbox::lab();
        sandbox.edit(SPEC, "seed:\n", "seed:\n  flavour: autoinstall\n  disk: {size: smallest}\n");
        sandbox.seedkit(&BUILD).succeeds();
        sandbox
    })
}

fn edited(old: &str, new: &str) -> BrokenKit {
    let kit = BrokenKit::of(&lab().path("kit"));
    kit.seed(NODE, |disc| disc.edit("user-data", old, new));
    kit
}

#[test]
fn sk0111_the_installers_own_layout_leaves_half_of_the_disk() {
    edited("\"name\": \"direct\"", "\"name\": \"lvm\"").is_found_by("SK0111", "half of the disk");
}

#[test]
fn sk0702_a_command_that_reads_the_installers_disc() {
    let kit = edited("  late-commands:\n", "  late-commands:\n    - \"ls /cdrom/payload\"\n");
    kit.is_found_by("SK0702", "`/cdrom/payload` is on the installer's disc");
}

#[test]
fn sk0703_a_setting_beside_autoinstall() {
    edited("\nautoinstall:\n", "\ntimezone: Asia/Seoul\nautoinstall:\n")
        .is_found_by("SK0703", "`timezone` stands beside");
}

#[test]
fn sk0704_the_installer_gives_up_without_a_mirror() {
    edited("\"fallback\": \"offline-install\"", "\"fallback\": \"abort\"")
        .is_found_by("SK0704", "it is `abort`");
}

#[test]
fn sk0705_a_machine_that_begins_again() {
    edited("  shutdown: \"poweroff\"", "  shutdown: \"reboot\"").is_found_by("SK0705", "it is `reboot`");
}

#[test]
fn sk0706_a_list_that_no_shell_reads() {
    let kit = edited("  late-commands:\n", "  late-commands:\n    - [\"ls\", \"/target/opt/*.deb\"]\n");
    kit.is_found_by("SK0706", "no shell reads `/target/opt/*.deb`");
}
