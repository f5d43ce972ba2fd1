//! From syntax to what is computed.

use crate::detection::{Detection, Syntax};
use crate::link::{Role, settle_references};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tercel_ir::{Catalog, Diagnostic, Diagnostics, Rel, Severity};
use tercel_sigma::Document;
use tercel_sigma::ast::FilterRule;
use tercel_verify::Reach;

/// How to compile.
#[derive(Clone, Debug, Default)]
pub struct CompileOptions {
    /// Refuse what runs only with a warning, and read texts as their language's documentation says
    /// rather than as their author probably meant.
    pub strict: bool,
    /// What Sigma rules need to know beside their text. Shared, since every rule is compiled with the same.
    pub sigma: Arc<tercel_sigma::Options>,
}

impl CompileOptions {
    /// With values for the placeholders of Sigma's `expand`: name (without percent signs) and values.
    #[must_use]
    pub fn with_placeholders(mut self, placeholders: BTreeMap<String, Vec<String>>) -> CompileOptions {
        Arc::make_mut(&mut self.sigma).placeholders = placeholders;
        self
    }
    pub(crate) fn sumo(&self) -> tercel_sumo::Options {
        let profile = if self.strict { tercel_sumo::Profile::Strict } else { tercel_sumo::Profile::Intent };
        tercel_sumo::Options { profile }
    }
}

impl Detection {
    /// Binds the detection to tables, views and functions. Afterwards `rel` is there unless there are
    /// errors; the reasons are among the diagnostics. Compiling again starts afresh.
    pub fn compile(&mut self, catalog: &dyn Catalog, options: CompileOptions) {
        self.bind(catalog, &options);
        self.settle(&options);
    }

    /// Binds the detection to the tables of some data. What is only true of this data (a table that is
    /// not there has no columns) is no fault of the text: such warnings are left out, and do not refuse
    /// it when strict. `anywhere` is the catalog of no data in particular.
    pub fn compile_for(&mut self, data: &dyn Catalog, anywhere: &dyn Catalog, options: CompileOptions) {
        self.compile_with(data, anywhere, &options, &mut Reach::default());
    }

    fn compile_with(
        &mut self,
        data: &dyn Catalog,
        anywhere: &dyn Catalog,
        options: &CompileOptions,
        reach: &mut Reach,
    ) {
        self.bind(data, options);
        // What reading found does not depend on data.
        let before = self.read.as_ref().map_or(0, Vec::len);
        let warned = self.diagnostics.iter().skip(before).any(|d| d.severity == Severity::Warning);
        let never = self.rel.as_ref().and_then(|r| reach.never_fires(r));
        if warned || never.is_some() {
            let mut general = self.clone();
            general.bind(anywhere, options);
            // Tables that only this data has are unknown elsewhere; then there is nothing to compare with.
            if !general.has_errors() {
                let known =
                    |d: &Diagnostic| general.diagnostics.iter().any(|g| g.code == d.code && g.span == d.span);
                self.diagnostics.retain(|d| d.severity != Severity::Warning || known(d));
                self.never = general.rel.as_ref().and_then(|r| reach.never_fires(r));
            }
        }
        self.settle(options);
    }

    fn bind(&mut self, catalog: &dyn Catalog, options: &CompileOptions) {
        self.rel = None;
        self.never = None;
        self.correlation.clone_from(&self.plan);
        match &self.read {
            Some(read) => self.diagnostics = read.clone(),
            None => self.read = Some(self.diagnostics.clone()),
        }
        if self.has_errors() {
            return;
        }
        let (rel, found) = match &self.syntax {
            Syntax::None => return,
            Syntax::Sigma(document) => {
                let document = self.piped.as_ref().unwrap_or(document);
                self.lower_sigma(document, catalog, &options.sigma)
            }
            Syntax::Kql(ast) => tercel_kql::lower(ast, catalog, &Default::default()),
            Syntax::Sumo(query) => tercel_sumo::lower(query, catalog, &options.sumo()),
        };
        for d in found {
            self.report(d);
        }
        self.rel = rel;
    }

    fn lower_sigma(
        &self,
        document: &Document,
        catalog: &dyn Catalog,
        options: &tercel_sigma::Options,
    ) -> (Option<Rel>, Diagnostics) {
        let Document::Rule(rule) = document else {
            return tercel_sigma::lower_document(document, catalog, options);
        };
        let filters: Vec<&FilterRule> = self
            .filters
            .iter()
            .filter_map(|f| match &**f {
                Document::Filter(f) => Some(f),
                _ => None,
            })
            .collect();
        tercel_sigma::lower_filtered(rule, &filters, catalog, options)
    }

    fn settle(&mut self, options: &CompileOptions) {
        if options.strict {
            refuse_warnings(&mut self.diagnostics);
        }
        if self.has_errors() {
            self.rel = None;
            self.correlation = None;
        } else if self.rel.is_none() && self.role() == Role::Rule {
            // A front end that gives nothing says why; should one not, the rule must not vanish.
            let what = "this text could not be compiled, and its front end did not say why";
            self.report(Diagnostic::error("not-compiled", what));
        }
    }
}

/// Compiles the detections of a run on so many threads, each as [`Detection::compile_for`] does, and then
/// says of correlations whose rules do not run that they do not either.
pub fn compile_all(
    all: &mut [Detection],
    data: &dyn Catalog,
    anywhere: &dyn Catalog,
    options: &CompileOptions,
    threads: usize,
) {
    /// Detections that a thread takes at a time.
    const CHUNK: usize = 32;
    let threads = threads.clamp(1, all.len().div_ceil(CHUNK).max(1));
    let chunks = Mutex::new(all.chunks_mut(CHUNK));
    let work = || {
        let mut reach = Reach::default();
        loop {
            let Some(chunk) = chunks.lock().unwrap_or_else(PoisonError::into_inner).next() else { return };
            chunk.iter_mut().for_each(|d| d.compile_with(data, anywhere, options, &mut reach));
        }
    };
    std::thread::scope(|s| {
        for _ in 1..threads {
            s.spawn(work);
        }
        work();
    });
    settle_references(all);
}

/// What `--strict` means: warnings refuse. Notes do not, nor does what concerns a rule's neighbours.
fn refuse_warnings(found: &mut [Diagnostic]) {
    for d in found.iter_mut().filter(|d| d.severity == Severity::Warning && d.code != "duplicate-id") {
        d.severity = Severity::Error;
    }
}
