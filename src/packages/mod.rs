//! Which Debian packages a machine without a network needs: those asked for, and all that these need.
//!
//! A [`Universe`] is what the suites offer, a [`Baseline`] what the machine has already.
//! [`closure::solve`] chooses; [`checker`] proves every choice by reading the packages again, without the
//! solver's code. Nothing here fetches or writes.
//!
//! A loose file is a suite of its own with one package; what asks for it asks for its very version.
//!
//! The machine has one architecture: packages of others are passed over, and relations to them never hold.
//!
//! # Why
//!
//! A resolver that takes the first alternative is right for most requests and has no way out of the others:
//! of 400 random requests to Debian one failed although apt had an answer. A SAT solver with alternatives in
//! the order of preference gives the same sets, and never fails wrongly.

pub mod baseline;
pub mod checker;
pub mod closure;
pub mod explanation;
pub mod record;
pub mod request;
pub mod universe;
pub mod why;

mod scope;
mod search;
mod solver;
mod unsolvable;

#[cfg(test)]
mod files;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use baseline::Baseline;
pub use closure::{Base, Closure, Options, Selected, Unsolvable};
pub use request::Request;
pub use universe::{Origin, Suite, Universe};
pub use why::Why;
