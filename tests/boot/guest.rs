//! One emulated machine: its disk, its seed, its console, and the way in.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use fs_err as fs;

use crate::evidence::Evidence;
use crate::image::image;
use crate::kit::{Kit, address, mac};
use crate::lan::Lan;

/// How long a guest may take for what it is asked: several times what it takes on two idle cores.
const PATIENCE: Duration = Duration::from_secs(30 * 60);
/// How often what is waited for is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// How much of the console a failure shows.
const LAST_LINES: usize = 60;
/// The machine: the plainest processor, which is emulated fastest, nothing but what a seed needs, and no way out.
const MACHINE: &str = "-accel tcg,thread=multi -cpu qemu64 -smp 1 -m 1024 -nodefaults -no-user-config -no-reboot \
                       -display none -device virtio-rng-pci -device virtio-scsi-pci";
/// A guest that does not find its root says so on the console, and ends. On a busy machine the emulated timer comes
/// too late for the kernel's check of it.
const KERNEL_ARGUMENTS: &str = "root=LABEL=root rw console=ttyS0 panic=1 no_timer_check";
/// Looks around in a guest when it has settled; see there.
const PROBE: &str = include_str!("probe.py");

/// A machine that is defined, and running or not.
pub(crate) struct Guest<'a> {
    pub(crate) name: &'static str,
    slot: usize,
    lan: &'a Lan,
    pub(crate) kit: &'a Kit,
    disk: PathBuf,
    console: PathBuf,
    qemu: Option<Child>,
    boots: usize,
}

/// What differs from one boot to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Boot<'a> {
    /// What the clock of the machine says; `utc` is right.
    pub(crate) clock: &'a str,
    /// The disc in the drive.
    pub(crate) seed: Option<&'a Path>,
    /// What the drive is.
    pub(crate) drive: Drive,
}

/// How a seed is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drive {
    /// A CD-ROM.
    Cdrom,
    /// A disk that cannot be written.
    Disk,
}

impl<'a> Guest<'a> {
    /// Defines the machine of a node, with a new disk, at one of the link's two ends.
    pub(crate) fn new(name: &'static str, lan: &'a Lan, slot: usize, kit: &'a Kit) -> Self {
        let disk = kit.path(&format!("{name}.disk"));
        image().copy_disk(&disk);
        let console = kit.path(&format!("{name}.console"));
        fs::write(&console, "").unwrap();
        Self { name, slot, lan, kit, disk, console, qemu: None, boots: 0 }
    }

    /// Switches the machine on.
    pub(crate) fn start(&mut self, boot: Boot) {
        assert!(self.qemu.is_none(), "{} is running already", self.name);
        let Boot { clock, seed, drive } = boot;
        let mut qemu = self.lan.command("qemu-system-x86_64");
        qemu.args(MACHINE.split_whitespace())
            .args(["-name", self.name, "-rtc", &format!("base={clock}")])
            .arg("-kernel")
            .arg(image().kernel())
            .arg("-initrd")
            .arg(image().initrd())
            .args(["-append", KERNEL_ARGUMENTS])
            .args(["-drive", &format!("file={},format=raw,if=virtio,cache=unsafe", self.disk.display())])
            .args(["-netdev", &format!("tap,id=link,ifname=tap{},script=no,downscript=no", self.slot)])
            .args(["-device", &format!("virtio-net-pci,netdev=link,mac={}", mac(self.name))])
            .args(["-chardev", &format!("file,id=console,append=on,path={}", self.console.display())])
            .args(["-serial", "chardev:console"]);
        if let Some(seed) = seed {
            let device = match drive {
                Drive::Cdrom => "scsi-cd,drive=seed",
                Drive::Disk => "virtio-blk-pci,drive=seed",
            };
            qemu.args(["-drive", &format!("file={},format=raw,if=none,id=seed,readonly=on", seed.display())])
                .args(["-device", device]);
        }
        self.boots += 1;
        self.qemu = Some(qemu.stdin(Stdio::null()).spawn().unwrap());
    }

    /// Waits until the guest has settled, and returns what it looks like from inside.
    pub(crate) fn look(&mut self) -> Evidence {
        self.wait_for("an answer to SSH", |guest| guest.ssh(&[], "true").output().unwrap().status.success());
        let mut probe = self.ssh(&[], "sudo python3 -");
        let mut probe =
            probe.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut probe.stdin.take().unwrap(), PROBE.as_bytes()).unwrap();
        let probe = std::thread::spawn(move || probe.wait_with_output().unwrap());
        self.wait_for("its state", |_| probe.is_finished());
        let Output { status, stdout, stderr } = probe.join().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        fs::write(self.kit.path(&format!("{}-{}.json", self.name, self.boots)), stdout.as_bytes()).unwrap();
        match Evidence::parse(&stdout) {
            Some(evidence) if status.success() => evidence,
            Some(_) | None => self.fail(&format!("cannot be looked at: {status}\n{stdout}\n{stderr}")),
        }
    }

    /// Runs a command in the guest as the user of the spec, who has the key of the secrets.
    pub(crate) fn ssh(&self, options: &[&str], script: &str) -> Command {
        let mut ssh = self.lan.command("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "LogLevel=ERROR"])
            .args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"])
            .args(options)
            .arg("-i")
            .arg(self.kit.ssh_key())
            .arg(format!("ops@{}", address(self.name)))
            .arg(script)
            .stdin(Stdio::null());
        ssh
    }

    /// Shuts the guest down as its administrator would, and waits until it is off.
    pub(crate) fn shut_down(&mut self) {
        // The connection may end before its answer comes.
        let _answer = self.ssh(&[], "sudo systemctl poweroff").output().unwrap();
        self.wait_for("the end", |guest| guest.has_ended());
        self.qemu = None;
    }

    /// Waits for something with a deadline.
    fn wait_for(&mut self, what: &str, mut is_there: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_there(self) {
            if what != "the end" && self.has_ended() {
                self.fail(&format!("ended while the proof waited for {what}"));
            }
            if Instant::now() > deadline {
                self.fail(&format!("has kept the proof waiting for {what}"));
            }
            std::thread::sleep(INTERVAL);
        }
    }

    fn has_ended(&mut self) -> bool {
        self.qemu.as_mut().is_none_or(|qemu| qemu.try_wait().unwrap().is_some())
    }

    fn fail(&self, what: &str) -> ! {
        let log = fs::read(&self.console).unwrap();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        panic!("{} {what}\nits console ({}) ends with:\n{last}", self.name, self.console.display());
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        if let Some(mut qemu) = self.qemu.take() {
            // This is `nsenter`; QEMU itself ends with the link.
            let _ended = qemu.kill().and_then(|()| qemu.wait());
        }
        if !std::thread::panicking() {
            fs::remove_file(&self.disk).unwrap();
        }
    }
}
