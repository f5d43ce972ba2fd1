//! Inputs: paths, folders, globs and standard input, turned into a list of files of known format.

mod detect;
mod source;

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tercel_ir::Name;

use crate::options::ReadOptions;
use crate::problem::{Problem, ProblemKind};
pub use detect::Format;
pub(crate) use detect::{binary, detect, text_format};
pub use source::Compression;
pub(crate) use source::{Limits, decompress, open_source, text_source};

/// One file to be read.
#[derive(Debug)]
pub struct InputFile {
    /// As the user named it or as it was found.
    pub name: Name,
    /// Where its bytes are; a temporary file for standard input.
    pub(crate) path: PathBuf,
    /// Bytes on disk.
    pub size: u64,
    pub format: Format,
    pub compression: Compression,
    /// The table for records of no known shape.
    pub stem: Name,
}

/// All files of a run.
#[derive(Debug)]
pub struct Inputs {
    pub(crate) files: Vec<InputFile>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) options: ReadOptions,
    /// Keeps the copy of standard input alive.
    _spool: Option<tempfile::NamedTempFile>,
}

impl Inputs {
    /// Finds the files that `paths` name and recognises their formats. A path is a file, a folder (read
    /// with all its subfolders, in order of name), a glob, or `-` for standard input, which is copied to a
    /// temporary file. What cannot be read becomes a [`Problem`]; the rest goes on.
    pub fn open(paths: &[String], options: &ReadOptions) -> Inputs {
        let mut found = Found { seen: HashSet::new(), list: Vec::new(), problems: Vec::new(), folder: None };
        let mut spool = None;
        for p in paths {
            if p == "-" {
                if spool.is_none() {
                    match spool_stdin() {
                        Ok(file) => {
                            found.list.push(Candidate {
                                name: "-".into(),
                                path: file.path().to_owned(),
                                named: true,
                            });
                            spool = Some(file);
                        }
                        Err(e) => found.problem(
                            "-",
                            ProblemKind::Unreadable,
                            format!("cannot read standard input: {}", error_text(&e)),
                        ),
                    }
                }
            } else {
                found.path(p);
            }
        }
        let mut inputs =
            Inputs { files: Vec::new(), problems: found.problems, options: options.clone(), _spool: spool };
        for c in found.list {
            inputs.add(c);
        }
        inputs
    }

    /// The files that will be read.
    pub fn files(&self) -> &[InputFile] {
        &self.files
    }

    /// Problems found so far.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Bytes on disk of all files.
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().map(|f| f.size).sum()
    }

    fn add(&mut self, c: Candidate) {
        let mut problem = |kind, message| {
            self.problems.push(Problem {
                file: c.name.as_str().into(),
                kind,
                message,
                place: None,
                count: 1,
            });
        };
        let size = match fs::metadata(&c.path) {
            Ok(m) => m.len(),
            Err(e) => return problem(ProblemKind::Unreadable, error_text(&e)),
        };
        if size == 0 {
            return problem(ProblemKind::Skipped, "the file is empty".into());
        }
        let stem = stem(if c.name == "-" { "stdin" } else { &c.name });
        match detect(&c.path, &c.name, &self.options) {
            Ok((Format::Text, _)) if !(self.options.text && c.named) => {
                let message = if c.named {
                    "plain text, no known format; with the option for text files its lines are read as records"
                } else {
                    "no telemetry: plain text"
                };
                problem(ProblemKind::Skipped, message.into());
            }
            // Asked for as text, lines are only that.
            Ok((format, compression)) => self.files.push(InputFile {
                name: c.name.as_str().into(),
                path: c.path,
                size,
                format: if format == Format::Linux && self.options.text && c.named {
                    Format::Text
                } else {
                    format
                },
                compression,
                stem: stem.as_str().into(),
            }),
            Err(detect::Refusal::Io(e)) => problem(ProblemKind::Unreadable, error_text(&e)),
            Err(detect::Refusal::NotTelemetry(why)) => problem(ProblemKind::Skipped, why),
        }
    }
}

struct Candidate {
    name: String,
    path: PathBuf,
    /// Named by the user, not found in a folder.
    named: bool,
}

struct Found {
    seen: HashSet<PathBuf>,
    list: Vec<Candidate>,
    problems: Vec<Problem>,
    /// The last folder that files were found in, and its canonical path.
    folder: Option<(PathBuf, PathBuf)>,
}

impl Found {
    fn problem(&mut self, file: &str, kind: ProblemKind, message: String) {
        self.problems.push(Problem { file: file.into(), kind, message, place: None, count: 1 });
    }

    fn path(&mut self, text: &str) {
        let path = Path::new(text);
        match fs::metadata(path) {
            Ok(m) if m.is_dir() => self.folder(path),
            Ok(_) => self.file(path, true),
            Err(e) => {
                // A file whose name has brackets is found above; only what is not there is a pattern.
                if e.kind() == io::ErrorKind::NotFound && text.contains(['*', '?', '[']) {
                    self.glob(text);
                } else {
                    self.problem(text, ProblemKind::Unreadable, error_text(&e));
                }
            }
        }
    }

