//! Ctrl-C: the first asks the run to end with what it has, the second ends the program at once.

use std::sync::atomic::{AtomicBool, Ordering};

static STOPPED: AtomicBool = AtomicBool::new(false);

/// Whether the user has asked to stop.
pub fn stopped() -> bool {
    STOPPED.load(Ordering::Relaxed)
}

/// Listens for Ctrl-C from now on; `first` is called once. Where listening is not possible, Ctrl-C does
/// what it always does.
pub fn listen(first: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            STOPPED.store(true, Ordering::Relaxed);
            first();
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        });
    });
}
