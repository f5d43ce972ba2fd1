//! Parts without effect: what is found, what is not, and that taking it out really changes nothing.

use crate::support;

use support::rel;
use tercel_verify::{Budget, DeadKind, dead_sites};

/// (kind, the part's text)
fn found(condition: &str) -> Vec<(DeadKind, String)> {
    let whole = condition.starts_with("T ");
    let query = if whole { condition.to_string() } else { format!("T | where {condition}") };
    let report =
        dead_sites(&rel(condition), &Budget::default()).unwrap_or_else(|u| panic!("{condition}: {u}"));
    assert_eq!(report.unknown, 0, "{condition}: {:?}", report.reason);
    report
        .sites
        .into_iter()
        .map(|s| (s.kind, query.get(s.span.start as usize..s.span.end as usize).unwrap_or("?").to_string()))
        .collect()
}

#[test]
fn what_does_nothing_is_found() {
    use DeadKind::*;
    let one = |c: &str, kind, part: &str| assert_eq!(found(c), [(kind, part.to_string())], "{c}");
    one("Cmd contains 'abc' or Cmd contains 'b'", Shadowed, "Cmd contains 'abc'");
    one("File in~ ('a.exe', 'b.exe', 'A.exe')", Shadowed, "'A.exe'");
    one("Cmd startswith 'abc' and Cmd contains 'b'", AlwaysTrue, "Cmd contains 'b'");
    one("File =~ 'a.exe' and not(File =~ 'b.exe')", FilterNeverBites, "not(File =~ 'b.exe')");
    one("Port == 80 or Direction == 'true'", ItemNeverMatters, "Direction == 'true'");
    one(
        "Port == 80 or (Port == 81 and Direction == 'true')",
        SelectionWithoutEffect,
        "Port == 81 and Direction == 'true'",
    );
    one("Cmd startswith 'abc' and isnotempty(Cmd)", Redundant, "isnotempty(Cmd)");
    one("T | where File in~ ('a.exe', 'b.exe') | where File != 'c.exe'", AlwaysTrue, "File != 'c.exe'");
    assert_eq!(found("Direction == 'true'")[0].0, NeverFires);
    assert_eq!(found("Port > 5 and Port < 4")[0].0, NeverFires);
}

#[test]
fn what_does_something_is_left_alone() {
    for c in [
        "Cmd contains 'abc' or Cmd contains 'd'",
        "File in~ ('a.exe', 'b.exe')",
        "File in ('a.exe', 'A.exe')",
        "Cmd contains 'b' and not(Cmd contains 'abc')",
        "Image endswith '\\\\cmd.exe' and not(Image startswith 'C:\\\\Windows\\\\')",
        "Port in (1, 2, 3) or Cmd has 'x'",
        "T | where Port > 5 | where Cmd == 'x'",
        "Cmd has_any ('a', 'b')",
    ] {
        assert_eq!(found(c), [], "{c}");
    }
}

#[test]
fn long_lists_are_quick() {
    let items: Vec<String> = (0..3000).map(|i| format!("'name{i:04}.exe'")).collect();
    let start = std::time::Instant::now();
    let list = items.join(",");
    let c = format!("File in~ ({list}, 'NAME0007.exe') or Cmd contains 'x'");
    let f = found(&c);
    // Of two equal items one is superfluous.
    assert_eq!(f, [(DeadKind::Shadowed, "'NAME0007.exe'".to_string())]);
    assert!(start.elapsed() < std::time::Duration::from_secs(30), "{:?}", start.elapsed());
}
