//! Whatever tree there is, its text parses to an equal one; whatever text there is, nothing panics.

use crate::support;

use proptest::prelude::*;
use std::sync::Arc;
use tercel_ir::{Span, Type};
use tercel_kql::ast::{
    Argument, ArithmeticOp, Ast, Call, ColumnDecl, CompareOp, DataTable, Expr, ExprKind, Function, Ident,
    Join, Json, ListOp, Literal, NamedExpr, Node, Operator, OperatorKind, Parameter, ParameterType, Pipeline,
    QueryParameter, SortKey, Statement, StatementKind, Step, StringOp, Summarize,
};

fn node<T>(t: T) -> Node<T> {
    Node::new(t, Span::default())
}

fn name() -> impl Strategy<Value = Ident> {
    prop_oneof![
        4 => "[A-Za-z_][A-Za-z0-9_]{0,6}",
        1 => "(and|or|by|in|has|where|datetime|dynamic|print|true|kind|h|let|range|count|union|bin|null|asc|with)",
        1 => "[ -~äß\\t]{1,8}",
        1 => "[0-9]{1,3}[a-z]{1,3}",
    ]
    .prop_map(|s: String| node(Arc::from(s)))
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        any::<bool>().prop_map(Literal::Bool),
        (0..=i64::MAX).prop_map(Literal::Long),
        (0.0f64..1e30).prop_map(Literal::Real),
        ("\\PC{0,8}", any::<bool>()).prop_map(|(s, hidden)| Literal::String { value: s.into(), hidden }),
        "[\\x00-\\x7f]{0,6}".prop_map(|s| Literal::String { value: s.into(), hidden: false }),
        "[1-9][0-9]{0,3}(d|h|m|s|ms|tick)".prop_map(|s| Literal::Timespan(s.into())),
        Just(Literal::Typed(Type::DateTime, "2024-01-02T03:04:05Z".into())),
        Just(Literal::Typed(Type::Guid, "74be27de-1e4e-49d9-b579-fe0b331d3642".into())),
        Just(Literal::Typed(Type::Long, "null".into())),
        json().prop_map(|j| Literal::Dynamic(Box::new(j))),
    ]
}

fn json() -> impl Strategy<Value = Node<Json>> {
    let leaf = prop_oneof![
        Just(node(Json::Null)),
        any::<bool>().prop_map(|b| node(Json::Scalar(Literal::Bool(b)))),
        any::<i64>()
            .prop_filter("one number has no text with a sign", |n| *n != i64::MIN)
            .prop_map(|n| node(Json::Scalar(Literal::Long(n)))),
        "\\PC{0,6}".prop_map(|s| node(Json::Scalar(Literal::String { value: s.into(), hidden: false }))),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| node(Json::Array(v))),
            prop::collection::vec(("\\PC{0,4}".prop_map(|s| node(Arc::from(s))), inner), 0..3)
                .prop_map(|v| node(Json::Object(v))),
        ]
    })
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        name().prop_map(|n| node(ExprKind::Name(n.node))),
        literal().prop_map(|l| node(ExprKind::Literal(l))),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let b = inner.clone().prop_map(Box::new);
        let additive = prop_oneof![Just(ArithmeticOp::Add), Just(ArithmeticOp::Subtract)];
        let multiplicative =
            prop_oneof![Just(ArithmeticOp::Multiply), Just(ArithmeticOp::Divide), Just(ArithmeticOp::Modulo)];
        let string_op = prop::sample::select(StringOp::ALL.to_vec());
        let list_op = prop::sample::select(vec![
            ListOp::In,
            ListOp::NotIn,
            ListOp::InCi,
            ListOp::NotInCi,
            ListOp::HasAny,
            ListOp::HasAll,
        ]);
        let compare = prop::sample::select(vec![
            CompareOp::Eq,
            CompareOp::Ne,
            CompareOp::Lt,
            CompareOp::Le,
            CompareOp::Gt,
            CompareOp::Ge,
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|v| node(ExprKind::Or(v))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|v| node(ExprKind::And(v))),
            (b.clone(), prop::collection::vec((additive.prop_map(node), inner.clone()), 1..3))
                .prop_map(|(first, rest)| node(ExprKind::Arithmetic { first, rest })),
            (b.clone(), prop::collection::vec((multiplicative.prop_map(node), inner.clone()), 1..3))
                .prop_map(|(first, rest)| node(ExprKind::Arithmetic { first, rest })),
            (compare.prop_map(node), b.clone(), b.clone())
                .prop_map(|(op, left, right)| node(ExprKind::Compare { op, left, right })),
            (string_op.prop_map(node), b.clone(), b.clone())
                .prop_map(|(op, left, right)| node(ExprKind::StringOp { op, left, right })),
            (list_op.prop_map(node), b.clone(), prop::collection::vec(inner.clone(), 0..3))
                .prop_map(|(op, left, items)| node(ExprKind::List { op, left, items })),
            (any::<bool>(), b.clone(), b.clone(), b.clone()).prop_map(|(negated, value, low, high)| node(
                ExprKind::Between { negated: node(negated), value, low, high }
            )),
            (any::<bool>(), b.clone())
                .prop_map(|(negative, operand)| node(ExprKind::Sign { negative, operand })),
            ("[a-z][a-z_]{2,6}", prop::collection::vec((prop::option::of(name()), inner.clone()), 0..3))
                .prop_map(|(f, args)| {
                    // A call's name stands bare, so it must not be a word that opens something else.
                    let arguments = args.into_iter().map(|(name, value)| Argument { name, value }).collect();
                    node(ExprKind::Call(Call {
                        name: node(format!("f{f}").into()),
                        parameters: vec![],
                        arguments,
                    }))
                }),
            (
                b.clone(),
                prop::collection::vec(
                    prop_oneof![name().prop_map(Step::Member), inner.clone().prop_map(Step::Index),],
                    1..3
                )
            )
                .prop_map(|(base, steps)| node(ExprKind::Path { base, steps })),
            (inner.clone(), operators(inner)).prop_map(|(source, operators)| {
                node(ExprKind::Pipeline(Box::new(Pipeline { source: Some(source), operators })))
            }),
        ]
    })
}

