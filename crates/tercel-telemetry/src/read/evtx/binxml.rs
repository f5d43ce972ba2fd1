//! Binary XML: template definitions as trees, and the values of an instance.
//!
//! Offsets count from the beginning of the chunk. Every read is bounds-checked; what is not understood
//! is `None`, and the record is left to the full parser.

/// A definition's header: offset of the next one, GUID, size of the body.
pub(super) const DEFINITION_HEADER: usize = 24;
/// Deepest nesting of elements in a definition that is looked at.
const MAX_DEPTH: usize = 16;
/// Most bytes of names in a definition. Those in use have some thousands.
const MAX_NAMES: usize = 256 << 10;
/// Most values of one instance.
const MAX_VALUES: usize = 1024;

pub(super) fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*data.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*data.get(at..)?.first_chunk()?))
}

pub(super) fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*data.get(at..)?.first_chunk()?))
}

/// The units before the first NUL.
#[inline]
pub(super) fn until_nul(units: &[u8]) -> &[u8] {
    let is_nul = |p: &[u8; 2]| *p == [0, 0];
    let (blocks, rest) = units.as_chunks::<32>();
    for (i, block) in blocks.iter().enumerate() {
        let pairs = block.as_chunks::<2>().0;
        // All of a block, so that the processor takes it at once.
        if pairs.iter().fold(false, |any, p| any | is_nul(p)) {
            let n = pairs.iter().position(is_nul).unwrap_or(pairs.len());
            return &units[..i * 32 + n * 2];
        }
    }
    const ONES: u64 = 0x0001_0001_0001_0001;
    const HIGH: u64 = 0x8000_8000_8000_8000;
    let done = blocks.len() * 32;
    let (words, rest) = rest.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let w = u64::from_le_bytes(*word);
        // The lowest bit set is exact; higher ones may be borrows.
        let zero = w.wrapping_sub(ONES) & !w & HIGH;
        if zero != 0 {
            return &units[..done + i * 8 + (zero.trailing_zeros() / 16) as usize * 2];
        }
    }
    let pairs = rest.as_chunks::<2>().0;
    let n = pairs.iter().position(is_nul).unwrap_or(pairs.len());
    &units[..done + words.len() * 8 + n * 2]
}

/// A name in the chunk's table of names: its units up to a NUL, as written.
pub(super) fn name_at(chunk: &[u8], offset: u32) -> Option<&[u8]> {
    // Offset of the next name and a hash come first.
    let at = (offset as usize).checked_add(6)?;
    let length = usize::from(u16_at(chunk, at)?);
    // The NUL behind the name must be there too.
    chunk.get(at + 2..at + 4 + length * 2)?;
    Some(until_nul(&chunk[at + 2..at + 2 + length * 2]))
}

/// A node of a definition.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    /// The value at an index.
    Slot(u16),
    /// An index into [`Tree::elements`].
    Element(usize),
}

#[derive(Debug, Default)]
pub(super) struct Element {
    pub name: String,
    /// The value without which the element is left out.
    pub dependency: Option<u16>,
    pub attributes: Vec<(String, Vec<Node>)>,
    pub children: Vec<Node>,
}

/// A place in a definition that differs between chunks although the definition is the same.
#[derive(Debug, PartialEq)]
pub(super) struct NameRef {
    /// From the beginning of the body.
    pub at: usize,
    /// Whether the name itself follows.
    pub inline: bool,
    pub units: Box<[u8]>,
}

/// A definition.
#[derive(Debug)]
pub(super) struct Tree {
    pub elements: Vec<Element>,
    pub root: usize,
    pub names: Vec<NameRef>,
}

struct Parser<'c> {
    chunk: &'c [u8],
    start: usize,
    end: usize,
    at: usize,
    names: Vec<NameRef>,
    /// Bytes of names so far: one may be used by every element.
    text: usize,
}

