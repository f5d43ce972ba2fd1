//! Substring, prefix, suffix and equality of text with a literal.

use super::{Arg, Folded, Kernel, folded, text_first, text_test};
use memchr::memmem::Finder;
use tercel_ir::function::fold;

pub(super) fn kernel(name: &str, args: &[Arg]) -> Option<Box<dyn Kernel>> {
    let rest = text_first(args)?;
    let [needle] = rest[..] else { return None };
    let needle = needle.text().into_owned();
    match name {
        "contains_cs" => {
            let f = Finder::new(needle.as_bytes()).into_owned();
            text_test(args, move |s, _| f.find(s.as_bytes()).is_some())
        }
        "startswith_cs" => text_test(args, move |s, _| s.starts_with(&needle)),
        "endswith_cs" => text_test(args, move |s, _| s.ends_with(&needle)),
        "contains" => {
            let needle = fold(&needle);
            let ascii = needle.is_ascii();
            let f = Finder::new(needle.as_bytes()).into_owned();
            text_test(args, move |s, scratch| {
                // A text shorter than an ASCII needle cannot hold it: each folded ASCII character
                // comes from at least one byte.
                if ascii && s.len() < f.needle().len() {
                    return false;
                }
                match folded(s, scratch) {
                    Folded::Ascii(h) => f.find(h).is_some(),
                    Folded::Other(h) => f.find(h.as_bytes()).is_some(),
                }
            })
        }
        "startswith" => {
            let needle = fold(&needle);
            if !needle.is_ascii() {
                return text_test(args, move |s, _| !s.is_ascii() && fold(s).starts_with(&needle));
            }
            text_test(args, move |s, _| match s.as_bytes().get(..needle.len()) {
                None => false,
                Some(head) if head.is_ascii() => head.eq_ignore_ascii_case(needle.as_bytes()),
                Some(_) => fold(s).starts_with(&needle),
            })
        }
        "endswith" => {
            let needle = fold(&needle);
            if !needle.is_ascii() {
                return text_test(args, move |s, _| !s.is_ascii() && fold(s).ends_with(&needle));
            }
            text_test(args, move |s, _| match s.len().checked_sub(needle.len()) {
                None => false,
                Some(at) => {
                    let tail = &s.as_bytes()[at..];
                    if tail.is_ascii() {
                        tail.eq_ignore_ascii_case(needle.as_bytes())
                    } else {
                        fold(s).ends_with(&needle)
                    }
                }
            })
        }
        "eq_ci" => {
            let needle = fold(&needle);
            text_test(args, move |s, _| {
                if s.len() == needle.len() && s.eq_ignore_ascii_case(&needle) {
                    // `needle` is folded, so equality up to ASCII case of a text that is not all ASCII
                    // still has to be checked character by character.
                    return s.is_ascii() || fold(s) == needle;
                }
                !s.is_ascii() && fold(s) == needle
            })
        }
        _ => None,
    }
}
