//! From syntax to what is computed.

use crate::detection::{Detection, Syntax};
use tercel_ir::{Catalog, Diagnostic, Severity};

/// How to compile.
#[derive(Clone, Copy, Debug, Default)]
pub struct CompileOptions {
    /// Refuse what runs only with a warning, and read texts as their language's documentation says
    /// rather than as their author probably meant.
    pub strict: bool,
}

impl CompileOptions {
    pub(crate) fn sumo(self) -> tercel_sumo::Options {
        let profile = if self.strict { tercel_sumo::Profile::Strict } else { tercel_sumo::Profile::Intent };
        tercel_sumo::Options { profile, ..Default::default() }
    }
}

impl Detection {
    /// Binds the detection to the tables, views and functions of a run. Afterwards `rel` is there unless
    /// there are errors; the reasons are among the diagnostics. Compiling again starts afresh.
    pub fn compile(&mut self, catalog: &dyn Catalog, options: CompileOptions) {
        self.rel = None;
        if self.has_errors() {
            return;
        }
        let (rel, found) = match &self.syntax {
            Syntax::None => return,
            Syntax::Sigma(document) => tercel_sigma::lower_document(document, catalog, &Default::default()),
            Syntax::Kql(ast) => tercel_kql::lower(ast, catalog, &Default::default()),
            Syntax::Sumo(query) => tercel_sumo::lower(query, catalog, &options.sumo()),
        };
        for d in found {
            self.report(d);
        }
        if options.strict {
            refuse_warnings(&mut self.diagnostics);
        }
        self.rel = rel.filter(|_| !self.has_errors());
        if self.rel.is_none() && !self.has_errors() {
            // A front end that gives nothing says why; should one not, the rule must not vanish.
            self.report(Diagnostic::error(
                "not-compiled",
                "this text could not be compiled, and its front end did not say why",
            ));
        }
    }
}

/// What `--strict` means: warnings refuse. Notes do not.
fn refuse_warnings(found: &mut [Diagnostic]) {
    for d in found.iter_mut().filter(|d| d.severity == Severity::Warning && d.code != "duplicate-id") {
        d.severity = Severity::Error;
    }
}
