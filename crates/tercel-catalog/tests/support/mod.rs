//! What the tests with whole rule sets share: rules, data, and three ways from one to the other — the
//! evaluation of relations event by event, the rule-set program, and one plan a rule in the engine.

#![allow(dead_code, reason = "every test file uses a part of it")]

pub mod alone;
/// Reads the archive of public rules.
#[path = "../../../tercel-sigma/tests/common/mod.rs"]
mod archive;
pub mod dumb;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tercel_catalog::{CompileOptions, Detection, LoadOptions, Loaded, load};
use tercel_engine::{HuntPlan, Options, Telemetry, hunt};
use tercel_ir::function::Context;
use tercel_ir::{Name, Rel};
use tercel_rules::{Limits, Matcher, Out, RuleSet, Want};
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_telemetry::{Inputs, Progress, ReadOptions};

/// Data that is not part of the repository; says so where it is absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if !at.exists() {
        println!("skipped: needs `{path}`, because it is not ours to ship and not beside this repository");
        return None;
    }
    Some(at)
}

/// All public rules, in a folder that goes away with the value.
pub fn corpus() -> Option<tempfile::TempDir> {
    let files = archive::corpus();
    if files.is_empty() {
        return None;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        std::fs::write(path, text).expect("it can be written");
    }
    Some(folder)
}

/// Inputs with what a survey found in them.
pub struct World {
    pub inputs: Inputs,
    pub catalog: SchemaCatalog,
    pub present: Vec<Name>,
}

impl World {
    pub fn open(paths: &[PathBuf], threads: usize) -> World {
        let paths: Vec<String> = paths.iter().map(|p| p.to_str().expect("UTF-8").to_string()).collect();
        let options = ReadOptions { threads, ..ReadOptions::default() };
        let inputs = Inputs::open(&paths, &options);
        let survey = inputs.survey(&Schemas::builtin());
        let present = survey.tables.iter().map(|t| t.name.clone()).collect();
        World { catalog: SchemaCatalog::new(Schemas::builtin(), survey.tables), inputs, present }
    }
}

/// Hits by rule (its place in the list), file and record, with how often each occurred.
pub type Hits = BTreeMap<(usize, String, i64), usize>;

/// Rules as loaded.
pub fn rules(paths: &[PathBuf]) -> Loaded {
    let paths: Vec<String> = paths.iter().map(|p| p.to_str().expect("UTF-8").to_string()).collect();
    let loaded = load(&paths, LoadOptions::default());
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    loaded
}

/// Compiles rules for the data at hand.
pub fn compile(detections: &mut [Detection], world: &World) {
    let anywhere = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    for d in detections {
        d.compile_for(&world.catalog, &anywhere, CompileOptions::default());
    }
}

/// The hits of relations by the rule-set program, and what it leaves to the engine with the reasons.
pub fn by_program(rels: &[(usize, Rel)], world: &World) -> (Hits, Vec<(usize, String)>) {
    let wanted: Vec<_> = rels.iter().map(|(id, rel)| (*id, rel, Want::PLACE)).collect();
    let (set, left) = RuleSet::compile(&wanted, &Context::default(), Limits::default());
    let set = Arc::new(set);
    let mut hits = Hits::new();
    let mut deliver = |out: Out| {
        for h in out.hits {
            *hits.entry((h.rule, h.source.to_string(), h.record)).or_default() += 1;
        }
        ControlFlow::Continue(())
    };
    let make = || Matcher::new(set.clone());
    world.inputs.feed(world.catalog.schemas(), &make, &mut deliver, &Progress::new());
    (hits, left.into_iter().map(|(id, why)| (id, why.to_string())).collect())
}

/// The hits of relations, one plan each, all in one pass of the engine. What failed is given back in words.
pub fn by_engine(rels: &[(usize, Rel)], world: &World) -> (Hits, Vec<String>) {
    let progress = Progress::new();
    let source =
        Telemetry::new(&world.inputs, world.catalog.schemas(), world.present.iter().cloned(), &progress);
    let plans = rels.iter().map(|(id, rel)| HuntPlan { id: *id, rel: rel.clone() }).collect();
    let mut hits = Hits::new();
    let mut failed = Vec::new();
    let stats = hunt(plans, &source, &Options::default(), &mut |hit| {
        match hit.provenance() {
            Some(p) => {
                let key = (hit.plan, p.source.unwrap_or_default(), p.record.unwrap_or(-1));
                *hits.entry(key).or_default() += 1;
            }
            None => failed.push(format!("rule {} has hits without an event", hit.plan)),
        }
        ControlFlow::Continue(())
    })
    .unwrap_or_else(|e| panic!("{e}"));
    failed.extend(stats.plans.iter().filter_map(|p| Some(format!("rule {}: {}", p.id, p.error.as_ref()?))));
    (hits, failed)
}