impl Parser<'_> {
    fn take(&mut self, bytes: usize) -> Option<usize> {
        let at = self.at;
        let next = at.checked_add(bytes)?;
        (next <= self.end).then(|| self.at = next)?;
        Some(at)
    }
    fn u8(&mut self) -> Option<u8> {
        let at = self.take(1)?;
        self.chunk.get(at).copied()
    }
    fn u16(&mut self) -> Option<u16> {
        let at = self.take(2)?;
        u16_at(self.chunk, at)
    }
    fn u32(&mut self) -> Option<u32> {
        let at = self.take(4)?;
        u32_at(self.chunk, at)
    }

    fn name(&mut self) -> Option<String> {
        let at = self.at - self.start;
        let offset = self.u32()?;
        let inline = self.at == offset as usize;
        if inline {
            let length = usize::from(u16_at(self.chunk, self.at.checked_add(6)?)?);
            self.take(6 + 2 + length * 2 + 2)?;
        }
        let units = name_at(self.chunk, offset)?;
        self.text += units.len();
        (self.text <= MAX_NAMES).then_some(())?;
        self.names.push(NameRef { at, inline, units: units.into() });
        let name = String::from_utf16(&words(units)).ok()?;
        // Written into JSON as they are.
        (!name.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\')).then_some(name)
    }

    /// The whole body: one element.
    fn tree(mut self) -> Option<Tree> {
        let mut elements: Vec<Element> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        let mut root = None;
        // The element whose attributes are being read.
        let mut head: Option<Element> = None;
        while self.at < self.end {
            let token = self.u8()?;
            match token {
                0x00 => break,
                0x0f => {
                    self.take(3)?;
                }
                0x01 | 0x41 if head.is_none() => {
                    let dependency = self.u16()?;
                    self.u32()?;
                    let name = self.name()?;
                    if token == 0x41 {
                        self.u32()?;
                    }
                    let dependency = (dependency != 0xffff).then_some(dependency);
                    head = Some(Element { name, dependency, ..Element::default() });
                }
                0x06 | 0x46 => {
                    let name = self.name()?;
                    head.as_mut()?.attributes.push((name, Vec::new()));
                }
                0x05 | 0x45 | 0x0d | 0x0e => {
                    let node = if matches!(token, 0x05 | 0x45) {
                        // Of all types of literals only text is in use.
                        (self.u8()? == 0x01).then_some(())?;
                        let length = usize::from(self.u16()?);
                        let at = self.take(length * 2)?;
                        Node::Text(String::from_utf16_lossy(&words(until_nul(
                            &self.chunk[at..at + length * 2],
                        ))))
                    } else {
                        let slot = self.u16()?;
                        known(self.u8()?).then_some(Node::Slot(slot))?
                    };
                    match &mut head {
                        // A value before the first attribute belongs to nothing.
                        Some(e) => {
                            if let Some((_, value)) = e.attributes.last_mut() {
                                value.push(node);
                            }
                        }
                        None => elements[*open.last()?].children.push(node),
                    }
                }
                0x02 => {
                    (open.len() < MAX_DEPTH).then_some(())?;
                    open.push(elements.len());
                    elements.push(head.take()?);
                }
                0x03 | 0x04 => {
                    let done = if token == 0x03 {
                        elements.push(head.take()?);
                        elements.len() - 1
                    } else {
                        head.is_none().then_some(())?;
                        open.pop()?
                    };
                    match open.last() {
                        Some(parent) => elements[*parent].children.push(Node::Element(done)),
                        None => root.replace(done).is_none().then_some(())?,
                    }
                }
                _ => return None,
            }
        }
        (head.is_none() && open.is_empty()).then_some(())?;
        for e in &mut elements {
            e.attributes.retain(|(_, value)| !value.is_empty());
        }
        Some(Tree { elements, root: root?, names: self.names })
    }
}

fn words(units: &[u8]) -> Vec<u16> {
    units.as_chunks::<2>().0.iter().map(|p| u16::from_le_bytes(*p)).collect()
}

/// Reads the definition whose body is `start..end`.
pub(super) fn definition(chunk: &[u8], start: usize, end: usize) -> Option<Tree> {
    (start <= end && end <= chunk.len()).then_some(())?;
    Parser { chunk, start, end, at: start, names: Vec::new(), text: 0 }.tree()
}

/// Types of values.
pub(super) mod ty {
    pub const NULL: u8 = 0x00;
    pub const STRING: u8 = 0x01;
    pub const ANSI: u8 = 0x02;
    pub const INT8: u8 = 0x03;
    pub const UINT8: u8 = 0x04;
    pub const INT16: u8 = 0x05;
    pub const UINT16: u8 = 0x06;
    pub const INT32: u8 = 0x07;
    pub const UINT32: u8 = 0x08;
    pub const INT64: u8 = 0x09;
    pub const UINT64: u8 = 0x0a;
    pub const BOOL: u8 = 0x0d;
    pub const BINARY: u8 = 0x0e;
    pub const GUID: u8 = 0x0f;
    pub const SIZE: u8 = 0x10;
    pub const FILETIME: u8 = 0x11;
    pub const SYSTEMTIME: u8 = 0x12;
    pub const SID: u8 = 0x13;
    pub const HEX32: u8 = 0x14;
    pub const HEX64: u8 = 0x15;
    pub const XML: u8 = 0x21;
    pub const STRINGS: u8 = 0x81;
    /// Types from here on are arrays.
    pub const ARRAYS: u8 = 0x80;
}

/// Whether a type exists.
fn known(ty: u8) -> bool {
    matches!(ty, 0x00..=0x15 | 0x20 | 0x21 | 0x23 | 0x81..=0x95)
}

/// One value of an instance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub ty: u8,
    pub len: u16,
    pub at: u32,
}

