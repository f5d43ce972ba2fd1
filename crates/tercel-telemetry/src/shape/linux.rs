//! Linux logs: syslog messages, and what is packed into them — audit records, events of Sysmon for Linux.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::windows::Log;
use super::xml::XmlEvent;
use super::{Origin, Recogniser, Shape};
use crate::event::EventSink;
use crate::value::{Field, RawValue, find};

/// Fields of one audit record that are looked at; the rest of a record that has more is left.
const MAX_FIELDS: usize = 512;
/// Arguments of a command line that are put together.
const MAX_ARGUMENTS: usize = 4096;

/// Lines that tell a file of syslog messages from other text.
const LOOKED_AT: usize = 20;

/// A line of a syslog file, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    facility: Option<&'static str>,
    severity: Option<&'static str>,
    /// As written; without a year in the old format.
    time: &'a str,
    /// Whether `time` says which year.
    dated: bool,
    host: &'a str,
    process: &'a str,
    pid: Option<&'a str>,
    message: &'a str,
}

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl<'a> Line<'a> {
    /// Reads `<PRI>1 TIME HOST APP PID MSGID DATA MESSAGE`, `Mon dd hh:mm:ss HOST TAG[PID]: MESSAGE` or
    /// `TIME HOST TAG[PID]: MESSAGE` with an ISO time. `None` for anything else.
    fn parse(line: &'a str) -> Option<Line<'a>> {
        let (priority, rest) = match line.strip_prefix('<') {
            Some(r) => {
                let (number, rest) = r.split_once('>')?;
                let n: usize = number.parse().ok().filter(|n| *n < 192 && number.len() <= 3)?;
                (Some(n), rest)
            }
            None => (None, line),
        };
        let facility = priority.map(|p| FACILITIES[p / 8]);
        let severity = priority.map(|p| SEVERITIES[p % 8]);
        if priority.is_some()
            && let Some(rest) = rest.strip_prefix("1 ")
        {
            let mut words = rest.splitn(6, ' ');
            let (time, host, process) = (words.next()?, words.next()?, words.next()?);
            let (pid, _message_id, rest) = (words.next()?, words.next()?, words.next()?);
            let message = after_structured_data(rest)?.trim_start_matches('\u{feff}');
            let pid = Some(pid).filter(|p| *p != "-");
            let process = if process == "-" { "" } else { process };
            return Some(Line { facility, severity, time, dated: is_iso(time), host, process, pid, message });
        }
        let (time, rest) = old_time(rest).or_else(|| rest.split_once(' ').filter(|(t, _)| is_iso(t)))?;
        let (host, rest) = rest.split_once(' ')?;
        // The tag ends before a colon; a message without a tag has none.
        let end = rest.find([':', ' ', '['])?;
        let (process, tail) = rest.split_at(end);
        let (pid, tail) = match tail.strip_prefix('[').and_then(|t| t.split_once(']')) {
            Some((pid, tail)) => (Some(pid).filter(|p| p.bytes().all(|b| b.is_ascii_digit())), tail),
            None => (None, tail),
        };
        let (process, pid, message) = match tail.strip_prefix(':') {
            Some(message) => (process, pid, message.strip_prefix(' ').unwrap_or(message)),
            None => ("", None, rest),
        };
        Some(Line { facility, severity, time, dated: is_iso(time), host, process, pid, message })
    }
}

/// `Jan  2 03:04:05 rest`.
fn old_time(text: &str) -> Option<(&str, &str)> {
    let b = text.as_bytes();
    let digit = |i: usize| b.get(i).is_some_and(u8::is_ascii_digit);
    let right = text.get(..3).is_some_and(|m| MONTHS.contains(&m))
        && b.get(3) == Some(&b' ')
        && (digit(4) || b.get(4) == Some(&b' '))
        && digit(5)
        && [7, 8, 10, 11, 13, 14].into_iter().all(digit)
        && [(6, b' '), (9, b':'), (12, b':'), (15, b' ')].into_iter().all(|(i, c)| b.get(i) == Some(&c));
    // All of it is ASCII up to here.
    if right { Some((text.get(..15)?, text.get(16..)?)) } else { None }
}

/// `2026-01-02T03:04:05…`.
fn is_iso(text: &str) -> bool {
    let b = text.as_bytes();
    b.len() >= 19
        && b[..4].iter().all(u8::is_ascii_digit)
        && (b[4], b[7], b[13], b[16]) == (b'-', b'-', b':', b':')
        && matches!(b[10], b'T' | b't')
}

/// What follows `-` or `[id name="value" …]…`.
fn after_structured_data(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('-') {
        return Some(rest.strip_prefix(' ').unwrap_or(rest));
    }
    let mut quoted = false;
    let mut escaped = false;
    let mut open = false;
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '[' if !quoted => open = true,
            ']' if !quoted => open = false,
            ' ' if !quoted && !open => return text.get(i + 1..),
            _ if !open => return None,
            _ => {}
        }
    }
    Some("")
}

