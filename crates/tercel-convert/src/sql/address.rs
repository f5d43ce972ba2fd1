//! Ranges of addresses as patterns of their text, for dialects without a test of their own.

use std::net::{IpAddr, Ipv6Addr};

const OCTET: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";

/// A pattern that finds exactly the usual texts of the addresses of a range; none for a range of IPv6 whose
/// addresses have too many spellings.
pub(super) fn pattern(range: &str) -> Option<String> {
    let (net, bits) = match range.trim().split_once('/') {
        Some((n, b)) => (n, Some(b.parse::<u32>().ok()?)),
        None => (range.trim(), None),
    };
    match net.parse::<IpAddr>().ok()? {
        IpAddr::V4(ip) => v4(ip.octets(), bits.unwrap_or(32)),
        IpAddr::V6(ip) => v6(ip, bits.unwrap_or(128)),
    }
}

fn v4(octets: [u8; 4], bits: u32) -> Option<String> {
    if bits > 32 {
        return None;
    }
    let mut parts: Vec<String> = Vec::with_capacity(4);
    for (i, o) in octets.into_iter().enumerate() {
        let fixed = bits.saturating_sub(8 * i as u32).min(8);
        let (low, high) = match fixed {
            8 => (o, o),
            0 => (0, 255),
            n => (o & !(0xff >> n), o | (0xff >> n)),
        };
        parts.push(match (low, high) {
            (0, 255) => OCTET.to_string(),
            (a, b) if a == b => a.to_string(),
            (a, b) => {
                let all: Vec<String> = (a..=b).map(|n| n.to_string()).collect();
                format!("(?:{})", all.join("|"))
            }
        });
    }
    // Free octets at the end are one repetition.
    let free = parts.iter().rev().take_while(|p| *p == OCTET).count();
    let mut out = parts[..4 - free].join(r"\.");
    match (free, out.is_empty()) {
        (0, _) => {}
        (1, false) => out.push_str(&format!(r"\.{OCTET}")),
        (n, false) => out.push_str(&format!(r"(?:\.{OCTET}){{{n}}}")),
        (_, true) => out = format!(r"{OCTET}(?:\.{OCTET}){{3}}"),
    }
    Some(format!("^{out}$"))
}

/// Of ::1 and ::, and of ranges that leading groups decide which are not zero.
fn v6(ip: Ipv6Addr, bits: u32) -> Option<String> {
    if bits == 128 && (ip.is_loopback() || ip.is_unspecified()) {
        let last = if ip.is_loopback() { "0{0,3}1" } else { "0{0,4}" };
        return Some(format!("^(?:0{{0,4}}:){{2,7}}{last}$"));
    }
    if bits == 0 || bits > 16 {
        return None;
    }
    // With four digits, the first group has one spelling, and `::` cannot stand for it.
    let group = u32::from(ip.segments()[0]);
    let span = 0xffff_u32 >> bits;
    let (low, high) = (group & !span, group | span);
    if low < 0x1000 {
        return None;
    }
    let mut out = String::from("(?i)^");
    for i in 0..4 {
        let shift = 12 - 4 * i;
        let (a, b) = ((low >> shift) & 0xf, (high >> shift) & 0xf);
        match (a, b) {
            (a, b) if a == b => out.push_str(&format!("{a:x}")),
            (0, 15) => out.push_str("[0-9a-f]"),
            (a, b) => {
                let all: String = (a..=b).map(|n| format!("{n:x}")).collect();
                out.push_str(&format!("[{all}]"));
            }
        }
    }
    Some(format!("{out}:"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tercel_ir::Value;
    use tercel_ir::function::{Context, by_name};

    fn inside(address: &str, range: &str) -> bool {
        let f = by_name("ip_in_cidr").unwrap();
        (f.eval)(&[Value::str(address), Value::str(range)], &Context::default()) == Value::Bool(true)
    }

    proptest! {
        #[test]
        fn patterns_of_ipv4_are_the_range(net: [u8; 4], bits in 0u32..=32, near: [u8; 4], flip in 0u32..32) {
            let base = u32::from_be_bytes(net);
            let range = format!("{}/{bits}", std::net::Ipv4Addr::from(base));
            let re = regex::Regex::new(&pattern(&range).unwrap()).unwrap();
            let tried = [base, base ^ (1 << flip), u32::from_be_bytes(near), 0, u32::MAX];
            for a in tried {
                let text = std::net::Ipv4Addr::from(a).to_string();
                prop_assert_eq!(re.is_match(&text), inside(&text, &range), "{} {}", text, range);
            }
            prop_assert!(!re.is_match("fe80::1") && !re.is_match("10.1.2") && !re.is_match("300.1.1.1"));
        }

        #[test]
        fn patterns_of_ipv6_are_the_range(group in 0x1000u16.., bits in 1u32..=16, a: u128, flip in 0u32..16) {
            let range = format!("{group:x}::/{bits}");
            // Ranges that begin with fewer digits have other spellings, and no pattern.
            let Some(found) = pattern(&range) else {
                prop_assert!(u32::from(group) & !(0xffff_u32 >> bits) < 0x1000);
                return Ok(());
            };
            let re = regex::Regex::new(&found).unwrap();
            let near = (u128::from(group ^ (1 << flip)) << 112) | (a >> 16);
            for a in [a, near, u128::from(group) << 112, 1, 0] {
                let text = Ipv6Addr::from(a).to_string();
                prop_assert_eq!(re.is_match(&text), inside(&text, &range), "{} {}", text, range);
            }
            prop_assert!(!re.is_match("10.0.0.1"));
        }
    }

    #[test]
    fn the_loopback_has_many_spellings() {
        let re = regex::Regex::new(&pattern("::1/128").unwrap()).unwrap();
        for a in ["::1", "0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001", "0::1"] {
            assert!(re.is_match(a) && inside(a, "::1/128"), "{a}");
        }
        for a in ["::2", "1::1", "::10", "127.0.0.1", "::1:1"] {
            assert!(!re.is_match(a) && !inside(a, "::1/128"), "{a}");
        }
        assert!(pattern("2001:db8::/32").is_none() && pattern("0::/1").is_none() && pattern("x/8").is_none());
    }
}
