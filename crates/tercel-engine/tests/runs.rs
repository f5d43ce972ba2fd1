//! Runs: one pass for many plans, passes of their own, ends before the end, bounded memory, provenance,
//! SQL, files.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tercel_engine::{
    DataSource, Demand, EngineError, HuntPlan, HuntStats, MemorySource, Now, Options, SessionOptions,
    TableBatch, Telemetry, array_of, arrow_schema, hidden, hunt, query, query_rows, sql,
};
use tercel_ir::catalog::LogSource;
use tercel_ir::function::aggregate_by_name;
use tercel_ir::rel::Aggregation;
use tercel_ir::{
    Catalog, Column, Diagnostic, Expr, ExprKind, JoinKind, Name, Rel, RelKind, Schema, SortKey, Span,
    StoredFunction, Type, Value,
};

const S: Span = Span { start: 0, end: 0 };

/// Runs `f`; a run that does not end is a failure, not a wait.
fn in_time<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (tx, rx) = std::sync::mpsc::channel();
    std::thread::spawn(move || tx.send(f()));
    rx.recv_timeout(Duration::from_secs(120)).expect("the run ended in time")
}

fn columns() -> Vec<(Name, Type)> {
    vec![("host".into(), Type::String), ("n".into(), Type::Long)]
}

fn scan(table: &str) -> Rel {
    let columns = columns().into_iter().map(|(n, t)| Column::new(n, t)).collect();
    Rel { kind: RelKind::Scan { table: table.into() }, schema: Schema { columns, open: true }, span: S }
}

fn n() -> Expr {
    Expr::column("n", Type::Long, S)
}

fn less(k: i64) -> Expr {
    Expr::known("lt", vec![n(), Expr::literal(Value::Long(k), S)], S)
}

fn count(by_host: bool, from: Rel) -> Rel {
    let keys = if by_host { vec![("host".into(), Expr::column("host", Type::String, S))] } else { vec![] };
    let f = aggregate_by_name("count").expect("it exists");
    from.aggregate(
        keys,
        vec![("c".into(), Aggregation { function: f, args: vec![], filter: None, ty: Type::Long })],
        S,
    )
}

fn sorted(from: Rel) -> Rel {
    from.sort(vec![SortKey { expr: n(), descending: true, nulls_first: false }], S)
}

fn join(left: Rel, right: Rel, kind: JoinKind) -> Rel {
    let mut columns = left.schema.columns.to_vec();
    if kind == JoinKind::Inner {
        columns.extend(right.schema.columns.iter().map(|c| Column::new(format!("{}1", c.name), c.ty)));
    }
    let kind = RelKind::Join {
        left: Box::new(left),
        right: Box::new(right),
        kind,
        on: vec![(n(), n())],
        condition: None,
    };
    Rel { kind, schema: Schema::new(columns), span: S }
}

fn in_relation(from: Rel, inner: Rel) -> Rel {
    let kind = ExprKind::InRelation { value: Box::new(n()), relation: inner.into(), ignore_case: false };
    from.filter(Expr { kind, ty: Type::Bool, span: S }, S)
}

/// Three tables of 2,000 rows in batches of 10: far more batches than may wait anywhere.
fn source() -> MemorySource {
    let mut s = MemorySource::new();
    for table in ["A", "B", "C"] {
        let rows: Vec<Vec<Value>> =
            (0..2000).map(|i| vec![Value::str(format!("h{}", i % 5)), Value::Long(i)]).collect();
        s.add_rows(table, columns(), &rows, 10).expect("rows fit");
    }
    s
}

fn run(plans: Vec<Rel>) -> (HuntStats, Vec<Vec<Vec<Value>>>) {
    in_time(move || {
        let mut rows = vec![vec![]; plans.len()];
        let plans = plans.into_iter().enumerate().map(|(id, rel)| HuntPlan { id, rel }).collect();
        let options = Options { threads: 2, ..Options::default() };
        let stats = hunt(plans, &source(), &options, &mut |hit| {
            rows[hit.plan].push(hit.values());
            ControlFlow::Continue(())
        });
        (stats.expect("the hunt runs"), rows)
    })
}

fn all() -> Rel {
    Rel::union(vec![scan("A"), scan("B"), scan("C")], S)
}

