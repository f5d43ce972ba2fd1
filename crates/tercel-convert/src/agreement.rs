//! The oracle of conversions: original and conversion, evaluated on the same random events.
//!
//! Events are made of what the two predicates look for, whole and in parts, so that both outcomes occur.

use crate::flat::{Flat, flatten};
use crate::{Conversion, Detection, Language, Options, Target, Unproved, Vocabulary, convert};
use std::collections::BTreeMap;
use tercel_ir::function::Context;
use tercel_ir::{Expr, ExprKind, Name, Rel, Type, Value};
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_sigma::ast::Meta;

/// A small random number generator; tests must not differ from run to run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below.max(1)
    }
}

type Pool = BTreeMap<Name, (Type, Vec<Value>)>;

/// Values worth trying, by column: the literals that it is tested against, and their neighbours.
fn pool(e: &Expr, out: &mut Pool) {
    let mut columns = Vec::new();
    types(e, &mut columns);
    let mut literals = Vec::new();
    if let ExprKind::Call(_, args) = &e.kind {
        args.iter().filter_map(Expr::as_literal).for_each(|v| literals.push(v.clone()));
    }
    let address =
        matches!(&e.kind, ExprKind::Call(f, _) if f.name.contains("cidr") || f.name.starts_with("ipv"));
    for (c, ty) in columns {
        let entry = &mut out.entry(c).or_insert_with(|| (ty, vec![])).1;
        for v in &literals {
            match v {
                // What stands in a column of addresses is an address.
                Value::Str(s) if address => {
                    let net = s.split_once('/').map_or(s.as_str(), |x| x.0);
                    entry.extend([Value::str(net), Value::Str(format!("{}1", net.trim_end_matches('0')))]);
                }
                Value::Str(s) => {
                    let plain: String =
                        s.replace("(?i)", "").chars().filter(|c| !"^$()[]*?+|{}".contains(*c)).collect();
                    for t in [
                        s.clone(),
                        plain,
                        s.to_uppercase(),
                        format!("C:\\x\\{s}"),
                        format!("{s}x"),
                        format!("a{s}b"),
                    ] {
                        entry.push(Value::Str(t));
                    }
                    for tail in ["9", "113.9"] {
                        let address = format!("{s}{tail}");
                        if address.parse::<std::net::IpAddr>().is_ok() {
                            entry.push(Value::Str(address));
                        }
                    }
                    if let Ok(n) = s.parse() {
                        entry.push(Value::Long(n));
                    }
                }
                Value::Long(n) => {
                    entry.extend([
                        Value::Long(*n),
                        Value::Long(n.saturating_add(1)),
                        Value::str(n.to_string()),
                    ]);
                }
                v => entry.push(v.clone()),
            }
        }
    }
    e.children().into_iter().for_each(|c| pool(c, out));
}

fn types(e: &Expr, out: &mut Vec<(Name, Type)>) {
    if let ExprKind::Column(n) = &e.kind {
        out.push((n.clone(), e.ty));
    }
    e.children().into_iter().for_each(|c| types(c, out));
}

