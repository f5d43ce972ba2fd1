//! Terms, regular expressions, globs and Sumo's anchor patterns.

use super::{ANY, Function, function, string_predicate, text, to_dynamic, to_long, to_string};
use crate::function::string::fold;
use crate::types::Type;
use crate::value::Value;
use regex::Regex;
use std::cell::RefCell;
use std::collections::HashMap;

/// A compiled pattern may take this much memory; beyond it, it is refused.
const REGEX_LIMIT: usize = 10 << 20;

/// Compiles with the size limit of this product. The last few patterns of a thread are remembered: what reads,
/// writes and proves a rule each asks for the same ones.
///
/// # Errors
/// The regex crate's own words.
pub fn compile_regex(pattern: &str) -> Result<Regex, String> {
    const FEW: usize = 16;
    LAST.with_borrow_mut(|last| {
        if let Some(found) = last.get(pattern) {
            return found.clone();
        }
        let made = regex::RegexBuilder::new(pattern)
            .size_limit(REGEX_LIMIT)
            .dfa_size_limit(REGEX_LIMIT)
            .build()
            .map_err(|e| e.to_string());
        if last.len() >= FEW {
            last.clear();
        }
        last.insert(pattern.to_owned(), made.clone());
        made
    })
}

/// Whether [`compile_regex`] would compile it, without doing so where that is certain: compiling a rule's
/// expressions only to know takes most of the time that the rule takes.
///
/// # Errors
/// As there.
pub fn check_regex(pattern: &str) -> Result<(), String> {
    if is_small(pattern) { Ok(()) } else { compile_regex(pattern).map(|_| ()) }
}

/// Whether an expression that [`compile_regex`] would compile is found in the empty text, mostly without compiling it.
///
/// # Errors
/// As there.
pub fn regex_finds_nothing(pattern: &str) -> Result<bool, String> {
    // What takes at least one byte is not in a text of none.
    let long = |p: &str| regex_syntax::parse(p).is_ok_and(|h| h.properties().minimum_len() != Some(0));
    if is_small(pattern) && long(pattern) {
        return Ok(false);
    }
    compile_regex(pattern).map(|r| r.is_match(""))
}

/// Whether an expression is valid and surely below the size limit.
fn is_small(pattern: &str) -> bool {
    /// The most that one state takes: 32 bytes for itself and 8 for a transition.
    const STATE: usize = 40;
    regex_syntax::parse(pattern).is_ok_and(|hir| states(&hir) < REGEX_LIMIT / STATE)
}

/// An upper bound for the states of the automaton. The parser bounds the depth of the tree.
fn states(hir: &regex_syntax::hir::Hir) -> usize {
    use regex_syntax::hir::{Class, ClassUnicodeRange, HirKind};
    use regex_syntax::utf8::Utf8Sequences;
    match hir.kind() {
        HirKind::Empty => 1,
        HirKind::Look(_) => 2,
        HirKind::Literal(l) => l.0.len(),
        HirKind::Class(Class::Bytes(c)) => 1 + c.ranges().len(),
        // Sequences of bytes share states, in either direction; at most each byte has one of its own.
        HirKind::Class(Class::Unicode(c)) => {
            let sequences = |r: &ClassUnicodeRange| -> usize {
                Utf8Sequences::new(r.start(), r.end()).map(|s| s.len()).sum()
            };
            c.ranges().iter().map(sequences).fold(1, usize::saturating_add)
        }
        HirKind::Capture(c) => states(&c.sub).saturating_add(2),
        HirKind::Concat(list) | HirKind::Alternation(list) => {
            list.iter().fold(list.len(), |n, h| n.saturating_add(states(h)))
        }
        HirKind::Repetition(r) => {
            let times = r.max.unwrap_or(r.min.saturating_add(1)).max(1);
            states(&r.sub).saturating_add(2).saturating_mul(times as usize)
        }
    }
}

thread_local! {
    static LAST: RefCell<HashMap<String, Result<Regex, String>>> = RefCell::default();
    static CACHE: RefCell<HashMap<String, Option<Regex>>> = RefCell::default();
}

/// Lets go of the patterns that this thread remembers. Whoever works through thousands of rules does it now
/// and then: those of past rules are not asked again, and each takes as much as some rules.
pub fn forget_regexes() {
    LAST.with_borrow_mut(HashMap::clear);
    CACHE.with_borrow_mut(HashMap::clear);
}

