//! Addresses in text: values between which no test of addresses changes its answer.

use crate::atom::{Atoms, Test, TextTest};
use crate::formula::AtomId;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tercel_ir::{Expr, ExprKind};

/// Networks whose edges the predicates for private, public and reserved addresses know.
const SPECIAL: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
];

/// Edges beyond which completeness is given up.
const MANY: usize = 4_000;

/// Texts to try, readable ones first, and whether they are all that matter: that is so when every test
/// looks at nothing but the address that the text is, and where the column holds addresses only
/// (`declared`) also when tests compare the whole text.
pub(crate) fn values(atoms: &Atoms, lits: &[(AtomId, bool)], declared: bool) -> (Vec<String>, bool) {
    let mut v4: BTreeSet<u32> = BTreeSet::new();
    let mut v6: BTreeSet<u128> = [0, 1].into();
    let mut texts = Vec::new();
    let mut complete = true;
    let mut classes = false;
    let mut add = |net: &str| {
        let (address, length) = match net.trim().split_once('/') {
            Some((a, l)) => (a, l.parse::<u32>().ok()),
            None => (net.trim(), None),
        };
        match address.parse() {
            Ok(IpAddr::V4(a)) => {
                let bits = 32 - length.unwrap_or(32).min(32);
                let size = 1u64 << bits;
                let first = (u64::from(u32::from(a)) / size) * size;
                v4.insert(first as u32);
                // The neighbours stand for what lies beyond.
                v4.extend(u32::try_from(first + size).ok());
                v4.extend((first as u32).checked_sub(1));
                v4.insert((first + size - 1) as u32);
            }
            Ok(IpAddr::V6(a)) => {
                let bits = 128 - length.unwrap_or(128).min(128);
                let mask = if bits == 128 { u128::MAX } else { (1u128 << bits) - 1 };
                let first = u128::from(a) & !mask;
                let last = first | mask;
                v6.insert(first);
                v6.insert(last);
                v6.extend(last.checked_add(1));
                v6.extend(first.checked_sub(1));
            }
            Err(_) => {}
        }
    };
    for (a, _) in lits {
        match &atoms.atom(*a).test {
            Test::Null => {}
            Test::Text(l, TextTest::Literal { text, start: true, end: true, .. }) if l.is_identity() => {
                add(text);
                texts.push(text.to_string());
                // Some addresses have many spellings.
                complete &= declared || text.is_empty();
            }
            Test::Text(..) => complete = false,
            Test::Opaque { address: true, .. } => {
                if let Some(e) = atoms.expr(*a) {
                    // Only tests of the bare column look at nothing but the address.
                    let bare = matches!(&e.kind, ExprKind::Call(_, args) if args[0].as_column().is_some());
                    complete &= bare;
                    nets(e, &mut |n| add(n));
                    classes |= !matches!(&e.kind, ExprKind::Call(f, _) if f.name == "ip_in_cidr");
                }
            }
            _ => complete = false,
        }
    }
    if classes {
        SPECIAL.iter().for_each(|n| add(n));
    }
    // A declared address is written in its usual form; other texts of a list never occur.
    let usual: Vec<String> = texts
        .into_iter()
        .filter(|t| !declared || t.is_empty() || t.parse::<IpAddr>().is_ok_and(|a| a.to_string() == *t))
        .collect();
    let mut out: Vec<String> = vec!["8.8.8.8".into(), "10.0.0.5".into(), "192.168.1.10".into()];
    out.extend(usual);
    complete &= v4.len() + v6.len() <= MANY;
    out.extend(v4.into_iter().take(MANY).map(|a| Ipv4Addr::from(a).to_string()));
    out.extend(v6.into_iter().take(MANY).map(|a| Ipv6Addr::from(a).to_string()));
    // An interval of which only some addresses are named has others.
    let fresh: Vec<String> = (1..=64u32).map(|i| Ipv4Addr::from(0x0102_0300 + i).to_string()).collect();
    out.extend(fresh);
    out.push(String::new());
    if !declared {
        out.extend(["-", "x", " 10.0.0.5", "10.0.0.0/8"].map(String::from));
    }
    (out, complete)
}

fn nets(e: &Expr, f: &mut impl FnMut(&str)) {
    if let ExprKind::Literal(v) = &e.kind {
        match v {
            tercel_ir::Value::Dynamic(serde_json::Value::Array(items)) => {
                items.iter().filter_map(|i| i.as_str()).for_each(&mut *f);
            }
            v => f(&v.text()),
        }
    }
    e.children().into_iter().for_each(|c| nets(c, f));
}
