//! What a template's definition says about events, worked out once: which value is which field.
//!
//! The rules are those by which the full parser writes a record as JSON and the recogniser reads that
//! (`shape/windows.rs`), put together: a plan yields the same names and values without the text between.
//! A definition in which those rules do something that plans do not know has no plan, and its records
//! are left to the full parser.

use std::collections::HashMap;

use tercel_ir::Name;

use super::binxml::{Element, Node, Tree};
use super::render::{self, Program};
use crate::value::push_json_string;

/// Most facts of one plan that decide which fields an event has.
const MAX_CHECKS: usize = 64;

/// The text of a literal, as the inside of a JSON string.
#[derive(Debug, Default)]
pub(super) struct Literal {
    pub body: String,
    pub escaped: bool,
}

impl Literal {
    fn of(text: &str) -> Literal {
        let mut quoted = String::new();
        push_json_string(text, &mut quoted);
        let body = quoted[1..quoted.len() - 1].to_owned();
        Literal { escaped: body.contains('\\'), body }
    }
}

/// Where a value stands.
#[derive(Debug)]
pub(super) enum Source {
    /// In the definition.
    Literal(Literal),
    /// Nowhere: the element has no content.
    Nothing,
    /// Among the values of the instance.
    Slot(u16),
}

/// Something that decides whether a field is there.
#[derive(Debug)]
pub(super) struct Check {
    /// The element is left out if this value is null.
    pub dependency: Option<u16>,
    /// The attribute is left out if this value is empty.
    pub attribute: Option<u16>,
}

/// A value of an event.
#[derive(Debug)]
pub(super) struct Leaf {
    pub source: Source,
    /// The check on which it depends, if any.
    pub check: Option<usize>,
    /// Values of attributes. With one of them the element is an object in JSON, whose text is the value;
    /// without a text, the object itself is, and that is left to the full parser.
    pub attributes: Box<[u16]>,
    /// Whether the object would not be looked into: then no attribute may have a value.
    pub bare: bool,
    /// Whether an attribute has a literal text, so that the element always is such an object.
    pub object: bool,
    /// Whether no text is the empty text and not null.
    pub blank: bool,
    /// Whether a list of strings may stand here.
    pub list: bool,
}

/// A field of an event.
#[derive(Debug)]
pub(super) enum Entry {
    One(Name, Leaf),
    /// `Data` elements without names: all of their values in one field.
    Many(Name, Vec<Leaf>),
}

impl Entry {
    pub fn name(&self) -> &Name {
        match self {
            Entry::One(name, _) | Entry::Many(name, _) => name,
        }
    }
    /// The check on which it depends.
    pub fn check(&self) -> Option<usize> {
        match self {
            Entry::One(_, leaf) => leaf.check,
            Entry::Many(..) => None,
        }
    }
}

/// `EventData` or `UserData`.
#[derive(Debug)]
pub(super) struct Data {
    pub user: bool,
    pub entries: Vec<Entry>,
}

/// A child of `Event` that matters.
#[derive(Debug)]
pub(super) enum Part {
    Data(Data),
    Slot(u16),
    /// `UserData` around a value.
    User(u16),
}

/// The fields of `System`, in the order of [`SYSTEM`].
pub(super) type System = [Option<Leaf>; SYSTEM.len()];

/// The fields of `System`: names that stand before the event's data, those behind it, and the time.
pub(super) const SYSTEM: [&str; 14] = [
    "EventID",
    "Provider",
    "Channel",
    "Computer",
    "EventRecordID",
    "Version",
    "Level",
    "Task",
    "Opcode",
    "Keywords",
    "ProcessID",
    "ThreadID",
    "UserID",
    "SystemTime",
];
/// The first fields stand before the data.
pub(super) const HEAD: usize = 10;
pub(super) const PROVIDER: usize = 1;
pub(super) const CHANNEL: usize = 2;
pub(super) const RECORD_ID: usize = 4;
pub(super) const TIME: usize = 13;
/// The fields behind the data, each under the two names in use.
pub(super) const TAIL: [(usize, [&str; 2]); 3] = [
    (10, ["SystemProcessId", "ExecutionProcessID"]),
    (11, ["SystemThreadId", "ThreadID"]),
    (12, ["SystemUserId", "UserID"]),
];

#[derive(Debug)]
pub(super) enum Root {
    Event {
        system: Box<System>,
        parts: Vec<Part>,
    },
    Data(Data),
    /// An element of another name. It matters only inside of `UserData`, if its content can be planned.
    Other(Option<Data>),
}

