//! ATT&CK's techniques and tactics, as far as tags need them: which ids there are and what became of
//! those that are no longer in use. The list is data; a newer one needs no other change.

use std::collections::HashMap;
use std::sync::LazyLock;

static LIST: &str = include_str!("../data/attack.txt");

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In use.
    Active,
    /// No longer in use, without a successor.
    Deprecated,
    /// Replaced by this technique.
    Revoked(&'static str),
}

/// A technique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Technique {
    /// What became of it.
    pub state: State,
    /// Its name; that of a sub-technique without its technique. Empty where only the id is known.
    pub name: &'static str,
}

struct Known {
    techniques: HashMap<&'static str, Technique>,
    tactics: Vec<&'static str>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut known = Known { techniques: HashMap::new(), tactics: Vec::new() };
    for line in LIST.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        if !line.starts_with('T') {
            known.tactics.push(line);
            continue;
        }
        let (id, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (mark, name) = rest.split_once(' ').unwrap_or((rest, ""));
        let t = match mark.strip_prefix('>') {
            Some(other) => Technique { state: State::Revoked(other), name },
            None if mark == "!" => Technique { state: State::Deprecated, name },
            None => Technique { state: State::Active, name: rest },
        };
        known.techniques.insert(id, t);
    }
    known
});

/// A technique by its id as ATT&CK writes it: `T1059.001`.
pub fn technique(id: &str) -> Option<Technique> {
    KNOWN.techniques.get(id).copied()
}

/// The short names of the tactics, such as `initial-access`.
pub fn tactics() -> &'static [&'static str] {
    &KNOWN.tactics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sound() {
        assert_eq!(technique("T1059.001").map(|t| t.name), Some("PowerShell"));
        assert_eq!(technique("T1043").map(|t| t.state), Some(State::Deprecated));
        assert_eq!(technique("T1065").map(|t| t.state), Some(State::Revoked("T1571")));
        assert_eq!(technique("T1065").map(|t| t.name), Some("Uncommonly Used Port"));
        assert_eq!(technique("T9999"), None);
        assert!(tactics().contains(&"initial-access") && tactics().contains(&"stealth"));
        for (id, t) in &KNOWN.techniques {
            assert!(id.len() == 5 || id.len() == 9, "{id}");
            if let State::Revoked(other) = t.state {
                assert!(technique(other).is_some(), "{id} was replaced by {other}, which is not in the list");
            }
        }
    }
}
