//! What a document says about itself, in plain values, for catalogues and hits.

use crate::ast::{Document, LogSource, Text};
use crate::yaml::Node;

/// A rule as a user sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// A UUID, by convention.
    pub id: Option<String>,
    /// Short name for people.
    pub title: Option<String>,
    /// Name by which correlation rules refer to it.
    pub name: Option<String>,
    /// Severity; absent where the rule has none or one that does not exist.
    pub level: Option<Level>,
    /// Maturity, as written.
    pub status: Option<String>,
    /// What it detects, at length.
    pub description: Option<String>,
    /// Where the idea comes from.
    pub references: Vec<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// SPDX identifier.
    pub license: Option<String>,
    /// When it was written.
    pub date: Option<String>,
    /// When it was last changed.
    pub modified: Option<String>,
    /// Namespaced tags, as written.
    pub tags: Vec<String>,
    /// Known causes of false alarms.
    pub falsepositives: Vec<String>,
    /// Fields worth showing with a hit.
    pub fields: Vec<String>,
    /// What kinds of machines it is for.
    pub scope: Vec<String>,
    /// Category of the log source.
    pub category: Option<String>,
    /// Product of the log source.
    pub product: Option<String>,
    /// Service of the log source.
    pub service: Option<String>,
    /// For people: what must be logged.
    pub definition: Option<String>,
    /// Other rules, and how they are tied to this one.
    pub related: Vec<(String, String)>,
    /// Keys that the specification does not know.
    pub custom: Vec<(String, Node)>,
}

impl Metadata {
    /// Of a document of any kind. Correlations have no log source of their own.
    pub fn of(document: &Document) -> Metadata {
        let text = |t: &Option<Text>| t.as_ref().map(|t| t.node.clone());
        let list = |l: &[Text]| l.iter().map(|t| t.node.clone()).collect();
        let m = document.meta();
        let nowhere = LogSource::default();
        let logsource = match document {
            Document::Rule(r) => &r.logsource,
            Document::Filter(f) => &f.logsource,
            Document::Correlation(_) => &nowhere,
        };
        Metadata {
            id: text(&m.id),
            title: text(&m.title),
            name: text(&m.name),
            level: m.level.as_ref().and_then(|l| Level::parse(&l.node)),
            status: text(&m.status),
            description: text(&m.description),
            references: list(&m.references),
            author: text(&m.author),
            license: text(&m.license),
            date: text(&m.date),
            modified: text(&m.modified),
            tags: list(&m.tags),
            falsepositives: list(&m.falsepositives),
            fields: list(&m.fields),
            scope: list(&m.scope),
            category: text(&logsource.category),
            product: text(&logsource.product),
            service: text(&logsource.service),
            definition: text(&logsource.definition),
            related: m
                .related
                .iter()
                .filter_map(|r| Some((text(&r.id)?, text(&r.kind).unwrap_or_default())))
                .collect(),
            custom: m.custom.iter().map(|(k, v)| (k.node.clone(), v.clone())).collect(),
        }
    }
}

/// Severity, in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For enrichment; nobody need look.
    Informational,
    /// Rarely an incident.
    Low,
    /// To be looked at now and then.
    Medium,
    /// An alert.
    High,
    /// Almost surely an incident.
    Critical,
}

impl Level {
    /// All of them, in rising order.
    pub const ALL: [Level; 5] =
        [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Informational => "informational",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }
    /// From its name; case is forgiven here (lint says what it thinks of it).
    pub fn parse(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|l| l.as_str().eq_ignore_ascii_case(name))
    }
}
