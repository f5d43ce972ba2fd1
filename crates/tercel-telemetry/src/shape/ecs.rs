//! winlogbeat 7 and later: Elastic Common Schema, mapped back to the names of the event.
//!
//! winlogbeat's Sysmon module moves most event data to ECS fields and deletes the originals, so the
//! way back is needed; what it leaves in `winlog.event_data` counts first.

use std::ops::ControlFlow;

use super::windows::{Log, System, level};
use super::{Origin, Recogniser, Shape};
use crate::event::EventSink;
use crate::json;
use crate::value::{Field, RawValue};

/// Deepest nesting that is looked into.
const MAX_DEPTH: usize = 6;

/// What was found at the known paths of one document.
#[derive(Default)]
struct Ecs<'a> {
    system: System<'a>,
    data: Vec<Field<'a>>,
    mapped: Vec<Field<'a>>,
    direction: Option<RawValue<'a>>,
    network_type: Option<RawValue<'a>>,
    user: [Option<RawValue<'a>>; 2],
    parent_user: [Option<RawValue<'a>>; 2],
    file_path: Option<RawValue<'a>>,
    hashes: Vec<(&'static str, RawValue<'a>)>,
    code: Option<RawValue<'a>>,
    host: Option<RawValue<'a>>,
}

impl<'a> Ecs<'a> {
    /// Visits a value at a dotted path. Bounded by [`MAX_DEPTH`].
    fn visit(&mut self, path: &mut String, field: Field<'a>, depth: usize) {
        let before = path.len();
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&field.name);
        match field.value {
            RawValue::Json(text) if text.starts_with('{') && depth < MAX_DEPTH => {
                let data = matches!(path.as_str(), "winlog.event_data" | "winlog.user_data");
                let mut inner = Vec::new();
                if json::scan_object(text, 0, &mut inner).is_ok() {
                    if data {
                        self.data.append(&mut inner);
                    } else {
                        for f in inner {
                            self.visit(path, f, depth + 1);
                        }
                    }
                }
            }
            value => self.leaf(path, value),
        }
        path.truncate(before);
    }

    fn leaf(&mut self, path: &str, v: RawValue<'a>) {
        if let Some(name) =
            path.strip_prefix("winlog.event_data.").or_else(|| path.strip_prefix("winlog.user_data."))
        {
            self.data.push(Field::new(name.to_owned(), v));
            return;
        }
        let s = &mut self.system;
        match path {
            "winlog.provider_name" => s.provider = Some(v),
            "event.provider" => s.provider = s.provider.or(Some(v)),
            "winlog.channel" => s.channel = Some(v),
            "winlog.computer_name" => s.computer = Some(v),
            "host.name" | "host.hostname" => self.host = self.host.or(Some(v)),
            "winlog.event_id" => s.event_id = Some(v),
            "event.code" => self.code = Some(v),
            "winlog.record_id" => s.record_id = Some(v),
            "winlog.version" => s.version = Some(v),
            "winlog.process.pid" => s.process_id = Some(v),
            "winlog.process.thread.id" => s.thread_id = Some(v),
            "winlog.user.identifier" => s.user_id = Some(v),
            "log.level" => s.level = Some(level(v)),
            "@timestamp" => s.time = Some(v),
            "network.direction" => self.direction = Some(v),
            "network.type" => self.network_type = Some(v),
            "user.domain" => self.user[0] = Some(v),
            "user.name" => self.user[1] = Some(v),
            "process.parent.user.domain" => self.parent_user[0] = Some(v),
            "process.parent.user.name" => self.parent_user[1] = Some(v),
            "file.path" => self.file_path = Some(v),
            "process.hash.md5" | "file.hash.md5" | "dll.hash.md5" => self.hash("MD5", v),
            "process.hash.sha1" | "file.hash.sha1" | "dll.hash.sha1" => self.hash("SHA1", v),
            "process.hash.sha256" | "file.hash.sha256" | "dll.hash.sha256" => self.hash("SHA256", v),
            "process.pe.imphash" | "file.pe.imphash" | "dll.pe.imphash" => self.hash("IMPHASH", v),
            _ => {
                if let Some(name) = column(path) {
                    self.mapped.push(Field::new(name, v));
                }
            }
        }
    }

    fn hash(&mut self, name: &'static str, v: RawValue<'a>) {
        if !self.hashes.iter().any(|(n, _)| *n == name) {
            self.hashes.push((name, v));
        }
    }
}

