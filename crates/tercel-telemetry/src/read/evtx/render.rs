//! The JSON of a record, written as the full parser writes it, byte for byte.
//!
//! What a definition's JSON looks like is worked out once, as operations that copy text of the definition or
//! write a value of the instance. Where the full parser's rules do something that operations do not know, there
//! are none, or carrying them out gives up: then the full parser writes the text itself.

use std::collections::HashMap;

use super::binxml::{Element, Node, Slot, Tree, ty, u16_at, u32_at, u64_at, until_nul};
use super::values::Text;
use crate::gist::{self, FixedText};
use crate::value::push_json_string;

/// Longest text of a record. No record in use comes near; the full parser allows more.
const MAX_TEXT: usize = 1 << 20;
/// Most text that the operations of one definition hold.
const MAX_LITERALS: usize = 256 << 10;

/// A piece of the text that a definition holds.
#[derive(Clone, Copy, Debug, Default)]
struct Piece(u32, u32);

impl Piece {
    #[inline]
    fn of<'p>(&self, literals: &'p str) -> &'p [u8] {
        // In bounds: cut from the same text.
        literals.as_bytes().get(self.0 as usize..self.1 as usize).unwrap_or_default()
    }
}

/// An attribute of an object.
#[derive(Debug)]
enum Attribute {
    /// Name and value.
    Literal(Piece),
    /// A name, if the value is not empty.
    Slot(Piece, u16),
}

#[derive(Debug)]
enum Op {
    Literal(Piece),
    /// Text in front, and the value of an element that has no attributes; `blank`: an empty one is the empty
    /// text and not null.
    Value {
        front: Piece,
        slot: u16,
        blank: bool,
    },
    /// An element with attributes that are values.
    Object {
        attributes: Box<[Attribute]>,
        content: Option<u16>,
    },
    /// An element that a value holds, as a member of the object.
    Child(u16),
    /// Without the value, the next operations are left out.
    Depends {
        slot: u16,
        skip: usize,
    },
    /// Without any of the values, null, and the next operations are left out.
    AllDepend {
        slots: Box<[u16]>,
        skip: usize,
    },
    /// Unless the object is still empty.
    Comma,
}

/// How to write the JSON of a definition's root element.
#[derive(Debug)]
pub(super) struct Program {
    literals: FixedText,
    ops: Vec<Op>,
    root: String,
    /// Names of members of the root. A child of a name that is there already would be numbered.
    names: Vec<String>,
}

impl Program {
    /// About how much memory it takes.
    pub fn size(&self) -> usize {
        self.literals.text.len()
            + self.ops.len() * size_of::<Op>()
            + self.names.iter().map(String::len).sum::<usize>()
    }
}

/// What the members of an object before the next one say about its comma.
#[derive(Default)]
struct Members {
    /// One of them is there in every event.
    certain: bool,
    /// One of them may be there.
    possible: bool,
}

struct Compiler<'t> {
    tree: &'t Tree,
    literals: String,
    ops: Vec<Op>,
    /// Where the text begins that is not in an operation yet.
    start: usize,
}

/// The program of a definition; `None`: it has none.
pub(super) fn compile(tree: &Tree) -> Option<Program> {
    let root = tree.elements.get(tree.root)?;
    let mut c = Compiler { tree, literals: String::new(), ops: Vec::new(), start: 0 };
    c.element(root, is_container(&root.name))?;
    c.flush();
    let names = root.children.iter().filter_map(|n| c.child(n)).map(|e| e.name.clone()).collect();
    // Not all of it is written in every event; the root's name, and what objects are made with, stand apart.
    c.literals.push_str(&format!("\"{}\"#attributes\"#text\"", root.name));
    Some(Program { literals: FixedText::new(c.literals), ops: c.ops, root: root.name.clone(), names })
}

fn is_container(name: &str) -> bool {
    matches!(name, "EventData" | "UserData")
}

/// Text made of nodes that are all text.
fn literal(nodes: &[Node]) -> Option<String> {
    nodes.iter().try_fold(String::new(), |mut text, node| match node {
        Node::Text(t) => {
            text.push_str(t);
            Some(text)
        }
        _ => None,
    })
}

