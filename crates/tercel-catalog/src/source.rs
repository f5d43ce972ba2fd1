//! Finding and reading the files of detections: paths, folders, globs and standard input, with a bound
//! on size. One problem, one message; the rest goes on.

use crate::detection::Skipped;
use crate::language::Language;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A rule file over this size is refused: the largest published collection in one file has a few MB.
pub const MAX_RULE_BYTES: u64 = 16 << 20;

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Which path.
    pub path: String,
    /// What is wrong with it, in words.
    pub message: String,
}

/// A text that was read.
pub(crate) struct Source {
    pub path: String,
    /// For identifiers of texts that name none: the file's name without its last suffix.
    pub stem: String,
    pub language: Language,
    pub text: String,
}

/// What [`read_all`] found.
#[derive(Default)]
pub(crate) struct Sources {
    pub texts: Vec<Source>,
    pub skipped: Vec<Skipped>,
    pub problems: Vec<Problem>,
}

/// Reads everything that `paths` name. A file named by the user is read whatever it is called; in
/// folders only files with a suffix of a language are, because data and notes lie beside rules.
pub(crate) fn read_all(paths: &[String], forced: Option<Language>, stdin: &mut dyn Read) -> Sources {
    let mut out = Sources::default();
    for path in paths {
        if path == "-" {
            match read_text(stdin) {
                Ok(text) => out.add("<stdin>".into(), "stdin".into(), forced, text),
                Err(message) => out.problem("<stdin>", message),
            }
        } else if Path::new(path).exists() {
            out.path(Path::new(path), forced);
        } else if path.contains(['*', '?', '[']) {
            out.glob(path, forced);
        } else {
            let message = match std::fs::metadata(path) {
                Err(e) => io_words(&e),
                Ok(_) => "cannot be opened".into(),
            };
            out.problem(path, message);
        }
    }
    out
}

impl Sources {
    fn problem(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(Problem { path: path.into(), message: message.into() });
    }

    fn add(&mut self, path: String, stem: String, language: Option<Language>, text: String) {
        let language = language.unwrap_or_else(|| Language::of_text(&text));
        self.texts.push(Source { path, stem, language, text });
    }

    fn glob(&mut self, pattern: &str, forced: Option<Language>) {
        let found = match glob::glob(pattern) {
            Ok(found) => found,
            Err(e) => return self.problem(pattern, format!("not a valid pattern: {}", e.msg)),
        };
        let mut any = false;
        for entry in found {
            any = true;
            match entry {
                Ok(path) => self.path(&path, forced),
                Err(e) => self.problem(&e.path().display().to_string(), io_words(e.error())),
            }
        }
        if !any {
            self.problem(pattern, "no file matches this pattern");
        }
    }

    fn path(&mut self, path: &Path, forced: Option<Language>) {
        if path.is_dir() {
            self.folder(path, forced)
        } else {
            self.file(path, forced.or(Language::of_path(path)))
        }
    }

    fn folder(&mut self, folder: &Path, forced: Option<Language>) {
        let hidden = |e: &walkdir::DirEntry| {
            e.depth() > 0 && e.file_name().to_str().is_some_and(|n| n.starts_with('.'))
        };
        let walk = walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name();
        for entry in walk.into_iter().filter_entry(|e| !hidden(e)) {
            let entry = match entry {
                Ok(e) => e,
                Err(e) => {
                    let path = e.path().unwrap_or(folder).display().to_string();
                    let words =
                        e.io_error().map_or_else(|| "a link that leads back to itself".into(), io_words);
                    self.problem(&path, words);
                    continue;
                }
            };
            if !entry.file_type().is_file() {
                continue;
            }
            match Language::of_path(entry.path()) {
                Some(l) => self.file(entry.path(), Some(forced.unwrap_or(l))),
                None => self.skipped.push(Skipped {
                    path: entry.path().display().to_string(),
                    reason: "its suffix is not that of a rule (.yml .yaml .kql .csl .kusto .sumo .sumoql)"
                        .into(),
                }),
            }
        }
    }

    fn file(&mut self, path: &Path, language: Option<Language>) {
        let shown = path.display().to_string();
        let stem = path.file_stem().map_or_else(|| shown.clone(), |s| s.to_string_lossy().into_owned());
        let size = match std::fs::metadata(path) {
            Ok(m) if m.is_file() => m.len(),
            // A pipe has no size; reading is bounded all the same.
            Ok(_) => 0,
            Err(e) => return self.problem(&shown, io_words(&e)),
        };
        if size > MAX_RULE_BYTES {
            return self.problem(&shown, too_big(Some(size)));
        }
        match File::open(path).map_err(|e| io_words(&e)).and_then(|mut f| read_text(&mut f)) {
            Ok(text) => self.add(shown, stem, language, text),
            Err(message) => self.problem(&shown, message),
        }
    }
}

