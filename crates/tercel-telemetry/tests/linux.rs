//! Linux logs from files of lines and from Sentinel's table: which rows come of them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use tercel_ir::Name;
use tercel_schema::Schemas;
use tercel_telemetry::{EventSink, RawEvent, ReadOptions, read_bytes};

/// Rows as text, by table.
#[derive(Default)]
struct Rows(Vec<(String, BTreeMap<String, String>, Option<i64>)>);

impl EventSink for Rows {
    fn wants(&mut self, _: &Name) -> bool {
        true
    }
    fn event(&mut self, e: &RawEvent<'_>) -> ControlFlow<()> {
        let mut row = BTreeMap::new();
        for f in e.fields {
            row.entry(f.name.to_string())
                .or_insert_with(|| f.value.as_text().unwrap_or_default().into_owned());
        }
        self.0.push((e.table.to_string(), row, e.time()));
        ControlFlow::Continue(())
    }
}

fn rows(text: &str) -> Rows {
    let mut rows = Rows::default();
    let stats =
        read_bytes("messages.log", text.as_bytes(), &Schemas::builtin(), &ReadOptions::default(), &mut rows);
    assert!(stats.problems.is_empty(), "{:?}", stats.problems);
    rows
}

#[test]
fn a_syslog_file() {
    let sysmon = "<Event><System><Provider Name=\"Linux-Sysmon\"/><EventID>1</EventID><TimeCreated SystemTime=\"2026-01-02T03:04:05Z\"/>\
        <Computer>srv</Computer></System><EventData><Data Name=\"Image\">/usr/bin/id</Data></EventData></Event>";
    let text = format!(
        "<86>2026-01-02T03:04:05Z srv sudo[7]: ann : TTY=pts/0 ; USER=root ; COMMAND=/bin/sh\n\
         Jan  2 03:04:06 srv sysmon: {sysmon}\n\
         2026-01-02T03:04:07+01:00 srv audisp-syslog[9]: type=EXECVE msg=audit(1767323045.500:12): argc=2 a0=\"ls\" a1=2F746D702F6120622E747874\n\
         \n\
         what is this\n"
    );
    let got = rows(&text).0;
    let tables: Vec<&str> = got.iter().map(|(t, ..)| t.as_str()).collect();
    assert_eq!(tables, ["Syslog", "Syslog", "Sysmon", "Syslog", "LinuxAudit", "messages"]);
    let (_, sudo, time) = &got[0];
    assert_eq!((sudo["ProcessName"].as_str(), sudo["ProcessID"].as_str()), ("sudo", "7"));
    assert_eq!((sudo["Facility"].as_str(), sudo["SeverityLevel"].as_str()), ("authpriv", "info"));
    assert!(time.is_some());
    assert_eq!(got[1].2, None, "the old format has no year");
    assert_eq!(got[2].1["Image"], "/usr/bin/id");
    assert!(got[2].2.is_some());
    let (_, audit, time) = &got[4];
    assert_eq!((audit["type"].as_str(), audit["CommandLine"].as_str()), ("EXECVE", "ls /tmp/a b.txt"));
    assert_eq!(audit["Computer"], "srv");
    assert!(time.is_some());
    assert_eq!(got[5].1["_raw"], "what is this");
}

#[test]
fn an_audit_log() {
    let got = rows(
        "type=SYSCALL msg=audit(1767323045.500:12): arch=c000003e syscall=59 exe=\"/usr/bin/ls\" key=(null)\n\
         node=srv type=PATH msg=audit(1767323045.500:12): item=0 name=\"/etc/passwd\" nametype=NORMAL\n",
    )
    .0;
    assert!(got.iter().all(|(t, ..)| t == "LinuxAudit"));
    assert_eq!((got[0].1["exe"].as_str(), got[0].1["syscall"].as_str()), ("/usr/bin/ls", "59"));
    assert_eq!((got[1].1["Computer"].as_str(), got[1].1["name"].as_str()), ("srv", "/etc/passwd"));
}

#[test]
fn audit_records_in_sentinels_table() {
    let row = r#"{"Type":"Syslog","TimeGenerated":"2026-01-02T03:04:05Z","Computer":"srv","Facility":"user","SyslogMessage":"type=AUOMS_EXECVE audit(1767323045.500:12): syscall=execve success=yes a0=7ffc a1=5581 pid=7 exe=\"/usr/bin/dpkg\" argc=2 cmdline=\"dpkg --list\" containerid="}"#;
    let got = rows(row).0;
    let tables: Vec<&str> = got.iter().map(|(t, ..)| t.as_str()).collect();
    assert_eq!(tables, ["Syslog", "LinuxAudit"]);
    let r = &got[1].1;
    assert_eq!((r["type"].as_str(), r["a0"].as_str(), r["a1"].as_str()), ("EXECVE", "dpkg", "--list"));
    assert_eq!((r["SYSCALL"].as_str(), r["CommandLine"].as_str()), ("execve", "dpkg --list"));
    assert_eq!((r["exe"].as_str(), r["Computer"].as_str()), ("/usr/bin/dpkg", "srv"));
}