fn row(pool: &Pool, random: &mut Random) -> BTreeMap<Name, Value> {
    let mut out = BTreeMap::new();
    for (n, (ty, values)) in pool {
        let any = ["", "C:\\Windows\\a.exe", "10.1.2.3", "8.8.8.8", "::1", "fe80::1", "-", "x"];
        let v = match (random.next(6), values.len()) {
            (0, _) | (_, 0) => match ty {
                Type::String => Value::str(any[random.next(any.len())]),
                Type::Bool => Value::Bool(random.next(2) == 0),
                Type::Int | Type::Long => Value::Long(random.next(70_000) as i64),
                _ => Value::Null,
            },
            (1, _) if random.next(3) == 0 => Value::Null,
            // Several of what is looked for in one value.
            (2, n) if *ty == Type::String => {
                Value::Str((0..3).map(|_| values[random.next(n)].text().into_owned()).collect())
            }
            (_, n) => values[random.next(n)].clone(),
        };
        // What stands in a column of addresses is an address, or nothing.
        let addresses = ["10.1.2.3", "8.8.8.8", "::1", "fe80::1", "2001:db8::5", "-", ""];
        let v = match &v {
            Value::Str(s)
                if (n.ends_with("IP") || n.ends_with("Ip") || n.ends_with("IpAddr"))
                    && s.parse::<std::net::IpAddr>().is_err() =>
            {
                Value::str(addresses[random.next(addresses.len())])
            }
            // What stands in a column of hashes is a whole hash, or nothing.
            Value::Str(s) if n.contains("MD5") || n.contains("SHA1") || n.contains("SHA256") => {
                let length = if n.contains("MD5") {
                    32
                } else if n.contains("SHA1") {
                    40
                } else {
                    64
                };
                let digits = s.rsplit('=').next().unwrap_or("");
                let whole = digits.len() == length && digits.chars().all(|c| c.is_ascii_hexdigit());
                Value::str(if whole { digits } else { "" })
            }
            _ => v,
        };
        out.insert(n.clone(), v.coerce(*ty));
    }
    // A path and its last part agree in Defender's rows.
    for (folder, name) in
        [("FolderPath", "FileName"), ("InitiatingProcessFolderPath", "InitiatingProcessFileName")]
    {
        let text = |out: &BTreeMap<Name, Value>, n: &str| out.get(n).map(|v| v.text().replace('/', "-"));
        let whole = match (text(&out, folder), text(&out, name)) {
            (Some(f), Some(n)) if random.next(2) == 0 && !n.contains('\\') && !n.is_empty() => {
                let f = if f.contains('\\') { f } else { format!("C:\\{f}") };
                format!("{}\\{n}", f.trim_end_matches('\\'))
            }
            (Some(f), Some(_)) if f.contains('\\') && !f.ends_with('\\') => f,
            (Some(_), Some(_)) => String::new(),
            _ => continue,
        };
        let last = tercel_ir::function::basename(&whole).to_string();
        out.insert(folder.into(), Value::Str(whole.to_lowercase()));
        out.insert(name.into(), Value::Str(last));
    }
    out
}

fn holds(flat: &Flat, row: &BTreeMap<Name, Value>) -> bool {
    let look = |n: &str| row.get(n).cloned().unwrap_or_default();
    flat.conditions.iter().all(|c| c.eval(&look, &Context::default()).as_bool() == Some(true))
}

/// How many events were found by both, after checking that they agree on all of them.
fn agree(what: &str, c: &Conversion, rounds: usize, wanted: usize, more: &[&str]) -> usize {
    let Some((conversion, original)) = &c.pair else { return 0 };
    let (Ok(a), Ok(b)) = (flatten(conversion, None), flatten(original, None)) else {
        panic!("{what}: the pair is no filter")
    };
    let mut values = Pool::new();
    a.conditions.iter().chain(&b.conditions).for_each(|e| pool(e, &mut values));
    for (_, list) in values.values_mut().filter(|v| v.0 == Type::String) {
        list.extend(more.iter().map(|m| Value::str(*m)));
    }
    // With a loss in one direction only the other is claimed.
    let wider = c.losses.iter().any(|l| l.effect == crate::Effect::Wider);
    let narrower = c.losses.iter().any(|l| l.effect == crate::Effect::Narrower);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut hits = 0;
    // Rare combinations are tried for longer.
    for i in 0..rounds * 20 {
        if i >= rounds && hits >= wanted {
            break;
        }
        let r = row(&values, &mut random);
        let (x, y) = (holds(&a, &r), holds(&b, &r));
        hits += usize::from(x && y);
        if x != y && !(x && wider) && !(y && narrower) {
            panic!(
                "{what}: conversion {x}, original {y} of {r:#?}\n{}\n{:?} {:?}",
                c.text, c.losses, c.assumptions
            );
        }
    }
    hits
}

fn catalog() -> SchemaCatalog {
    SchemaCatalog::new(Schemas::builtin(), Vec::new())
}

fn sigma(text: &str, catalog: &SchemaCatalog) -> Option<(Rel, Meta)> {
    let (file, _) = tercel_sigma::parse(text);
    let rule = file.rules().next()?;
    let (rel, _) = tercel_sigma::lower(rule, catalog, &tercel_sigma::Options::default());
    Some((rel?, rule.meta.clone()))
}

