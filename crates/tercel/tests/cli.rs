//! The command line: formats, exit codes, settings, what is said and where.

use crate::common;
use common::{command, events, folder, path, run, tercel, with_input};
use serde_json::json;

#[test]
fn every_command_has_help_with_examples() {
    for args in [
        vec!["hunt"],
        vec!["query"],
        vec!["lint"],
        vec!["rules", "list"],
        vec!["rules", "show"],
        vec!["schema", "list"],
        vec!["schema", "show"],
        vec!["completions"],
    ] {
        let mut all = args.clone();
        all.push("--help");
        let r = tercel(&all).code(0);
        assert!(r.out.contains("Example"), "{args:?}: {}", r.out);
    }
    assert!(tercel(&["--version"]).code(0).out.starts_with("tercel "));
}

#[test]
fn misspelt_names_get_a_suggestion() {
    let r = tercel(&["hnut", "."]).code(2);
    assert!(r.err.contains("'hunt'"), "{}", r.err);
    let r = tercel(&["schema", "show", "Sysmonn"]).code(2);
    assert!(r.err.contains("did you mean `Sysmon`?"), "{}", r.err);
    let r = tercel(&["query", "DeviceNetworkEventz | take 1"]).code(2);
    assert!(r.err.contains("DeviceNetworkEvents"), "{}", r.err);
}

#[test]
fn query_prints_one_array_in_column_order() {
    let q = "print z = 1, a = 'x', d = dynamic({\"b\":[1,2]}), t = datetime(2024-05-01 12:00:00), s = 1h + 30m, n = tostring(dynamic(null)), i = int(null)";
    let r = with_input(&["query", "--lang", "kql", "--format", "json", "-"], q.as_bytes()).code(0);
    let want = json!([{"z": 1, "a": "x", "d": {"b": [1, 2]}, "t": "2024-05-01T12:00:00.0000000Z", "s": "01:30:00", "n": "", "i": null}]);
    assert_eq!(r.json(), want);
    assert!(r.out.find("\"z\"") < r.out.find("\"a\""), "{}", r.out);
    assert_eq!(
        tercel(&["query", "print x = 1 | where x == 2", "--format", "json"]).code(0).json(),
        json!([])
    );
}

#[test]
fn query_formats_and_files() {
    let q = "datatable(a: string, n: long) ['x', 1, 'y', 2]";
    let of = |f: &str| tercel(&["query", q, "--format", f]).code(0).out;
    assert_eq!(of("csv"), "a,n\nx,1\ny,2\n");
    assert_eq!(of("tsv"), "a\tn\nx\t1\ny\t2\n");
    assert_eq!(of("jsonl"), "{\"a\":\"x\",\"n\":1}\n{\"a\":\"y\",\"n\":2}\n");
    assert_eq!(of("markdown"), "| a | n |\n| --- | --: |\n| x | 1 |\n| y | 2 |\n");
    assert!(of("table").starts_with("a  n\n"), "{}", of("table"));
    // Piped, it is JSON Lines.
    assert_eq!(tercel(&["query", q]).code(0).out, of("jsonl"));

    let dir = folder(&[]);
    let out = path(&dir, "out.csv");
    tercel(&["query", q, "-o", &out]).code(0);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), of("csv"));
    let r = tercel(&["query", q, "-o", &out]).code(2);
    assert!(r.err.contains("exists already") && r.err.contains("--force"), "{}", r.err);
    tercel(&["query", q, "-o", &out, "--force"]).code(0);
    assert!(tercel(&["query", q, "-o", &path(&dir, "out.xyz")]).code(2).err.contains("--format"));

    // What is written as Parquet can be read as data.
    let parquet = path(&dir, "rows.parquet");
    tercel(&["query", q, "-o", &parquet]).code(0);
    let back = tercel(&["query", "rows | where n == 2 | project a", &parquet, "--format", "json"]).code(0);
    assert_eq!(back.json(), json!([{"a": "y"}]));
}

#[test]
fn query_from_a_file_and_over_data() {
    let dir = folder(&[
        ("e.jsonl", &events()),
        ("q.kql", "Sysmon | where DestinationPort == 4444 | project Image, RecordNumber"),
    ]);
    let r = tercel(&["query", "-f", &path(&dir, "q.kql"), &path(&dir, "e.jsonl")]).code(0);
    assert_eq!(r.lines().len(), 1);
    assert_eq!(r.lines()[0]["Image"], r"C:\Temp\x.exe");
    // Data on standard input; the footer is on standard error.
    let r = with_input(&["query", "Sysmon | count", "-"], events().as_bytes()).code(0);
    assert_eq!(r.lines(), [json!({"Count": 3})]);
    assert!(r.err.contains("events") && r.err.contains('3'), "{}", r.err);
    let quiet = with_input(&["query", "Sysmon | count", "-", "-q"], events().as_bytes()).code(0);
    assert_eq!(quiet.err, "");
    assert!(tercel(&["query", "-", "-"]).code(2).err.contains("cannot be both"));
    assert!(tercel(&["query"]).code(2).err.contains("there is no query"));
}

