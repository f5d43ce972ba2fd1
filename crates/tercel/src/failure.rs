//! Why a command could not run, in words, with what to do about it.

use std::io;

/// Ends a command with exit code 2.
#[derive(Debug)]
pub struct Failure {
    pub message: String,
    pub help: Option<String>,
    /// The reader of the output went away: not an error of ours, nothing to say.
    pub broken_pipe: bool,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), help: None, broken_pipe: false }
    }
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Failure {
        self.help = Some(text.into());
        self
    }
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Failure {
        let broken_pipe = e.kind() == io::ErrorKind::BrokenPipe;
        Failure { message: format!("cannot write the output: {e}"), help: None, broken_pipe }
    }
}

/// How a command that ran ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what was asked.
    Ran,
    /// It ran, and a gate that the user set failed.
    Gate,
    /// A part could not run; what it was is said already.
    Incomplete,
    /// The user stopped it.
    Interrupted,
}

impl Outcome {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Outcome::Ran => 0,
            Outcome::Gate => 1,
            Outcome::Incomplete => 2,
            Outcome::Interrupted => 130,
        }
    }
}

impl From<tercel_engine::EngineError> for Failure {
    fn from(e: tercel_engine::EngineError) -> Failure {
        Failure::new(e.to_string())
    }
}
