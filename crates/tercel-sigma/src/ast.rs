//! What a Sigma text says, as written: every value with its place, nothing interpreted yet.
//!
//! Equality of everything here ignores places, so that "printing and parsing again gives the same
//! tree" can be said with `==`.

use crate::condition::Condition;
use crate::yaml::Node;
use tercel_ir::Span;
pub use tercel_ir::correlation::Comparison;

/// A thing and the place of the text that it came from. Equality looks at the thing only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spanned<T> {
    /// The thing.
    pub node: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Both together.
    pub fn new(node: T, span: Span) -> Spanned<T> {
        Spanned { node, span }
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Spanned<T>) -> bool {
        self.node == other.node
    }
}

/// Text with its place.
pub type Text = Spanned<String>;

/// A file: one or more documents, collections already unfolded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct File {
    /// In the order of the text.
    pub documents: Vec<Document>,
}

impl File {
    /// The detection rules of the file.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.documents.iter().filter_map(|d| match d {
            Document::Rule(r) => Some(r),
            _ => None,
        })
    }
}

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// A detection rule.
    Rule(Rule),
    /// A correlation of other rules.
    Correlation(CorrelationRule),
    /// A filter that narrows other rules.
    Filter(FilterRule),
}

impl Document {
    /// What every kind of document says about itself.
    pub fn meta(&self) -> &Meta {
        match self {
            Document::Rule(r) => &r.meta,
            Document::Correlation(r) => &r.meta,
            Document::Filter(r) => &r.meta,
        }
    }
    /// Whether something of the document could not be read (it was reported), so that it must not run.
    pub fn broken(&self) -> bool {
        match self {
            Document::Rule(r) => r.broken,
            Document::Correlation(r) => r.broken,
            Document::Filter(r) => r.broken,
        }
    }
    /// Lets go of what is only there for people. What other documents call it by stays, and what its
    /// searches mean.
    pub fn forget_words(&mut self) {
        let meta = self.meta_mut();
        *meta = Meta {
            title: meta.title.take(),
            id: meta.id.take(),
            name: meta.name.take(),
            taxonomy: meta.taxonomy.take(),
            status: meta.status.take(),
            ..Meta::default()
        };
    }
    pub(crate) fn meta_mut(&mut self) -> &mut Meta {
        match self {
            Document::Rule(r) => &mut r.meta,
            Document::Correlation(r) => &mut r.meta,
            Document::Filter(r) => &mut r.meta,
        }
    }
    pub(crate) fn detection_mut(&mut self) -> Option<&mut Detection> {
        match self {
            Document::Rule(r) => Some(&mut r.detection),
            Document::Filter(r) => Some(&mut r.detection),
            Document::Correlation(_) => None,
        }
    }
    pub(crate) fn log_source_mut(&mut self) -> Option<&mut LogSource> {
        match self {
            Document::Rule(r) => Some(&mut r.logsource),
            Document::Filter(r) => Some(&mut r.logsource),
            Document::Correlation(_) => None,
        }
    }
    pub(crate) fn set_broken(&mut self) {
        match self {
            Document::Rule(r) => r.broken = true,
            Document::Correlation(r) => r.broken = true,
            Document::Filter(r) => r.broken = true,
        }
    }
    /// Where the document stands.
    pub fn span(&self) -> Span {
        match self {
            Document::Rule(r) => r.span.span,
            Document::Correlation(r) => r.span.span,
            Document::Filter(r) => r.span.span,
        }
    }
}

/// Everything a document says about itself rather than about events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    /// Short name for people.
    pub title: Option<Text>,
    /// A UUID, by convention.
    pub id: Option<Text>,
    /// Name by which correlation rules refer to it.
    pub name: Option<Text>,
    /// Ties to other rules.
    pub related: Vec<Related>,
    /// Whose field names the rule uses; absent means Sigma's own.
    pub taxonomy: Option<Text>,
    /// `stable`, `test`, `experimental`, `deprecated`, `unsupported`.
    pub status: Option<Text>,
    /// What it detects, at length.
    pub description: Option<Text>,
    /// SPDX identifier.
    pub license: Option<Text>,
    /// Who wrote it.
    pub author: Option<Text>,
    /// Where the idea comes from.
    pub references: Vec<Text>,
    /// When it was written.
    pub date: Option<Text>,
    /// When it was last changed.
    pub modified: Option<Text>,
    /// Fields worth showing with a hit.
    pub fields: Vec<Text>,
    /// Known causes of false alarms.
    pub falsepositives: Vec<Text>,
    /// `informational`, `low`, `medium`, `high`, `critical`.
    pub level: Option<Text>,
    /// Namespaced tags, such as `attack.t1105`.
    pub tags: Vec<Text>,
    /// What kinds of machines it is for.
    pub scope: Vec<Text>,
    /// Keys that the specification does not know, kept.
    pub custom: Vec<(Text, Node)>,
}