    fn glob(&mut self, pattern: &str) {
        let paths = match glob::glob(pattern) {
            Ok(paths) => paths,
            Err(e) => {
                return self.problem(
                    pattern,
                    ProblemKind::Unreadable,
                    format!("not a valid pattern: {}", e.msg),
                );
            }
        };
        let mut any = false;
        for entry in paths {
            any = true;
            match entry {
                Ok(p) if p.is_dir() => self.folder(&p),
                Ok(p) => self.file(&p, true),
                Err(e) => {
                    let (file, message) = (e.path().display().to_string(), error_text(e.error()));
                    self.problem(&file, ProblemKind::Unreadable, message);
                }
            }
        }
        if !any {
            self.problem(pattern, ProblemKind::Unreadable, "no file matches this pattern".into());
        }
    }

    fn folder(&mut self, root: &Path) {
        let before = self.list.len();
        let troubles = self.problems.len();
        let mut walk = walkdir::WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter();
        while let Some(entry) = walk.next() {
            match entry {
                Ok(e) => {
                    let hidden = e.depth() > 0 && e.file_name().to_string_lossy().starts_with('.');
                    if hidden {
                        let name = e.path().display().to_string();
                        let what = if e.file_type().is_dir() { "hidden folder" } else { "hidden file" };
                        self.problem(&name, ProblemKind::Skipped, format!("{what}; name it to read it"));
                        if e.file_type().is_dir() {
                            walk.skip_current_dir();
                        }
                    } else if e.file_type().is_file() {
                        let key = if e.path_is_symlink() { None } else { self.key_in_folder(e.path()) };
                        self.file_of(e.path(), key, false);
                    }
                }
                Err(e) => {
                    let file =
                        e.path().map_or_else(|| root.display().to_string(), |p| p.display().to_string());
                    let message = match (e.loop_ancestor(), e.io_error()) {
                        (Some(_), _) => "a link to a folder that holds it".to_owned(),
                        (None, Some(io)) => error_text(io),
                        _ => e.to_string(),
                    };
                    self.problem(&file, ProblemKind::Unreadable, message);
                }
            }
        }
        if self.list.len() == before && self.problems.len() == troubles {
            self.problem(
                &root.display().to_string(),
                ProblemKind::Skipped,
                "the folder holds no files".into(),
            );
        }
    }

    fn file(&mut self, path: &Path, named: bool) {
        self.file_of(path, None, named);
    }

    /// The canonical path of a file that is no link. That of its folder is found once for all files in it.
    fn key_in_folder(&mut self, path: &Path) -> Option<PathBuf> {
        let (folder, name) = (path.parent()?, path.file_name()?);
        if self.folder.as_ref().is_none_or(|(f, _)| f != folder) {
            // The current folder has an empty name in paths that lead on from it.
            let whole = fs::canonicalize(if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
            self.folder = Some((folder.to_owned(), whole.ok()?));
        }
        self.folder.as_ref().map(|(_, whole)| whole.join(name))
    }

    fn file_of(&mut self, path: &Path, key: Option<PathBuf>, named: bool) {
        // A file is read once, however often it is named.
        let key = key.or_else(|| fs::canonicalize(path).ok()).unwrap_or_else(|| path.to_owned());
        if self.seen.insert(key) {
            self.list.push(Candidate { name: path.display().to_string(), path: path.to_owned(), named });
        }
    }
}

fn spool_stdin() -> io::Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    io::copy(&mut io::stdin().lock(), file.as_file_mut())?;
    Ok(file)
}

/// An I/O error in words, without its number.
pub(crate) fn error_text(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::NotFound => "no such file or folder".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => {
            let text = e.to_string();
            match text.find(" (os error") {
                Some(at) => text[..at].to_lowercase(),
                None => text,
            }
        }
    }
}

/// The name of a table for a file's records: its name without folders and endings.
pub(crate) fn stem(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let mut base = file;
    const ENDINGS: [&str; 12] = [
        ".gz", ".zst", ".zstd", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".log", ".txt", ".parquet",
        ".evtx",
    ];
    // One for the compression, two for the format (`conn.tsv.log`).
    for _ in 0..3 {
        base = ENDINGS.iter().find_map(|e| base.strip_suffix(e)).unwrap_or(base);
    }
    table_name(if base.is_empty() { file } else { base })
}

/// Turns any text into a name that needs no quotes in a query.
pub(crate) fn table_name(text: &str) -> String {
    let mut out: String =
        text.chars().take(120).map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if out.is_empty() || out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables() {
        assert_eq!(stem("a/b/my-app 2024.jsonl.gz"), "my_app_2024");
        assert_eq!(stem("conn.tsv.log"), "conn");
        assert_eq!(stem("2024.csv"), "_2024");
        assert_eq!(stem(".json"), "_json");
    }
}