#[test]
fn query_in_sumo_and_sql() {
    let dir = folder(&[("e.jsonl", &events())]);
    let data = path(&dir, "e.jsonl");
    let r = tercel(&[
        "query",
        "--lang",
        "sumo",
        "_sourceCategory=windows/sysmon | count by Image | sort by _count",
        &data,
    ])
    .code(0);
    assert_eq!(r.lines()[0]["_count"], 2, "{}", r.out);
    let r = tercel(&[
        "query",
        "--lang",
        "sql",
        "SELECT \"Image\", count(*) AS n FROM \"Sysmon\" GROUP BY 1 ORDER BY n DESC",
        &data,
    ])
    .code(0);
    assert_eq!(r.lines()[0]["n"], 2, "{}", r.out);
    let r = tercel(&["query", "--lang", "sql", "SELECT count(*) AS n FROM \"DeviceNetworkEvents\"", &data])
        .code(0);
    assert_eq!(r.lines()[0]["n"], 3, "{}", r.out);
    assert!(tercel(&["query", "--lang", "sql", "SELEC 1"]).code(2).err.starts_with("error"));
}

#[test]
fn lookups_are_tables_and_fail_closed() {
    let dir = folder(&[("l.csv", "port,what\n4444,bad\n443,fine\n"), ("e.jsonl", &events())]);
    let lookup = format!("ports={}", path(&dir, "l.csv"));
    let q = "Sysmon | join kind=inner ports on $left.DestinationPort == $right.port | where what == 'bad' | project Image, what";
    let r = tercel(&["query", q, &path(&dir, "e.jsonl"), "--lookup", &lookup]).code(0);
    assert_eq!(r.lines(), [json!({"Image": r"C:\Temp\x.exe", "what": "bad"})]);
    let gone = format!("ports={}", path(&dir, "gone.csv"));
    assert!(tercel(&["query", "ports", "--lookup", &gone]).code(2).err.contains("gone.csv"));
    assert!(tercel(&["query", "ports", "--lookup", "ports"]).code(2).err.contains("NAME=FILE"));
}

#[test]
fn settings_have_an_order_and_unknown_keys_are_errors() {
    let dir = folder(&[("tercel.toml", "format = \"csv\"\n")]);
    let q = ["query", "print a = 1"];
    let here = |args: &[&str], env: Option<&str>| {
        let mut c = command(args);
        c.current_dir(dir.path());
        if let Some(f) = env {
            c.env("TERCEL_FORMAT", f);
        }
        run(&mut c, b"")
    };
    assert_eq!(here(&q, None).code(0).out, "a\n1\n");
    assert_eq!(here(&q, Some("tsv")).code(0).out, "a\n1\n");
    assert_eq!(here(&q, Some("jsonl")).code(0).out, "{\"a\":1}\n");
    assert_eq!(
        here(&["query", "print a = 1", "--format", "json"], Some("jsonl")).code(0).out,
        "[\n{\"a\":1}\n]\n"
    );
    // A folder above counts too.
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    let mut c = command(&q);
    c.current_dir(dir.path().join("sub"));
    assert_eq!(run(&mut c, b"").code(0).out, "a\n1\n");
    std::fs::write(dir.path().join("tercel.toml"), "fromat = \"csv\"\n").unwrap();
    let r = here(&q, None).code(2);
    assert!(r.err.contains("fromat") && r.err.contains("tercel.toml"), "{}", r.err);
    assert!(tercel(&["--config", "/nowhere.toml", "rules", "list"]).code(2).err.contains("nowhere.toml"));
}

#[test]
fn colour_is_asked_for_or_not_there() {
    let dir = folder(&[("bad.kql", "T | where (")]);
    let rule = path(&dir, "bad.kql");
    assert!(!tercel(&["lint", &rule]).code(1).out.contains('\u{1b}'));
    assert!(tercel(&["lint", &rule, "--color", "always"]).code(1).out.contains('\u{1b}'));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    use std::io::Read;
    use std::process::Stdio;
    let mut child = command(&["query", "range x from 1 to 900000 step 1", "--format", "csv"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0u8; 64];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{err}");
    assert!(!err.contains("error") && !err.contains("panicked"), "{err}");
}

#[test]
fn completions_for_shells() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(tercel(&["completions", shell]).code(0).out.contains("tercel"));
    }
}

#[test]
fn schema_lists_and_shows() {
    let r = tercel(&["schema", "list"]).code(0);
    assert!(r.lines().iter().any(|t| t["name"] == "Sysmon" && t["kind"] == "table"));
    let r = tercel(&["schema", "show", "Sysmon"]).code(0);
    assert!(r.out.contains("DestinationPort") && r.out.contains("TimeGenerated"), "{}", r.out);
    let r = tercel(&["schema", "show", "DeviceNetworkEvents", "--format", "json"]).code(0);
    let columns = r.json();
    let action = columns.as_array().unwrap().iter().find(|c| c["column"] == "ActionType").unwrap().clone();
    assert!(action["values"].as_array().unwrap().iter().any(|v| v == "ConnectionSuccess"), "{action}");
    // A view shows its KQL.
    assert!(tercel(&["schema", "show", "DeviceNetworkEvents"]).code(0).out.contains("| "));
}

#[test]
fn rules_list_and_show_the_pack() {
    let all = tercel(&["rules", "list"]).code(0).lines();
    assert!(all.len() >= 12, "{}", all.len());
    assert!(all.iter().all(|r| !r["attack"].as_array().unwrap().is_empty()));
    let id = all[0]["id"].as_str().unwrap();
    let shown = tercel(&["rules", "show", id]).code(0);
    assert!(shown.out.contains(id), "{}", shown.out);
    let near = format!("{}x", &id[..id.len() - 1]);
    assert!(tercel(&["rules", "show", &near]).code(2).err.contains("did you mean"));
    assert!(tercel(&["rules", "show", "no such thing at all"]).code(2).err.contains("rules list"));
}
