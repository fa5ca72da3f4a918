//! What all commands take.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use crate::cli::progress::Display;

/// Whether errors are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What all commands take.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// The spec.
    #[arg(
        short,
        long,
        global = true,
        env = "SEEDKIT_FILE",
        default_value = "seedkit.yaml",
        value_name = "FILE"
    )]
    pub file: PathBuf,
    /// The folder of keys and tokens [default: `secrets` beside the spec].
    #[arg(long, global = true, env = "SEEDKIT_SECRETS", value_name = "DIR")]
    pub secrets: Option<PathBuf>,
    /// The store shared by all builds [default: $XDG_CACHE_HOME/seedkit].
    #[arg(long, global = true, env = "SEEDKIT_CACHE_DIR", value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// How many transfers and hashes run at once.
    #[arg(short, long, global = true, env = "SEEDKIT_JOBS", default_value_t = 8, value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: u16,
    /// How often a request that fails in passing is sent again, as long as nothing of its answer comes.
    #[arg(long, global = true, env = "SEEDKIT_RETRIES", default_value_t = 4, value_name = "N",
          value_parser = clap::value_parser!(u16).range(..=1000))]
    pub retries: u16,
    /// For how long that is done; also the longest wait that a server may ask for.
    #[arg(long, global = true, env = "SEEDKIT_RETRY_FOR", default_value_t = 600, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(..=604_800))]
    pub retry_for: u64,
    /// When something cannot be fetched, finish the rest, then list what failed (exit 1).
    #[arg(long, global = true)]
    pub keep_going: bool,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Show no progress, only warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Name each image, file and artifact when it is done.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// How progress is shown.
    #[arg(long, global = true, env = "SEEDKIT_PROGRESS", value_enum, default_value_t, value_name = "HOW")]
    pub progress: Display,
    /// Whether errors are coloured.
    #[arg(long, global = true, env = "SEEDKIT_COLOR", value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// Refuse to resolve anything anew: the lock must be there and fit the spec.
    #[arg(long, global = true, env = "SEEDKIT_LOCKED", value_parser = FalseyValueParser::new())]
    pub locked: bool,
    /// Refuse the network: everything must be local or in the store.
    #[arg(long, global = true, env = "SEEDKIT_OFFLINE", value_parser = FalseyValueParser::new())]
    pub offline: bool,
}
