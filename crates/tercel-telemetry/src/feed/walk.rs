//! The walk over a line of JSON whose keys are foreseen.
//!
//! Carriers write the same keys in the same order again and again. The texts between the values, keys with
//! all their punctuation, are kept as the edges of a tree; at its nodes hang values. A line is one way
//! through the tree: at each node the bytes that follow are compared with the edges, so that no key is
//! looked for, hashed or looked up. What can be said of an event from its keys alone is kept at the end of
//! the way. A line that leaves the tree is read in the ordinary way, and may then become a way of its own.

use std::ops::Range;

use super::simd::{Classes, Portable, REACH, Vector, escaped};
use crate::json;
use crate::value::RawValue;

/// No node, no end.
const NONE: u32 = u32::MAX;
/// Nodes at most: 64 bytes each.
const MAX_NODES: usize = 1 << 15;
/// Edges out of one node, because they are tried one after another. Carriers that write keys in any order have some
/// dozens out of the root.
const MAX_EDGES: usize = 256;
/// Values of a line at most.
pub(super) const MAX_VALUES: usize = 512;
/// The longest text between values.
const MAX_PIECE: usize = 1024;

/// A value, and the text before it.
#[repr(align(64))]
#[derive(Clone)]
struct Node {
    /// The first bytes of the text before the value.
    head: [u8; 32],
    /// One bit for each of them, from the bottom.
    mask: u32,
    /// How long the whole text is.
    len: u32,
    /// Place of the rest of a long text.
    tail: u32,
    /// The first of the values that may come next; each knows the next choice.
    child: u32,
    other: u32,
    /// What is known of an object that ends after this value.
    end: u32,
}

/// A line that was walked to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Walked {
    /// Behind the object.
    pub object: usize,
    /// Behind the line.
    pub line: usize,
    /// What [`Tree::insert`] was given.
    pub end: u32,
}

/// The keys that are foreseen.
pub(super) struct Tree {
    nodes: Vec<Node>,
    tails: Vec<Box<[u8]>>,
    way: Way,
}

/// Which implementation suits the processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl Way {
    /// Every implementation that runs here; the best is the last.
    pub fn all() -> Vec<Way> {
        let mut ways = vec![Way::Portable];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
        {
            ways.push(Way::Avx2);
        }
        ways
    }
}

impl Tree {
    /// An empty tree.
    pub fn new(way: Way) -> Tree {
        let mut tree = Tree { nodes: Vec::new(), tails: Vec::new(), way };
        tree.clear();
        tree
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.tails.clear();
        self.nodes.push(Node {
            head: [0; 32],
            mask: 0,
            len: 0,
            tail: NONE,
            child: NONE,
            other: NONE,
            end: NONE,
        });
    }

    /// Walks the line that begins at `at`. Its values are put at the beginning of `values`, of which there
    /// must be [`MAX_VALUES`]. `None`: it is not foreseen, not valid, or too near to the end of `buf`,
    /// behind which there must be [`REACH`] bytes of anything.
    #[inline]
    pub fn walk<'a>(&mut self, buf: &'a [u8], at: usize, values: &mut [RawValue<'a>]) -> Option<Walked> {
        match self.way {
            Way::Portable => self.walk_portable(buf, at, values),
            // SAFETY: this way was chosen because the processor has the features.
            #[cfg(target_arch = "x86_64")]
            Way::Avx2 => unsafe { self.walk_avx2(buf, at, values) },
        }
    }

