//! What a node becomes from its seed: its files, units and commands, whoever places them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Seed;
use super::disc::{ARCHIVES, Archive, DiscFile, DiscView, EXECUTABLE};
use super::shell::{Statement, statements};
use super::text::Text;
use super::unit::Unit;
use crate::cluster::executable::Executable;
use crate::digest::Digest;
use crate::seed::UserDataFormat;
use crate::spec::Role;
use crate::yaml::{self, Value};

/// Where systemd looks for an administrator's units.
const UNITS: &str = "/etc/systemd/system/";
/// Where k3s reads what it is told.
pub(in crate::check) const K3S_CONFIG: &str = "/etc/rancher/k3s/config.yaml";
/// Where k3s reads what it is told of registries.
pub(in crate::check) const REGISTRIES: &str = "/etc/rancher/k3s/registries.yaml";
/// Where servers look for what they apply to the cluster.
pub(in crate::check) const MANIFESTS: &str = "/var/lib/rancher/k3s/server/manifests/";
/// Where the cluster's own authorities lie on a server.
pub(in crate::check) const AUTHORITIES: &str = "/var/lib/rancher/k3s/server/tls/";
/// Where the files of a payload lie on a disc.
const ROOT: &str = "payload/root";

/// Who places a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Source {
    /// cloud-init, from user-data.
    Written,
    /// Staging, from the node's own disc or that of all nodes.
    Payload,
}

/// A file on a node.
#[derive(Debug, Clone)]
pub(in crate::check) struct PlacedFile {
    /// Where it is in the seed.
    pub(in crate::check) place: String,
    /// Its permission bits, as they are written.
    pub(in crate::check) mode: Option<String>,
    pub(in crate::check) source: Source,
    /// Its bytes, if they are few.
    pub(in crate::check) text: Option<Text>,
    pub(in crate::check) digest: Option<Digest>,
    pub(in crate::check) size: u64,
    pub(in crate::check) executable: Option<Arc<Executable>>,
    /// What is in it, if it is an archive of which the kit has no other copy.
    pub(in crate::check) archive: Option<Arc<Archive>>,
}

impl PlacedFile {
    /// Returns what a person would see in it, if it is small.
    pub(in crate::check) fn content(&self) -> Option<Cow<'_, str>> {
        self.text.as_ref().map(Text::text)
    }

    /// Returns the text if it is a script for sh or bash; what stands in for k3s in a lab is none of the node's own.
    pub(in crate::check) fn script(&self) -> Option<String> {
        let text = self.content().filter(|_| self.executable.is_none())?;
        let first = text.lines().next()?;
        let is_shell = first.starts_with("#!")
            && first.split(['/', ' ']).any(|word| ["sh", "bash", "dash"].contains(&word.trim_end()));
        is_shell.then(|| text.into_owned())
    }
}

/// A script for sh on a node.
#[derive(Debug)]
pub(in crate::check) struct Script<'a> {
    /// Its path on the node.
    pub(in crate::check) path: &'a str,
    /// Where it is in the seed.
    pub(in crate::check) place: &'a str,
    pub(in crate::check) text: String,
}

impl Script<'_> {
    /// Returns the simple commands that it runs, each with its place.
    pub(in crate::check) fn statements(&self) -> Vec<(String, Statement)> {
        statements(&self.text).into_iter().map(|one| (self.line(one.line), one)).collect()
    }

    /// Returns the place of one of its lines.
    pub(in crate::check) fn line(&self, number: usize) -> String {
        format!("{}: line {number}", self.place)
    }
}

/// When a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Stage {
    /// Very early at every boot.
    Boot,
    /// At the end of the first boot.
    Run,
    /// In the installer.
    Install,
}

/// A command of user-data.
#[derive(Debug, Clone)]
pub(in crate::check) struct Command {
    pub(in crate::check) stage: Stage,
    /// Such as `user-data: runcmd[2]`.
    pub(in crate::check) place: String,
    pub(in crate::check) value: yaml::Node,
}

