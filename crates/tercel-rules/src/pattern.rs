//! Tests of one value, the leaves of all predicates.

use ipnet::IpNet;
use std::net::IpAddr;
use tercel_ir::Value;
use tercel_ir::function::{compile_regex, fold, has_term};

/// How a number is compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    /// Whether `a` stands so to `b`.
    pub(crate) fn holds(self, a: i64, b: i64) -> bool {
        match self {
            Order::Less => a < b,
            Order::LessOrEqual => a <= b,
            Order::Greater => a > b,
            Order::GreaterOrEqual => a >= b,
        }
    }
    /// What holds of two numbers exactly when this does not.
    pub(crate) fn opposite(self) -> Order {
        match self {
            Order::Less => Order::GreaterOrEqual,
            Order::LessOrEqual => Order::Greater,
            Order::Greater => Order::LessOrEqual,
            Order::GreaterOrEqual => Order::Less,
        }
    }
}

/// A two-valued test of one value. Needles of tests that ignore case (`cs` false) are folded. Texts of
/// null are `""`, except for `Equals` with regard to case, which null never passes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Test {
    Equals {
        needle: Box<str>,
        cs: bool,
    },
    Starts {
        needle: Box<str>,
        cs: bool,
    },
    Ends {
        needle: Box<str>,
        cs: bool,
    },
    Contains {
        needle: Box<str>,
        cs: bool,
    },
    /// See [`has_term`].
    Term {
        needle: Box<str>,
        cs: bool,
        before: bool,
        after: bool,
    },
    /// Found anywhere; one that does not compile is never found.
    Regex(Box<str>),
    /// An address in a range.
    Cidr(IpNet),
    NotNull,
    /// Neither null nor `""`.
    NotEmpty,
    /// Equal, for whole numbers, times, spans and booleans.
    Number(i64),
    Compare(Order, i64),
    /// The value is true.
    True,
    /// The value is false (not null).
    False,
}

/// Whole numbers, times, spans and booleans as one.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Long(n) | Value::DateTime(n) | Value::TimeSpan(n) => Some(*n),
        Value::Bool(b) => Some(i64::from(*b)),
        _ => None,
    }
}

/// The address that a text is.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    text.trim().parse().ok()
}

impl Test {
    /// The plain meaning. The program's shared matchers are only faster.
    pub(crate) fn holds(&self, value: &Value) -> bool {
        let text = value.text();
        let folded = |cs: bool| if cs { text.to_string() } else { fold(&text) };
        match self {
            Test::Equals { needle, cs: true } => !value.is_null() && *text == **needle,
            Test::Equals { needle, cs: false } => fold(&text) == **needle,
            Test::Starts { needle, cs } => folded(*cs).starts_with(&**needle),
            Test::Ends { needle, cs } => folded(*cs).ends_with(&**needle),
            Test::Contains { needle, cs } => folded(*cs).contains(&**needle),
            Test::Term { needle, cs, before, after } => has_term(&folded(*cs), needle, *before, *after),
            Test::Regex(pattern) => compile_regex(pattern).is_ok_and(|r| r.is_match(&text)),
            Test::Cidr(net) => address(&text).is_some_and(|a| net.contains(&a)),
            Test::NotNull => !value.is_null(),
            Test::NotEmpty => !value.is_null() && !text.is_empty(),
            Test::Number(n) => whole(value) == Some(*n),
            Test::Compare(order, n) => whole(value).is_some_and(|v| order.holds(v, *n)),
            Test::True => crate::eval::truth(value.clone()) == Some(true),
            Test::False => crate::eval::truth(value.clone()) == Some(false),
        }
    }

    /// A guess at the share of values that pass, for the choice of witnesses. Only speed depends on it.
    pub(crate) fn share(&self) -> f32 {
        let text = |base: f32, n: &str| (base * 0.7f32.powi(n.len().min(40) as i32)).max(1e-5);
        match self {
            Test::Equals { needle, .. } => text(0.05, needle),
            Test::Starts { needle, .. } => text(0.5, needle),
            Test::Ends { needle, .. } => text(0.3, needle),
            Test::Contains { needle, .. } | Test::Term { needle, .. } => text(0.6, needle),
            Test::Regex(_) => 0.05,
            Test::Cidr(_) => 0.2,
            Test::NotNull | Test::NotEmpty => 0.9,
            Test::Number(_) => 0.02,
            Test::Compare(..) | Test::True | Test::False => 0.5,
        }
    }
}