#[derive(Debug)]
pub(super) struct Plan {
    pub root: Root,
    pub checks: Vec<Check>,
    /// How many values an instance must have.
    pub values: usize,
    /// The values that may be lists of strings.
    pub lists: Vec<u16>,
    /// How its JSON is written, if that is known.
    pub text: Option<Program>,
}

/// How often a name was there before: a repeated one is numbered.
#[derive(Default)]
struct Numbers<'t>(HashMap<&'t str, u32>);

impl<'t> Numbers<'t> {
    fn name(&mut self, name: &'t str) -> (String, bool) {
        let n = self.0.entry(name).or_default();
        *n += 1;
        if *n > 1 { (format!("{name}_{}", *n - 1), true) } else { (name.to_owned(), false) }
    }
}

struct Compiler<'t> {
    tree: &'t Tree,
    /// How often a value is used.
    uses: HashMap<u16, u32>,
    checks: Vec<Check>,
    lists: Vec<u16>,
}

/// The plan of a definition; `None`: it has none.
pub(super) fn compile(tree: &Tree) -> Option<Plan> {
    let mut uses = HashMap::new();
    for e in &tree.elements {
        for node in e.children.iter().chain(e.attributes.iter().flat_map(|(_, v)| v)) {
            if let Node::Slot(s) = node {
                *uses.entry(*s).or_default() += 1;
            }
        }
    }
    let mut c = Compiler { tree, uses, checks: Vec::new(), lists: Vec::new() };
    let root = tree.elements.get(tree.root)?;
    // Whether the root has a dependency is of no account: a root is never left out.
    let root = match root.name.as_str() {
        "Event" => c.event(root)?,
        "EventData" => Root::Data(c.event_data(root)?),
        "UserData" => Root::Data(c.user_data(root)?),
        // It would take the place of the event's own.
        "System" => return None,
        "Data" => Root::Other(None),
        name => {
            let mut entries = Vec::new();
            let planned = c.outer(root, name, &mut entries);
            Root::Other(planned.map(|()| Data { user: true, entries }))
        }
    };
    let dependencies = tree.elements.iter().filter_map(|e| e.dependency);
    let values = c.uses.keys().copied().chain(dependencies).max().map_or(0, |m| usize::from(m) + 1);
    (c.checks.len() <= MAX_CHECKS).then(|| Plan {
        root,
        checks: c.checks,
        values,
        lists: c.lists,
        text: render::compile(tree),
    })
}

/// The text of nodes that are all text.
fn literal(nodes: &[Node]) -> Option<String> {
    let mut text = String::new();
    for node in nodes {
        let Node::Text(t) = node else { return None };
        text.push_str(t);
    }
    Some(text)
}

/// Content of one value or of text only.
fn source(nodes: &[Node]) -> Option<Source> {
    if let [Node::Slot(s)] = nodes {
        return Some(Source::Slot(*s));
    }
    let text = literal(nodes)?;
    Some(if text.is_empty() { Source::Nothing } else { Source::Literal(Literal::of(&text)) })
}

/// Attributes: whether one has a literal text, and the values of the others.
fn attributes(element: &Element) -> Option<(bool, Box<[u16]>)> {
    let mut text = false;
    let mut slots = Vec::new();
    for (_, value) in &element.attributes {
        match source(value)? {
            Source::Literal(_) => text = true,
            Source::Nothing => {}
            Source::Slot(s) => slots.push(s),
        }
    }
    Some((text, slots.into()))
}

