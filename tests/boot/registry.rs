//! The near side of the air gap: `seedkit serve` with the kit, at the address that the seeds name.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::kit::Kit;
use crate::lan::{ADDRESS, Lan};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running registry.
pub(crate) struct Registry(Child);

impl Registry {
    /// Serves a kit on the link.
    pub(crate) fn start(lan: &Lan, kit: &Kit) -> Self {
        let address = format!("{ADDRESS}:5000");
        let mut serve = lan.command(env!("CARGO_BIN_EXE_seedkit"));
        serve.arg("serve").arg(kit.path("kit")).args(["--listen", &address]);
        let serve = serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Self(serve.spawn().unwrap());
        let deadline = Instant::now() + PATIENCE;
        let answers = || {
            let mut curl = lan.command("curl");
            curl.args(["--silent", "--fail", "--cacert"]).arg(kit.path("kit/registry/ca.crt"));
            curl.arg(format!("https://{address}/v2/")).output().unwrap().status.success()
        };
        while !answers() {
            assert!(Instant::now() < deadline, "the registry does not start");
            std::thread::sleep(Duration::from_millis(200));
        }
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // This is `nsenter`; the registry itself ends with the link.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}
