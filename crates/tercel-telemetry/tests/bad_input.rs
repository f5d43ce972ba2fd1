//! Whatever is wrong with a file: one clear problem, no panic, and everything else is read.

use crate::common;

use std::io::Write;
use std::ops::ControlFlow;

use common::{Counter, shared};
use proptest::prelude::*;
use tercel_schema::Schemas;
use tercel_telemetry::{
    EventSink, Inputs, Place, ProblemKind, Progress, RawEvent, ReadOptions, ReadStats, Recogniser,
    read_bytes, read_bytes_with,
};

fn read_with(name: &str, bytes: &[u8], options: &ReadOptions) -> (ReadStats, Counter) {
    let mut sink = Counter { events: Some(Vec::new()), ..Counter::default() };
    let stats = read_bytes(name, bytes, &Schemas::builtin(), options, &mut sink);
    (stats, sink)
}

fn read(name: &str, bytes: &[u8]) -> (ReadStats, Counter) {
    read_with(name, bytes, &ReadOptions::default())
}

/// The only problem.
#[track_caller]
fn only(stats: &ReadStats) -> (ProblemKind, Option<Place>, u64, &str) {
    assert_eq!(stats.problems.len(), 1, "{:?}", stats.problems);
    let p = &stats.problems[0];
    (p.kind, p.place, p.count, &p.message)
}

#[test]
fn broken_lines_cost_only_themselves() {
    let text = b"{\"a\":1}\n{\"a\":\n\nnot json\n{\"a\":2}\n{\"a\":[1,}\n{\"a\":3";
    let (stats, _) = read("x.jsonl", text);
    assert_eq!(stats.events, 2);
    assert_eq!(stats.unparsed, 4);
    let (kind, place, count, message) = only(&stats);
    assert_eq!((kind, place, count), (ProblemKind::BadRecord, Some(Place::Line(2)), 4));
    assert_eq!(message, "the JSON text ends inside a record");
    assert_eq!(
        stats.problems[0].to_string(),
        "x.jsonl:2: the JSON text ends inside a record (4 such in this file)"
    );
    let (stats, _) = read("x.jsonl", b"{\"a\":1}\n{\"a\":3");
    assert_eq!(only(&stats).3, "the file ends inside a record");
}

#[test]
fn broken_records_over_several_lines() {
    let text = "[\n  {\n    \"a\": 1\n  },\n  {\n    \"a\": {\n      \"b\": oops\n    }\n  },\n  {\n    \"a\": 3\n  }\n]\n";
    let (stats, _) = read("x.json", text.as_bytes());
    assert_eq!((stats.events, stats.unparsed), (2, 1));
    assert_eq!(only(&stats).1, Some(Place::Line(5)));
    // Objects one after another, arrays in arrays, commas or none.
    for text in [
        "{\n\"a\":1\n}{\"a\":2}\n\n{\"a\":3}",
        "[{\"a\":1},{\"a\":2},\n{\"a\":3}]",
        "[[{\"a\":1}],[{\"a\":2},{\"a\":3}]]",
        "{\"a\":1}{\"a\":2} {\"a\":3}",
    ] {
        let (stats, _) = read("x.json", text.as_bytes());
        assert_eq!((stats.events, stats.problems.len()), (3, 0), "{text}");
    }
    let (stats, _) = read("x.json", b"[{\"a\":1},{\"a\"");
    assert_eq!((stats.events, only(&stats).3), (1, "the file ends inside a record"));
    let (stats, _) = read("x.json", b"[{\"a\":1},{\"a\" 7},{\"a\":3}]");
    assert_eq!(stats.events, 1);
    assert_eq!(stats.problems.len(), 2);
    assert_eq!(stats.problems[1].kind, ProblemKind::BrokenOff);
}