    fn walk_portable<'a>(&mut self, buf: &'a [u8], at: usize, values: &mut [RawValue<'a>]) -> Option<Walked> {
        // SAFETY: the portable implementation needs no feature.
        unsafe { self.walk_by::<Portable>(buf, at, values) }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    unsafe fn walk_avx2<'a>(
        &mut self,
        buf: &'a [u8],
        at: usize,
        values: &mut [RawValue<'a>],
    ) -> Option<Walked> {
        // SAFETY: this function has the features.
        unsafe { self.walk_by::<super::simd::Avx2>(buf, at, values) }
    }

    /// # Safety
    /// The processor must have the features of `V`.
    #[inline(always)]
    unsafe fn walk_by<'a, V: Vector>(
        &mut self,
        buf: &'a [u8],
        at: usize,
        values: &mut [RawValue<'a>],
    ) -> Option<Walked> {
        let mut node = 0;
        let mut p = at;
        let mut n = 0;
        loop {
            let bytes = reach(buf, p)?;
            let first = self.nodes[node].child;
            let mut next = first;
            let mut before = NONE;
            let found = loop {
                let Some(child) = self.nodes.get(next as usize) else { break false };
                // SAFETY: the caller vouches for the features.
                if unsafe { V::same(bytes, &child.head, child.mask) }
                    && (child.len <= 32 || self.tail_is(child, buf, p))
                {
                    break true;
                }
                before = next;
                next = child.other;
            };
            if !found {
                let end = self.nodes[node].end;
                if end == NONE || bytes[0] != b'}' {
                    return None;
                }
                let line = match bytes[1] {
                    b'\n' => p + 2,
                    b'\r' if bytes[2] == b'\n' => p + 3,
                    _ => return None,
                };
                return Some(Walked { object: p + 1, line, end });
            }
            if before != NONE {
                // What was met last is likely to be met again: it moves to the front.
                self.nodes[before as usize].other = self.nodes[next as usize].other;
                self.nodes[next as usize].other = first;
                self.nodes[node].child = next;
            }
            node = next as usize;
            p += self.nodes[node].len as usize;
            // SAFETY: the caller vouches for the features.
            p = unsafe { value::<V>(buf, p, values.get_mut(n)?)? };
            n += 1;
        }
    }

    #[cold]
    fn tail_is(&self, node: &Node, buf: &[u8], at: usize) -> bool {
        let tail = &self.tails[node.tail as usize];
        buf.get(at + 32..at + 32 + tail.len()) == Some(tail)
    }

    /// Adds the way of a line that is one object: the texts before its values, in order. `false`: there is
    /// no room.
    pub fn insert(&mut self, line: &[u8], before: &[Range<usize>], end: u32) -> bool {
        if before.len() > MAX_VALUES || before.iter().any(|r| r.len() > MAX_PIECE) {
            return false;
        }
        let mut node = 0;
        for piece in before.iter().map(|r| &line[r.clone()]) {
            let (head, tail) = piece.split_at(piece.len().min(32));
            let mut edges = 0;
            let mut next = self.nodes[node].child;
            while let Some(child) = self.nodes.get(next as usize) {
                let same = child.len as usize == piece.len()
                    && child.head[..head.len()] == *head
                    && (tail.is_empty() || *self.tails[child.tail as usize] == *tail);
                if same {
                    break;
                }
                edges += 1;
                next = child.other;
            }
            if next == NONE {
                if edges >= MAX_EDGES || self.nodes.len() >= MAX_NODES {
                    return false;
                }
                let mut new = Node {
                    head: [0; 32],
                    mask: if head.len() == 32 { u32::MAX } else { (1 << head.len()) - 1 },
                    len: piece.len() as u32,
                    tail: NONE,
                    child: NONE,
                    other: self.nodes[node].child,
                    end: NONE,
                };
                new.head[..head.len()].copy_from_slice(head);
                if !tail.is_empty() {
                    new.tail = self.tails.len() as u32;
                    self.tails.push(tail.into());
                }
                next = self.nodes.len() as u32;
                self.nodes.push(new);
                self.nodes[node].child = next;
            }
            node = next as usize;
        }
        self.nodes[node].end = end;
        true
    }
}

/// The bytes at a place, if there are enough of them.
#[inline(always)]
fn reach(buf: &[u8], at: usize) -> Option<&[u8; REACH]> {
    buf.get(at..)?.first_chunk()
}

/// Puts the value at `p` where it belongs and returns where it ends. It is made in its place: made
/// elsewhere and copied, it would be read back before its parts are written.
///
/// # Safety
/// The processor must have the features of `V`.
#[inline(always)]
unsafe fn value<'a, V: Vector>(buf: &'a [u8], p: usize, slot: &mut RawValue<'a>) -> Option<usize> {
    let bytes = reach(buf, p)?;
    if bytes[0] == b'"' {
        // SAFETY: the caller vouches for the features.
        let (end, escaped, ascii) = unsafe { string::<V>(buf, p + 1)? };
        let body = buf.get(p + 1..end)?;
        let body = if ascii {
            // SAFETY: all bytes of it were seen to be ASCII.
            unsafe { std::str::from_utf8_unchecked(body) }
        } else {
            std::str::from_utf8(body).ok()?
        };
        *slot = RawValue::Str { body, escaped };
        return Some(end + 1);
    }
    match bytes[0] {
        b'0'..=b'9' | b'-' => {
            let sign = usize::from(bytes[0] == b'-');
            // SAFETY: the caller vouches for the features.
            let other = unsafe { V::no_digit(bytes) } & !(sign as u64);
            let end = other.trailing_zeros() as usize;
            let plain = end > sign && end < V::WIDTH && !matches!(bytes[end], b'.' | b'e' | b'E');
            if plain {
                // SAFETY: the range has digits only, and a sign perhaps.
                let text = unsafe { std::str::from_utf8_unchecked(buf.get(p..p + end)?) };
                *slot = RawValue::Number(text);
                return Some(p + end);
            }
            let end = json::number_end(buf, p)?;
            *slot = RawValue::Number(std::str::from_utf8(buf.get(p..end)?).ok()?);
            Some(end)
        }
        b't' if bytes.starts_with(b"true") => {
            *slot = RawValue::Bool(true);
            Some(p + 4)
        }
        b'f' if bytes.starts_with(b"false") => {
            *slot = RawValue::Bool(false);
            Some(p + 5)
        }
        b'n' if bytes.starts_with(b"null") => {
            *slot = RawValue::Null;
            Some(p + 4)
        }
        b'[' | b'{' => {
            let (value, end) = nested(buf, p)?;
            *slot = value;
            Some(end)
        }
        _ => None,
    }
}

