//! Which of the three languages a text is written in.

use std::path::Path;

/// A language of detections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// Sigma rules, in YAML.
    Sigma,
    /// The Kusto Query Language of Sentinel and Defender.
    Kql,
    /// The search language of Sumo Logic.
    Sumo,
}

impl Language {
    /// The name used in options and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Language::Sigma => "sigma",
            Language::Kql => "kql",
            Language::Sumo => "sumo",
        }
    }

    /// From its name.
    pub fn parse(name: &str) -> Option<Language> {
        [Language::Sigma, Language::Kql, Language::Sumo]
            .into_iter()
            .find(|l| l.as_str().eq_ignore_ascii_case(name))
    }

    /// By the suffix of a file name.
    pub fn of_path(path: &Path) -> Option<Language> {
        let suffix = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match suffix.as_str() {
            "yml" | "yaml" => Language::Sigma,
            "kql" | "csl" | "kusto" => Language::Kql,
            "sumo" | "sumoql" => Language::Sumo,
            _ => return None,
        })
    }

    /// By what stands in the text. A Sigma rule has the keys `detection` or `logsource` (or, for the
    /// other kinds of documents, `correlation` or `filter`) at the start of a line; a Sumo search
    /// names a metadata field or uses an operator that KQL lacks; everything else is taken for KQL.
    pub fn of_text(text: &str) -> Language {
        let key = |line: &str| {
            ["detection:", "logsource:", "correlation:", "filter:", "title:"]
                .iter()
                .any(|k| line.starts_with(k))
        };
        if text.lines().take(2000).any(key) {
            return Language::Sigma;
        }
        const METADATA: [&str; 7] =
            ["_sourceCategory", "_sourceHost", "_sourceName", "_source=", "_collector", "_index", "_view"];
        const OPERATORS: [&str; 10] = [
            "parse \"",
            "parse regex",
            "parse field",
            "json \"",
            "json field",
            "timeslice",
            "count by",
            "fields ",
            "nodrop",
            "csv ",
        ];
        for line in text.lines().take(2000) {
            let code = line.split("//").next().unwrap_or("");
            let lower = code.to_ascii_lowercase();
            if METADATA.iter().any(|m| lower.contains(&m.to_ascii_lowercase())) {
                return Language::Sumo;
            }
            let mut stages = lower.split('|').skip(1);
            if stages.any(|s| OPERATORS.iter().any(|o| s.trim_start().starts_with(o))) {
                return Language::Sumo;
            }
        }
        Language::Kql
    }
}

impl std::fmt::Display for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_suffix() {
        let of = |p: &str| Language::of_path(Path::new(p));
        assert_eq!(of("a/b.sigma.yml"), Some(Language::Sigma));
        assert_eq!(of("b.KQL"), Some(Language::Kql));
        assert_eq!(of("b.csl"), Some(Language::Kql));
        assert_eq!(of("b.sumoql"), Some(Language::Sumo));
        assert_eq!(of("README.md"), None);
    }

    #[test]
    fn by_content() {
        assert_eq!(Language::of_text("title: a\nlogsource:\n  product: windows\n"), Language::Sigma);
        assert_eq!(Language::of_text("_sourceCategory=windows/* | where a = 1"), Language::Sumo);
        assert_eq!(Language::of_text("error | parse \"a*b\" as x"), Language::Sumo);
        assert_eq!(Language::of_text("// _index is not code\nT | where a == 1"), Language::Kql);
        assert_eq!(Language::of_text(""), Language::Kql);
    }
}
