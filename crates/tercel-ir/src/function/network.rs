//! Addresses.

use super::{ANY, Function, function, string_predicate, text, to_bool, to_dynamic, to_long};
use crate::types::Type;
use crate::value::Value;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr};

/// `a.b.c.d` or `a.b.c.d/n`; without a suffix, /32. Host bits are cut.
fn v4net(s: &str) -> Option<Ipv4Net> {
    let s = s.trim();
    match s.split_once('/') {
        Some((a, n)) => Ipv4Net::new(a.parse().ok()?, n.parse().ok()?).ok(),
        None => Ipv4Net::new(s.parse().ok()?, 32).ok(),
    }
    .map(|n| n.trunc())
}
/// The same for either family.
fn anynet(s: &str) -> Option<IpNet> {
    let s = s.trim();
    match s.split_once('/') {
        Some((a, n)) => IpNet::new(a.parse().ok()?, n.parse().ok()?).ok(),
        None => Some(IpNet::from(s.parse::<IpAddr>().ok()?)),
    }
    .map(|n| n.trunc())
}
fn v4(s: &str) -> Option<Ipv4Addr> {
    s.trim().parse().ok()
}
fn private(ip: Ipv4Addr) -> bool {
    ip.is_private()
}
/// Addresses of RFC 5735 that are not for the public internet (private ones included).
fn reserved(ip: Ipv4Addr) -> bool {
    let o = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_multicast()
        || ip.is_documentation()
        || o[0] == 0
        || o[0] >= 240
        || o[..3] == [192, 0, 0]
        || o[..3] == [192, 88, 99]
        || o[0] == 198 && (o[1] == 18 || o[1] == 19)
}
fn opt(b: Option<bool>) -> Value {
    b.map_or(Value::Null, Value::Bool)
}
/// `None` when the address or the range is not one.
fn in_range(ip: &str, net: &str) -> Option<bool> {
    Some(v4net(net)?.contains(&v4net(ip)?))
}
/// An address or range of either kind as IPv6; IPv4 becomes `::ffff:a.b.c.d`.
fn v6net(s: &str) -> Option<Ipv6Net> {
    match anynet(s)? {
        IpNet::V6(n) => Some(n),
        IpNet::V4(n) => Ipv6Net::new(n.addr().to_ipv6_mapped(), n.prefix_len() + 96).ok(),
    }
}
/// `None` when the address or the range is not one.
fn in_v6_range(ip: &str, net: &str) -> Option<bool> {
    Some(v6net(net)?.contains(&v6net(ip)?))
}
fn ranges(a: &[Value]) -> Vec<String> {
    a[1..]
        .iter()
        .flat_map(|v| match v {
            Value::Dynamic(serde_json::Value::Array(items)) => {
                items.iter().map(|i| Value::Dynamic(i.clone()).to_text()).collect::<Vec<_>>()
            }
            v => vec![v.to_text()],
        })
        .collect()
}

/// Defender's classes of addresses: Public, Private, Reserved, Loopback, Broadcast, Teredo,
/// FourToSixMapping; multicast counts as reserved. "" when it is no address.
fn address_class(s: &str) -> &'static str {
    match s.trim().parse::<IpAddr>() {
        Err(_) => "",
        Ok(IpAddr::V4(ip)) if ip.is_loopback() => "Loopback",
        Ok(IpAddr::V4(ip)) if ip.is_broadcast() => "Broadcast",
        Ok(IpAddr::V4(ip)) if ip.is_private() || ip.is_link_local() => "Private",
        Ok(IpAddr::V4(ip)) if reserved(ip) => "Reserved",
        Ok(IpAddr::V4(_)) => "Public",
        Ok(IpAddr::V6(ip)) if ip.is_loopback() => "Loopback",
        Ok(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_some() => "FourToSixMapping",
        Ok(IpAddr::V6(ip)) if ip.segments()[..2] == [0x2001, 0] => "Teredo",
        Ok(IpAddr::V6(ip)) if ip.is_unique_local() || ip.is_unicast_link_local() => "Private",
        Ok(IpAddr::V6(ip))
            if ip.is_multicast() || ip.is_unspecified() || ip.segments()[..2] == [0x2001, 0xdb8] =>
        {
            "Reserved"
        }
        Ok(IpAddr::V6(_)) => "Public",
    }
}

