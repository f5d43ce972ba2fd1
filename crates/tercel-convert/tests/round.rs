//! Queries into Sigma and back: each step is proved equal apart from what it names.

use tercel_convert::{
    Conversion, Detection, Effect, Fidelity, Language, Options, Prover, Target, Vocabulary, convert,
};
use tercel_ir::Rel;
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_sigma::ast::Meta;

const SIGMA: Target = Target { language: Language::Sigma, vocabulary: Vocabulary::Native };

fn catalog() -> SchemaCatalog {
    SchemaCatalog::new(Schemas::builtin(), Vec::new())
}

fn kql(text: &str, catalog: &SchemaCatalog) -> Rel {
    let (ast, found) = tercel_kql::parse(text);
    assert!(!found.has_errors(), "{text}: {found:?}");
    let (rel, found) = tercel_kql::lower(&ast, catalog, &tercel_kql::Options::default());
    rel.unwrap_or_else(|| panic!("{text}: {found:?}"))
}

fn converted(rel: &Rel, meta: &Meta, to: Target, catalog: &SchemaCatalog) -> Conversion {
    let d = Detection { rel, meta };
    convert(&d, to, catalog, &Options::default(), &Prover::default()).expect("a filter")
}

/// There, and back into the vocabulary that it came from.
fn trip(text: &str, vocabulary: Vocabulary) -> (Conversion, Conversion) {
    let catalog = catalog();
    let there = converted(&kql(text, &catalog), &Meta::default(), SIGMA, &catalog);
    let (file, found) = tercel_sigma::parse(&there.text);
    assert!(!found.has_errors(), "{}", there.text);
    let rule = file.rules().next().expect("a rule");
    let (rel, found) = tercel_sigma::lower(rule, &catalog, &tercel_sigma::Options::default());
    let rel = rel.unwrap_or_else(|| panic!("{}: {found:?}", there.text));
    let back = converted(&rel, &rule.meta, Target { language: Language::Kql, vocabulary }, &catalog);
    (there, back)
}

/// Whether a conversion is exact, or that apart from losses that have names.
fn apart(c: &Conversion) -> bool {
    c.fidelity == Fidelity::Exact || c.reason.as_deref() == Some("proved equal apart from what is lost")
}

#[test]
fn equal_apart_from_what_is_named() {
    let whats = |c: &Conversion| -> Vec<String> {
        c.losses.iter().filter(|l| l.effect != Effect::None).map(|l| l.what.clone()).collect()
    };
    let kinds = "rows of other kinds (ActionType)";
    let cases: [(&str, &[&str]); 7] = [
        // One kind of row is asked for: nothing is lost.
        (
            r#"DeviceFileEvents | where ActionType == "FileCreated" | where FolderPath contains "\\spool\\drivers""#,
            &[],
        ),
        // All kinds are; and letters beyond ASCII, of which one side alone reads a column.
        (
            r#"DeviceProcessEvents | where InitiatingProcessFileName has "catalina.exe" | where FileName != "net.exe""#,
            &[kinds],
        ),
        (r#"DeviceProcessEvents | where FileName =~ "cmd.exe" and ProcessCommandLine has "hta""#, &[kinds]),
        // Hashes as Defender writes them.
        (r#"DeviceProcessEvents | where SHA1 == "0123456789abcdef0123456789abcdef01234567""#, &[kinds]),
        // A table whose kinds are in several categories: the one of files that are written.
        (r#"DeviceFileEvents | where FileName endswith ".ace""#, &[kinds]),
        // Names of hosts.
        (
            r#"DeviceNetworkEvents | where RemoteUrl == "updates.example.net""#,
            &[kinds, "RemoteUrl of accepted connections"],
        ),
        // A table that is a log source by itself.
        (r#"SecurityEvent | where EventID == 4738 and UserAccountControl has "2096""#, &[]),
    ];
    for (text, lost) in cases {
        let vocabulary = if text.starts_with("Device") { Vocabulary::Defender } else { Vocabulary::Native };
        let (there, back) = trip(text, vocabulary);
        assert!(apart(&there), "{text}: {:?} {:?}\n{}", there.fidelity, there.reason, there.text);
        assert_eq!(whats(&there), lost, "{text}\n{}", there.text);
        assert!(!back.text.is_empty() && apart(&back), "{text}: {:?} {:?}", back.fidelity, back.reason);
    }
}

/// A search of everything is narrower as one of Sysmon's events; one that says its source is not.
#[test]
fn searches_without_a_source() {
    let catalog = catalog();
    for (text, other) in [
        ("EventID=1 | where Image matches \"*cmd.exe\"", true),
        ("_sourceCategory=windows/sysmon EventID=1 | where Image matches \"*cmd.exe\"", false),
    ] {
        let (query, found) = tercel_sumo::parse(text);
        assert!(!found.has_errors(), "{found:?}");
        let (rel, found) = tercel_sumo::lower(&query, &catalog, &tercel_sumo::Options::default());
        let rel = rel.unwrap_or_else(|| panic!("{found:?}"));
        let to = Target { language: Language::Kql, vocabulary: Vocabulary::Native };
        let c = converted(&rel, &Meta::default(), to, &catalog);
        let named = c.losses.iter().any(|l| l.what == "records of other sources");
        assert_eq!(named, other, "{text}: {:?}\n{}", c.losses, c.text);
        assert_eq!(c.fidelity == Fidelity::Exact, !other, "{text}: {:?} {:?}", c.fidelity, c.reason);
    }
}

/// What a proof finds to differ has a name, whatever it is.
#[test]
fn no_difference_without_a_name() {
    let texts = [
        r#"DeviceProcessEvents | where AccountName != "system" and ProcessCommandLine contains "HKLM""#,
        r#"DeviceProcessEvents | where AccountName == "System""#,
        r#"DeviceNetworkEvents | where RemoteIPType == "Public" and RemotePort == 22"#,
        r#"DeviceNetworkEvents | where RemoteUrl contains "example.net/a" and InitiatingProcessFileName == "Cmd.exe""#,
        r#"DeviceNetworkEvents | where Protocol == "TCP" and RemotePort == 443"#,
        r#"DeviceRegistryEvents | where RegistryKey contains "Run" and RegistryValueType == "String""#,
    ];
    let catalog = catalog();
    for text in texts {
        for vocabulary in [Vocabulary::Native, Vocabulary::Asim] {
            for language in [Language::Sigma, Language::Sumo, Language::Kql] {
                let target = Target { language, vocabulary };
                let c = converted(&kql(text, &catalog), &Meta::default(), target, &catalog);
                let named = |e: Effect| c.losses.iter().any(|l| l.effect == e);
                let (more, less) = match c.fidelity {
                    Fidelity::Wider => (true, false),
                    Fidelity::Narrower => (false, true),
                    Fidelity::Different => (true, true),
                    Fidelity::Exact | Fidelity::Unproved | Fidelity::Refused => (false, false),
                };
                assert!(
                    (!more || named(Effect::Wider)) && (!less || named(Effect::Narrower)),
                    "{text} to {target:?}: {:?} {:?} {:?}",
                    c.fidelity,
                    c.losses,
                    c.reason
                );
            }
        }
    }
}
