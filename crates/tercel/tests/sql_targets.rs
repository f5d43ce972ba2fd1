//! Conversions to SQL against the engine: the text, run by DataFusion on generated events, finds what the
//! rule finds.
//!
//! Only DataFusion's dialect runs here. With `TERCEL_SQL_CASES=FILE` the cases are also written out, one JSON
//! object a line with the text in DuckDB's dialect, for `scripts/duckdb_agreement.py`, which asks DuckDB itself.

use crate::common;

use common::Random;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use tercel_convert::{
    Conversion, Detection, Dialect, Language, Options, Prover, Target, Vocabulary, convert,
};
use tercel_engine::MemorySource;
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Name, Rel, RelKind, Type, Value};
use tercel_schema::{SchemaCatalog, Schemas};

type Pool = BTreeMap<Name, (Type, Vec<Value>)>;

/// Values worth trying, by column: what it is tested against, and its neighbours.
fn pool(e: &Expr, out: &mut Pool) {
    let mut columns = Vec::new();
    types(e, &mut columns);
    if let ExprKind::Call(_, args) = &e.kind {
        for v in args.iter().filter_map(Expr::as_literal) {
            for (c, ty) in &columns {
                let entry = &mut out.entry(c.clone()).or_insert_with(|| (*ty, Vec::new())).1;
                match v {
                    Value::Str(s) => {
                        let net = s.split_once('/').map_or(s.as_str(), |x| x.0);
                        let plain: String =
                            s.replace("(?i)", "").chars().filter(|c| !"^$()[]*?+|{}".contains(*c)).collect();
                        for t in [
                            s.clone(),
                            plain,
                            s.to_uppercase(),
                            format!("C:\\x\\{s}"),
                            format!("{s}x"),
                            format!("a {s} b"),
                            format!("{}1", net.trim_end_matches('0')),
                        ] {
                            entry.push(Value::Str(t));
                        }
                        if let Ok(n) = s.parse() {
                            entry.push(Value::Long(n));
                        }
                    }
                    Value::Long(n) => entry.extend([Value::Long(*n), Value::Long(n.saturating_add(1))]),
                    v => entry.push(v.clone()),
                }
            }
        }
    }
    for (c, ty) in columns {
        out.entry(c).or_insert_with(|| (ty, Vec::new()));
    }
    e.children().into_iter().for_each(|c| pool(c, out));
}

fn types(e: &Expr, out: &mut Vec<(Name, Type)>) {
    if let ExprKind::Column(n) = &e.kind {
        out.push((n.clone(), e.ty));
    }
    e.children().into_iter().for_each(|c| types(c, out));
}

fn row(pool: &Pool, random: &mut Random) -> BTreeMap<Name, Value> {
    let mut out = BTreeMap::new();
    for (n, (ty, values)) in pool {
        let any =
            ["", "C:\\Windows\\a.exe", "10.1.2.3", "8.8.8.8", "::1", "fe80::1", "-", "line\none", "100%_!'"];
        let v = match (random.next(6), values.len()) {
            (0, _) | (_, 0) => match ty {
                Type::String => Value::str(any[random.next(any.len())]),
                Type::Bool => Value::Bool(random.next(2) == 0),
                Type::Int | Type::Long => Value::Long(random.next(70_000) as i64),
                _ => Value::Null,
            },
            (1, _) if random.next(3) == 0 => Value::Null,
            (2, n) if *ty == Type::String => {
                Value::Str((0..3).map(|_| values[random.next(n)].text().into_owned()).collect())
            }
            (_, n) => values[random.next(n)].clone(),
        };
        // What stands in a column of addresses is an address, or nothing.
        let addresses = ["10.1.2.3", "172.16.5.4", "8.8.8.8", "::1", "fe80::1", "2001:db8::5", "-", ""];
        let v = match &v {
            Value::Str(s) if n.ends_with("Ip") && s.parse::<std::net::IpAddr>().is_err() => {
                Value::str(addresses[random.next(addresses.len())])
            }
            _ => v,
        };
        out.insert(n.clone(), v.coerce(*ty));
    }
    out
}