/// How often a name was there before: a repeated one is numbered.
#[derive(Default)]
struct Numbers(HashMap<String, u32>);

impl Numbers {
    fn suffix(&mut self, name: &str) -> String {
        let n = self.0.entry(name.to_owned()).or_default();
        *n += 1;
        if *n > 1 { format!("_{}", *n - 1) } else { String::new() }
    }
}

impl<'t> Compiler<'t> {
    fn child(&self, node: &Node) -> Option<&'t Element> {
        match node {
            Node::Element(i) => self.tree.elements.get(*i),
            _ => None,
        }
    }

    /// Turns the text since the last operation into one.
    fn flush(&mut self) {
        let piece = self.piece(self.start);
        if piece.0 < piece.1 {
            self.ops.push(Op::Literal(piece));
        }
    }

    fn piece(&mut self, from: usize) -> Piece {
        self.start = self.literals.len();
        Piece(from as u32, self.literals.len() as u32)
    }

    fn push(&mut self, text: &str) -> Option<()> {
        self.literals.push_str(text);
        (self.literals.len() <= MAX_LITERALS).then_some(())
    }

    /// Text as a JSON string.
    fn quoted(&mut self, text: &str) -> Option<()> {
        // The others are spelled in several ways.
        let odd = |c: char| c < ' ' && !matches!(c, '\n' | '\r' | '\t');
        (!text.contains(odd)).then_some(())?;
        push_json_string(text, &mut self.literals);
        self.push("")
    }

    /// The value of a slot behind the text so far.
    fn value(&mut self, slot: u16, blank: bool) {
        let front = self.piece(self.start);
        self.ops.push(Op::Value { front, slot, blank });
    }

    /// An element's value.
    fn element(&mut self, e: &'t Element, container: bool) -> Option<()> {
        let mut texts = false;
        let mut slots = false;
        for (_, value) in &e.attributes {
            match value.as_slice() {
                [Node::Slot(_)] => slots = true,
                nodes => texts |= !literal(nodes)?.is_empty(),
            }
        }
        if e.children.iter().any(|n| matches!(n, Node::Element(_))) {
            // Attributes that are values, in front of elements: nobody writes them.
            return if slots { None } else { self.body(e, container, texts) };
        }
        match e.children.as_slice() {
            [Node::Slot(slot)] if slots || texts => self.object(e, Some(*slot)),
            [Node::Slot(slot)] => {
                self.value(*slot, false);
                Some(())
            }
            nodes => {
                let text = literal(nodes)?;
                match (slots, text.is_empty()) {
                    (true, true) => self.object(e, None),
                    (true, false) => None,
                    (false, true) if !texts => self.push("null"),
                    (false, false) if !texts => self.quoted(&text),
                    (false, empty) => {
                        self.push("{")?;
                        self.attributes(e)?;
                        if !empty {
                            self.push(",\"#text\":")?;
                            self.quoted(&text)?;
                        }
                        self.push("}")
                    }
                }
            }
        }
    }

    /// Attributes that are text, of which there is one.
    fn attributes(&mut self, e: &Element) -> Option<()> {
        self.push("\"#attributes\":{")?;
        let mut separator = "";
        for (name, value) in &e.attributes {
            let text = literal(value)?;
            if !text.is_empty() {
                self.push(separator)?;
                separator = ",";
                self.push(&format!("\"{name}\":"))?;
                self.quoted(&text)?;
            }
        }
        self.push("}")
    }

    /// An element with attributes, of which some may be values.
    fn object(&mut self, e: &Element, content: Option<u16>) -> Option<()> {
        self.flush();
        let mut attributes = Vec::new();
        for (name, value) in &e.attributes {
            let from = self.literals.len();
            self.push(&format!("\"{name}\":"))?;
            if let [Node::Slot(slot)] = value.as_slice() {
                let piece = self.piece(from);
                attributes.push(Attribute::Slot(piece, *slot));
                continue;
            }
            let text = literal(value)?;
            if text.is_empty() {
                self.literals.truncate(from);
                continue;
            }
            self.quoted(&text)?;
            let piece = self.piece(from);
            attributes.push(Attribute::Literal(piece));
        }
        self.ops.push(Op::Object { attributes: attributes.into(), content });
        Some(())
    }

    fn comma(&mut self, members: &mut Members, dependent: bool) -> Option<()> {
        if members.certain {
            self.push(",")?;
        } else if members.possible {
            self.flush();
            self.ops.push(Op::Comma);
        }
        if dependent {
            members.possible = true;
        } else {
            members.certain = true;
        }
        Some(())
    }

    /// An element with elements in it. `texts`: it has an attribute of text.
    fn body(&mut self, e: &'t Element, container: bool, texts: bool) -> Option<()> {
        let elements: Vec<&Element> = e.children.iter().filter_map(|n| self.child(n)).collect();
        let (mut values, mut dynamic) = (0, false);
        for node in &e.children {
            match node {
                Node::Text(t) if t.is_empty() => {}
                Node::Text(_) => return None,
                Node::Slot(_) => {
                    values += 1;
                    dynamic = true;
                }
                Node::Element(_) => {}
            }
        }
        // The names of two might be the same, and then one is numbered.
        (values <= 1).then_some(())?;
        let mut guard = None;
        if elements.iter().all(|e| e.dependency.is_some()) {
            // What is left without any of them depends on what else there is.
            (!dynamic && elements.len() == e.children.len()).then_some(())?;
            if !texts {
                self.flush();
                guard = Some(self.ops.len());
                let slots = elements.iter().filter_map(|e| e.dependency).collect();
                self.ops.push(Op::AllDepend { slots, skip: 0 });
            }
        }
        self.push("{")?;
        let mut members = Members::default();
        if texts {
            self.attributes(e)?;
            members.certain = true;
        }
        let data: Vec<&Element> =
            elements.iter().copied().filter(|e| container && e.name == "Data").collect();
        let mut named = false;
        for d in &data {
            if let Some((_, value)) = d.attributes.iter().find(|(n, _)| n == "Name") {
                named |= !literal(value)?.is_empty();
            }
        }
        // Leaving one of them out would change the form of the others.
        if data.iter().any(|d| d.dependency.is_some()) && (named || data.len() > 1) {
            return None;
        }
        let mut numbers = Numbers::default();
        let mut data_numbers = Numbers::default();
        let mut last_data = String::new();
        let mut data_done = false;
        for node in &e.children {
            let Some(child) = self.child(node) else {
                if let Node::Slot(slot) = node {
                    self.flush();
                    self.ops.push(Op::Child(*slot));
                    members.possible = true;
                }
                continue;
            };
            let is_data = container && child.name == "Data";
            if is_data && named {
                let value = child.attributes.iter().find(|(n, _)| n == "Name");
                let name = value.map_or(Some(String::new()), |(_, v)| literal(v))?;
                if name.is_empty() {
                    continue;
                }
                // Neighbours of one name are a list.
                (name != last_data).then_some(())?;
                self.comma(&mut members, false)?;
                let suffix = data_numbers.suffix(&name);
                self.quoted(&name)?;
                self.literals.pop();
                self.push(&format!("{suffix}\":"))?;
                self.data(child)?;
                last_data = name;
                continue;
            }
            if is_data && std::mem::replace(&mut data_done, true) {
                continue;
            }
            let suffix = if is_data { String::new() } else { numbers.suffix(&child.name) };
            // Which number it gets would depend on the event.
            let same = |e: &&&Element| e.name == child.name && e.dependency.is_some();
            if !suffix.is_empty() && elements.iter().any(|e| same(&e)) {
                return None;
            }
            let depends = child.dependency.map(|slot| {
                self.flush();
                self.ops.push(Op::Depends { slot, skip: 0 });
                self.ops.len() - 1
            });
            self.comma(&mut members, depends.is_some())?;
            if is_data {
                self.push("\"Data\":{\"#text\":")?;
                if data.len() == 1 {
                    self.data(child)?;
                } else {
                    let mut separator = "[";
                    for d in &data {
                        self.push(separator)?;
                        separator = ",";
                        self.data(d)?;
                    }
                    self.push("]")?;
                }
                self.push("}")?;
            } else {
                self.push(&format!("\"{}{suffix}\":", child.name))?;
                self.element(child, is_container(&child.name))?;
            }
            if let Some(at) = depends {
                self.close(at);
            }
        }
        self.push("}")?;
        if let Some(at) = guard {
            self.close(at);
        }
        Some(())
    }

    /// Ends what an operation may leave out.
    fn close(&mut self, at: usize) {
        self.flush();
        let n = self.ops.len() - at - 1;
        if let Some(Op::Depends { skip, .. } | Op::AllDepend { skip, .. }) = self.ops.get_mut(at) {
            *skip = n;
        }
    }

    /// The value of a `Data` element; its attributes count for nothing.
    fn data(&mut self, e: &Element) -> Option<()> {
        match e.children.as_slice() {
            [Node::Slot(slot)] => {
                self.value(*slot, true);
                Some(())
            }
            nodes => {
                let text = literal(nodes)?;
                self.quoted(&text)
            }
        }
    }
}