#[test]
fn nothing_waits_for_ever() {
    let plans = vec![
        sorted(all()),
        count(true, scan("A")),
        count(false, scan("A")),
        scan("B").limit(1, S),
        sorted(all()).limit(3, S),
        count(false, Rel::union(vec![count(true, scan("A")), count(true, scan("C"))], S)),
        join(scan("A"), scan("B"), JoinKind::Inner),
        join(Rel::union(vec![scan("A"), scan("B")], S), scan("A").filter(less(10), S), JoinKind::LeftAnti),
        count(
            false,
            Rel::union(
                vec![
                    join(scan("A"), scan("A"), JoinKind::LeftSemi),
                    join(scan("B"), scan("A"), JoinKind::LeftSemi),
                    scan("A"),
                ],
                S,
            ),
        ),
        in_relation(all(), scan("C").filter(less(2), S).project(vec![("n".into(), n())], S)),
        scan("A").limit(0, S),
        scan("A").filter(Expr::boolean(false, S), S),
        // The inner side ends the join before the outer one is read.
        join(scan("A").filter(less(-1), S), scan("B"), JoinKind::Inner),
    ];
    let (stats, rows) = run(plans);
    for p in &stats.plans {
        assert_eq!(p.error, None, "plan {}", p.id);
    }
    let counts: Vec<usize> = rows.iter().map(Vec::len).collect();
    assert_eq!(counts, [6000, 5, 1, 1, 3, 1, 2000, 3980, 1, 6, 0, 0, 0]);
    assert_eq!(rows[2][0], [Value::Long(2000)]);
    assert_eq!(rows[4][0][1], Value::Long(1999));
    assert_eq!(rows[8][0], [Value::Long(6000)]);
}

#[test]
fn many_plans_over_one_view() {
    let view = || {
        let body = Rel::union(vec![scan("A"), scan("B")], S).extend(
            vec![("m".into(), Expr::known("mod", vec![n(), Expr::literal(Value::Long(7), S)], S))],
            S,
        );
        Rel {
            schema: body.schema.clone(),
            kind: RelKind::View { name: "V".into(), body: std::sync::Arc::new(body) },
            span: S,
        }
    };
    let mut plans: Vec<Rel> = (0..200)
        .map(|k| {
            let m = Expr::column("m", Type::Long, S);
            view().filter(Expr::known("eq", vec![m, Expr::literal(Value::Long(k % 7), S)], S), S)
        })
        .collect();
    plans.push(count(true, view()));
    plans.push(view().limit(1, S));
    let (stats, rows) = run(plans);
    assert_eq!(stats.shared_views, 1);
    assert!(stats.plans.iter().all(|p| p.error.is_none()));
    assert!(stats.plans[..200].iter().all(|p| p.single_event && p.hits == rows[p.id].len() as u64));
    assert_eq!(rows[..7].iter().map(Vec::len).sum::<usize>(), 4000);
    assert_eq!(rows[200].len(), 5);
    assert_eq!(rows[201].len(), 1);
}

#[test]
fn what_the_data_lacks() {
    let (stats, rows) = run(vec![
        scan("Missing").filter(less(5), S),
        Rel::union(vec![scan("Missing"), scan("A")], S).filter(less(5), S),
        count(false, scan("Missing")),
        join(scan("A"), scan("Missing"), JoinKind::Inner),
    ]);
    let missing: Vec<usize> = stats.plans.iter().map(|p| p.missing_tables.len()).collect();
    assert_eq!(missing, [1, 1, 1, 1]);
    let never: Vec<bool> = stats.plans.iter().map(|p| p.never).collect();
    assert_eq!(never, [true, false, false, true]);
    assert_eq!(rows[1].len(), 5);
    assert_eq!(rows[2], [[Value::Long(0)]]);
}

#[test]
fn one_bad_plan_is_one_bad_plan() {
    let mut deep = n();
    for _ in 0..tercel_engine::MAX_DEPTH {
        deep = Expr::known("add", vec![deep, Expr::literal(Value::Long(1), S)], S);
    }
    let deep = scan("A").filter(Expr::known("gt", vec![deep, n()], S), S);
    let keys = vec![(n(), Expr::column("host", Type::String, S))];
    let mut wrong = join(scan("A"), scan("B"), JoinKind::LeftSemi);
    if let RelKind::Join { on, .. } = &mut wrong.kind {
        *on = keys;
    }
    let (stats, rows) = run(vec![deep, wrong, scan("A").filter(less(3), S)]);
    assert_eq!(stats.plans[0].error.as_ref().map(|e| e.code), Some("too-deep"));
    assert_eq!(stats.plans[1].error.as_ref().map(|e| e.code), Some("unsupported-plan"));
    assert_eq!(rows[2].len(), 3);
}

