//! `seedkit iso`

use std::path::PathBuf;

use clap::Args;

use crate::artifact::Artifact;
use crate::cli::session::{Session, Workplace};
use crate::cli::{Answer, environment, interrupt, ui};
use crate::ops::build;
use crate::progress::Bytes;
use crate::spec::{Node, Spec};

pub(super) const EXAMPLES: &str = "\
Examples:
  seedkit iso                          the seeds of all nodes, into ./seeds
  seedkit iso --node k3s-worker2       one node's, for example after its MAC address changed
  seedkit iso --node a --node b -o out";

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
    let locked = session.locked(&workplace)?;
    let Workplace { spec, sources, store } = &workplace;
    let secrets = session.secrets(spec)?;
    interrupt::clean(output.clone());
    let options = build::Options {
        spec,
        locked: &locked,
        sources,
        secrets: &secrets,
        now: environment::clock()?,
        output: &output,
        deliver: None,
    };
    let seeds = build::seeds(&options, &nodes, &session.equipment(store))?;
    session.console.print_step_table();
    if session.global.json {
        let seed = |(path, Artifact { digest, size }): &(String, Artifact)| serde_json::json!({ "path": path, "digest": digest, "size": size });
        let seeds: Vec<_> = seeds.iter().map(seed).collect();
        return ui::print_json("iso", serde_json::json!({ "seeds": seeds }));
    }
    let lines = seeds.iter().map(|(path, artifact)| format!("{path}: {}\n", Bytes(artifact.size)));
    ui::print(&lines.collect::<String>())
}

fn chosen<'a>(spec: &'a Spec, names: &[String]) -> anyhow::Result<Vec<&'a Node>> {
    if names.is_empty() {
        return Ok(spec.nodes.iter().collect());
    }
    names
        .iter()
        .map(|name| {
            spec.nodes.iter().find(|node| node.name.as_str() == name).ok_or_else(|| {
                let known: Vec<&str> = spec.nodes.iter().map(|node| node.name.as_str()).collect();
                anyhow::anyhow!("there is no node `{name}`; the spec has {}", known.join(", "))
            })
        })
        .collect()
}
