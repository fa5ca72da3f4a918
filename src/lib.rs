//! seedkit prepares, on a connected machine, everything an air-gapped k3s cluster needs, and proves that it
//! is complete before any VM boots.
//!
//! A build is a pure function:
//!
//! ```text
//! seedkit.yaml + seedkit.lock + templates + secrets + epoch  ->  kit/
//! ```
//!
//! # The words
//!
//! *spec* is what the user declares; *lock* what it resolved to; *store* the cache of contents by digest that all
//! builds share; *secrets* the keys and tokens that were made once and are inputs ever after; *kit* the finished
//! folder; *artifact* one file of it; *seed* one node's ISO.
//!
//! # The layers
//!
//! The modules below are declared in blocks, lowest first. A module uses modules of earlier blocks only, never
//! a sibling; `tests/it/architecture.rs` reads this very file and fails otherwise.
//!
//! 1. Primitives: digests, the one time of a build, names and addresses of a network, work of many
//!    threads in order, files that appear whole or not at all.
//! 2. Content: what work says ([`progress`]), blobs by digest ([`store`]), files that do not exist yet
//!    ([`tree`]), secrets, findings with a place in a text.
//! 3. Encodings: archives, strict templates, located YAML. Functions of their arguments alone: the same tree
//!    and epoch give the same bytes.
//! 4. Formats: images ([`oci`]), Debian packages and their repositories ([`deb`]), what k3s and a node take ([`k3s`],
//!    [`node`]), SSH keys, certificates, password hashes.
//! 5. Domain: what a spec means, what a lock pins, how registries are asked, how a layout is served as one, what a
//!    cluster trusts and joins with, seeds, the closure of packages and their bundle.
//!    Siblings do not know each other.
//! 6. Fetching: [`fetch`] joins the domain's parts to bring everything into the store, from whichever place gives it.
//! 7. Proof: reads finished things and never uses what wrote them; [`disc`] reads discs for the others, and
//!    [`check`] says whether all of them fit each other, also as a page.
//! 8. Operations: options in, outcome out; one for each command that does something.
//! 9. Interface: the only layer that prints, or reads arguments, environment, clock and home.
//!
//! # Where things are
//!
//! | to be read | where |
//! |---|---|
//! | what can be typed, printed and hinted at | `cli/arguments.rs` and `cli/global.rs`, `cli/NAME.rs`, `cli/hints.rs` |
//! | what a command does | `ops/NAME.rs`, of the same name; what kits and seeds have in common: `ops/parts.rs` |
//! | what the spec may say | `spec/raw.rs` (as written), `spec/model.rs` (as meant), `spec/validate/` |
//! | what the lock holds | `lockfile/mod.rs`, `lockfile/text.rs`; how it is compared: `lockfile/drift.rs` |
//! | where contents come from, one place after the other | `fetch/sources.rs`, `fetch/transfer.rs`, `fetch/files.rs` |
//! | in which order images are copied, into the store or a registry | `fetch/copy.rs` |
//! | how a server is asked, and asked again | `registry/transport.rs`, `registry/retry.rs` |
//! | how a blob is kept | `store/disk.rs`, `store/complete.rs` |
//! | images: names, manifests, layouts | `oci/reference.rs`, `oci/graph.rs`, `oci/layout.rs` |
//! | which packages are chosen, and why | `packages/closure.rs`, `packages/explanation.rs` |
//! | what a node is told | `ops/iso/setup.rs`, `seed/`, and the texts in `templates/` beside `src` |
//! | what is known to go wrong | `check/rows/*.toml`; `check/checks.rs` says which functions test which row |
//!
//! # What a change touches
//!
//! | change | what is touched |
//! |---|---|
//! | a flag | `cli/NAME.rs` or `cli/global.rs`; destructured there, so the compiler points on |
//! | a command | `cli/NAME.rs`, `ops/NAME.rs`, a variant in `cli/arguments.rs`, an arm in `cli/mod.rs` |
//! | a field of a `--json` result | the `Outcome` in `ops/NAME.rs`, and `docs/json.md`, which a test compares |
//! | a key of the spec | `spec/raw.rs`, `spec/model.rs`, `spec/validate/`, and `docs/spec.md`, which a test compares |
//! | an error | a variant beside what fails; a hint in `cli/hints/` if there is something to type |
//! | a place to pull images from | one `impl` of [`oci::ImageSource`], one arm in `fetch/sources.rs` |
//! | a known failure | a row in `check/rows/`, a function and its line in `check/checks.rs`, a test that breaks a good kit |
//! | a compression | a variant in `archive/compress` |
//! | another display of progress | one `impl` of [`progress::Reporter`] |
//! | what a node does | `templates/`, and the golden listings in `fixtures/` |
//!
//! # A build, traced
//!
//! `cli::build` turns arguments and environment into [`ops::build::Options`]. [`spec::load`] reads the spec:
//! below it nothing is a string that has a type. [`ops::lock::check`] compares the lock with what the spec wants
//! and is the only way to a [`lockfile::Locked`], which the steps take: an unlocked build does not compile.
//! After the disk pre-flight, files and the blobs of all images stream into the store, hashed as they come, each
//! once; the layout gives them second names. Tarballs, certificates and seeds follow; everything is listed,
//! read back, verified and checked; the page that shows it joins the list, and one rename publishes the kit.

pub mod digest;
pub mod epoch;
pub mod net;
pub mod parallel;

pub mod fs;

pub mod artifact;
pub mod progress;
pub mod secrets;
pub mod store;
pub mod text;
pub mod tree;

pub mod archive;
pub mod template;
pub mod yaml;

pub mod deb;
pub mod k3s;
pub mod node;
pub mod oci;
pub mod password;
pub mod pki;
pub mod ssh;

pub mod cluster;
pub mod imagelist;
pub mod lockfile;
pub mod opsbundle;
pub mod packages;
pub mod registry;
pub mod seed;
pub mod serve;
pub mod spec;

pub mod fetch;

pub mod bill;
pub mod disc;

pub mod inspect;
pub mod verify;

pub mod check;

pub mod ops;

pub mod cli;
