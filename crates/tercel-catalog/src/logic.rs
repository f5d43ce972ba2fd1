//! What a detection asks of an event, apart from where its events are kept.

use crate::compile::CompileOptions;
use crate::detection::{Detection, Syntax};
use tercel_ir::{Rel, Severity};
use tercel_sigma::Document;
use tercel_sigma::ast::FilterRule;
use tercel_verify::Anything;

impl Detection {
    /// The detection's own logic. Of a Sigma rule: over events of its log source whatever table holds
    /// them, see [`Anything`]; what is proved of that holds wherever the rule runs. It is there also for
    /// log sources that no table holds. Of other languages: what was compiled.
    ///
    /// `None` when there is no logic over single events, or the detection has other errors. Compile it
    /// first: types of fields are taken from there. With `filtered`, Sigma filters narrow the rule.
    pub fn logic(&self, options: &CompileOptions, filtered: bool) -> Option<Rel> {
        let Syntax::Sigma(document) = &self.syntax else { return self.rel.clone() };
        let elsewhere = |d: &tercel_ir::Diagnostic| d.code == "no-log-source";
        if self.diagnostics.iter().any(|d| d.severity == Severity::Error && !elsewhere(d)) {
            return None;
        }
        let Document::Rule(rule) = &**self.piped.as_ref().unwrap_or(document) else { return None };
        let events = self.rel.as_ref().map_or_else(Anything::new, |r| Anything::typed(&r.schema));
        let filters: Vec<&FilterRule> = self.filters.iter().filter_map(|f| as_filter(f)).collect();
        tercel_sigma::lower_filtered(rule, if filtered { &filters } else { &[] }, &events, &options.sigma).0
    }
}

fn as_filter(d: &Document) -> Option<&FilterRule> {
    match d {
        Document::Filter(f) => Some(f),
        _ => None,
    }
}
