//! One emulated machine: its disk, its seed, its console, and the way in.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use fs_err as fs;

use crate::evidence::Evidence;
use crate::image::image;
use crate::kit::{Kit, address, mac};
use crate::lan::Lan;
use crate::tools::{as_root, command, finish};

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
    /// What the network card is.
    pub(crate) card: Card,
}

impl<'a> Boot<'a> {
    /// A boot with a disc and nothing wrong.
    pub(crate) fn with(seed: &'a Path) -> Self {
        Self { clock: "utc", seed: Some(seed), drive: Drive::Cdrom, card: Card::Own }
    }
}

/// The network card of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Card {
    /// That of the spec.
    Own,
    /// One with another address.
    Another,
    /// That of the spec, without its cable.
    Unplugged,
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
        let Boot { clock, seed, drive, card } = boot;
        let mac = if card == Card::Another { "52:54:00:ff:ff:ff" } else { mac(self.name) };
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
            .args(["-device", &format!("virtio-net-pci,netdev=link,id=card,mac={mac}")])
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
        let monitor = if card == Card::Unplugged { "stdio" } else { "none" };
        let mut qemu = qemu.args(["-monitor", monitor]).stdin(Stdio::piped()).spawn().unwrap();
        let mut input = qemu.stdin.take().unwrap();
        if card == Card::Unplugged {
            input.write_all(b"set_link card off\n").unwrap();
        }
        self.boots += 1;
        self.qemu = Some(qemu);
    }

    /// Waits until the console shows a text, and returns all that it shows.
    pub(crate) fn shows(&mut self, text: &str) -> String {
        self.wait_for(&format!("`{text}` on the console"), |guest| guest.shown().contains(text));
        self.shown()
    }

    /// Returns what the console shows, of all boots.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.console).unwrap()).into_owned()
    }

    /// Lets the machine run until its processor has worked for so many seconds, or the console shows a text; then ends
    /// it as a power cut does.
    pub(crate) fn cut_power_after(&mut self, seconds: u64, text: &str) {
        self.wait_for("its first steps", |guest| guest.worked() >= seconds || guest.shown().contains(text));
        self.cut_power();
    }

    /// Ends the machine as a power cut does: what the guest has not written to its disk is lost.
    pub(crate) fn cut_power(&mut self) {
        finish(as_root("kill").args(["-9", &self.process().to_string()]));
        self.wait_for("the end", |guest| guest.has_ended());
        self.qemu = None;
    }

    /// Waits until the machine has restarted itself once, which ends QEMU, and switches it on again.
    pub(crate) fn restart(&mut self, boot: Boot) {
        self.wait_for("the end", |guest| guest.has_ended());
        self.qemu = None;
        self.start(boot);
    }

    /// Returns a file on the disk of a machine that is off, as the next boot will find it.
    pub(crate) fn file(&self, path: &str) -> String {
        assert!(self.qemu.is_none(), "{} is running", self.name);
        // It ends with 1 if it has done something, such as what the journal says.
        let _mended = command("e2fsck").args(["-fy"]).arg(&self.disk).output().unwrap();
        let mut cat = command("debugfs");
        String::from_utf8(finish(cat.args(["-R", &format!("cat {path}")]).arg(&self.disk)).stdout).unwrap()
    }

    /// Returns the seconds of the processor that QEMU has had.
    fn worked(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process())).unwrap_or_default();
        // After the name, in brackets; then `utime` and `stime` are the twelfth and thirteenth, in hundredths.
        let numbers = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
        numbers.map(|number| number.parse::<u64>().unwrap()).sum::<u64>() / 100
    }

    /// Returns QEMU's process, which is a descendant of the one that was started.
    fn process(&self) -> u32 {
        let mut id = self.qemu.as_ref().unwrap().id();
        let child =
            |id: u32| fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        while let Some(next) = child(id).split_whitespace().next().and_then(|next| next.parse().ok()) {
            id = next;
        }
        id
    }

    /// Waits until the guest has settled, and returns what it looks like from inside.
    pub(crate) fn look(&mut self) -> Evidence {
        self.wait_for("an answer to SSH", |guest| guest.ssh(&[], "true").output().unwrap().status.success());
        let mut probe = self.ssh(&[], "sudo python3 -");
        let mut probe =
            probe.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        probe.stdin.take().unwrap().write_all(PROBE.as_bytes()).unwrap();
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
        let log = self.shown();
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