/// Runs `f` with the compiled pattern, remembered per thread; null when it does not compile.
fn with_regex(pattern: &str, f: impl FnOnce(&Regex) -> Value) -> Value {
    remembered(pattern, |regex| regex.map_or(Value::Null, f))
}

/// The compiled pattern, remembered per thread and shared with evaluation; `None` when it does not compile.
pub fn remembered_regex(pattern: &str) -> Option<Regex> {
    remembered(pattern, |regex| regex.cloned())
}

fn remembered<T>(pattern: &str, f: impl FnOnce(Option<&Regex>) -> T) -> T {
    CACHE.with_borrow_mut(|cache| {
        if !cache.contains_key(pattern) {
            // The patterns of one run are few; a hostile run that makes them per row must not grow this.
            if cache.len() >= 512 {
                cache.clear();
            }
            cache.insert(pattern.to_string(), compile_regex(pattern).ok());
        }
        f(cache[pattern].as_ref())
    })
}

fn is_term_char(c: char) -> bool {
    c.is_alphanumeric()
}

/// Kusto's term search: the needle occurs with a term boundary wherever its own edge is a letter or
/// digit (of `before` = left edge, `after` = right edge). An empty needle is everywhere. Both texts as
/// they are; fold them first to ignore case.
pub fn has_term(haystack: &str, needle: &str, before: bool, after: bool) -> bool {
    let (Some(first), Some(last)) = (needle.chars().next(), needle.chars().next_back()) else { return true };
    let (check_left, check_right) = (before && is_term_char(first), after && is_term_char(last));
    let mut from = 0;
    while let Some(i) = haystack[from..].find(needle) {
        let (start, end) = (from + i, from + i + needle.len());
        let left = !check_left || !haystack[..start].chars().next_back().is_some_and(is_term_char);
        let right = !check_right || !haystack[end..].chars().next().is_some_and(is_term_char);
        if left && right {
            return true;
        }
        from = start + first.len_utf8();
    }
    false
}

fn has(a: &[Value], before: bool, after: bool, cs: bool) -> Value {
    let (h, n) = (text(a, 0), text(a, 1));
    Value::Bool(if cs {
        has_term(&h, &n, before, after)
    } else {
        has_term(&fold(&h), &fold(&n), before, after)
    })
}

/// The needles of `has_any`/`has_all`: arguments after the first, arrays opened.
fn needles(a: &[Value]) -> impl Iterator<Item = String> + '_ {
    a[1..].iter().flat_map(|v| match v {
        Value::Dynamic(serde_json::Value::Array(items)) => {
            items.iter().map(|i| Value::Dynamic(i.clone()).to_text()).collect::<Vec<_>>()
        }
        v => vec![v.to_text()],
    })
}

/// A glob as an anchored regex: `*` any run, `?` one character; `\*`, `\?`, `\\` literal.
pub fn glob_to_regex(glob: &str, ignore_case: bool) -> String {
    let mut out = String::from(if ignore_case { "(?is)^" } else { "(?s)^" });
    let mut lit = String::new();
    let mut chars = glob.chars().peekable();
    let flush = |lit: &mut String, out: &mut String| {
        out.push_str(&regex::escape(lit));
        lit.clear();
    };
    while let Some(c) = chars.next() {
        match c {
            '\\' if matches!(chars.peek(), Some('*' | '?' | '\\')) => lit.extend(chars.next()),
            '*' => {
                flush(&mut lit, &mut out);
                out.push_str(".*");
            }
            '?' => {
                flush(&mut lit, &mut out);
                out.push('.');
            }
            c => lit.push(c),
        }
    }
    flush(&mut lit, &mut out);
    out.push('$');
    out
}

/// Sumo's anchor pattern (`User=*:`) as a regex with one group a star: unanchored, stars lazy, a final
/// star to the end of the text.
pub fn sumo_anchor_regex(pattern: &str) -> String {
    let mut out = String::from("(?s)");
    let parts: Vec<&str> = pattern.split('*').collect();
    for (i, p) in parts.iter().enumerate() {
        out.push_str(&regex::escape(p));
        if i + 1 < parts.len() {
            let at_end = i + 2 == parts.len() && parts[i + 1].is_empty();
            out.push_str(if at_end { "(.*)$" } else { "(.*?)" });
        }
    }
    out
}

