//! The syntax tree of KQL.
//!
//! Every node has its place in the text; comparing two trees ignores places, so that "prints to a
//! text that parses to the same tree" can be said with `==`.
//!
//! Trees are never deep: the parser refuses nesting beyond a limit, and what people write in long
//! chains (`a or b or …`, `a + b + …`, `a.b.c…`, pipelines) is one node with many parts. Walking,
//! printing and dropping a tree by plain recursion is therefore safe.

mod operator;
pub mod visit;

pub use operator::*;

use tercel_ir::{Name, Span, Type};

/// Something with a place in the text. Equality looks at the thing only.
#[derive(Clone, Debug)]
pub struct Node<T> {
    /// The thing.
    pub node: T,
    /// Its place.
    pub span: Span,
}

impl<T> Node<T> {
    /// Joins the two.
    pub fn new(node: T, span: Span) -> Node<T> {
        Node { node, span }
    }
}

impl<T: PartialEq> PartialEq for Node<T> {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

/// A name as written, without quoting brackets.
pub type Ident = Node<Name>;
/// An expression, scalar or tabular: KQL's grammar does not tell them apart.
pub type Expr = Node<ExprKind>;
/// One operator of a pipeline.
pub type Operator = Node<OperatorKind>;
/// One statement.
pub type Statement = Node<StatementKind>;

/// A whole query text.
#[derive(Clone, Debug, Default)]
pub struct Ast {
    /// In order; the ones that are queries produce results.
    pub statements: Vec<Statement>,
    /// How deep brackets stand inside each other in the text; no part of the meaning.
    pub depth: u32,
}

impl PartialEq for Ast {
    fn eq(&self, other: &Self) -> bool {
        self.statements == other.statements
    }
}

/// What a statement does.
#[derive(Clone, PartialEq, Debug)]
pub enum StatementKind {
    /// `let name = expression`.
    Let {
        /// The name bound.
        name: Ident,
        /// Its value, scalar or tabular.
        value: Expr,
    },
    /// `let name = [view] (parameters) { body }`.
    Function {
        /// The name bound.
        name: Ident,
        /// What it stands for.
        function: Function,
    },
    /// `set name [= value]`.
    Set {
        /// The option.
        name: Ident,
        /// Its value.
        value: Option<Expr>,
    },
    /// `declare query_parameters(…)`.
    QueryParameters(Vec<Parameter>),
    /// `declare pattern …`.
    Pattern(Box<Pattern>),
    /// `restrict access to (…)`.
    Restrict(Vec<Expr>),
    /// `alias database name = expression`.
    Alias {
        /// The alias.
        name: Ident,
        /// The database.
        value: Expr,
    },
    /// A query.
    Query(Expr),
    /// What could not be read; reported already.
    Error,
}

/// A user-defined function.
#[derive(Clone, PartialEq, Debug)]
pub struct Function {
    /// Whether wildcards in `union` find it.
    pub view: bool,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// `let`s and, last, the result.
    pub body: Vec<Statement>,
}

/// A parameter of a function or query.
#[derive(Clone, PartialEq, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub ty: ParameterType,
    /// What it is when no argument is given.
    pub default: Option<Expr>,
}

/// What a parameter takes.
#[derive(Clone, PartialEq, Debug)]
pub enum ParameterType {
    /// A value.
    Scalar(Node<Type>),
    /// A table with at least these columns; `(*)` is no columns.
    Table(Vec<ColumnDecl>),
}

/// `name: type`.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnDecl {
    /// The column.
    pub name: Ident,
    /// Its type; `find` alone may leave it out.
    pub ty: Option<Node<Type>>,
}

/// `declare pattern name = (parameters)[path] { rules }`.
#[derive(Clone, PartialEq, Debug)]
pub struct Pattern {
    /// The pattern's name.
    pub name: Ident,
    /// Its parameters; with no definition at all, none.
    pub parameters: Vec<Parameter>,
    /// The parameter of the path.
    pub path: Option<Parameter>,
    /// Which arguments mean what.
    pub rules: Vec<PatternRule>,
    /// Whether there is a definition (`declare pattern name;` has none).
    pub defined: bool,
}