/// country, state, city, latitude, longitude as the database has them.
fn geo(ip: &str, db: &maxminddb::Reader<Vec<u8>>) -> Option<serde_json::Value> {
    let found: serde_json::Value = db.lookup(ip.trim().parse().ok()?).ok()?.decode().ok()??;
    let name = |v: &serde_json::Value| v.pointer("/names/en").cloned();
    let mut m = serde_json::Map::new();
    let mut put = |k: &str, v: Option<serde_json::Value>| {
        if let Some(v) = v.filter(|v| !v.is_null()) {
            m.insert(k.to_string(), v);
        }
    };
    // Two record shapes occur: MaxMind's nested one, and flat country codes.
    put(
        "country",
        found
            .get("country")
            .and_then(name)
            .or_else(|| found.get("country_code").cloned())
            .or_else(|| found.pointer("/country/iso_code").cloned()),
    );
    put("state", found.pointer("/subdivisions/0").and_then(name));
    put("city", found.get("city").and_then(name));
    put("latitude", found.pointer("/location/latitude").cloned());
    put("longitude", found.pointer("/location/longitude").cloned());
    Some(serde_json::Value::Object(m))
}

fn string1(t: &[Type]) -> Result<Type, String> {
    string_predicate(t).map(|_| Type::String)
}

/// IPv4 addresses that stand in a text between characters that are neither letters nor digits.
fn v4_in(s: &str) -> impl Iterator<Item = &str> {
    s.split(|c: char| !c.is_alphanumeric() && c != '.')
        .map(|t| t.trim_matches('.'))
        .filter(|t| t.parse::<Ipv4Addr>().is_ok())
}
/// Whether one of the addresses is `prefix`, or begins with it where it ends with a dot.
fn has_v4_prefix(s: &str, prefix: &str) -> bool {
    let prefix = prefix.trim();
    v4_in(s).any(|ip| if prefix.ends_with('.') { ip.starts_with(prefix) } else { ip == prefix })
}

