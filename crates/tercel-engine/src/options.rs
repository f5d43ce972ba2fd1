//! How a run is done.

use crate::SessionOptions;
use std::sync::Arc;
use tercel_ir::function::Context;

/// What `now()` means in a run. It is one point in time for the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Now {
    /// The newest event of the data; the source is asked only if a plan wants to know.
    #[default]
    Newest,
    /// This point in time, in ticks.
    At(i64),
}

/// Options of a run.
#[derive(Clone)]
pub struct Options {
    pub session: SessionOptions,
    pub now: Now,
    /// Threads that run plans; reading has its own.
    pub threads: usize,
    /// What functions may look up (the geo database).
    pub context: Arc<Context>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            session: SessionOptions::default(),
            now: Now::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            context: Arc::default(),
        }
    }
}