/// A record's instances.
pub(super) struct Record<'r> {
    pub chunk: &'r [u8],
    /// Its own, first, and those in values of it.
    pub instances: &'r [(&'r Program, &'r [Slot])],
    /// The values in which the latter are.
    pub places: &'r [u16],
}

/// Appends the JSON of a record. `None`: it is left to the full parser, and nothing is appended.
pub(super) fn render(record: &Record<'_>, out: &mut String) -> Option<()> {
    let before = out.len();
    let mut bytes = std::mem::take(out).into_bytes();
    let done = record.root(&mut bytes);
    if done.is_none() {
        bytes.truncate(before);
    }
    // Only whole characters are written, so that this never fails.
    *out = String::from_utf8(bytes).ok()?;
    done
}

impl Record<'_> {
    fn root(&self, out: &mut Vec<u8>) -> Option<()> {
        let (program, _) = self.instances.first()?;
        let start = out.len();
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(program.root.as_bytes());
        out.extend_from_slice(b"\":");
        self.run(0, start, out)?;
        out.byte(b'}')
    }

    /// The instance in a value of the record's own.
    fn inner(&self, from: usize, slot: u16) -> Option<usize> {
        if from != 0 {
            return None;
        }
        self.places.iter().position(|p| *p == slot).map(|i| i + 1)
    }

    /// Calls `each` with the text of the definitions.
    pub fn fixed(&self, each: &mut dyn FnMut(&FixedText)) {
        self.instances.iter().for_each(|(program, _)| each(&program.literals));
    }

    /// Appends the texts of the instances: see [`TextParts::own`](gist::TextParts::own). Some of them may not be
    /// written in the event's text, but whatever is written is here.
    pub fn own(&self, out: &mut Vec<u8>) -> bool {
        self.instances.iter().enumerate().all(|(instance, (_, slots))| {
            (0u16..).zip(slots.iter()).all(|(number, slot)| {
                let b = slot.bytes(self.chunk);
                match slot.ty {
                    ty::STRING | ty::STRINGS => gist::push_units(b, out),
                    // The code page matters for anything but ASCII.
                    ty::ANSI if !b.is_ascii() => return false,
                    ty::ANSI => {
                        out.push(b'"');
                        out.extend(b.iter().filter(|b| **b != 0));
                    }
                    ty::XML if slot.len > 0 => return self.inner(instance, number).is_some(),
                    ty::XML | ty::NULL..=ty::UINT64 | ty::BOOL | ty::BINARY..=ty::HEX64 => {}
                    _ => return false,
                }
                true
            })
        })
    }

    fn run(&self, instance: usize, start: usize, out: &mut Vec<u8>) -> Option<()> {
        let (program, slots) = self.instances.get(instance)?;
        let literals = &program.literals.text;
        let chunk = self.chunk;
        let slot_at = |slot: u16| slots.get(usize::from(slot));
        let filled = |slot: u16| slot_at(slot).filter(|s| !s.is_empty(chunk));
        let null = |slot: u16| slot_at(slot).is_some_and(Slot::is_null);
        let mut at = 0;
        while let Some(op) = program.ops.get(at) {
            at += 1;
            match op {
                Op::Literal(piece) => out.extend_from_slice(piece.of(literals)),
                Op::Value { front, slot, blank } => {
                    out.extend_from_slice(front.of(literals));
                    match filled(*slot) {
                        None => out.extend_from_slice(if *blank { b"\"\"" } else { b"null" }),
                        Some(s) if s.ty == ty::XML => {
                            let inner = self.inner(instance, *slot)?;
                            out.extend_from_slice(b"{\"");
                            out.extend_from_slice(self.instances.get(inner)?.0.root.as_bytes());
                            out.extend_from_slice(b"\":");
                            self.run(inner, start, out)?;
                            out.push(b'}');
                        }
                        Some(s) if s.ty == ty::STRINGS => list(s.bytes(chunk), out)?,
                        Some(s) => scalar(s, chunk, out)?,
                    }
                    if out.len() - start > MAX_TEXT {
                        return None;
                    }
                }
                Op::Object { attributes, content } => {
                    let content = content.and_then(filled);
                    let there = |a: &Attribute| match a {
                        Attribute::Literal(_) => true,
                        Attribute::Slot(_, slot) => filled(*slot).is_some(),
                    };
                    if !attributes.iter().any(there) {
                        match content {
                            None => out.extend_from_slice(b"null"),
                            Some(s) => scalar(s, chunk, out)?,
                        }
                        continue;
                    }
                    let mut front: &[u8] = b"{\"#attributes\":{";
                    for a in attributes {
                        match a {
                            Attribute::Literal(piece) => {
                                out.extend_from_slice(front);
                                out.extend_from_slice(piece.of(literals));
                            }
                            Attribute::Slot(piece, slot) => {
                                let Some(s) = filled(*slot) else { continue };
                                out.extend_from_slice(front);
                                out.extend_from_slice(piece.of(literals));
                                scalar(s, chunk, out)?;
                            }
                        }
                        front = b",";
                    }
                    out.push(b'}');
                    if let Some(s) = content {
                        out.extend_from_slice(b",\"#text\":");
                        scalar(s, chunk, out)?;
                    }
                    out.push(b'}');
                    if out.len() - start > MAX_TEXT {
                        return None;
                    }
                }
                Op::Child(slot) => {
                    let Some(s) = filled(*slot) else { continue };
                    // Anything else would be text of the object.
                    (s.ty == ty::XML).then_some(())?;
                    let inner = self.inner(instance, *slot)?;
                    let name = &self.instances.get(inner)?.0.root;
                    if program.names.contains(name) {
                        return None;
                    }
                    if out.last() != Some(&b'{') {
                        out.push(b',');
                    }
                    out.push(b'"');
                    out.extend_from_slice(name.as_bytes());
                    out.extend_from_slice(b"\":");
                    self.run(inner, start, out)?;
                }
                Op::Depends { slot, skip } => {
                    if null(*slot) {
                        at += skip;
                    }
                }
                Op::AllDepend { slots, skip } => {
                    if slots.iter().all(|s| null(*s)) {
                        out.extend_from_slice(b"null");
                        at += skip;
                    }
                }
                Op::Comma => {
                    if out.last() != Some(&b'{') {
                        out.push(b',');
                    }
                }
            }
        }
        Some(())
    }
}

