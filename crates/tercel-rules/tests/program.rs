//! The fast program against the dumb reading of the same relations: drawn rules over drawn events, with ample
//! memories and with memories that are too small for anything.

use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;
use tercel_ir::function::{self, Context};
use tercel_ir::{Column, Expr, ExprKind, Name, Rel, RelKind, Schema, Span, Type, Value};
use tercel_rules::{Limits, Matcher, RuleSet, Want, dumb};
use tercel_telemetry::{EventText, LaidOut, LayoutSink, RawValue};

const S: Span = Span { start: 0, end: 0 };

/// Columns of the tables; `U` is declared by none.
const COLUMNS: [(&str, Type); 10] = [
    ("A", Type::String),
    ("B", Type::String),
    ("G", Type::Guid),
    ("N", Type::Long),
    ("X", Type::Bool),
    ("R", Type::Real),
    ("D", Type::Dynamic),
    ("TS", Type::TimeSpan),
    ("EventID", Type::Int),
    ("TimeGenerated", Type::DateTime),
];
const TABLES: [&str; 3] = ["Sysmon", "SecurityEvent", "DeviceEvents"];

fn scan(table: &str) -> Rel {
    let columns = COLUMNS.iter().map(|(n, t)| Column::new(*n, *t)).collect();
    let schema = Schema { columns, open: true };
    Rel { kind: RelKind::Scan { table: table.into() }, schema, span: S }
}

// ---- texts and raw values -------------------------------------------------------------------------

/// Characters on which folding, escaping, terms and boundaries differ.
fn text() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "a", "b", "A", "B", "ab", "k", "K", "\u{212A}", "s", "S", "ſ", "ß", "ẞ", "i", "İ", "ı", "\\", "\"",
        ".", "-", " ", "1", "10.", "σ", "ς", "\n", "*", "?",
    ]);
    let short = prop::collection::vec(piece, 0..5).prop_map(|v| v.concat());
    prop_oneof![
        12 => short.clone(),
        2 => select(vec!["10.1.2.3", "::1", "10.1.0.0/16", "true", "False", "1", "-", "0x10", "{\"a\":1}", "[1]"])
            .prop_map(str::to_owned),
        // Longer than what is remembered.
        1 => (short.clone(), short).prop_map(|(a, b)| format!("{a}{}{b}", "x".repeat(900))),
    ]
}

#[derive(Clone, Debug)]
enum Raw {
    Null,
    Bool(bool),
    Number(String),
    /// A JSON string, escaped as needed.
    Str(String),
    Text(String),
    Utf16(String),
    Json(String),
    Long(i64),
    Real(f64),
    Time(i64),
}

/// A raw value with what it borrows.
struct Owned {
    raw: Raw,
    body: String,
    units: Vec<u8>,
}

impl Owned {
    fn new(raw: &Raw) -> Owned {
        let mut body = String::new();
        let mut units = Vec::new();
        match raw {
            Raw::Str(s) => {
                let quoted = serde_json::to_string(s).expect("a text");
                body = quoted[1..quoted.len() - 1].to_owned();
            }
            Raw::Utf16(s) => units = s.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            _ => {}
        }
        Owned { raw: raw.clone(), body, units }
    }
    fn value(&self) -> RawValue<'_> {
        match &self.raw {
            Raw::Null => RawValue::Null,
            Raw::Bool(b) => RawValue::Bool(*b),
            Raw::Number(n) => RawValue::Number(n),
            Raw::Str(_) => RawValue::Str { body: &self.body, escaped: self.body.contains('\\') },
            Raw::Text(s) => RawValue::Text(s),
            Raw::Utf16(_) => RawValue::Utf16(&self.units),
            Raw::Json(s) => RawValue::Json(s),
            Raw::Long(n) => RawValue::Long(*n),
            Raw::Real(r) => RawValue::Real(*r),
            Raw::Time(t) => RawValue::Time(*t),
        }
    }
}

fn raw() -> impl Strategy<Value = Raw> {
    prop_oneof![
        3 => Just(Raw::Null),
        8 => text().prop_map(Raw::Str),
        2 => text().prop_map(Raw::Text),
        2 => text().prop_map(Raw::Utf16),
        1 => any::<bool>().prop_map(Raw::Bool),
        3 => select(vec!["1", "4", "10", "4.0", "1.5", "-1", "1e2"]).prop_map(|n| Raw::Number(n.into())),
        1 => select(vec!["{\"a\":1}", "[\"a\",\"ab\"]", "[]"]).prop_map(|n| Raw::Json(n.into())),
        1 => (-2i64..12).prop_map(Raw::Long),
        1 => select(vec![1.0, 1.5, -0.0]).prop_map(Raw::Real),
        1 => (0i64..4).prop_map(Raw::Time),
    ]
}

