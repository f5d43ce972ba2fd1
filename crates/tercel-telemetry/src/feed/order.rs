//! Work on several threads, with results in order and a bounded number of them under way.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// Units under way or waiting for their turn, for each thread.
const WINDOW: usize = 4;

enum Message<D> {
    Done(usize, D),
    /// A worker panicked.
    Failed,
}

/// Where a worker gets its units and leaves what came of them.
pub(super) struct Desk<D> {
    tickets: Mutex<mpsc::Receiver<usize>>,
    results: mpsc::Sender<Message<D>>,
}

impl<D> Desk<D> {
    /// The next unit; `None`: there is no more.
    pub fn next(&self) -> Option<usize> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }
    /// Leaves what came of a unit.
    pub fn done(&self, unit: usize, done: D) {
        // Nobody listens any more: the reading ended.
        let _ = self.results.send(Message::Done(unit, done));
    }
}

/// Tells of a panic, so that nobody waits for the thread.
struct Watch<'d, D>(&'d Desk<D>, &'d AtomicBool);

impl<D> Drop for Watch<'_, D> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.1.store(true, Ordering::Relaxed);
            let _ = self.0.results.send(Message::Failed);
        }
    }
}

/// Runs `work` on `threads` threads until `units` units are done, and hands what comes of them to `accept`
/// in order. `Break` from there ends it, with `stop` set. Returns what the threads returned.
pub(super) fn in_order<D: Send, R: Send>(
    units: usize,
    threads: usize,
    stop: &AtomicBool,
    work: &(dyn Fn(&Desk<D>) -> R + Sync),
    accept: &mut dyn FnMut(usize, D) -> ControlFlow<()>,
) -> Vec<R> {
    let (hand_out, tickets) = mpsc::channel();
    let (results, incoming) = mpsc::channel();
    let desk = Desk { tickets: Mutex::new(tickets), results };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let _watch = Watch(&desk, stop);
                    work(&desk)
                })
            })
            .collect();
        let mut handed = 0;
        let mut waiting: HashMap<usize, D> = HashMap::new();
        'units: for turn in 0..units {
            while handed < units && handed < turn + threads * WINDOW {
                // The receiver lives as long as the desk.
                let _ = hand_out.send(handed);
                handed += 1;
            }
            let done = loop {
                if let Some(done) = waiting.remove(&turn) {
                    break done;
                }
                match incoming.recv() {
                    Ok(Message::Done(i, done)) => {
                        waiting.insert(i, done);
                    }
                    Ok(Message::Failed) | Err(_) => break 'units,
                }
            };
            if accept(turn, done).is_break() {
                stop.store(true, Ordering::Relaxed);
                break;
            }
        }
        // No more tickets: the threads end.
        drop(hand_out);
        let ended: Vec<_> = workers.into_iter().map(|w| w.join()).collect();
        ended.into_iter().map(|r| r.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// The numbers of the lines with which the parts of files begin. Each is found out by whoever works on the
/// part before, as soon as that part is read.
pub(super) struct Starts {
    known: Mutex<HashMap<(usize, usize), u64>>,
    more: Condvar,
}

impl Starts {
    pub fn new() -> Starts {
        Starts { known: Mutex::new(HashMap::new()), more: Condvar::new() }
    }

    /// Says with which line a part begins.
    pub fn publish(&self, file: usize, part: usize, line: u64) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert((file, part), line);
        self.more.notify_all();
    }

    /// Waits for that number. `None`: `given_up` says that it will not come.
    pub fn wait(&self, file: usize, part: usize, given_up: &dyn Fn() -> bool) -> Option<u64> {
        if part == 0 {
            return Some(0);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(line) = known.remove(&(file, part)) {
                return Some(line);
            }
            if given_up() {
                return None;
            }
            known = self
                .more
                .wait_timeout(known, Duration::from_millis(20))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