/// Sysmon's name for an ECS field.
fn column(path: &str) -> Option<&'static str> {
    Some(match path {
        "message" => "Message",
        "rule.name" => "RuleName",
        "source.ip" => "SourceIp",
        "source.port" => "SourcePort",
        "source.domain" => "SourceHostname",
        "destination.ip" => "DestinationIp",
        "destination.port" => "DestinationPort",
        "destination.domain" => "DestinationHostname",
        "network.transport" => "Protocol",
        "network.protocol" => "DestinationPortName",
        "process.executable" => "Image",
        "process.pid" => "ProcessId",
        "process.entity_id" => "ProcessGuid",
        "process.command_line" => "CommandLine",
        "process.working_directory" => "CurrentDirectory",
        "process.pe.original_file_name" => "OriginalFileName",
        "process.pe.company" => "Company",
        "process.pe.description" => "Description",
        "process.pe.product" => "Product",
        "process.pe.file_version" => "FileVersion",
        "process.parent.executable" => "ParentImage",
        "process.parent.pid" => "ParentProcessId",
        "process.parent.entity_id" => "ParentProcessGuid",
        "process.parent.command_line" => "ParentCommandLine",
        "registry.path" => "TargetObject",
        "dns.question.name" => "QueryName",
        "dll.path" => "ImageLoaded",
        _ => return None,
    })
}

/// `DOMAIN\name`.
fn joined(pair: [Option<RawValue<'_>>; 2]) -> Option<String> {
    match pair.map(|v| v.and_then(|v| v.as_text()).filter(|t| !t.is_empty())) {
        [Some(domain), Some(name)] => Some(format!("{domain}\\{name}")),
        [None, Some(name)] => Some(name.into_owned()),
        _ => None,
    }
}

impl Recogniser<'_> {
    pub(super) fn ecs<'a>(
        &mut self,
        origin: &Origin<'_>,
        fields: &[Field<'a>],
        sink: &mut dyn EventSink,
    ) -> ControlFlow<()> {
        let mut ecs = Ecs::default();
        let mut path = String::new();
        for f in fields {
            ecs.visit(&mut path, f.clone(), 0);
        }
        let mut system = ecs.system;
        system.event_id = system.event_id.or(ecs.code);
        system.computer = system.computer.or(ecs.host);
        if system.event_id.is_none() && system.channel.is_none() {
            // ECS, but not from a Windows log.
            return self.other(origin, fields, sink);
        }
        let log = system.log();
        let table = self.log_name(log);
        self.count(&table, Shape::Ecs);
        if !sink.wants(&table) {
            return ControlFlow::Continue(());
        }
        let mut out: Vec<Field<'_>> = Vec::with_capacity(64);
        system.push_head(&mut out);
        out.append(&mut ecs.data);
        let (user, parent_user, hashes);
        if log == Log::Sysmon {
            out.append(&mut ecs.mapped);
            let outbound = match ecs.direction.and_then(|d| d.as_text()).as_deref() {
                Some("outbound" | "egress") => Some(true),
                Some("inbound" | "ingress") => Some(false),
                _ => None,
            };
            out.extend(outbound.map(|b| Field::new("Initiated", RawValue::Bool(b))));
            if let Some(t) = ecs.network_type {
                let v6 = RawValue::Bool(t.is_text("ipv6"));
                out.push(Field::new("SourceIsIpv6", v6));
                out.push(Field::new("DestinationIsIpv6", v6));
            }
            user = joined(ecs.user);
            parent_user = joined(ecs.parent_user);
            out.extend(user.as_deref().map(|u| Field::new("User", RawValue::Text(u))));
            out.extend(parent_user.as_deref().map(|u| Field::new("ParentUser", RawValue::Text(u))));
            if let Some(p) = ecs.file_path {
                let name = if system.event_id.and_then(|v| v.as_i64()) == Some(7) {
                    "ImageLoaded"
                } else {
                    "TargetFilename"
                };
                out.push(Field::new(name, p));
            }
            hashes = ecs
                .hashes
                .iter()
                .filter_map(|(n, v)| Some(format!("{n}={}", v.as_text()?.to_uppercase())))
                .collect::<Vec<_>>()
                .join(",");
            if !hashes.is_empty() {
                out.push(Field::new("Hashes", RawValue::Text(&hashes)));
            }
            // The module makes UtcTime the document's time.
            out.extend(system.time.map(|t| Field::new("UtcTime", t)));
        } else {
            out.extend(ecs.mapped.into_iter().filter(|f| f.name == "Message"));
        }
        system.push_tail(&mut out);
        out.extend(fields.iter().cloned());
        self.push_windows(origin, &table, &out, system.time, sink)
    }
}