/// `(arguments).[path] = { body }`.
#[derive(Clone, PartialEq, Debug)]
pub struct PatternRule {
    /// Values of the parameters.
    pub arguments: Vec<Expr>,
    /// Value of the path.
    pub path: Option<Expr>,
    /// What it stands for.
    pub body: Vec<Statement>,
}

/// An expression, scalar or tabular.
#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    /// A column, table, or `let` name.
    Name(Name),
    /// A name with `*` in it, where tables or columns are listed.
    Wildcard(Name),
    /// `*`.
    Star,
    /// A value.
    Literal(Literal),
    /// `-x`, `+x`.
    Sign {
        /// Whether it is a minus.
        negative: bool,
        /// The operand.
        operand: Box<Expr>,
    },
    /// `a or b or …`; at least two.
    Or(Vec<Expr>),
    /// `a and b and …`; at least two.
    And(Vec<Expr>),
    /// `a + b - …` or `a * b / …`, from the left; all operators bind alike.
    Arithmetic {
        /// The leftmost operand.
        first: Box<Expr>,
        /// The others with the operator before each.
        rest: Vec<(Node<ArithmeticOp>, Expr)>,
    },
    /// `a == b` and its kin.
    Compare {
        /// Which.
        op: Node<CompareOp>,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// `a has b`, `a =~ b`, `a:b`, `* has b`.
    StringOp {
        /// Which.
        op: Node<StringOp>,
        /// Left operand; may be [`ExprKind::Star`].
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// `a in (…)`, `a has_any (…)`.
    List {
        /// Which.
        op: Node<ListOp>,
        /// Left operand; may be [`ExprKind::Star`].
        left: Box<Expr>,
        /// The list, which may hold a tabular expression.
        items: Vec<Expr>,
    },
    /// `a between (low .. high)`.
    Between {
        /// Whether it is `!between`.
        negated: Node<bool>,
        /// The value tested.
        value: Box<Expr>,
        /// Lower end, included.
        low: Box<Expr>,
        /// Upper end, included; a timespan counts from the lower end.
        high: Box<Expr>,
    },
    /// `base.name[0]…`.
    Path {
        /// What the path starts from.
        base: Box<Expr>,
        /// At least one step.
        steps: Vec<Step>,
    },
    /// `f(…)`.
    Call(Call),
    /// `source | operator | …`.
    Pipeline(Box<Pipeline>),
    /// `datatable (schema) [values]`.
    DataTable(Box<DataTable>),
    /// `externaldata (schema) [uris] with (properties)`.
    ExternalData(Box<ExternalData>),
    /// `entity_group [a, b]`.
    EntityGroup(Vec<Expr>),
    /// What could not be read; reported already.
    Error,
}

/// `name(arguments)`.
#[derive(Clone, PartialEq, Debug)]
pub struct Call {
    /// The function.
    pub name: Ident,
    /// `kind=nooptimization` of `toscalar` and `totable`.
    pub parameters: Vec<QueryParameter>,
    /// The arguments.
    pub arguments: Vec<Argument>,
}

/// An argument, by place or by name.
#[derive(Clone, PartialEq, Debug)]
pub struct Argument {
    /// The parameter it is for, or the name of an aggregate's result.
    pub name: Option<Ident>,
    /// The value; may be [`ExprKind::Star`].
    pub value: Expr,
}

/// One step of a path.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// `.name` or `.["name"]`.
    Member(Ident),
    /// `[expression]`.
    Index(Expr),
    /// `.f(…)`.
    Call(Node<Call>),
    /// `.prefix*`, where tables are listed.
    Wildcard(Ident),
}