fn conditions<'r>(rel: &'r Rel, out: &mut Vec<&'r Expr>) {
    if let RelKind::Filter { predicate, .. } = &rel.kind {
        out.push(predicate);
    }
    rel.inputs().into_iter().for_each(|i| conditions(i, out));
}

fn rules() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tercel-convert/tests/rules");
    let mut out: Vec<PathBuf> =
        std::fs::read_dir(own).expect("rules").map(|f| f.expect("a file").path()).collect();
    out.sort();
    out
}

fn converted(d: &tercel_catalog::Detection, catalog: &SchemaCatalog, dialect: Dialect) -> Option<Conversion> {
    let (rel, meta) = (d.rel.as_ref()?, &d.sigma_meta());
    let target = Target { language: Language::Sql, vocabulary: Vocabulary::Native };
    let options = Options { dialect, ..Options::default() };
    let c = convert(&Detection { rel, meta }, target, catalog, &options, &Prover::default()).ok()?;
    (!c.text.is_empty()).then_some(c)
}

/// What a text finds among the rows, by their numbers.
fn found(text: &str, table: &str, rows: &[BTreeMap<Name, Value>], catalog: &SchemaCatalog) -> BTreeSet<i64> {
    let known = catalog.schemas().table(table).expect("a table").scan().schema;
    let types: Vec<(Name, Type)> = known.columns.iter().map(|c| (c.name.clone(), c.ty)).collect();
    let number: Name = "ProcessId".into();
    let values: Vec<Vec<Value>> = rows
        .iter()
        .enumerate()
        .map(|(i, r)| {
            let of = |n: &Name| match *n == number {
                true => Value::Long(i as i64),
                false => r.get(n).cloned().unwrap_or_default(),
            };
            types.iter().map(|(n, _)| of(n)).collect()
        })
        .collect();
    let mut source = MemorySource::new();
    source.add_rows(table, types, &values, 1000).expect("rows");
    let text = text.replacen("SELECT *", "SELECT ProcessId AS n", 1);
    let mut out = BTreeSet::new();
    let options = tercel_engine::Options::default();
    let done = tercel_engine::sql(&text, catalog, &source, &options, &mut |columns, batch| {
        for r in tercel_engine::rows(batch, columns).expect("values") {
            out.insert(r[0].as_i64().expect("a number"));
        }
        ControlFlow::Continue(())
    });
    if let Err(e) = done {
        panic!("{}\n{text}", e.message);
    }
    out
}

#[test]
fn datafusion_finds_what_the_rule_finds() {
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let mut cases = std::env::var_os("TERCEL_SQL_CASES").map(|f| std::fs::File::create(f).expect("a file"));
    let mut files = rules();
    if let Some(more) = std::env::var_os("TERCEL_SQL_RULES") {
        files = std::fs::read_dir(more).expect("rules").map(|f| f.expect("a file").path()).collect();
        files.sort();
    }
    let (mut compared, mut hits) = (0, 0);
    for f in files {
        let text = std::fs::read_to_string(&f).expect("a rule");
        let mut d = tercel_catalog::Detection::of_query(tercel_catalog::Language::Sigma, text, "a rule");
        d.compile(&catalog, tercel_catalog::CompileOptions::default());
        let Some(c) = converted(&d, &catalog, Dialect::DataFusion) else { continue };
        let Some((_, original)) = &c.pair else { panic!("{}: cannot be read\n{}", f.display(), c.text) };
        let tables = original.tables();
        let [table] = tables.as_slice() else { continue };
        let mut all = Vec::new();
        conditions(original, &mut all);
        let mut values = Pool::new();
        all.iter().for_each(|e| pool(e, &mut values));
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let rows: Vec<_> = (0..3000).map(|_| row(&values, &mut random)).collect();
        let wanted: BTreeSet<i64> = (0..rows.len() as i64)
            .filter(|i| {
                let look = |n: &str| rows[*i as usize].get(n).cloned().unwrap_or_default();
                all.iter().all(|e| e.eval(&look, &Context::default()).as_bool() == Some(true))
            })
            .collect();
        let got = found(&c.text, table, &rows, &catalog);
        let exact = c.losses.iter().all(|l| l.effect == tercel_convert::Effect::None);
        if exact && got != wanted {
            let i = *got.symmetric_difference(&wanted).next().expect("one");
            panic!("{}: {}\n{} {:#?}", f.display(), c.text, got.contains(&i), rows[i as usize]);
        }
        compared += usize::from(exact);
        hits += wanted.len();
        if let Some(out) = &mut cases {
            let duck = converted(&d, &catalog, Dialect::DuckDb).expect("a text");
            let columns: BTreeMap<&str, String> =
                values.iter().map(|(n, v)| (&**n, v.0.to_string())).collect();
            let rows: Vec<Vec<serde_json::Value>> =
                rows.iter().map(|r| r.values().map(Value::to_json).collect()).collect();
            let exact = duck.losses.iter().all(|l| l.effect == tercel_convert::Effect::None);
            let case = serde_json::json!({
                "rule": f.display().to_string(), "table": &**table, "sql": duck.text, "exact": exact,
                "columns": columns, "rows": rows, "wanted": wanted,
            });
            writeln!(out, "{case}").expect("written");
        }
    }
    println!("{compared} rules agree, {hits} events found");
    assert!(compared >= 8 && hits > 300, "{compared} {hits}");
}

