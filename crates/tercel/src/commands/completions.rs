//! `tercel completions`.

use super::Run;
use crate::cli::Cli;
use crate::failure::{Failure, Outcome};
use clap::CommandFactory;
use std::io::Write;

pub fn run(run: &Run, shell: clap_complete::Shell) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tercel", &mut script);
    let mut out = run.target()?.open()?;
    out.write_all(&script)?;
    out.flush()?;
    Ok(Outcome::Ran)
}
