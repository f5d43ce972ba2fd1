//! What is said on standard error: errors always, the rest unless `--quiet`.

use crate::failure::Failure;
use crate::report::Reporter;
use std::io::{IsTerminal, Write};
use tercel_catalog::RuleText;
use tercel_ir::{Diagnostic, Severity};

/// Standard error and how to speak there.
#[derive(Clone, Debug)]
pub struct Talk {
    pub quiet: bool,
    pub color: bool,
    pub terminal: bool,
    /// Whether characters outside ASCII can be shown: so by the locale, or when nothing says otherwise.
    pub unicode: bool,
    reporter: Reporter,
}

impl Talk {
    pub fn new(quiet: bool, color: bool) -> Talk {
        Talk {
            quiet,
            color,
            terminal: std::io::stderr().is_terminal(),
            unicode: locale_is_unicode(),
            reporter: Reporter::new(color),
        }
    }

    /// A line, unless quiet. That nobody listens is no error.
    pub fn say(&self, line: impl AsRef<str>) {
        if !self.quiet {
            self.always(line);
        }
    }
    fn always(&self, line: impl AsRef<str>) {
        let _ = writeln!(std::io::stderr().lock(), "{}", line.as_ref());
    }

    /// Errors always, anything else unless quiet.
    pub fn finding(&self, d: &Diagnostic, path: &str, text: &RuleText) {
        if d.severity == Severity::Error || !self.quiet {
            self.always(self.reporter.finding(d, path, text));
        }
    }
    pub fn error(&self, message: &str) {
        self.always(self.reporter.plain(Severity::Error, message, None));
    }
    pub fn failure(&self, f: &Failure) {
        self.always(self.reporter.failure(f));
    }

    /// Emphasis.
    pub fn bold(&self, s: &str) -> String {
        self.paint("1", s)
    }
    pub fn dim(&self, s: &str) -> String {
        self.paint("2", s)
    }
    /// For what needs attention.
    pub fn yellow(&self, s: &str) -> String {
        self.paint("33", s)
    }
    /// For what fired.
    pub fn red(&self, s: &str) -> String {
        self.paint("1;31", s)
    }
    fn paint(&self, code: &str, s: &str) -> String {
        if self.color { format!("\x1b[{code}m{s}\x1b[0m") } else { s.to_string() }
    }
}

/// What the locale says, in the order in which its variables count. `C` and `POSIX` mean ASCII.
fn locale_is_unicode() -> bool {
    let value = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|v| std::env::var(v).ok().filter(|v| !v.is_empty()));
    value.is_none_or(|v| {
        let v = v.to_ascii_lowercase();
        v.contains("utf-8") || v.contains("utf8")
    })
}