#[test]
fn deep_but_not_too_deep() {
    let mut e = less(3);
    for _ in 0..490 {
        e = Expr::not(Expr { kind: ExprKind::And(vec![e, less(5)]), ty: Type::Bool, span: S }, S);
    }
    let mut rel = scan("A");
    for k in 0..950 {
        rel = rel.extend(vec![(format!("x{}", k % 3).into(), Expr::known("add", vec![n(), n()], S))], S);
    }
    let wide = (0..3000).map(|k| Expr::known("eq", vec![n(), Expr::literal(Value::Long(k), S)], S)).collect();
    let (stats, rows) = run(vec![scan("A").filter(e, S), rel, scan("A").filter(Expr::or(wide, S), S)]);
    for p in &stats.plans {
        assert_eq!(p.error, None, "plan {}", p.id);
    }
    assert_eq!(rows[1].len(), 2000);
    assert_eq!(rows[2].len(), 2000);
}

/// Gives one-row batches for as long as anybody wants them, and counts.
struct Endless {
    given: AtomicUsize,
    last: usize,
}

impl DataSource for Endless {
    fn has_table(&self, _: &str) -> bool {
        true
    }
    fn read(
        &self,
        demand: &Demand,
        each: &mut dyn FnMut(TableBatch) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let table = &demand.tables[0];
        let schema = arrow_schema(table.columns.iter().map(|(n, t)| (&**n, *t)));
        for i in 0..self.last {
            self.given.fetch_add(1, Ordering::SeqCst);
            let value = |ty| if ty == Type::Long { Value::Long(i as i64) } else { Value::Null };
            let arrays = table.columns.iter().map(|(_, t)| array_of(*t, [value(*t)])).collect();
            let batch =
                datafusion::arrow::array::RecordBatch::try_new(schema.clone(), arrays).expect("it fits");
            if each(TableBatch { table: table.table.clone(), batch }).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }
    fn newest_time(&self) -> Option<i64> {
        None
    }
}

fn one_row_batches() -> Options {
    Options {
        session: SessionOptions { batch_rows: 1, ..SessionOptions::default() },
        threads: 2,
        ..Options::default()
    }
}

#[test]
fn filters_do_not_pile_up_rows() {
    let ahead = in_time(|| {
        let source = Endless { given: AtomicUsize::new(0), last: 3000 };
        let plans = (0..3).map(|id| HuntPlan { id, rel: scan("A").filter(less(1 << 40), S) }).collect();
        let mut taken = 0;
        let mut ahead = 0;
        hunt(plans, &source, &one_row_batches(), &mut |hit| {
            if hit.plan == 0 {
                taken += 1;
                ahead = ahead.max(source.given.load(Ordering::SeqCst) - taken);
                if taken % 100 == 0 {
                    // A slow consumer.
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            ControlFlow::Continue(())
        })
        .expect("the hunt runs");
        assert_eq!(taken, 3000);
        ahead
    });
    assert!(ahead < 100, "{ahead} batches were read ahead of the consumer");
}

#[test]
fn reading_ends_when_nobody_wants_more() {
    let given = in_time(|| {
        let source = Endless { given: AtomicUsize::new(0), last: 1 << 40 };
        let rel = scan("A").filter(less(1 << 40), S).limit(2, S);
        let (_, rows) = query_rows(&rel, &source, &one_row_batches()).expect("the query runs");
        assert_eq!(rows.len(), 2);
        let mut seen = 0;
        query(&scan("A"), &source, &one_row_batches(), &mut |b| {
            seen += b.num_rows();
            if seen > 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .expect("the query runs");
        source.given.load(Ordering::SeqCst)
    });
    assert!(given < 1000, "{given} batches were read");
}

#[test]
fn now_is_the_newest_event_and_asked_once() {
    let ago = Expr::known("now", vec![], S);
    let rel = scan("A").extend(vec![("t".into(), ago)], S).limit(1, S);
    let mut s = source();
    s.set_newest_time(638_000_000_000_000_000);
    let (outcome, rows) = query_rows(&rel, &s, &Options::default()).expect("the query runs");
    assert_eq!(outcome.now, Some(638_000_000_000_000_000));
    assert_eq!(rows[0][2], Value::DateTime(638_000_000_000_000_000));
    let options = Options { now: Now::At(7), ..Options::default() };
    let (outcome, _) = query_rows(&rel, &s, &options).expect("the query runs");
    assert_eq!(outcome.now, Some(7));
    let (outcome, _) = query_rows(&scan("A").limit(1, S), &s, &options).expect("the query runs");
    assert_eq!(outcome.now, None);
}

#[test]
fn hits_know_their_events() {
    let mut s = MemorySource::new();
    let types = columns().into_iter().chain(hidden::ALL.iter().map(|(n, t)| (Name::from(*n), *t))).collect();
    let row = |i: i64| {
        vec![
            Value::str("h"),
            Value::Long(i),
            Value::DateTime(100 + i),
            Value::str("file.json"),
            Value::Long(i),
            Value::str(format!("{{\"n\":{i}}}")),
        ]
    };
    s.add_rows("A", types, &(0..5).map(row).collect::<Vec<_>>(), 2).expect("rows fit");
    let narrow = |rel: Rel| rel.project(vec![("only".into(), n())], S);
    let plans = vec![
        narrow(scan("A").filter(less(1), S)),
        join(scan("A").filter(less(1), S), scan("A"), JoinKind::LeftOuter),
        count(false, scan("A")),
        join(scan("A").filter(less(1), S), scan("A"), JoinKind::LeftSemi),
    ];
    // A left outer join has both sides' columns.
    let mut plans: Vec<Rel> = plans;
    let right: Vec<Column> = columns().into_iter().map(|(n, t)| Column::new(format!("{n}1"), t)).collect();
    plans[1].schema.columns.extend(right);
    let plans = plans.into_iter().enumerate().map(|(id, rel)| HuntPlan { id, rel }).collect();
    let mut seen = vec![];
    let stats = hunt(plans, &s, &Options::default(), &mut |hit| {
        seen.push((hit.plan, hit.json(), hit.provenance()));
        ControlFlow::Continue(())
    })
    .expect("the hunt runs");
    assert!(stats.plans.iter().all(|p| p.error.is_none()), "{stats:?}");
    seen.sort_by_key(|s| s.0);
    assert_eq!(seen.len(), 4);
    for (plan, row, provenance) in seen {
        if plan == 2 {
            assert_eq!(provenance, None);
            continue;
        }
        let p = provenance.expect("there is an event");
        assert_eq!((p.time, p.record, p.source.as_deref()), (Some(100), Some(0), Some("file.json")));
        assert_eq!(p.event.as_deref(), Some("{\"n\":0}"));
        let keys: Vec<&str> = row.keys().map(String::as_str).collect();
        let want: &[&str] = match plan {
            0 => &["only"],
            1 => &["host", "n", "host1", "n1"],
            _ => &["host", "n"],
        };
        assert_eq!(keys, want);
    }
}

/// Tables as relations, and nothing else.
struct Tables;
impl Catalog for Tables {
    fn relation(&self, name: &str) -> Option<Result<Rel, Diagnostic>> {
        let mut rel = scan(name);
        if name == "Times" {
            rel.schema.columns.push(Column::new("At", Type::DateTime));
        }
        ["A", "B", "Times", "sigma/windows"].contains(&name).then_some(Ok(rel))
    }
    fn function(&self, _: &str) -> Option<&StoredFunction> {
        None
    }
    fn names(&self) -> Vec<String> {
        vec!["A".into(), "B".into(), "Times".into()]
    }
    fn log_source(&self, _: LogSource<'_>) -> Result<Rel, Diagnostic> {
        Err(Diagnostic::error("unknown-log-source", "none"))
    }
}

fn select(text: &str) -> Result<Vec<String>, EngineError> {
    let mut s = source();
    let mut types = columns();
    types.push(("At".into(), Type::DateTime));
    let t = tercel_ir::time::parse_datetime("2026-01-02T03:04:05.6Z").expect("a time");
    s.add_rows("Times", types.clone(), &[vec![Value::str("x"), Value::Long(1), Value::DateTime(t)]], 8)?;
    s.add_rows("sigma/windows", columns(), &[vec![Value::str("x"), Value::Long(1)]], 8)?;
    let mut out = vec![];
    sql(text, &Tables, &s, &Options::default(), &mut |columns, batch| {
        let rows = tercel_engine::json_rows(batch, columns).expect("rows");
        out.extend(rows.into_iter().map(|r| serde_json::Value::from(r).to_string()));
        ControlFlow::Continue(())
    })?;
    Ok(out)
}

#[test]
fn sql_over_the_same_tables() {
    let select = |t: &str| {
        let t = t.to_owned();
        in_time(move || select(&t))
    };
    assert_eq!(
        select("SELECT host, count(*) AS c FROM A WHERE n < 3 GROUP BY host ORDER BY host")
            .expect("runs")
            .len(),
        3
    );
    assert_eq!(
        select("SELECT a.n, b.host FROM A a JOIN B b ON a.n = b.n WHERE a.n = 7").expect("runs"),
        [r#"{"n":7,"host":"h2"}"#]
    );
    assert_eq!(
        select("SELECT \"At\", date_trunc('hour', At) AS h FROM Times WHERE At > '2026-01-01'")
            .expect("runs"),
        [r#"{"At":"2026-01-02T03:04:05.6000000Z","h":"2026-01-02T03:00:00.0000000Z"}"#]
    );
    assert_eq!(
        select("SELECT a.n, b.n FROM A a JOIN B b ON a.n = b.n WHERE a.n = 7").expect("runs"),
        [r#"{"n":7,"n_1":7}"#]
    );
    assert_eq!(select("SELECT n FROM \"sigma/windows\"").expect("runs"), [r#"{"n":1}"#]);
    assert_eq!(
        select(
            "WITH x AS (SELECT n FROM A WHERE n IN (SELECT n FROM B WHERE n < 4)) SELECT max(n) AS m FROM x"
        )
        .expect("runs"),
        [r#"{"m":3}"#]
    );
    assert_eq!(
        select("SELECT [1, 2] AS l, 1.5 AS r, NULL AS z").expect("runs"),
        [r#"{"l":[1,2],"r":1.5,"z":null}"#]
    );
    assert_eq!(select("SELECT * FROM Bs").expect_err("no such table").code, "unknown-table");
    assert_eq!(select("SELEC 1").expect_err("no SQL").code, "sql-syntax");
    for forbidden in [
        "CREATE TABLE x (a INT)",
        "COPY A TO 'x.csv'",
        "SET a = 1",
        "DROP TABLE A",
        "INSERT INTO A VALUES (1)",
    ] {
        assert!(select(forbidden).is_err(), "{forbidden}");
    }
}

#[test]
fn events_from_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("made_up.jsonl");
    let mut f = std::fs::File::create(&path).expect("a file");
    for i in 0..5 {
        writeln!(f, "{{\"host\":\"h{i}\",\"n\":{i},\"odd key\":\"v{i}\"}}").expect("written");
    }
    drop(f);
    let inputs = tercel_telemetry::Inputs::open(
        &[path.display().to_string()],
        &tercel_telemetry::ReadOptions::default(),
    );
    let mut schemas = tercel_schema::Schemas::builtin();
    let survey = inputs.survey(&schemas);
    let present: Vec<Name> = survey.tables.iter().map(|t| t.name.clone()).collect();
    assert_eq!(present.len(), 1, "{present:?}");
    survey.tables.iter().for_each(|t| schemas.merge(t.clone()));
    let progress = tercel_telemetry::Progress::new();
    let source = Telemetry::new(&inputs, &schemas, present.clone(), &progress);
    let rel = schemas.table(&present[0]).expect("it was merged").scan().filter(
        Expr::known(
            "eq",
            vec![Expr::column("odd key", Type::String, S), Expr::literal(Value::str("v3"), S)],
            S,
        ),
        S,
    );
    let mut hits = vec![];
    hunt(vec![HuntPlan { id: 9, rel }], &source, &Options::default(), &mut |hit| {
        hits.push((hit.plan, hit.provenance().expect("an event")));
        ControlFlow::Continue(())
    })
    .expect("the hunt runs");
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].0, 9);
    assert_eq!(hits[0].1.record, Some(3));
    assert!(hits[0].1.event.as_deref().is_some_and(|e| e.contains("\"odd key\":\"v3\"")));
    assert_eq!(source.stats().expect("something was read").events, 5);
}