/// A value written down.
#[derive(Clone, PartialEq, Debug)]
pub enum Literal {
    /// `true`.
    Bool(bool),
    /// `42`; also a hexadecimal number.
    Long(i64),
    /// `4.2`.
    Real(f64),
    /// Any form of string, adjacent ones joined.
    String {
        /// What it says.
        value: Name,
        /// Whether it is to be kept out of logs (`h"…"`).
        hidden: bool,
    },
    /// `5m`, as written; see [`crate::literal::timespan_literal`].
    Timespan(Name),
    /// `datetime(…)` and its kin with the raw inside; see [`crate::literal::typed_literal`].
    Typed(Type, Name),
    /// `typeof(…)` with its raw inside.
    TypeOf(Name),
    /// `dynamic(…)`.
    Dynamic(Box<Node<Json>>),
}

/// The inside of a `dynamic` literal: JSON, with KQL's strings and literals.
#[derive(Clone, PartialEq, Debug)]
pub enum Json {
    /// `null`.
    Null,
    /// A string, number, Boolean, datetime, timespan or GUID.
    Scalar(Literal),
    /// `[…]`.
    Array(Vec<Node<Json>>),
    /// `{…}`, in order.
    Object(Vec<(Ident, Node<Json>)>),
}

/// Arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArithmeticOp {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
}

/// Comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompareOp {
    /// `==`
    Eq,
    /// `!=` and `<>`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

macro_rules! string_ops {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// Operators between two strings.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum StringOp {
            $($(#[$doc])* #[doc = concat!("`", $text, "`")] $name),*
        }
        impl StringOp {
            /// All of them.
            pub const ALL: &'static [StringOp] = &[$(StringOp::$name),*];
            /// As written.
            pub fn as_str(self) -> &'static str {
                match self { $(StringOp::$name => $text),* }
            }
        }
    };
}

string_ops! {
    EqTilde = "=~",
    NotTilde = "!~",
    Has = "has",
    NotHas = "!has",
    HasCs = "has_cs",
    NotHasCs = "!has_cs",
    HasPrefix = "hasprefix",
    NotHasPrefix = "!hasprefix",
    HasPrefixCs = "hasprefix_cs",
    NotHasPrefixCs = "!hasprefix_cs",
    HasSuffix = "hassuffix",
    NotHasSuffix = "!hassuffix",
    HasSuffixCs = "hassuffix_cs",
    NotHasSuffixCs = "!hassuffix_cs",
    Contains = "contains",
    NotContains = "!contains",
    ContainsCs = "contains_cs",
    NotContainsCs = "!contains_cs",
    StartsWith = "startswith",
    NotStartsWith = "!startswith",
    StartsWithCs = "startswith_cs",
    NotStartsWithCs = "!startswith_cs",
    EndsWith = "endswith",
    NotEndsWith = "!endswith",
    EndsWithCs = "endswith_cs",
    NotEndsWithCs = "!endswith_cs",
    MatchesRegex = "matches regex",
    Like = "like",
    NotLike = "notlike",
    LikeCs = "likecs",
    NotLikeCs = "notlikecs",
    /// A search term for one column:
    Colon = ":",
}

impl StringOp {
    /// From the operator's word, old names included.
    pub fn from_word(word: &str) -> Option<StringOp> {
        Some(match word {
            "notcontains" => StringOp::NotContains,
            "containscs" => StringOp::ContainsCs,
            "notcontainscs" => StringOp::NotContainsCs,
            _ => return StringOp::ALL.iter().copied().find(|o| o.as_str() == word),
        })
    }
}

/// Operators between a value and a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListOp {
    /// `in`
    In,
    /// `!in`
    NotIn,
    /// `in~`
    InCi,
    /// `!in~`
    NotInCi,
    /// `has_any`
    HasAny,
    /// `!has_any`
    NotHasAny,
    /// `has_all`
    HasAll,
    /// `!has_all`
    NotHasAll,
}