#[test]
fn long_records_are_skipped() {
    let long = "x".repeat(20 << 20);
    let text = format!("{{\"a\":1}}\n{{\"a\":\"{long}\"}}\n{{\"a\":2}}\n");
    for name in ["x.jsonl", "x.log"] {
        let (stats, _) = read(name, text.as_bytes());
        assert_eq!(stats.events, 2);
        assert_eq!((only(&stats).0, only(&stats).1), (ProblemKind::TooLong, Some(Place::Line(2))));
    }
    let options = ReadOptions { max_record: 1000, ..ReadOptions::default() };
    let array = format!("[\n{{\"a\":\"{}\"}},\n{{\"a\":1}}]", "x".repeat(100_000));
    let (stats, _) = read_with("x.json", array.as_bytes(), &options);
    assert_eq!((stats.events, only(&stats).0), (1, ProblemKind::TooLong));
    let csv = format!("a,b\n1,\"{}\n2,3\n", "x".repeat(2_000_000));
    let (stats, _) = read_with("x.csv", csv.as_bytes(), &options);
    assert_eq!((stats.events, only(&stats).0), (1, ProblemKind::TooLong));
}

#[test]
fn deep_json() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{{\"a\":{}1{}}}\n{{\"a\":1}}\n", open.repeat(10_000), close.repeat(10_000));
        let (stats, _) = read("x.jsonl", deep.as_bytes());
        assert_eq!(stats.events, 1);
        assert_eq!(only(&stats).3, "JSON nested deeper than 120 levels");
    }
    // Deep, but in bounds; and deep inside a string that is opened later.
    let inner = format!("{{\\\"a\\\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let row = format!(
        "{{\"Type\":\"WindowsEvent\",\"TenantId\":\"t\",\"EventID\":3,\"Provider\":\"p\",\"EventData\":\"{inner}\"}}"
    );
    let (stats, _) = read("x.jsonl", row.as_bytes());
    assert_eq!((stats.events, stats.problems.len()), (1, 0));
    let ecs = format!("{{\"winlog\":{}{{\"channel\":\"x\"}}{}}}", "{\"a\":".repeat(100), "}".repeat(100));
    let (stats, _) = read("x.jsonl", ecs.as_bytes());
    assert_eq!(stats.events, 1);
}

#[test]
fn bytes_that_are_no_text() {
    let (stats, sink) = read("x.jsonl", b"{\"a\":\"caf\xe9\"}\n{\"a\":2}\n");
    assert_eq!((stats.events, stats.unparsed), (2, 0));
    assert_eq!((only(&stats).0, only(&stats).1), (ProblemKind::InvalidUtf8, Some(Place::Line(1))));
    assert_eq!(sink.events.unwrap()[0], "{\"a\":\"caf\u{FFFD}\"}");
    let (stats, sink) = read("x.jsonl", b"{\"a\":\"x\0y\"}\n\0\0\n{\"a\":2}\n");
    assert_eq!((stats.events, stats.unparsed), (2, 1));
    assert_eq!(sink.events.unwrap()[0], "{\"a\":\"x\\u0000y\"}");
    let (stats, _) = read("x.bin", &[0; 5000]);
    assert_eq!((stats.events, only(&stats).0), (0, ProblemKind::Skipped));
    let (stats, _) = read("x.csv", b"a,b\n\xff\xfe,1\n");
    assert_eq!((stats.events, only(&stats).0), (1, ProblemKind::InvalidUtf8));
}

#[test]
fn broken_csv() {
    let (stats, _) = read("x.csv", b"a,b\n1,2\n1,2,3\n\n4\n\"never closed,5\n6,7\n");
    assert_eq!((stats.events, stats.unparsed), (3, 2));
    assert_eq!(
        (only(&stats).0, only(&stats).1, only(&stats).2),
        (ProblemKind::BadRecord, Some(Place::Line(3)), 2)
    );
}

#[test]
fn broken_zeek() {
    let (stats, _) = read("x.log", b"#separator \\x09\n#path\tconn\n#fields\tts\tuid\n#types\ttime\tstring\n1.5\tC\n1.5\n1.5\tC\tD\nnan\tC\\x41\n");
    assert_eq!((stats.events, stats.unparsed), (2, 2));
    assert_eq!(only(&stats).1, Some(Place::Line(6)));
}

