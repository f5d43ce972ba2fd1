//! The correlator: brings hits into order and leads them, moment by moment, through the network.

use super::live::{Input, Live, Run};
use super::network::{From, Network, Node};
use super::{Counts, Fire, Full, Hit, Lateness, Limits, Outcome, Refused, Stats, text};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use tercel_ir::Value;
use tercel_ir::correlation::Plan;

/// Steps after which all correlations forget what is too old.
const SWEEP: u64 = 4096;

/// Hits for which room is kept when it is not used.
const CROWD: usize = 1024;

/// Runs correlations over hits. See [`super`] for what they mean.
///
/// Push hits, take outcomes whenever it suits, call [`Correlator::finish`] at the end and take the rest.
pub struct Correlator {
    network: Network,
    live: Vec<Live>,
    limits: Limits,
    /// Hits whose time has not come, the earliest first.
    waiting: BinaryHeap<Reverse<Waiting>>,
    waiting_bytes: usize,
    live_bytes: usize,
    /// When the windows of a correlation close next: one entry a correlation, or none.
    closings: BinaryHeap<Reverse<(i64, usize)>>,
    scheduled: Vec<bool>,
    /// Hits of the current moment, by correlation.
    moment: Vec<Vec<Input>>,
    /// Correlations to be evaluated in the current moment.
    due: std::collections::BTreeSet<usize>,
    /// Moments before this are over.
    horizon: i64,
    /// The last moment that was evaluated.
    clock: i64,
    steps: u64,
    fires: u64,
    out: Vec<Outcome>,
    stats: Stats,
    finished: bool,
}

/// A hit that waits, ordered by time alone: what is of one moment is sorted where it is taken in.
struct Waiting(Input);

impl PartialEq for Waiting {
    fn eq(&self, other: &Waiting) -> bool {
        self.0.time == other.0.time
    }
}
impl Eq for Waiting {}
impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Waiting) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Waiting {
    fn cmp(&self, other: &Waiting) -> std::cmp::Ordering {
        self.0.time.cmp(&other.0.time)
    }
}

impl Correlator {
    /// For these plans, each with the index of its rule in the run. Plans that cannot run are left out and
    /// named.
    pub fn new(plans: Vec<(usize, Plan)>, limits: Limits) -> (Correlator, Vec<Refused>) {
        // A condition that is out of reach must be known before the network is built, so that what refers
        // to the plan is refused too.
        let mut refused = Vec::new();
        let mut fit = Vec::new();
        for (rule, plan) in plans {
            match plan.check().and_then(|()| super::marks::Marks::new(&plan).map(drop)) {
                Ok(()) => fit.push((rule, plan)),
                Err(why) => refused.push(Refused { rule, why }),
            }
        }
        let (network, more) = Network::new(fit, refused);
        let live: Vec<Live> = network
            .nodes
            .iter()
            .map(|n| Live::new(&n.plan, !n.carry.is_empty()).expect("checked above"))
            .collect();
        let nodes = live.len();
        let c = Correlator {
            network,
            live,
            limits,
            waiting: BinaryHeap::new(),
            waiting_bytes: 0,
            live_bytes: 0,
            closings: BinaryHeap::new(),
            scheduled: vec![false; nodes],
            moment: (0..nodes).map(|_| Vec::new()).collect(),
            due: std::collections::BTreeSet::new(),
            horizon: i64::MIN,
            clock: i64::MIN,
            steps: 0,
            fires: 0,
            out: Vec::new(),
            stats: Stats::default(),
            finished: false,
        };
        (c, more)
    }

    /// Whether the events of a rule feed a correlation.
    pub fn takes(&self, rule: usize) -> bool {
        self.network.events.contains_key(&rule)
    }

    /// Names of the fields that correlations ask of the events of a rule.
    pub fn wanted(&self, rule: usize) -> &[String] {
        self.network.wanted.get(&rule).map_or(&[], Vec::as_slice)
    }

    /// Whether a rule is correlated and not to report its own hits (`generate` was not asked for). This
    /// goes for events of detection rules as for firings ([`Fire::silent`]).
    pub fn silent(&self, rule: usize) -> bool {
        self.network.silent.contains(&rule)
    }