fn named(e: impl Strategy<Value = Expr>) -> impl Strategy<Value = NamedExpr> {
    (prop::collection::vec(name(), 0..3), e).prop_map(|(names, value)| NamedExpr { names, value })
}

fn operators(e: impl Strategy<Value = Expr> + Clone + 'static) -> impl Strategy<Value = Vec<Operator>> {
    let list = || prop::collection::vec(named(e.clone()), 1..3);
    let key = (named(e.clone()), any::<Option<bool>>(), any::<Option<bool>>())
        .prop_map(|(value, ascending, nulls_first)| SortKey { value, ascending, nulls_first });
    let hint = prop::collection::vec(
        Just(QueryParameter {
            name: node("hint.strategy".into()),
            values: vec![node(ExprKind::Name("shuffle".into()))],
        }),
        0..2,
    );
    let one = prop_oneof![
        (hint.clone(), named(e.clone()))
            .prop_map(|(parameters, predicate)| OperatorKind::Where { parameters, predicate }),
        list().prop_map(OperatorKind::Extend),
        list().prop_map(OperatorKind::Project),
        prop::option::of(name()).prop_map(OperatorKind::Count),
        (hint.clone(), prop::collection::vec(key, 1..3))
            .prop_map(|(parameters, keys)| OperatorKind::Sort { parameters, keys }),
        (hint.clone(), list(), prop::collection::vec(named(e.clone()), 1..3), any::<bool>()).prop_map(
            |(parameters, aggregates, by, grouped)| {
                let by = if grouped { by } else { vec![] };
                OperatorKind::Summarize(Box::new(Summarize {
                    parameters,
                    aggregates,
                    by,
                    grouped,
                    bin: None,
                }))
            }
        ),
        (e.clone(), prop::collection::vec(e.clone(), 1..3), any::<bool>()).prop_map(|(right, on, lookup)| {
            OperatorKind::Join(Box::new(Join {
                lookup,
                parameters: vec![],
                right: operand(right),
                on: Some(on),
                predicate: None,
            }))
        }),
        e.clone().prop_map(|count| OperatorKind::Take { parameters: vec![], count }),
        name().prop_map(|name| OperatorKind::As { parameters: vec![], name }),
    ];
    prop::collection::vec(one.prop_map(node), 1..3)
}

/// What stands where a table is listed: nothing that binds looser than a call.
fn operand(e: Expr) -> Expr {
    match e.node {
        ExprKind::Name(_) | ExprKind::Pipeline(_) => e,
        _ => node(ExprKind::Name("T".into())),
    }
}