/// An audit record: its fields, with values decoded.
#[derive(Default, Debug)]
struct Audit<'a> {
    kind: &'a str,
    /// Seconds since 1970, as written.
    time: &'a str,
    serial: &'a str,
    fields: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> Audit<'a> {
    /// Reads `[node=NAME] type=KIND msg=audit(TIME:SERIAL): name=value …`, and the form of the Azure
    /// monitor agent, which has `audit(` without `msg=`.
    fn parse(text: &'a str) -> Option<Audit<'a>> {
        let (node, rest) = match text.strip_prefix("node=") {
            Some(r) => r.split_once(' ').map(|(n, r)| (Some(n), r))?,
            None => (None, text),
        };
        let (kind, rest) = rest.strip_prefix("type=")?.split_once(' ')?;
        let rest = rest.trim_start().strip_prefix("msg=").unwrap_or(rest);
        let (stamp, rest) = rest.strip_prefix("audit(")?.split_once(')')?;
        let (time, serial) = stamp.split_once(':')?;
        let mut record = Audit { kind, time, serial, fields: Vec::new() };
        record.fields.extend(node.map(|n| ("node", Cow::Borrowed(n))));
        record.pairs(rest.trim_start_matches(':'), 0);
        Some(record)
    }

    /// Reads `name=value` pairs. A value is a word or quoted; `msg='…'` of user-space programs holds pairs
    /// itself (once: `depth`).
    fn pairs(&mut self, text: &'a str, depth: usize) {
        let mut rest = text;
        // Enriched records separate the readable names by a group separator.
        let blank = |c: char| c == ' ' || c == '\u{1d}' || c == '\t' || c == ',';
        while self.fields.len() < MAX_FIELDS {
            rest = rest.trim_start_matches(blank);
            let Some(at) = rest.find('=') else { return };
            let (name, tail) = (&rest[..at], &rest[at + 1..]);
            if let Some(word) = name.rfind(blank) {
                // Words before a name mean nothing to anybody.
                rest = &rest[word + 1..];
                continue;
            }
            let quote = tail.chars().next().filter(|c| matches!(c, '"' | '\''));
            match quote {
                Some(q) => {
                    let body = &tail[1..];
                    let end = closing(body, q);
                    let value = &body[..end];
                    rest = body.get(end + 1..).unwrap_or("");
                    if name == "msg" && q == '\'' && depth == 0 {
                        self.pairs(value, depth + 1);
                    } else {
                        self.fields.push((name, unescaped(value)));
                    }
                }
                None => {
                    let end = tail.find([' ', '\u{1d}']).unwrap_or(tail.len());
                    let value = &tail[..end];
                    rest = &tail[end..];
                    self.fields.push((name, decoded(name, value)));
                }
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_ref())
    }

    /// The whole command line of a record that has one.
    fn command_line(&self) -> Option<String> {
        if let Some(line) = self.get("cmdline") {
            return Some(line.to_owned());
        }
        if self.kind != "EXECVE" {
            return None;
        }
        let mut out = String::new();
        for i in 0..MAX_ARGUMENTS {
            let Some(argument) = self.get(&format!("a{i}")) else { break };
            if i > 0 {
                out.push(' ');
            }
            out.push_str(argument);
        }
        Some(out)
    }
}

/// Where a quoted value ends.
fn closing(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (i, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return i,
            _ => {}
        }
    }
    body.len()
}

