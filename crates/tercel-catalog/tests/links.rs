//! Rules that say something about each other, through loading, linking and compiling.

use tercel_catalog::{
    CompileOptions, Detection, LoadOptions, Loaded, Pipelines, Role, compile_all, link, link_with, load,
    parse_pipeline, retain,
};
use tercel_schema::{SchemaCatalog, Schemas};
use tercel_sigma::correlation::Target;

/// Loads texts, each from a file of its own.
fn loaded(texts: &[&str]) -> Loaded {
    let dir = tempfile::tempdir().expect("a folder");
    for (i, text) in texts.iter().enumerate() {
        std::fs::write(dir.path().join(format!("{i}.yml")), text).expect("a file");
    }
    load(&[dir.path().to_str().expect("UTF-8").to_string()], LoadOptions::default())
}

fn compile(all: &mut [Detection]) {
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    compile_all(all, &catalog, &catalog, &CompileOptions::default(), 2);
}

fn by<'a>(all: &'a [Detection], title: &str) -> &'a Detection {
    all.iter().find(|d| d.title == title).unwrap_or_else(|| panic!("no {title}"))
}

fn codes(d: &Detection) -> Vec<&str> {
    d.diagnostics.iter().map(|d| d.code).collect()
}

fn rule(title: &str, more: &str) -> String {
    format!(
        "title: {title}\nid: {title}\nname: name_{title}\nlevel: low\nlogsource: {{category: process_creation, product: windows}}\ndetection:\n    s:\n        Image|endswith: '\\x.exe'\n{more}    condition: s\n"
    )
}

fn correlation(title: &str, rules: &str, more: &str) -> String {
    format!(
        "title: {title}\nid: {title}\nname: name_{title}\nlevel: high\ncorrelation:\n    type: temporal\n    rules: [{rules}]\n    timespan: 1h\n{more}"
    )
}

const FILTER: &str = "title: Filter\nlogsource: {product: windows}\nfilter:\n    rules: any\n    s: {User: joe}\n    condition: not s\n";

/// The rule at the other end of each reference.
fn targets(all: &[Detection], d: &Detection) -> Vec<String> {
    let plan = d.correlation.as_ref().expect("a plan");
    plan.rules
        .iter()
        .map(|r| match r.target {
            Target::Rule(i) => all[i].title.clone(),
            Target::Own => "itself".into(),
        })
        .collect()
}

#[test]
fn correlations_over_files() {
    let mut all = loaded(&[
        &correlation("Both", "name_A, B", ""),
        &rule("A", ""),
        &rule("B", ""),
        &rule("C", ""),
        &correlation("Twice", "name_Both, C", "generate: true\n"),
    ])
    .detections;
    compile(&mut all);
    assert!(all.iter().all(|d| !d.has_errors()), "{all:#?}");
    assert_eq!(targets(&all, by(&all, "Both")), ["A", "B"]);
    assert_eq!(targets(&all, by(&all, "Twice")), ["Both", "C"]);
    assert_eq!(by(&all, "Both").role(), Role::Correlation);
    let reported: Vec<&str> = all.iter().filter(|d| d.reported).map(|d| d.title.as_str()).collect();
    assert_eq!(reported, ["Both", "C", "Twice"], "A and B are only there for the correlation");

    // Taking away what is below a level keeps what a correlation needs, and counts anew.
    let away = retain(&mut all, |d| d.level >= tercel_catalog::Level::High);
    assert_eq!((away, all.len()), (3, 5));
    let away = retain(&mut all, |d| d.title == "Both");
    assert_eq!((away, all.len()), (4, 3));
    assert_eq!(targets(&all, by(&all, "Both")), ["A", "B"]);
    assert_eq!(all.iter().filter(|d| d.reported).count(), 1);
    compile(&mut all);
    assert_eq!(targets(&all, by(&all, "Both")), ["A", "B"], "compiling again changes nothing");
}

#[test]
fn a_correlation_runs_only_with_its_rules() {
    let mut all = loaded(&[
        &rule("Good", ""),
        &rule("Bad", "        Ip|cidr: nonsense\n"),
        &correlation("OnBad", "Good, Bad", ""),
        &correlation("OnThat", "OnBad", ""),
        &correlation("OnNothing", "nothing", ""),
        &correlation("OnGood", "Good", ""),
    ])
    .detections;
    compile(&mut all);
    for (title, code) in [
        ("Bad", "invalid-cidr"),
        ("OnBad", "broken-reference"),
        ("OnThat", "broken-reference"),
        ("OnNothing", "missing-reference"),
    ] {
        let d = by(&all, title);
        assert!(d.has_errors() && codes(d).contains(&code), "{title}: {:?}", d.diagnostics);
        assert!(d.rel.is_none() && d.correlation.is_none(), "{title}");
        assert!(d.first_error().is_some_and(|e| e.span.is_some()), "{title}");
    }
    assert!(by(&all, "Good").rel.is_some() && by(&all, "OnGood").correlation.is_some());
}