#[derive(Clone, Debug)]
struct Event {
    table: &'static str,
    fields: Vec<(&'static str, Raw)>,
    time: Option<i64>,
}

fn event() -> impl Strategy<Value = Event> {
    let id = select(vec!["1", "4", "4688"]).prop_map(|n| Raw::Number(n.into()));
    let id = prop_oneof![6 => id, 1 => raw()];
    let fields = select(vec!["A", "A", "B", "B", "G", "N", "X", "R", "D", "TS", "U"]);
    let fields = prop::collection::vec((fields, raw()), 0..8);
    (select(TABLES.to_vec()), id, fields, prop::option::of(0i64..4)).prop_map(
        |(table, id, mut fields, time)| {
            fields.push(("EventID", id.clone()));
            fields.push(("ActionType", id));
            Event { table, fields, time }
        },
    )
}

// ---- expressions ------------------------------------------------------------------------------------

fn column(name: &str) -> Expr {
    let known = COLUMNS.iter().find(|c| c.0 == name);
    let ty = match name {
        "$record" => Type::Long,
        _ => known.map_or(Type::String, |c| c.1),
    };
    Expr::column(name, ty, S)
}

fn string(s: &str) -> Expr {
    Expr::literal(Value::str(s), S)
}

/// A call, or a constant where the arguments do not fit.
fn call(f: &str, args: Vec<Expr>) -> Expr {
    let f = function::by_name(f).expect("a function of the registry");
    Expr::call(f, args, S).unwrap_or_else(|_| Expr::boolean(true, S))
}

/// Expressions that give text.
fn textual() -> impl Strategy<Value = Expr> {
    let plain = select(vec!["A", "A", "A", "B", "G", "D", "U", "$event", "$source"]).prop_map(column);
    prop_oneof![
        10 => plain.clone(),
        1 => plain.clone().prop_map(|c| call("tolower", vec![call("tostring", vec![c])])),
        1 => (plain.clone(), plain.clone())
            .prop_map(|(a, b)| call("strcat", vec![a, string("-"), b])),
        1 => Just(call("tostring", vec![column("N")])),
        1 => (plain.clone(), plain, text()).prop_map(|(a, b, t)| {
            let (a, b) = (call("tostring", vec![a]), call("tostring", vec![b]));
            Expr::iff(call("contains", vec![a.clone(), string(&t)]), a, b, S)
        }),
        1 => text().prop_map(|t| string(&t)),
    ]
}

const TWO_TEXTS: [&str; 17] = [
    "eq_ci",
    "contains",
    "contains",
    "contains_cs",
    "startswith",
    "startswith_cs",
    "endswith",
    "endswith_cs",
    "has",
    "has_cs",
    "hasprefix",
    "hasprefix_cs",
    "hassuffix",
    "hassuffix_cs",
    "matches_glob",
    "matches_glob_ci",
    "ip_in_cidr",
];

const REGEXES: [&str; 16] = [
    "a.*b",
    "(?i)ks",
    "^a",
    "b$",
    "(?i)ß",
    "a|b",
    "",
    "(",
    r"\\",
    r"(?i)s\w",
    "[ab]+k",
    "(a|k)(b|s)",
    "(?i)^ss?$",
    "(?s)^.*ab.*$",
    r"(?i)k\b",
    "ab{2,}",
];

fn list() -> impl Strategy<Value = Vec<Expr>> {
    let array = prop::collection::vec(text(), 0..3)
        .prop_map(|v| Expr::literal(Value::Dynamic(v.into_iter().map(serde_json::Value::from).collect()), S));
    let item = prop_oneof![8 => text().prop_map(|t| string(&t)), 1 => array];
    prop::collection::vec(item, 1..5)
}

fn leaf() -> impl Strategy<Value = Expr> {
    let number = select(vec!["N", "N", "EventID", "$record"]).prop_map(column);
    let order = select(vec!["eq", "ne", "lt", "le", "gt", "ge"]);
    prop_oneof![
        10 => (select(TWO_TEXTS.to_vec()), textual(), text()).prop_map(|(f, a, t)| call(f, vec![a, string(&t)])),
        2 => (select(TWO_TEXTS.to_vec()), textual(), textual()).prop_map(|(f, a, b)| call(f, vec![a, b])),
        3 => (textual(), select(REGEXES.to_vec())).prop_map(|(a, r)| call("matches_regex", vec![a, string(r)])),
        3 => (order.clone(), textual(), text()).prop_map(|(f, a, t)| call(f, vec![a, string(&t)])),
        4 => (select(vec!["in", "in_ci", "has_any", "has_all"]), textual(), list()).prop_map(|(f, a, mut l)| {
            l.insert(0, a);
            call(f, l)
        }),
        4 => (order.clone(), number, -2i64..12).prop_map(|(f, a, n)| call(f, vec![a, Expr::literal(Value::Long(n), S)])),
        1 => (prop::collection::vec(-2i64..12, 1..4)).prop_map(|v| {
            let mut args = vec![column("N")];
            args.extend(v.into_iter().map(|n| Expr::literal(Value::Long(n), S)));
            call("in", args)
        }),
        1 => (order.clone(), select(vec![1.0, 1.5])).prop_map(|(f, r)| call(f, vec![column("R"), Expr::literal(Value::Real(r), S)])),
        1 => (order.clone(), 0i64..4).prop_map(|(f, t)| call(f, vec![column("TimeGenerated"), Expr::literal(Value::DateTime(t), S)])),
        1 => (order.clone(), 0i64..4).prop_map(|(f, t)| call(f, vec![column("TS"), Expr::literal(Value::TimeSpan(t), S)])),
        1 => (select(vec!["eq", "ne"]), any::<bool>()).prop_map(|(f, b)| call(f, vec![column("X"), Expr::boolean(b, S)])),
        1 => order.prop_map(|f| call(f, vec![column("A"), column("B")])),
        4 => (select(vec!["isnull", "isnotnull", "isempty", "isnotempty", "isblank"]),
              select(vec!["A", "B", "N", "X", "D", "U", "R"]))
            .prop_map(|(f, c)| call(f, vec![column(c)])),
        2 => Just(column("X")),
        1 => any::<bool>().prop_map(|b| Expr::boolean(b, S)),
        1 => Just(Expr::null(Type::Bool, S)),
    ]
}

fn predicate() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let items = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            3 => items.clone().prop_map(|v| Expr::and(v, S)),
            3 => items.prop_map(|v| Expr::or(v, S)),
            3 => inner.clone().prop_map(|e| Expr::not(e, S)),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(c, a, b)| Expr::iff(c, a, b, S)),
            // Counting, as `2 of them` does.
            1 => (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| {
                let n = [a, b, c].into_iter().map(|e| call("tolong", vec![e]));
                let sum = n.reduce(|a, b| call("add", vec![a, b])).expect("three");
                call("ge", vec![sum, Expr::literal(Value::Long(2), S)])
            }),
        ]
    })
}

