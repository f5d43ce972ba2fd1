//! Values of an item through its modifiers, in the order in which they are written.

use super::Lowering;
use super::encode::{Dashed, base64_offsets, utf16, windash};
use crate::ast::{Modifier, Scalar, Spanned, Value};
use crate::pattern::{Part, Pattern};
use tercel_ir::function::base64_encode;
use tercel_ir::{Diagnostic, Span};

/// What a value has become.
pub(super) enum Form {
    Pattern(Pattern),
    /// A regular expression over the whole text, without regard to case (from `windash` on a value with
    /// many dashes).
    Regex(String),
    /// Bytes of an encoding, to be written in Base64 or taken for text.
    Bytes(Vec<u8>),
}

/// Texts that one value may unfold to.
const MAX_FORMS: usize = 20_000;

impl Lowering<'_> {
    /// The texts that a value stands for. Empty after an error.
    pub(super) fn forms(&mut self, value: &Value, modifiers: &[Spanned<Modifier>]) -> Vec<Form> {
        let start = match &value.node {
            Scalar::Str(s) if modifiers.iter().any(|m| m.node == Modifier::Expand) => {
                self.expand(s, value.span, Pattern::parse)
            }
            Scalar::Str(s) => vec![Pattern::parse(s)],
            other => vec![Pattern::literal(&other.text())],
        };
        let mut forms: Vec<Form> = start.into_iter().map(Form::Pattern).collect();
        for m in modifiers {
            let mut next = Vec::with_capacity(forms.len());
            for f in forms {
                if let Err(d) = modify(f, m.node, value.span, &mut next) {
                    self.fail(*d);
                    return Vec::new();
                }
                if next.len() > MAX_FORMS {
                    self.fail(
                        Diagnostic::error(
                            "rule-too-large",
                            format!("one value unfolds to more than {MAX_FORMS} texts"),
                        )
                        .at(value.span),
                    );
                    return Vec::new();
                }
            }
            forms = next;
        }
        for f in &mut forms {
            if let Form::Bytes(bytes) = f {
                match std::str::from_utf8(bytes) {
                    Ok(text) => *f = Form::Pattern(Pattern::literal(text)),
                    Err(_) => {
                        self.fail(
                            Diagnostic::error(
                                "invalid-value",
                                "the value in this encoding is no text that a field could hold",
                            )
                            .at(value.span)
                            .help("follow the encoding by `base64` or `base64offset`"),
                        );
                        return Vec::new();
                    }
                }
            }
        }
        forms
    }

    /// A value with its placeholders filled in, in every combination; `read` makes of a text between or
    /// instead of placeholders what is wanted.
    pub(super) fn expand(&mut self, text: &str, span: Span, read: fn(&str) -> Pattern) -> Vec<Pattern> {
        let pieces = pieces(text);
        if !pieces.iter().any(|p| matches!(p, Piece::Placeholder(_))) {
            self.sink.push(
                Diagnostic::warning("no-placeholder", "`expand` on a value without a placeholder")
                    .at(span)
                    .help("a placeholder is written `%name%`"),
            );
        }
        let mut out = vec![Pattern::default()];
        for piece in pieces {
            match piece {
                Piece::Text(t) => out.iter_mut().for_each(|p| p.append(&read(&t))),
                Piece::Placeholder(name) => {
                    let Some(values) = self.options.placeholders.get(&name) else {
                        self.fail(
                            Diagnostic::error(
                                "missing-placeholder",
                                format!("nothing says what `%{name}%` stands for"),
                            )
                            .at(span)
                            .help(format!("give the placeholder `{name}` its values in the configuration")),
                        );
                        return Vec::new();
                    };
                    if out.len().saturating_mul(values.len()) > MAX_FORMS {
                        self.fail(
                            Diagnostic::error(
                                "rule-too-large",
                                format!(
                                    "the placeholders of one value unfold to more than {MAX_FORMS} texts"
                                ),
                            )
                            .at(span),
                        );
                        return Vec::new();
                    }
                    out = out
                        .iter()
                        .flat_map(|p| {
                            values.iter().map(|v| {
                                let mut p = p.clone();
                                p.append(&read(v));
                                p
                            })
                        })
                        .collect();
                }
            }
        }
        out
    }
}

/// A part of a value with placeholders.
pub(crate) enum Piece {
    Text(String),
    Placeholder(String),
}

