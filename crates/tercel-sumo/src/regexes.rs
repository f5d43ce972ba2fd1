//! What can be told about a regular expression without running it.

/// A capturing group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Group {
    /// `None` for `(…)`.
    pub name: Option<String>,
    /// Byte offset of its `(`.
    pub start: usize,
}

/// The capturing groups in order of their opening brackets.
pub(crate) fn groups(re: &str) -> Vec<Group> {
    let b = re.as_bytes();
    let mut out = Vec::new();
    let mut class = false;
    let mut i = 0;
    while i < b.len() {
        match b[i] {
            b'\\' => i += 1,
            b'[' if !class => {
                class = true;
                // `[]…]` and `[^]…]`: the first bracket is a member.
                if b.get(i + 1) == Some(&b'^') {
                    i += 1;
                }
                if b.get(i + 1) == Some(&b']') {
                    i += 1;
                }
            }
            b']' => class = false,
            b'(' if !class => {
                let rest = &re[i + 1..];
                let named = rest.strip_prefix("?P<").or_else(|| {
                    rest.strip_prefix("?<").filter(|r| !r.starts_with('=') && !r.starts_with('!'))
                });
                if let Some(r) = named {
                    let end = r.find('>').unwrap_or(0);
                    out.push(Group { name: Some(r[..end].to_owned()), start: i });
                } else if !rest.starts_with('?') {
                    out.push(Group { name: None, start: i });
                }
            }
            _ => {}
        }
        i += 1;
    }
    out
}

/// The expression with every unnamed capturing group made non-capturing.
pub(crate) fn without_unnamed(re: &str) -> String {
    let mut out = String::with_capacity(re.len() + 8);
    let mut last = 0;
    for g in groups(re).iter().filter(|g| g.name.is_none()) {
        out.push_str(&re[last..=g.start]);
        out.push_str("?:");
        last = g.start + 1;
    }
    out.push_str(&re[last..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_groups() {
        let g = groups(r"\((?<a>[()]+)(?:x)(y)[^](](?P<b>z)(?<=q)(?i)");
        let names: Vec<_> = g.iter().map(|g| g.name.as_deref()).collect();
        assert_eq!(names, [Some("a"), None, Some("b")]);
        assert_eq!(without_unnamed(r"(?<a>x)(y|z)([(])"), r"(?<a>x)(?:y|z)(?:[(])");
    }
}
