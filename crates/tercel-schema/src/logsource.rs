//! Sigma's log sources: which relation a (category, product, service) means.

use crate::sumo;
use crate::view::{Source, View};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use tercel_ir::catalog::LogSource;
use tercel_ir::{Diagnostic, Expr, Rel, Span, Type, Value, diag};

/// The provider of Sysmon for Linux, whose events are rows of the table `Sysmon` like those of Windows.
const SYSMON_LINUX: &str = "Linux-Sysmon";

/// What every log source means when log sources are ignored.
pub(crate) const ANY: &str = "sigma/any/any";

/// `views/logsources.toml`.
#[derive(Deserialize)]
struct File {
    /// Name → parameters and body of a KQL function.
    functions: BTreeMap<String, String>,
    /// Name → KQL that gives rows of another sensor Sysmon's names.
    parts: BTreeMap<String, String>,
    /// Categories of Windows, Linux and macOS.
    category: BTreeMap<String, Category>,
    linux: BTreeMap<String, Category>,
    macos: BTreeMap<String, Category>,
    zeek: Zeek,
    /// Service → event-log channels.
    channels: BTreeMap<String, Vec<String>>,
    source: Vec<Row>,
    homeless: Vec<Homeless>,
}

#[derive(Deserialize)]
struct Category {
    /// Sysmon event ids.
    #[serde(default)]
    sysmon: Vec<u16>,
    /// What else is true of those events.
    when: Option<String>,
    /// Rows of other sensors: KQL, or the name of a part and what follows it.
    #[serde(default)]
    parts: Vec<String>,
}

#[derive(Deserialize)]
struct Zeek {
    logs: Vec<String>,
}

#[derive(Deserialize)]
struct Row {
    category: Option<String>,
    product: Option<String>,
    service: Option<String>,
    about: String,
    #[serde(default)]
    notes: Vec<String>,
    /// Either KQL text,
    kql: Option<String>,
    /// or such texts whose rows are put together,
    #[serde(default)]
    parts: Vec<String>,
    /// or tables whose rows are put together as they are.
    #[serde(default)]
    tables: Vec<String>,
}

/// Log sources that no table holds.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Homeless {
    #[serde(default)]
    pub products: Vec<String>,
    #[serde(default)]
    pub categories: Vec<String>,
    pub reason: String,
}

/// What the table file defines.
pub(crate) struct Table {
    pub views: Vec<View>,
    /// Channels of Windows services, for rules that give both a category and a service.
    pub channels: BTreeMap<String, Vec<String>>,
    pub homeless: Vec<Homeless>,
}

/// A log source and what becomes of its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSourceEntry {
    /// What rules write. Of a source without a home, only the part that decides it.
    pub source: Source,
    /// The view with its events; `None` if no table holds them.
    pub view: Option<String>,
    /// Where the events come from, or why there are none.
    pub about: String,
}

/// Reads the table.
///
/// # Errors
/// The TOML reader's own words, or the name of a part that is not there.
pub(crate) fn parse(text: &str) -> Result<Table, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
    let mut views = Vec::new();
    let mut add = |source: Source, about: String, notes: Vec<String>, kql: String, tables: Vec<String>| {
        let mut v = View::new(name_of(&source), about, kql);
        v.source = Some(source);
        v.notes = notes;
        v.tables = tables;
        views.push(v);
    };
    for (product, categories) in [("windows", &file.category), ("linux", &file.linux), ("macos", &file.macos)]
    {
        for (category, c) in categories {
            let mut branches = Vec::new();
            let mut about = Vec::new();
            if !c.sysmon.is_empty() {
                branches.push(sysmon(product, c));
                let ids = c.sysmon.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
                let name = if product == "linux" { "Sysmon for Linux" } else { "Sysmon" };
                about.push(format!("{name} {ids}"));
            }
            for part in &c.parts {
                branches.push(file.part(part));
                let table = file.part(part).split_whitespace().next().unwrap_or_default().to_string();
                if !about.contains(&table) {
                    about.push(table);
                }
            }
            let source =
                Source { category: Some(category.clone()), product: Some(product.into()), service: None };
            let kql = file.union(&branches);
            add(source, about.join("; "), Vec::new(), kql, Vec::new());
        }
    }
    for (service, channels) in &file.channels {
        let kql = match service.as_str() {
            // These channels have tables of their own.
            "sysmon" => {
                format!("Sysmon | where Provider != \"{SYSMON_LINUX}\" | extend Provider_Name = Provider")
            }
            "security" => {
                "SecurityEvent | extend Provider_Name = coalesce(Provider, EventSourceName)".to_string()
            }
            _ => {
                let list = channels.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", ");
                let mut kql =
                    format!("WindowsEvents | where Channel in~ ({list}) | extend Provider_Name = Provider");
                if service == "windefend" {
                    kql.push_str(&without_blanks());
                }
                kql
            }
        };
        let source =
            Source { category: None, product: Some("windows".into()), service: Some(service.clone()) };
        add(source, format!("Event-log channel {}", channels.join(", ")), Vec::new(), kql, Vec::new());
    }
    for log in &file.zeek.logs {
        let source = Source { category: None, product: Some("zeek".into()), service: Some(log.clone()) };
        let table: String = log.split('_').map(capitalized).collect();
        add(source, format!("Zeek {log}.log"), Vec::new(), format!("Zeek{table}"), Vec::new());
    }
    for r in &file.source {
        let source =
            Source { category: r.category.clone(), product: r.product.clone(), service: r.service.clone() };
        let kql = match &r.kql {
            Some(k) => k.clone(),
            None if r.parts.is_empty() => format!("union {}", r.tables.join(", ")),
            None => file.union(&r.parts.iter().map(|p| file.part(p)).collect::<Vec<_>>()),
        };
        add(source, r.about.clone(), r.notes.clone(), kql, r.tables.clone());
    }
    Ok(Table { views, channels: file.channels, homeless: file.homeless })
}

