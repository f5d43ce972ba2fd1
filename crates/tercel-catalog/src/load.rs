//! Texts to detections: language, metadata, syntax.

use crate::detection::{Detection, Level, Skipped, Syntax};
use crate::header;
use crate::language::Language;
use crate::link::link;
use crate::sigma;
use crate::source::{Problem, Source, read_all};
use crate::text::RuleText;
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use tercel_ir::{Diagnostic, Diagnostics, Span};

/// How to read rules.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// The language of every text, whatever its suffix says.
    pub language: Option<Language>,
}

/// What loading gave.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// In the order of paths and texts; those with errors too.
    pub detections: Vec<Detection>,
    /// Files in folders that are no rules.
    pub skipped: Vec<Skipped>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// Reads all rules that `paths` name: files, folders, globs, `-` for standard input.
pub fn load(paths: &[String], options: LoadOptions) -> Loaded {
    load_from(paths, options, &mut std::io::stdin())
}

/// [`load`] with another standard input.
fn load_from(paths: &[String], options: LoadOptions, stdin: &mut dyn Read) -> Loaded {
    let sources = read_all(paths, options.language, stdin);
    let mut loaded = Loaded { detections: Vec::new(), skipped: sources.skipped, problems: sources.problems };
    loaded.detections = parsed(sources.texts);
    mark_duplicates(&mut loaded.detections);
    link(&mut loaded.detections);
    loaded
}

/// Texts that are worth a thread of their own.
const WORTH_A_THREAD: usize = 64;