/// A list of strings: one counts as itself.
fn list(mut rest: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let first = until_nul(rest);
    if first.len() + 2 >= rest.len() {
        return out.json_string(first);
    }
    let mut separator = b'[';
    while !rest.is_empty() {
        out.push(separator);
        separator = b',';
        let item = until_nul(rest);
        out.json_string(item)?;
        rest = rest.get(item.len() + 2..)?;
    }
    out.byte(b']')
}

/// A value that is neither empty nor a list nor XML.
fn scalar(slot: &Slot, chunk: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let b = slot.bytes(chunk);
    // Numbers and booleans stand without quotes.
    match slot.ty {
        ty::INT8 => return signed(i64::from((*b.first()?).cast_signed()), out),
        ty::UINT8 => return out.decimal(u64::from(*b.first()?)),
        ty::INT16 => return signed(i64::from(u16_at(b, 0)?.cast_signed()), out),
        ty::UINT16 => return out.decimal(u64::from(u16_at(b, 0)?)),
        ty::INT32 => return signed(i64::from(u32_at(b, 0)?.cast_signed()), out),
        ty::UINT32 => return out.decimal(u64::from(u32_at(b, 0)?)),
        ty::INT64 => return signed(u64_at(b, 0)?.cast_signed(), out),
        ty::UINT64 => return out.decimal(u64_at(b, 0)?),
        ty::BOOL => {
            return match u32_at(b, 0)? {
                0 => out.bytes(b"false"),
                1 => out.bytes(b"true"),
                n => signed(i64::from(n.cast_signed()), out),
            };
        }
        _ => out.push(b'"'),
    }
    match slot.ty {
        ty::STRING => out.json_units(until_nul(b))?,
        ty::HEX32 => out.hex(u64::from(u32_at(b, 0)?))?,
        ty::SIZE if b.len() == 4 => out.hex(u64::from(u32_at(b, 0)?))?,
        ty::HEX64 | ty::SIZE => out.hex(u64_at(b, 0)?)?,
        ty::GUID => out.guid(b)?,
        ty::SID => out.sid(b)?,
        ty::BINARY => out.binary(b)?,
        ty::FILETIME => filetime(u64_at(b, 0)?, out)?,
        ty::SYSTEMTIME => systemtime(b, out)?,
        ty::ANSI => {
            for b in b.iter().filter(|b| **b != 0) {
                // The code page matters for anything but ASCII, and control characters are spelled in
                // several ways.
                matches!(b, 0x20..0x80 | b'\n' | b'\r' | b'\t').then_some(())?;
                out.json(char::from(*b))?;
            }
        }
        _ => return None,
    }
    out.byte(b'"')
}

