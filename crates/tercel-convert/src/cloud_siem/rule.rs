//! What a rule says about itself, in Cloud SIEM's words.

use super::expression::Source;
use serde_json::{Value as J, json};
use tercel_sigma::ast::{Meta, Text};

/// Tactics: as tags write them, as Cloud SIEM names them, their ids.
const TACTICS: [(&str, &str, &str); 14] = [
    ("reconnaissance", "Reconnaissance", "TA0043"),
    ("resource-development", "Resource Development", "TA0042"),
    ("initial-access", "Initial Access", "TA0001"),
    ("execution", "Execution", "TA0002"),
    ("persistence", "Persistence", "TA0003"),
    ("privilege-escalation", "Privilege Escalation", "TA0004"),
    ("defense-evasion", "Defense Evasion", "TA0005"),
    ("credential-access", "Credential Access", "TA0006"),
    ("discovery", "Discovery", "TA0007"),
    ("lateral-movement", "Lateral Movement", "TA0008"),
    ("collection", "Collection", "TA0009"),
    ("exfiltration", "Exfiltration", "TA0010"),
    ("command-and-control", "Command and Control", "TA0011"),
    ("impact", "Impact", "TA0040"),
];
/// Fields of a summary; more are no summary.
const SHOWN: usize = 4;

pub(super) struct About {
    pub name: String,
    pub description: String,
    pub category: &'static str,
    pub tags: Vec<String>,
    /// From 0 to 10.
    pub score: u8,
    /// Its signals count for nothing yet.
    pub prototype: bool,
}

impl About {
    pub fn new(meta: &Meta) -> About {
        let of = |t: &Option<Text>| t.as_ref().map(|t| t.node.trim().to_string()).filter(|t| !t.is_empty());
        let name = of(&meta.title).unwrap_or_else(|| "Converted detection".into());
        let mut description = of(&meta.description).unwrap_or_else(|| name.clone());
        let more = [
            ("Author", of(&meta.author)),
            ("Converted from rule", of(&meta.id)),
            ("References", list(&meta.references)),
            ("False positives", list(&meta.falsepositives)),
        ];
        for (word, text) in more {
            if let Some(t) = text {
                description.push_str(&format!("\n{word}: {t}"));
            }
        }
        let mut tags = Vec::new();
        let mut category = "Unknown/Other";
        for t in &meta.tags {
            let tag = t.node.trim().to_ascii_lowercase().replace('_', "-");
            let Some(rest) = tag.strip_prefix("attack.") else { continue };
            if let Some((_, name, id)) = TACTICS.iter().find(|t| t.0 == rest) {
                tags.push(format!("_mitreAttackTactic:{id}"));
                // Those before an intrusion are no categories.
                if category == "Unknown/Other" && !matches!(*id, "TA0042" | "TA0043") {
                    category = name;
                }
            } else if rest.starts_with('t') && rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
                tags.push(format!("_mitreAttackTechnique:{}", rest.to_ascii_uppercase()));
            }
        }
        let score = match meta.level.as_ref().map(|l| l.node.trim().to_ascii_lowercase()).as_deref() {
            Some("critical") => 9,
            Some("high") => 7,
            Some("low") => 3,
            Some("informational" | "info") => 1,
            _ => 5,
        };
        let status = of(&meta.status).unwrap_or_default();
        About { name, description, category, tags, score, prototype: status != "stable" }
    }
}

fn list(all: &[Text]) -> Option<String> {
    let all: Vec<&str> = all.iter().map(|t| t.node.trim()).filter(|t| !t.is_empty()).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// What a signal is about: the entities among the fields that hits are grouped by, else the machine and, of
/// Security's events, the user.
pub(super) fn entities(source: Source, groups: &[String]) -> Vec<J> {
    let kind = |field: &str| match field {
        f if f.ends_with("_username") => Some("_username"),
        f if f.ends_with("_hostname") || f == "fields['Computer']" => Some("_hostname"),
        f if f.ends_with("_ip") => Some("_ip"),
        _ => None,
    };
    let grouped: Vec<J> =
        groups.iter().filter_map(|g| kind(g).map(|k| json!({ "entityType": k, "expression": g }))).collect();
    if !grouped.is_empty() {
        return grouped;
    }
    let mut out = vec![json!({ "entityType": "_hostname", "expression": "device_hostname" })];
    if groups.is_empty() && source == Source::Security {
        out.push(json!({ "entityType": "_username", "expression": "user_username" }));
    }
    out
}

/// The text of a signal's summary: what the rule looked at.
pub(super) fn summary(fields: &[String]) -> String {
    let mut shown: Vec<&str> = Vec::new();
    for f in fields {
        if !f.starts_with("metadata_") && !shown.contains(&f.as_str()) && shown.len() < SHOWN {
            shown.push(f);
        }
    }
    let name = |f: &str| {
        let raw = f.strip_prefix("fields['").and_then(|f| f.strip_suffix("']"));
        raw.map_or(f, |r| r.strip_prefix("EventData.").unwrap_or(r)).to_string()
    };
    let mut out: Vec<String> = shown.iter().map(|f| format!("{}: {{{{{f}}}}}", name(f))).collect();
    out.push("on {{device_hostname}}".into());
    out.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_in_other_words() {
        let (file, _) = tercel_sigma::parse(
            "title: T\nid: 1-2\nstatus: test\nlevel: high\nauthor: A\ntags: [attack.command-and-control, attack.t1071.001, cve.2024.1]\n\
             logsource: {product: windows}\ndetection: {a: {b: c}, condition: a}\n",
        );
        let about = About::new(&file.rules().next().unwrap().meta);
        assert_eq!((about.category, about.score, about.prototype), ("Command and Control", 7, true));
        assert_eq!(about.tags, ["_mitreAttackTactic:TA0011", "_mitreAttackTechnique:T1071.001"]);
        assert_eq!(about.description, "T\nAuthor: A\nConverted from rule: 1-2");
    }

    #[test]
    fn summaries_name_fields_once() {
        let fields = ["baseImage", "baseImage", "metadata_product", "dstPort"].map(String::from);
        assert_eq!(
            summary(&fields),
            "baseImage: {{baseImage}}, dstPort: {{dstPort}}, on {{device_hostname}}"
        );
    }
}