/// The detections of all texts, in their order, parsed on as many threads as there are.
fn parsed(texts: Vec<Source>) -> Vec<Detection> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let each = texts.len().div_ceil(threads).max(WORTH_A_THREAD);
    if texts.len() <= each {
        return texts.into_iter().flat_map(detections).collect();
    }
    let mut parts: Vec<Vec<Source>> = Vec::new();
    let mut rest = texts;
    while rest.len() > each {
        let tail = rest.split_off(each);
        parts.push(std::mem::replace(&mut rest, tail));
    }
    let last = rest;
    let files = parts.iter().map(Vec::len).sum::<usize>() + last.len();
    std::thread::scope(|s| {
        let started: Vec<_> = parts
            .into_iter()
            .map(|p| s.spawn(|| p.into_iter().flat_map(detections).collect::<Vec<_>>()))
            .collect();
        let last: Vec<Detection> = last.into_iter().flat_map(detections).collect();
        // Of nearly all files each is one rule.
        let mut out = Vec::with_capacity(files);
        for handle in started {
            match handle.join() {
                Ok(part) => out.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        out.extend(last);
        out
    })
}

/// The detections of one text.
pub(crate) fn detections(source: Source) -> Vec<Detection> {
    match source.language {
        Language::Sigma => sigma::detections(source),
        Language::Kql => {
            let (ast, found) = tercel_kql::parse(&source.text);
            vec![query(source, Syntax::Kql(ast), found)]
        }
        Language::Sumo => {
            let (ast, found) = tercel_sumo::parse(&source.text);
            vec![query(source, Syntax::Sumo(Box::new(ast)), found)]
        }
    }
}

/// A KQL or Sumo text is one detection; its comments say what it is.
fn query(source: Source, syntax: Syntax, found: Diagnostics) -> Detection {
    let header = header::parse(&source.text);
    let id = header.id.unwrap_or_else(|| source.stem.clone());
    let mut d = Detection::new(id, source.language, source.path, Arc::new(RuleText::new(source.text)));
    d.title = header.title.unwrap_or(source.stem);
    d.level = header.level.unwrap_or_default();
    d.metadata = header.metadata;
    d.diagnostics = found.into_vec();
    d.syntax = syntax;
    if let Some(bad) = header.bad_level {
        d.report(unknown_level(&bad, None));
    }
    d
}

pub(crate) fn unknown_level(name: &str, span: Option<Span>) -> Diagnostic {
    let known = Level::ALL.map(Level::as_str);
    let mut d = Diagnostic::warning("unknown-level", format!("`{name}` is not a level"))
        .meaning("the rule counts as informational")
        .help(match tercel_ir::diag::nearest(name, known) {
            Some(n) => format!("did you mean `{n}`?"),
            None => format!("levels are {}", known.join(", ")),
        });
    d.span = span;
    d
}

/// A finding for every detection whose id stands elsewhere too. Both run: which one is meant is for
/// their author to say.
fn mark_duplicates(detections: &mut [Detection]) {
    let mut first: HashMap<Arc<str>, usize> = HashMap::new();
    let line = |d: &Detection| d.text.place(d.span.start as usize).0;
    for at in 0..detections.len() {
        let d = &detections[at];
        match first.get(d.id.as_str()) {
            None => {
                first.insert(d.id.as_str().into(), at);
            }
            Some(other) => {
                let other = &detections[*other];
                let message = format!(
                    "the id `{}` is that of two rules: {}:{} and {}:{}",
                    d.id,
                    other.path,
                    line(other),
                    d.path,
                    line(d)
                );
                let d = &mut detections[at];
                let id = &d.id;
                let mut finding = Diagnostic::warning("duplicate-id", message)
                    .meaning("both run; their hits cannot be told apart by `rule`")
                    .help("give one of them an id of its own");
                finding.span = d.text[d.span.range()]
                    .find(id.as_str())
                    .map(|at| Span::new(d.span.start as usize + at, d.span.start as usize + at + id.len()));
                d.report(finding);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_stdin(text: &str, language: Option<Language>) -> Loaded {
        load_from(&["-".to_string()], LoadOptions { language }, &mut text.as_bytes())
    }

    #[test]
    fn several_documents_and_their_findings() {
        let rule = |id: &str| {
            format!(
                "title: T {id}\nid: {id}\nlevel: high\ntags:\n  - attack.t1105\nlogsource:\n  product: windows\ndetection:\n  s:\n    Image: x\n  condition: s\n"
            )
        };
        let text = format!("{}---\n{}---\n- no\n- rule\n---\n{}", rule("one"), rule("two"), rule("one"));
        let loaded = from_stdin(&text, None);
        let of = |id: &str| loaded.detections.iter().filter(|d| d.id == id).count();
        assert_eq!((of("one"), of("two")), (2, 1), "{:#?}", loaded.detections);
        let broken: Vec<_> = loaded.detections.iter().filter(|d| d.has_errors()).collect();
        assert_eq!(broken.len(), 1, "the list has one error and costs no other rule");
        let second = loaded.detections.iter().rfind(|d| d.id == "one").unwrap();
        let duplicate = second.diagnostics.iter().find(|d| d.code == "duplicate-id").unwrap();
        assert!(duplicate.message.contains("<stdin>:1 and <stdin>:"), "{}", duplicate.message);
        assert_eq!(second.metadata.techniques(), ["T1105"]);
        assert_eq!(second.level, Level::High);
    }

    #[test]
    fn a_rule_that_is_not_yaml_has_one_error() {
        let loaded = from_stdin("title: [\n  nothing: closes", Some(Language::Sigma));
        assert_eq!(loaded.detections.len(), 1);
        let errors =
            loaded.detections[0].diagnostics.iter().filter(|d| d.severity == tercel_ir::Severity::Error);
        assert_eq!(errors.count(), 1, "{:#?}", loaded.detections[0].diagnostics);
        assert!(from_stdin("", Some(Language::Sigma)).detections[0].has_errors());
    }

    #[test]
    fn queries_take_their_names_from_comments() {
        let loaded = from_stdin("// title: Odd\n// level: hihg\nT | take 1", Some(Language::Kql));
        let d = &loaded.detections[0];
        assert_eq!((d.id.as_str(), d.title.as_str(), d.level), ("stdin", "Odd", Level::Informational));
        assert_eq!(d.diagnostics[0].help.as_deref(), Some("did you mean `high`?"));
        assert!(from_stdin("T | where (", Some(Language::Kql)).detections[0].has_errors());
    }
}
