//! Template parameters, `{{name}}`: dashboards put values in their place before a query runs.

/// The query with every `{{name}}` replaced by what `value` gives for the name; those it does not know
/// stay, and lowering refuses them by name.
pub fn substitute(text: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut last = 0;
    for p in parameters(text) {
        let start = p.as_ptr() as usize - text.as_ptr() as usize;
        if let Some(v) = value(p[2..p.len() - 2].trim()) {
            out.push_str(&text[last..start]);
            out.push_str(&v);
            last = start + p.len();
        }
    }
    out.push_str(&text[last..]);
    out
}

/// Every `{{name}}` of a text, braces included.
pub fn parameters(text: &str) -> impl Iterator<Item = &str> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(i) = text[from..].find("{{") {
            let start = from + i;
            let inner = &text[start + 2..];
            // Names are words, sometimes several.
            let len = inner
                .find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ' ' | '.' | '-' | '$'))
                .unwrap_or(inner.len());
            if len > 0 && inner[len..].starts_with("}}") {
                let end = start + 2 + len + 2;
                from = end;
                return Some(&text[start..end]);
            }
            from = start + 2;
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_what_it_knows() {
        let q = "a={{x}} | where b matches \"{{Y Z}}\" | limit {{n}} {{";
        let s = substitute(q, &|n| match n {
            "x" => Some("1".into()),
            "Y Z" => Some("*".into()),
            _ => None,
        });
        assert_eq!(s, "a=1 | where b matches \"*\" | limit {{n}} {{");
        assert_eq!(parameters(q).collect::<Vec<_>>(), ["{{x}}", "{{Y Z}}", "{{n}}"]);
    }
}