/// Every rule of the pack, converted and run as SQL over the samples, finds as many events as the rule.
#[test]
fn the_pack_in_sql_finds_what_the_pack_finds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (pack, samples) = (root.join("detections"), root.join("samples/sysmon"));
    let (pack, samples) = (pack.display().to_string(), samples.display().to_string());
    let made = [
        "convert",
        &pack,
        "--to",
        "sql",
        "--dialect",
        "datafusion",
        "--schema",
        "native",
        "--format",
        "jsonl",
    ];
    let rules = common::tercel(&made);
    let hits = common::tercel(&["hunt", &samples, "-r", &pack, "--format", "jsonl"]).code(0).lines();
    let (mut compared, mut total) = (0, 0);
    for c in rules.lines().iter().filter(|c| c["fidelity"] == "exact") {
        let text = c["text"].as_str().expect("a text");
        if !text.contains("FROM Sysmon") {
            continue;
        }
        let found = common::with_input(
            &["query", "--lang", "sql", "--format", "jsonl", "-", &samples],
            text.as_bytes(),
        );
        let wanted = hits.iter().filter(|h| h["rule"] == c["rule"]).count();
        assert_eq!(found.code(0).lines().len(), wanted, "{text}");
        compared += 1;
        total += wanted;
    }
    assert!(compared >= 15 && total >= 10, "{compared} {total}");
}

/// Queries that group find the same rows in SQL.
#[test]
fn groups_in_sql_are_the_groups() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/defender").display().to_string();
    for query in [
        "DeviceProcessEvents | where isnotempty(FileName) | summarize N = count(), Machines = dcount(DeviceName) by FileName | where N >= 1 | sort by FileName asc",
        "DeviceNetworkEvents | where RemotePort > 0 | summarize Odd = countif(RemotePort > 1024), Most = max(RemotePort) by InitiatingProcessFileName | sort by InitiatingProcessFileName asc",
    ] {
        let wanted = common::with_input(
            &["query", "--lang", "kql", "--format", "jsonl", "-", &samples],
            query.as_bytes(),
        );
        let made =
            ["convert", "-", "--lang", "kql", "--to", "sql", "--dialect", "datafusion", "--format", "json"];
        let made = common::with_input(&made, query.as_bytes()).code(0).json();
        let text = made[0]["text"].as_str().expect("a text");
        assert_eq!(made[0]["fidelity"], "unproved");
        let found = common::with_input(
            &["query", "--lang", "sql", "--format", "jsonl", "-", &samples],
            text.as_bytes(),
        );
        let wanted = wanted.code(0).lines();
        assert!(wanted.len() > 1, "{query}");
        assert_eq!(found.code(0).lines(), wanted, "{text}");
    }
}