    /// Takes an event that a rule matches. `fields` gives the value of a field (see
    /// [`Correlator::wanted`]); null when the event has none.
    ///
    /// # Errors
    /// When the memory allowed is used up. The hit is then not taken, and counted as refused.
    pub fn push(&mut self, hit: &Hit, fields: &dyn Fn(&str) -> Value) -> Result<(), Full> {
        if !self.takes(hit.rule) {
            return Ok(());
        }
        self.stats.hits += 1;
        let Some(time) = hit.time else {
            self.stats.untimed += 1;
            return Ok(());
        };
        // The ends of the range stand for "never" and "when all is over".
        let time = time.clamp(i64::MIN + 2, i64::MAX - 1);
        if time < self.horizon {
            self.stats.late += 1;
            *self.stats.late_by_rule.entry(hit.rule).or_default() += 1;
            let newest = match self.limits.lateness {
                Lateness::Within(t) => self.horizon.saturating_add(t.max(0)),
                Lateness::Sort => self.horizon,
            };
            self.stats.latest = self.stats.latest.max(newest.saturating_sub(time));
            return Ok(());
        }
        if self.bytes() >= self.limits.memory && !self.make_room(time) {
            self.stats.refused += 1;
            return Err(Full { limit: self.limits.memory });
        }
        let Some(edges) = self.network.events.get(&hit.rule) else { return Ok(()) };
        for edge in edges {
            let node = &self.network.nodes[edge.node];
            let values: Vec<Value> = node.asks(edge.rule).map(fields).collect();
            let texts = values.iter().map(|v| if v.is_null() { None } else { Some(v.text()) });
            let counts = &mut self.live[edge.node].counts;
            let number = values.get(node.plan.group_by.len()).and_then(number);
            let Some(mut input) = input(node, texts, number, counts) else { continue };
            input.time = time;
            input.reference = hit.reference;
            input.node = edge.node as u32;
            input.rule = edge.rule as u32;
            self.waiting_bytes += input.bytes();
            self.waiting.push(Reverse(Waiting(input)));
        }
        self.stats.peak_bytes = self.stats.peak_bytes.max(self.bytes());
        self.advance(time);
        Ok(())
    }

    /// Says that time has come to `time`, also where no rule has hits: with a tolerance for lateness,
    /// everything that is older than that is evaluated.
    pub fn advance(&mut self, time: i64) {
        if let Lateness::Within(tolerance) = self.limits.lateness {
            let horizon = time.saturating_sub(tolerance.max(0));
            if horizon > self.horizon {
                self.horizon = horizon;
                self.run_until(horizon);
                self.count_step(horizon);
            }
        }
    }

    /// Whether there is room once time has come to `time`. Also what is not taken says how late it is, so
    /// that a full memory empties as time goes on.
    fn make_room(&mut self, time: i64) -> bool {
        self.advance(time);
        self.sweep(self.horizon);
        self.bytes() < self.limits.memory
    }

    /// Now and then all correlations forget what is too old, not only those that are fed.
    fn count_step(&mut self, now: i64) {
        self.steps += 1;
        if self.steps.is_multiple_of(SWEEP) {
            self.sweep(now);
        }
    }

    fn sweep(&mut self, now: i64) {
        for i in 0..self.live.len() {
            self.change(i, |l| l.expire(now));
            self.ended(i);
        }
    }

    /// No more hits come: evaluates everything, closes all windows and ends all runs.
    pub fn finish(&mut self) {
        self.horizon = i64::MAX;
        self.run_until(i64::MAX);
        if !std::mem::replace(&mut self.finished, true) {
            let mut runs: Vec<Run> =
                self.live.iter_mut().flat_map(|l| std::mem::take(&mut l.runs).into_values()).collect();
            runs.sort_by_key(Run::fire);
            self.out.extend(runs.iter().filter_map(Run::end));
        }
    }

