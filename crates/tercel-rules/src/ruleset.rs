//! The compiled rules.

use crate::compile::{Compiler, EVENT, RECORD, Read, TIME};
use crate::flatten::{Native, NotHere};
use crate::formula::{FALSE, Formulas, Leaf, MIXED, NO_GROUP, Node};
use crate::hash::FastMap;
use crate::pattern::{Order, Test};
use crate::text::TextIndex;
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use tercel_ir::function::Context;
use tercel_ir::{Name, Rel, Value};

/// What is wanted of each hit of a rule beside the rule, the time and the place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Want {
    /// The whole event as JSON text.
    pub text: bool,
    /// The values of the relation's columns.
    pub row: bool,
}

impl Want {
    /// The whole event: what a Sigma rule gives.
    pub const EVENT: Want = Want { text: true, row: false };
    /// The row: what a query gives.
    pub const ROW: Want = Want { text: false, row: true };
    /// Nothing more.
    pub const PLACE: Want = Want { text: false, row: false };
}

/// Bounds of a matcher's memories. Answers do not depend on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of remembered values for each field, in each of two generations.
    pub cache_bytes: usize,
    /// Longer values are looked at every time.
    pub cache_value: usize,
    /// Numbers in all memos together.
    pub memo_numbers: usize,
    /// Different sets of predicates that the values of one field satisfy.
    pub classes: usize,
    /// Event types with a program of their own.
    pub event_types: usize,
    /// Steps that one rule's program may have; a rule that unfolds to more is left to the engine.
    pub rule_steps: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            cache_bytes: 128 << 10,
            cache_value: 768,
            memo_numbers: 1 << 20,
            classes: 1 << 16,
            event_types: 2_048,
            rule_steps: 200_000,
        }
    }
}

/// A predicate of one group of columns that rules are made of: false where all columns are null.
pub(crate) struct Part {
    pub(crate) node: u32,
    pub(crate) group: u32,
    /// A guess at the share of values that satisfy it.
    pub(crate) share: f32,
}

pub(crate) struct GroupProgram {
    pub(crate) columns: Vec<u32>,
    pub(crate) subjects: Vec<u32>,
    /// Whether values are worth remembering: the time and the text of an event are new every time.
    pub(crate) cached: bool,
    /// Parts that can hold without any pattern.
    pub(crate) always: Vec<u32>,
}

pub(crate) struct SubjectProgram {
    pub(crate) native: Arc<Native>,
    /// A text column as it is.
    pub(crate) plain_text: bool,
    pub(crate) plain: bool,
    pub(crate) reads: Vec<Read>,
    /// Patterns of text, of which the index is made when the first value comes.
    texts: Vec<u32>,
    index: OnceLock<TextIndex>,
    patterns: Vec<u32>,
    null: Value,
    nulls: OnceLock<Vec<u32>>,
    pub(crate) numbers: FastMap<i64, u32>,
    pub(crate) compares: Vec<(Order, i64, u32)>,
    pub(crate) cidrs: Vec<(IpNet, u32)>,
    pub(crate) not_null: Option<u32>,
    pub(crate) not_empty: Option<u32>,
    pub(crate) when_true: Option<u32>,
    pub(crate) when_false: Option<u32>,
}

impl SubjectProgram {
    pub(crate) fn has_texts(&self) -> bool {
        !self.texts.is_empty()
    }
    /// Whether nothing but text is asked of it, beside whether it is there.
    pub(crate) fn only_texts(&self) -> bool {
        let neither = self.when_true.is_none() && self.when_false.is_none();
        self.plain_text
            && neither
            && self.numbers.is_empty()
            && self.compares.is_empty()
            && self.cidrs.is_empty()
    }
    pub(crate) fn texts(&self) -> &[u32] {
        &self.texts
    }
    pub(crate) fn index(&self, set: &RuleSet) -> &TextIndex {
        self.index
            .get_or_init(|| TextIndex::new(self.texts.iter().map(|p| (*p, &set.patterns[*p as usize].1))))
    }
    /// The patterns that hold for null.
    pub(crate) fn nulls(&self, set: &RuleSet) -> &[u32] {
        self.nulls.get_or_init(|| {
            let of_null = |p: &u32| match self.null {
                Value::Null => set.formulas.at_null(*p),
                _ => set.patterns[*p as usize].1.holds(&Value::Null),
            };
            self.patterns.iter().copied().filter(of_null).collect()
        })
    }
}

/// Output columns as expressions over an event.
pub(crate) type Row = Vec<(Arc<Native>, Vec<Read>)>;