fn statement() -> impl Strategy<Value = Statement> {
    let column = (name(), prop::sample::select(vec![Type::String, Type::Long, Type::Dynamic]))
        .prop_map(|(name, ty)| ColumnDecl { name, ty: Some(node(ty)) })
        .boxed();
    let table = (prop::collection::vec(column.clone(), 1..3), prop::collection::vec(literal(), 0..4))
        .prop_map(|(schema, values)| {
            let values = values.into_iter().map(|l| node(ExprKind::Literal(l))).collect();
            node(ExprKind::DataTable(Box::new(DataTable { schema, values })))
        });
    let parameter = (name(), prop::option::of(literal()), prop::collection::vec(column, 0..2), any::<bool>())
        .prop_map(|(name, default, columns, scalar)| Parameter {
            name,
            ty: if scalar { ParameterType::Scalar(node(Type::Long)) } else { ParameterType::Table(columns) },
            default: default.filter(|_| scalar).map(|l| node(ExprKind::Literal(l))),
        });
    prop_oneof![
        (name(), prop_oneof![expr().boxed(), table.boxed()])
            .prop_map(|(name, value)| node(StatementKind::Let { name, value })),
        (name(), any::<bool>(), prop::collection::vec(parameter, 0..3), expr()).prop_map(
            |(name, view, parameters, e)| {
                let body = vec![node(StatementKind::Query(e))];
                node(StatementKind::Function { name, function: Function { view, parameters, body } })
            }
        ),
        expr().prop_map(|e| node(StatementKind::Query(e))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_tree_parses_to_itself(statements in prop::collection::vec(statement(), 1..3)) {
        let ast = Ast { statements, depth: 0 };
        let text = tercel_kql::print(&ast);
        let (again, found) = tercel_kql::parse(&text);
        prop_assert!(!found.has_errors(), "{text}\n{found:#?}");
        prop_assert_eq!(&again, &ast, "{}", text);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,120}") {
        survive(&text);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        survive(&String::from_utf8_lossy(&bytes));
    }

    /// Pieces of real queries in any order get deeper into the parser than noise does.
    #[test]
    fn no_soup_of_tokens_panics(pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..60)) {
        survive(&pieces.join(" "));
        survive(&pieces.concat());
    }
}

const PIECES: &[&str] = &[
    "Traffic",
    "Host",
    "Port",
    "x",
    "|",
    "|",
    "|",
    ";",
    ",",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "=",
    "==",
    "=~",
    "!~",
    "=>",
    "where",
    "extend",
    "project",
    "project-away",
    "project-reorder",
    "summarize",
    "by",
    "count()",
    "arg_max(",
    "*",
    "make_set(",
    "join",
    "kind=inner",
    "kind=leftanti",
    "on",
    "lookup",
    "union",
    "isfuzzy=true",
    "withsource=s",
    "let",
    "view",
    "print",
    "range",
    "from",
    "to",
    "step",
    "search",
    "in",
    "in~",
    "!in",
    "has",
    "!has",
    "has_any",
    "contains",
    "between",
    "..",
    "matches regex",
    "and",
    "or",
    "not(",
    "'a'",
    "\"b\\\\\"",
    "@'c\\d'",
    "h'd'",
    "```e```",
    "1",
    "2.5",
    "3d",
    "0x1f",
    "true",
    "null",
    "dynamic([1, 'a'])",
    "dynamic({'a':1})",
    "datetime(2024-01-01)",
    "datetime(",
    "typeof(long)",
    "mv-expand",
    "mv-apply",
    "parse",
    "with",
    "evaluate",
    "ipv4_lookup(",
    "invoke",
    "datatable(a:string)",
    "toscalar(",
    "materialize(",
    "iff(",
    "case(",
    "ago(",
    "now()",
    "$left.a",
    "$right.b",
    ".a",
    "['b']",
    "[0]",
    "-",
    "+",
    "/",
    "%",
    "<",
    ">",
    "!=",
    "<>",
    ":",
    "?",
    "@",
    "!",
    "~",
    "//c\n",
    "\n",
    "top",
    "sort",
    "take",
    "distinct",
    "as",
    "render",
    "scan",
    "partition",
    "make-series",
    "make-graph",
    "-->",
    "graph-match",
    "fork",
    "facet",
    "top-nested",
    "of",
    "find",
    "serialize",
    "declare",
    "pattern",
    "query_parameters",
    "restrict",
    "access",
    "alias",
    "database",
    "set",
    "externaldata",
    "_Im_Traffic",
    "Wrapped(1)",
    "Open",
    "EventID",
    "Loop",
    "getschema",
    "assert-schema",
    "macro-expand",
    "reduce",
    "sample-distinct",
    "consume",
    "Other*",
];

fn survive(text: &str) {
    let (ast, found) = tercel_kql::parse(text);
    let printed = tercel_kql::print(&ast);
    if !found.has_errors() {
        let (again, found) = tercel_kql::parse(&printed);
        assert!(!found.has_errors(), "{text}\nprints as\n{printed}\n{found:#?}");
        assert_eq!(again, ast, "{text}\nprints as\n{printed}");
    }
    let (rel, found) = tercel_kql::lower(&ast, &support::Tables::new(), &tercel_kql::Options::default());
    assert!(rel.is_some() || found.has_errors());
    for d in found.iter() {
        if let Some(s) = d.span {
            assert!(text.get(s.range()).is_some(), "{} points outside of the text", d.message);
        }
    }
    let _ = tercel_kql::lint(&ast);
}
