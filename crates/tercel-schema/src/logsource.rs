//! Sigma's log sources: which relation a (category, product, service) means.

use crate::view::{Source, View};
use serde::Deserialize;
use std::collections::BTreeMap;
use tercel_ir::catalog::LogSource;
use tercel_ir::{Diagnostic, diag};

/// `views/logsources.toml`.
#[derive(Deserialize)]
struct File {
    /// Category → Sysmon event ids.
    sysmon: BTreeMap<String, Vec<u16>>,
    /// Service → event-log channels.
    channels: BTreeMap<String, Vec<String>>,
    source: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    category: Option<String>,
    product: Option<String>,
    service: Option<String>,
    about: String,
    /// Either KQL text,
    kql: Option<String>,
    /// or tables whose rows are put together as they are.
    #[serde(default)]
    tables: Vec<String>,
}

/// What the table file defines.
pub(crate) struct Table {
    pub views: Vec<View>,
    /// Channels of Windows services, for rules that give both a category and a service.
    pub channels: BTreeMap<String, Vec<String>>,
}

/// Reads the table.
///
/// # Errors
/// The TOML reader's own words.
pub(crate) fn parse(text: &str) -> Result<Table, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
    let mut views = Vec::new();
    let mut add = |source: Source, about: String, kql: String, tables: Vec<String>| {
        let mut v = View::new(name_of(&source), about, kql);
        v.source = Some(source);
        v.tables = tables;
        views.push(v);
    };
    let windows = |category: Option<&str>, service: Option<&str>| Source {
        category: category.map(str::to_string),
        product: Some("windows".to_string()),
        service: service.map(str::to_string),
    };
    for (category, ids) in &file.sysmon {
        let ids = ids.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        add(
            windows(Some(category), None),
            format!("Sysmon {ids}"),
            format!("Sysmon | where EventID in ({ids}) | extend Provider_Name = Provider"),
            Vec::new(),
        );
    }
    for (service, channels) in &file.channels {
        let kql = match service.as_str() {
            // These channels have tables of their own.
            "sysmon" => "Sysmon | extend Provider_Name = Provider".to_string(),
            "security" => {
                "SecurityEvent | extend Provider_Name = coalesce(Provider, EventSourceName)".to_string()
            }
            _ => format!(
                "WindowsEvents | where Channel in~ ({}) | extend Provider_Name = Provider",
                channels.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", ")
            ),
        };
        add(
            windows(None, Some(service)),
            format!("Event-log channel {}", channels.join(", ")),
            kql,
            Vec::new(),
        );
    }
    for r in file.source {
        let source = Source { category: r.category, product: r.product, service: r.service };
        add(source, r.about, r.kql.unwrap_or_else(|| format!("union {}", r.tables.join(", "))), r.tables);
    }
    Ok(Table { views, channels: file.channels })
}

fn quoted(s: &str) -> String {
    format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `sigma/PRODUCT/CATEGORY-or-SERVICE`.
fn name_of(s: &Source) -> String {
    let what = s.category.as_deref().or(s.service.as_deref()).unwrap_or("any");
    format!("sigma/{}/{what}", s.product.as_deref().unwrap_or("any"))
}

/// The view that fits best among those with a log source: the category decides, else the service, else
/// the product alone. A product that one side does not name fits.
pub(crate) fn find<'a>(views: impl Iterator<Item = &'a View>, want: LogSource<'_>) -> Option<&'a View> {
    let same = |a: &Option<String>, b: Option<&str>| {
        a.as_deref().is_some_and(|a| b.is_some_and(|b| a.eq_ignore_ascii_case(b)))
    };
    let fits = |s: &Source| {
        let product = s.product.is_none() || want.product.is_none() || same(&s.product, want.product);
        product
            && if want.category.is_some() {
                same(&s.category, want.category)
            } else if want.service.is_some() {
                s.category.is_none() && same(&s.service, want.service)
            } else {
                s.category.is_none() && s.service.is_none() && same(&s.product, want.product)
            }
    };
    views
        .filter(|v| v.source.as_ref().is_some_and(fits))
        .max_by_key(|v| v.source.as_ref().is_some_and(|s| same(&s.product, want.product)))
}

/// A log source in words: "category `process_creation`, product `linux`".
pub(crate) fn words(s: LogSource<'_>) -> String {
    let parts = [("category", s.category), ("product", s.product), ("service", s.service)];
    let named: Vec<String> = parts.iter().filter_map(|(k, v)| v.map(|v| format!("{k} `{v}`"))).collect();
    if named.is_empty() { "of no kind".to_string() } else { named.join(", ") }
}

/// Why no relation can be given.
pub(crate) fn missing<'a>(views: impl Iterator<Item = &'a View> + Clone, want: LogSource<'_>) -> Diagnostic {
    let d = Diagnostic::error(
        "no-log-source",
        format!("no table holds events of the log source {}", words(want)),
    )
    .meaning("the rule cannot match anything in the data that is understood today");
    let known = || views.clone().filter_map(|v| v.source.as_ref());
    let near = match (want.category, want.service) {
        (Some(c), _) => diag::nearest(c, known().filter_map(|s| s.category.as_deref())).filter(|n| *n != c),
        (None, Some(s)) => diag::nearest(s, known().filter_map(|s| s.service.as_deref())).filter(|n| *n != s),
        (None, None) => {
            diag::nearest(want.product.unwrap_or(""), known().filter_map(|s| s.product.as_deref()))
        }
    };
    match (near, want.product) {
        (Some(n), _) => d.help(format!("did you mean `{n}`?")),
        (None, Some("linux")) => d.help(
            "Linux events are read as rows of `Syslog`, not taken apart; a view with `// log source ...` in its head gives the rule a home",
        ),
        _ => d.help("a view with `// log source category=... product=...` in its head gives the rule a home; `schema list` shows those there are"),
    }
}