#[test]
fn compressed_files() {
    let text = "{\"a\":1}\n".repeat(1000);
    let gz = |t: &str| {
        let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        e.write_all(t.as_bytes()).unwrap();
        e.finish().unwrap()
    };
    let zst = |t: &str| zstd::encode_all(t.as_bytes(), 1).unwrap();
    for members in [[gz(&text), gz(&text)], [zst(&text), zst(&text)]] {
        // Several members, and one that is cut.
        let whole = members.concat();
        let (stats, _) = read("x", &whole);
        assert_eq!((stats.events, stats.problems.len()), (2000, 0));
        let (stats, _) = read("x", &whole[..whole.len() - 9]);
        assert!(stats.events >= 1000, "{}", stats.events);
        assert_eq!(stats.problems.last().map(|p| p.kind), Some(ProblemKind::BrokenOff));
        // Damaged in the middle of the second.
        let mut damaged = whole.clone();
        let at = members[0].len() + members[1].len() / 2;
        damaged[at] ^= 0x55;
        let (stats, _) = read("x", &damaged);
        assert!(stats.events >= 1000);
    }
    let (stats, _) = read("x.gz", &gz(&String::from_utf8_lossy(&gz("a"))));
    assert_eq!(only(&stats).0, ProblemKind::Skipped);
    let (stats, _) = read("x.gz", &[0x1f, 0x8b, 8, 0, 0]);
    assert_eq!((stats.events, stats.problems.len()), (0, 1));
}

#[test]
fn a_bomb_is_stopped() {
    let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let block = "{\"a\":1}\n".repeat(8192);
    for _ in 0..512 {
        e.write_all(block.as_bytes()).unwrap();
    }
    let bomb = e.finish().unwrap();
    let options = ReadOptions { expansion_floor: 1 << 20, max_expansion: 100, ..ReadOptions::default() };
    let (stats, _) = read_with("x.gz", &bomb, &options);
    let (kind, _, _, message) = only(&stats);
    assert_eq!(kind, ProblemKind::BrokenOff);
    assert!(message.contains("expands more than 100-fold"), "{message}");
    assert!(stats.events < 1_000_000);
}

#[test]
fn paths_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let at = |n: &str| dir.path().join(n).to_str().unwrap().to_owned();
    std::fs::write(at("b.jsonl"), "{\"a\":1}\n").unwrap();
    std::fs::write(at("a.json"), "{\"a\":1}").unwrap();
    std::fs::write(at("README.md"), "# Words, and more words\n\nText.\n").unwrap();
    std::fs::write(at("rule.yml"), "title: x\nid: 1\n").unwrap();
    std::fs::write(at("empty.json"), "").unwrap();
    std::fs::create_dir(at("sub")).unwrap();
    std::fs::create_dir(at(".git")).unwrap();
    std::fs::write(at(".git/config.json"), "{}").unwrap();
    std::fs::write(at("sub/c.jsonl"), "{\"a\":1}\n").unwrap();
    let inputs = Inputs::open(
        &[
            dir.path().to_str().unwrap().to_owned(),
            at("missing.json"),
            at("*.nothing"),
            at("sub/*.jsonl"),
            at("["),
        ],
        &ReadOptions::default(),
    );
    let files: Vec<&str> = inputs.files().iter().map(|f| f.name.rsplit('/').next().unwrap()).collect();
    assert_eq!(files, ["a.json", "b.jsonl", "c.jsonl"]);
    let problems: Vec<(String, ProblemKind)> =
        inputs.problems().iter().map(|p| (p.file.rsplit('/').next().unwrap().to_owned(), p.kind)).collect();
    use ProblemKind::{Skipped, Unreadable};
    for expected in [
        ("README.md", Skipped),
        ("rule.yml", Skipped),
        ("empty.json", Skipped),
        (".git", Skipped),
        ("missing.json", Unreadable),
        ("*.nothing", Unreadable),
        ("[", Unreadable),
    ] {
        assert!(problems.contains(&(expected.0.to_owned(), expected.1)), "{expected:?} in {problems:?}");
    }
    assert_eq!(problems.len(), 7);

    // Named itself, a text can be read.
    let options = ReadOptions { text: true, ..ReadOptions::default() };
    let inputs = Inputs::open(&[at("README.md")], &options);
    assert_eq!(&*inputs.files()[0].stem, "README_md");
    assert_eq!(Inputs::open(&[at("README.md")], &ReadOptions::default()).problems()[0].kind, Skipped);
}