/// A tie to another rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Related {
    /// The other rule.
    pub id: Option<Text>,
    /// `derived`, `obsolete`, `merged`, `renamed`, `similar`.
    pub kind: Option<Text>,
    /// Where it stands.
    pub span: Spanned<()>,
}

/// A detection rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// About the rule.
    pub meta: Meta,
    /// Which events it meets.
    pub logsource: LogSource,
    /// What it looks for in them.
    pub detection: Detection,
    /// Whether something of the document could not be read. What is here is then not all of it, and it
    /// must not run: a rule without one of its conditions matches what its author excluded.
    pub broken: bool,
    /// The whole document.
    pub span: Spanned<()>,
}

/// Which events a rule meets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogSource {
    /// A kind of event, such as `process_creation`.
    pub category: Option<Text>,
    /// Where it comes from, such as `windows`.
    pub product: Option<Text>,
    /// A part of the product, such as `security`.
    pub service: Option<Text>,
    /// For people: what must be logged.
    pub definition: Option<Text>,
    /// Keys that the specification does not know, kept.
    pub custom: Vec<(Text, Node)>,
    /// Where it stands.
    pub span: Spanned<()>,
}

/// Searches and the condition that joins them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detection {
    /// In the order of the text; names are unique.
    pub searches: Vec<Search>,
    /// Usually one. Several mean that any of them suffices.
    pub conditions: Vec<Condition>,
    /// Of the old aggregations.
    pub timeframe: Option<Text>,
    /// Where it stands.
    pub span: Spanned<()>,
}

impl Detection {
    /// The search of that name.
    pub fn search(&self, name: &str) -> Option<&Search> {
        self.searches.iter().find(|s| s.name.node == name)
    }
}

/// A named search.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Its name, as the condition calls it.
    pub name: Text,
    /// What it looks for.
    pub body: Spanned<SearchBody>,
}

/// The forms of a search.
#[derive(Clone, Debug, PartialEq)]
pub enum SearchBody {
    /// All of these.
    Map(Vec<Item>),
    /// Any of these: keywords, maps, or lists of them.
    List(Vec<Spanned<SearchBody>>),
    /// A value looked for anywhere in the event.
    Keyword(Value),
}

/// `Field|modifier|modifier: values`.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Absent in `'|all': [...]`: anywhere in the event.
    pub field: Option<Text>,
    /// In the order of the text.
    pub modifiers: Vec<Spanned<Modifier>>,
    /// One, or a list.
    pub values: Vec<Value>,
    /// Whether the values stand in a list (a single value may).
    pub list: bool,
    /// Field, modifiers and the values.
    pub span: Spanned<()>,
    /// Field and modifiers.
    pub key_span: Spanned<()>,
}

impl Item {
    /// Whether this modifier is there.
    pub fn has(&self, modifier: Modifier) -> bool {
        self.modifiers.iter().any(|m| m.node == modifier)
    }
}

/// A value with its place, as YAML typed it.
pub type Value = Spanned<Scalar>;

/// The types of values that a detection can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// `null`.
    Null,
    /// `true` or `false` without quotes.
    Bool(bool),
    /// An integer without quotes.
    Int(i64),
    /// A finite number without quotes.
    Float(f64),
    /// Anything else; wildcards and escapes as written.
    Str(String),
}

/// A truth value as text, in the spellings of YAML 1.1.
pub(crate) fn bool_of(text: &str) -> Option<bool> {
    let is = |list: [&str; 3]| list.iter().any(|t| text.eq_ignore_ascii_case(t));
    if is(["true", "yes", "on"]) {
        Some(true)
    } else if is(["false", "no", "off"]) {
        Some(false)
    } else {
        None
    }
}

