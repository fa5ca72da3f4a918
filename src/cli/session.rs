//! What the commands share: the spec, the store, the sources, the lock.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use crate::cli::global::Global;
use crate::cli::progress::{Console, Display};
use crate::cli::{Answer, environment, interrupt, ui};
use crate::epoch::Epoch;
use crate::fetch::Equipment;
use crate::fetch::sources::{Network, Sources};
use crate::fs::{LARGEST, Sharing, read_text};
use crate::lockfile::{FILE_NAME, Locked, Lockfile};
use crate::ops::{finding_event, inputs, lock, parts};
use crate::progress::Reporter;
use crate::registry::{ClientOptions, RetryPolicy};
use crate::secrets::Secrets;
use crate::spec::{self, Spec};
use crate::store::DiskStore;

/// How many seconds a download that nobody continues stays in the store: a week.
const PARTIALS_KEPT: u64 = 7 * 24 * 60 * 60;

/// Whether what is written may share files with the store.
#[derive(Debug, Args)]
pub(super) struct SharingArguments {
    /// Copy blobs, where they would be second names (hard links) of the store's files.
    #[arg(long)]
    copy: bool,
}

impl SharingArguments {
    pub(super) fn get(&self) -> Sharing {
        if self.copy { Sharing::None } else { Sharing::Links }
    }
}

/// One run of the program.
pub(super) struct Session {
    pub(super) global: Global,
    /// Shared with what waits for servers.
    pub(super) console: Arc<Console>,
}

/// Says that there is no lock where one must be.
#[derive(Debug, thiserror::Error)]
#[error("there is no `{0}`")]
pub(super) struct NoLock(pub(super) PathBuf);

/// What most commands need, opened.
pub(super) struct Workplace {
    pub(super) spec: Spec,
    pub(super) sources: Sources,
    pub(super) store: DiskStore,
}

/// All that seeds and kits are made from, opened and locked.
pub(super) struct Prepared {
    pub(super) workplace: Workplace,
    locked: Locked,
    secrets: Secrets,
    now: Epoch,
}

impl Prepared {
    /// Returns what kits and seeds are made from.
    pub(super) fn parts(&self) -> parts::Options<'_> {
        let Self { workplace: Workplace { spec, sources, store: _ }, locked, secrets, now } = self;
        parts::Options { spec, locked, sources, secrets, now: *now }
    }
}

impl Session {
    pub(super) fn new(global: Global) -> Self {
        let display = if global.quiet { Display::None } else { global.progress };
        let console = Arc::new(Console::new(display, global.verbose));
        Self { global, console }
    }

    /// Reads the spec; its warnings are shown.
    pub(super) fn spec(&self) -> anyhow::Result<Spec> {
        let (spec, warnings) = spec::load(&self.global.file)?;
        inputs::outside_secrets(&spec, &self.secrets_folder(&spec))?;
        // Where the lock is written.
        interrupt::clean(spec.folder.clone());
        for warning in warnings {
            self.console.report(finding_event(&self.global.file.display().to_string(), &warning));
        }
        Ok(spec)
    }

    /// Opens the store.
    pub(super) fn store(&self) -> anyhow::Result<DiskStore> {
        let folder = self.global.cache_dir.clone().map_or_else(environment::default_cache_folder, Ok)?;
        for algorithm in ["sha256", "sha512"] {
            interrupt::clean(folder.join(algorithm));
        }
        let store = DiskStore::open(&folder)
            .with_context(|| format!("cannot open the store `{}`", folder.display()))?;
        let oldest = environment::clock()?.seconds().saturating_sub(PARTIALS_KEPT);
        // What cannot be removed is left to the next run; whether the store can be used is found out by using it.
        let _best_effort = store.forget_partials(oldest);
        Ok(store)
    }

    /// Opens everything that most commands need.
    pub(super) fn workplace(&self) -> anyhow::Result<Workplace> {
        let spec = self.spec()?;
        let store = self.store()?;
        let sources = Sources::new(&spec, &store, self.network())?;
        Ok(Workplace { spec, sources, store })
    }

    /// Returns what operations work with.
    pub(super) fn equipment<'a>(&'a self, store: &'a DiskStore) -> Equipment<'a> {
        Equipment {
            store,
            jobs: usize::from(self.global.jobs),
            keep_going: self.global.keep_going,
            reporter: &self.console,
            variable: &environment::variable,
        }
    }

    fn secrets_folder(&self, spec: &Spec) -> PathBuf {
        self.global.secrets.clone().unwrap_or_else(|| spec.folder.join("secrets"))
    }

