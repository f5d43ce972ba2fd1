//! Sigma's regular expressions (a part of PCRE) in the dialect of the engine.

/// Why an expression cannot be used.
#[derive(Debug)]
pub(crate) struct Refused {
    /// What it uses, where that is a named feature of PCRE.
    pub(crate) feature: Option<&'static str>,
    /// The engine's own words.
    pub(crate) reason: String,
}

/// The expression with flags inside, checked to compile within the size limit.
pub(crate) fn translate(pattern: &str, i: bool, m: bool, s: bool) -> Result<String, Refused> {
    let mut flags = String::new();
    for (on, flag) in [(i, 'i'), (m, 'm'), (s, 's')] {
        if on {
            flags.push(flag);
        }
    }
    let body = portable(pattern);
    let out = if flags.is_empty() { body } else { format!("(?{flags}){body}") };
    match tercel_ir::function::check_regex(&out) {
        Ok(()) => Ok(out),
        Err(reason) => Err(Refused { feature: feature(pattern), reason: last_line(&reason) }),
    }
}

/// Whether an expression is found in an empty text; without compiling it.
pub(super) fn accepts_empty(pattern: &str) -> bool {
    use regex_syntax::hir::{Hir, HirKind, Look};
    /// The parser bounds the depth of the tree.
    fn empty(hir: &Hir) -> bool {
        match hir.kind() {
            HirKind::Empty => true,
            HirKind::Literal(_) | HirKind::Class(_) => false,
            // An empty text is its own start and end, and there is no word in it.
            HirKind::Look(look) => !matches!(
                look,
                Look::WordAscii
                    | Look::WordUnicode
                    | Look::WordStartAscii
                    | Look::WordStartUnicode
                    | Look::WordEndAscii
                    | Look::WordEndUnicode
            ),
            HirKind::Repetition(r) => r.min == 0 || empty(&r.sub),
            HirKind::Capture(c) => empty(&c.sub),
            HirKind::Concat(all) => all.iter().all(empty),
            HirKind::Alternation(any) => any.iter().any(empty),
        }
    }
    regex_syntax::parse(pattern).is_ok_and(|hir| empty(&hir))
}

/// The regex crate draws the pattern over several lines; the last says what is wrong.
fn last_line(reason: &str) -> String {
    let line = reason.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or(reason);
    line.trim().trim_start_matches("error: ").to_string()
}

/// Features of PCRE that a linear-time engine does not have.
fn feature(pattern: &str) -> Option<&'static str> {
    let mut chars = pattern.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                if let Some((_, '1'..='9' | 'k' | 'g')) = chars.next() {
                    return Some("back-references");
                }
            }
            '(' => {
                let rest = &pattern[at..];
                if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|p| rest.starts_with(p)) {
                    return Some("look-around");
                }
                if rest.starts_with("(?>") {
                    return Some("atomic groups");
                }
                if rest.starts_with("(?(") {
                    return Some("conditionals");
                }
            }
            _ => {}
        }
    }
    None
}

/// Rewrites what PCRE takes literally and the engine does not: `{` that starts no repetition, `[`, `&&`,
/// `--` and `~~` inside a class, and escapes of characters that need none.
fn portable(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let chars: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    let mut in_class = false;
    // A `]` right after the opening is itself.
    let mut class_start = 0;
    while at < chars.len() {
        let c = chars[at];
        let next = chars.get(at + 1).copied();
        match c {
            '\\' => {
                match next {
                    None => out.push('\\'),
                    // Escapes of `<`, `>` are word boundaries to the engine and plain in PCRE.
                    Some(n @ ('<' | '>')) => out.push(n),
                    // A horizontal blank, the escape character, and the end of the text.
                    Some('h') => out.push_str(if in_class { r" \t" } else { r"[ \t]" }),
                    Some('e') => out.push_str(r"\x1b"),
                    Some('Z') if !in_class => out.push_str(r"\n?\z"),
                    // Letters that are no escape are themselves in the PCRE of most tools.
                    Some(
                        n @ ('_' | '%' | '"' | '\'' | '`' | '@' | '!' | ':' | ';' | ',' | '=' | '/' | ' '),
                    ) => {
                        if n == ' ' {
                            out.push(' ');
                        } else {
                            out.push_str(&regex::escape(n.encode_utf8(&mut [0; 4])));
                        }
                    }
                    Some(n) => {
                        out.push('\\');
                        out.push(n);
                        // `\x{41}`, `\p{Lu}`: these braces are no repetition.
                        if matches!(n, 'x' | 'p' | 'P' | 'u' | 'U') && chars.get(at + 2) == Some(&'{') {
                            let end =
                                near(&chars[at + 2..], |w| w[0] == '}').map_or(chars.len(), |i| at + 3 + i);
                            out.extend(&chars[at + 2..end]);
                            at = end;
                            continue;
                        }
                    }
                }
                at += 2;
                continue;
            }
            '[' if !in_class => {
                in_class = true;
                class_start = if next == Some('^') { at + 2 } else { at + 1 };
                out.push('[');
            }
            '[' => match near(&chars[at..], |w| w.starts_with(&[':', ']'])).filter(|_| next == Some(':')) {
                // A named class such as `[:alpha:]`, whole.
                Some(end) => {
                    out.extend(&chars[at..at + end + 2]);
                    at += end + 2;
                    continue;
                }
                None => out.push_str(r"\["),
            },
            ']' if in_class && at == class_start => out.push_str(r"\]"),
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class && next == Some(c) => {
                out.push('\\');
                out.push(c);
            }
            '-' if in_class && next == Some('-') => out.push_str(r"\-"),
            '{' if !in_class && !repetition(&chars[at..]) => out.push_str(r"\{"),
            c => out.push(c),
        }
        at += 1;
    }
    out
}

