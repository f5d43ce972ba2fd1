//! Processing pipelines of pySigma (YAML), for people who have them: they rename fields, change values,
//! add conditions, and the like, before a rule is lowered. Nobody needs one; log sources and field names
//! are tercel's own business.
//!
//! [`parse`] reads one, [`Pipelines::new`] puts several together by priority, and [`Pipelines::apply`]
//! changes a document. What a pipeline can do to the text of a query (`postprocessing`, `finalizers`, query
//! expressions) means nothing here and is refused by name, as is every transformation or condition that is
//! not known: a pipeline that is applied in part would give rules that nobody wrote.
//!
//! Values are seen as pySigma sees them: `contains`, `startswith` and `endswith` have become wildcards.
//! Values with other modifiers (`base64`, `windash`, …) are seen as they are written.

mod apply;
mod conditions;
mod fields;
mod parse;
mod tree;
mod values;

pub use parse::parse;

use crate::ast::{Comparison, Scalar, SearchBody, Spanned};
use crate::condition::Expression;
use std::collections::BTreeMap;
use tercel_ir::Span;

/// Pipelines inside each other (`nest`) may stand so deep.
const MAX_NESTING: usize = 16;

/// A pipeline as read from its file.
#[derive(Clone, Debug, Default)]
pub struct Pipeline {
    /// Its name, for messages.
    pub name: String,
    /// Lower ones come first; files of the same priority in the order in which they are named.
    pub priority: i64,
    /// Values of placeholders.
    pub(crate) vars: BTreeMap<String, Vec<String>>,
    pub(crate) items: Vec<Item>,
}

/// Several pipelines as one.
#[derive(Clone, Debug, Default)]
pub struct Pipelines {
    vars: BTreeMap<String, Vec<String>>,
    items: Vec<Item>,
}

impl Pipelines {
    /// All of them, by priority. Variables of later ones replace those of earlier ones.
    pub fn new(mut all: Vec<Pipeline>) -> Pipelines {
        all.sort_by_key(|p| p.priority);
        let mut out = Pipelines::default();
        for p in all {
            out.vars.extend(p.vars);
            out.items.extend(p.items);
        }
        out
    }
    /// Whether they change nothing.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// A transformation and when it applies.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// By which later conditions refer to it.
    id: Option<String>,
    /// Where in the pipelines it stands, for messages: `windows.yml, transformation 3`.
    place: String,
    what: Transformation,
    rule: Conditions<RuleCondition>,
    item: Conditions<ItemCondition>,
    field: Conditions<FieldCondition>,
}

/// Conditions of one kind and how they are joined.
#[derive(Clone, Debug)]
struct Conditions<C> {
    all: Vec<(Option<String>, C)>,
    join: Join,
    negated: bool,
}

impl<C> Default for Conditions<C> {
    fn default() -> Conditions<C> {
        Conditions { all: Vec::new(), join: Join::And, negated: false }
    }
}

#[derive(Clone, Debug)]
enum Join {
    And,
    Or,
    /// An expression over the names of the conditions.
    Expression(Spanned<Expression>),
}

#[derive(Clone, Debug)]
enum RuleCondition {
    LogSource { category: Option<String>, product: Option<String>, service: Option<String> },
    ContainsItem { field: String, value: Scalar },
    ContainsField(String),
    Applied(String),
    State(StateTest),
    IsRule,
    IsCorrelation,
    Attribute { name: String, value: Scalar, op: AttributeOp },
    Tag(String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum AttributeOp {
    Compare(Comparison),
    In,
    NotIn,
}

#[derive(Clone, Debug)]
struct StateTest {
    key: String,
    value: Scalar,
    op: Comparison,
}

#[derive(Clone, Debug)]
enum ItemCondition {
    MatchString { all: bool, pattern: regex::Regex, negated: bool },
    ContainsWildcard { all: bool },
    IsNull { all: bool },
    Applied(String),
    State(StateTest),
}

#[derive(Clone, Debug)]
enum FieldCondition {
    Include(Names),
    Exclude(Names),
    Applied(String),
    State(StateTest),
}

/// Names of fields, or expressions for them.
#[derive(Clone, Debug)]
enum Names {
    Plain(Vec<String>),
    Re(Vec<regex::Regex>),
}

impl Names {
    fn hold(&self, name: &str) -> bool {
        match self {
            Names::Plain(all) => all.iter().any(|n| n == name),
            Names::Re(all) => all.iter().any(|r| r.is_match(name)),
        }
    }
}

#[derive(Clone, Debug)]
enum Transformation {
    Fields(FieldMap),
    DropItem,
    WildcardPlaceholders(Handled),
    ValuePlaceholders(Handled),
    AddCondition { name: String, body: Spanned<SearchBody>, template: bool, negated: bool },
    ChangeLogSource { category: Option<String>, product: Option<String>, service: Option<String> },
    AddField(Vec<String>),
    RemoveField(Vec<String>),
    SetField(Vec<String>),
    ReplaceString { regex: regex::Regex, replacement: String, skip_special: bool, interpret_special: bool },
    MapString(BTreeMap<String, Vec<String>>),
    SetValue(Scalar),
    ConvertType { number: bool },
    Case { upper: bool },
    SetState { key: String, value: Scalar },
    SetAttribute { name: String, value: Scalar },
    RuleFailure(String),
    ItemFailure(String),
    Nest(Vec<Item>),
}

#[derive(Clone, Debug)]
enum FieldMap {
    /// Whole names; an empty list takes the field out.
    Names(BTreeMap<String, Vec<String>>),
    /// The first prefix that fits is replaced.
    Prefixes(Vec<(String, Vec<String>)>),
    AddPrefix(String),
    AddSuffix(String),
}

/// Which placeholders a transformation is for.
#[derive(Clone, Debug, Default)]
struct Handled {
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
}

impl Handled {
    fn holds(&self, name: &str) -> bool {
        match (&self.include, &self.exclude) {
            (Some(list), _) => list.iter().any(|n| n == name),
            (None, Some(list)) => !list.iter().any(|n| n == name),
            (None, None) => true,
        }
    }
}

/// Things made by a pipeline stand where nothing stands.
fn nowhere() -> Span {
    Span::default()
}
