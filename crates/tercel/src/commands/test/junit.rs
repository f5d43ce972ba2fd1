//! Results as JUnit XML, which build servers read.

use super::{Verdict, slashes};
use crate::failure::Failure;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use tercel_catalog::Detection;

/// # Errors
/// When the file exists and may not be replaced, or cannot be written.
pub fn write(
    path: &Path,
    force: bool,
    rules: &[Detection],
    verdicts: &[Verdict],
    elapsed: Duration,
) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let mut file = options.open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::new(format!("`{}` exists already", path.display())).help("--force replaces it")
        }
        _ => Failure::new(format!("cannot write `{}`: {e}", path.display())),
    })?;
    file.write_all(text(rules, verdicts, elapsed).as_bytes())
        .map_err(|e| Failure::new(format!("cannot write `{}`: {e}", path.display())))
}

fn text(rules: &[Detection], verdicts: &[Verdict], elapsed: Duration) -> String {
    let failed = verdicts.iter().filter(|v| v.failed.is_some()).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"tercel test\" tests=\"{}\" failures=\"{failed}\" time=\"{:.3}\">",
        verdicts.len(),
        elapsed.as_secs_f64()
    );
    let mut at = 0;
    while at < verdicts.len() {
        // Tests of one file stand together.
        let suite = suite(&verdicts[at]);
        let end = at + verdicts[at..].iter().take_while(|v| self::suite(v) == suite).count();
        let these = &verdicts[at..end];
        let failed = these.iter().filter(|v| v.failed.is_some()).count();
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\">",
            escaped(&slashes(suite)),
            these.len()
        );
        for v in these {
            let d = &rules[v.rule];
            let name = if v.name.is_empty() { v.place.as_str() } else { v.name.as_str() };
            let _ = write!(
                out,
                "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\"",
                escaped(&d.title),
                escaped(&format!("{}: {name}", v.expect)),
                escaped(&v.place)
            );
            match &v.failed {
                None => out.push_str("/>\n"),
                Some(why) => {
                    let _ =
                        writeln!(out, ">\n      <failure message=\"{}\"/>\n    </testcase>", escaped(why));
                }
            }
        }
        out.push_str("  </testsuite>\n");
        at = end;
    }
    out.push_str("</testsuites>\n");
    out
}

fn suite(v: &Verdict) -> &str {
    v.place.rsplit_once(':').map_or(v.place.as_str(), |(file, line)| {
        if line.bytes().all(|b| b.is_ascii_digit()) { file } else { v.place.as_str() }
    })
}

/// Text as XML allows it: other control characters have no form at all.
pub(super) fn escaped(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    for c in s.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_well_formed() {
        let v = |place: &str, failed: Option<&str>| Verdict {
            rule: 0,
            place: place.into(),
            name: "a \"b\" <c> & \u{1}".into(),
            expect: "hit",
            failed: failed.map(Into::into),
        };
        let rule = Detection::of_query(tercel_catalog::Language::Kql, "T | take 1".into(), "t");
        let out =
            text(&[rule], &[v("f:1", None), v("f:2", Some("no\nhit")), v("g.yml", None)], Duration::ZERO);
        assert_eq!(out.matches("<testsuite ").count(), 2);
        assert!(out.contains("tests=\"3\" failures=\"1\"") && out.contains("no&#10;hit"), "{out}");
        assert!(out.contains("a &quot;b&quot; &lt;c&gt; &amp; \u{fffd}"), "{out}");
    }
}
