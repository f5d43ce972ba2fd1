//! What live groups cost, counted by the allocator, and that it is given back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tercel_ir::Value;
use tercel_rules::correlate::{
    Comparison, Correlator, Hit, Key, Kind, Lateness, Limits, Plan, RuleRef, Target, Trigger,
};

struct Counting;
static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to `System` with the arguments it came with; only a number is kept beside.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's promise about `layout` is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `at` came from `alloc` above with this layout, so from `System`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const GROUPS: u64 = 100_000;

fn plan(kind: Kind, rules: usize) -> Plan {
    let key = |name: &str| Key { name: name.into(), fields: vec![name.into(); rules] };
    Plan {
        kind,
        rules: (0..rules).map(|r| RuleRef { name: r.to_string(), target: Target::Rule(r) }).collect(),
        group_by: vec![key("user")],
        timespan: 10_000_000,
        condition: Trigger::Compare(vec![(Comparison::Gte, 1e9)]),
        fields: if kind.is_temporal() || kind == Kind::EventCount { vec![] } else { vec![key("n")] },
        generate: false,
    }
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn bytes_a_group() {
    for (name, kind, rules, most) in [
        ("event_count", Kind::EventCount, 1, 190),
        ("value_count", Kind::ValueCount, 1, 330),
        ("temporal of 3", Kind::Temporal, 3, 220),
        ("value_sum", Kind::Sum, 1, 260),
        ("value_percentile", Kind::Percentile(95.0), 1, 260),
    ] {
        let limits = Limits { lateness: Lateness::Within(0), ..Limits::default() };
        let (mut c, refused) = Correlator::new(vec![(9, plan(kind, rules))], limits);
        assert_eq!(refused, []);
        let before = LIVE.load(Relaxed);
        for i in 0..GROUPS {
            let hit = Hit { rule: 0, time: Some(i as i64), reference: i };
            c.push(&hit, &|f| match f {
                "n" => Value::Long(i as i64 % 1000),
                _ => Value::Str(format!("user{i:08}")),
            })
            .unwrap();
        }
        c.advance(GROUPS as i64);
        let stats = c.stats();
        assert_eq!((stats.groups as u64, stats.refused), (GROUPS, 0), "{name}");
        let each = (LIVE.load(Relaxed) - before) as f64 / GROUPS as f64;
        let said = stats.bytes as f64 / GROUPS as f64;
        println!("{name}: {each:.0} bytes a live group, {said:.0} by its own account");
        assert!(each < f64::from(most), "{name}: {each} bytes");
        // What it says of itself is not wishful: tables that grow have at most twice that.
        assert!(each < 2.0 * said, "{name}: {each} bytes, and it says {said}");
        // Long after, one hit more: the rest is forgotten.
        c.push(&Hit { rule: 0, time: Some(90_000_000), reference: 0 }, &|f| match f {
            "n" => Value::Long(1),
            _ => Value::str("z"),
        })
        .unwrap();
        c.advance(90_000_001);
        assert_eq!(c.stats().groups, 1, "{name}");
        assert!(c.stats().bytes < 1_000, "{name}: {}", c.stats().bytes);
        drop(c);
        assert!(LIVE.load(Relaxed) <= before + 100_000, "{name}: what is dropped is given back");
    }
}