fn unescaped(value: &str) -> Cow<'_, str> {
    if value.contains("\\\"") { Cow::Owned(value.replace("\\\"", "\"")) } else { Cow::Borrowed(value) }
}

/// Values that hold blanks, quotes or other bytes are written in hexadecimal, without quotes. Only fields
/// that are texts can be; numbers such as `a0` of a system call look the same.
fn decoded<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    let text = matches!(
        name,
        "comm" | "exe" | "cwd" | "name" | "proctitle" | "cmd" | "key" | "acct" | "data" | "path"
    ) || name.len() > 1
        && name.starts_with('a')
        && name[1..].bytes().all(|b| b.is_ascii_digit() || b == b'[' || b == b']');
    let hex = value.len() >= 4
        && value.len().is_multiple_of(2)
        && value.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
    if !text || !hex {
        return Cow::Borrowed(value);
    }
    let digit = |b: u8| (b as char).to_digit(16).unwrap_or(0) as u8;
    let bytes: Vec<u8> = value.as_bytes().chunks_exact(2).map(|p| digit(p[0]) << 4 | digit(p[1])).collect();
    match String::from_utf8(bytes) {
        // The arguments of `proctitle` are separated by a zero.
        Ok(t) if t.chars().all(|c| !c.is_control() || matches!(c, '\0' | '\t' | '\n' | '\r')) => {
            Cow::Owned(t.trim_end_matches('\0').replace('\0', " "))
        }
        _ => Cow::Borrowed(value),
    }
}

/// Whether a text begins as a syslog file or an `audit.log` does: most of its first lines are such lines.
pub(crate) fn looks_like_lines(head: &[u8]) -> bool {
    let mut lines = head.split(|b| *b == b'\n').take(LOOKED_AT + 1).peekable();
    let (mut known, mut all) = (0, 0);
    while let Some(line) = lines.next() {
        let text = String::from_utf8_lossy(line);
        // The last one may have been cut.
        if text.trim().is_empty() || lines.peek().is_none() && all > 0 {
            continue;
        }
        all += 1;
        known += usize::from(Line::parse(text.trim_end()).is_some() || Audit::parse(&text).is_some());
    }
    known * 2 > all
}

