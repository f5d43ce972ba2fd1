//! The tabular operators.

use super::{
    Call, ColumnDecl, Expr, Ident, NamedExpr, Node, Parameter, Pipeline, QueryParameter, SortKey, Statement,
};

/// How `project-reorder` orders the columns of a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReorderBy {
    /// `asc`
    Asc,
    /// `desc`
    Desc,
    /// `granny-asc`: numbers inside names count as numbers.
    GrannyAsc,
    /// `granny-desc`
    GrannyDesc,
}

/// What an operator does. Parameters (`kind=inner`, `hint.strategy=shuffle`) come first in each.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "each variant shows its syntax, which names the fields")]
pub enum OperatorKind {
    /// `as name`
    As { parameters: Vec<QueryParameter>, name: Ident },
    /// `assert-schema (schema)`
    AssertSchema(Vec<ColumnDecl>),
    /// `consume`
    Consume(Vec<QueryParameter>),
    /// `count [as name]`
    Count(Option<Ident>),
    /// `distinct a, b` or `distinct *`
    Distinct { parameters: Vec<QueryParameter>, columns: Vec<Expr> },
    /// `evaluate plugin(…) [: (schema)]`
    Evaluate { parameters: Vec<QueryParameter>, call: Node<Call>, schema: Option<EvaluateSchema> },
    /// `execute-and-cache`
    ExecuteAndCache,
    /// `extend a = …, …`
    Extend(Vec<NamedExpr>),
    /// `facet by a, b [with (…)]`
    Facet { by: Vec<Expr>, with: Option<Pipeline> },
    /// `find …`
    Find(Box<Find>),
    /// `fork name=(…) (…)`
    Fork(Vec<(Option<Ident>, Pipeline)>),
    /// `getschema`
    GetSchema { parameters: Vec<QueryParameter> },
    /// `graph-mark-components`
    GraphMarkComponents(Vec<QueryParameter>),
    /// `graph-match` and `graph-shortest-paths`
    GraphMatch(Box<GraphMatch>),
    /// `graph-to-table`
    GraphToTable(Vec<GraphOutput>),
    /// `graph-where-nodes` and `graph-where-edges`
    GraphWhere { edges: bool, predicate: Expr },
    /// `invoke f(…)`
    Invoke(Expr),
    /// `join` and `lookup`
    Join(Box<Join>),
    /// `macro-expand group as name (…)`
    MacroExpand { parameters: Vec<QueryParameter>, group: Expr, name: Ident, body: Vec<Statement> },
    /// `make-graph source --> target …`
    MakeGraph(Box<MakeGraph>),
    /// `make-series …`
    MakeSeries(Box<MakeSeries>),
    /// `mv-apply … on (…)`
    MvApply(Box<MvApply>),
    /// `mv-expand a, b to typeof(…) limit n`
    MvExpand { parameters: Vec<QueryParameter>, items: Vec<MvItem>, limit: Option<Expr>, legacy: bool },
    /// `parse` and `parse-where`
    Parse(Box<Parse>),
    /// `parse-kv a as (…) with (…)`
    ParseKv { subject: Expr, keys: Vec<ColumnDecl>, properties: Vec<QueryParameter> },
    /// `partition by …`
    Partition(Box<Partition>),
    /// `print a = …`
    Print(Vec<NamedExpr>),
    /// `project a = …`
    Project(Vec<NamedExpr>),
    /// `project-away a, b*`
    ProjectAway(Vec<Expr>),
    /// `project-by-names …`
    ProjectByNames(Vec<Expr>),
    /// `project-keep a, b*`
    ProjectKeep(Vec<Expr>),
    /// `project-rename a = b`
    ProjectRename(Vec<NamedExpr>),
    /// `project-reorder a, b* asc`
    ProjectReorder(Vec<(Expr, Option<ReorderBy>)>),
    /// `range x from a to b step c`
    Range { name: Ident, from: Expr, to: Expr, step: Expr },
    /// `reduce by a with (…)`
    Reduce { parameters: Vec<QueryParameter>, by: NamedExpr, with: Vec<NamedExpr> },
    /// `render chart with (…)`
    Render { chart: Ident, properties: Vec<QueryParameter> },
    /// `sample n`
    Sample { parameters: Vec<QueryParameter>, count: Expr },
    /// `sample-distinct n of a`
    SampleDistinct { parameters: Vec<QueryParameter>, count: Expr, of: NamedExpr },
    /// `scan … with (…)`
    Scan(Box<Scan>),
    /// `search …`
    Search(Box<Search>),
    /// `serialize a = …`
    Serialize { parameters: Vec<QueryParameter>, columns: Vec<NamedExpr> },
    /// `sort by a desc`
    Sort { parameters: Vec<QueryParameter>, keys: Vec<SortKey> },
    /// `summarize … by …`
    Summarize(Box<Summarize>),
    /// `take n`
    Take { parameters: Vec<QueryParameter>, count: Expr },
    /// `top n by a`
    Top { parameters: Vec<QueryParameter>, count: Expr, key: SortKey },
    /// `top-hitters n of a by b`
    TopHitters { parameters: Vec<QueryParameter>, count: Expr, of: NamedExpr, by: Option<SortKey> },
    /// `top-nested n of a by b, top-nested …`
    TopNested(Vec<TopNested>),
    /// `union …`
    Union { parameters: Vec<QueryParameter>, tables: Vec<Expr> },
    /// `where …`
    ///
    /// A name before the condition (`where IsBillable = true`) is legal, names nothing, and makes the
    /// condition a constant: one of KQL's traps.
    Where { parameters: Vec<QueryParameter>, predicate: NamedExpr },
    /// What could not be read; reported already.
    Error,
}

