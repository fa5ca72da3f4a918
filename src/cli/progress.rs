//! What the user sees while work runs: bars on a terminal, timestamped lines elsewhere; a table at the end.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::environment;
use crate::cli::table::line;
use crate::cli::ui::{is_error_seen, write_error};
use crate::progress::{Bytes, Event, Reporter};
use crate::registry::Echo;
use crate::text::plain;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Display {
    /// Bars on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// One timestamped line for each thing that happens.
    Plain,
    /// Nothing but warnings.
    None,
}

/// Lines that say a long step is alive come at most this often.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// A step that ended well.
#[derive(Debug, Clone)]
pub(super) struct FinishedStep {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub duration: Duration,
    /// What it achieved.
    pub summary: String,
}

struct Running {
    name: String,
    since: Instant,
    last_line: Instant,
    done: Amount,
    planned: Amount,
    bar: Option<ProgressBar>,
}

#[derive(Default)]
struct Amount {
    bytes: u64,
    items: u64,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    finished: Vec<FinishedStep>,
}

/// Shows progress on standard error.
#[derive(derive_more::Debug)]
#[debug("Console({display:?})")]
pub(super) struct Console {
    display: Display,
    is_verbose: bool,
    has_bars: bool,
    echo: Echo,
    state: Mutex<State>,
}

impl Console {
    /// Returns a reporter that shows what `display` asks for; `is_verbose` adds a line for every item.
    pub(super) fn new(display: Display, is_verbose: bool) -> Self {
        let has_bars = display == Display::Auto && is_error_seen();
        Self { display, is_verbose, has_bars, echo: Echo::default(), state: Mutex::default() }
    }

    /// Returns what hides the logins that servers were sent.
    pub(super) fn echo(&self) -> &Echo {
        &self.echo
    }

    /// Prints the table of steps with their durations.
    pub(super) fn print_step_table(&self) {
        let steps = self.lock().finished.clone();
        if self.display == Display::None || steps.is_empty() {
            return;
        }
        let total: Duration = steps.iter().map(|step| step.duration).sum();
        let width = steps.iter().map(|step| step.name.chars().count()).max().unwrap_or(0).max("total".len());
        let row = |name: &str, duration, summary: &str| {
            line(format!("  {name:<width$}  {:>8}  {summary}", seconds(duration)).trim_end())
        };
        let rows = steps.iter().map(|step| row(&step.name, step.duration, &step.summary));
        write_error(&(rows.collect::<String>() + &row("total", total, "")));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no reporter panics while it holds the lock")
    }

    /// Prints one line: above the bar if there is one, with the time if there is none.
    fn line(&self, state: &State, text: &str) {
        let text = self.echo.clean(text);
        match state.running.as_ref().and_then(|running| running.bar.as_ref()) {
            Some(bar) => bar.suspend(|| write_error(&line(&text))),
            None if self.has_bars => write_error(&line(&text)),
            None => write_error(&line(&format!("{} {text}", environment::now_text()))),
        }
    }

    fn start(&self, state: &mut State, name: String) {
        let now = Instant::now();
        // A bar is drawn by others.
        let name = plain(&name);
        let bar = self.has_bars.then(|| new_bar(&name));
        if !self.has_bars && self.display != Display::None {
            self.line(state, &name);
        }
        state.running = Some(Running {
            name,
            since: now,
            last_line: now,
            done: Amount::default(),
            planned: Amount::default(),
            bar,
        });
    }

    fn finish(&self, state: &mut State, summary: String) {
        let Some(running) = state.running.take() else { return };
        let duration = running.since.elapsed();
        if let Some(bar) = running.bar {
            bar.finish_and_clear();
        }
        if self.display != Display::None {
            self.line(state, &format!("{}: {summary} ({})", running.name, seconds(duration)));
        }
        state.finished.push(FinishedStep { name: running.name, duration, summary });
    }

    fn update(&self, state: &mut State, change: impl FnOnce(&mut Running)) {
        let Some(running) = &mut state.running else { return };
        change(running);
        if let Some(bar) = &running.bar {
            if running.planned.items > 0 {
                bar.set_message(format!("{} {}/{}", running.name, running.done.items, running.planned.items));
            }
            bar.set_length(running.planned.bytes.max(running.done.bytes));
            bar.set_position(running.done.bytes);
            return;
        }
        if running.last_line.elapsed() >= HEARTBEAT && self.display != Display::None {
            running.last_line = Instant::now();
            let text = heartbeat(running);
            self.line(state, &text);
        }
    }
}

impl Reporter for Console {
    fn report(&self, event: Event) {
        let mut state = self.lock();
        match event {
            Event::StepStarted(step) => self.start(&mut state, step),
            Event::StepFinished(summary) => self.finish(&mut state, summary),
            Event::Planned { bytes, items } => self.update(&mut state, |running| {
                running.planned.bytes += bytes;
                running.planned.items += items;
            }),
            Event::Advanced(bytes) => self.update(&mut state, |running| running.done.bytes += bytes),
            Event::ItemFinished(name) => {
                self.update(&mut state, |running| running.done.items += 1);
                if self.is_verbose && self.display != Display::None {
                    self.line(&state, &format!("  {name}"));
                }
            }
            Event::Retrying { host, reason, wait, attempt, attempts } if self.display != Display::None => {
                let pause = if wait.is_zero() { "goes on at once".to_owned() } else { waits(wait) };
                let of = attempts.map_or(String::new(), |attempts| format!(" of {attempts}"));
                self.line(&state, &format!("{host}: {reason}, {pause} (attempt {attempt}{of})"));
            }
            Event::Note(text) if self.display != Display::None => self.line(&state, &text),
            Event::Retrying { .. } | Event::Note(..) => {}
            Event::Warning(text) => self.line(&state, &format!("warning: {text}")),
        }
    }
}

fn new_bar(name: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let template = "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    // The template is a constant; should indicatif ever refuse it, its own default is good enough.
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// What a line says of a step that goes on: how much is done, how fast, how long it will take.
fn heartbeat(running: &Running) -> String {
    let elapsed = running.since.elapsed();
    let rate = running.done.bytes as f64 / elapsed.as_secs_f64().max(0.001);
    let items = match running.planned.items {
        0 => String::new(),
        planned => format!("{} of {planned} items, ", running.done.items),
    };
    let (done, planned, rate_text) =
        (Bytes(running.done.bytes), Bytes(running.planned.bytes), Bytes(rate as u64));
    let mut text = format!("{}: {items}{done} of {planned}, {rate_text}/s", running.name);
    let left = running.planned.bytes.saturating_sub(running.done.bytes);
    if rate > 1.0 && left > 0 {
        let eta = Duration::from_secs_f64(left as f64 / rate);
        text += &format!(", {} left", HumanDuration(eta));
    }
    text
}

fn waits(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 9.95 { format!("waits {seconds:.1} s") } else { format!("waits {seconds:.0} s") }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