fn too_big(size: Option<u64>) -> String {
    let size = size.map_or_else(String::new, |s| format!("{} MB, ", s >> 20));
    format!("too large for a rule ({size}the limit is {} MB)", MAX_RULE_BYTES >> 20)
}

/// Reads a bounded text: UTF-8 with or without a byte order mark, or UTF-16 with one.
fn read_text(from: &mut dyn Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    from.take(MAX_RULE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| io_words(&e))?;
    if bytes.len() as u64 > MAX_RULE_BYTES {
        return Err(too_big(None));
    }
    decode(bytes)
}

fn decode(mut bytes: Vec<u8>) -> Result<String, String> {
    if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
        bytes.drain(..3);
    }
    let wide = |to: fn([u8; 2]) -> u16| -> Result<String, String> {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|c| to([c[0], c[1]])).collect();
        String::from_utf16(&units).map_err(|_| "not valid UTF-16".to_string())
    };
    let text = if bytes.starts_with(&[0xFF, 0xFE]) {
        wide(u16::from_le_bytes)?
    } else if bytes.starts_with(&[0xFE, 0xFF]) {
        wide(u16::from_be_bytes)?
    } else {
        match String::from_utf8(bytes) {
            Ok(t) => t,
            Err(e) => {
                let at = e.utf8_error().valid_up_to();
                let line = e.as_bytes()[..at].iter().filter(|b| **b == b'\n').count() + 1;
                return Err(format!("not UTF-8 text: invalid byte at offset {at} (line {line})"));
            }
        }
    };
    match text.find('\0') {
        Some(at) => {
            let line = text[..at].bytes().filter(|b| *b == b'\n').count() + 1;
            Err(format!("not a text: NUL byte at offset {at} (line {line})"))
        }
        None => Ok(text),
    }
}

/// An error of the operating system without its number.
pub(crate) fn io_words(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "no such file or folder".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => {
            let text = e.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(paths: &[&str], stdin: &[u8]) -> Sources {
        let paths: Vec<String> = paths.iter().map(|s| s.to_string()).collect();
        read_all(&paths, None, &mut &stdin[..])
    }

    #[test]
    fn folders_globs_and_stdin() {
        let dir = tempfile::tempdir().unwrap();
        let d = dir.path();
        std::fs::create_dir(d.join("sub")).unwrap();
        std::fs::create_dir(d.join(".git")).unwrap();
        for (name, text) in
            [("a.yml", "title: a"), ("sub/b.x.kql", "T"), ("README.md", "# no"), (".git/c.kql", "T")]
        {
            std::fs::write(d.join(name), text).unwrap();
        }
        let s = read(&[d.to_str().unwrap()], b"");
        let names: Vec<_> = s.texts.iter().map(|t| (t.stem.as_str(), t.language)).collect();
        assert_eq!(names, [("a", Language::Sigma), ("b.x", Language::Kql)]);
        assert_eq!(s.skipped.len(), 1);
        assert!(s.problems.is_empty());

        let s = read(&[&format!("{}/sub/*.kql", d.display()), &format!("{}/*.sumo", d.display())], b"");
        assert_eq!((s.texts.len(), s.problems.len()), (1, 1));
        assert_eq!(s.problems[0].message, "no file matches this pattern");

        let s = read(&["-", "/nowhere/at-all.kql"], b"_index=a | count");
        assert_eq!(s.texts[0].language, Language::Sumo);
        assert_eq!(s.problems[0].message, "no such file or folder");
        // Named by the user, a file is read whatever its suffix.
        assert_eq!(read(&[d.join("README.md").to_str().unwrap()], b"").texts.len(), 1);
    }

    #[test]
    fn encodings_and_bounds() {
        assert_eq!(decode(b"\xEF\xBB\xBFabc".to_vec()).unwrap(), "abc");
        assert_eq!(decode(vec![0xFF, 0xFE, b'a', 0, b'b', 0]).unwrap(), "ab");
        assert_eq!(decode(vec![0xFE, 0xFF, 0, b'a']).unwrap(), "a");
        assert_eq!(
            decode(b"a\nb\xFF".to_vec()).unwrap_err(),
            "not UTF-8 text: invalid byte at offset 3 (line 2)"
        );
        assert_eq!(decode(b"a\0".to_vec()).unwrap_err(), "not a text: NUL byte at offset 1 (line 1)");
        let s = read_all(&["-".into()], None, &mut std::io::repeat(b'x'));
        assert!(s.problems[0].message.starts_with("too large for a rule"), "{:?}", s.problems);
    }
}