// ---- rules -----------------------------------------------------------------------------------------

fn id_is(n: i64) -> Expr {
    call("eq", vec![column("EventID"), Expr::literal(Value::Long(n), S)])
}

/// The views that rules share: one open table of a type, one over two tables with computed columns.
fn views() -> Vec<Rel> {
    let view = |name: &str, body: Rel| Rel {
        schema: body.schema.clone(),
        span: S,
        kind: RelKind::View { name: name.into(), body: Arc::new(body) },
    };
    let same = |n: &str| (Name::from(n), column(n));
    let one = scan("Sysmon").filter(id_is(1), S).project(
        vec![
            same("A"),
            same("B"),
            same("N"),
            same("X"),
            same("EventID"),
            same("TimeGenerated"),
            same("D"),
            same("R"),
        ],
        S,
    );
    let known = call("isnotempty", vec![column("B")]);
    let joined =
        Expr::iff(known, call("strcat", vec![column("B"), string("\\"), column("A")]), column("A"), S);
    let cased = Expr {
        kind: ExprKind::Case {
            branches: vec![
                (call("eq", vec![column("A"), string("a")]), string("Low")),
                (call("in", vec![column("A"), string("b"), string("k")]), string("High")),
            ],
            otherwise: Box::new(column("A")),
        },
        ty: Type::String,
        span: S,
    };
    let two = scan("SecurityEvent")
        .filter(id_is(4688), S)
        .extend(vec![("Known".into(), call("isnotempty", vec![column("A")]))], S)
        .project(
            vec![
                ("A".into(), joined),
                ("B".into(), cased),
                ("N".into(), call("tolong", vec![column("B")])),
                ("X".into(), Expr::column("Known", Type::Bool, S)),
                ("EventID".into(), Expr::null(Type::Int, S)),
                same("TimeGenerated"),
            ],
            S,
        );
    let both = view("both", Rel::union(vec![one, two], S));
    let all = view("all", Rel::union(TABLES.iter().map(|t| scan(t)).collect(), S));
    let typed = scan("Sysmon").filter(
        call(
            "in",
            vec![column("EventID"), Expr::literal(Value::Long(1), S), Expr::literal(Value::Long(4), S)],
        ),
        S,
    );
    let tagged = Rel::union(vec![scan("DeviceEvents"), scan("Sysmon")], S);
    let tag: Name = "Tag".into();
    let mut schema = tagged.schema.clone();
    schema.columns.insert(0, Column::new(tag.clone(), Type::String));
    let RelKind::Union { inputs, .. } = tagged.kind else { unreachable!("a union") };
    let kind = RelKind::Union { inputs, tag: Some((tag, vec!["first".into(), "second".into()])) };
    vec![both, all, view("typed", typed), Rel { kind, schema, span: S }, scan("DeviceEvents")]
}