const TARGETS: [(Language, Vocabulary); 6] = [
    (Language::Kql, Vocabulary::Defender),
    (Language::Kql, Vocabulary::Asim),
    (Language::Kql, Vocabulary::Sentinel),
    (Language::Kql, Vocabulary::Native),
    (Language::Sumo, Vocabulary::Native),
    (Language::Sigma, Vocabulary::Native),
];

#[test]
fn own_rules_agree() {
    let catalog = catalog();
    let mut hits = 0;
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let mut files: Vec<_> =
        std::fs::read_dir(dir).expect("rules").map(|f| f.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 8, "{}", files.len());
    for f in files {
        let text = std::fs::read_to_string(&f).expect("a rule");
        let (rel, meta) = sigma(&text, &catalog).unwrap_or_else(|| panic!("{}", f.display()));
        // Lines `# try TEXT` are what patterns match that cannot be guessed from them.
        let more: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("# try ")).collect();
        for (language, vocabulary) in TARGETS {
            let d = Detection { rel: &rel, meta: &meta };
            let c = convert(&d, Target { language, vocabulary }, &catalog, &Options::default(), &Unproved);
            let c = c.unwrap_or_else(|e| panic!("{}: {}", f.display(), e.message));
            let n = agree(&format!("{} to {language:?} {vocabulary:?}", f.display()), &c, 3000, 1, &more);
            if !c.text.is_empty() && c.pair.is_some() {
                assert!(
                    n > 0,
                    "{} to {language:?} {vocabulary:?}: nothing was found\n{}",
                    f.display(),
                    c.text
                );
            }
            hits += n;
        }
    }
    assert!(hits > 1000, "{hits}");
}

#[test]
fn public_rules_agree() {
    let archive = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/corpora/sigma/sigma-rules.tar.zst");
    let Ok(file) = std::fs::File::open(&archive) else {
        println!(
            "skipped: the corpus of public rules is not beside the repository, because it is not ours to ship"
        );
        return;
    };
    let mut bytes = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(file).expect("an archive");
    std::io::Read::read_to_end(&mut { decoder }, &mut bytes).expect("unpacks");
    // Rules stand in the archive as plain text; each begins where its title does.
    let catalog = catalog();
    let (mut rules, mut converted, mut refused, mut hits) = (0, 0, 0, 0);
    for (i, text) in rules_of(&bytes).into_iter().enumerate() {
        let network = text.contains("category: network_connection");
        if !network && i % 5 != 0 {
            continue;
        }
        let Some((rel, meta)) = sigma(&text, &catalog) else { continue };
        rules += 1;
        for (language, vocabulary) in TARGETS {
            let d = Detection { rel: &rel, meta: &meta };
            let Ok(c) =
                convert(&d, Target { language, vocabulary }, &catalog, &Options::default(), &Unproved)
            else {
                continue;
            };
            if c.text.is_empty() {
                refused += 1;
                continue;
            }
            converted += 1;
            let rounds = if network { 60 } else { 10 };
            hits += agree(&format!("{:?} to {language:?} {vocabulary:?}", meta.title), &c, rounds, 0, &[]);
        }
    }
    println!("{rules} rules: {converted} conversions, {refused} refused, {hits} events found by both sides");
    assert!(rules > 600 && converted > 1500, "{rules} {converted}");
}

/// The files of the archive, for which the headers need not be understood: blocks of 512 bytes, of which the
/// first of a file names it and has its size.
fn rules_of(bytes: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + 512) {
        let size =
            std::str::from_utf8(&header[124..135]).ok().and_then(|s| usize::from_str_radix(s.trim(), 8).ok());
        let Some(size) = size else { break };
        let content = &bytes[at + 512..(at + 512 + size).min(bytes.len())];
        at += 512 + size.div_ceil(512) * 512;
        if let Ok(text) = std::str::from_utf8(content)
            && text.contains("logsource:")
        {
            out.push(text.to_string());
        }
    }
    out
}