/// An object or array, if it ends on this line.
fn nested(buf: &[u8], p: usize) -> Option<(RawValue<'_>, usize)> {
    // Most are short. What is looked at grows with what is found, so that many brackets that are never
    // closed cost no more than their line.
    let mut look = 128;
    loop {
        let near = &buf[p..buf.len().min(p + look)];
        let line = memchr::memchr(b'\n', near).unwrap_or(near.len());
        match json::nested_end(&near[..line], 0) {
            Ok(n) => {
                let text = std::str::from_utf8(&near[..n]).ok()?;
                return Some((RawValue::Json(text), p + n));
            }
            Err(json::ScanError::Incomplete) if line == near.len() && p + look < buf.len() => look *= 8,
            Err(_) => return None,
        }
    }
}

/// The end of a string's inside that begins at `p`, whether it has escapes, and whether it is all ASCII.
/// `None`: the line ends before.
///
/// # Safety
/// The processor must have the features of `V`.
#[inline(always)]
unsafe fn string<V: Vector>(buf: &[u8], mut p: usize) -> Option<(usize, bool, bool)> {
    let mut carry = 0;
    let mut escapes = false;
    let mut high = false;
    loop {
        // SAFETY: the caller vouches for the features.
        let c: Classes = unsafe { V::classes(reach(buf, p)?) };
        let quote = if c.backslash | carry == 0 {
            c.quote
        } else {
            c.quote & !escaped(c.backslash, &mut carry, V::WIDTH)
        };
        let stop = quote | c.newline;
        if stop != 0 {
            // All bits below the lowest one.
            let inside = (stop - 1) & !stop;
            let end = stop.trailing_zeros();
            if c.newline >> end & 1 == 1 {
                return None;
            }
            escapes |= c.backslash & inside != 0;
            high |= c.high & inside != 0;
            return Some((p + end as usize, escapes, !high));
        }
        escapes |= c.backslash != 0;
        high |= c.high != 0;
        p += V::WIDTH;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{object_pieces, scan_object};
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            // Strings of every length around the width of a load, with runs of backslashes anywhere.
            prop::collection::vec(
                prop_oneof![
                    Just("a"),
                    Just("\\\\"),
                    Just("\\\""),
                    Just("é"),
                    Just("\t"),
                    Just("\\u00e9"),
                    Just("bcdefg")
                ],
                0..90
            )
            .prop_map(|v| format!("\"{}\"", v.concat())),
            any::<i64>().prop_map(|n| n.to_string()),
            Just("00012345678901234567890123456789012345678901234567890123456789012345678".to_owned()),
            Just("-1.25e-7".to_owned()),
            Just("true".to_owned()),
            Just("false".to_owned()),
            Just("null".to_owned()),
            Just("{\"a\":[1,\"}]\\\"\"]}".to_owned()),
            (0usize..300).prop_map(|n| format!("[{}1]", "1,".repeat(n))),
        ]
    }

    proptest! {
        #[test]
        fn finds_what_a_scan_finds(
            rows in prop::collection::vec((prop::collection::vec(value(), 5), 0usize..3), 1..5),
            lead in 0usize..70,
        ) {
            let object = |v: &[String]| {
                let long = "a key whose text is longer than one load of thirty-two bytes";
                format!("{{\"k\":{},\"key\":{}, \"b\" : {},\"{long}\":{},\"c\":{}}}", v[0], v[1], v[2], v[3], v[4])
            };
            // Other bytes before and behind.
            let mut text = "x".repeat(lead);
            let mut starts = Vec::new();
            for (row, end) in &rows {
                starts.push(text.len());
                text.push_str(&object(row));
                text.push_str(["\n", "\r\n", "\n"][*end]);
            }
            text.push_str(&"\"\n}".repeat(30));
            for way in Way::all() {
                let mut tree = Tree::new(way);
                let mut values = vec![RawValue::Null; MAX_VALUES];
                prop_assert_eq!(tree.walk(text.as_bytes(), starts[0], &mut values), None);
                let first = object(&rows[0].0);
                let pieces = object_pieces(&first, 0).unwrap();
                prop_assert!(tree.insert(first.as_bytes(), &pieces.before, 7));
                for at in &starts {
                    let walked = tree.walk(text.as_bytes(), *at, &mut values).unwrap();
                    let mut fields = Vec::new();
                    prop_assert_eq!(scan_object(&text, *at, &mut fields), Ok(walked.object));
                    prop_assert_eq!(walked.end, 7);
                    prop_assert_eq!(text.as_bytes()[walked.line - 1], b'\n');
                    for (f, v) in fields.iter().zip(&values) {
                        prop_assert_eq!(&f.value, v);
                    }
                }
            }
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(prop_oneof![
            prop::sample::select(b"\"\\{}[]:,kab0-.etfn\n\r \xc3".to_vec()), any::<u8>()], 0..200)) {
            // Nothing is found beyond the end of a line, or that is no text.
            let first = br#"{"k":1,"a":"b"}"#;
            let mut buf = br#"{"k":"#.to_vec();
            buf.extend(bytes);
            buf.extend(b"\n");
            let end = buf.len();
            buf.extend([b'"'; 2 * REACH]);
            for way in Way::all() {
                let mut tree = Tree::new(way);
                let pieces = object_pieces(std::str::from_utf8(first).unwrap(), 0).unwrap();
                prop_assert!(tree.insert(first, &pieces.before, 0));
                let mut values = vec![RawValue::Null; MAX_VALUES];
                if let Some(walked) = tree.walk(&buf, 0, &mut values) {
                    prop_assert!(walked.line <= end);
                    let text = std::str::from_utf8(&buf[..walked.object]).unwrap();
                    let mut fields = Vec::new();
                    prop_assert_eq!(scan_object(text, 0, &mut fields), Ok(walked.object));
                    prop_assert_eq!([fields[0].value, fields[1].value], [values[0], values[1]]);
                }
            }
        }
    }

    #[test]
    fn a_full_tree_says_so() {
        let mut tree = Tree::new(Way::Portable);
        let refused = (0..2 * MAX_EDGES).filter(|i| {
            let line = format!("{{\"k{i}\":1}}");
            !tree.insert(line.as_bytes(), &object_pieces(&line, 0).unwrap().before, 0)
        });
        assert_eq!(refused.count(), MAX_EDGES);
    }
}
