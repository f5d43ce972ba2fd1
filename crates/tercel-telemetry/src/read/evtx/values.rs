//! Values of instances as raw values.

use super::binxml::{Slot, ty, u16_at, u32_at, u64_at, until_nul};
use super::plan::{Leaf, Source};
use crate::value::RawValue;

/// Ticks from year 1 to 1601, where Windows begins to count.
const WINDOWS_EPOCH: i64 = 504_911_232_000_000_000;

/// Units of UTF-16 that are looked at together.
const LANES: usize = 16;

/// Room for the text of values that must be rendered, handed out piece by piece.
pub(super) struct Arena<'r>(&'r mut [u8]);

impl<'r> Arena<'r> {
    pub fn new(room: &'r mut [u8]) -> Arena<'r> {
        Arena(room)
    }

    /// The text that `write` writes. `None`: there is not enough room, or `write` gave up.
    #[inline]
    fn text(&mut self, write: impl FnOnce(&mut Writer<'_>) -> Option<()>) -> Option<&'r str> {
        let room = std::mem::take(&mut self.0);
        let mut writer = Writer { room, len: 0 };
        let done = write(&mut writer);
        let len = writer.len;
        let (text, rest) = room.split_at_mut(len);
        self.0 = rest;
        done?;
        std::str::from_utf8(text).ok()
    }
}

struct Writer<'w> {
    room: &'w mut [u8],
    len: usize,
}

/// Text that grows: in an arena, or as long as it wants. `None`: there is no more room.
pub(super) trait Text {
    fn bytes(&mut self, bytes: &[u8]) -> Option<()>;

    #[inline]
    fn byte(&mut self, b: u8) -> Option<()> {
        self.bytes(&[b])
    }

    /// The first bytes of a block.
    #[inline]
    fn first<const N: usize>(&mut self, block: &[u8; N], n: usize) -> Option<()> {
        self.bytes(block.get(..n)?)
    }

    fn decimal(&mut self, mut n: u64) -> Option<()> {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (n % 10) as u8;
            n /= 10;
            if n == 0 {
                return self.bytes(&digits[at..]);
            }
        }
    }

    fn hex(&mut self, n: u64) -> Option<()> {
        let mut text = *b"0x0000000000000000";
        let digits = (64 - (n | 1).leading_zeros()).div_ceil(4) as usize;
        for (i, place) in text[2..2 + digits].iter_mut().rev().enumerate() {
            *place = LOWER[(n >> (4 * i)) as usize & 15];
        }
        self.bytes(&text[..2 + digits])
    }

    fn binary(&mut self, bytes: &[u8]) -> Option<()> {
        bytes.iter().try_for_each(|b| self.bytes(&[UPPER[usize::from(b >> 4)], UPPER[usize::from(b & 15)]]))
    }

    /// A character of a JSON string, escaped as the full parser does.
    fn json(&mut self, c: char) -> Option<()> {
        match c {
            '"' => self.bytes(b"\\\""),
            '\\' => self.bytes(b"\\\\"),
            '\n' => self.bytes(b"\\n"),
            '\r' => self.bytes(b"\\r"),
            '\t' => self.bytes(b"\\t"),
            '\u{8}' => self.bytes(b"\\b"),
            '\u{c}' => self.bytes(b"\\f"),
            c if c < ' ' => {
                self.bytes(b"\\u00")?;
                self.byte(UPPER[c as usize >> 4])?;
                self.byte(UPPER[c as usize & 15])
            }
            c => self.bytes(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    /// The inside of a JSON string.
    fn json_units(&mut self, units: &[u8]) -> Option<()> {
        let mut rest = units;
        while rest.len() >= 2 {
            // In blocks, the last one filled up with a letter.
            let mut last = *b"x\0x\0x\0x\0x\0x\0x\0x\0x\0x\0x\0x\0x\0x\0x\0x\0";
            let (block, n) = match rest.first_chunk::<{ 2 * LANES }>() {
                Some(block) => (block, LANES),
                None => {
                    let n = rest.len() / 2;
                    last[..n * 2].copy_from_slice(&rest[..n * 2]);
                    (&last, n)
                }
            };
            let mut bytes = [0u8; LANES];
            let (mut wide, mut escapes) = (0u16, 0u16);
            for (to, pair) in bytes.iter_mut().zip(block.as_chunks::<2>().0) {
                let unit = u16::from_le_bytes(*pair);
                wide |= unit & 0xff80 | u16::from(unit < 0x20);
                escapes |= u16::from(unit == 0x22) | u16::from(unit == 0x5c);
                *to = unit as u8;
            }
            if wide != 0 {
                // One block, or what is left of the text; a pair of surrogates stays together.
                let done = self.json_chars(rest)?;
                rest = rest.get(done..).unwrap_or_default();
                continue;
            }
            if escapes == 0 {
                self.first(&bytes, n)?;
            } else {
                // Paths have one in nearly every block: without a branch for each.
                let mut text = [0u8; 2 * LANES];
                let mut len = 0;
                for b in &bytes[..n] {
                    text[len & (2 * LANES - 1)] = b'\\';
                    len += usize::from(matches!(b, b'"' | b'\\'));
                    text[len & (2 * LANES - 1)] = *b;
                    len += 1;
                }
                self.first(&text, len)?;
            }
            rest = &rest[n * 2..];
        }
        Some(())
    }

    /// About a block of the inside of a JSON string, character by character. Returns how many bytes that were.
    fn json_chars(&mut self, units: &[u8]) -> Option<usize> {
        let mut words = units.as_chunks::<2>().0.iter().map(|p| u16::from_le_bytes(*p)).peekable();
        let mut done = 0;
        while done < LANES
            && let Some(unit) = words.next()
        {
            let pair = [unit, words.peek().copied().unwrap_or_default()];
            let whole = char::decode_utf16(pair).next().and_then(Result::ok);
            let c = whole.unwrap_or(char::REPLACEMENT_CHARACTER);
            done += c.len_utf16();
            if c.len_utf16() == 2 {
                words.next();
            }
            self.json(c)?;
        }
        Some(done * 2)
    }

    fn json_string(&mut self, units: &[u8]) -> Option<()> {
        self.byte(b'"')?;
        self.json_units(units)?;
        self.byte(b'"')
    }

    fn guid(&mut self, bytes: &[u8]) -> Option<()> {
        // Each byte, and where its digits go.
        const PLACES: [(usize, usize); 16] = [
            (3, 1),
            (2, 3),
            (1, 5),
            (0, 7),
            (5, 10),
            (4, 12),
            (7, 15),
            (6, 17),
            (8, 20),
            (9, 22),
            (10, 25),
            (11, 27),
            (12, 29),
            (13, 31),
            (14, 33),
            (15, 35),
        ];
        let bytes: &[u8; 16] = bytes.first_chunk()?;
        let mut text = *b"{00000000-0000-0000-0000-000000000000}";
        for (from, to) in PLACES {
            text[to] = LOWER[usize::from(bytes[from] >> 4)];
            text[to + 1] = LOWER[usize::from(bytes[from] & 15)];
        }
        self.bytes(&text)
    }

    fn sid(&mut self, bytes: &[u8]) -> Option<()> {
        let [revision, _, a, b, c, d, e, f, parts @ ..] = bytes else { return None };
        self.bytes(b"S-")?;
        self.decimal(u64::from(*revision))?;
        self.byte(b'-')?;
        self.decimal(u64::from_be_bytes([0, 0, *a, *b, *c, *d, *e, *f]))?;
        for part in parts.as_chunks::<4>().0 {
            self.byte(b'-')?;
            self.decimal(u64::from(u32::from_le_bytes(*part)))?;
        }
        Some(())
    }
}

impl Text for Writer<'_> {
    #[inline]
    fn byte(&mut self, b: u8) -> Option<()> {
        *self.room.get_mut(self.len)? = b;
        self.len += 1;
        Some(())
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.room.get_mut(self.len..self.len + bytes.len())?.copy_from_slice(bytes);
        self.len += bytes.len();
        Some(())
    }
}

impl Text for Vec<u8> {
    #[inline]
    fn byte(&mut self, b: u8) -> Option<()> {
        self.push(b);
        Some(())
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.extend_from_slice(bytes);
        Some(())
    }

    #[inline]
    fn first<const N: usize>(&mut self, block: &[u8; N], n: usize) -> Option<()> {
        // A copy of a length that is known is no call.
        let len = self.len() + n.min(N);
        self.extend_from_slice(block);
        self.truncate(len);
        Some(())
    }
}

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

/// Text that needs no escapes in JSON.
#[inline]
fn plain<'r>(text: &'r str, to: &mut RawValue<'r>) {
    *to = RawValue::Str { body: text, escaped: false };
}

fn filetime(n: u64) -> Option<i64> {
    let ticks = i64::try_from(n).ok()?.checked_add(WINDOWS_EPOCH)?;
    (ticks <= tercel_ir::time::MAX).then_some(ticks)
}

fn systemtime(b: &[u8]) -> Option<i64> {
    let field = |i: usize| u16_at(b, i * 2).map(u32::from);
    let (year, month, day) = (field(0)?, field(1)?, field(3)?);
    let (hour, minute, second, milli) = (field(4)?, field(5)?, field(6)?, field(7)?);
    let time = (1601..=30827).contains(&year)
        && (1..=12).contains(&month)
        && hour < 24
        && minute < 60
        && second < 60
        && milli < 1000;
    if !time {
        // As Windows prints what is no time.
        return Some(WINDOWS_EPOCH);
    }
    if year > 9999 {
        return None;
    }
    let ticks = tercel_ir::time::from_parts(year as i32, month, day, hour, minute, second, milli * 10_000);
    // A day that its month does not have is no time either.
    Some(ticks.unwrap_or(WINDOWS_EPOCH))
}

/// A value that is neither empty nor a list nor XML. `None`: one that is left to the full parser.
///
/// Values are made in their place: one that is handed from function to function is read back in other pieces
/// than it was written in, for which the processor waits.
#[inline]
fn scalar<'r>(slot: &Slot, chunk: &'r [u8], arena: &mut Arena<'r>, to: &mut RawValue<'r>) -> Option<()> {
    let b = slot.bytes(chunk);
    match slot.ty {
        ty::STRING => *to = RawValue::Utf16(until_nul(b)),
        ty::INT8 => *to = RawValue::Long(i64::from((*b.first()?).cast_signed())),
        ty::UINT8 => *to = RawValue::Long(i64::from(*b.first()?)),
        ty::INT16 => *to = RawValue::Long(i64::from(u16_at(b, 0)?.cast_signed())),
        ty::UINT16 => *to = RawValue::Long(i64::from(u16_at(b, 0)?)),
        ty::INT32 => *to = RawValue::Long(i64::from(u32_at(b, 0)?.cast_signed())),
        ty::UINT32 => *to = RawValue::Long(i64::from(u32_at(b, 0)?)),
        ty::INT64 => *to = RawValue::Long(u64_at(b, 0)?.cast_signed()),
        ty::UINT64 => {
            let n = u64_at(b, 0)?;
            match i64::try_from(n) {
                Ok(n) => *to = RawValue::Long(n),
                Err(_) => *to = RawValue::Number(arena.text(|w| w.decimal(n))?),
            }
        }
        // Anything but 0 and 1 is no boolean but a mask of bits.
        ty::BOOL => match u32_at(b, 0)? {
            0 => *to = RawValue::Bool(false),
            1 => *to = RawValue::Bool(true),
            n => *to = RawValue::Long(i64::from(n.cast_signed())),
        },
        ty::HEX32 => plain(arena.text(|w| w.hex(u64::from(u32_at(b, 0)?)))?, to),
        ty::HEX64 => plain(arena.text(|w| w.hex(u64_at(b, 0)?))?, to),
        ty::SIZE if b.len() == 4 => plain(arena.text(|w| w.hex(u64::from(u32_at(b, 0)?)))?, to),
        ty::SIZE => plain(arena.text(|w| w.hex(u64_at(b, 0)?))?, to),
        ty::GUID => plain(arena.text(|w| w.guid(b))?, to),
        ty::SID => plain(arena.text(|w| w.sid(b))?, to),
        ty::FILETIME => *to = RawValue::Time(filetime(u64_at(b, 0)?)?),
        ty::SYSTEMTIME => *to = RawValue::Time(systemtime(b)?),
        ty::BINARY => plain(arena.text(|w| w.binary(b))?, to),
        ty::ANSI => {
            // The code page matters for anything but ASCII.
            let mut escaped = false;
            let body = arena.text(|w| {
                b.iter().filter(|b| **b != 0).try_for_each(|b| {
                    escaped |= matches!(b, b'"' | b'\\' | 0..0x20);
                    if b.is_ascii() { w.json(char::from(*b)) } else { None }
                })
            })?;
            *to = RawValue::Str { body, escaped };
        }
        _ => return None,
    }
    Some(())
}

/// A list of strings: one counts as itself.
fn list<'r>(slot: &Slot, chunk: &'r [u8], arena: &mut Arena<'r>, to: &mut RawValue<'r>) -> Option<()> {
    let mut rest = slot.bytes(chunk);
    let first = until_nul(rest);
    if first.len() + 2 >= rest.len() {
        *to = RawValue::Utf16(first);
        return Some(());
    }
    let text = arena.text(|w| {
        w.byte(b'[')?;
        let mut separator = false;
        while !rest.is_empty() {
            if std::mem::replace(&mut separator, true) {
                w.byte(b',')?;
            }
            let item = until_nul(rest);
            w.json_string(item)?;
            rest = rest.get(item.len() + 2..)?;
        }
        w.byte(b']')
    })?;
    *to = RawValue::Json(text);
    Some(())
}

