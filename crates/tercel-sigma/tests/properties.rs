//! Nothing makes the front end panic, and what prints reads back.

use crate::common;

use proptest::prelude::*;
use std::sync::LazyLock;
use tercel_sigma::ast::{
    Detection, Document, File, Item, Modifier, Rule, Scalar, Search, SearchBody, Spanned,
};
use tercel_sigma::condition::{Condition, Expression, Quantifier, Target};
use tercel_sigma::correlation::{Entry, resolve};
use tercel_sigma::pipeline::{self, Pipelines};
use tercel_sigma::{Options, lint, lower_document, parse, print};

fn everything(text: &str) {
    let (file, found) = parse(text);
    for d in found.iter() {
        let span = d.span.unwrap_or_default();
        assert!(span.end as usize <= text.len(), "{d:?} lies outside");
        assert!(text.get(span.range()).is_some(), "{d:?} cuts a character");
    }
    let _ = lint(&file, text);
    for d in &file.documents {
        let (rel, found) = lower_document(d, &common::World::open(), &Options::default());
        if matches!(d, Document::Rule(_)) {
            assert_eq!(rel.is_none(), found.has_errors());
        }
        assert!(!(d.broken() && rel.is_some()), "a broken rule runs");
    }
    together(&file.documents);
    let (pipeline, about) = pipeline::parse("p", text);
    assert!(pipeline.is_some() != about.has_errors());
    if !found.has_errors() {
        let printed = print(&file);
        let (again, found) = parse(&printed);
        assert!(!found.has_errors(), "{found:?}\n{printed}");
        assert_eq!(again, file, "{printed}");
    }
}

/// A pipeline that does a bit of everything.
static PIPELINES: LazyLock<Pipelines> = LazyLock::new(|| {
    let text = "vars: {a: [x, y]}
transformations:
    - {type: value_placeholders, include: [a]}
    - {type: wildcard_placeholders}
    - {type: field_name_mapping, mapping: {F: [G, H], A: B}}
    - {type: replace_string, regex: 'x+', replacement: '*', skip_special: true, interpret_special: true}
    - {type: replace_string, regex: '(.)b', replacement: '\\1c'}
    - {type: map_string, mapping: {y: [z, '']}}
    - {type: convert_type, target_type: str}
    - {type: add_condition, conditions: {E|contains: 1}, negated: true}
    - {type: drop_detection_item, detection_item_conditions: [{type: is_null}]}
";
    let (pipeline, found) = pipeline::parse("p", text);
    Pipelines::new(vec![pipeline.unwrap_or_else(|| panic!("{found:?}"))])
});

/// Documents as a run would have them: resolved, and through a pipeline.
fn together(documents: &[Document]) {
    let entries: Vec<Entry<'_>> = documents.iter().map(|d| Entry { document: Some(d), file: 0 }).collect();
    for r in resolve(&entries) {
        assert!(r.plan.is_none() || !r.found.has_errors());
        if let Some(p) = r.plan {
            assert!(!p.rules.is_empty() && p.timespan > 0 && !p.to_string().is_empty());
        }
    }
    for d in documents {
        let (changed, found) = PIPELINES.apply(d.clone());
        assert_eq!(changed.broken(), d.broken() || found.has_errors());
        let (rel, _) = lower_document(&changed, &common::World::open(), &Options::default());
        assert!(!(changed.broken() && rel.is_some()), "what a pipeline refuses runs");
        let _ = print(&tercel_sigma::File { documents: vec![changed] });
    }
}

/// Lines that could stand in a rule, and some that could not.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("title: x".to_string()),
        Just("logsource: {category: c}".to_string()),
        Just("name: a".to_string()),
        Just("correlation: {type: temporal, rules: [a, b], timespan: 1h}".to_string()),
        Just("correlation: {type: value_count, rules: a, group-by: F, timespan: 5m, condition: {gte: 2, field: F}}".to_string()),
        Just("filter: {rules: any, s: {F: x}, condition: not s}".to_string()),
        Just("transformations: [{type: field_name_prefix, prefix: x}]".to_string()),
        Just("detection:".to_string()),
        Just("    condition: sel and not 1 of f*".to_string()),
        Just("    sel:".to_string()),
        Just("        A|contains: 'x'".to_string()),
        Just("        A|re: '[a-'".to_string()),
        Just("        - b".to_string()),
        Just("            - '*'".to_string()),
        Just("---".to_string()),
        Just("...".to_string()),
        Just("action: global".to_string()),
        Just("- &a [*a]".to_string()),
        Just("&x k: *x".to_string()),
        Just("\tx: y".to_string()),
        Just("? [a]".to_string()),
        Just("<<: *x".to_string()),
        Just("%YAML 1.2".to_string()),
        Just("x: |".to_string()),
        Just("x: >+2".to_string()),
        Just("# c".to_string()),
        Just("!!int x: !y z".to_string()),
        "[ -~é\u{2028}]{0,12}",
        "[ \\-:\\[\\]{}'\"|*&?,#a\t]{0,12}",
    ]
}

