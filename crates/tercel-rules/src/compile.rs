//! What all rules of a set share while they are compiled: columns, groups of columns, subjects (expressions
//! whose values are tested), and patterns (tests of subjects).

use crate::eval::eval;
use crate::flatten::{Env, Native, NotHere, Views};
use crate::formula::Formulas;
use crate::hash::FastMap;
use crate::pattern::Test;
use hashbrown::HashTable;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::Arc;
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Name, Schema, Type, Value};

/// Columns that are not fields: their numbers.
pub(crate) const TIME: u32 = 0;
pub(crate) const SOURCE: u32 = 1;
pub(crate) const RECORD: u32 = 2;
pub(crate) const EVENT: u32 = 3;
/// The numbers of fields start here.
pub(crate) const FIELDS: u32 = 4;

/// A column as an expression reads it.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) name: Name,
    pub(crate) ty: Type,
    pub(crate) column: u32,
    /// Its place among the columns of the group.
    pub(crate) place: u32,
}

/// An expression over native columns, whose value is tested.
pub(crate) struct Subject {
    pub(crate) native: Arc<Native>,
    /// A column as it is.
    pub(crate) plain: bool,
    pub(crate) reads: Vec<Read>,
    pub(crate) group: u32,
    /// Its value where all columns are null.
    pub(crate) null: Value,
    pub(crate) patterns: Vec<u32>,
}

/// The columns that some subjects read; one cache serves them.
pub(crate) struct Group {
    pub(crate) columns: Vec<u32>,
    pub(crate) subjects: Vec<u32>,
}

pub(crate) struct Compiler {
    pub(crate) context: Context,
    pub(crate) formulas: Formulas,
    pub(crate) columns: Vec<Name>,
    column_ids: HashMap<Name, u32>,
    pub(crate) groups: Vec<Group>,
    group_ids: HashMap<Vec<u32>, u32>,
    pub(crate) subjects: Vec<Subject>,
    /// By address of what [`Env::resolve`] gave, which the subjects keep alive.
    subject_of: FastMap<usize, Option<u32>>,
    held: Vec<Arc<Native>>,
    subject_keys: FastMap<Vec<u8>, u32>,
    pub(crate) patterns: Vec<(u32, Test)>,
    known: HashTable<u32>,
    hasher: hashbrown::DefaultHashBuilder,
    pub(crate) views: Views,
    pub(crate) scans: Vec<(Name, Schema, Rc<Env>)>,
    pub(crate) same: Rc<Env>,
}

impl Compiler {
    pub(crate) fn new(context: Context) -> Compiler {
        let mut c = Compiler {
            context,
            formulas: Formulas::new(),
            columns: Vec::new(),
            column_ids: HashMap::new(),
            groups: Vec::new(),
            group_ids: HashMap::new(),
            subjects: Vec::new(),
            subject_of: FastMap::default(),
            held: Vec::new(),
            subject_keys: FastMap::default(),
            patterns: Vec::new(),
            known: HashTable::new(),
            hasher: hashbrown::DefaultHashBuilder::default(),
            views: Views::default(),
            scans: Vec::new(),
            same: Rc::new(Env::same()),
        };
        for name in ["$time", "$source", "$record", "$event"] {
            c.columns.push(name.into());
            c.column_ids.insert(name.into(), c.columns.len() as u32 - 1);
        }
        // Readers fill it with the time of the event, whatever the carrier calls that.
        c.column_ids.insert("TimeGenerated".into(), TIME);
        c
    }

    fn column(&mut self, name: &Name) -> u32 {
        if let Some(id) = self.column_ids.get(name) {
            return *id;
        }
        let id = self.columns.len() as u32;
        self.columns.push(name.clone());
        self.column_ids.insert(name.clone(), id);
        id
    }

    /// The columns of a native expression, each once.
    ///
    /// # Errors
    /// When one column is read as two types: values are handed over by name.
    pub(crate) fn reads(&mut self, e: &Expr) -> Result<Vec<Read>, NotHere> {
        fn walk(c: &mut Compiler, e: &Expr, out: &mut Vec<Read>) -> Result<(), NotHere> {
            if let ExprKind::Column(name) = &e.kind {
                match out.iter().find(|r| r.name == *name) {
                    Some(r) if r.ty == e.ty => {}
                    Some(_) => return Err(NotHere::new(format!("`{name}` is read as two types at once"))),
                    None => {
                        let column = c.column(name);
                        out.push(Read { name: name.clone(), ty: e.ty, column, place: 0 });
                    }
                }
            }
            e.children().into_iter().try_for_each(|x| walk(c, x, out))
        }
        let mut out = Vec::new();
        walk(self, e, &mut out)?;
        Ok(out)
    }

