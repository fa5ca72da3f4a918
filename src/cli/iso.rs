//! `seedkit iso`

use std::path::PathBuf;

use clap::Args;

use crate::cli::session::{Session, Workplace};
use crate::cli::{Answer, interrupt};
use crate::net::DnsLabel;
use crate::ops::iso::{self, Options, WrittenDisc};
use crate::progress::Bytes;
use crate::spec::{Node, Spec};

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit iso                          the seeds of all nodes, into ./seeds
  seedkit iso --node k3s-worker2       one node's, after its MAC address changed
  seedkit iso --node k3s-worker1 --node k3s-worker2 -o out";

/// Arguments of `seedkit iso`.
#[derive(Debug, Args)]
pub(super) struct IsoArguments {
    /// Only this node; may be given several times.
    #[arg(long = "node", value_name = "NAME")]
    nodes: Vec<String>,
    /// The folder for the ISOs.
    #[arg(short, long, env = "SEEDKIT_OUTPUT", default_value = "seeds", value_name = "DIR")]
    output: PathBuf,
}

pub(super) fn run(arguments: IsoArguments, session: &Session) -> anyhow::Result<Answer> {
    let IsoArguments { nodes, output } = arguments;
    let workplace = session.workplace()?;
    let nodes = chosen(&workplace.spec, &nodes)?;
    let prepared = session.prepare(workplace)?;
    let Workplace { spec, store, .. } = &prepared.workplace;
    interrupt::clean(output.clone());
    let nodes: Vec<&Node> = spec.nodes.iter().filter(|node| nodes.contains(&node.name)).collect();
    let options = Options { parts: prepared.parts(), nodes: &nodes, output: &output };
    let outcome = iso::run(&options, &session.equipment(store))?;
    session.console.print_step_table();
    let line = |seed: &WrittenDisc| format!("{}: {}\n", seed.path.display(), Bytes(seed.artifact.size));
    session.show("iso", &outcome, |outcome| outcome.seeds.iter().map(line).collect())
}

/// Returns the names of the nodes that were asked for, all of them if none was.
fn chosen(spec: &Spec, names: &[String]) -> anyhow::Result<Vec<DnsLabel>> {
    let known: Vec<&str> = spec.nodes.iter().map(|node| node.name.as_str()).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        anyhow::bail!("there is no node `{name}`; the spec has {}", known.join(", "));
    }
    let is_chosen = |name: &DnsLabel| names.is_empty() || names.iter().any(|chosen| chosen == name.as_str());
    Ok(spec.nodes.iter().map(|node| node.name.clone()).filter(is_chosen).collect())
}