fn name() -> impl Strategy<Value = String> {
    "[a-z_][a-zA-Z0-9_-]{0,8}".prop_filter("keywords", |n| {
        !["and", "or", "not", "of", "them", "all", "any", "condition", "timeframe", "null", "true", "false"]
            .contains(&n.to_ascii_lowercase().as_str())
    })
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        Just(Scalar::Null),
        any::<bool>().prop_map(Scalar::Bool),
        any::<i64>().prop_map(Scalar::Int),
        any::<f64>().prop_filter("finite", |r| r.is_finite()).prop_map(Scalar::Float),
        "\\PC{0,20}".prop_map(Scalar::Str),
        any::<String>().prop_map(Scalar::Str),
        "[ \n\t:#'\"\\\\*?a|>-]{0,10}".prop_map(Scalar::Str),
        "(true|null|~|0x1F|1e3|-|---|\\.\\.\\.|yes|<<|0o7|1_0)".prop_map(Scalar::Str),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    let field = prop_oneof![Just(None), "[^|\\PC]{1,12}".prop_map(Some)];
    let modifiers = prop::collection::vec(prop::sample::select(Modifier::ALL), 0..3);
    (field, modifiers, prop::collection::vec(scalar(), 1..4), any::<bool>()).prop_map(
        |(field, modifiers, values, list)| Item {
            // A key of nothing at all would be an empty name.
            field: field.or_else(|| modifiers.is_empty().then(|| "F".to_string())).map(s),
            modifiers: modifiers.into_iter().map(s).collect(),
            list: list || values.len() > 1,
            values: values.into_iter().map(s).collect(),
            span: Spanned::default(),
            key_span: Spanned::default(),
        },
    )
}

fn s<T>(node: T) -> Spanned<T> {
    Spanned::new(node, tercel_ir::Span::default())
}

fn body() -> impl Strategy<Value = SearchBody> {
    let leaf = prop_oneof![
        prop::collection::vec(item(), 1..4).prop_map(|items| {
            // Keys of a map are unique.
            let mut seen = std::collections::HashSet::new();
            let key = |i: &Item| {
                (i.field.clone().map(|f| f.node), i.modifiers.iter().map(|m| m.node).collect::<Vec<_>>())
            };
            SearchBody::Map(items.into_iter().filter(|i| seen.insert(key(i))).collect())
        }),
        scalar()
            .prop_filter("a keyword is something", |v| *v != Scalar::Null)
            .prop_map(|v| SearchBody::Keyword(s(v))),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop::collection::vec(inner, 1..4).prop_map(|l| SearchBody::List(l.into_iter().map(s).collect()))
    })
}

fn expression(names: Vec<String>) -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        prop::sample::select(names).prop_map(Expression::Search),
        Just(Expression::Of(Quantifier::All, s(Target::Pattern("*".into())))),
        (1..3u32).prop_map(|n| Expression::Of(Quantifier::AtLeast(n), s(Target::Pattern("s*".into())))),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|e| Expression::Not(Box::new(s(e)))),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|l| Expression::And(l.into_iter().map(s).collect())),
            prop::collection::vec(inner, 2..4).prop_map(|l| Expression::Or(l.into_iter().map(s).collect())),
        ]
    })
}

fn rule() -> impl Strategy<Value = File> {
    let searches = prop::collection::btree_map(name(), body(), 1..4);
    (searches, "\\PC{0,30}", any::<String>())
        .prop_flat_map(|(mut searches, title, description)| {
            searches.insert("s1".into(), SearchBody::Keyword(s(Scalar::Str("x".into()))));
            let names: Vec<String> = searches.keys().cloned().collect();
            (Just(searches), Just(title), Just(description), expression(names))
        })
        .prop_map(|(searches, title, description, condition)| {
            let mut rule = Rule {
                meta: Default::default(),
                logsource: Default::default(),
                detection: Detection {
                    searches: searches
                        .into_iter()
                        .map(|(name, body)| Search { name: s(name), body: s(body) })
                        .collect(),
                    conditions: vec![Condition { expr: s(condition), aggregation: None }],
                    ..Detection::default()
                },
                broken: false,
                span: Spanned::default(),
            };
            rule.logsource.category = Some(s("test".into()));
            rule.meta.title = Some(s(title));
            rule.meta.description = Some(s(description));
            File { documents: vec![Document::Rule(rule)] }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in any::<String>()) {
        everything(&text);
    }

    #[test]
    fn texts_like_rules(lines in prop::collection::vec(line(), 0..14)) {
        everything(&lines.join("\n"));
    }

    #[test]
    fn cut_anywhere(at in 0..400usize) {
        let text = include_str!("cases/several_of.yml");
        if let Some(t) = text.get(..at) {
            everything(t);
        }
    }

    #[test]
    fn any_rule_prints_and_reads_back(file in rule()) {
        let printed = print(&file);
        let (again, found) = parse(&printed);
        prop_assert!(!found.has_errors(), "{found:?}\n{printed}");
        prop_assert_eq!(&again, &file, "{}", printed);
        everything(&printed);
    }

    #[test]
    fn any_condition(text in "[a-c()|*, ]{0,20}|(a|b|and|or|not|of|1|all|them|[()| *]){0,12}") {
        let place = |r: std::ops::Range<usize>| tercel_ir::Span::new(r.start, r.end);
        if let Ok(c) = tercel_sigma::condition::parse(&text, &place) {
            let printed = tercel_sigma::condition::print(&c);
            prop_assert_eq!(tercel_sigma::condition::parse(&printed, &place).expect("printed"), c);
        }
    }
}