impl Slot {
    pub fn bytes<'c>(&self, chunk: &'c [u8]) -> &'c [u8] {
        let at = self.at as usize;
        // In bounds: checked when the instance was read, of the same chunk.
        chunk.get(at..at + usize::from(self.len)).unwrap_or_default()
    }

    /// A value that is not there, which leaves out the elements that depend on it.
    #[inline]
    pub fn is_null(&self) -> bool {
        self.ty == ty::NULL || self.ty == ty::XML && self.len == 0
    }

    /// A value without text.
    #[inline]
    pub fn is_empty(&self, chunk: &[u8]) -> bool {
        match self.ty {
            ty::NULL => true,
            ty::STRING => matches!(self.bytes(chunk), [] | [0, 0, ..]),
            // NULs count for nothing anywhere in it.
            ty::ANSI => self.bytes(chunk).iter().all(|b| *b == 0),
            ty::BINARY | ty::XML | ty::ARRAYS.. => self.len == 0,
            _ => false,
        }
    }

    /// Whether the value has the size that its type wants. Damaged logs hold others, and what is to be
    /// made of those is the full parser's business.
    #[inline]
    fn fits(&self, chunk: &[u8]) -> bool {
        let (mask, rest) = SIZES[usize::from(self.ty)];
        if self.len & mask != rest {
            return false;
        }
        match self.ty {
            ty::SID => matches!(self.bytes(chunk), [_, n, ..] if self.len == 8 + 4 * u16::from(*n)),
            ty::SIZE => matches!(self.len, 4 | 8),
            ty::STRINGS => matches!(self.bytes(chunk), [] | [.., 0, 0]),
            _ => true,
        }
    }
}

/// What sizes the values of a type have: some of their bits. Looked up, because types come in no order that a
/// processor could foresee.
static SIZES: [(u16, u16); 256] = {
    /// Of a type that is not known no size fits.
    const NEVER: (u16, u16) = (0, 1);
    const fn exactly(n: u16) -> (u16, u16) {
        (u16::MAX, n)
    }
    /// `n` is a power of two.
    const fn multiple(n: u16) -> (u16, u16) {
        (n - 1, 0)
    }
    let mut sizes = [NEVER; 256];
    let mut i = 0;
    while i < 256 {
        sizes[i] = match i as u8 {
            ty::NULL | ty::ANSI | ty::BINARY | ty::XML | 0x83 | 0x84 => multiple(1),
            ty::STRING | ty::STRINGS | 0x85 | 0x86 => multiple(2),
            ty::INT8 | ty::UINT8 => exactly(1),
            ty::INT16 | ty::UINT16 => exactly(2),
            ty::INT32 | ty::UINT32 | ty::BOOL | ty::HEX32 | 0x0b => exactly(4),
            ty::INT64 | ty::UINT64 | ty::FILETIME | ty::HEX64 | 0x0c => exactly(8),
            ty::GUID | ty::SYSTEMTIME => exactly(16),
            ty::SIZE | ty::SID | 0x87 | 0x88 | 0x8b | 0x8d | 0x94 => multiple(4),
            0x89 | 0x8a | 0x8c | 0x91 | 0x95 => multiple(8),
            0x8f | 0x92 => multiple(16),
            _ => NEVER,
        };
        i += 1;
    }
    sizes
};

/// An instance of a template.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instance {
    /// Where its definition is.
    pub definition: u32,
    /// Its values, in the list that all instances of a record share.
    pub first: usize,
    pub count: usize,
}

impl Instance {
    pub fn slots<'s>(&self, all: &'s [Slot]) -> &'s [Slot] {
        all.get(self.first..self.first + self.count).unwrap_or_default()
    }
}

/// Reads a stream that is one instance and nothing else; its values are appended to `slots`.
#[inline]
pub(super) fn instance(chunk: &[u8], start: usize, end: usize, slots: &mut Vec<Slot>) -> Option<Instance> {
    let stream = chunk.get(start..end)?;
    let mut at = match stream {
        [0x0f, _, _, _, 0x0c, ..] => start + 5,
        [0x0c, ..] => start + 1,
        _ => return None,
    };
    // A version and the template's id come first.
    let definition = u32_at(chunk, at + 5)?;
    at += 9;
    if at == definition as usize {
        let size = u32_at(chunk, at + 20)? as usize;
        at = at.checked_add(DEFINITION_HEADER)?.checked_add(size)?;
    }
    let count = u32_at(chunk, at)? as usize;
    at += 4;
    if count > MAX_VALUES {
        return None;
    }
    let table = chunk.get(at..at + count * 4)?;
    at += count * 4;
    let first = slots.len();
    for [lo, hi, ty, _] in table.as_chunks::<4>().0 {
        let len = u16::from_le_bytes([*lo, *hi]);
        let slot = Slot { ty: *ty, len, at: at as u32 };
        at += usize::from(len);
        if at > end || !slot.fits(chunk) {
            return None;
        }
        slots.push(slot);
    }
    // Nothing but the end may follow.
    matches!(chunk.get(at..end)?, [] | [0, ..]).then_some(Instance { definition, first, count })
}

#[cfg(test)]
mod tests {
    use super::until_nul;

    #[test]
    fn the_first_nul_is_found_wherever_it_is() {
        for fill in [[1, 0], [0, 1], [0xff, 0x7f], [0, 0x80]] {
            for len in 0..80 {
                for nul in 0..=len {
                    let mut units: Vec<u8> =
                        (0..len).flat_map(|i| if i == nul { [0, 0] } else { fill }).collect();
                    assert_eq!(until_nul(&units).len(), nul * 2);
                    // An odd byte is no unit.
                    units.push(7);
                    assert_eq!(until_nul(&units).len(), nul * 2);
                }
            }
        }
    }
}