/// The entries of this group.
pub(super) static FUNCTIONS: &[Function] = &[
    function!("ipv4_is_private", (1, 1), to_bool, kql ["ipv4_is_private"], sumo [], |a, _| opt(v4net(&text(a, 0)).map(|n| private(n.addr()))), "RFC 1918; null when it is no IPv4 address."),
    function!("ipv4_is_in_range", (2, 2), to_bool, kql ["ipv4_is_in_range"], sumo [], |a, _| opt(in_range(&text(a, 0), &text(a, 1))), "Whether an IPv4 address lies in a range a.b.c.d/n."),
    function!("ipv4_is_in_any_range", (1, ANY), to_bool, kql ["ipv4_is_in_any_range"], sumo [], |a, _| {
        let ip = text(a, 0);
        if v4net(&ip).is_none() { return Value::Null }
        Value::Bool(ranges(a).iter().any(|n| in_range(&ip, n) == Some(true)))
    }, "Whether an IPv4 address lies in one of the ranges."),
    function!("ipv6_is_in_range", (2, 2), to_bool, kql ["ipv6_is_in_range"], sumo [], |a, _| opt(in_v6_range(&text(a, 0), &text(a, 1))), "Whether an IPv6 address (or an IPv4 one, as ::ffff:a.b.c.d) lies in a range."),
    function!("ipv6_is_in_any_range", (1, ANY), to_bool, kql ["ipv6_is_in_any_range"], sumo [], |a, _| {
        let ip = text(a, 0);
        if v6net(&ip).is_none() { return Value::Null }
        Value::Bool(ranges(a).iter().any(|n| in_v6_range(&ip, n) == Some(true)))
    }, "Whether an IPv6 address (or an IPv4 one, as ::ffff:a.b.c.d) lies in one of the ranges."),
    function!("ipv4_is_match", (2, 2), to_bool, kql ["ipv4_is_match"], sumo [], |a, _| {
        opt(v4net(&text(a, 0)).zip(v4net(&text(a, 1))).map(|(x, y)| { let n = x.prefix_len().min(y.prefix_len()); Ipv4Net::new(x.addr(), n).ok().map(|v| v.trunc()) == Ipv4Net::new(y.addr(), n).ok().map(|v| v.trunc()) }))
    }, "Whether two IPv4 addresses agree under the shorter mask."),
    function!("has_ipv4_prefix", (2, 2), string_predicate, kql ["has_ipv4_prefix"], sumo [], |a, _| Value::Bool(has_v4_prefix(&text(a, 0), &text(a, 1))), "Whether a text has an IPv4 address that begins with a prefix such as `10.1.`, or is the given address."),
    function!("has_any_ipv4_prefix", (1, ANY), string_predicate, kql ["has_any_ipv4_prefix"], sumo [], |a, _| {
        let s = text(a, 0);
        Value::Bool(ranges(a).iter().any(|p| has_v4_prefix(&s, p)))
    }, "Whether a text has an IPv4 address that begins with one of the prefixes; false without prefixes."),
    function!("has_ipv4", (2, 2), string_predicate, kql ["has_ipv4"], sumo [], |a, _| { let ip = text(a, 1); Value::Bool(v4_in(&text(a, 0)).any(|x| x == ip.trim())) }, "Whether a text has the given IPv4 address."),
    function!("has_any_ipv4", (1, ANY), string_predicate, kql ["has_any_ipv4"], sumo [], |a, _| {
        let s = text(a, 0);
        Value::Bool(ranges(a).iter().any(|ip| v4_in(&s).any(|x| x == ip.trim())))
    }, "Whether a text has one of the given IPv4 addresses."),
    function!(
        "parse_ipv4",
        (1, 1),
        to_long,
        kql["parse_ipv4"],
        sumo["ipv4tonumber"],
        |a, _| v4net(&text(a, 0)).map_or(Value::Null, |n| Value::Long(i64::from(u32::from(n.addr())))),
        "An IPv4 address as a number."
    ),
    function!("ip_in_cidr", (2, 2), string_predicate, kql [], sumo [], |a, _| {
        Value::Bool(text(a, 0).trim().parse::<IpAddr>().ok().zip(anynet(&text(a, 1))).is_some_and(|(ip, n)| n.contains(&ip)))
    }, "Whether an IPv4 or IPv6 address lies in a CIDR range; false when it is no address."),
    function!("is_private_ip", (1, 1), to_bool, kql [], sumo ["isprivateip"], |a, _| opt(v4(&text(a, 0)).map(private)), "RFC 1918; null when it is no IPv4 address."),
    function!("is_public_ip", (1, 1), to_bool, kql [], sumo ["ispublicip"], |a, _| opt(v4(&text(a, 0)).map(|i| !reserved(i))), "Neither private nor reserved; null when it is no IPv4 address."),
    function!("is_reserved_ip", (1, 1), to_bool, kql [], sumo ["isreservedip"], |a, _| opt(v4(&text(a, 0)).map(|i| reserved(i) && !private(i))), "Reserved by RFC 5735; null when it is no IPv4 address."),
    function!("is_valid_ip", (1, 1), to_bool, kql [], sumo ["isvalidip"], |a, _| Value::Bool(text(a, 0).trim().parse::<IpAddr>().is_ok()), "Whether it is an IPv4 or IPv6 address."),
    function!("is_valid_ipv4", (1, 1), to_bool, kql [], sumo ["isvalidipv4"], |a, _| Value::Bool(v4(&text(a, 0)).is_some()), "Whether it is an IPv4 address."),
    function!("ip_address_class", (1, 1), string1, kql ["ip_address_class"], sumo [], |a, _| Value::str(address_class(&text(a, 0))), "Defender's class of an address (Public, Private, Loopback, …). Not part of KQL; used by views."),
    function!("geo_info_from_ip_address", (1, 1), to_dynamic, kql ["geo_info_from_ip_address"], sumo [], |a, c| {
        c.geo.as_ref().and_then(|db| geo(&text(a, 0), db)).map_or(Value::Null, Value::Dynamic)
    }, "Country, state, city and position of an address from the local MMDB database; null without one."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        assert!(has_v4_prefix("10.1.2.3", "10.1."));
        assert!(has_v4_prefix("src=10.1.2.3, x", "10.1.2.3"));
        assert!(!has_v4_prefix("110.1.2.3", "10.1."));
        assert!(!has_v4_prefix("10.1.2.3", "10.1"));
        assert!(!has_v4_prefix("", "10."));
    }

    #[test]
    fn classes_and_ranges() {
        assert_eq!(address_class("10.1.2.3"), "Private");
        assert_eq!(address_class("8.8.8.8"), "Public");
        assert_eq!(address_class("::1"), "Loopback");
        assert_eq!(address_class("-"), "");
        assert_eq!(in_range("100.0.255.1", "100.0.0.0/16"), Some(true));
        assert_eq!(in_range("100.1.0.1", "100.0.0.0/16"), Some(false));
        assert_eq!(in_range("x", "100.0.0.0/16"), None);
        assert_eq!(in_v6_range("fe80::1", "fe80::/10"), Some(true));
        assert_eq!(in_v6_range("10.0.0.1", "fe80::/10"), Some(false));
        assert_eq!(in_v6_range("10.0.0.1", "10.0.0.0/8"), Some(true));
        assert_eq!(in_v6_range("-", "fe80::/10"), None);
    }
}
