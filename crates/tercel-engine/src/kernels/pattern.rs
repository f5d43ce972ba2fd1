//! Regular expressions, globs and address ranges with literal patterns: compiled once a plan.

use super::{Arg, Kernel, dynamic, text_column, text_first, text_test};
use crate::EngineError;
use datafusion::arrow::array::{Array, ArrayRef, StringViewBuilder, new_null_array};
use ipnet::{IpNet, Ipv4Net};
use regex::Regex;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tercel_ir::function::{compile_regex, glob_to_regex};
use tercel_ir::{Type, Value};

/// Null for every row: what a pattern that does not compile gives.
struct Null(Type);
impl Kernel for Null {
    fn run(&self, columns: &[ArrayRef]) -> Result<ArrayRef, EngineError> {
        let rows = columns.first().map_or(0, |c| c.len());
        Ok(new_null_array(&crate::values::arrow_type(self.0), rows))
    }
}

fn search(args: &[Arg], pattern: &str) -> Option<Box<dyn Kernel>> {
    match compile_regex(pattern) {
        Ok(re) => text_test(args, move |s, _| re.is_match(s)),
        Err(_) => Some(Box::new(Null(Type::Bool))),
    }
}

/// The text of one group of the first match.
struct Group {
    regex: Regex,
    group: usize,
    dynamic: bool,
    /// What a text without a match gives: `""` (KQL) or null.
    empty: bool,
    /// What a null text gives: as `""` would, or null.
    null_as_empty: bool,
}

impl Kernel for Group {
    fn run(&self, columns: &[ArrayRef]) -> Result<ArrayRef, EngineError> {
        let a = text_column(columns, self.dynamic)?;
        let mut out = StringViewBuilder::with_capacity(a.len());
        let mut slots = self.regex.capture_locations();
        for i in 0..a.len() {
            let s = match (a.is_valid(i), self.null_as_empty) {
                (true, _) => a.value(i),
                (false, true) => "",
                (false, false) => {
                    out.append_null();
                    continue;
                }
            };
            let found = match self.group {
                0 => self.regex.find(s).map(|m| m.as_str()),
                g => self
                    .regex
                    .captures_read(&mut slots, s)
                    .and_then(|_| slots.get(g))
                    .map(|(from, to)| &s[from..to]),
            };
            match found {
                Some(t) => out.append_value(t),
                None if self.empty => out.append_value(""),
                None => out.append_null(),
            }
        }
        Ok(Arc::new(out.finish()))
    }
}

fn group_number(v: &Value) -> usize {
    usize::try_from(v.as_i64().unwrap_or(0)).unwrap_or(0)
}

/// As the registry reads ranges: `a.b.c.d/n`, or one address.
fn v4net(s: &str) -> Option<Ipv4Net> {
    let s = s.trim();
    match s.split_once('/') {
        Some((a, n)) => Ipv4Net::new(a.parse().ok()?, n.parse().ok()?).ok(),
        None => Ipv4Net::new(s.parse::<Ipv4Addr>().ok()?, 32).ok(),
    }
    .map(|n| n.trunc())
}
fn anynet(s: &str) -> Option<IpNet> {
    let s = s.trim();
    match s.split_once('/') {
        Some((a, n)) => IpNet::new(a.parse().ok()?, n.parse().ok()?).ok(),
        None => Some(IpNet::from(s.parse::<IpAddr>().ok()?)),
    }
    .map(|n| n.trunc())
}

/// `ipv4_is_in_range` and `ipv4_is_in_any_range`: null where the text is no address.
struct InRanges {
    nets: Vec<Ipv4Net>,
    dynamic: bool,
}
impl Kernel for InRanges {
    fn run(&self, columns: &[ArrayRef]) -> Result<ArrayRef, EngineError> {
        let a = text_column(columns, self.dynamic)?;
        let out: datafusion::arrow::array::BooleanArray = (0..a.len())
            .map(|i| {
                let ip = a.is_valid(i).then(|| v4net(a.value(i)))??;
                Some(self.nets.iter().any(|n| n.contains(&ip)))
            })
            .collect();
        Ok(Arc::new(out))
    }
}

pub(super) fn kernel(name: &str, args: &[Arg]) -> Option<Box<dyn Kernel>> {
    if name == "extract" {
        let [Arg::Const(pattern), Arg::Const(group), Arg::Column(Type::String | Type::Guid | Type::Dynamic)] =
            args
        else {
            return None;
        };
        return match compile_regex(&pattern.text()) {
            Ok(regex) => {
                let dynamic = dynamic(args);
                Some(Box::new(Group {
                    regex,
                    group: group_number(group),
                    dynamic,
                    empty: true,
                    null_as_empty: true,
                }))
            }
            Err(_) => Some(Box::new(Null(Type::String))),
        };
    }
    let rest = text_first(args)?;
    match (name, &rest[..]) {
        ("matches_regex", [p]) => search(args, &p.text()),
        ("matches_glob", [p]) => search(args, &glob_to_regex(&p.text(), false)),
        ("matches_glob_ci", [p]) => search(args, &glob_to_regex(&p.text(), true)),
        ("regex_group", [p, g]) => match compile_regex(&p.text()) {
            Ok(regex) => {
                let dynamic = dynamic(args);
                Some(Box::new(Group {
                    regex,
                    group: group_number(g),
                    dynamic,
                    empty: false,
                    null_as_empty: false,
                }))
            }
            Err(_) => Some(Box::new(Null(Type::String))),
        },
        ("ip_in_cidr", [net]) => {
            let net = anynet(&net.text());
            text_test(args, move |s, _| {
                net.as_ref().is_some_and(|n| s.trim().parse::<IpAddr>().is_ok_and(|ip| n.contains(&ip)))
            })
        }
        ("ipv4_is_in_range", [net]) => match v4net(&net.text()) {
            Some(net) => Some(Box::new(InRanges { nets: vec![net], dynamic: dynamic(args) })),
            None => Some(Box::new(Null(Type::Bool))),
        },
        ("ipv4_is_in_any_range", _) => {
            let nets = rest
                .iter()
                .flat_map(|v| match v {
                    Value::Dynamic(serde_json::Value::Array(items)) => {
                        items.iter().map(|i| Value::Dynamic(i.clone()).to_text()).collect::<Vec<_>>()
                    }
                    v => vec![v.to_text()],
                })
                .filter_map(|s| v4net(&s))
                .collect();
            Some(Box::new(InRanges { nets, dynamic: dynamic(args) }))
        }
        _ => None,
    }
}
