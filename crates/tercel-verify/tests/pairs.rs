//! Pairs of filters with the relation that a person worked out, and events that try to prove it wrong.

use crate::support;

use support::{Events, Random, fires, formulas, rel};
use tercel_verify::{Budget, Relation, compare};

#[derive(serde::Deserialize)]
struct File {
    pair: Vec<Pair>,
}

#[derive(serde::Deserialize)]
struct Pair {
    a: String,
    b: String,
    is: String,
}

fn mirrored(r: Relation) -> Relation {
    match r {
        Relation::Subset => Relation::Superset,
        Relation::Superset => Relation::Subset,
        r => r,
    }
}

#[test]
fn pairs_relate_as_expected() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pairs");
    let mut files: Vec<_> = std::fs::read_dir(dir).expect("pairs").flatten().map(|e| e.path()).collect();
    files.sort();
    let (mut count, mut wrong) = (0, Vec::new());
    let attacks: usize = std::env::var("TERCEL_ATTACKS").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000);
    let budget = Budget { time: std::time::Duration::from_secs(20), ..Budget::default() };
    for f in files {
        let name = f.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&f).expect("readable");
        let file: File = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        for p in file.pair {
            count += 1;
            let (a, b) = (rel(&p.a), rel(&p.b));
            let c = compare(&a, &b, &budget);
            if c.relation.as_str() != p.is {
                wrong.push(format!(
                    "{name}: {}  ~  {}\n    is {} not {}; {:?} {:?}",
                    p.a,
                    p.b,
                    c.relation.as_str(),
                    p.is,
                    c.reason,
                    c.witnesses.iter().map(|w| (w.first, w.second, &w.event.values)).collect::<Vec<_>>()
                ));
                continue;
            }
            let back = compare(&b, &a, &budget).relation;
            if back != mirrored(c.relation) {
                wrong.push(format!("{name}: {} ~ {}: mirrored it is {back:?}", p.a, p.b));
            }
            if c.relation == Relation::Unknown {
                continue;
            }
            // Events that say otherwise?
            let (fa, fb) = (formulas(&p.a), formulas(&p.b));
            // One event is of one table.
            if fa.iter().chain(&fb).any(|f| f.table != fa[0].table) {
                continue;
            }
            let events = Events::of(&[&fa, &fb]);
            let mut r = Random(count as u64);
            let mut last = events.event(&mut r);
            for _ in 0..attacks {
                let e = if r.below(3) == 0 { events.event(&mut r) } else { events.near(&last, &mut r) };
                let (x, y) = (fires(&fa, &e), fires(&fb, &e));
                let refuted = match c.relation {
                    Relation::Equal => x != y,
                    Relation::Subset => x && !y,
                    Relation::Superset => y && !x,
                    Relation::Disjoint => x && y,
                    _ => false,
                };
                if refuted {
                    wrong.push(format!("{name}: {} ~ {}: {} refuted by {e:?}", p.a, p.b, p.is));
                    break;
                }
                if x || y {
                    last = e;
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 60, "only {count} pairs");
}