impl<'t> Compiler<'t> {
    fn child(&self, node: &Node) -> Option<&'t Element> {
        match node {
            Node::Element(i) => self.tree.elements.get(*i),
            _ => None,
        }
    }

    /// The child elements of one that may hold nothing else but empty text.
    fn children(&self, element: &'t Element) -> Option<Vec<&'t Element>> {
        let mut out = Vec::new();
        for node in &element.children {
            match node {
                Node::Text(t) if t.is_empty() => {}
                node => out.push(self.child(node)?),
            }
        }
        Some(out)
    }

    fn check(&mut self, dependency: Option<u16>, attribute: Option<u16>) -> Option<usize> {
        (dependency.is_some() || attribute.is_some()).then(|| {
            self.checks.push(Check { dependency, attribute });
            self.checks.len() - 1
        })
    }

    /// The value of an element without child elements. `bare`: see [`Leaf::bare`].
    fn leaf(&mut self, element: &Element, bare: bool) -> Option<Leaf> {
        let (text, attributes) = attributes(element)?;
        let source = source(&element.children)?;
        if text && (bare || matches!(source, Source::Nothing)) {
            return None;
        }
        let check = self.check(element.dependency, None);
        Some(Leaf { source, check, attributes, bare, object: text, blank: false, list: false })
    }

    fn event(&mut self, root: &'t Element) -> Option<Root> {
        let mut system = None;
        let mut parts = Vec::new();
        for node in &root.children {
            match node {
                Node::Text(_) => {}
                Node::Slot(s) => parts.push(Part::Slot(*s)),
                Node::Element(_) => {
                    let child = self.child(node)?;
                    // Leaving one of these out would be a matter of its own.
                    let certain = child.dependency.is_none().then_some(());
                    match child.name.as_str() {
                        "System" if system.is_none() => {
                            certain?;
                            system = Some(Box::new(self.system(child)?));
                        }
                        "EventData" => {
                            certain?;
                            parts.push(Part::Data(self.event_data(child)?));
                        }
                        // The value left out, or empty: no data either way.
                        "UserData" if let [Node::Slot(s)] = child.children.as_slice() => {
                            child.dependency.is_none_or(|d| d == *s).then_some(())?;
                            parts.push(Part::User(*s));
                        }
                        "UserData" => {
                            certain?;
                            parts.push(Part::Data(self.user_data(child)?));
                        }
                        _ => {}
                    }
                }
            }
        }
        Some(Root::Event { system: system?, parts })
    }

    fn system(&mut self, element: &'t Element) -> Option<System> {
        let mut out = System::default();
        let mut seen: Vec<&str> = Vec::new();
        for child in self.children(element)? {
            let name = child.name.as_str();
            if name.ends_with("_attributes") {
                return None;
            }
            // The second of a name is numbered and thereby unknown, unless the first is left out.
            if seen.contains(&name) {
                let first = self.children(element)?.into_iter().find(|c| c.name == name)?;
                first.dependency.is_none().then_some(())?;
                continue;
            }
            seen.push(name);
            let attributes: &[(usize, &str)] = match name {
                "Provider" => &[(PROVIDER, "Name")],
                "TimeCreated" => &[(TIME, "SystemTime")],
                "Execution" => &[(10, "ProcessID"), (11, "ThreadID")],
                "Security" => &[(12, "UserID")],
                _ => {
                    if let Some(i) = SYSTEM[..HEAD].iter().position(|n| *n == name) {
                        let bare = !matches!(name, "EventID" | "EventRecordID");
                        out[i] = Some(self.leaf(child, bare)?);
                    }
                    continue;
                }
            };
            // What such an element contains would be looked through for the name as well.
            matches!(source(&child.children)?, Source::Nothing).then_some(())?;
            for (i, attribute) in attributes {
                out[*i] = self.attribute(child, attribute)?;
            }
        }
        Some(out)
    }

    /// The value of an attribute; the first of that name that has a text.
    fn attribute(&mut self, element: &Element, name: &str) -> Option<Option<Leaf>> {
        let mut found = element.attributes.iter().filter(|(n, _)| n == name);
        let Some((_, value)) = found.next() else { return Some(None) };
        found.next().is_none().then_some(())?;
        let source = source(value)?;
        let attribute = match &source {
            Source::Nothing => return Some(None),
            Source::Literal(_) => None,
            Source::Slot(s) => Some(*s),
        };
        let check = self.check(element.dependency, attribute);
        let attributes = Box::default();
        Some(Some(Leaf { source, check, attributes, bare: true, object: false, blank: false, list: false }))
    }

    /// A `Data` element: its text, also where that is empty.
    fn data_value(&mut self, element: &Element) -> Option<Leaf> {
        let source = source(&element.children)?;
        let list = matches!(&source, Source::Slot(s) if self.uses.get(s) == Some(&1))
            // An attribute's list would repeat the element as well.
            && attributes(element)?.1.is_empty();
        if list && let Source::Slot(s) = source {
            self.lists.push(s);
        }
        let attributes = Box::default();
        let check = self.check(element.dependency, None);
        Some(Leaf { source, check, attributes, bare: false, object: false, blank: true, list })
    }

    fn event_data(&mut self, element: &'t Element) -> Option<Data> {
        let children = self.children(element)?;
        let is_data = |e: &&&Element| e.name == "Data";
        let name_of = |e: &'t Element| -> Option<&'t str> {
            match e.attributes.iter().find(|(n, _)| n == "Name") {
                None => Some(""),
                Some((_, value)) => match value.as_slice() {
                    [Node::Text(t)] => Some(t.as_str()),
                    // A name made of several pieces, or of a value.
                    _ => None,
                },
            }
        };
        let mut named = false;
        for e in children.iter().filter(is_data) {
            named |= !name_of(e)?.is_empty();
        }
        // Leaving one of them out would change the form of the others.
        let data = children.iter().filter(is_data);
        if data.clone().any(|e| e.dependency.is_some()) && (named || data.count() > 1) {
            return None;
        }
        let mut entries = Vec::new();
        let mut numbers = Numbers::default();
        let mut data_numbers = Numbers::default();
        let mut last_data = "";
        let mut unnamed_done = false;
        for child in children.iter().copied() {
            if child.name != "Data" {
                let (name, repeated) = numbers.name(&child.name);
                // Which number it gets would depend on the event.
                let first = children.iter().find(|c| c.name == child.name)?;
                if repeated && (child.dependency.is_some() || first.dependency.is_some()) {
                    return None;
                }
                let leaf = self.leaf(child, false)?;
                push(&mut entries, name, leaf);
                continue;
            }
            if named {
                let name = name_of(child)?;
                if name.is_empty() {
                    continue;
                }
                // Neighbours of one name are a list.
                if name == last_data {
                    return None;
                }
                last_data = name;
                let (name, _) = data_numbers.name(name);
                let leaf = self.data_value(child)?;
                push(&mut entries, name, leaf);
            } else if !unnamed_done {
                unnamed_done = true;
                let all: Vec<&Element> = children.iter().filter(is_data).copied().collect();
                let mut leaves: Vec<Leaf> = all.iter().map(|e| self.data_value(e)).collect::<Option<_>>()?;
                if leaves.len() == 1 {
                    entries.push(Entry::One("Data".into(), leaves.pop()?));
                } else {
                    // A list would make them more.
                    for leaf in &mut leaves {
                        leaf.list = false;
                        self.lists.retain(|s| !matches!(leaf.source, Source::Slot(t) if t == *s));
                    }
                    entries.push(Entry::Many("Data".into(), leaves));
                }
            }
        }
        Some(Data { user: false, entries })
    }

    /// One element of any name that holds the fields, or several.
    fn user_data(&mut self, element: &'t Element) -> Option<Data> {
        let mut entries = Vec::new();
        let mut numbers = Numbers::default();
        for outer in self.children(element)? {
            if outer.name == "Data" || outer.dependency.is_some() {
                return None;
            }
            let (name, _) = numbers.name(&outer.name);
            self.outer(outer, &name, &mut entries)?;
        }
        Some(Data { user: true, entries })
    }

    /// An element in `UserData`: its elements are the fields, or it is a field itself.
    fn outer(&mut self, outer: &'t Element, name: &str, entries: &mut Vec<Entry>) -> Option<()> {
        if outer.children.iter().any(|n| matches!(n, Node::Element(_))) {
            let inner = self.children(outer)?;
            // Without any of its elements it would be null, which is a field of its own.
            if inner.iter().all(|e| e.dependency.is_some()) {
                return None;
            }
            let mut numbers = Numbers::default();
            for e in &inner {
                let (name, repeated) = numbers.name(&e.name);
                let first = inner.iter().find(|c| c.name == e.name)?;
                if repeated && (e.dependency.is_some() || first.dependency.is_some()) {
                    return None;
                }
                let leaf = self.leaf(e, false)?;
                push(entries, name, leaf);
            }
            return Some(());
        }
        let (text, _) = attributes(outer)?;
        if text {
            // An object of attributes, which are no fields. Its text would be one.
            return matches!(source(&outer.children)?, Source::Nothing).then_some(());
        }
        let mut leaf = self.leaf(outer, true)?;
        // Its own dependency is not what leaves it out.
        leaf.check = None;
        entries.push(Entry::One(name.into(), leaf));
        Some(())
    }
}

/// Adds a field, but not those that stand for attributes.
fn push(entries: &mut Vec<Entry>, name: String, leaf: Leaf) {
    if name != "#attributes" && name != "xmlns" {
        entries.push(Entry::One(name.as_str().into(), leaf));
    }
}
