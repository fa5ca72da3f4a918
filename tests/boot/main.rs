//! The boot proof: real machines boot from seeds that `seedkit build` made, with no network but a link to each
//! other, and are looked at from inside.
//!
//! QEMU emulates the machines, Debian's kernel, systemd, cloud-init, OpenSSH and containerd run on them; only k3s is
//! a stand-in (`fixtures/boot/k3s`). A scenario boots its guests once and gathers what they say into evidence; each
//! test judges one claim by it. Two guests run at a time, which is what two cores can emulate.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod claims;
mod evidence;
mod guest;
mod image;
mod kit;
mod lan;
mod long;
mod pause;
mod registry;
mod scenario;
mod tools;
mod words;