    /// The subject of a native expression; `None` for a constant.
    pub(crate) fn subject(&mut self, native: &Arc<Native>) -> Result<Option<u32>, NotHere> {
        let address = Arc::as_ptr(native) as usize;
        if let Some(s) = self.subject_of.get(&address) {
            return Ok(*s);
        }
        let mut key = Vec::new();
        write_key(&native.expr, &mut key);
        let found = match self.subject_keys.get(&key) {
            Some(s) => Some(*s),
            None => {
                let s = self.new_subject(native)?;
                if let Some(s) = s {
                    self.subject_keys.insert(key, s);
                }
                s
            }
        };
        self.held.push(native.clone());
        self.subject_of.insert(address, found);
        Ok(found)
    }

    fn new_subject(&mut self, native: &Arc<Native>) -> Result<Option<u32>, NotHere> {
        let mut reads = self.reads(&native.expr)?;
        if reads.is_empty() {
            return Ok(None);
        }
        let mut columns: Vec<u32> = reads.iter().map(|r| r.column).collect();
        columns.sort_unstable();
        columns.dedup();
        for r in &mut reads {
            r.place = columns.binary_search(&r.column).unwrap_or(0) as u32;
        }
        let group = match self.group_ids.get(&columns) {
            Some(g) => *g,
            None => {
                let g = self.groups.len() as u32;
                self.groups.push(Group { columns: columns.clone(), subjects: Vec::new() });
                self.group_ids.insert(columns, g);
                g
            }
        };
        let id = self.subjects.len() as u32;
        let null = eval(&native.expr, &|_| Value::Null, &self.context);
        let plain = matches!(native.expr.kind, ExprKind::Column(_));
        self.groups[group as usize].subjects.push(id);
        self.subjects.push(Subject {
            native: native.clone(),
            plain,
            reads,
            group,
            null,
            patterns: Vec::new(),
        });
        Ok(Some(id))
    }

    /// The pattern "this subject passes this test". `at_null`: whether it does for [`Subject::null`], if
    /// the caller knows.
    pub(crate) fn pattern(&mut self, subject: u32, test: Test, at_null: Option<bool>) -> u32 {
        let hash = self.hasher.hash_one((subject, &test));
        let patterns = &self.patterns;
        let same = |i: &u32| patterns[*i as usize].0 == subject && patterns[*i as usize].1 == test;
        if let Some(i) = self.known.find(hash, same) {
            return *i;
        }
        let s = &mut self.subjects[subject as usize];
        let at_null = at_null.unwrap_or_else(|| test.holds(&s.null));
        let id = self.formulas.add_pattern(s.group, at_null);
        s.patterns.push(id);
        self.patterns.push((subject, test));
        let (patterns, hasher) = (&self.patterns, &self.hasher);
        self.known.insert_unique(hash, id, |i| {
            let (s, t) = &patterns[*i as usize];
            hasher.hash_one((*s, t))
        });
        id
    }
}

/// Bytes that are equal for equal expressions.
fn write_key(e: &Expr, out: &mut Vec<u8>) {
    fn name(n: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(&(n.len() as u32).to_le_bytes());
        out.extend_from_slice(n.as_bytes());
    }
    out.push(e.ty as u8);
    match &e.kind {
        ExprKind::Literal(v) => {
            out.push(0);
            name(&format!("{v:?}"), out);
        }
        ExprKind::Column(n) => {
            out.push(1);
            name(n, out);
        }
        ExprKind::And(_) => out.push(2),
        ExprKind::Or(_) => out.push(3),
        ExprKind::Not(_) => out.push(4),
        ExprKind::Call(f, _) => {
            out.push(5);
            name(f.name, out);
        }
        ExprKind::Case { .. } => out.push(6),
        ExprKind::Scalar(_) | ExprKind::InRelation { .. } => out.push(7),
    }
    let children = e.children();
    out.extend_from_slice(&(children.len() as u32).to_le_bytes());
    children.into_iter().for_each(|c| write_key(c, out));
}