impl Command {
    /// Returns the simple commands that it runs.
    pub(in crate::check) fn statements(&self) -> Vec<Statement> {
        if !matches!(self.value.value, Value::Sequence(_)) {
            return statements(&self.value.written);
        }
        let words: Vec<String> = self.value.items().iter().map(|node| node.written.clone()).collect();
        match words.as_slice() {
            [shell, option, script, ..] if shell.ends_with("sh") && option.starts_with('-') => {
                statements(script)
            }
            _ => vec![Statement { line: 1, words, ..Statement::default() }],
        }
    }

    /// Returns the simple commands that it runs, each with its place.
    pub(in crate::check) fn placed(&self) -> Vec<(String, Statement)> {
        self.statements().into_iter().map(|one| (self.place.clone(), one)).collect()
    }

    /// Returns the words of all that it runs.
    pub(in crate::check) fn words(&self) -> Vec<String> {
        self.statements().into_iter().flat_map(|one| one.words).collect()
    }
}

/// A node as its seed makes it.
#[derive(Debug)]
pub(in crate::check) struct Node {
    pub(in crate::check) name: String,
    pub(in crate::check) role: Role,
    /// The path of its disc in the kit.
    pub(in crate::check) seed: String,
    /// The platform, as far as anything says it.
    pub(in crate::check) platform: Option<String>,
    pub(in crate::check) user_data: Text,
    pub(in crate::check) meta_data: Text,
    pub(in crate::check) network_config: Option<Text>,
    /// All of user-data, if it can be read.
    pub(in crate::check) user: Option<yaml::Node>,
    /// What configures the node's own first boot: user-data, or a part of it for the installer.
    pub(in crate::check) cloud_config: Option<yaml::Node>,
    /// What Ubuntu's installer is told.
    pub(in crate::check) autoinstall: Option<yaml::Node>,
    /// What k3s is told.
    pub(in crate::check) k3s_config: Option<yaml::Node>,
    /// The network's description, without the mapping that may be around it, and where it is.
    pub(in crate::check) network: Option<(&'static str, yaml::Node)>,
    /// Every file by its path on the node.
    pub(in crate::check) files: BTreeMap<String, PlacedFile>,
    /// Every unit by its name.
    pub(in crate::check) units: BTreeMap<String, Unit>,
    pub(in crate::check) commands: Vec<Command>,
    pub(in crate::check) disc: DiscView,
}

impl Node {
    /// Puts a node together; `None` if cloud-init would find no seed.
    pub(super) fn of(seed: &Seed, shared: Option<&DiscView>) -> Option<Self> {
        let disc = seed.disc.clone().filter(DiscView::has_names)?;
        let user_data = disc.text("user-data")?.clone();
        let meta_data = disc.text("meta-data")?.clone();
        let user = user_data.root().filter(|_| !UserDataFormat::of(&user_data.bytes).is_opaque());
        let autoinstall = user.as_ref().and_then(|user| user.at(&["autoinstall"])).cloned();
        let cloud_config = match &autoinstall {
            Some(installer) => installer.at(&["user-data"]).cloned(),
            None => user.clone(),
        };
        let mut files = payload(&disc, shared);
        files.extend(cloud_config.iter().flat_map(written));
        let units = files.iter().filter_map(|(path, file)| unit(path, file)).collect();
        let network_config = disc.text("network-config").cloned();
        let network = network(autoinstall.as_ref(), network_config.as_ref());
        let k3s_config = files.get(K3S_CONFIG).and_then(|file| file.text.as_ref()?.root());
        let (boot, run) = (Stage::Boot, Stage::Run);
        let mut commands = Vec::new();
        for (key, stage) in [("bootcmd", boot), ("runcmd", run)] {
            commands.extend(cloud_config.iter().flat_map(|config| commands_of(config, key, stage)));
        }
        for key in ["early-commands", "late-commands", "error-commands"] {
            commands.extend(autoinstall.iter().flat_map(|config| commands_of(config, key, Stage::Install)));
        }
        Some(Self {
            name: seed.name.clone(),
            role: seed.billed.as_ref().map_or(Role::Agent, |node| node.role),
            seed: seed.path.clone(),
            platform: seed.billed.as_ref().map(|node| node.platform.to_string()),
            network_config,
            user_data,
            meta_data,
            user,
            cloud_config,
            autoinstall,
            k3s_config,
            network,
            files,
            units,
            commands,
            disc,
        })
    }