fn capture(re: &Regex, s: &str, group: usize) -> Value {
    re.captures(s).and_then(|c| c.get(group)).map_or(Value::Null, |m| Value::str(m.as_str()))
}

fn extract_type(t: &[Type]) -> Result<Type, String> {
    if t.len() > 2 && t[2] == Type::Dynamic || !t[1].is_number() && t[1] != Type::Dynamic {
        return Err("expects (regex, group number, text)".into());
    }
    Ok(Type::String)
}

/// The entries of this group.
pub(super) static FUNCTIONS: &[Function] = &[
    function!("has", (2, 2), string_predicate, kql ["has"], sumo [], |a, _| has(a, true, true, false), "Term search, ignoring case."),
    function!("has_cs", (2, 2), string_predicate, kql ["has_cs"], sumo [], |a, _| has(a, true, true, true), "Term search, case-sensitive."),
    function!("hasprefix", (2, 2), string_predicate, kql ["hasprefix"], sumo [], |a, _| has(a, true, false, false), "A term begins with the needle, ignoring case."),
    function!("hasprefix_cs", (2, 2), string_predicate, kql ["hasprefix_cs"], sumo [], |a, _| has(a, true, false, true), "A term begins with the needle, case-sensitive."),
    function!("hassuffix", (2, 2), string_predicate, kql ["hassuffix"], sumo [], |a, _| has(a, false, true, false), "A term ends with the needle, ignoring case."),
    function!("hassuffix_cs", (2, 2), string_predicate, kql ["hassuffix_cs"], sumo [], |a, _| has(a, false, true, true), "A term ends with the needle, case-sensitive."),
    function!("has_any", (1, ANY), string_predicate, kql ["has_any"], sumo [], |a, _| {
        let h = fold(&text(a, 0));
        Value::Bool(needles(a).any(|n| has_term(&h, &fold(&n), true, true)))
    }, "Term search for any of the needles, ignoring case; false without needles."),
    function!("has_all", (1, ANY), string_predicate, kql ["has_all"], sumo [], |a, _| {
        let h = fold(&text(a, 0));
        Value::Bool(needles(a).all(|n| has_term(&h, &fold(&n), true, true)))
    }, "Term search for all of the needles, ignoring case; true without needles."),
    function!("matches_regex", (2, 2), string_predicate, kql ["matches regex"], sumo [],
        |a, _| with_regex(&text(a, 1), |r| Value::Bool(r.is_match(&text(a, 0)))), "A regular expression is found anywhere; null when it does not compile."),
    function!("matches_glob", (2, 2), string_predicate, kql [], sumo ["matches"],
        |a, _| with_regex(&glob_to_regex(&text(a, 1), false), |r| Value::Bool(r.is_match(&text(a, 0)))), "A glob (`*`, `?`, `\\` escapes) covers the whole text, case-sensitive."),
    function!("matches_glob_ci", (2, 2), string_predicate, kql [], sumo [],
        |a, _| with_regex(&glob_to_regex(&text(a, 1), true), |r| Value::Bool(r.is_match(&text(a, 0)))), "A glob (`*`, `?`, `\\` escapes) covers the whole text, ignoring case."),
    function!("extract", (3, 3), extract_type, kql ["extract"], sumo [],
        |a, _| with_regex(&text(a, 0), |r| match capture(r, &text(a, 2), a[1].as_i64().unwrap_or(0).max(0) as usize) { Value::Null => Value::str(""), v => v }),
        "A group of the first match (0 = all of it); \"\" without a match."),
    function!("regex_group", (3, 3), to_string, kql [], sumo [],
        |a, _| if a[0].is_null() { Value::Null } else { with_regex(&text(a, 1), |r| capture(r, &text(a, 0), a[2].as_i64().unwrap_or(0).max(0) as usize)) },
        "(text, regex, group number): the group of the first match; null without a match or where the group took no part."),
    function!("extract_all", (2, 2), to_dynamic, kql ["extract_all"], sumo [], |a, _| with_regex(&text(a, 0), |r| {
        let found: Vec<serde_json::Value> = r.captures_iter(&text(a, 1)).take(1 << 20).map(|c| {
            let g: Vec<serde_json::Value> = (1..c.len()).map(|i| c.get(i).map_or("", |m| m.as_str()).into()).collect();
            match g.len() { 0 => c[0].into(), 1 => g[0].clone(), _ => g.into() }
        }).collect();
        if found.is_empty() { Value::Null } else { Value::Dynamic(found.into()) }
    }), "The groups of all matches: flat with one group, nested with several; null without a match."),
    function!("replace_regex", (3, 3), to_string, kql ["replace_regex", "replace"], sumo [],
        |a, _| with_regex(&text(a, 1), |r| {
            // Kusto writes groups as \1; the regex crate as ${1}.
            let rw = Regex::new(r"\\(\d)").map_or_else(|_| text(a, 2).into_owned(), |g| g.replace_all(&text(a, 2).replace('$', "$$"), "$${$1}").into_owned());
            Value::Str(r.replace_all(&text(a, 0), rw.as_str()).into_owned())
        }), "Every match replaced; `\\1` is a group."),
    function!("countof", (2, 3), to_long, kql ["countof"], sumo [], |a, _| match text(a, 2).as_ref() {
        "regex" => with_regex(&text(a, 1), |r| Value::Long(r.find_iter(&text(a, 0)).count() as i64)),
        _ if text(a, 1).is_empty() => Value::Long(0),
        _ => { let (h, n) = (text(a, 0), text(a, 1)); Value::Long((0..h.len()).filter(|i| h.is_char_boundary(*i) && h[*i..].starts_with(n.as_ref())).count() as i64) }
    }, "Occurrences of a text (overlapping) or of a regex (not)."),
    function!("trim", (2, 2), to_string, kql ["trim"], sumo [], |a, _| with_regex(&format!("^(?:{0})|(?:{0})$", text(a, 0)), |r| Value::str(r.replace_all(&text(a, 1), ""))), "Without a match of the regex at either end."),
    function!("trim_start", (2, 2), to_string, kql ["trim_start"], sumo [], |a, _| with_regex(&format!("^(?:{})", text(a, 0)), |r| Value::str(r.replace(&text(a, 1), ""))), "Without a match of the regex at the start."),
    function!("trim_end", (2, 2), to_string, kql ["trim_end"], sumo [], |a, _| with_regex(&format!("(?:{})$", text(a, 0)), |r| Value::str(r.replace(&text(a, 1), ""))), "Without a match of the regex at the end."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms() {
        assert!(has_term("a_b", "a", true, true));
        assert!(!has_term("powershell", "power", true, true));
        assert!(has_term("powershell", "power", true, false));
        assert!(has_term("x -enc y", "-enc", true, true));
        assert!(!has_term("x -encoded", "-enc", true, true));
        assert!(has_term("ab-encabc -enc", "-enc", true, true));
    }

    #[test]
    fn anchor_patterns() {
        assert_eq!(sumo_anchor_regex("User=*:*"), "(?s)User=(.*?):(.*)$");
    }

    #[test]
    fn what_is_found_in_the_empty_text() {
        let patterns = [
            "",
            "a",
            "a*",
            "^",
            "$",
            "^$",
            "(?i)^a?$",
            r"\b",
            r"\B",
            "a|",
            "(a|b)c*",
            "[^\\x00-\\x{10FFFF}]",
            "(?:)",
            r"^\s*$",
            "(a",
            r"\w{1000}",
            "(?m)^$",
            "a{0}",
        ];
        for p in patterns {
            let compiled = compile_regex(p).map(|r| r.is_match(""));
            assert_eq!(regex_finds_nothing(p), compiled, "{p}");
        }
    }

    #[test]
    fn small_expressions_compile() {
        for (pattern, small) in [
            ("abc", true),
            (r"(?i)\\x\d{1,20}[a-z]+\.exe$", true),
            (r"-k\s\w{1,64}(?:\s?(?:-p|-s))?", true),
            (r"(?i)\w{60}[^\x00-\x7f]{40}\W{9}", true),
            (r"\w{1000}", false),
            (r"(a{300}){300}", false),
            (r"(a", false),
        ] {
            assert_eq!(is_small(pattern), small, "{pattern}");
            if small {
                assert!(compile_regex(pattern).is_ok(), "{pattern}");
            }
        }
    }
}
