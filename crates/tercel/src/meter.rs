//! How far a run has come, on a terminal, once it has taken a second.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Runs shorter than this show nothing.
const QUIET_FOR: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(100);

/// A progress bar that a thread of its own keeps moving until this is dropped.
pub struct Meter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Meter {
    /// `done` gives the bytes and events so far; `total` is that of bytes.
    pub fn start(enabled: bool, total: u64, done: impl Fn() -> (u64, u64) + Send + 'static) -> Meter {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = enabled.then(|| std::thread::spawn(move || show(total, &done, &stopped)));
        Meter { stop, thread }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(t) = self.thread.take() {
            let _ = t.join();
        }
    }
}

fn show(total: u64, done: &dyn Fn() -> (u64, u64), stop: &AtomicBool) {
    let start = Instant::now();
    let mut bar: Option<ProgressBar> = None;
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(EVERY);
        if start.elapsed() < QUIET_FOR {
            continue;
        }
        let bar = bar.get_or_insert_with(|| {
            let style =
                ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes}  {msg}  {elapsed_precise}");
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10));
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let (bytes, events) = done();
        // Data may be read more than once (joins, "now"); the bar then stays full.
        bar.set_position(bytes.min(total));
        bar.set_message(format!("{events} events"));
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}
