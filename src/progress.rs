//! What work says while it runs.
//!
//! Work below `cli` never prints: it tells a [`Reporter`], which cannot fail and must not block. Durations are
//! the reporter's business, because only `cli` knows a clock.

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step began; steps do not nest.
    StepStarted {
        /// The step's name, in the imperative: `mirror images`.
        step: String,
    },
    /// The current step has this much to do.
    Planned {
        /// Bytes that will be reported by [`Event::Advanced`].
        bytes: u64,
        /// Things that will be reported by [`Event::ItemFinished`].
        items: u64,
    },
    /// More of the current step's bytes are done.
    Advanced {
        /// Bytes since the last such event.
        bytes: u64,
    },
    /// One thing of the current step is done.
    ItemFinished {
        /// Its name.
        name: String,
    },
    /// The current step ended well.
    StepFinished {
        /// What it achieved, in one line.
        summary: String,
    },
    /// Something the user may want to know.
    Note {
        /// One line.
        text: String,
    },
    /// Something the user should know.
    Warning {
        /// One line.
        text: String,
    },
}

/// Listens to work.
pub trait Reporter: Send + Sync {
    /// Takes note of an event.
    fn report(&self, event: Event);
}

/// Listens, and says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _event: Event) {}
}

/// Runs one step between its two events; a step that fails has no end.
pub fn step<T, E>(
    reporter: &dyn Reporter,
    name: &str,
    work: impl FnOnce() -> Result<(T, String), E>,
) -> Result<T, E> {
    reporter.report(Event::StepStarted { step: name.to_owned() });
    let (value, summary) = work()?;
    reporter.report(Event::StepFinished { summary });
    Ok(value)
}