    /// Returns whether it runs the control plane.
    pub(in crate::check) fn is_server(&self) -> bool {
        self.role == Role::Server
    }

    /// Returns whether its own disc has something for staging.
    pub(in crate::check) fn has_payload(&self) -> bool {
        self.disc.files.keys().any(|path| path.starts_with("payload/"))
    }

    /// Returns a file of the node, if it is small.
    pub(in crate::check) fn text(&self, path: &str) -> Option<&Text> {
        self.files.get(path)?.text.as_ref()
    }

    /// Returns a file of the node as YAML.
    pub(in crate::check) fn yaml(&self, path: &str) -> Option<yaml::Node> {
        self.text(path)?.root()
    }

    /// Returns the files below a folder, by their paths on the node.
    pub(in crate::check) fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &PlacedFile)> {
        let files = self.files.iter().filter(move |(path, _)| path.starts_with(folder));
        files.map(|(path, file)| (path.as_str(), file))
    }

    /// Returns what k3s is told under a key.
    pub(in crate::check) fn setting(&self, key: &str) -> Option<&yaml::Node> {
        self.k3s_config.as_ref()?.at(&[key])
    }

    /// Returns the text that k3s is told under a key.
    pub(in crate::check) fn setting_text(&self, key: &str) -> Option<String> {
        self.setting(key)?.text()
    }

    /// Returns all texts that k3s is told under a key: one, or a list.
    pub(in crate::check) fn setting_texts(&self, key: &str) -> Vec<String> {
        self.setting(key).map(yaml::Node::texts).unwrap_or_default()
    }

    /// Returns the network cards that are described, by name.
    pub(in crate::check) fn cards(&self) -> &[(yaml::Key, yaml::Node)] {
        self.network.as_ref().map_or(&[], |(_, network)| network.entries_at(&["ethernets"]))
    }

    /// Returns the texts of the disc itself that are there, but for user-data.
    pub(in crate::check) fn seed_texts(&self) -> impl Iterator<Item = (&'static str, &Text)> {
        let network = self.network_config.as_ref().map(|text| ("network-config", text));
        [("meta-data", &self.meta_data)].into_iter().chain(network)
    }

    /// Returns every script for sh on the node that was made for it.
    pub(in crate::check) fn scripts(&self) -> impl Iterator<Item = Script<'_>> {
        self.files
            .iter()
            .filter_map(|(path, file)| Some(Script { path, place: &file.place, text: file.script()? }))
    }

    /// Returns one script for sh.
    pub(in crate::check) fn script(&self, path: &str) -> Option<Script<'_>> {
        let (path, file) = self.files.get_key_value(path)?;
        Some(Script { path, place: &file.place, text: file.script()? })
    }

    /// Returns every command of the node's units, with its place.
    pub(in crate::check) fn unit_commands(&self) -> impl Iterator<Item = (String, &str)> {
        self.units.iter().flat_map(|(name, unit)| {
            let commands = unit.commands().into_iter();
            commands.map(move |(key, command)| (format!("{name}: {key}="), command))
        })
    }

    /// Returns every statement of the node's scripts and units, with its place.
    pub(in crate::check) fn statements_of_files(&self) -> Vec<(String, Statement)> {
        let of_scripts = self.scripts().flat_map(|script| script.statements());
        let of_units = self.unit_commands().flat_map(|(place, command)| {
            statements(command).into_iter().map(move |one| (place.clone(), one))
        });
        of_scripts.chain(of_units).collect()
    }

    /// Returns every statement that the node runs, with its place.
    pub(in crate::check) fn statements(&self) -> Vec<(String, Statement)> {
        self.commands.iter().flat_map(Command::placed).chain(self.statements_of_files()).collect()
    }
}

