//! One file a command.

pub mod completions;
pub mod convert;
pub mod explain;
pub mod hunt;
pub mod lint;
pub mod overlap;
pub mod query;
pub mod rules;
pub mod schema;
pub mod test;
pub mod verify;

use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Failure, Outcome};
use crate::output::Target;
use crate::talk::Talk;
use std::path::{Path, PathBuf};
use tercel_catalog::{Detection, Language, LoadOptions, Loaded, Pipelines, RuleText};

/// What every command has at hand.
pub struct Run {
    pub global: Global,
    pub config: Config,
    pub talk: Talk,
    /// Whether standard output gets colours.
    pub color: bool,
}

impl Run {
    /// Where output goes.
    pub fn target(&self) -> Result<Target, Failure> {
        Target::new(self.global.format, self.global.output.as_deref(), self.global.force, self.color)
    }

    /// The rules that are named, else those of the configuration, else the built-in pack. What cannot be
    /// read is said at once.
    pub fn load_rules(&self, named: &[String], lang: Option<&str>) -> Rules {
        let named = match (&named, &self.config.rules) {
            ([], Some(configured)) => configured.as_slice(),
            (named, _) => named,
        };
        if named.is_empty() {
            let detections = tercel_catalog::pack::load();
            return Rules { loaded: Loaded { detections, ..Loaded::default() }, builtin: true };
        }
        let language = lang.and_then(Language::parse);
        let loaded = tercel_catalog::load(named, LoadOptions { language });
        for p in &loaded.problems {
            self.talk.error(&format!("cannot read the rule `{}`: {}", p.path, p.message));
        }
        Rules { loaded, builtin: false }
    }
}

/// Rules for a command.
pub struct Rules {
    pub loaded: Loaded,
    /// Whether it is the pack.
    pub builtin: bool,
}

impl Rules {
    /// Exit code 2 when something named could not be read.
    pub fn outcome(&self) -> Outcome {
        if self.loaded.problems.is_empty() { Outcome::Ran } else { Outcome::Incomplete }
    }

    /// Sends Sigma rules through the processing pipelines that are named. What is wrong with one is said.
    ///
    /// # Errors
    /// When a pipeline cannot be read or used: half a pipeline would give rules that nobody wrote.
    pub fn pipe(&mut self, run: &Run, files: &[PathBuf]) -> Result<(), Failure> {
        if files.is_empty() {
            return Ok(());
        }
        let mut pipelines = Vec::new();
        for file in files {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(file)
                .map_err(|e| Failure::new(format!("cannot read the pipeline `{name}`: {e}")))?;
            let (pipeline, found) = tercel_catalog::parse_pipeline(&name, &text);
            let text = RuleText::new(text);
            for f in found {
                run.talk.finding(&f, &name, &text);
            }
            let refused = || Failure::new(format!("the pipeline `{name}` cannot be used"));
            pipelines.push(pipeline.ok_or_else(refused)?);
        }
        tercel_catalog::link_with(&mut self.loaded.detections, &Pipelines::new(pipelines));
        Ok(())
    }

    /// # Errors
    /// When there is no rule at all.
    pub fn not_empty(&self) -> Result<(), Failure> {
        if self.loaded.detections.is_empty() {
            return Err(Failure::new("there is no rule to work with").help(
                "name files of rules, or folders that hold them: .yml .yaml .kql .csl .kusto .sumo .sumoql",
            ));
        }
        Ok(())
    }
}

/// A rule by id, or by the path of its file.
pub fn find<'a>(all: &'a [Detection], name: &str) -> Option<&'a Detection> {
    all.iter().find(|d| d.id == name).or_else(|| all.iter().find(|d| Path::new(&d.path) == Path::new(name)))
}

/// `1 error`, `2 errors`.
pub fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// Where a rule that is named by its id is looked for, and how its file is read.
#[derive(Clone, Copy)]
pub struct From<'a> {
    /// Files and folders; none: the configured ones, else the built-in pack.
    pub rules: &'a [String],
    pub lang: Option<&'a str>,
    pub pipelines: &'a [PathBuf],
}

impl Run {
    /// The rule that is named: by its file (which must hold just one, or `id` says which), or by its id.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn one_rule(&self, name: &str, id: Option<&str>, from: From<'_>) -> Result<Detection, Failure> {
        let is_file = name == "-" || Path::new(name).exists();
        let file = [name.to_string()];
        let mut rules = self.load_rules(if is_file { &file } else { from.rules }, from.lang);
        rules.not_empty()?;
        rules.pipe(self, from.pipelines)?;
        let all = &mut rules.loaded.detections;
        let id = if is_file { id } else { Some(name) };
        let at = match id {
            Some(id) => all.iter().position(|d| d.id == id).ok_or_else(|| {
                Failure::new(format!("there is no rule `{id}`"))
                    .help("a file, or an id among --rules (else the built-in pack)")
            })?,
            None if all.len() == 1 => 0,
            None => {
                let ids: Vec<&str> = all.iter().take(5).map(|d| d.id.as_str()).collect();
                let more = if all.len() > ids.len() { ", …" } else { "" };
                return Err(Failure::new(format!("`{name}` holds {} rules", all.len()))
                    .help(format!("say which by its id: {}{more}", ids.join(", "))));
            }
        };
        Ok(all.swap_remove(at))
    }

    /// Compiles a rule and says what is wrong with it.
    ///
    /// # Errors
    /// When it does not compile.
    pub fn compiled(
        &self,
        mut d: Detection,
        catalog: &tercel_schema::SchemaCatalog,
        options: tercel_catalog::CompileOptions,
    ) -> Result<Detection, Failure> {
        d.compile(catalog, options);
        for f in d.diagnostics.iter().filter(|f| f.severity != tercel_ir::Severity::Note) {
            self.talk.finding(f, &d.path, &d.text);
        }
        if d.rel.is_none() && d.correlation.is_none() {
            return Err(Failure::new(format!("`{}` does not compile", d.title)));
        }
        Ok(d)
    }
}
