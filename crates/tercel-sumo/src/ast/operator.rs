//! The operators of a pipeline.

use super::{Expr, Name, Query, Setting, Text};

/// One clause of `parse`: `"a*b*" as x, y`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnchorClause {
    /// The pattern.
    pub pattern: Text,
    /// One name per `*`.
    pub names: Vec<Name>,
}

/// What a `csv` or `split` extracts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Extract {
    /// The position from 1; the next one when not given.
    pub index: Option<String>,
    /// The name; `None` for `_`.
    pub name: Option<Name>,
}

/// A key of `sort`.
#[derive(Clone, PartialEq, Debug)]
pub struct SortKey {
    /// By what.
    pub expr: Expr,
    /// Sumo sorts descending unless told otherwise.
    pub ascending: bool,
}

/// `f(a) as x` in an aggregation.
#[derive(Clone, PartialEq, Debug)]
pub struct Aggregate {
    /// The function, in lower case.
    pub function: Name,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// The name of the result.
    pub alias: Option<Name>,
    /// `showing sum(x) for state` of `transaction`.
    pub state: Option<Name>,
}

/// A grouping key: nearly always a field.
#[derive(Clone, PartialEq, Debug)]
pub struct GroupKey {
    /// By what.
    pub expr: Expr,
    /// Its new name.
    pub alias: Option<Name>,
}

/// The operators that look at neighbouring rows and share one shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindowOp {
    /// Running total.
    Accum,
    /// The value n rows before.
    Backshift,
    /// Difference from the row before.
    Diff,
    /// Moving average.
    Smooth,
    /// Moving standard deviation.
    RollingStd,
    /// Grand total on every row.
    Total,
}

impl WindowOp {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            WindowOp::Accum => "accum",
            WindowOp::Backshift => "backshift",
            WindowOp::Diff => "diff",
            WindowOp::Smooth => "smooth",
            WindowOp::RollingStd => "rollingstd",
            WindowOp::Total => "total",
        }
    }
}

/// `c as x` of `lookup`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LookupColumn {
    /// The column; `*` for all.
    pub column: Name,
    /// Its new name.
    pub alias: Option<Name>,
}

/// `a = b` of `lookup` and `join`.
#[derive(Clone, PartialEq, Debug)]
pub struct OnPair {
    /// Left of `=`.
    pub left: Expr,
    /// Right of `=`; the same as the left when not given.
    pub right: Option<Expr>,
}

/// A filler of `fillmissing`.
#[derive(Clone, PartialEq, Debug)]
pub struct Filler {
    /// What is filled.
    pub kind: FillerKind,
    /// `in f, g`.
    pub fields: Vec<Name>,
}

/// The kinds of filler.
#[derive(Clone, PartialEq, Debug)]
pub enum FillerKind {
    /// `timeslice`, `timeslice(15m)`.
    Timeslice(Option<Expr>),
    /// `values("a", …)`.
    Values(Vec<Expr>),
    /// `values all`.
    All,
}

/// `timeshift 1d 7 avg as x` of `compare`.
#[derive(Clone, PartialEq, Debug)]
pub struct Timeshift {
    /// How far.
    pub by: Expr,
    /// How many periods.
    pub periods: Option<Expr>,
    /// `avg`, `min`, `max`.
    pub aggregate: Option<Name>,
    /// The suffix of the new columns.
    pub alias: Option<Name>,
}

/// What `merge` does with one field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MergeField {
    /// The field.
    pub field: Name,
    /// How its values become one.
    pub how: MergeHow,
}

/// How values are merged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MergeHow {
    /// Not said.
    Default,
    /// `takeFirst`
    First,
    /// `takeLast`
    Last,
    /// `takeDistinct`
    Distinct,
    /// `join with "s"`
    Join(Text),
}

/// A pipeline of `join` with its alias.
#[derive(Clone, PartialEq, Debug)]
pub struct JoinTable {
    /// The pipeline.
    pub query: Query,
    /// Its alias.
    pub alias: Option<Name>,
}

/// A state of `transaction`.
#[derive(Clone, PartialEq, Debug)]
pub enum TransactionState {
    /// `"glob" as state`.
    Pattern(Text, Name),
    /// `states a, b in field`.
    States(Vec<Name>, Option<Name>),
}