#[cfg(unix)]
#[test]
fn folders_without_permission() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let locked = dir.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::write(dir.path().join("a.jsonl"), "{\"a\":1}\n").unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read_dir(&locked).is_ok() {
        return eprintln!("skipped: folders without permission, because this user may read everything");
    }
    let inputs = Inputs::open(&[dir.path().to_str().unwrap().to_owned()], &ReadOptions::default());
    assert_eq!((inputs.files().len(), inputs.problems().len()), (1, 1));
    assert_eq!(inputs.problems()[0].message, "permission denied");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_reading_can_be_ended() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..20 {
        std::fs::write(
            dir.path().join(format!("{i}.jsonl")),
            "{\"EventID\":1,\"Channel\":\"x\"}\n".repeat(500_000),
        )
        .unwrap();
    }
    let inputs = Inputs::open(
        &[dir.path().to_str().unwrap().to_owned()],
        &ReadOptions { threads: 3, ..ReadOptions::default() },
    );
    let demand = tercel_telemetry::Demand::new(vec![tercel_telemetry::TableDemand {
        table: "WindowsEvents".into(),
        columns: vec![],
        hidden: tercel_telemetry::HiddenColumns { record: true, ..Default::default() },
    }]);
    let schemas = Schemas::builtin();
    let mut batches = 0;
    let stats = inputs.read(
        &schemas,
        &demand,
        &mut |_| {
            batches += 1;
            if batches == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
        &Progress::new(),
    );
    assert_eq!(batches, 3);
    assert!(stats.events < 9_000_000);
    let progress = Progress::new();
    let stats = inputs.read(
        &schemas,
        &demand,
        &mut |_| {
            progress.cancel();
            ControlFlow::Continue(())
        },
        &progress,
    );
    assert!(stats.events < 9_000_000);
}

/// Counts without keeping.
struct Count(u64);

impl EventSink for Count {
    fn wants(&mut self, _: &tercel_ir::Name) -> bool {
        true
    }
    fn wants_text(&self) -> bool {
        true
    }
    fn event(&mut self, e: &RawEvent<'_>) -> ControlFlow<()> {
        let _ = e.time();
        let mut scratch = String::new();
        for f in e.fields {
            let _ = tercel_telemetry::typing::bool(&f.value);
            let _ = tercel_telemetry::typing::long(&f.value);
            let _ = tercel_telemetry::typing::real(&f.value);
            let _ = tercel_telemetry::typing::datetime(&f.value);
            let _ = tercel_telemetry::typing::timespan(&f.value);
            let _ = tercel_telemetry::typing::dynamic(&f.value, &mut scratch);
            let _ = tercel_telemetry::typing::suggest(&f.value);
        }
        self.0 += 1;
        ControlFlow::Continue(())
    }
}

