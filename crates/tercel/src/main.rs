//! The command line of tercel: arguments, progress, printing, exit codes. What detections mean and how
//! they run is the business of the library crates.

mod cli;
mod commands;
mod config;
mod data;
mod failure;
mod footer;
mod interrupt;
mod meter;
mod omitted;
mod output;
mod report;
mod talk;
mod times;
mod world;

use clap::{CommandFactory, FromArgMatches};
use cli::{Cli, Color, Command};
use config::Config;
use failure::{Failure, Outcome};
use std::io::IsTerminal;
use std::process::ExitCode;
use talk::Talk;

/// Rules are trees of small things, made and given back; this one is quicker at that than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // clap decides about colour before it has read the options; tell it what they say.
    let command = Cli::command().color(match early_color() {
        Some(Color::Always) => clap::ColorChoice::Always,
        Some(Color::Never) => clap::ColorChoice::Never,
        _ => clap::ColorChoice::Auto,
    });
    let matches = command.get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(e) => e.exit(),
    };
    let mut talk = Talk::new(false, wants_color(cli.global.color, std::io::stderr().is_terminal()));
    let outcome = run(cli, &mut talk);
    let code = match outcome {
        Ok(o) => o.code(),
        Err(f) if f.broken_pipe => 0,
        Err(f) => {
            talk.failure(&f);
            Outcome::Incomplete.code()
        }
    };
    ExitCode::from(code)
}

fn run(cli: Cli, talk: &mut Talk) -> Result<Outcome, Failure> {
    let Cli { mut global, command } = cli;
    let config = Config::load(global.config.as_deref())?;
    config.global(&mut global);
    let quiet = global.quiet.unwrap_or(false);
    *talk = Talk::new(quiet, wants_color(global.color, std::io::stderr().is_terminal()));
    let run = commands::Run {
        color: wants_color(global.color, std::io::stdout().is_terminal()),
        talk: talk.clone(),
        global,
        config,
    };
    match command {
        Command::Explain(a) => commands::explain::run(run, a),
        Command::Convert(a) => commands::convert::run(run, a),
        Command::Verify(a) => commands::verify::run(run, a),
        Command::Test(a) => commands::test::run(run, a),
        Command::Lint(a) => commands::lint::run(run, a),
        Command::Rules(a) => commands::rules::run(run, a),
        Command::Hunt(a) => commands::hunt::run(run, a),
        Command::Query(a) => commands::query::run(run, a),
        Command::Schema(a) => commands::schema::run(run, a),
        Command::Completions { shell } => commands::completions::run(&run, shell),
    }
}

/// `--color` as it stands in the arguments.
fn early_color() -> Option<Color> {
    let args: Vec<String> = std::env::args().collect();
    let value = args.iter().enumerate().find_map(|(i, a)| match a.strip_prefix("--color") {
        Some("") => args.get(i + 1).cloned(),
        Some(rest) => rest.strip_prefix('=').map(str::to_string),
        None => None,
    })?;
    <Color as clap::ValueEnum>::from_str(&value, true).ok()
}

/// Whether a stream gets colours. <https://no-color.org>: any value of NO_COLOR but an empty one counts.
fn wants_color(choice: Option<Color>, terminal: bool) -> bool {
    match choice {
        Some(Color::Always) => true,
        Some(Color::Never) => false,
        Some(Color::Auto) | None => terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    }
}