/// The schema behind `evaluate f(…) :`.
#[derive(Clone, PartialEq, Debug)]
pub struct EvaluateSchema {
    /// Whether it begins with `*`: the input's columns too.
    pub star: bool,
    /// The columns.
    pub columns: Vec<ColumnDecl>,
}

/// `find`.
#[derive(Clone, PartialEq, Debug)]
pub struct Find {
    /// `withsource=`, hints.
    pub parameters: Vec<QueryParameter>,
    /// `in (…)`.
    pub tables: Vec<Expr>,
    /// The condition.
    pub predicate: Expr,
    /// `project`.
    pub project: Option<Vec<FindColumn>>,
    /// `project-smart`.
    pub smart: bool,
    /// `project-away`.
    pub away: Option<Vec<Expr>>,
}

/// A column that `find` puts out.
#[derive(Clone, PartialEq, Debug)]
pub enum FindColumn {
    /// `name [: type]`
    Column(ColumnDecl),
    /// `pack(*)` and `pack_all()`
    Pack,
}

/// `graph-match` and `graph-shortest-paths`.
#[derive(Clone, PartialEq, Debug)]
pub struct GraphMatch {
    /// `graph-shortest-paths`.
    pub shortest: bool,
    /// `cycles=`, `output=`.
    pub parameters: Vec<QueryParameter>,
    /// The patterns; each begins with a node.
    pub patterns: Vec<Vec<GraphElement>>,
    /// `where`.
    pub predicate: Option<Expr>,
    /// `project`.
    pub project: Vec<NamedExpr>,
}

/// A part of a graph pattern.
#[derive(Clone, PartialEq, Debug)]
pub enum GraphElement {
    /// `(name)`
    Node(Option<Ident>),
    /// `-[name*1..5]->` and the other directions.
    Edge {
        /// The edge's name.
        name: Option<Ident>,
        /// Length of the path, from and to.
        length: Option<(Option<Expr>, Option<Expr>)>,
        /// Which way.
        direction: Direction,
    },
}

/// The direction of an edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// `-->`
    Right,
    /// `<--`
    Left,
    /// `--`
    Any,
}

/// `nodes [as name] [with_node_id=…]` of `graph-to-table`.
#[derive(Clone, PartialEq, Debug)]
pub struct GraphOutput {
    /// `edges`, not `nodes`.
    pub edges: bool,
    /// `as`.
    pub name: Option<Ident>,
    /// `with_node_id=` and the like.
    pub parameters: Vec<QueryParameter>,
}

/// `make-graph`.
#[derive(Clone, PartialEq, Debug)]
pub struct MakeGraph {
    /// Column of the edge's start.
    pub source: Expr,
    /// Column of the edge's end.
    pub target: Expr,
    /// Tables of nodes and the key of each.
    pub nodes: Vec<(Expr, Expr)>,
    /// `with_node_id=`.
    pub parameters: Vec<QueryParameter>,
    /// `partitioned-by column (…)`.
    pub partitioned_by: Option<(Expr, Pipeline)>,
}

/// `join` and `lookup`.
#[derive(Clone, PartialEq, Debug)]
pub struct Join {
    /// `lookup`.
    pub lookup: bool,
    /// `kind=`, hints.
    pub parameters: Vec<QueryParameter>,
    /// The right side.
    pub right: Expr,
    /// `on`; `None` when there is no such clause.
    pub on: Option<Vec<Expr>>,
    /// `where`, an old form.
    pub predicate: Option<Expr>,
}