/// The operators.
#[derive(Clone, PartialEq, Debug)]
pub enum Operator {
    /// Something that did not parse; an error was reported.
    Error,
    /// A stage that is only a template parameter, to be substituted before the query can run.
    Template(String),
    /// `where e`.
    Where(Expr),
    /// `e as name`, `f(field)`, and the undocumented `eval name = e`.
    Compute {
        /// The value.
        expr: Expr,
        /// Its name.
        name: Option<Name>,
        /// Written as `eval name = e`.
        eval: bool,
    },
    /// `fields a, b`, `fields - a`.
    Fields {
        /// Remove instead of keep.
        remove: bool,
        /// The fields.
        names: Vec<Name>,
    },
    /// `sort by a asc, b`.
    Sort(Vec<SortKey>),
    /// `limit n`.
    Limit(Expr),
    /// `top n f by agg`.
    Top {
        /// How many.
        n: Expr,
        /// The fields shown.
        fields: Vec<Expr>,
        /// What ranks them.
        by: Vec<GroupKey>,
    },
    /// `topk(n, f) by g`.
    Topk {
        /// How many.
        n: Expr,
        /// What ranks.
        fields: Vec<Expr>,
        /// Per group.
        by: Vec<GroupKey>,
    },
    /// `dedup [consecutive] [n] [by a, b]`.
    Dedup {
        /// Only rows that follow each other.
        consecutive: bool,
        /// How many are kept.
        n: Option<Expr>,
        /// Per group.
        by: Vec<Name>,
    },
    /// `count, sum(x) as y by a, b`.
    Aggregate {
        /// What is computed.
        items: Vec<Aggregate>,
        /// Per group.
        by: Vec<GroupKey>,
    },
    /// `parse "…" as a, b`.
    ParseAnchor {
        /// `_raw` when not given.
        field: Option<Name>,
        /// At least one.
        clauses: Vec<AnchorClause>,
        /// Keep rows that do not match.
        nodrop: bool,
    },
    /// `parse regex "…"`, `extract "…"`.
    ParseRegex {
        /// `_raw` when not given.
        field: Option<Name>,
        /// As written; usually one.
        patterns: Vec<Text>,
        /// Written as `extract`.
        extract: bool,
        /// Keep rows that do not match.
        nodrop: bool,
        /// One row per match.
        multi: bool,
    },
    /// `parse xml "xpath" as a`.
    ParseXml {
        /// `_raw` when not given.
        field: Option<Name>,
        /// The paths.
        paths: Vec<Text>,
        /// The names.
        names: Vec<Name>,
        /// Keep rows that do not match.
        nodrop: bool,
    },
    /// `parse using public/apache`.
    ParseUsing {
        /// The library parser.
        path: String,
        /// Keep rows that do not match.
        nodrop: bool,
    },
    /// `json "a.b" as c`, `json auto`.
    Json {
        /// `_raw` when not given.
        field: Option<Name>,
        /// `json auto`.
        auto: bool,
        /// `maxdepth n`.
        maxdepth: Option<Expr>,
        /// `extractarrays`.
        extractarrays: bool,
        /// `refonly`.
        refonly: bool,
        /// The paths or keys.
        paths: Vec<Text>,
        /// The names.
        names: Vec<Name>,
        /// Keep rows that do not match.
        nodrop: bool,
    },
    /// `csv f extract …`, `split f delim=… extract …`.
    Split {
        /// Written as `csv`.
        csv: bool,
        /// What is split.
        field: Option<Name>,
        /// `delim`, `escape`, `quote`.
        settings: Vec<(Name, Text)>,
        /// What is extracted.
        extract: Vec<Extract>,
        /// Undocumented here.
        nodrop: bool,
    },
    /// `keyvalue "k" as x`.
    KeyValue {
        /// `_raw` when not given.
        field: Option<Name>,
        /// `infer`, `auto`, or a regular expression.
        mode: KeyValueMode,
        /// `delim ":"`.
        delim: Option<Text>,
        /// The keys.
        keys: Vec<Text>,
        /// The names.
        names: Vec<Name>,
        /// Keep rows that do not match.
        nodrop: bool,
        /// `refonly`.
        refonly: bool,
        /// `multi`.
        multi: bool,
    },
    /// `timeslice 5m as t`.
    Timeslice {
        /// A width, or a number of buckets.
        width: Option<Expr>,
        /// `n buckets`.
        buckets: bool,
        /// The name, `_timeslice` when not given.
        alias: Option<Name>,
    },
    /// `transpose row a column b as x, *`.
    Transpose {
        /// Row fields.
        rows: Vec<Name>,
        /// Column fields.
        columns: Vec<Name>,
        /// Output columns; `*` for the rest.
        names: Vec<Name>,
    },
    /// `fillmissing timeslice(5m), values("a") in f with 0 for x`.
    FillMissing {
        /// What is filled.
        fillers: Vec<Filler>,
        /// `with v for f, g`.
        defaults: Vec<(Expr, Vec<Name>)>,
        /// `takeLast`.
        take_last: bool,
    },
    /// `accum`, `backshift`, `diff`, `smooth`, `rollingstd`, `total`.
    Window {
        /// Which.
        op: WindowOp,
        /// Of what.
        field: Expr,
        /// How many rows.
        n: Option<Expr>,
        /// The name of the result.
        alias: Option<Name>,
        /// Per group.
        by: Vec<Name>,
    },
    /// `bin f width=10`.
    Bin {
        /// Of what.
        field: Expr,
        /// `width`, `min`, `max`.
        settings: Vec<Setting>,
    },
    /// `compare with timeshift 1d`.
    Compare(Vec<Timeshift>),
    /// `outlier f by g window=10`.
    Outlier {
        /// Of what.
        fields: Vec<Expr>,
        /// Per group.
        by: Vec<Name>,
        /// As written.
        settings: Vec<Setting>,
    },
    /// `predict f by 1m forecast=5`.
    Predict {
        /// Of what.
        field: Expr,
        /// The step.
        by: Option<Expr>,
        /// As written.
        settings: Vec<Setting>,
    },
    /// `filter f in (pipeline)`.
    Filter {
        /// The field or, with no pipeline, a condition.
        expr: Expr,
        /// The pipeline.
        query: Option<Box<Query>>,
    },
    /// `join (…) as t1, (…) as t2 on t1.a = t2.b`.
    Join {
        /// The pipelines.
        tables: Vec<JoinTable>,
        /// The equalities.
        on: Vec<OnPair>,
        /// `timewindow 10m`.
        timewindow: Option<Expr>,
    },
    /// `transaction on id with "…" as s results by states`.
    Transaction {
        /// The key fields.
        on: Vec<Name>,
        /// `fringe=10m`.
        settings: Vec<Setting>,
        /// The states.
        states: Vec<TransactionState>,
        /// `transactions`, `states`, `flow`.
        results_by: Option<Name>,
        /// `showing …`.
        showing: Vec<Aggregate>,
    },
    /// `transactionize a, b (merge …)`.
    Transactionize {
        /// The key fields.
        fields: Vec<Name>,
        /// The name of the group.
        alias: Option<Name>,
        /// `maxSpan=…` and the like.
        settings: Vec<Setting>,
        /// What becomes of the fields.
        merge: Vec<MergeField>,
    },
    /// `merge f takeFirst`.
    Merge(Vec<MergeField>),
    /// `sessionize "…*…" as (a), "…$a…*" as (b)`.
    Sessionize {
        /// The steps.
        steps: Vec<AnchorClause>,
        /// As written.
        settings: Vec<Setting>,
    },
    /// `trace "regex" "value"`.
    Trace(Vec<Text>),
    /// `lookup a, b from path on k=f`.
    Lookup {
        /// The columns added.
        columns: Vec<LookupColumn>,
        /// The table, as written.
        from: String,
        /// The equalities.
        on: Vec<OnPair>,
    },
    /// `geoip f`, `threatip f`, `threatlookup f`: known to the service, not to us.
    Intel {
        /// The operator in lower case.
        operator: String,
        /// `singleIndicator` and the like.
        modifiers: Vec<Name>,
        /// The fields.
        fields: Vec<Name>,
    },
    /// `logreduce`, `logcompare`, `logexplain`.
    LogAnalysis {
        /// The operator in lower case.
        operator: String,
        /// `values`, `keys`.
        mode: Option<Name>,
        /// The field or the condition looked at.
        expr: Option<Box<Expr>>,
        /// `timeshift -24h`.
        timeshift: Option<Expr>,
        /// `baseline (…)`, `target (…)`.
        pipelines: Vec<(Name, Query)>,
        /// `on a, b`.
        on: Vec<Name>,
        /// `by a, b`.
        by: Vec<Name>,
        /// As written.
        settings: Vec<Setting>,
    },
    /// `withtime f`.
    Withtime(Name),
    /// `save [append] /path`, `cat path`, `macro name`, `infer k=v`, `benchmark …`: the service's own.
    Service {
        /// The operator in lower case.
        operator: String,
        /// As written.
        words: Vec<String>,
    },
}

/// How `keyvalue` finds its pairs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyValueMode {
    /// `infer`, also when nothing is said.
    Infer,
    /// `auto`
    Auto,
    /// `regex "…"`, as written.
    Regex(Text),
}