    /// Opens the secrets folder, which is made if it is missing.
    pub(super) fn secrets(&self, spec: &Spec) -> anyhow::Result<Secrets> {
        let folder = self.secrets_folder(spec);
        interrupt::clean(folder.clone());
        let secrets = Secrets::open(&folder)?;
        if secrets.is_seen_by_git() {
            self.console.warn(format!(
                "git does not pass over `{}`: write a line `*` into the .gitignore in it",
                folder.display()
            ));
        }
        Ok(secrets)
    }

    /// Locks the spec where there is no lock yet, and opens the secrets.
    pub(super) fn prepare(&self, workplace: Workplace) -> anyhow::Result<Prepared> {
        // Secrets that cannot be kept are a reason to stop before anything is asked of a network or written.
        let secrets = self.secrets(&workplace.spec)?;
        let locked = self.locked(&workplace).inspect_err(|_| secrets.forget_unused())?;
        Ok(Prepared { workplace, locked, secrets, now: environment::clock()? })
    }

    /// Prints the result of a command: as JSON where that is asked for, else as `text` says it to people.
    pub(super) fn show<R: Serialize>(
        &self,
        command: &str,
        result: &R,
        text: impl FnOnce(&R) -> String,
    ) -> anyhow::Result<Answer> {
        if self.global.json { ui::print_json(command, result) } else { ui::print(&text(result)) }
    }

    /// Returns where the lock is, or will be.
    pub(super) fn lock_path(&self) -> PathBuf {
        self.global.file.with_file_name(FILE_NAME)
    }

    /// Reads the lock; `None` if there is none.
    pub(super) fn lockfile(&self) -> anyhow::Result<Option<Lockfile>> {
        let path = self.lock_path();
        let text = match read_text(&path, LARGEST) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let lockfile = text.parse().with_context(|| format!("cannot use `{}`", path.display()))?;
        Ok(Some(lockfile))
    }

    /// Returns the lock that fits the spec; makes one if there is none, and says so.
    pub(super) fn locked(&self, workplace: &Workplace) -> anyhow::Result<Locked> {
        let lockfile = match self.lockfile()? {
            Some(lockfile) => lockfile,
            None if self.global.locked => {
                let missing = anyhow::Error::new(NoLock(self.lock_path()));
                return Err(missing.context("--locked forbids making a lock"));
            }
            None => {
                let text = format!("there is no {FILE_NAME}: making one; review it and commit it");
                self.console.note(text);
                self.make_lock(workplace, None)?.lockfile
            }
        };
        let Workplace { spec, sources, store } = workplace;
        Ok(lock::check(spec, lockfile, sources, &self.equipment(store))?)
    }

    /// Resolves everything and writes the lock.
    pub(super) fn make_lock(
        &self,
        workplace: &Workplace,
        previous: Option<&Lockfile>,
    ) -> anyhow::Result<lock::Fresh> {
        let Workplace { spec, sources, store } = workplace;
        let equipment = self.equipment(store);
        let epoch = environment::epoch()?;
        let fresh = crate::progress::step(&self.console, "lock", || {
            let options = lock::Options { spec, sources, epoch, now: environment::clock()?, previous };
            let fresh = lock::run(&options, &equipment)?;
            let lockfile = &fresh.lockfile;
            let packages = lockfile.packages.as_ref().map_or(0, |locked| locked.packages.len());
            let (images, files) = (lockfile.images.len(), lockfile.files.len());
            let summary = format!("{images} images, {files} files, {packages} packages");
            anyhow::Ok((fresh, summary))
        })?;
        write_lock(&self.lock_path(), &fresh.lockfile)?;
        Ok(fresh)
    }

    fn network(&self) -> Network {
        if self.global.offline {
            return Network::Forbidden;
        }
        Network::Allowed(self.client_options())
    }

    /// Returns what a client of registries needs to know of this machine.
    pub(super) fn client_options(&self) -> ClientOptions {
        ClientOptions {
            ca_bundle: environment::variable("SSL_CERT_FILE").map(PathBuf::from),
            credential_files: environment::credential_files(),
            proxies: environment::proxies(),
            echo: self.console.echo().clone(),
            retry: RetryPolicy {
                attempts: u32::from(self.global.retries) + 1,
                deadline: Duration::from_secs(self.global.retry_for),
                seed: environment::jitter_seed(),
                reporter: Arc::<Console>::clone(&self.console),
                ..RetryPolicy::default()
            },
            ..ClientOptions::default()
        }
    }
}

fn write_lock(path: &Path, lockfile: &Lockfile) -> anyhow::Result<()> {
    let text = lockfile.to_string();
    if read_text(path, LARGEST).is_ok_and(|old| old == text) {
        return Ok(());
    }
    Ok(crate::fs::write_atomic(&crate::fs::follow_link(path.to_owned()), text.as_bytes(), 0o644)?)
}