/// The value of a leaf that is there. `None`: one that is left to the full parser.
#[inline]
pub(super) fn leaf<'r>(
    leaf: &'r Leaf,
    slots: &[Slot],
    chunk: &'r [u8],
    arena: &mut Arena<'r>,
    to: &mut RawValue<'r>,
) -> Option<()> {
    let filled = |s: &u16| slots.get(usize::from(*s)).is_some_and(|s| !s.is_empty(chunk));
    if !leaf.attributes.is_empty() && leaf.bare && leaf.attributes.iter().any(filled) {
        return None;
    }
    match &leaf.source {
        Source::Literal(l) => {
            *to = RawValue::Str { body: &l.body, escaped: l.escaped };
            return Some(());
        }
        Source::Nothing => {}
        Source::Slot(s) => {
            let slot = slots.get(usize::from(*s))?;
            if !slot.is_empty(chunk) {
                return match slot.ty {
                    ty::STRINGS if leaf.list => list(slot, chunk, arena, to),
                    _ => scalar(slot, chunk, arena, to),
                };
            }
        }
    }
    // An object of attributes without a text.
    if leaf.object || leaf.attributes.iter().any(filled) {
        return None;
    }
    if leaf.blank {
        plain("", to);
    } else {
        *to = RawValue::Null;
    }
    Some(())
}

