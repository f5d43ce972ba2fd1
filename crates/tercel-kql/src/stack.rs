//! Recursion is bounded everywhere in this crate, but the bound is generous and an unoptimised build
//! has large frames: what is nested more than usual runs on a stack of its own.

/// Nesting up to here fits into the smallest stack that threads usually get.
const SHALLOW: u32 = 48;

/// Enough for the parser's limit several times over; only pages that are touched are ever used.
const STACK: usize = 64 << 20;

/// Runs `f`, on a large stack when `depth` asks for it. `None`: there is no memory for one.
pub(crate) fn with_room<T: Send>(depth: u32, f: impl FnOnce() -> T + Send) -> Option<T> {
    if depth <= SHALLOW {
        return Some(f());
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, f).ok()?;
        match thread.join() {
            Ok(v) => Some(v),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
