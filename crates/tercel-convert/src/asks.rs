//! What is asked for, and what must be brought.

use crate::sql::Dialect;
use std::str::FromStr;
use tercel_ir::{Diagnostic, Rel};
use tercel_sigma::ast::Meta;

/// A detection to convert.
#[derive(Clone, Copy, Debug)]
pub struct Detection<'a> {
    /// What it means: the lowering of its text.
    pub rel: &'a Rel,
    /// What it says about itself; a Sigma rule made of it carries this on.
    pub meta: &'a Meta,
}

/// A language to convert to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Kusto Query Language.
    Kql,
    /// Sumo Logic search.
    Sumo,
    /// A Sigma rule.
    Sigma,
    /// A `SELECT`.
    Sql,
}

/// Whose tables and columns the result is to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vocabulary {
    /// Microsoft Defender's advanced hunting tables.
    #[default]
    Defender,
    /// Microsoft Sentinel's normalised schemas.
    Asim,
    /// Sysmon's events in Sentinel's `Event` table.
    Sentinel,
    /// The tables as their source writes them.
    Native,
    /// Of Sumo Logic: the normalised records of Cloud SIEM, and its rules as JSON.
    CloudSiem,
}

impl FromStr for Vocabulary {
    type Err = Diagnostic;
    fn from_str(s: &str) -> Result<Vocabulary, Diagnostic> {
        Ok(match s.to_ascii_lowercase().as_str() {
            "defender" | "xdr" | "mde" => Vocabulary::Defender,
            "asim" => Vocabulary::Asim,
            "sentinel" => Vocabulary::Sentinel,
            "native" | "sysmon" => Vocabulary::Native,
            "cse" | "cloud-siem" => Vocabulary::CloudSiem,
            _ => {
                return Err(Diagnostic::error("unknown-schema", format!("there is no vocabulary `{s}`"))
                    .help("one of defender, asim, sentinel, native, cse"));
            }
        })
    }
}

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The language.
    pub language: Language,
    /// Of KQL and SQL, whose columns; of Sumo Logic, whether a search or a rule of Cloud SIEM. Sigma has one
    /// vocabulary.
    pub vocabulary: Vocabulary,
}

/// Choices of the user.
#[derive(Clone, Debug)]
pub struct Options {
    /// `_sourceCategory` of Sysmon's events in Sumo Logic.
    pub source_category: String,
    /// Whose SQL.
    pub dialect: Dialect,
    /// Of ASIM: the tables whose rows are meant; none for all.
    pub sources: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options { source_category: "windows/sysmon".into(), dialect: Dialect::default(), sources: Vec::new() }
    }
}

/// How two detections relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// They find the same events.
    Equal,
    /// The first finds some of what the second finds.
    Narrower,
    /// The first finds all of what the second finds, and more.
    Wider,
    /// Each finds something that the other does not.
    Different,
    /// Not decided.
    Unknown,
}

/// A prover's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// How the conversion (the first) relates to the detection that it was made from.
    pub relation: Relation,
    /// Why it is not known, or what else is to be said.
    pub reason: Option<String>,
    /// What was taken for granted of the data, beyond what the conversion itself does.
    pub assumptions: Vec<&'static str>,
}

/// Decides how two filters relate.
pub trait Prove {
    /// How `conversion` relates to `original`.
    fn compare(&self, conversion: &Rel, original: &Rel) -> Answer;
}

impl<F: Fn(&Rel, &Rel) -> Answer> Prove for F {
    fn compare(&self, conversion: &Rel, original: &Rel) -> Answer {
        self(conversion, original)
    }
}

/// No proof at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unproved;

impl Prove for Unproved {
    fn compare(&self, _: &Rel, _: &Rel) -> Answer {
        Answer {
            relation: Relation::Unknown,
            reason: Some("no proof was asked for".into()),
            assumptions: Vec::new(),
        }
    }
}
