//! The command line: names, help and examples. What an option does stands with its command.

use crate::output::Format;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;

/// Runs detections as they are published - Sigma, KQL, Sumo Logic - over local telemetry.
#[derive(Parser, Debug)]
#[command(
    name = "tercel",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 ran, 1 a gate failed, 2 could not run, 130 interrupted.\n\
                  Options may stand in tercel.toml (in this folder or one above it, or in the user's\n\
                  configuration folder) under their long names, and in TERCEL_* variables."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args, Debug, Clone)]
pub struct Global {
    /// How output is written [default: table on a terminal, jsonl elsewhere]
    #[arg(long, global = true, value_enum, env = "TERCEL_FORMAT", help_heading = "Global options")]
    pub format: Option<Format>,
    /// Write output to FILE; its suffix says the format
    #[arg(short, long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Global options")]
    pub output: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long, global = true, help_heading = "Global options")]
    pub force: bool,
    /// Colours
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        env = "TERCEL_COLOR",
        help_heading = "Global options"
    )]
    pub color: Option<Color>,
    /// No footer, no progress, no warnings; errors only
    #[arg(short, long, global = true, env = "TERCEL_QUIET", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(), help_heading = "Global options")]
    pub quiet: Option<bool>,
    /// Use this configuration file, and no other
    #[arg(long, global = true, value_name = "FILE", env = "TERCEL_CONFIG", value_hint = ValueHint::FilePath, help_heading = "Global options")]
    pub config: Option<PathBuf>,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run rules of any language over data
    Hunt(Hunt),
    /// Run one query over data
    Query(Query),
    /// Convert rules into another language, and say what is lost
    Convert(Convert),
    /// Compare what two rules mean
    Verify(Verify),
    /// Say why a rule fires on an event, or does not
    Explain(Explain),
    /// Run the tests of rules, or make some
    Test(Test),
    /// Check rules without data: types, columns, values that cannot occur, dead parts
    Lint(Lint),
    /// List rules, or show one
    #[command(subcommand)]
    Rules(Rules),
    /// List tables and views, or show one
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  tercel completions bash > ~/.local/share/bash-completion/completions/tercel"
    )]
    Completions {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// What surrounds rules and queries: views, lookups, what the data does not say itself.
#[derive(Args, Debug, Clone, Default)]
pub struct World {
    /// Folder of KQL views that are added to the built-in ones
    #[arg(long, value_name = "DIR", env = "TERCEL_VIEWS", value_hint = ValueHint::DirPath)]
    pub views: Option<PathBuf>,
    /// A CSV or JSON file as a table or lookup of this name
    #[arg(long = "lookup", value_name = "NAME=FILE")]
    pub lookups: Vec<String>,
    /// What %NAME% stands for in Sigma rules with `expand`: the lines of FILE, as Sigma values
    #[arg(long = "placeholder", value_name = "NAME=FILE")]
    pub placeholders: Vec<String>,
    /// pySigma processing pipeline (YAML), applied to Sigma rules; may be given several times
    #[arg(long = "pipeline", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub pipelines: Vec<PathBuf>,
    /// MMDB database for geo_info_from_ip_address
    #[arg(long, value_name = "FILE.mmdb", env = "TERCEL_GEOIP", value_hint = ValueHint::FilePath)]
    pub geoip: Option<PathBuf>,
    /// Sumo Logic: the _sourceCategory of the events, instead of the one that their source suggests
    #[arg(long, value_name = "NAME", env = "TERCEL_SOURCE_CATEGORY")]
    pub source_category: Option<String>,
    /// Refuse what runs only with a warning
    #[arg(long, env = "TERCEL_STRICT", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new())]
    pub strict: Option<bool>,
}

/// How data is read.
#[derive(Args, Debug, Clone, Default)]
pub struct Reading {
    /// What "now" is [default: the newest event]
    #[arg(long, value_name = "TIME", env = "TERCEL_NOW")]
    pub now: Option<String>,
    /// Only events from this time on; a span such as 24h counts back from "now"
    #[arg(long, value_name = "TIME|SPAN")]
    pub since: Option<String>,
    /// Only events before this time; a span such as 24h counts back from "now"
    #[arg(long, value_name = "TIME|SPAN")]
    pub until: Option<String>,
    /// The field that holds the time, for data of no known shape
    #[arg(long, value_name = "FIELD", env = "TERCEL_TIME_FIELD")]
    pub time_field: Option<String>,
    /// Read named files of plain text too: each line is a record with the one field _raw
    #[arg(long)]
    pub text: bool,
    /// Threads [default: one for each processor]
    #[arg(long, value_name = "N", env = "TERCEL_JOBS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
}

#[derive(Args, Debug)]
#[command(after_help = "\
DATA and RULES are files, folders, globs or - (standard input). DATA may be EVTX, JSON (lines, arrays,
concatenated; plain, gzip or zstd), CSV, Parquet, Zeek TSV; what it is is recognised.

Examples:
  tercel hunt ./evtx                                the built-in rules over a folder of event logs
  tercel hunt capture.jsonl.zst -r rules/           your rules; Sigma, KQL and Sumo Logic may be mixed
  tercel hunt logs -r rule.yml --format jsonl       one JSON object a hit
  zcat x.json.gz | tercel hunt - -r q.kql           from a pipe
  tercel hunt ./evtx --level high --fail-on-hit     exit code 1 when something fires
  tercel hunt ./evtx --explain-skips                why rules did not run or cannot fire here")]
pub struct Hunt {
    /// Files, folders, globs, or - for standard input
    #[arg(value_name = "DATA", value_hint = ValueHint::AnyPath)]
    pub data: Vec<String>,
    /// Rules: files, folders, globs [default: the built-in pack]. When no DATA stands before it, what follows
    /// the first value is DATA
    #[arg(short, long, value_name = "RULES", num_args = 1.., value_hint = ValueHint::AnyPath)]
    pub rules: Vec<String>,
    /// Language of the rules, whatever their suffix: sigma, kql, sumo
    #[arg(long, value_name = "LANG", value_parser = ["sigma", "kql", "sumo"])]
    pub lang: Option<String>,
    /// Only rules of this level or above: informational, low, medium, high, critical
    #[arg(long, value_name = "LEVEL", env = "TERCEL_LEVEL", value_parser = ["informational", "info", "low", "medium", "high", "critical"])]
    pub level: Option<String>,
    /// Exit with 1 when anything fires
    #[arg(long)]
    pub fail_on_hit: bool,
    /// List every rule that was skipped or cannot fire on this data, and why
    #[arg(long)]
    pub explain_skips: bool,
    /// Write at most N hits of each rule; all are counted
    #[arg(long, value_name = "N")]
    pub limit_hits: Option<u64>,
    /// Sigma: every rule meets every event, under the field names that the data has. For data that lost what
    /// tells its log sources apart; a rule will fire on events that it was not written for
    #[arg(long)]
    pub ignore_logsource: bool,
    #[command(flatten)]
    pub reading: Reading,
    #[command(flatten)]
    pub world: World,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tercel query 'DeviceNetworkEvents | summarize count() by RemotePort' ./evtx
  tercel query 'Sysmon | where EventID == 1 | take 5' capture.jsonl
  tercel query - data.parquet < hunt.kql            the query from standard input
  tercel query -f hunt.kql data/ -o result.csv
  tercel query --lang sumo '_sourceCategory=windows/sysmon | count by Image' ./evtx
  tercel query --lang sql 'SELECT \"Image\", count(*) FROM \"Sysmon\" GROUP BY 1' ./evtx
  tercel query 'print 1 + 1'                        no data needed")]
pub struct Query {
    /// The query, or - for standard input; with -f everything here is DATA
    #[arg(value_name = "QUERY")]
    pub query: Option<String>,
    /// Files, folders, globs, or - for standard input
    #[arg(value_name = "DATA", value_hint = ValueHint::AnyPath)]
    pub data: Vec<String>,
    /// Read the query from FILE
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// kql, sumo or sql [default: by the suffix of -f, else kql]
    #[arg(long, value_name = "LANG", env = "TERCEL_LANG", value_parser = ["kql", "sumo", "sql"])]
    pub lang: Option<String>,
    #[command(flatten)]
    pub reading: Reading,
    #[command(flatten)]
    pub world: World,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Of several events, the first that the rule fires on is explained, else the one that is nearest to a hit.

Examples:
  tercel explain rule.yml                           what the rule asks for, in words
  tercel explain rule.yml capture.jsonl             the first hit, or the nearest miss
  tercel explain rule.yml capture.evtx --record 42  one event; hits carry their record
  tercel explain rule.yml '{\"EventID\":1,\"Channel\":\"Microsoft-Windows-Sysmon/Operational\",\"Image\":\"C:\\\\a.exe\"}'
  tercel explain 5f1f7d2c-… x.json --rules rules/   a rule by its id
  tercel explain rule.yml x.json --format json      the explanation as data")]
pub struct Explain {
    /// A file with a rule, or the id of one
    #[arg(value_name = "RULE", value_hint = ValueHint::AnyPath)]
    pub rule: String,
    /// A file with events, - for standard input, or an event as JSON
    #[arg(value_name = "EVENT", value_hint = ValueHint::AnyPath)]
    pub event: Option<String>,
    /// The event with this record number
    #[arg(long, value_name = "N")]
    pub record: Option<i64>,
    /// Which rule of a file with several
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// Where rules are looked for by id [default: the built-in pack]
    #[arg(short = 'r', long, value_name = "RULES", num_args = 1.., value_hint = ValueHint::AnyPath)]
    pub rules: Vec<String>,
    /// Language of the rule, whatever its suffix: sigma, kql, sumo
    #[arg(long, value_name = "LANG", value_parser = ["sigma", "kql", "sumo"])]
    pub lang: Option<String>,
    /// Exit with 1 when the rule does not fire
    #[arg(long)]
    pub fail_on_miss: bool,
    #[command(flatten)]
    pub reading: Reading,
    #[command(flatten)]
    pub world: World,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Exit code 1 when there is an error. Without RULES the built-in pack is checked.

Examples:
  tercel lint rules/
  tercel lint rule.kql --format json                the findings as data
  tercel lint rules/ --strict                       warnings count as errors
  tercel lint rules/ --allow unused-column          leave out findings of one kind
  tercel lint --lang kql --syntax-only - < q.kql    does it parse?")]
pub struct Lint {
    /// Files, folders, globs, or - for standard input [default: the built-in pack]
    #[arg(value_name = "RULES", value_hint = ValueHint::AnyPath)]
    pub rules: Vec<String>,
    /// Language of the rules, whatever their suffix: sigma, kql, sumo
    #[arg(long, value_name = "LANG", value_parser = ["sigma", "kql", "sumo"])]
    pub lang: Option<String>,
    /// Check that the texts parse, nothing else
    #[arg(long)]
    pub syntax_only: bool,
    /// Leave out findings of this code; may be given several times
    #[arg(long, value_name = "CODE")]
    pub allow: Vec<String>,
    /// Seconds that the proof of one question may take; 0 for no proofs
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub budget: f64,
    /// Do not compare the rules with each other
    #[arg(long)]
    pub no_pairs: bool,
    #[command(flatten)]
    pub world: World,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Exit code 1 when a conversion was refused, or with --exact when one is not proved exact.

Examples:
  tercel convert rule.yml --to kql                  Defender's tables
  tercel convert rule.yml --to kql --schema asim    Sentinel's normalised tables
  tercel convert hunt.kql --to sigma
  tercel convert rule.yml --to sql --dialect spark --schema native
  tercel convert rule.yml --to sumo --schema cse    a rule of Cloud SIEM, as JSON
  tercel convert rules/ --to sumo --format jsonl    text, fidelity and losses of each as data")]
pub struct Convert {
    /// Files, folders, globs, or - for standard input
    #[arg(value_name = "RULES", required = true, value_hint = ValueHint::AnyPath)]
    pub rules: Vec<String>,
    /// The language to convert to
    #[arg(long, value_name = "LANG", value_parser = ["kql", "sumo", "sigma", "sql"])]
    pub to: String,
    /// Of KQL and SQL, whose tables: defender, asim, sentinel (Sysmon in Event), native; of Sumo Logic,
    /// cse for a rule of Cloud SIEM
    #[arg(long, value_name = "SCHEMA", value_parser = ["defender", "asim", "sentinel", "native", "cse"], default_value = "defender")]
    pub schema: String,
    /// Of SQL, whose: duckdb, clickhouse, spark, datafusion (which `tercel query --lang sql` speaks)
    #[arg(long, value_name = "DIALECT", value_parser = ["duckdb", "clickhouse", "spark", "datafusion"], default_value = "duckdb")]
    pub dialect: String,
    /// Language of the rules, whatever their suffix: sigma, kql, sumo
    #[arg(long, value_name = "LANG", value_parser = ["sigma", "kql", "sumo"])]
    pub lang: Option<String>,
    /// Of ASIM: only rows of this table (Sysmon, SecurityEvent, …), of which the result is then proved
    #[arg(long = "source", value_name = "TABLE")]
    pub sources: Vec<String>,
    /// Exit with 1 unless every conversion is proved exact
    #[arg(long)]
    pub exact: bool,
    /// Seconds that a proof may take
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub budget: f64,
    #[command(flatten)]
    pub world: World,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Exit code 0 when both find the same events, 1 when they do not, 2 when it could not be told.

Examples:
  tercel verify old.yml new.yml                     equal? else an event that tells them apart
  tercel verify rule.yml converted.kql --format json")]
pub struct Verify {
    /// A file with a rule, or the id of one
    #[arg(value_name = "A", value_hint = ValueHint::AnyPath)]
    pub a: String,
    /// The other
    #[arg(value_name = "B", value_hint = ValueHint::AnyPath)]
    pub b: String,
    /// Compare only what they find in this table
    #[arg(long = "source", value_name = "TABLE")]
    pub sources: Vec<String>,
    /// Where rules are looked for by id [default: the built-in pack]
    #[arg(short = 'r', long, value_name = "RULES", num_args = 1.., value_hint = ValueHint::AnyPath)]
    pub rules: Vec<String>,
    /// Language of the rules, whatever their suffix: sigma, kql, sumo
    #[arg(long, value_name = "LANG", value_parser = ["sigma", "kql", "sumo"])]
    pub lang: Option<String>,
    /// Seconds that the proof may take
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub budget: f64,
    #[command(flatten)]
    pub world: World,
}

#[derive(Args, Debug)]
#[command(after_help = "\
Tests stand beside rules: NAME.fixtures.jsonl holds events for NAME.yml, NAME.kql and NAME.sumo that must fire, and
events that must not; SigmaHQ's regression data is found too. Exit code 1 when a test failed.

Examples:
  tercel test rules/                                run the tests
  tercel test rules/ --junit results.xml            for a build server
  tercel test                                       the tests of the built-in pack
  tercel test rule.yml --generate                   smallest events for each part of the rule, and near misses
  tercel test rules/ --generate -o rules/           as NAME.generated.fixtures.jsonl beside the rules
  tercel test rule.yml --generate --source defender --format ndjson
                                                    events that fire it as Defender writes them, to replay")]
pub struct Test {
    /// Rules: files, folders, globs, or - [default: the built-in pack]
    #[arg(value_name = "RULES", value_hint = ValueHint::AnyPath)]
    pub rules: Vec<String>,
    /// Language of the rules, whatever their suffix: sigma, kql, sumo
    #[arg(long, value_name = "LANG", value_parser = ["sigma", "kql", "sumo"])]
    pub lang: Option<String>,
    /// A folder with more fixtures, found by the names of the rules' files
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub fixtures: Option<PathBuf>,
    /// Write results as JUnit XML, too
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub junit: Option<PathBuf>,
    /// List every rule without tests, or every part for which none was made, and why
    #[arg(long)]
    pub explain_skips: bool,
    /// Make tests, to standard output or with -o below a folder
    #[arg(long)]
    pub generate: bool,
    /// Who writes the events that are made [default: the first that the rule can read]
    #[arg(long, value_name = "SOURCE", value_enum, requires = "generate")]
    pub source: Option<crate::commands::test::Source>,
    /// Make only events that fire, or only near misses
    #[arg(long, value_name = "WHICH", value_parser = ["hits", "misses"], requires = "generate")]
    pub only: Option<String>,
    /// Parts of one list that get events
    #[arg(long, value_name = "N", default_value_t = 100, requires = "generate")]
    pub limit: usize,
    /// Seconds that a proof may take
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, requires = "generate")]
    pub budget: f64,
    #[command(flatten)]
    pub world: World,
}

#[derive(Subcommand, Debug)]
pub enum Rules {
    /// List rules
    #[command(after_help = "Examples:\n  tercel rules list\n  tercel rules list rules/ --format csv")]
    List {
        /// Files, folders, globs [default: the built-in pack]
        #[arg(value_name = "RULES", value_hint = ValueHint::AnyPath)]
        rules: Vec<String>,
    },
    /// Show a rule: what it says about itself, what it needs, its text
    #[command(
        after_help = "Examples:\n  tercel rules show office-uncommon-port\n  tercel rules show rules/rule.yml"
    )]
    Show {
        /// An id of the built-in pack, or a file
        #[arg(value_name = "ID|FILE", value_hint = ValueHint::AnyPath)]
        rule: String,
    },
    /// Which rules of a set are equal, one inside another, overlapping or disjoint, with events that show it
    #[command(
        after_help = "Examples:\n  tercel rules overlap rules/\n  tercel rules overlap rules/ --all --format json"
    )]
    Overlap(Overlap),
}

