//! What the user may choose about reading.

/// Options of reading. The defaults suit nearly everything.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// Longest record, in bytes. A longer one is skipped and reported.
    pub max_record: usize,
    /// How many times its size a compressed file may expand to, once it has expanded to
    /// `expansion_floor`. Beyond that, reading it breaks off with an error.
    pub max_expansion: u64,
    /// Up to here (bytes) any expansion is fine.
    pub expansion_floor: u64,
    /// Take the time of an event from this field where an event has it.
    pub time_field: Option<String>,
    /// Read files of plain text line by line, into the one column `_raw`. Only for files that are
    /// named themselves, not for those found in a folder.
    pub text: bool,
    /// Files read at the same time.
    pub threads: usize,
}

impl Default for ReadOptions {
    fn default() -> ReadOptions {
        ReadOptions {
            max_record: 16 << 20,
            // Captures of one machine reach 100; a gzip bomb has 1000.
            max_expansion: 400,
            expansion_floor: 1 << 30,
            time_field: None,
            text: false,
            threads: std::thread::available_parallelism().map_or(2, |n| n.get().min(8)),
        }
    }
}