fn signed(n: i64, out: &mut Vec<u8>) -> Option<()> {
    if n < 0 {
        out.push(b'-');
    }
    out.decimal(n.unsigned_abs())
}

/// Decimal digits, zeros in front.
fn digits(to: &mut [u8], mut n: u64) {
    for place in to.iter_mut().rev() {
        *place = b'0' + (n % 10) as u8;
        n /= 10;
    }
}

/// Year, month, day; ticks of 100 ns since midnight.
fn time(date: [u64; 3], ticks: u64, out: &mut Vec<u8>) -> Option<()> {
    let mut text = *b"0000-00-00T00:00:00.0000000Z";
    let seconds = ticks / 10_000_000;
    digits(&mut text[0..4], date[0]);
    digits(&mut text[5..7], date[1]);
    digits(&mut text[8..10], date[2]);
    digits(&mut text[11..13], seconds / 3600);
    digits(&mut text[14..16], seconds / 60 % 60);
    digits(&mut text[17..19], seconds % 60);
    digits(&mut text[20..27], ticks % 10_000_000);
    out.bytes(&text)
}

fn filetime(n: u64, out: &mut Vec<u8>) -> Option<()> {
    const DAY: u64 = 864_000_000_000;
    // Beyond the year 9999 only its last digits are left; nothing has such times.
    (n < 2_650_467_744_000_000_000).then_some(())?;
    // Days since the 1st of March of the year 0: a year that begins in March has its leap day at the end.
    let days = n / DAY + 584_694;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = [
        era * 400 + year + u64::from(month >= 10),
        if month < 10 { month + 3 } else { month - 9 },
        day - (153 * month + 2) / 5 + 1,
    ];
    time(date, n % DAY, out)
}

fn systemtime(b: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let field = |i: usize| u16_at(b, i * 2).map(u64::from);
    let (year, month, day) = (field(0)?, field(1)?, field(3)?);
    let (hour, minute, second, milli) = (field(4)?, field(5)?, field(6)?, field(7)?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let valid = (1601..=30827).contains(&year)
        && (1..=12).contains(&month)
        && (1..=last).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && milli < 1000;
    if !valid {
        // As Windows prints what is no time.
        return time([1601, 1, 1], 0, out);
    }
    let ticks = ((hour * 60 + minute) * 60 + second) * 10_000_000 + milli * 10_000;
    time([year % 10_000, month, day], ticks, out)
}