impl Recogniser<'_> {
    /// A line of a syslog file or of `audit.log`. A line that is neither is a record of the one field `_raw`.
    pub(crate) fn linux_line(
        &mut self,
        origin: &Origin<'_>,
        line: &str,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        self.events += 1;
        if Audit::parse(line).is_some() {
            return self.audit_record(origin, line, None, RawValue::Null, sink);
        }
        let Some(l) = Line::parse(line) else {
            return self.other(origin, &[Field::new("_raw", RawValue::Text(line))], sink);
        };
        let table = self.names.syslog.clone();
        self.count(&table, Shape::Linux);
        let time = if l.dated { RawValue::Text(l.time) } else { RawValue::Null };
        if sink.wants(&table) {
            let mut fields = vec![
                Field::new("Computer", RawValue::Text(l.host)),
                Field::new("HostName", RawValue::Text(l.host)),
                Field::new("ProcessName", RawValue::Text(l.process)),
                Field::new("SyslogMessage", RawValue::Text(l.message)),
            ];
            fields.extend(l.pid.map(|p| Field::new("ProcessID", RawValue::Text(p))));
            fields.extend(l.facility.map(|f| Field::new("Facility", RawValue::Text(f))));
            fields.extend(l.severity.map(|s| Field::new("SeverityLevel", RawValue::Text(s))));
            self.push(origin, &table, &fields, [time, RawValue::Null], sink)?;
        }
        self.syslog_message(origin, l.message, Some(l.host), time, sink)
    }

    /// What a syslog message holds: an event of Sysmon for Linux, an audit record.
    pub(super) fn syslog_message(
        &mut self,
        origin: &Origin<'_>,
        message: &str,
        host: Option<&str>,
        time: RawValue<'_>,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        if message.contains("Sysmon")
            && let Some(at) = message.find("<Event")
            && let Some(xml) = XmlEvent::parse(&message[at..])
        {
            let system = xml.system();
            if system.log() == Log::Sysmon {
                let table = self.names.sysmon.clone();
                self.count(&table, Shape::Linux);
                if sink.wants(&table) {
                    let mut out = Vec::new();
                    system.push_head(&mut out);
                    xml.push_data(&mut out);
                    system.push_tail(&mut out);
                    let time = system.time.unwrap_or(time);
                    return self.push_windows(origin, &table, &out, Some(time), sink);
                }
                return ControlFlow::Continue(());
            }
        }
        // `audit: type=…`, `audispd: node=… type=…`, the kernel's `audit: type=1400 audit(…)`.
        match message.find("type=").filter(|_| message.contains("audit(")) {
            Some(at) => {
                let from = message[..at].rfind("node=").unwrap_or(at);
                self.audit_record(origin, &message[from..], host, time, sink)
            }
            None => ControlFlow::Continue(()),
        }
    }

    fn audit_record(
        &mut self,
        origin: &Origin<'_>,
        text: &str,
        host: Option<&str>,
        time: RawValue<'_>,
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        let Some(mut record) = Audit::parse(text) else { return ControlFlow::Continue(()) };
        let table = self.names.get("LinuxAudit");
        self.count(&table, Shape::Linux);
        if !sink.wants(&table) {
            return ControlFlow::Continue(());
        }
        let line = record.command_line();
        // The Azure monitor agent puts the records of one event together; `a0` … are those of the system
        // call there, while the arguments of the command are what rules mean.
        let combined = record.kind.strip_prefix("AUOMS_").map(str::to_owned);
        if combined.is_some() && line.is_some() {
            record
                .fields
                .retain(|(n, _)| !(n.len() == 2 && n.starts_with('a') && n.as_bytes()[1].is_ascii_digit()));
        }
        let arguments: Vec<(String, &str)> = match (&combined, &line) {
            (Some(_), Some(l)) => {
                l.split_whitespace().take(MAX_FIELDS).enumerate().map(|(i, a)| (format!("a{i}"), a)).collect()
            }
            _ => Vec::new(),
        };
        let kind = combined.as_deref().unwrap_or(record.kind);
        let seconds = record.time;
        let host = record.get("node").or(host);
        let mut fields = vec![
            Field::new("type", RawValue::Text(kind)),
            Field::new("serial", RawValue::Text(record.serial)),
        ];
        fields.extend(host.map(|h| Field::new("Computer", RawValue::Text(h))));
        fields.extend(line.as_deref().map(|l| Field::new("CommandLine", RawValue::Text(l))));
        fields.extend(arguments.iter().map(|(n, v)| Field::new(n.as_str(), RawValue::Text(v))));
        fields.extend(record.fields.iter().map(|(n, v)| Field::new(*n, RawValue::Text(v))));
        // The readable name of the call, where only the short form has one.
        if find(&fields, "SYSCALL").is_none()
            && let Some(RawValue::Text(call)) = find(&fields, "syscall")
            && !call.bytes().all(|b| b.is_ascii_digit())
        {
            fields.push(Field::new("SYSCALL", RawValue::Text(call)));
        }
        self.push(origin, &table, &fields, [RawValue::Number(seconds), time], sink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_format() {
        let l = Line::parse("Dec  1 16:42:19 srv useradd[1337]: new user: name=x").unwrap();
        assert_eq!(
            (l.host, l.process, l.pid, l.message, l.dated),
            ("srv", "useradd", Some("1337"), "new user: name=x", false)
        );
        let l = Line::parse("<86>2026-01-02T03:04:05.1+01:00 srv sudo: ann : USER=root").unwrap();
        assert_eq!(
            (l.facility, l.severity, l.process, l.dated),
            (Some("authpriv"), Some("info"), "sudo", true)
        );
        let l =
            Line::parse(r#"<34>1 2026-01-02T03:04:05Z srv su 12 ID47 [x@1 a="b] c"][y] 'su root' failed"#)
                .unwrap();
        assert_eq!(
            (l.facility, l.process, l.pid, l.message),
            (Some("auth"), "su", Some("12"), "'su root' failed")
        );
        let l = Line::parse("<34>1 2026-01-02T03:04:05Z srv - - - - text").unwrap();
        assert_eq!((l.process, l.pid, l.message), ("", None, "text"));
        let l = Line::parse("Jan 12 03:04:05 srv -- MARK --").unwrap();
        assert_eq!((l.process, l.message), ("", "-- MARK --"));
        for no in [
            "",
            "text",
            "<999>1 x",
            "Jan 12 03:04 srv x: y",
            "2026-01-02 INFO x",
            "<13>",
            "Jän 12 03:04:05 x y: z",
        ] {
            assert_eq!(Line::parse(no), None, "{no}");
        }
    }

    fn pairs(text: &str) -> Vec<(String, String)> {
        Audit::parse(text)
            .map(|a| a.fields.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect())
            .unwrap_or_default()
    }

    #[test]
    fn audit_records() {
        let a = Audit::parse(r#"type=EXECVE msg=audit(1364481363.243:24287): argc=3 a0="cat" a1=2F746D702F6120622E747874 a2="x""#).unwrap();
        assert_eq!((a.kind, a.time, a.serial), ("EXECVE", "1364481363.243", "24287"));
        assert_eq!(a.command_line().as_deref(), Some("cat /tmp/a b.txt x"));
        let p = pairs(
            "node=srv type=SYSCALL msg=audit(1.2:3): syscall=59 comm=\"sh\" exe=\"/bin/sh\" key=(null)\u{1d}SYSCALL=execve UID=\"root\"",
        );
        let get = |n: &str| p.iter().find(|(k, _)| k == n).map(|(_, v)| v.as_str());
        assert_eq!(
            (get("node"), get("exe"), get("SYSCALL"), get("UID")),
            (Some("srv"), Some("/bin/sh"), Some("execve"), Some("root"))
        );
        let p = pairs(
            "type=USER_CMD msg=audit(1.2:3): pid=7 msg='cwd=\"/home/a\" cmd=6C73202D6C terminal=pts/0 res=success'",
        );
        let get = |n: &str| p.iter().find(|(k, _)| k == n).map(|(_, v)| v.as_str());
        assert_eq!(
            (get("cwd"), get("cmd"), get("res"), get("pid")),
            (Some("/home/a"), Some("ls -l"), Some("success"), Some("7"))
        );
        let p = pairs("type=PROCTITLE msg=audit(1.2:3): proctitle=636174002F6574632F706173737764");
        assert_eq!(p, [("proctitle".to_string(), "cat /etc/passwd".to_string())]);
        assert!(Audit::parse("type=x").is_none());
        assert!(Audit::parse("type=x msg=audit(1)").is_none());
    }

    #[test]
    fn files_of_lines() {
        assert!(looks_like_lines(b"Jan  2 03:04:05 srv sshd[1]: a\nJan  2 03:04:06 srv sshd[1]: b\nJan"));
        assert!(looks_like_lines(b"type=CWD msg=audit(1.2:3): cwd=\"/\""));
        assert!(!looks_like_lines(b"# Title\n\nJan  2 03:04:05 srv sshd[1]: quoted\nwords\n"));
        assert!(!looks_like_lines(b""));
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(<[0-9]{0,4}>|1 |type=|msg=audit\\(|\\):|a0=|msg='|'|\"|=| |Jan  1 00:00:00|\\[|\\]|:|ä|[a-z0-9A-F]){0,40}") {
            let _ = Line::parse(&text);
            if let Some(a) = Audit::parse(&text) {
                let _ = a.command_line();
            }
        }

        #[test]
        fn long_records_are_bounded(n in 0usize..5000) {
            let text = format!("type=EXECVE msg=audit(1.2:3): {}", "a=b ".repeat(n));
            proptest::prop_assert!(pairs(&text).len() <= MAX_FIELDS);
        }
    }
}
