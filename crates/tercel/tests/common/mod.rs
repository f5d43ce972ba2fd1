//! Running the program as a user does.

#![allow(dead_code, reason = "each test program uses a part")]

use serde_json::Value;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run gave.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Standard output as one JSON value.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("no JSON ({e}): {self:#?}"))
    }
    /// Standard output as a JSON value a line.
    pub fn lines(&self) -> Vec<Value> {
        let parse =
            |l| serde_json::from_str(l).unwrap_or_else(|e| panic!("no JSON ({e}): {l}\n{}", self.err));
        self.out.lines().map(parse).collect()
    }
    /// Checks the exit code.
    #[track_caller]
    pub fn code(self, want: i32) -> Ran {
        assert_eq!(self.code, want, "exit code {}, not {want}:\n{}\n{}", self.code, self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }
    /// How many errors were said.
    pub fn errors(&self) -> usize {
        self.err.lines().filter(|l| l.starts_with("error")).count()
    }
}

/// The program, with no settings from outside.
pub fn command(args: &[impl AsRef<OsStr>]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_tercel"));
    c.args(args).current_dir(std::env::temp_dir()).env("XDG_CONFIG_HOME", "/nowhere").env("HOME", "/nowhere");
    for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("TERCEL_")) {
        c.env_remove(name);
    }
    c
}

pub fn tercel(args: &[impl AsRef<OsStr>]) -> Ran {
    run(&mut command(args), b"")
}

pub fn with_input(args: &[impl AsRef<OsStr>], input: &[u8]) -> Ran {
    run(&mut command(args), input)
}

pub fn run(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // The program need not read all of it.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("no panic");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).expect("output is UTF-8"),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A folder with these files.
pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).expect("a file");
    }
    dir
}

pub fn path(dir: &tempfile::TempDir, name: &str) -> String {
    dir.path().join(name).to_str().expect("UTF-8").to_string()
}

/// A folder of the test data beside the repository. Absent, the test says so and passes.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(name);
    if path.exists() {
        return path.canonicalize().ok();
    }
    println!("skipped: needs {name} of the shared test data, which is not beside this repository");
    None
}

/// A Sysmon network connection as NXLog writes it.
pub fn connection(minute: u32, image: &str, ip: &str, port: u16, record: u32) -> String {
    let image = image.replace('\\', "\\\\");
    format!(
        "{{\"EventID\":3,\"SourceName\":\"Microsoft-Windows-Sysmon\",\"Channel\":\"Microsoft-Windows-Sysmon/Operational\",\
         \"Hostname\":\"ws1.example\",\"UtcTime\":\"2024-05-01 10:{minute:02}:00.000\",\"ProcessId\":\"4242\",\"Image\":\"{image}\",\
         \"User\":\"EXAMPLE\\\\ann\",\"Protocol\":\"tcp\",\"Initiated\":\"true\",\"SourceIp\":\"10.0.0.5\",\"SourcePort\":\"50123\",\
         \"DestinationIp\":\"{ip}\",\"DestinationPort\":\"{port}\",\"RecordNumber\":{record}}}"
    )
}

pub const SIGMA: &str = "title: Odd port\nid: 6f0c4b5e-0000-4000-8000-000000000001\nstatus: test\nlevel: high\n\
tags:\n  - attack.t1571\nlogsource:\n  category: network_connection\n  product: windows\ndetection:\n  selection:\n    \
Initiated: 'true'\n    DestinationPort: 4444\n  condition: selection\nfalsepositives:\n  - Unknown\n";

pub const KQL: &str = "// title: Connections to a port\n// id: kql-1\n// level: medium\n// tags: attack.t1571\n\
DeviceNetworkEvents\n| where RemotePort == 4444\n| project Timestamp, InitiatingProcessFileName, RemoteIP, RemotePort\n";

pub const SUMO: &str = "// title: Connections by program\n// id: sumo-1\n// level: low\n\
_sourceCategory=windows/sysmon | where EventID = \"3\" | count by Image\n";

/// Three events, one of which goes to port 4444.
pub fn events() -> String {
    [
        connection(1, r"C:\Windows\System32\curl.exe", "203.0.113.7", 443, 10),
        connection(2, r"C:\Temp\x.exe", "203.0.113.9", 4444, 11),
        connection(3, r"C:\Windows\System32\curl.exe", "203.0.113.8", 80, 12),
    ]
    .join("\n")
        + "\n"
}

/// A small random number generator; tests must not differ from run to run.
pub struct Random(pub u64);

impl Random {
    /// A number below `below`, 0 where that is 0.
    pub fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below.max(1)
    }
}
