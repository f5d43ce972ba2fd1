//! Lists of texts in one block of bytes: keys of groups, carried values. Injective, so that equal bytes
//! mean equal lists.

use std::borrow::Cow;

/// Stands for the length of an absent text. No text is that long: see [`push`].
const ABSENT: u32 = u32::MAX;

/// Appends one text. What is beyond 4 GiB of it is cut; readers refuse events of a thousandth of that.
pub(super) fn push(out: &mut Vec<u8>, text: Option<&str>) {
    let Some(text) = text else {
        return out.extend_from_slice(&ABSENT.to_le_bytes());
    };
    let mut len = text.len().min(ABSENT as usize - 1);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    out.extend_from_slice(&(len as u32).to_le_bytes());
    out.extend_from_slice(&text.as_bytes()[..len]);
}

/// The text at this place of the list.
pub(super) fn get(list: &[u8], place: usize) -> Option<Cow<'_, str>> {
    iter(list).nth(place).flatten()
}

/// All texts of the list.
pub(super) fn iter(mut list: &[u8]) -> impl Iterator<Item = Option<Cow<'_, str>>> {
    std::iter::from_fn(move || {
        let (len, rest) = list.split_first_chunk::<4>()?;
        let len = u32::from_le_bytes(*len);
        if len == ABSENT {
            list = rest;
            return Some(None);
        }
        let (text, rest) = rest.split_at_checked(len as usize)?;
        list = rest;
        Some(Some(String::from_utf8_lossy(text)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn comes_back(list in prop::collection::vec(prop::option::of(".{0,9}"), 0..5)) {
            let mut out = Vec::new();
            list.iter().for_each(|t| push(&mut out, t.as_deref()));
            let back: Vec<Option<String>> = iter(&out).map(|t| t.map(Cow::into_owned)).collect();
            prop_assert_eq!(&back, &list);
            for (i, t) in list.iter().enumerate() {
                prop_assert_eq!(get(&out, i).map(Cow::into_owned), t.clone());
            }
            prop_assert_eq!(get(&out, list.len()), None);
        }
    }
}