fn rules() -> impl Strategy<Value = Vec<Rel>> {
    let n = views().len();
    prop::collection::vec((0..n, predicate(), any::<bool>()), 1..10).prop_map(|drawn| {
        let views = views();
        let rule = |(v, p, extends): (usize, Expr, bool)| {
            let base = views[v].clone();
            let base = if extends {
                base.extend(vec![("U".into(), call("strcat", vec![column("A"), column("U")]))], S)
            } else {
                base
            };
            base.filter(p, S)
        };
        drawn.into_iter().map(rule).collect()
    })
}

/// Hits of the fast program, event by event: rule and row.
fn fast(set: &Arc<RuleSet>, events: &[Event]) -> Vec<Vec<(usize, String)>> {
    let mut m = Matcher::new(set.clone());
    m.source(&"file a.k".into());
    let mut out = Vec::new();
    let mut total = 0;
    for (i, e) in events.iter().enumerate() {
        let owned: Vec<Owned> = e.fields.iter().map(|f| Owned::new(&f.1)).collect();
        let values: Vec<RawValue<'_>> = owned.iter().map(Owned::value).collect();
        let names: Vec<Name> = e.fields.iter().map(|f| f.0.into()).collect();
        if let Some(layout) = m.layout(&e.table.into(), &names) {
            let times = [e.time.map_or(RawValue::Null, RawValue::Time), RawValue::Null];
            let text = text_of(e);
            let event =
                LaidOut { values: &values, times, record: i as i64 % 7, text: EventText::Written(&text) };
            assert!(m.event(layout, &event).is_continue());
        }
        let found = m.take();
        total += found.counts.iter().sum::<u64>();
        assert_eq!(found.counts.iter().sum::<u64>(), found.hits.len() as u64);
        out.push(
            found.hits.into_iter().map(|h| (h.rule, format!("{:?}", h.row.unwrap_or_default()))).collect(),
        );
    }
    assert_eq!(out.iter().map(Vec::len).sum::<usize>() as u64, total);
    out
}

fn text_of(e: &Event) -> String {
    format!("{{\"fields\":\"{}\"}}", e.fields.len()) + &format!("{:?}", e.fields)
}

fn slow(rules: &[Rel], events: &[Event]) -> Vec<Vec<(usize, String)>> {
    let ctx = Context::default();
    let one = |(i, e): (usize, &Event)| {
        let owned: Vec<Owned> = e.fields.iter().map(|f| Owned::new(&f.1)).collect();
        let fields: Vec<(Name, RawValue<'_>)> =
            e.fields.iter().zip(&owned).map(|(f, o)| (f.0.into(), o.value())).collect();
        let text = text_of(e);
        let event = dumb::Event {
            table: e.table,
            fields: &fields,
            time: e.time,
            source: "file a.k",
            record: i as i64 % 7,
            text: EventText::Written(&text),
        };
        let mut out = Vec::new();
        for (n, r) in rules.iter().enumerate() {
            out.extend(dumb::rows_of(r, &event, &ctx).into_iter().map(|row| (n, format!("{row:?}"))));
        }
        out
    };
    events.iter().enumerate().map(one).collect()
}

fn tiny() -> Limits {
    Limits {
        cache_bytes: 64,
        cache_value: 6,
        memo_numbers: 4,
        classes: 2,
        event_types: 1,
        ..Limits::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn fast_is_dumb(rules in rules(), drawn in prop::collection::vec(event(), 1..12), again in prop::collection::vec(0usize..12, 0..12)) {
        let mut events = drawn.clone();
        events.extend(again.iter().map(|i| drawn[i % drawn.len()].clone()));
        let want = slow(&rules, &events);
        let plans: Vec<(usize, &Rel, Want)> = rules.iter().enumerate().map(|(i, r)| (i, r, Want::ROW)).collect();
        for limits in [Limits::default(), tiny()] {
            let (set, not_here) = RuleSet::compile(&plans, &Context::default(), limits);
            prop_assert!(not_here.is_empty(), "{not_here:?}");
            let got = fast(&Arc::new(set), &events);
            for (i, (g, w)) in got.iter().zip(&want).enumerate() {
                prop_assert_eq!(g, w, "event {} {:?}", i, &events[i]);
            }
        }
    }
}