#[test]
fn filters_narrow_rules() {
    let named = "title: Named\nlogsource: {category: process_creation}\nfilter:\n    rules: [A, name_B, nobody]\n    s: {User: ann}\n    condition: not s\n";
    let other = "title: Other\nlogsource: {product: linux}\nfilter:\n    rules: [A]\n    s: {User: ann}\n    condition: not s\n";
    let unused = "title: Unused\nlogsource: {product: aix}\nfilter:\n    rules: any\n    s: {User: ann}\n    condition: not s\n";
    let mut all = loaded(&[&rule("A", ""), &rule("B", ""), FILTER, named, other, unused]).detections;
    compile(&mut all);
    assert_eq!(by(&all, "A").metadata.filters, ["Filter", "Named"]);
    assert_eq!(by(&all, "B").metadata.filters, ["Filter", "Named"]);
    assert!(codes(by(&all, "Named")).contains(&"missing-reference"));
    assert!(codes(by(&all, "Other")).contains(&"filter-mismatch"));
    assert!(codes(by(&all, "Unused")).contains(&"unused-filter"));
    let filter = by(&all, "Filter");
    assert!(filter.role() == Role::Filter && !filter.reported && filter.rel.is_none());
    let text = format!("{:?}", by(&all, "A").rel.as_ref().expect("a relation").kind);
    assert!(text.contains("joe") && text.contains("ann"), "both filters are in the relation");

    // Linking again starts afresh.
    all.retain(|d| d.title != "Filter");
    link(&mut all);
    compile(&mut all);
    assert_eq!(by(&all, "A").metadata.filters, ["Named"]);
}

#[test]
fn old_aggregations_are_correlations_of_their_own() {
    let text = rule("Old", "").replace("condition: s", "condition: s | count() by User > 3");
    let mut all = loaded(&[&text]).detections;
    compile(&mut all);
    let d = &all[0];
    assert_eq!(targets(&all, d), ["itself"]);
    assert!(d.rel.is_some() && d.reported && codes(d).contains(&"legacy-aggregation"));
}

#[test]
fn pipelines_change_what_is_compiled() {
    let (pipeline, found) = parse_pipeline(
        "p.yml",
        "transformations:\n  - {type: field_name_mapping, mapping: {Program: Image}}\n  - type: rule_failure\n    message: not this one\n    rule_conditions: [{type: rule_attribute, attribute: title, value: No}]\n",
    );
    let pipelines = Pipelines::new(vec![pipeline.unwrap_or_else(|| panic!("{found:?}"))]);
    let strange = rule("Yes", "").replace("Image", "Program");
    let mut all = loaded(&[&strange, &rule("No", "")]).detections;
    compile(&mut all);
    assert!(codes(by(&all, "Yes")).contains(&"unknown-field"));
    link_with(&mut all, &pipelines);
    compile(&mut all);
    let yes = by(&all, "Yes");
    assert!(yes.rel.is_some() && codes(yes).is_empty(), "{:?}", yes.diagnostics);
    let no = by(&all, "No");
    assert!(no.rel.is_none() && no.first_error().is_some_and(|e| e.message.contains("not this one")));
    link(&mut all);
    compile(&mut all);
    assert!(by(&all, "No").rel.is_some(), "without pipelines it runs again");
}

#[test]
fn placeholders_come_with_the_options() {
    let text = rule("Who", "        User|expand: '%who%'\n");
    let mut all = loaded(&[&text]).detections;
    compile(&mut all);
    assert!(codes(&all[0]).contains(&"missing-placeholder"));
    let catalog = SchemaCatalog::new(Schemas::builtin(), Vec::new());
    let options =
        CompileOptions::default().with_placeholders([("who".to_string(), vec!["joe".to_string()])].into());
    compile_all(&mut all, &catalog, &catalog, &options, 1);
    assert!(all[0].rel.is_some(), "{:?}", all[0].diagnostics);
}

#[test]
fn many_files_keep_their_order() {
    let texts: Vec<String> = (0..300).map(|i| rule(&format!("R{i:03}"), "")).collect();
    let all = loaded(&texts.iter().map(String::as_str).collect::<Vec<_>>()).detections;
    let mut names: Vec<&str> = all.iter().map(|d| d.path.as_str()).collect();
    assert_eq!(names.len(), 300);
    let given = names.clone();
    names.sort_unstable();
    assert_eq!(given, names);
}

#[test]
fn collections_of_old_are_rules_of_their_own() {
    let text = "action: global\ntitle: Shared\nlevel: low\ndetection:\n    condition: s\n---\nlogsource: {category: process_creation, product: windows}\ndetection:\n    s: {Image: x}\n---\naction: repeat\nlogsource: {category: file_event}\n---\naction: reset\n---\ntitle: Own\nlogsource: {category: process_creation, product: windows}\ndetection:\n    t: {Image: y}\n    condition: [t, not t]\n    timeframe: 5m\n";
    let mut all = loaded(&[text]).detections;
    compile(&mut all);
    let titles: Vec<&str> = all.iter().map(|d| d.title.as_str()).collect();
    assert_eq!(titles, ["Shared", "Shared", "Own"]);
    assert!(all.iter().all(|d| d.rel.is_some() && d.reported), "{all:#?}");
    assert_eq!(all[1].data(), ["windows/file_event"]);
    assert!(codes(&all[2]).contains(&"unused-timeframe"));
}