/// Sysmon's own events of a category.
fn sysmon(product: &str, c: &Category) -> String {
    let ids = c.sysmon.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let ids = if c.sysmon.len() == 1 { format!("EventID == {ids}") } else { format!("EventID in ({ids})") };
    let system = if product == "linux" { "==" } else { "!=" };
    let when = c.when.as_ref().map(|w| format!(" and {w}")).unwrap_or_default();
    format!(
        "Sysmon | where {ids} and Provider {system} \"{SYSMON_LINUX}\"{when} | extend Provider_Name = Provider"
    )
}

/// Windows Defender names its event data with blanks; rules write the names without. `Source Name` must
/// come first: some carriers call the provider of any event `SourceName`.
fn without_blanks() -> String {
    let names = ["Threat", "Process", "Source", "Feature"].map(|n| format!("{n} Name"));
    let values = ["Old Value", "New Value"].map(str::to_string);
    let columns: Vec<String> = names
        .iter()
        .chain(&values)
        .map(|n| {
            let plain = n.replace(' ', "");
            format!("{plain} = iff(isnotempty(['{n}']), ['{n}'], {plain})")
        })
        .collect();
    format!("\n| extend {}, Feature_Name = ['Feature Name']", columns.join(", "))
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

impl File {
    /// The text of a part, or the text itself if it does not begin with the name of one.
    fn part(&self, text: &str) -> String {
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        match self.parts.get(name) {
            Some(part) if rest.is_empty() => part.trim().to_string(),
            Some(part) => format!("{}\n{rest}", part.trim()),
            None => text.to_string(),
        }
    }

    /// The rows of all branches, with the functions that they call.
    fn union(&self, branches: &[String]) -> String {
        let mut out = String::new();
        let mut known = BTreeSet::new();
        for b in branches {
            self.define(b, &mut known, &mut out);
        }
        match branches {
            [one] => out + one,
            _ => {
                let mut names = Vec::new();
                for (i, b) in branches.iter().enumerate() {
                    names.push(format!("Part{}", i + 1));
                    out.push_str(&format!("let Part{} = {b};\n", i + 1));
                }
                out + "union " + &names.join(", ")
            }
        }
    }

    /// Writes the definitions of the functions that a text calls, each once and before its callers.
    fn define<'a>(&'a self, text: &str, known: &mut BTreeSet<&'a str>, out: &mut String) {
        for (name, body) in &self.functions {
            let called = text
                .match_indices(&format!("{name}("))
                .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_'));
            if called && known.insert(name) {
                self.define(body, known, out);
                out.push_str(&format!("let {name} = {body};\n"));
            }
        }
    }
}

