//! The records of a chunk, found by their headers alone.

use std::ops::Range;

use super::binxml::{u16_at, u32_at, u64_at};

/// The header of a chunk; records begin behind it.
pub(super) const CHUNK_HEADER: usize = 512;
/// The header of a record; behind its XML stands a copy of the size.
pub(super) const RECORD_HEADER: usize = 24;
const RECORD_MAGIC: [u8; 4] = *b"**\0\0";
/// The last time of a record that the full parser takes.
const LAST_FILETIME: u64 = 2_650_466_807_999_999_999;

/// A record.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Where its header is.
    pub at: usize,
    pub xml: Range<usize>,
    pub id: u64,
}

pub(super) enum Next {
    Record(Frame),
    End,
    /// Something is wrong; the full parser knows how to go on.
    Damaged,
}

/// Records from the first on while all is well.
pub(super) struct Frames<'c> {
    chunk: &'c [u8],
    at: usize,
    end: usize,
    last_id: u64,
}

impl<'c> Frames<'c> {
    /// `None`: the chunk is damaged in its header.
    pub fn new(chunk: &'c [u8]) -> Option<Frames<'c>> {
        (chunk.len() >= CHUNK_HEADER && chunk.starts_with(b"ElfChnk\0") && names_are_whole(chunk))
            .then_some(())?;
        let end = (u32_at(chunk, 48)? as usize).min(chunk.len());
        Some(Frames { chunk, at: CHUNK_HEADER, end, last_id: u64_at(chunk, 32)? })
    }

    pub fn next(&mut self) -> Next {
        if self.at >= self.end {
            return Next::End;
        }
        match self.frame() {
            Some((frame, end)) => {
                // The header names the last record; what lies behind it is older.
                self.at = if frame.id == self.last_id { self.end } else { end };
                Next::Record(frame)
            }
            None => {
                let rest = self.chunk.get(self.at..self.end).unwrap_or_default();
                // Space that is free although the header says otherwise.
                let blank = rest.iter().take(4).all(|b| *b == 0);
                if blank && memchr::memmem::find(rest, &RECORD_MAGIC).is_none() {
                    Next::End
                } else {
                    Next::Damaged
                }
            }
        }
    }

    fn frame(&self) -> Option<(Frame, usize)> {
        let at = self.at;
        let header = self.chunk.get(at..at + RECORD_HEADER)?;
        let size = u32_at(header, 4)? as usize;
        let sound = header.starts_with(&RECORD_MAGIC)
            && size >= RECORD_HEADER + 4
            && u64_at(header, 16)? <= LAST_FILETIME;
        let end = at.checked_add(size)?;
        if !sound || end - 4 > self.chunk.len() {
            return None;
        }
        let frame = Frame { at, xml: at + RECORD_HEADER..end - 4, id: u64_at(header, 8)? };
        Some((frame, end))
    }
}

/// Whether the chunk's table of names can be read; the full parser gives up on chunks where it cannot.
fn names_are_whole(chunk: &[u8]) -> bool {
    let mut left = 8192u32;
    (0..64).all(|bucket| {
        let Some(mut offset) = u32_at(chunk, 128 + bucket * 4) else { return false };
        while offset != 0 {
            // More names than fit into a chunk: a circle, or one that is not worth the time.
            left = left.saturating_sub(1);
            let at = offset as usize;
            let (Some(next), Some(length)) = (u32_at(chunk, at), u16_at(chunk, at.saturating_add(6))) else {
                return false;
            };
            let text = at + 8;
            let Some(units) = chunk.get(text..text + usize::from(length) * 2) else { return false };
            // Beyond ASCII a name might hold half a character; none does that Windows wrote.
            let ascii = units.iter().skip(1).step_by(2).all(|b| *b == 0);
            if left == 0 || !ascii || chunk.get(text + units.len()..text + units.len() + 2).is_none() {
                return false;
            }
            offset = next;
        }
        true
    })
}
