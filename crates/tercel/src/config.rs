//! Settings from files. Flags win over `TERCEL_*` variables (both are the command line's business), those
//! over the project's file, that over the user's.

use crate::cli::{Color, Global, Reading, World};
use crate::failure::Failure;
use crate::output::Format;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The name of a project's file.
const PROJECT_FILE: &str = "tercel.toml";

/// What a file may say: options under their long names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    pub format: Option<Format>,
    pub color: Option<Color>,
    pub quiet: Option<bool>,
    pub strict: Option<bool>,
    /// Rules of `hunt` and `lint` when none are named.
    pub rules: Option<Vec<String>>,
    pub level: Option<String>,
    pub allow: Option<Vec<String>>,
    pub views: Option<PathBuf>,
    pub lookups: BTreeMap<String, PathBuf>,
    /// Files with the values of Sigma's placeholders, by name.
    pub placeholders: BTreeMap<String, PathBuf>,
    pub pipelines: Option<Vec<PathBuf>>,
    pub geoip: Option<PathBuf>,
    pub source_category: Option<String>,
    pub time_field: Option<String>,
    pub jobs: Option<u16>,
}

impl Config {
    /// The files that apply here, merged.
    ///
    /// # Errors
    /// When a file cannot be read or says something unknown.
    pub fn load(named: Option<&Path>) -> Result<Config, Failure> {
        if let Some(path) = named {
            return Config::read(path);
        }
        let mut config = Config::default();
        let project = std::env::current_dir().ok().and_then(|d| project_file(&d));
        for path in [project, user_file()].into_iter().flatten() {
            config = config.over(Config::read(&path)?);
        }
        Ok(config)
    }

    fn read(path: &Path) -> Result<Config, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Failure::new(format!("cannot read the configuration `{}`: {e}", path.display())))?;
        let mut config: Config = toml::from_str(&text).map_err(|e| {
            Failure::new(format!("in the configuration `{}`: {}", path.display(), e.to_string().trim_end()))
                .help("keys are the long names of options: format, color, quiet, strict, rules, level, allow, views, lookups, placeholders, pipelines, geoip, source-category, time-field, jobs")
        })?;
        config.check(path)?;
        config.rebase(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), Failure> {
        match &self.level {
            Some(l) if tercel_catalog::Level::parse(l).is_none() => {
                Err(Failure::new(format!("in the configuration `{}`: `{l}` is not a level", path.display()))
                    .help("levels are informational, low, medium, high, critical"))
            }
            _ => Ok(()),
        }
    }

    /// Paths in a file count from where the file is.
    fn rebase(&mut self, folder: &Path) {
        let at = |p: &Path| folder.join(p);
        self.views = self.views.as_deref().map(at);
        self.geoip = self.geoip.as_deref().map(at);
        self.lookups.values_mut().for_each(|p| *p = folder.join(&*p));
        self.placeholders.values_mut().for_each(|p| *p = folder.join(&*p));
        self.pipelines.iter_mut().flatten().for_each(|p| *p = folder.join(&*p));
        for rule in self.rules.iter_mut().flatten() {
            *rule = folder.join(&*rule).to_string_lossy().into_owned();
        }
    }

    /// What this says, and where it says nothing, what `under` says.
    fn over(self, under: Config) -> Config {
        let mut lookups = under.lookups;
        lookups.extend(self.lookups);
        let mut placeholders = under.placeholders;
        placeholders.extend(self.placeholders);
        Config {
            format: self.format.or(under.format),
            color: self.color.or(under.color),
            quiet: self.quiet.or(under.quiet),
            strict: self.strict.or(under.strict),
            rules: self.rules.or(under.rules),
            level: self.level.or(under.level),
            allow: self.allow.or(under.allow),
            views: self.views.or(under.views),
            lookups,
            placeholders,
            pipelines: self.pipelines.or(under.pipelines),
            geoip: self.geoip.or(under.geoip),
            source_category: self.source_category.or(under.source_category),
            time_field: self.time_field.or(under.time_field),
            jobs: self.jobs.or(under.jobs),
        }
    }

    /// Fills in what the command line leaves open.
    pub fn global(&self, g: &mut Global) {
        g.format = g.format.or(self.format);
        g.color = g.color.or(self.color);
        g.quiet = g.quiet.or(self.quiet);
    }
    /// Fills in what the command line leaves open.
    pub fn world(&self, w: &mut World) {
        w.views = w.views.take().or_else(|| self.views.clone());
        w.geoip = w.geoip.take().or_else(|| self.geoip.clone());
        w.source_category = w.source_category.take().or_else(|| self.source_category.clone());
        w.strict = w.strict.or(self.strict);
        unless_named(&mut w.lookups, &self.lookups);
        unless_named(&mut w.placeholders, &self.placeholders);
        if w.pipelines.is_empty() {
            w.pipelines = self.pipelines.clone().unwrap_or_default();
        }
    }
    /// Fills in what the command line leaves open.
    pub fn reading(&self, r: &mut Reading) {
        r.time_field = r.time_field.take().or_else(|| self.time_field.clone());
        r.jobs = r.jobs.or(self.jobs);
    }
}

/// Adds what a file names; named on the command line, a name hides the file's.
fn unless_named(given: &mut Vec<String>, file: &BTreeMap<String, PathBuf>) {
    let named: Vec<String> = given.iter().filter_map(|l| Some(l.split_once('=')?.0.to_string())).collect();
    for (name, path) in file.iter().filter(|(n, _)| !named.contains(n)) {
        given.push(format!("{name}={}", path.display()));
    }
}

/// The project's file: in this folder or the nearest one above it.
fn project_file(from: &Path) -> Option<PathBuf> {
    from.ancestors().map(|d| d.join(PROJECT_FILE)).find(|p| p.is_file())
}

/// The user's file.
fn user_file() -> Option<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = if cfg!(windows) {
        var("APPDATA")?
    } else {
        var("XDG_CONFIG_HOME").or_else(|| Some(var("HOME")?.join(".config")))?
    };
    Some(folder.join("tercel").join("config.toml")).filter(|p| p.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tercel.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    #[test]
    fn unknown_keys_and_levels_are_errors() {
        assert!(read("format = \"csv\"\nlevel = \"high\"\n[lookups]\nbad = \"a.csv\"\n").is_ok());
        let e = read("fromat = \"csv\"\n").unwrap_err();
        assert!(e.message.contains("fromat"), "{}", e.message);
        assert!(read("level = \"urgent\"\n").unwrap_err().message.contains("urgent"));
    }

    #[test]
    fn project_wins_over_user_and_flags_over_both() {
        let project = Config { jobs: Some(2), geoip: Some("p.mmdb".into()), ..Config::default() };
        let user = Config { jobs: Some(4), strict: Some(true), ..Config::default() };
        let merged = project.over(user);
        assert_eq!((merged.jobs, merged.strict), (Some(2), Some(true)));
        let mut world = World { geoip: Some("flag.mmdb".into()), strict: Some(false), ..World::default() };
        merged.world(&mut world);
        assert_eq!((world.geoip, world.strict), (Some("flag.mmdb".into()), Some(false)));
    }

    #[test]
    fn paths_count_from_the_file() {
        let c = read("views = \"v\"\nrules = [\"r\"]\n").unwrap();
        assert!(c.views.unwrap().is_absolute());
        assert!(c.rules.unwrap()[0].ends_with("/r"));
    }
}