/// Several values as one JSON array.
pub(super) fn array<'r>(
    leaves: &'r [Leaf],
    slots: &[Slot],
    chunk: &'r [u8],
    arena: &mut Arena<'r>,
    to: &mut RawValue<'r>,
) -> Option<()> {
    // Each is rendered in front of the whole.
    let mut values = vec![RawValue::Null; leaves.len()];
    for (l, value) in leaves.iter().zip(&mut values) {
        leaf(l, slots, chunk, arena, value)?;
    }
    let text = arena.text(|w| {
        w.byte(b'[')?;
        for (i, value) in values.iter().enumerate() {
            if i > 0 {
                w.byte(b',')?;
            }
            match value {
                RawValue::Utf16(units) => w.json_string(units)?,
                RawValue::Str { body, .. } => {
                    w.byte(b'"')?;
                    w.bytes(body.as_bytes())?;
                    w.byte(b'"')?;
                }
                RawValue::Number(n) => w.bytes(n.as_bytes())?,
                RawValue::Bool(b) => w.bytes(if *b { b"true" } else { b"false" })?,
                RawValue::Long(n) => {
                    if *n < 0 {
                        w.byte(b'-')?;
                    }
                    w.decimal(n.unsigned_abs())?;
                }
                RawValue::Time(t) => {
                    w.byte(b'"')?;
                    w.bytes(tercel_ir::time::format_datetime(*t).as_bytes())?;
                    w.byte(b'"')?;
                }
                _ => return None,
            }
        }
        w.byte(b']')
    })?;
    *to = RawValue::Json(text);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the full parser does, character by character.
    fn dumb(units: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let words = units.as_chunks::<2>().0.iter().map(|p| u16::from_le_bytes(*p));
        for c in char::decode_utf16(words) {
            out.json(c.unwrap_or(char::REPLACEMENT_CHARACTER)).unwrap();
        }
        out
    }

    fn unit() -> impl Strategy<Value = u16> {
        prop_oneof![
            20 => 0x20u16..0x7f,
            4 => prop_oneof![Just(0x22u16), Just(0x5c)],
            1 => 0u16..0x20,
            1 => 0xd800u16..0xe000,
            1 => any::<u16>(),
        ]
    }

    proptest! {
        #[test]
        fn blocks_are_characters(units in proptest::collection::vec(unit(), 0..80)) {
            let bytes: Vec<u8> = units.iter().flat_map(|u| u.to_le_bytes()).collect();
            let mut out = Vec::new();
            out.json_units(&bytes).unwrap();
            prop_assert_eq!(out, dumb(&bytes));
        }

        #[test]
        fn escapes_in_blocks(units in proptest::collection::vec(prop_oneof![3 => 0x20u16..0x7f, 1 => Just(0x5cu16)], 0..80)) {
            let bytes: Vec<u8> = units.iter().flat_map(|u| u.to_le_bytes()).collect();
            let mut out = Vec::new();
            out.json_units(&bytes).unwrap();
            prop_assert_eq!(out, dumb(&bytes));
        }
    }
}
