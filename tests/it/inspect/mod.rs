//! `seedkit inspect`: what it says of each kind of artifact, judged by the programs that made or read them.

pub(crate) mod bundle;
mod certificate;
mod disc;
mod hostile_bundle;
mod images;
mod kit;
mod lock;