/// `make-series`.
#[derive(Clone, PartialEq, Debug)]
pub struct MakeSeries {
    /// `kind=nonempty`, hints.
    pub parameters: Vec<QueryParameter>,
    /// The series, each with its `default=`.
    pub series: Vec<(NamedExpr, Option<Expr>)>,
    /// The axis.
    pub on: NamedExpr,
    /// `from`.
    pub from: Option<Expr>,
    /// `to`.
    pub to: Option<Expr>,
    /// `step`.
    pub step: Expr,
    /// Whether written `in range(from, to, step)`, whose end is included.
    pub in_range: bool,
    /// `by`.
    pub by: Vec<NamedExpr>,
}

/// `mv-apply`.
#[derive(Clone, PartialEq, Debug)]
pub struct MvApply {
    /// `with_itemindex=` and the like.
    pub parameters: Vec<QueryParameter>,
    /// What is expanded.
    pub items: Vec<MvItem>,
    /// `limit`.
    pub limit: Option<Expr>,
    /// The subquery.
    pub body: Pipeline,
}

/// `[name =] value [to typeof(type)]`.
#[derive(Clone, PartialEq, Debug)]
pub struct MvItem {
    /// The array.
    pub value: NamedExpr,
    /// The raw inside of `typeof(…)`.
    pub to: Option<Ident>,
}

/// `parse` and `parse-where`.
#[derive(Clone, PartialEq, Debug)]
pub struct Parse {
    /// `parse-where`.
    pub filter: bool,
    /// `kind=`, `flags=`.
    pub parameters: Vec<QueryParameter>,
    /// The text parsed.
    pub subject: Expr,
    /// What it looks like.
    pub pattern: Vec<ParseElement>,
}

/// A part of a `parse` pattern.
#[derive(Clone, PartialEq, Debug)]
pub enum ParseElement {
    /// `*`
    Star,
    /// A text to be found.
    Text(Expr),
    /// A column to be filled.
    Column(ColumnDecl),
}

/// `partition`.
#[derive(Clone, PartialEq, Debug)]
pub struct Partition {
    /// Hints.
    pub parameters: Vec<QueryParameter>,
    /// The key.
    pub by: Expr,
    /// The old `in (…)`.
    pub within: Option<Expr>,
    /// The subquery.
    pub body: Pipeline,
    /// Whether the body is a whole query in braces, rather than operators in parentheses.
    pub braces: bool,
}

/// `scan`.
#[derive(Clone, PartialEq, Debug)]
pub struct Scan {
    /// `with_match_id=` and the like.
    pub parameters: Vec<QueryParameter>,
    /// `order by`.
    pub order: Vec<SortKey>,
    /// `partition by`.
    pub partition: Vec<Expr>,
    /// `declare (…)`.
    pub declare: Vec<Parameter>,
    /// The steps.
    pub steps: Vec<ScanStep>,
}

/// A step of `scan`.
#[derive(Clone, PartialEq, Debug)]
pub struct ScanStep {
    /// Its name.
    pub name: Ident,
    /// Whether it may be left out.
    pub optional: bool,
    /// `output=`.
    pub output: Option<Ident>,
    /// The condition.
    pub predicate: Expr,
    /// What a match sets.
    pub assignments: Vec<(Ident, Expr)>,
}

/// `search`.
#[derive(Clone, PartialEq, Debug)]
pub struct Search {
    /// `kind=`.
    pub parameters: Vec<QueryParameter>,
    /// `in (…)`.
    pub tables: Vec<Expr>,
    /// The condition; a bare string is a term.
    pub predicate: Expr,
}

/// `summarize`.
#[derive(Clone, PartialEq, Debug)]
pub struct Summarize {
    /// Hints.
    pub parameters: Vec<QueryParameter>,
    /// The aggregates.
    pub aggregates: Vec<NamedExpr>,
    /// The keys.
    pub by: Vec<NamedExpr>,
    /// Whether there is a `by`.
    pub grouped: bool,
    /// The old `bin=width` behind the keys.
    pub bin: Option<Expr>,
}

/// A level of `top-nested`.
#[derive(Clone, PartialEq, Debug)]
pub struct TopNested {
    /// How many; all when left out.
    pub count: Option<Expr>,
    /// Of what.
    pub of: NamedExpr,
    /// `with others=`.
    pub others: Option<Expr>,
    /// By what.
    pub by: SortKey,
}
