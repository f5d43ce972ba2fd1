//! Which correlation is fed by what, and in which order they are to be evaluated.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use tercel_ir::correlation::{Kind, Plan, Target};

/// A plan that cannot run, and why. The others run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The rule whose plan it is.
    pub rule: usize,
    /// Why, in words that follow the name of the rule.
    pub why: String,
}

/// Where the value of a field of a firing comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum From {
    /// The value of the group at this place.
    Group(usize),
    /// The value carried at this place, from the event that made it fire.
    Carried(usize),
}

/// A correlation and its ties to others.
pub(super) struct Node {
    /// The rule whose plan it is.
    pub rule: usize,
    pub plan: Plan,
    /// Fields of hits that correlations of its firings ask for and by which it does not group.
    pub carry: Vec<String>,
    /// Correlations of its firings.
    pub parents: Vec<Edge>,
}

/// One rule of a correlation, and where the values come from that it needs of a hit.
pub(super) struct Edge {
    /// The correlation, by its place in the order of evaluation.
    pub node: usize,
    /// Which of its rules.
    pub rule: usize,
    /// For firings: the sources of key, fields and carried values, in this order.
    pub from: Vec<From>,
}

impl Node {
    /// The names of the fields that a hit of rule `rule` is asked for: key, fields, carried.
    pub fn asks(&self, rule: usize) -> impl Iterator<Item = &str> {
        self.plan
            .group_by
            .iter()
            .chain(&self.plan.fields)
            .map(move |k| k.fields[rule].as_str())
            .chain(self.carry.iter().map(String::as_str))
    }
    /// Where a firing has the value of a field from. A name by which it groups comes first, then a field
    /// that it groups by under another name.
    fn source(&self, field: &str) -> Option<From> {
        let keys = &self.plan.group_by;
        let place = keys
            .iter()
            .position(|k| k.name == field)
            .or_else(|| keys.iter().position(|k| k.fields.iter().any(|f| f == field)));
        place.map(From::Group).or_else(|| self.carry.iter().position(|c| c == field).map(From::Carried))
    }
}

/// All correlations, each behind those whose firings it takes.
pub(super) struct Network {
    pub nodes: Vec<Node>,
    /// For every rule whose events are taken: which correlations take them.
    pub events: HashMap<usize, Vec<Edge>>,
    /// Names of the fields asked of the events of a rule.
    pub wanted: HashMap<usize, Vec<String>>,
    /// Rules whose own hits are not to be reported.
    pub silent: BTreeSet<usize>,
}

