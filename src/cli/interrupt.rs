//! Ctrl-C and `kill`: nothing half-written stays, the exit code is 130.
//!
//! Work in progress lives in folders of temporary names; the old kit is untouched until the new one is whole.
//! So stopping means removing what was begun, and ending. What is there of downloads stays in the store: they are
//! continued by the next run, as they are after `kill -9`. No thread is waited for: some may be waiting for a server.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::cli::ui::write_error;

/// The folders where work in progress may be.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Whether a signal came.
static IS_STOPPING: AtomicBool = AtomicBool::new(false);

/// Keeps `folder` free of temporary files: of those that killed processes left there, and of our own should this
/// process be interrupted.
pub(super) fn clean(folder: PathBuf) {
    // What cannot be removed is left to the next run; whether the folder can be used is found out by using it.
    let _best_effort = crate::fs::remove_abandoned(&folder);
    FOLDERS.lock().expect("no thread panics while it holds the lock").push(folder);
}

/// What is done at the first signal instead of stopping at once.
static INSTEAD: Mutex<Option<Box<dyn FnOnce() + Send>>> = Mutex::new(None);

/// Has `action` done at the next signal, by a command that ends by itself then; the signal after it stops at once.
pub(super) fn instead(action: impl FnOnce() + Send + 'static) {
    *INSTEAD.lock().expect("no thread panics while it holds the lock") = Some(Box::new(action));
}

/// Begins to listen for signals.
///
/// # Why
/// A write beyond the limit of a user's files (`ulimit -f`) kills a process that does not catch the signal of it, which
/// leaves what was begun and says nothing. Once it is caught, the write fails, as it does on a full disk.
pub(super) fn listen() -> anyhow::Result<()> {
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for _signal in signals.forever() {
            let action = INSTEAD.lock().expect("no thread panics while it holds the lock").take();
            match action {
                Some(action) => action(),
                None => stop(),
            }
        }
    })?;
    Ok(())
}

/// Never returns once a signal came: what the work then says or returns comes from its files being removed.
pub(super) fn wait_if_stopping() {
    while IS_STOPPING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

#[expect(clippy::exit, reason = "an interrupted process ends here, whatever its threads are doing")]
fn stop() {
    IS_STOPPING.store(true, Ordering::SeqCst);
    crate::fs::stop_publishing();
    write_error("\ninterrupted: what was begun is removed, what is whole or can be continued stays\n");
    let folders = std::mem::take(&mut *FOLDERS.lock().expect("no thread panics while it holds the lock"));
    // Threads still write; a folder is gone only when nothing was added to it while it was removed.
    for _ in 0..20 {
        let is_clean = folders.iter().all(|folder| crate::fs::remove_own(folder).is_ok());
        if is_clean {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    std::process::exit(130);
}
