//! Explanations of public rules, when they are there: what is said agrees with the oracle, and following
//! the way to a hit makes one.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::PathBuf;
use tercel_ir::function::Context;
use tercel_ir::{Name, Value};
use tercel_rules::dumb;
use tercel_rules::explain::{Event, Style, explain, outline};
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_telemetry::{EventText, RawValue};

/// The rule files of the public corpus, or nothing (and a word why) when it is not there.
fn corpus() -> Vec<(String, String)> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora/sigma/sigma-rules.tar.zst");
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: no public rules beside the repository, because they are not ours to ship");
        return Vec::new();
    };
    let mut bytes = Vec::new();
    zstd::stream::read::Decoder::new(file).and_then(|mut d| d.read_to_end(&mut bytes)).unwrap();
    let text = |h: &[u8]| {
        String::from_utf8_lossy(&h[..h.iter().position(|b| *b == 0).unwrap_or(h.len())]).into_owned()
    };
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + 512).filter(|h| h[0] != 0) {
        let size = usize::from_str_radix(text(&header[124..136]).trim(), 8).unwrap();
        let content = &bytes[at + 512..at + 512 + size];
        at += 512 + size.div_ceil(512) * 512;
        let name = text(&header[..100]);
        if matches!(header[156], b'0' | 0) && name.ends_with(".yml") {
            out.push((name, String::from_utf8_lossy(content).into_owned()));
        }
    }
    out
}

fn raw(v: &Value) -> RawValue<'_> {
    match v {
        Value::Null => RawValue::Null,
        Value::Bool(b) => RawValue::Bool(*b),
        Value::Long(n) => RawValue::Long(*n),
        Value::Real(r) => RawValue::Real(*r),
        Value::DateTime(t) => RawValue::Time(*t),
        Value::Str(s) => RawValue::Text(s),
        other => panic!("no example is {other:?}"),
    }
}

#[test]
fn the_way_to_a_hit_leads_to_one() {
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let ctx = Context::default();
    let (mut rules, mut described, mut reached, mut steps) = (0, 0, 0, 0);
    let mut stuck: BTreeMap<String, usize> = BTreeMap::new();
    for (name, text) in corpus() {
        if !name.contains("rules") {
            continue;
        }
        for d in &tercel_sigma::parse(&text).0.documents {
            let tercel_sigma::Document::Rule(rule) = d else { continue };
            let (Some(rel), _) = tercel_sigma::lower(rule, &catalog, &Default::default()) else { continue };
            rules += 1;
            let Ok(o) = outline(&rel, &text) else { panic!("{name}") };
            assert!(o.render(Style::Unicode).len() > 10, "{name}");
            described += 1;
            let tables: BTreeSet<String> = o.sources.iter().map(|s| s.table.clone()).collect();
            let mut hit = false;
            for table in tables {
                let mut event: BTreeMap<String, Value> = BTreeMap::new();
                for _ in 0..6 {
                    let row = |n: &str| event.get(n).cloned().unwrap_or_default();
                    let e = explain(&rel, &text, &Event { table: &table, row: &row }).unwrap();
                    // Keywords look at the whole text.
                    let whole = event.get("$event").map(|v| v.text()).unwrap_or_default();
                    let fields: Vec<(Name, RawValue<'_>)> =
                        event.iter().map(|(n, v)| (n.as_str().into(), raw(v))).collect();
                    let dumb = dumb::Event {
                        table: &table,
                        fields: &fields,
                        time: None,
                        source: "",
                        record: 0,
                        text: EventText::Written(&whole),
                    };
                    let hits = !dumb::rows_of(&rel, &dumb, &ctx).is_empty();
                    assert_eq!(e.hit, hits, "{name}: {table}: {event:?}\n{}", e.render(Style::Unicode));
                    steps += 1;
                    hit |= e.hit;
                    let Some(way) = e.best.map(|b| &e.ways[b]).filter(|w| !w.hit) else { break };
                    let Some(repair) = &way.repair else {
                        *stuck.entry("no event can".into()).or_default() += 1;
                        break;
                    };
                    let before = event.clone();
                    for c in repair {
                        if let Some(x) = &c.example {
                            event.insert(x.column.clone(), x.value.clone());
                        }
                    }
                    if event == before {
                        let what = &repair[0].words;
                        let what = what.split(" would have to ").nth(1).unwrap_or(what);
                        let what: Vec<&str> = what.split(" ").take(1).collect();
                        *stuck.entry(what.join(" ")).or_default() += 1;
                        break;
                    }
                }
            }
            reached += usize::from(hit);
        }
    }
    println!("{rules} rules, {described} described, {reached} led to a hit, in {steps} explanations");
    println!("where no example could be named: {stuck:?}");
    if rules > 0 {
        assert!(reached * 10 >= rules * 7, "{reached} of {rules}");
    }
}