#[test]
fn damaged_event_logs() {
    let Some(folder) = shared("telemetry/evtx") else {
        return eprintln!("skipped: damaged event logs, because ../shared/telemetry is absent");
    };
    let inputs = Inputs::open(&[folder.to_str().unwrap().to_owned()], &ReadOptions::default());
    // A log of several chunks, and a few small ones.
    let mut files: Vec<_> = inputs.files().iter().collect();
    files.sort_by_key(|f| f.size);
    let big =
        files.iter().rfind(|f| f.size > 4 * 65536 && f.size < 2 << 20).expect("a log of several chunks");
    let schemas = Schemas::builtin();
    let mut recogniser = Recogniser::new(&schemas, None);
    let options = ReadOptions::default();
    let mut count = |bytes: &[u8]| {
        let mut sink = Count(0);
        let stats = read_bytes_with(&mut recogniser, "x.evtx", bytes, &options, &mut sink);
        (sink.0, stats)
    };
    let bytes = std::fs::read(&*big.name).unwrap();
    let (all, _) = count(&bytes);
    let mut last = 0;
    for cut in (4096..bytes.len()).step_by(65536) {
        for cut in [cut, cut + 1, cut + 512, cut + 40_000] {
            let cut = cut.min(bytes.len());
            let (n, stats) = count(&bytes[..cut]);
            assert!(n <= all && (n >= last || cut % 65536 != 4096), "{n} events of {all} up to {cut}");
            if cut < bytes.len() && n < all {
                assert_eq!(
                    stats.problems.iter().filter(|p| p.kind == ProblemKind::BrokenOff).count(),
                    1,
                    "{cut}"
                );
            }
            last = last.max(n);
        }
    }
    // A chunk that is wiped costs its own events only.
    let mut wiped = bytes.clone();
    wiped[4096 + 65536..4096 + 65536 + 200].fill(0xff);
    let (n, stats) = count(&wiped);
    assert!(n > 0 && n < all);
    assert_eq!(stats.problems.len(), 1);
    assert_eq!(stats.problems[0].place, Some(Place::Chunk(1)));
    // Random damage, always the same.
    let mut state = 0x1234_5678_9abc_def0u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for file in files.iter().step_by(6) {
        let bytes = std::fs::read(&*file.name).unwrap();
        for _ in 0..6 {
            let mut b = bytes.clone();
            for _ in 0..1 + random(40) {
                let at = random(b.len());
                b[at] = random(256) as u8;
            }
            // Damage where records are, too.
            for _ in 0..20 {
                let at = 4096 + 512 + random(3000);
                if at < b.len() {
                    b[at] = random(256) as u8;
                }
            }
            b.truncate(b.len() - random(b.len() / 2));
            count(&b);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), name in "x\\.(csv|json|log|evtx)") {
        let schemas = Schemas::default();
        read_bytes(&name, &bytes, &schemas, &ReadOptions::default(), &mut Count(0));
    }

    #[test]
    fn text_that_is_nearly_right_never_panics(
        start in prop::sample::select(vec!["{\"Event\":{\"System\":", "{\"EventID\":3,\"Channel\":", "{\"event_id\":1,\"event_data\":", "{\"winlog\":", "[{\"Type\":\"Event\",\"TenantId\":1,\"EventData\":", "a,b,c\n", "#separator \\x09\n#fields\ta\tb\n", "{\"category\":\"AdvancedHunting-X\",\"properties\":", "{\"records\":[", "{\"ts\":1,\"_path\":", "{\"ReportId\":1,\"Timestamp\":"]),
        rest in "(\\{|\\}|\\[|\\]|\"|:|,|\\\\|\n|\r|\t|[0-9a-fE.-]|é|\"Data\":|\"System\":|#text|<Event>|</Data>|null|true){0,40}",
        cut in any::<prop::sample::Index>(),
    ) {
        let text = format!("{start}{rest}");
        let schemas = Schemas::default();
        read_bytes("x.json", text.as_bytes(), &schemas, &ReadOptions::default(), &mut Count(0));
        read_bytes("x.csv", &text.as_bytes()[..cut.index(text.len() + 1)], &schemas, &ReadOptions::default(), &mut Count(0));
    }

    #[test]
    fn event_log_shaped_bytes_never_panic(head in prop::collection::vec(any::<u8>(), 0..600), body in prop::collection::vec(any::<u8>(), 0..3000)) {
        let mut bytes = b"ElfFile\0".to_vec();
        bytes.resize(4096, 0);
        bytes.extend_from_slice(b"ElfChnk\0");
        bytes.extend_from_slice(&head);
        bytes.resize(4096 + 512, 0);
        bytes.extend_from_slice(&[0x2a, 0x2a, 0, 0]);
        bytes.extend_from_slice(&body);
        let schemas = Schemas::default();
        read_bytes("x.evtx", &bytes, &schemas, &ReadOptions::default(), &mut Count(0));
    }
}