/// One branch of one rule.
pub(crate) struct Unit {
    /// Place of the rule among those of the set.
    pub(crate) rule: u32,
    pub(crate) node: u32,
    pub(crate) row: Option<Row>,
}

pub(crate) struct TableProgram {
    pub(crate) units: Vec<u32>,
    /// Groups of the columns that say what type an event has.
    pub(crate) type_groups: Vec<u32>,
}

/// Lists by number, all in one.
#[derive(Default)]
pub(crate) struct Grouped {
    ends: Vec<u32>,
    items: Vec<u32>,
}

impl Grouped {
    /// `pairs` of list and item.
    pub(crate) fn of(lists: usize, mut pairs: Vec<(u32, u32)>) -> Grouped {
        pairs.sort_unstable();
        pairs.dedup();
        let mut out = Grouped { ends: Vec::with_capacity(lists), items: Vec::with_capacity(pairs.len()) };
        let mut rest = pairs.into_iter().peekable();
        for l in 0..lists as u32 {
            while let Some((_, item)) = rest.next_if(|p| p.0 == l) {
                out.items.push(item);
            }
            out.ends.push(out.items.len() as u32);
        }
        out
    }
    #[inline]
    pub(crate) fn get(&self, list: u32) -> &[u32] {
        let i = list as usize;
        let from = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.items[from as usize..self.ends[i] as usize]
    }
}

/// Many rules as one program. Shared by the threads; each has a [`Matcher`](crate::Matcher) of its own.
pub struct RuleSet {
    pub(crate) limits: Limits,
    pub(crate) context: Context,
    pub(crate) column_ids: HashMap<Name, u32>,
    pub(crate) groups: Vec<GroupProgram>,
    pub(crate) subjects: Vec<SubjectProgram>,
    pub(crate) formulas: Formulas,
    pub(crate) patterns: Vec<(u32, Test)>,
    /// Sets of patterns by pattern.
    pub(crate) sets_of: Grouped,
    pub(crate) parts: Vec<Part>,
    /// Parts that a set of patterns is a witness of.
    pub(crate) parts_of: Grouped,
    /// By node of one group: its part, and whether the node is the part's negation.
    pub(crate) part_of: FastMap<u32, (u32, bool)>,
    pub(crate) tables: Vec<TableProgram>,
    pub(crate) table_ids: HashMap<Name, u32>,
    pub(crate) units: Vec<Unit>,
    /// By rule: the caller's number, and what is wanted.
    pub(crate) rules: Vec<(usize, Want)>,
}

/// The columns by which events of a table differ in type.
fn type_columns(table: &str) -> &'static [&'static str] {
    match table {
        "Sysmon" | "SecurityEvent" => &["EventID"],
        "WindowsEvents" => &["Channel", "EventID", "Provider"],
        _ => &["ActionType"],
    }
}

impl RuleSet {
    /// Compiles rules, each with a number of the caller's choice. What comes second are those that only the
    /// engine can run, and why.
    pub fn compile(
        rules: &[(usize, &Rel, Want)],
        context: &Context,
        limits: Limits,
    ) -> (RuleSet, Vec<(usize, NotHere)>) {
        let mut c = Compiler::new(context.clone());
        let mut units: Vec<(Name, Unit)> = Vec::new();
        let mut kept = Vec::new();
        let mut refused = Vec::new();
        for (id, rel, want) in rules {
            let before = units.len();
            match add(&mut c, rel, *want, kept.len() as u32, &mut units, &limits) {
                Ok(()) => kept.push((*id, *want)),
                Err(why) => {
                    units.truncate(before);
                    refused.push((*id, why));
                }
            }
        }
        (finish(c, units, kept, limits), refused)
    }