/// The first place in the next few characters for which `test` holds; no construct of interest is
/// longer, and a hostile pattern must not make this search long.
fn near(rest: &[char], test: impl Fn(&[char]) -> bool) -> Option<usize> {
    (1..rest.len().min(40)).find(|i| test(&rest[*i..]))
}

/// `{3}`, `{3,}`, `{3,5}`.
fn repetition(rest: &[char]) -> bool {
    let Some(end) = near(rest, |w| w[0] == '}') else { return false };
    let inner: String = rest[1..end].iter().collect();
    let (from, to) = inner.split_once(',').unwrap_or((&inner, ""));
    !from.is_empty() && from.chars().all(|c| c.is_ascii_digit()) && to.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialect() {
        for (pattern, matches, not) in [
            (r"\$\{x", "${x", "$x"),
            (r"a{2}", "aa", "a b"),
            (r"a{b", "a{b", "ab"),
            (r"[[a]", "[", "b"),
            (r"[]a]+b", "]b", "cb"),
            (r"[[:digit:]]x", "1x", "ax"),
            (r"\<script\>", "<script>", "script"),
            (r"a\/b", "a/b", "ab"),
            (r"\x{41}\p{Lu}", "AB", "Ab"),
            (r"[a&&b]c", "&c", "dc"),
        ] {
            let re =
                translate(pattern, false, false, false).unwrap_or_else(|e| panic!("{pattern}: {}", e.reason));
            let re = regex::Regex::new(&re).expect("checked");
            assert!(re.is_match(matches), "{pattern} on {matches}: {re}");
            assert!(!re.is_match(not), "{pattern} on {not}: {re}");
        }
    }

    #[test]
    fn empty_texts_without_compiling() {
        for pattern in [
            "",
            "a",
            "a*",
            "^$",
            "(?m)^$",
            r"\b",
            r"\B",
            "a|",
            "(a|b)?",
            "(a*)(b*)",
            "a{0}",
            "a{0,3}b",
            "^.*$",
            "[a-z]*$",
            r"\b{start}",
            r"\b{end-half}",
            r"(?-u:\B)",
            "(?s).",
            "x|^",
            r"\z\A",
            "(?:)",
            "a{2,}",
            "(((a?)))",
            "^a?b*c?$",
            "(",
        ] {
            let compiled = tercel_ir::function::compile_regex(pattern).is_ok_and(|r| r.is_match(""));
            assert_eq!(accepts_empty(pattern), compiled, "{pattern}");
        }
    }

    #[test]
    fn refusals() {
        for (pattern, feature) in [
            (r"a(?=b)", Some("look-around")),
            (r"(?<!a)b", Some("look-around")),
            (r"(a)\1", Some("back-references")),
            (r"(?>a)", Some("atomic groups")),
            (r"(a", None),
        ] {
            let e =
                translate(pattern, true, false, false).err().unwrap_or_else(|| panic!("{pattern} compiles"));
            assert_eq!(e.feature, feature, "{pattern}");
            assert!(!e.reason.is_empty());
        }
        let big = translate(r"(\w{1000}){1000}", false, false, false).expect_err("too large");
        assert!(big.reason.contains("size"), "{}", big.reason);
    }
}