impl Network {
    /// `refused` are plans known to be no good; what refers to them is refused too.
    pub fn new(plans: Vec<(usize, Plan)>, mut refused: Vec<Refused>) -> (Network, Vec<Refused>) {
        let mut all: BTreeMap<usize, Plan> = BTreeMap::new();
        for (rule, plan) in plans {
            match plan.check() {
                Err(why) => refused.push(Refused { rule, why }),
                Ok(()) if all.contains_key(&rule) => {
                    refused.push(Refused { rule, why: "it has two plans".into() });
                }
                Ok(()) => {
                    all.insert(rule, plan);
                }
            }
        }
        let ordered = order(all, &mut refused);
        let mut nodes: Vec<Node> = ordered
            .into_iter()
            .map(|(rule, plan)| Node { rule, plan, carry: Vec::new(), parents: Vec::new() })
            .collect();
        let place: HashMap<usize, usize> = nodes.iter().enumerate().map(|(i, n)| (n.rule, i)).collect();
        let child = |n: &Node, rule: usize| match n.plan.rules[rule].target {
            Target::Own => None,
            Target::Rule(r) => place.get(&r).copied(),
        };

        // Parents ask before their children are asked, so that what they carry is known.
        for i in (0..nodes.len()).rev() {
            for rule in 0..nodes[i].plan.rules.len() {
                let Some(c) = child(&nodes[i], rule) else { continue };
                let asked: Vec<String> = nodes[i].asks(rule).map(String::from).collect();
                for field in asked {
                    if nodes[c].source(&field).is_none() {
                        nodes[c].carry.push(field);
                    }
                }
            }
        }

        let mut events: HashMap<usize, Vec<Edge>> = HashMap::new();
        let mut wanted: HashMap<usize, Vec<String>> = HashMap::new();
        let (mut hushed, mut loud) = (BTreeSet::new(), BTreeSet::new());
        for i in 0..nodes.len() {
            for rule in 0..nodes[i].plan.rules.len() {
                match child(&nodes[i], rule) {
                    Some(c) => {
                        let from = nodes[i]
                            .asks(rule)
                            .map(|f| nodes[c].source(f).expect("what parents ask for is carried"))
                            .collect();
                        nodes[c].parents.push(Edge { node: i, rule, from });
                    }
                    None => {
                        let of = match nodes[i].plan.rules[rule].target {
                            Target::Own => nodes[i].rule,
                            Target::Rule(r) => r,
                        };
                        let fields = wanted.entry(of).or_default();
                        for f in nodes[i].asks(rule) {
                            if !fields.iter().any(|x| x == f) {
                                fields.push(f.to_string());
                            }
                        }
                        events.entry(of).or_default().push(Edge { node: i, rule, from: Vec::new() });
                    }
                }
                // The events of a rule that is its own aggregation have no report beside its firings.
                if let Target::Rule(r) = nodes[i].plan.rules[rule].target {
                    if nodes[i].plan.generate { &mut loud } else { &mut hushed }.insert(r);
                }
            }
        }
        let silent = hushed.difference(&loud).copied().collect();
        (Network { nodes, events, wanted, silent }, refused)
    }
}

/// Children before parents. What refers to itself, or to something refused, is refused.
fn order(mut all: BTreeMap<usize, Plan>, refused: &mut Vec<Refused>) -> Vec<(usize, Plan)> {
    // A rule whose plan was refused has no firings, and its events are not what is meant.
    let mut broken: BTreeSet<usize> = refused.iter().map(|r| r.rule).collect();
    let mut users: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut missing: BTreeMap<usize, usize> = BTreeMap::new();
    for (rule, plan) in &all {
        let mut n = 0;
        for r in &plan.rules {
            if let Target::Rule(r) = r.target
                && (all.contains_key(&r) || broken.contains(&r))
            {
                users.entry(r).or_default().push(*rule);
                n += 1;
            }
        }
        missing.insert(*rule, n);
    }
    let mut ready: BTreeSet<usize> =
        missing.iter().filter(|(_, n)| **n == 0).map(|(rule, _)| *rule).collect();
    let mut out = Vec::new();
    while let Some(rule) = ready.pop_first() {
        if let Some(plan) = all.remove(&rule) {
            out.push((rule, plan));
        }
        for u in users.get(&rule).into_iter().flatten() {
            if let Some(n) = missing.get_mut(u) {
                *n -= 1;
                if *n == 0 {
                    ready.insert(*u);
                }
            }
        }
    }
    // The rest waits for itself or for something that is broken.
    let mut queue: Vec<usize> = broken.iter().copied().collect();
    while let Some(rule) = queue.pop() {
        for u in users.get(&rule).into_iter().flatten() {
            if all.contains_key(u) && broken.insert(*u) {
                let name = all[u].rules.iter().find(|r| r.target == Target::Rule(rule));
                refused.push(Refused {
                    rule: *u,
                    why: format!(
                        "it correlates `{}`, which cannot run",
                        name.map_or("a rule", |r| r.name.as_str())
                    ),
                });
                queue.push(*u);
            }
        }
    }
    for rule in all.keys().filter(|r| !broken.contains(r)) {
        refused.push(Refused {
            rule: *rule,
            why: "it refers to its own firings, by itself or over other correlations".into(),
        });
    }
    out
}

impl Node {
    /// Whether the value of the field is a text to be told apart rather than a number.
    pub fn counts_texts(&self) -> bool {
        self.plan.kind == Kind::ValueCount
    }
}