    /// The number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }
    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
    /// The caller's numbers of the rules, in the order of [`Out::counts`](crate::Out::counts).
    pub fn ids(&self) -> impl Iterator<Item = usize> {
        self.rules.iter().map(|r| r.0)
    }
    /// The tables that rules read.
    pub fn tables(&self) -> impl Iterator<Item = &Name> {
        self.table_ids.keys()
    }
    /// The fields of events that rules look at; others need not be read.
    pub fn fields(&self) -> impl Iterator<Item = &Name> {
        self.column_ids.keys()
    }
    /// The fields that rules look at in the events of a table.
    pub fn fields_of(&self, table: &str) -> HashSet<Name> {
        let mut columns: HashSet<u32> = HashSet::new();
        let mut visited = vec![false; self.formulas.nodes.len()];
        let mut open = Vec::new();
        let program = self.table_ids.get(table).map(|t| &self.tables[*t as usize]);
        for unit in program.into_iter().flat_map(|t| &t.units).map(|u| &self.units[*u as usize]) {
            open.push(unit.node);
            let read = unit.row.iter().flatten().flat_map(|(_, reads)| reads);
            columns.extend(read.map(|r| r.column));
        }
        while let Some(node) = open.pop() {
            let i = node as usize;
            if std::mem::replace(&mut visited[i], true) {
                continue;
            }
            match self.formulas.group[i] {
                NO_GROUP => {}
                MIXED => match &self.formulas.nodes[i] {
                    Node::Not(n) => open.push(*n),
                    Node::And(items) | Node::Or(items) => open.extend_from_slice(items),
                    _ => {}
                },
                group => columns.extend(&self.groups[group as usize].columns),
            }
        }
        self.column_ids.iter().filter(|(_, i)| columns.contains(i)).map(|(n, _)| n.clone()).collect()
    }
    /// Sizes, for people who tune.
    pub fn size(&self) -> Size {
        Size {
            rules: self.rules.len(),
            branches: self.units.len(),
            fields: self.column_ids.len(),
            groups: self.groups.len(),
            patterns: self.patterns.len(),
            parts: self.parts.len(),
            nodes: self.formulas.nodes.len(),
        }
    }
}

/// How large a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub rules: usize,
    /// Rules by table.
    pub branches: usize,
    pub fields: usize,
    /// Fields, and sets of fields that some expression reads together.
    pub groups: usize,
    /// Different tests of values.
    pub patterns: usize,
    /// Different predicates that values of one field decide.
    pub parts: usize,
    pub nodes: usize,
}

fn add(
    c: &mut Compiler,
    rel: &Rel,
    want: Want,
    rule: u32,
    units: &mut Vec<(Name, Unit)>,
    limits: &Limits,
) -> Result<(), NotHere> {
    for b in c.flatten(rel, 0)?.iter() {
        if b.formula == FALSE {
            continue;
        }
        if c.formulas.size[b.formula as usize] as usize > limits.rule_steps {
            return Err(NotHere::new(format!("it unfolds to more than {} steps", limits.rule_steps)));
        }
        let row = match want.row {
            false => None,
            true => {
                let mut row = Vec::with_capacity(rel.schema.columns.len());
                for column in &rel.schema.columns {
                    let native = b.env.resolve(&column.name, column.ty);
                    let reads = c.reads(&native.expr)?;
                    row.push((native, reads));
                }
                Some(row)
            }
        };
        units.push((b.table.clone(), Unit { rule, node: b.formula, row }));
    }
    Ok(())
}

