//! `seedkit serve`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::cli::session::Session;
use crate::cli::{Answer, environment, interrupt, ui};
use crate::ops::serve::{self, Options, Prepared};
use crate::progress::Bytes;
use crate::serve::{Limits, Stop};
use crate::text::counted;

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit serve kit                            every address, the port of the registry
  seedkit serve kit --listen 192.168.6.1:5000  one address
  curl --cacert kit/registry/ca.crt https://192.168.6.1:5000/v2/_catalog
  seedkit serve kit --print-unit | sudo tee /etc/systemd/system/seedkit-registry.service";

/// Arguments of `seedkit serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArguments {
    /// The kit.
    #[arg(default_value = "kit")]
    kit: PathBuf,
    /// Where to listen [default: every address, at the port of the kit's registry].
    #[arg(long, env = "SEEDKIT_LISTEN", value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// Ask for a name and a password of this file: lines of `name:password`, or what `htpasswd -B` writes.
    #[arg(long, env = "SEEDKIT_BASIC_AUTH_FILE", value_name = "FILE")]
    basic_auth_file: Option<PathBuf>,
    /// Connections at once; more wait.
    #[arg(long, default_value_t = 512, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_connections: u32,
    /// How long a client may take for a request, and from one to the next.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    read_timeout: u32,
    /// How long a client may take nothing of an answer.
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    write_timeout: u32,
    /// How long answers may go on after Ctrl-C or SIGTERM.
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=86_400))]
    stop_timeout: u32,
    /// Print a systemd unit that serves this kit in this way, and serve nothing.
    #[arg(long)]
    print_unit: bool,
}

#[derive(Serialize)]
struct ServeResult {
    kit: String,
    listen: String,
    registry: String,
    images: usize,
    bytes: u64,
}

pub(super) fn run(arguments: ServeArguments, session: &Session) -> anyhow::Result<Answer> {
    let ServeArguments {
        kit,
        listen,
        basic_auth_file,
        max_connections,
        read_timeout,
        write_timeout,
        stop_timeout,
        print_unit,
    } = arguments;
    let seconds = |seconds| Duration::from_secs(u64::from(seconds));
    let limits = Limits {
        connections: usize::try_from(max_connections)?,
        read_timeout: seconds(read_timeout),
        write_timeout: seconds(write_timeout),
        stop_timeout: seconds(stop_timeout),
    };
    let now = environment::clock()?;
    let options = Options { kit: &kit, listen, passwords: basic_auth_file.as_deref(), limits, now };
    if print_unit {
        return ui::print(&serve::unit(&options, &command(&options)?)?);
    }
    let prepared = serve::prepare(&options, &session.console)?;
    let stop = Stop::default();
    interrupt::instead({
        let stop = stop.clone();
        move || stop.stop()
    });
    announce(&kit, &prepared, session)?;
    prepared.run(&stop, &session.console)?;
    Ok(Answer::Yes)
}

/// Says what is served where, once: from then on it answers.
fn announce(kit: &Path, prepared: &Prepared, session: &Session) -> anyhow::Result<Answer> {
    let result = ServeResult {
        kit: kit.display().to_string(),
        listen: prepared.address.to_string(),
        registry: prepared.registry.to_string(),
        images: prepared.image_count(),
        bytes: prepared.total_size(),
    };
    session.show("serve", &result, |ServeResult { kit, listen, registry, images, bytes }| {
        let (images, bytes) = (counted(*images, "image"), Bytes(*bytes));
        format!("{kit}: {images}, {bytes} on https://{listen}, for nodes that ask {registry}\n")
    })
}

/// Returns what a unit starts: this program, with absolute paths.
fn command(options: &Options<'_>) -> anyhow::Result<Vec<String>> {
    let Options { kit, listen, passwords, limits, now: _ } = options;
    let Limits { connections, read_timeout, write_timeout, stop_timeout } = limits;
    let mut command = vec![environment::program()?, "serve".to_owned(), environment::absolute(kit)?];
    if let Some(listen) = listen {
        command.extend(["--listen".to_owned(), listen.to_string()]);
    }
    if let Some(file) = passwords {
        command.extend(["--basic-auth-file".to_owned(), environment::absolute(file)?]);
    }
    for (name, value) in [
        ("--max-connections", *connections as u64),
        ("--read-timeout", read_timeout.as_secs()),
        ("--write-timeout", write_timeout.as_secs()),
        ("--stop-timeout", stop_timeout.as_secs()),
    ] {
        command.extend([name.to_owned(), value.to_string()]);
    }
    Ok(command)
}