fn network(
    autoinstall: Option<&yaml::Node>,
    network_config: Option<&Text>,
) -> Option<(&'static str, yaml::Node)> {
    let (place, root) = match autoinstall {
        Some(installer) => ("user-data: autoinstall.network", installer.at(&["network"])?.clone()),
        None => ("network-config", network_config?.root()?),
    };
    let inner = root.at(&["network"]).cloned();
    Some((place, inner.unwrap_or(root)))
}

fn commands_of(config: &yaml::Node, key: &str, stage: Stage) -> Vec<Command> {
    let command = |(index, value): (usize, &yaml::Node)| Command {
        stage,
        place: format!("user-data: {key}[{index}]"),
        value: value.clone(),
    };
    config.items_at(&[key]).iter().enumerate().map(command).collect()
}

fn unit(path: &str, file: &PlacedFile) -> Option<(String, Unit)> {
    let name = path.strip_prefix(UNITS)?;
    (!name.contains('/')).then(|| (name.to_owned(), Unit::parse(&file.content().unwrap_or_default())))
}

/// Returns what cloud-init writes.
fn written(config: &yaml::Node) -> Vec<(String, PlacedFile)> {
    let file = |(index, item): (usize, &yaml::Node)| {
        let text = |key: &str| item.text_at(&[key]);
        let path = text("path")?;
        let content = text("content").unwrap_or_default();
        let bytes = match text("encoding").as_deref() {
            None | Some("text/plain") => content.into_bytes(),
            Some("b64" | "base64") => STANDARD.decode(content.trim()).ok()?,
            Some(_) => Vec::new(),
        };
        let placed = PlacedFile {
            place: format!("user-data: write_files[{index}]: {path}"),
            mode: text("permissions"),
            source: Source::Written,
            digest: Some(Digest::sha256(&bytes)),
            size: bytes.len() as u64,
            text: Some(Text { bytes }),
            executable: None,
            archive: None,
        };
        Some((path, placed))
    };
    config.items_at(&["write_files"]).iter().enumerate().filter_map(file).collect()
}

/// Returns what staging places.
fn payload(disc: &DiscView, shared: Option<&DiscView>) -> BTreeMap<String, PlacedFile> {
    let lines = |name: &str| -> Vec<(String, String)> {
        let text = disc.text(&format!("payload/{name}")).map(|text| text.text().into_owned());
        let line = |line: &str| line.split_once(' ').map(|(one, two)| (one.to_owned(), two.to_owned()));
        text.unwrap_or_default().lines().filter_map(line).collect()
    };
    let modes: BTreeMap<String, String> =
        lines("FILES").into_iter().map(|(mode, path)| (path, mode)).collect();
    let placed = |place: String, path: &str, file: &DiscFile| PlacedFile {
        place,
        mode: modes.get(path).cloned(),
        source: Source::Payload,
        text: file.text.clone(),
        digest: Some(file.digest),
        size: file.size,
        executable: file.executable.clone().filter(|_| path == EXECUTABLE),
        archive: file.archive.clone().filter(|_| ARCHIVES.iter().any(|folder| path.starts_with(folder))),
    };
    let mut files = BTreeMap::new();
    for (place, file) in &disc.files {
        let Some(path) = place.strip_prefix(ROOT) else { continue };
        files.insert(path.to_owned(), placed(place.clone(), path, file));
    }
    for (digest, path) in lines("SHARED") {
        let place = format!("sha256/{digest}");
        if let Some(file) = shared.and_then(|disc| disc.files.get(&place)) {
            let placed = placed(format!("payload.iso: {place}"), &path, file);
            files.insert(path, placed);
        }
    }
    files
}
