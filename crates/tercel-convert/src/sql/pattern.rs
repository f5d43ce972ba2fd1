//! Patterns: globs, those of `LIKE`, regular expressions.

/// Whether case is of no account for this text.
pub(super) fn caseless(s: &str) -> bool {
    s.chars().all(|c| c.to_lowercase().eq([c]) && c.to_uppercase().eq([c]))
}

/// A literal text in a regular expression of any dialect.
pub(super) fn escaped(s: &str) -> String {
    regex::escape(s).replace("\\-", "-").replace("\\#", "#").replace("\\&", "&").replace("\\~", "~")
}

/// A part of a pattern.
pub(super) enum Part<'s> {
    Any,
    One,
    Text(&'s str),
    Char(char),
}

pub(super) fn glob_parts(glob: &str) -> Vec<Part<'_>> {
    let mut out = Vec::new();
    let mut chars = glob.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' if matches!(chars.peek(), Some('*' | '?' | '\\')) => {
                Part::Char(chars.next().unwrap_or('\\'))
            }
            '*' => Part::Any,
            '?' => Part::One,
            c => Part::Char(c),
        });
    }
    out
}

/// A pattern of `LIKE`, and whether `!` escapes in it.
pub(super) fn like(parts: &[Part]) -> (String, bool) {
    let special = |c: char| matches!(c, '%' | '_');
    let escapes = parts.iter().any(|p| match p {
        Part::Text(s) => s.contains(special),
        Part::Char(c) => special(*c),
        _ => false,
    });
    let mut out = String::new();
    let push = |out: &mut String, c: char| {
        if escapes && (special(c) || c == '!') {
            out.push('!');
        }
        out.push(c);
    };
    for p in parts {
        match p {
            Part::Text(s) => s.chars().for_each(|c| push(&mut out, c)),
            Part::Char(c) => push(&mut out, *c),
            Part::Any => out.push('%'),
            Part::One => out.push('_'),
        }
    }
    (out, escapes)
}

/// A glob as a regular expression, anchored unless it is open at that end.
pub(super) fn glob_regex(glob: &str, ignore_case: bool) -> String {
    let mut body = String::new();
    let parts = glob_parts(glob);
    let open_start = matches!(parts.first(), Some(Part::Any));
    let open_end = parts.len() > 1 && matches!(parts.last(), Some(Part::Any));
    let inner = &parts[usize::from(open_start)..parts.len() - usize::from(open_end)];
    for p in inner {
        match p {
            Part::Any => body.push_str(".*"),
            Part::One => body.push('.'),
            Part::Char(c) => body.push_str(&escaped(c.encode_utf8(&mut [0; 4]))),
            Part::Text(s) => body.push_str(&escaped(s)),
        }
    }
    let flags = match (body.contains('.'), ignore_case) {
        (true, true) => "(?is)",
        (true, false) => "(?s)",
        (false, true) => "(?i)",
        (false, false) => "",
    };
    format!("{flags}{}{body}{}", if open_start { "" } else { "^" }, if open_end { "" } else { "$" })
}

pub(super) fn has_dot(pattern: &str) -> bool {
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '.' => return true,
            _ => {}
        }
    }
    false
}

/// RE2 repeats no more than a thousand times.
pub(super) fn large_repetition(pattern: &str) -> bool {
    pattern.split('{').skip(1).any(|rest| {
        let counts = rest.split('}').next().unwrap_or("");
        counts.split(',').any(|n| n.parse::<u32>().is_ok_and(|n| n > 1000))
    })
}