fn finish(c: Compiler, units: Vec<(Name, Unit)>, rules: Vec<(usize, Want)>, limits: Limits) -> RuleSet {
    let Compiler { context, mut formulas, columns, groups, subjects, patterns, .. } = c;
    let mut column_ids: HashMap<Name, u32> =
        columns.iter().enumerate().map(|(i, n)| (n.clone(), i as u32)).collect();
    // Taken from the event itself, never from a field of that name.
    column_ids.retain(|_, i| *i >= crate::compile::FIELDS);
    let shares = Shares { patterns: &patterns };

    let (mut parts, mut part_of) = (Vec::new(), FastMap::default());
    let mut visited = vec![false; formulas.nodes.len()];
    let mut open: Vec<u32> = units.iter().map(|u| u.1.node).collect();
    while let Some(node) = open.pop() {
        let i = node as usize;
        if i < visited.len() && std::mem::replace(&mut visited[i], true) {
            continue;
        }
        match formulas.group[i] {
            NO_GROUP => {}
            MIXED => match &formulas.nodes[i] {
                Node::Not(n) => open.push(*n),
                Node::And(items) | Node::Or(items) => open.extend_from_slice(items),
                _ => {}
            },
            group => {
                // A part is false for null: what holds for null stands as the negation of one.
                let negated = formulas.at_null[i];
                let of = if negated { formulas.not(node) } else { node };
                let known: Option<(u32, bool)> = part_of.get(&of).copied();
                let part = match known {
                    Some((p, _)) => p,
                    None => {
                        let share = shares.of(&formulas, of);
                        parts.push(Part { node: of, group, share });
                        parts.len() as u32 - 1
                    }
                };
                part_of.insert(of, (part, false));
                part_of.insert(node, (part, negated));
            }
        }
    }

    let mut group_programs: Vec<GroupProgram> = groups
        .into_iter()
        .map(|g| GroupProgram {
            cached: !g.columns.iter().any(|c| matches!(*c, TIME | RECORD | EVENT)),
            columns: g.columns,
            subjects: g.subjects,
            always: Vec::new(),
        })
        .collect();
    let mut witnesses: Vec<(u32, u32)> = Vec::new();
    let mut used_sets = vec![false; formulas.sets.len()];
    for (i, part) in parts.iter().enumerate() {
        formulas.mark_sets(part.node, &mut used_sets);
        let leaf = |n: u32, polarity: bool| match &formulas.nodes[n as usize] {
            Node::Any(set) if polarity => Leaf::Thing(*set, shares.of_set(&formulas, *set)),
            Node::Any(_) => Leaf::No,
            _ => Leaf::Inner,
        };
        match formulas.witness(part.node, true, &leaf) {
            Some((sets, _)) => witnesses.extend(sets.into_iter().map(|s| (s, i as u32))),
            None => group_programs[part.group as usize].always.push(i as u32),
        }
    }
    let mut sets_of = Vec::new();
    for (s, patterns) in formulas.sets.iter().enumerate().filter(|(s, _)| used_sets[*s]) {
        sets_of.extend(patterns.iter().map(|p| (*p, s as u32)));
    }

    let subjects = subjects.into_iter().map(|s| subject(s, &patterns)).collect();
    let mut tables: Vec<TableProgram> = Vec::new();
    let mut table_ids: HashMap<Name, u32> = HashMap::new();
    let mut out_units = Vec::with_capacity(units.len());
    for (table, unit) in units {
        let id = *table_ids.entry(table.clone()).or_insert_with(|| {
            let is_type = |g: &GroupProgram| match g.columns[..] {
                [one] => type_columns(&table).contains(&&*columns[one as usize]),
                _ => false,
            };
            let type_groups =
                (0..group_programs.len() as u32).filter(|g| is_type(&group_programs[*g as usize]));
            let type_groups = type_groups.collect();
            tables.push(TableProgram { units: Vec::new(), type_groups });
            tables.len() as u32 - 1
        });
        tables[id as usize].units.push(out_units.len() as u32);
        out_units.push(unit);
    }
    RuleSet {
        limits,
        context,
        column_ids,
        groups: group_programs,
        subjects,
        sets_of: Grouped::of(patterns.len(), sets_of),
        parts_of: Grouped::of(formulas.sets.len(), witnesses),
        patterns,
        formulas,
        parts,
        part_of,
        tables,
        table_ids,
        units: out_units,
        rules,
    }
}

/// Guesses at how often things hold.
struct Shares<'p> {
    patterns: &'p [(u32, Test)],
}

impl Shares<'_> {
    fn of_set(&self, f: &Formulas, set: u32) -> f32 {
        f.sets[set as usize].iter().map(|p| self.patterns[*p as usize].1.share()).sum::<f32>().min(1.0)
    }
    fn of(&self, f: &Formulas, node: u32) -> f32 {
        match &f.nodes[node as usize] {
            Node::False => 0.0,
            Node::True => 1.0,
            Node::Any(set) => self.of_set(f, *set),
            Node::Not(n) => (1.0 - self.of(f, *n)).clamp(0.05, 0.95),
            Node::And(items) => items.iter().map(|n| self.of(f, *n)).fold(1.0, f32::min),
            Node::Or(items) => items.iter().map(|n| self.of(f, *n)).sum::<f32>().min(1.0),
        }
    }
}

fn subject(s: crate::compile::Subject, patterns: &[(u32, Test)]) -> SubjectProgram {
    use tercel_ir::Type;
    let mut out = SubjectProgram {
        plain_text: s.plain && matches!(s.native.expr.ty, Type::String | Type::Guid),
        plain: s.plain,
        native: s.native,
        reads: s.reads,
        texts: Vec::new(),
        index: OnceLock::new(),
        null: s.null,
        nulls: OnceLock::new(),
        numbers: FastMap::default(),
        compares: Vec::new(),
        cidrs: Vec::new(),
        not_null: None,
        not_empty: None,
        when_true: None,
        when_false: None,
        patterns: Vec::new(),
    };
    for p in &s.patterns {
        match &patterns[*p as usize].1 {
            Test::Number(n) => {
                out.numbers.insert(*n, *p);
            }
            Test::Compare(order, n) => out.compares.push((*order, *n, *p)),
            Test::Cidr(net) => out.cidrs.push((*net, *p)),
            Test::NotNull => out.not_null = Some(*p),
            Test::NotEmpty => out.not_empty = Some(*p),
            Test::True => out.when_true = Some(*p),
            Test::False => out.when_false = Some(*p),
            _ => out.texts.push(*p),
        }
    }
    out.patterns = s.patterns;
    out
}
