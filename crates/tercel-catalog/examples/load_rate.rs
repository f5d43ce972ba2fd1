//! How long it takes to read, parse and lower a folder of rules: `load_rate FOLDER [ROUNDS]`.

use std::time::Instant;
use tercel_catalog::{CompileOptions, LoadOptions, compile_all, load};
use tercel_schema::{SchemaCatalog, Schemas};

fn main() {
    let mut args = std::env::args().skip(1);
    let Some(folder) = args.next() else {
        eprintln!("load_rate FOLDER [ROUNDS]");
        return;
    };
    let rounds: usize = args.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for _ in 0..rounds {
        let start = Instant::now();
        let mut loaded = load(std::slice::from_ref(&folder), LoadOptions::default());
        let read = start.elapsed();
        let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
        let anywhere = SchemaCatalog::new(Schemas::builtin(), Vec::new());
        let ready = start.elapsed();
        compile_all(&mut loaded.detections, &catalog, &anywhere, &CompileOptions::default(), threads);
        let all = start.elapsed();
        let ran = loaded.detections.iter().filter(|d| d.rel.is_some()).count();
        println!(
            "{} detections, {ran} compiled: read and parse {:.1} ms, catalog {:.1} ms, lower {:.1} ms, all {:.1} ms",
            loaded.detections.len(),
            read.as_secs_f64() * 1e3,
            (ready - read).as_secs_f64() * 1e3,
            (all - ready).as_secs_f64() * 1e3,
            all.as_secs_f64() * 1e3,
        );
    }
}