impl ListOp {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            ListOp::In => "in",
            ListOp::NotIn => "!in",
            ListOp::InCi => "in~",
            ListOp::NotInCi => "!in~",
            ListOp::HasAny => "has_any",
            ListOp::NotHasAny => "!has_any",
            ListOp::HasAll => "has_all",
            ListOp::NotHasAll => "!has_all",
        }
    }
    /// From the operator's word.
    pub fn from_word(word: &str) -> Option<ListOp> {
        Some(match word {
            "in" => ListOp::In,
            "!in" => ListOp::NotIn,
            "in~" => ListOp::InCi,
            "!in~" => ListOp::NotInCi,
            "has_any" => ListOp::HasAny,
            "!has_any" => ListOp::NotHasAny,
            "has_all" => ListOp::HasAll,
            "!has_all" => ListOp::NotHasAll,
            _ => return None,
        })
    }
}

impl ArithmeticOp {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            ArithmeticOp::Add => "+",
            ArithmeticOp::Subtract => "-",
            ArithmeticOp::Multiply => "*",
            ArithmeticOp::Divide => "/",
            ArithmeticOp::Modulo => "%",
        }
    }
}

impl CompareOp {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            CompareOp::Eq => "==",
            CompareOp::Ne => "!=",
            CompareOp::Lt => "<",
            CompareOp::Le => "<=",
            CompareOp::Gt => ">",
            CompareOp::Ge => ">=",
        }
    }
}

/// `source | operator | …`. Without source, the first operator makes its own input (`print`,
/// `union`, …), or the pipeline stands where an input is given (`fork`, `mv-apply`, …).
#[derive(Clone, PartialEq, Debug)]
pub struct Pipeline {
    /// Where rows come from.
    pub source: Option<Expr>,
    /// What happens to them.
    pub operators: Vec<Operator>,
}

/// `datatable (schema) [values]`.
#[derive(Clone, PartialEq, Debug)]
pub struct DataTable {
    /// Its columns.
    pub schema: Vec<ColumnDecl>,
    /// Row by row.
    pub values: Vec<Expr>,
}

/// `externaldata (schema) [uris] with (properties)`.
#[derive(Clone, PartialEq, Debug)]
pub struct ExternalData {
    /// Its columns.
    pub schema: Vec<ColumnDecl>,
    /// Where to read.
    pub uris: Vec<Expr>,
    /// How.
    pub properties: Vec<QueryParameter>,
    /// What `inline_external_table` has besides.
    pub inline: Option<InlineTable>,
}

/// The parts of `inline_external_table (schema) kind=… partition by (…) pathformat=(…) dataformat=… (uris)`.
#[derive(Clone, PartialEq, Debug)]
pub struct InlineTable {
    /// `kind=`, `dataformat=`.
    pub parameters: Vec<QueryParameter>,
    /// `partition by`.
    pub partition: Vec<Parameter>,
    /// `pathformat=`.
    pub path_format: Vec<Expr>,
}

/// `name = value` behind an operator's name or in its `with (…)`.
#[derive(Clone, PartialEq, Debug)]
pub struct QueryParameter {
    /// Such as `kind` or `hint.strategy`.
    pub name: Ident,
    /// A bare word is [`ExprKind::Name`]. More than one only for lists of columns in `render`.
    pub values: Vec<Expr>,
}

/// `[names =] value`.
#[derive(Clone, PartialEq, Debug)]
pub struct NamedExpr {
    /// None, one, or several (`(a, b) = f()`).
    pub names: Vec<Ident>,
    /// The value.
    pub value: Expr,
}

/// A key of an order.
#[derive(Clone, PartialEq, Debug)]
pub struct SortKey {
    /// By what.
    pub value: NamedExpr,
    /// `asc` = true, `desc` = false.
    pub ascending: Option<bool>,
    /// `nulls first` = true, `nulls last` = false.
    pub nulls_first: Option<bool>,
}