    /// What was found since the last call. Firings come in the order of their times, and after those they
    /// rest on.
    pub fn take(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.out)
    }

    /// What happened to the hits so far.
    pub fn stats(&self) -> Stats {
        Stats {
            bytes: self.bytes(),
            groups: self.live.iter().map(Live::live_groups).sum(),
            ..self.stats.clone()
        }
    }

    /// What happened to the hits of each correlation so far, by the index of its rule.
    pub fn counts(&self) -> Vec<(usize, Counts)> {
        self.network.nodes.iter().zip(&self.live).map(|(n, l)| (n.rule, l.counts)).collect()
    }

    fn bytes(&self) -> usize {
        self.waiting_bytes + self.live_bytes
    }

    /// Evaluates all moments before `horizon`. Only those at which something happens are looked at.
    fn run_until(&mut self, horizon: i64) {
        loop {
            let hit = self.waiting.peek().map(|w| w.0.0.time);
            let closing = self.closings.peek().map(|c| c.0.0);
            let Some(next) = hit.into_iter().chain(closing).min() else { return };
            // At the very end there is no moment after which something could come.
            if next >= horizon && horizon != i64::MAX {
                return;
            }
            self.step(next);
        }
    }

    /// Evaluates one moment: the hits of that time, and the windows that close then.
    fn step(&mut self, moment: i64) {
        while self.waiting.peek().is_some_and(|w| w.0.0.time == moment) {
            let Some(Reverse(Waiting(input))) = self.waiting.pop() else { break };
            self.waiting_bytes -= input.bytes().min(self.waiting_bytes);
            self.due.insert(input.node as usize);
            self.moment[input.node as usize].push(input);
        }
        if self.waiting.capacity() > CROWD && self.waiting.len() < self.waiting.capacity() / 4 {
            self.waiting.shrink_to(self.waiting.len() * 2);
        }
        while self.closings.peek().is_some_and(|c| c.0.0 == moment) {
            let Some(Reverse((_, node))) = self.closings.pop() else { break };
            self.scheduled[node] = false;
            self.due.insert(node);
        }
        // Windows without a limit close at the end, which is then not a moment of its own.
        let now = if moment == i64::MAX { self.clock.max(i64::MIN + 1) } else { moment };
        self.clock = self.clock.max(now);
        self.count_step(now);
        // Parents stand behind their children, so what a firing adds to the set is still to come.
        while let Some(i) = self.due.pop_first() {
            let mut inputs = std::mem::take(&mut self.moment[i]);
            self.change(i, |l| l.expire(now));
            let room = self.limits.memory.saturating_sub(self.bytes());
            self.change(i, |l| l.apply(&mut inputs, room));
            inputs.clear();
            // What one crowded moment took is not kept.
            inputs.shrink_to(CROWD);
            self.moment[i] = inputs;
            let found = self.live[i].judge(now, moment);
            self.ended(i);
            for f in found {
                self.fire(i, now, f.group, f.value);
            }
            if !self.scheduled[i]
                && let Some(at) = self.live[i].next_close()
            {
                self.scheduled[i] = true;
                self.closings.push(Reverse((at, i)));
            }
        }
        self.stats.peak_bytes = self.stats.peak_bytes.max(self.bytes());
    }

    /// Changes one correlation and keeps the sum of all bytes.
    fn change(&mut self, node: usize, change: impl FnOnce(&mut Live)) {
        let live = &mut self.live[node];
        let before = live.bytes;
        change(live);
        self.live_bytes = (self.live_bytes + live.bytes).saturating_sub(before);
    }

    fn ended(&mut self, node: usize) {
        let ended = std::mem::take(&mut self.live[node].ended);
        self.out.extend(ended.iter().filter_map(Run::end));
    }

    fn fire(&mut self, i: usize, now: i64, group: u32, value: f64) {
        let id = self.fires;
        self.fires += 1;
        let live = &mut self.live[i];
        live.counts.fires += 1;
        live.runs.insert(group, Run::new(id));
        let (hits, first, last, contributions) = live.window(group, self.limits.contributions);
        let key: Vec<String> =
            text::iter(live.key(group)).map(|t| t.map_or_else(String::new, |t| t.into_owned())).collect();
        let node = &self.network.nodes[i];
        let carried = self.live[i].carried(group).to_vec();
        for edge in &node.parents {
            let parent = &self.network.nodes[edge.node];
            let values: Vec<Option<String>> = edge
                .from
                .iter()
                .map(|f| match f {
                    From::Group(k) => key.get(*k).cloned(),
                    From::Carried(c) => text::get(&carried, *c).map(|t| t.into_owned()),
                })
                .collect();
            let number = values
                .get(parent.plan.group_by.len())
                .and_then(|v| v.as_deref())
                .and_then(|v| number(&Value::str(v)));
            let texts = values.iter().map(|v| v.as_deref().map(std::borrow::Cow::Borrowed));
            let counts = &mut self.live[edge.node].counts;
            let Some(mut input) = input(parent, texts, number, counts) else { continue };
            input.time = now;
            input.reference = id;
            input.node = edge.node as u32;
            input.rule = edge.rule as u32;
            input.fire = true;
            self.due.insert(edge.node);
            self.moment[edge.node].push(input);
        }
        let rule = node.rule;
        self.out.push(Outcome::Fire(Fire {
            id,
            rule,
            time: now,
            key,
            value,
            first,
            last,
            hits,
            contributions,
            silent: self.network.silent.contains(&rule),
        }));
    }
}

/// A hit of a correlation from the values that it asks for (key, fields, carried), if they are there.
fn input<'v>(
    node: &Node,
    texts: impl Iterator<Item = Option<std::borrow::Cow<'v, str>>>,
    number: Option<f64>,
    counts: &mut Counts,
) -> Option<Input> {
    let (keys, fields) = (node.plan.group_by.len(), node.plan.fields.len());
    let mut payload = Vec::new();
    let (mut key_len, mut text_len) = (0, 0);
    for (i, value) in texts.enumerate() {
        let value = value.filter(|v| !v.is_empty());
        if i < keys + fields && value.is_none() {
            *if i < keys { &mut counts.keyless } else { &mut counts.valueless } += 1;
            return None;
        }
        if i < keys || i >= keys + fields || node.counts_texts() {
            text::push(&mut payload, value.as_deref());
        }
        if i < keys {
            key_len = payload.len();
        } else if i < keys + fields {
            text_len = payload.len() - key_len;
        }
    }
    if node.plan.kind.is_numeric() && number.is_none() {
        counts.valueless += 1;
        return None;
    }
    Some(Input {
        time: 0,
        reference: 0,
        number: number.unwrap_or_default(),
        node: 0,
        rule: 0,
        fire: false,
        key_len: u32::try_from(key_len).ok()?,
        text_len: u32::try_from(text_len).ok()?,
        payload: payload.into(),
    })
}

/// The number that a value is, or that its text says.
pub(super) fn number(value: &Value) -> Option<f64> {
    let n = match value {
        Value::Str(_) | Value::Dynamic(serde_json::Value::String(_)) => value.text().trim().parse().ok(),
        v => v.as_f64(),
    };
    // Zero has one sign here: minus zero would be another value to the order of numbers.
    n.filter(|n: &f64| n.is_finite()).map(|n| n + 0.0)
}