impl Scalar {
    /// As true or false, in any of the spellings of YAML 1.1: rules are written for readers of that, to which
    /// `yes`, `no`, `on` and `off` are no texts.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Scalar::Bool(b) => Some(*b),
            Scalar::Str(s) => bool_of(s),
            _ => None,
        }
    }

    /// As text; null is empty.
    pub fn text(&self) -> String {
        match self {
            Scalar::Null => String::new(),
            Scalar::Bool(b) => b.to_string(),
            Scalar::Int(n) => n.to_string(),
            Scalar::Float(r) => r.to_string(),
            Scalar::Str(s) => s.clone(),
        }
    }
}

macro_rules! modifiers {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The modifiers of specification 2.1.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Modifier {
            $($(#[$doc])* $name,)*
        }
        impl Modifier {
            /// All of them.
            pub const ALL: &[Modifier] = &[$(Modifier::$name,)*];
            /// As it is written.
            pub fn as_str(self) -> &'static str {
                match self { $(Modifier::$name => $text,)* }
            }
        }
    };
}

modifiers! {
    /// Every value of the list must match.
    All = "all",
    /// At the start.
    StartsWith = "startswith",
    /// At the end.
    EndsWith = "endswith",
    /// Anywhere.
    Contains = "contains",
    /// The field is there (`true`) or is not (`false`).
    Exists = "exists",
    /// With regard to case.
    Cased = "cased",
    /// None of the values.
    Neq = "neq",
    /// Dashes and slashes of command-line flags interchangeably.
    WinDash = "windash",
    /// A regular expression.
    Re = "re",
    /// Regular expression without regard to case.
    I = "i",
    /// Regular expression: `^` and `$` at every line.
    M = "m",
    /// Regular expression: `.` is any character, line breaks too.
    S = "s",
    /// The value in Base64.
    Base64 = "base64",
    /// The value in Base64 at any of the three alignments.
    Base64Offset = "base64offset",
    /// UTF-16, little end first.
    Utf16Le = "utf16le",
    /// UTF-16, big end first.
    Utf16Be = "utf16be",
    /// UTF-16 with a byte order mark.
    Utf16 = "utf16",
    /// Another name of `utf16le`.
    Wide = "wide",
    /// Less than.
    Lt = "lt",
    /// Less than or equal.
    Lte = "lte",
    /// Greater than.
    Gt = "gt",
    /// Greater than or equal.
    Gte = "gte",
    /// Minute of the hour of a time.
    Minute = "minute",
    /// Hour of the day of a time.
    Hour = "hour",
    /// Day of the month of a time.
    Day = "day",
    /// Week of the year of a time.
    Week = "week",
    /// Month of a time.
    Month = "month",
    /// Year of a time.
    Year = "year",
    /// An address range.
    Cidr = "cidr",
    /// `%placeholder%`s are filled in.
    Expand = "expand",
    /// The value names another field.
    FieldRef = "fieldref",
}

impl Modifier {
    /// From its name, which is case-sensitive.
    pub fn parse(name: &str) -> Option<Modifier> {
        Modifier::ALL.iter().copied().find(|m| m.as_str() == name)
    }
}

/// A correlation of other rules.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrelationRule {
    /// About the rule.
    pub meta: Meta,
    /// What it correlates.
    pub correlation: Correlation,
    /// Whether the rules referred to fire on their own too.
    pub generate: Option<Spanned<bool>>,
    /// Whether something of the document could not be read. What is here is then not all of it, and it
    /// must not run: a rule without one of its conditions matches what its author excluded.
    pub broken: bool,
    /// The whole document.
    pub span: Spanned<()>,
}

/// The `correlation` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Correlation {
    /// Absent only after an error.
    pub kind: Option<Spanned<CorrelationType>>,
    /// Ids or names of the rules correlated.
    pub rules: Vec<Text>,
    /// Fields whose values make a group.
    pub group_by: Vec<Text>,
    /// Absent only after an error.
    pub timespan: Option<Spanned<Timespan>>,
    /// When it fires; the temporal types have a default.
    pub condition: Option<Spanned<CorrelationCondition>>,
    /// Common names for fields that the rules call differently.
    pub aliases: Vec<Alias>,
    /// Keys that the specification does not know, kept.
    pub custom: Vec<(Text, Node)>,
    /// Where it stands.
    pub span: Spanned<()>,
}