/// Cuts a value at its placeholders. `\%` is a plain percent sign, and so is one that nothing closes.
pub(crate) fn pieces(text: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        // A pair of backslashes is one backslash (see `Pattern::parse`) and escapes nothing.
        if let Some(after) = rest.strip_prefix("\\\\") {
            plain.push_str("\\\\");
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix("\\%") {
            plain.push('%');
            rest = after;
            continue;
        }
        if c == '%'
            && let Some(end) = rest[1..].find('%').filter(|e| *e > 0)
            && rest[1..=end].chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
        {
            if !plain.is_empty() {
                out.push(Piece::Text(std::mem::take(&mut plain)));
            }
            out.push(Piece::Placeholder(rest[1..=end].to_string()));
            rest = &rest[end + 2..];
            continue;
        }
        plain.push(c);
        rest = &rest[c.len_utf8()..];
    }
    if !plain.is_empty() {
        out.push(Piece::Text(plain));
    }
    out
}

/// One step. Modifiers that do not change values (`all`, `cased`, …) leave the form as it is.
fn modify(form: Form, m: Modifier, span: Span, out: &mut Vec<Form>) -> Result<(), Box<Diagnostic>> {
    use Modifier as M;
    match (m, form) {
        (M::Contains, Form::Pattern(p)) => out.push(Form::Pattern(p.open_start().open_end())),
        (M::StartsWith, Form::Pattern(p)) => out.push(Form::Pattern(p.open_end())),
        (M::EndsWith, Form::Pattern(p)) => out.push(Form::Pattern(p.open_start())),
        (M::Contains | M::StartsWith | M::EndsWith, Form::Regex(r)) => out.push(Form::Regex(opened(&r, m))),
        (M::Contains | M::StartsWith | M::EndsWith, Form::Bytes(b)) => {
            let text = std::str::from_utf8(&b).map_err(|_| Box::new(not_text(span)))?;
            modify(Form::Pattern(Pattern::literal(text)), m, span, out)?;
        }
        (M::WinDash, Form::Pattern(p)) => match windash(&p) {
            Dashed::Each(list) => out.extend(list.into_iter().map(Form::Pattern)),
            Dashed::Regex(r) => out.push(Form::Regex(r)),
        },
        // Wildcards stay what they are between the encoded texts, as far as those are texts.
        (M::Utf16Le | M::Wide | M::Utf16Be | M::Utf16, Form::Pattern(p)) if p.as_literal().is_none() => {
            let mut encoded = Pattern::default();
            let mut mark = m == M::Utf16;
            for part in p.parts() {
                match part {
                    Part::Literal(t) => {
                        let bytes = utf16(t, m == M::Utf16Be, std::mem::take(&mut mark));
                        let text = String::from_utf8(bytes).map_err(|_| Box::new(not_text(span)))?;
                        encoded.append(&Pattern::literal(&text));
                    }
                    Part::Any => encoded = encoded.open_end(),
                    Part::One => encoded.append(&Pattern::parse("?")),
                }
            }
            out.push(Form::Pattern(encoded));
        }
        (M::Utf16Le | M::Wide | M::Utf16Be | M::Utf16, f) => {
            let text = plain(&f, m, span)?;
            out.push(Form::Bytes(utf16(&text, m == M::Utf16Be, m == M::Utf16)));
        }
        (M::Base64 | M::Base64Offset, f) => {
            let bytes = match f {
                Form::Bytes(b) => b,
                f => plain(&f, m, span)?.into_bytes(),
            };
            let texts = if m == M::Base64 { vec![base64_encode(&bytes)] } else { base64_offsets(&bytes) };
            if texts.is_empty() {
                let d = Diagnostic::error(
                    "invalid-value",
                    "the value is too short to leave a trace in Base64 text",
                );
                return Err(Box::new(d.at(span)));
            }
            out.extend(texts.iter().map(|t| Form::Pattern(Pattern::literal(t))));
        }
        (_, f) => out.push(f),
    }
    Ok(())
}

/// The anchors of a whole-text expression taken off where anything may stand.
fn opened(regex: &str, m: Modifier) -> String {
    let mut r = regex;
    if matches!(m, Modifier::Contains | Modifier::EndsWith) {
        r = r.strip_prefix('^').unwrap_or(r);
    }
    let end = if matches!(m, Modifier::Contains | Modifier::StartsWith) { r.strip_suffix('$') } else { None };
    end.unwrap_or(r).to_string()
}

/// The text to encode: wildcards have no encoding.
fn plain(f: &Form, m: Modifier, span: Span) -> Result<String, Box<Diagnostic>> {
    let text = match f {
        Form::Pattern(p) => p.as_literal(),
        Form::Bytes(b) => std::str::from_utf8(b).ok(),
        Form::Regex(_) => None,
    };
    text.map(str::to_string).ok_or_else(|| {
        let what = format!("`{}` on a value with wildcards", m.as_str());
        Box::new(
            Diagnostic::error("invalid-value", what)
                .at(span)
                .help("escape the wildcards, or put the encoding before `contains` and its like"),
        )
    })
}

fn not_text(span: Span) -> Diagnostic {
    Diagnostic::error("invalid-value", "the value in this encoding is no text that a field could hold")
        .at(span)
        .help("follow the encoding by `base64` or `base64offset`")
}
