//! Hostile and broken input: one clear error each, no panic, and the rest goes on.

use crate::common;
use common::{KQL, SIGMA, command, events, folder, path, run, tercel, with_input};

#[test]
fn deep_queries_are_refused() {
    let deep = format!("print x = {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    let r = with_input(&["query", "-"], deep.as_bytes()).code(2);
    assert_eq!(r.err.matches("error[").count(), 1, "{}", r.err);
    let r = with_input(&["lint", "--lang", "kql", "--syntax-only", "-"], deep.as_bytes()).code(1);
    assert_eq!(r.out.matches("error[").count(), 1, "{}", r.out);
    let deep = format!("_index=a | where {}1{} = 1", "(".repeat(10_000), ")".repeat(10_000));
    with_input(&["query", "--lang", "sumo", "-"], deep.as_bytes()).code(2);
    let deep = format!(
        "title: a\nlogsource:\n  product: windows\ndetection:\n  s: {}\n  condition: s\n",
        "[".repeat(10_000)
    );
    let r = with_input(&["lint", "--lang", "sigma", "-"], deep.as_bytes()).code(1);
    assert!(r.out.matches("error[").count() <= 2, "{}", r.out);
    let deep = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    with_input(&["query", "--lang", "sql", "-"], deep.as_bytes()).code(2);
}

#[test]
fn rules_that_are_none() {
    let dir = folder(&[
        ("a.yml", "title: [\n  nothing: closes it"),
        ("b.kql", KQL),
        ("README.md", "# rules"),
        ("e.jsonl", &events()),
    ]);
    let data = path(&dir, "e.jsonl");
    let all = dir.path().to_str().unwrap();
    let r = tercel(&["hunt", &data, "-r", all]).code(0);
    assert_eq!(r.lines().len(), 1, "the other rule runs");
    assert_eq!(r.errors(), 1, "{}", r.err);
    assert!(r.err.contains("2 loaded, 1 ran, 1 skipped"), "{}", r.err);
    // Alone, there is nothing to run.
    tercel(&["hunt", &data, "-r", &path(&dir, "a.yml")]).code(2);
    std::fs::write(dir.path().join("c.kql"), b"T | where a == '\xff'").unwrap();
    let r = tercel(&["lint", &path(&dir, "c.kql")]).code(2);
    assert!(r.err.contains("not UTF-8"), "{}", r.err);
    std::fs::write(dir.path().join("d.kql"), b"T\0").unwrap();
    assert!(tercel(&["lint", &path(&dir, "d.kql")]).code(2).err.contains("NUL byte"));
    // A byte order mark is none of the rule's business.
    std::fs::write(dir.path().join("e.yml"), format!("\u{feff}{SIGMA}")).unwrap();
    tercel(&["lint", &path(&dir, "e.yml")]).code(0);
    assert!(tercel(&["lint", &path(&dir, "gone.yml")]).code(2).err.contains("no such file"));
    assert!(tercel(&["lint", &format!("{all}/*.nothing")]).code(2).err.contains("no file matches"));
}

#[test]
fn a_rule_of_100_mb() {
    let dir = folder(&[("b.kql", KQL), ("e.jsonl", &events())]);
    let big = std::fs::File::create(dir.path().join("a.yml")).unwrap();
    big.set_len(100 << 20).unwrap();
    let r = tercel(&["hunt", &path(&dir, "e.jsonl"), "-r", &path(&dir, "a.yml"), "-r", &path(&dir, "b.kql")])
        .code(2);
    assert_eq!(r.lines().len(), 1, "the other rule runs");
    assert!(r.err.contains("too large for a rule (100 MB"), "{}", r.err);
    assert_eq!(r.errors(), 1, "{}", r.err);
}

#[test]
fn duplicate_ids_are_named_and_both_run() {
    let dir = folder(&[("a.yml", SIGMA), ("b.yml", SIGMA), ("e.jsonl", &events())]);
    let r = tercel(&["hunt", &path(&dir, "e.jsonl"), "-r", &path(&dir, "*.yml")]).code(0);
    assert_eq!(r.lines().len(), 2);
    let warning =
        r.err.lines().find(|l| l.starts_with("warning[duplicate-id]")).unwrap_or_else(|| panic!("{}", r.err));
    assert!(warning.contains("a.yml:1") && warning.contains("b.yml:1"), "{warning}");
}

#[test]
fn data_that_is_missing_or_broken() {
    let half = format!("{}{{\"EventID\":3,\"Image", events());
    let dir =
        folder(&[("a.yml", SIGMA), ("half.jsonl", &half), ("empty.jsonl", ""), ("good.jsonl", &events())]);
    let rule = path(&dir, "a.yml");
    let hunt = |data: &[&str]| {
        let mut args = vec!["hunt"];
        args.extend(data);
        args.extend(["-r", &rule]);
        tercel(&args)
    };
    // Half a line: the rest counts, and the footer says which was lost.
    let r = hunt(&[&path(&dir, "half.jsonl")]).code(0);
    assert_eq!(r.lines().len(), 1);
    assert!(r.err.contains("unparsed") && r.err.contains("half.jsonl"), "{}", r.err);
    // A file that is not there: the others are read; it was asked for, so the exit code says so.
    let r = hunt(&[&path(&dir, "gone.jsonl"), &path(&dir, "good.jsonl")]).code(2);
    assert_eq!(r.lines().len(), 1);
    assert!(r.err.contains("gone.jsonl"), "{}", r.err);
    let r = hunt(&[&path(&dir, "gone.jsonl")]).code(2);
    assert!(r.out.is_empty() && r.err.contains("gone.jsonl"), "{}", r.err);
    let r = hunt(&[&path(&dir, "empty.jsonl"), &path(&dir, "good.jsonl")]).code(0);
    assert_eq!(r.lines().len(), 1);
    assert!(r.err.contains("empty"), "{}", r.err);
    // NUL bytes, invalid UTF-8 and JSON of 10,000 levels among good lines.
    let mut mixed = events().into_bytes();
    mixed.extend(b"\0\0\0\n{\"Image\":\"\xff\"}\n");
    mixed.extend(format!("{}{}\n", "[".repeat(10_000), "]".repeat(10_000)).bytes());
    mixed.extend(format!("{{\"a\":{}1{}}}\n", "[".repeat(10_000), "]".repeat(10_000)).bytes());
    mixed.extend(events().bytes());
    std::fs::write(dir.path().join("mixed.jsonl"), &mixed).unwrap();
    let r = hunt(&[&path(&dir, "mixed.jsonl")]).code(0);
    assert_eq!(r.lines().len(), 2, "{}", r.err);
}

#[test]
fn a_compressed_file_cut_short() {
    let line = |n: u32| {
        common::connection(n % 60, r"C:\Windows\System32\curl.exe", "203.0.113.7", 443, n * 7919) + "\n"
    };
    let text: String = (0..8_000).map(line).collect();
    let mut packed = zstd::encode_all(text.as_bytes(), 3).unwrap();
    packed.truncate(packed.len() / 2);
    let dir = folder(&[("a.yml", SIGMA)]);
    std::fs::write(dir.path().join("cut.jsonl.zst"), packed).unwrap();
    let r = tercel(&["hunt", &path(&dir, "cut.jsonl.zst"), "-r", &path(&dir, "a.yml")]).code(0);
    assert!(r.err.contains("cut.jsonl.zst"), "{}", r.err);
    assert!(r.err.lines().any(|l| l.starts_with("events") && !l.contains(" 0 in ")), "{}", r.err);
}

#[cfg(unix)]
#[test]
fn a_folder_without_permission() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder(&[("a.yml", SIGMA), ("good.jsonl", &events())]);
    let closed = dir.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
    if std::fs::read_dir(&closed).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    let r =
        tercel(&["hunt", closed.to_str().unwrap(), &path(&dir, "good.jsonl"), "-r", &path(&dir, "a.yml")])
            .code(2);
    assert_eq!(r.lines().len(), 1);
    assert!(r.err.contains("closed") && r.err.contains("ermission"), "{}", r.err);
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_with_130_and_a_footer() {
    use std::io::Write;
    use std::process::Stdio;
    let dir = folder(&[("a.yml", SIGMA)]);
    // Enough that the run is still going when the signal comes.
    let mut out = std::fs::File::create(dir.path().join("big.jsonl")).unwrap();
    let block = events().repeat(2_000);
    for _ in 0..100 {
        out.write_all(block.as_bytes()).unwrap();
    }
    drop(out);
    let child = command(&[
        "hunt",
        &path(&dir, "big.jsonl"),
        "-r",
        &path(&dir, "a.yml"),
        "-o",
        &path(&dir, "out.jsonl"),
    ])
    .stdin(Stdio::null())
    .stdout(Stdio::null())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let pid = child.id().to_string();
    let sent = run(std::process::Command::new("kill").args(["-INT", &pid]), b"");
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    if sent.code != 0 {
        println!("skipped: the run was over before the signal came");
        return;
    }
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("interrupted") && err.contains("events"), "{err}");
}