macro_rules! named {
    ($(#[$outer:meta])* $type:ident { $($(#[$doc:meta])* $name:ident = $text:literal,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type { $($(#[$doc])* $name,)* }
        impl $type {
            /// All of them.
            pub const ALL: &[$type] = &[$($type::$name,)*];
            /// As it is written.
            pub fn as_str(self) -> &'static str {
                match self { $($type::$name => $text,)* }
            }
            /// From its name, which is case-sensitive.
            pub fn parse(name: &str) -> Option<$type> {
                $type::ALL.iter().copied().find(|t| t.as_str() == name)
            }
        }
    };
}

named! {
    /// The types of correlation.
    CorrelationType {
        /// How many events.
        EventCount = "event_count",
        /// How many different values of a field.
        ValueCount = "value_count",
        /// All rules, in any order.
        Temporal = "temporal",
        /// All rules, in the order listed.
        TemporalOrdered = "temporal_ordered",
        /// Sum of a field.
        ValueSum = "value_sum",
        /// Mean of a field.
        ValueAvg = "value_avg",
        /// A percentile of a field.
        ValuePercentile = "value_percentile",
        /// Median of a field (not in the specification, but in use).
        ValueMedian = "value_median",
        /// Least value of a field (not in the specification, but in use).
        ValueMin = "value_min",
        /// Greatest value of a field (not in the specification, but in use).
        ValueMax = "value_max",
    }
}

/// A span of time: a number and a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timespan {
    /// How many.
    pub amount: u32,
    /// One of `s m h d w M y`.
    pub unit: char,
}

impl Timespan {
    /// From its text: a number and a unit.
    pub fn parse(text: &str) -> Option<Timespan> {
        let unit = text.chars().last().filter(|c| "smhdwMy".contains(*c))?;
        let amount = text[..text.len() - 1].parse::<u32>().ok().filter(|n| *n > 0)?;
        Some(Timespan { amount, unit })
    }
    /// In seconds. A month and a year are those of the mean Gregorian calendar, as in pySigma.
    pub fn seconds(self) -> u64 {
        u64::from(self.amount)
            * match self.unit {
                's' => 1,
                'm' => 60,
                'h' => 3600,
                'd' => 86_400,
                'w' => 7 * 86_400,
                'M' => 2_629_746,
                _ => 31_556_952,
            }
    }
    /// In ticks of 100 ns, at most what 64 bits hold.
    pub fn ticks(self) -> i64 {
        let seconds = i64::try_from(self.seconds()).unwrap_or(i64::MAX);
        seconds.saturating_mul(tercel_ir::time::TICKS_PER_SECOND).min(i64::MAX - 1)
    }
}

impl std::fmt::Display for Timespan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.amount, self.unit)
    }
}

/// When a correlation fires.
#[derive(Clone, Debug, PartialEq)]
pub enum CorrelationCondition {
    /// Comparisons that must all hold.
    Compare {
        /// In the order of the text.
        comparisons: Vec<(Spanned<Comparison>, Spanned<f64>)>,
        /// The fields whose values are counted or reckoned with.
        fields: Vec<Text>,
        /// Which percentile, for `value_percentile`.
        percentile: Option<Spanned<f64>>,
    },
    /// Rule names joined with `and`, `or`, `not`, for the temporal types.
    Expression(Condition),
}

/// One common name for fields that rules call differently.
#[derive(Clone, Debug, PartialEq)]
pub struct Alias {
    /// The common name.
    pub name: Text,
    /// Rule name and its field.
    pub fields: Vec<(Text, Text)>,
}

/// A filter that narrows other rules.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterRule {
    /// About the filter.
    pub meta: Meta,
    /// Which rules it fits, by their events.
    pub logsource: LogSource,
    /// Which rules it is for.
    pub rules: FilterTargets,
    /// What it looks for.
    pub detection: Detection,
    /// Whether something of the document could not be read. What is here is then not all of it, and it
    /// must not run: a rule without one of its conditions matches what its author excluded.
    pub broken: bool,
    /// The whole document.
    pub span: Spanned<()>,
}

/// Which rules a filter is for.
#[derive(Clone, Debug, PartialEq)]
pub enum FilterTargets {
    /// Every rule of the log source.
    Any,
    /// These, by id or name.
    Rules(Vec<Text>),
}