/// The rows of a table that a product without category or service means: Sysmon's events are of Windows
/// or of Linux.
pub(crate) fn narrowed(view: &View, table: &str, rel: Rel) -> Rel {
    let product = view.source.as_ref().and_then(|s| s.product.as_deref());
    let function = match (table, product) {
        ("Sysmon", Some("windows")) => "ne",
        ("Sysmon", Some("linux")) => "eq",
        _ => return rel,
    };
    let at = Span::default();
    let provider = Expr::column("Provider", Type::String, at);
    let text = Expr::known("coalesce", vec![provider, Expr::literal(Value::str(""), at)], at);
    rel.filter(Expr::known(function, vec![text, Expr::literal(Value::str(SYSMON_LINUX), at)], at), at)
}

fn quoted(s: &str) -> String {
    format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `sigma/PRODUCT/CATEGORY-or-SERVICE`.
fn name_of(s: &Source) -> String {
    let what = s.category.as_deref().or(s.service.as_deref()).unwrap_or("any");
    format!("sigma/{}/{what}", s.product.as_deref().unwrap_or("any"))
}

/// The views that fit best among those with a log source: the category decides, else the service, else
/// the product alone. A product that one side does not name fits; a rule that names none means all.
pub(crate) fn find<'a>(views: impl Iterator<Item = &'a View>, want: LogSource<'_>) -> Vec<&'a View> {
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
    let mut found: Vec<&View> = views.filter(|v| v.source.as_ref().is_some_and(fits)).collect();
    let exact = |v: &&View| v.source.as_ref().is_some_and(|s| same(&s.product, want.product));
    if found.iter().any(exact) {
        found.retain(exact);
    }
    found
}

/// The events of several views together.
pub(crate) fn together(mut rels: Vec<Rel>) -> Option<Rel> {
    if rels.len() < 2 { rels.pop() } else { Some(Rel::union(sumo::settle_types(rels), Span::default())) }
}

/// Why a log source has no home, where that is known.
fn reason<'a>(homeless: &'a [Homeless], want: LogSource<'_>) -> Option<&'a str> {
    let named = |list: &[String], word: Option<&str>| {
        word.is_some_and(|w| list.iter().any(|x| x.eq_ignore_ascii_case(w)))
    };
    let by_product = homeless.iter().find(|h| named(&h.products, want.product));
    let found = by_product.or_else(|| homeless.iter().find(|h| named(&h.categories, want.category)))?;
    Some(&found.reason)
}

/// The entries of those without a home.
pub(crate) fn homeless_entries(homeless: &[Homeless]) -> Vec<LogSourceEntry> {
    let entry = |source, about: &str| LogSourceEntry { source, view: None, about: about.to_string() };
    let mut out = Vec::new();
    for h in homeless {
        let product = |p: &String| Source { product: Some(p.clone()), ..Source::default() };
        let category = |c: &String| Source { category: Some(c.clone()), ..Source::default() };
        let sources = h.products.iter().map(product).chain(h.categories.iter().map(category));
        out.extend(sources.map(|s| entry(s, &h.reason)));
    }
    out
}

/// A log source in words: "category `process_creation`, product `linux`".
pub(crate) fn words(s: LogSource<'_>) -> String {
    let parts = [("category", s.category), ("product", s.product), ("service", s.service)];
    let named: Vec<String> = parts.iter().filter_map(|(k, v)| v.map(|v| format!("{k} `{v}`"))).collect();
    if named.is_empty() { "of no kind".to_string() } else { named.join(", ") }
}

/// Why no relation can be given.
pub(crate) fn missing<'a>(
    views: impl Iterator<Item = &'a View> + Clone,
    homeless: &[Homeless],
    want: LogSource<'_>,
) -> Diagnostic {
    let d = Diagnostic::error(
        "no-log-source",
        format!("no table holds events of the log source {}", words(want)),
    )
    .meaning("the rule cannot match anything in the data that is understood today");
    let home = "a view with `// log source ...` in its head gives the rule a home";
    let known = || views.clone().filter_map(|v| v.source.as_ref());
    let near = match (want.category, want.service) {
        (Some(c), _) => diag::nearest(c, known().filter_map(|s| s.category.as_deref())).filter(|n| *n != c),
        (None, Some(s)) => diag::nearest(s, known().filter_map(|s| s.service.as_deref())).filter(|n| *n != s),
        (None, None) => {
            diag::nearest(want.product.unwrap_or(""), known().filter_map(|s| s.product.as_deref()))
        }
    };
    match (reason(homeless, want), near) {
        (Some(why), _) => d.help(format!("{why}; {home}")),
        (None, Some(n)) => d.help(format!("did you mean `{n}`?")),
        (None, None) => d.help(format!("{home}; `schema list` shows those there are")),
    }
}