#[derive(Debug, Args)]
pub struct Overlap {
    /// Files, folders, globs [default: the built-in pack]
    #[arg(value_name = "RULES", value_hint = ValueHint::AnyPath)]
    pub rules: Vec<String>,
    /// Language of the rules, whatever their suffix: sigma, kql, sumo
    #[arg(long, value_name = "LANG", value_parser = ["sigma", "kql", "sumo"])]
    pub lang: Option<String>,
    /// Show every pair, also those that overlap or are disjoint
    #[arg(long)]
    pub all: bool,
    /// Seconds that the proof of one question may take
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub budget: f64,
    #[command(flatten)]
    pub world: World,
}

#[derive(Subcommand, Debug)]
pub enum SchemaCommand {
    /// List tables and views
    #[command(after_help = "Examples:\n  tercel schema list\n  tercel schema list --format jsonl")]
    List {
        #[command(flatten)]
        world: World,
    },
    /// List Sigma's log sources: the view that holds their events, or why there is none
    #[command(
        name = "logsources",
        after_help = "Examples:\n  tercel schema logsources\n  tercel schema logsources --format csv"
    )]
    LogSources {
        #[command(flatten)]
        world: World,
    },
    /// Show a table or view: columns, types, values, and a view's KQL
    #[command(after_help = "Examples:\n  tercel schema show Sysmon\n  tercel schema show imNetworkSession")]
    Show {
        /// Name of a table or view
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        world: World,
    },
}
