//! What the integration tests share.
#![allow(dead_code, reason = "not every test uses everything")]

use std::io::Read as _;
use std::path::PathBuf;

/// The folder of shared material beside the repository, where there is one.
pub fn shared(path: &str) -> Option<PathBuf> {
    let p = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    p.exists().then_some(p)
}

/// The files of a `.tar.zst`: name and content. Reads the few parts of the tar format that such an
/// archive uses.
pub fn untar(path: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).expect("the archive opens");
    zstd::stream::read::Decoder::new(file)
        .and_then(|mut d| d.read_to_end(&mut bytes))
        .expect("the archive unpacks");
    let field = |h: &[u8], from: usize, len: usize| {
        let f = &h[from..from + len];
        String::from_utf8_lossy(&f[..f.iter().position(|b| *b == 0).unwrap_or(len)]).into_owned()
    };
    let mut files = Vec::new();
    let mut long_name = None;
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + 512) {
        if header.iter().all(|b| *b == 0) {
            break;
        }
        let size = usize::from_str_radix(field(header, 124, 12).trim(), 8).expect("an octal size");
        let content = &bytes[at + 512..at + 512 + size];
        at += 512 + size.div_ceil(512) * 512;
        let prefix = if &header[257..262] == b"ustar" { field(header, 345, 155) } else { String::new() };
        let mut name = field(header, 0, 100);
        if !prefix.is_empty() {
            name = format!("{prefix}/{name}");
        }
        match header[156] {
            b'L' => long_name = Some(String::from_utf8_lossy(content).trim_end_matches('\0').to_string()),
            b'0' | 0 => files.push((long_name.take().unwrap_or(name), content.to_vec())),
            _ => long_name = None,
        }
    }
    files
}

/// Every rule file of the public corpus, or nothing (and a word why) when it is not there.
pub fn corpus() -> Vec<(String, String)> {
    let Some(path) = shared("corpora/sigma/sigma-rules.tar.zst") else {
        println!(
            "skipped: the corpus of public rules is not beside the repository, because it is not ours to ship"
        );
        return Vec::new();
    };
    untar(&path)
        .into_iter()
        .filter(|(name, _)| name.ends_with(".yml"))
        .map(|(name, bytes)| (name, String::from_utf8(bytes).expect("rules are UTF-8")))
        .collect()
}

/// A world with one relation, which every log source means.
pub struct World(pub tercel_ir::Schema);

impl World {
    /// One in which every field is text.
    pub fn open() -> World {
        World(tercel_ir::Schema { open: true, ..Default::default() })
    }
}

impl tercel_ir::Catalog for World {
    fn relation(&self, _: &str) -> Option<Result<tercel_ir::Rel, tercel_ir::Diagnostic>> {
        None
    }
    fn function(&self, _: &str) -> Option<&tercel_ir::StoredFunction> {
        None
    }
    fn names(&self) -> Vec<String> {
        Vec::new()
    }
    fn log_source(
        &self,
        _: tercel_ir::catalog::LogSource<'_>,
    ) -> Result<tercel_ir::Rel, tercel_ir::Diagnostic> {
        Ok(tercel_ir::Rel {
            kind: tercel_ir::RelKind::Scan { table: "Events".into() },
            schema: self.0.clone(),
            span: tercel_ir::Span::default(),
        })
    }
}
