#!/usr/bin/env python3
"""Compares the hits of tercel (hunt --format jsonl) with rsigma's (engine eval --output-format ndjson).

    scripts/compare_hits.py TERCEL.jsonl RSIGMA.ndjson
    scripts/compare_hits.py TERCEL.jsonl RSIGMA.ndjson --events EVENTS.ndjson --rules RULES [--no-routing] [--rsigma BIN]

The first form compares how often each rule fired. The second joins the hits by rule and event, and gives every difference
a cause that is tried, not guessed: the event is changed in the one way that the cause names, rsigma meets it again, and the
cause is accepted if it now says of the rule what tercel said of the original. The smallest set of causes wins. Exits with 1
if a difference is left over.

EVENTS is what rsigma read (with the fields product, service and category if it routes by log source), its hits must hold
their event (--include-event), and tercel must have read the same events, one a line, in the same order.

The causes:

  carrier    the event's own fields lie deeper than on top (winlogbeat's event_data); Sigma's names are those of the event
  provider   the carrier writes Provider_Name as SourceName
  audit      a Security event of what the category is about (4688, 5156, 4657, 4663) under the names of Windows' audit, which
             the taxonomy lets rules for a category meet under the names of the category
  category   the event is of several categories (any registry event is a registry_event) and its annotation names one
  no-category  the event is of no category that its annotation could name; rsigma lets it meet every category's rules
  empty      the rule asks for the empty text in a field that the event does not have; the specification leaves to the system
             whether that is the same
  dash       a field holds "-", which is how Windows writes that there is nothing
  number     a number stands as text, or a text as number
"""

import argparse
import collections
import hashlib
import itertools
import json
import pathlib
import re
import subprocess
import sys
import tempfile

SYSMON_HOME = {
    "create_remote_thread": (8,), "create_stream_hash": (15,), "clipboard_capture": (24,), "clipboard_change": (24,), "dns_query": (22,),
    "driver_load": (6,), "file_block": (27, 28), "file_block_executable": (27,), "file_block_shredding": (28,), "file_change": (2,),
    "file_delete": (23, 26), "file_delete_detected": (26,), "file_event": (11,), "file_executable_detected": (29,), "image_load": (7,),
    "pipe_created": (17, 18), "process_access": (10,), "process_tampering": (25,), "process_termination": (5,), "raw_access_read": (9,),
    "raw_access_thread": (9,), "registry_event": (12, 13, 14), "registry_rename": (14,), "registry_set": (13,), "registry_add": (12,),
    "registry_delete": (12,), "sysmon_error": (255,), "sysmon_status": (4, 16), "wmi_event": (19, 20, 21), "process_creation": (1,),
    "network_connection": (3,),
}
AUDIT_HOME = {
    4688: ("process_creation",), 5156: ("network_connection",), 4663: ("file_access",),
    4657: ("registry_event", "registry_set", "registry_delete"),
}
INTEGRITY = {"S-1-16-0": "Untrusted", "S-1-16-4096": "Low", "S-1-16-8192": "Medium", "S-1-16-8448": "Medium",
             "S-1-16-12288": "High", "S-1-16-16384": "System"}
PROTOCOL = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmp"}
HEADER = {"event_id": "EventID", "log_name": "Channel", "channel": "Channel", "computer_name": "Computer", "provider_name": "Provider_Name",
          "source_name": "Provider_Name"}
ANNOTATION = ("product", "service", "category")


# ---- causes: each gives the changed event, or None where it has nothing to change --------------------

def text(e, name):
    v = e.get(name)
    return "" if v is None else str(v)


def number(s):
    try:
        return int(s, 0)
    except ValueError:
        return s


def account(domain, name):
    return f"{domain}\\{name}" if domain else name


def channel_and_id(e):
    log = e.get("winlog") if isinstance(e.get("winlog"), dict) else {}
    channel = e.get("Channel") or e.get("log_name") or log.get("channel") or ""
    n = e.get("EventID", e.get("event_id", log.get("event_id")))
    n = number(str(n))
    return str(channel).lower(), n if isinstance(n, int) else None


def carrier(e, _):
    out = dict(e)
    for outer in (e, e.get("winlog") if isinstance(e.get("winlog"), dict) else {}):
        for deep in ("event_data", "EventData", "user_data"):
            if isinstance(outer.get(deep), dict):
                out.update(outer[deep])
        out.update({HEADER[k]: v for k, v in outer.items() if k in HEADER and HEADER[k] not in e})
    return out if out.keys() != e.keys() else None


def provider(e, _):
    name = e.get("SourceName") or e.get("Provider") or e.get("ProviderName")
    return {**e, "Provider_Name": name} if name and "Provider_Name" not in e else None


def audit(e, rule):
    channel, n = channel_and_id(e)
    category = rule.category
    if channel != "security" or category not in AUDIT_HOME.get(n, ()):
        return None
    out = {k: v for k, v in e.items() if k not in ("ProcessId", "Protocol", "User")}
    subject = account(text(e, "SubjectDomainName"), text(e, "SubjectUserName"))
    if n == 4688:
        known = text(e, "TargetUserName") not in ("", "-")
        out |= {"Image": e.get("NewProcessName"), "ParentImage": e.get("ParentProcessName"), "ProcessId": number(text(e, "NewProcessId")),
                "ParentProcessId": number(text(e, "ProcessId")), "ParentUser": subject,
                "User": account(text(e, "TargetDomainName"), text(e, "TargetUserName")) if known else subject,
                "LogonId": e.get("TargetLogonId") if known else e.get("SubjectLogonId"),
                "IntegrityLevel": INTEGRITY.get(text(e, "MandatoryLabel"), e.get("MandatoryLabel"))}
    elif n == 5156:
        out |= {"Image": e.get("Application"), "Protocol": PROTOCOL.get(text(e, "Protocol"), text(e, "Protocol")),
                "Initiated": "true" if text(e, "Direction") in ("%%14593", "Outbound") else "false",
                "SourceIp": e.get("SourceAddress"), "SourcePort": e.get("SourcePort"), "DestinationIp": e.get("DestAddress"),
                "DestinationPort": e.get("DestPort"), "SourceIsIpv6": str(":" in text(e, "SourceAddress")).lower(),
                "DestinationIsIpv6": str(":" in text(e, "DestAddress")).lower(), "ProcessId": e.get("ProcessID", e.get("ProcessId"))}
    elif n == 4663:
        if text(e, "ObjectType") != "File":
            return None
        out |= {"FileName": e.get("ObjectName"), "Image": e.get("ProcessName"), "User": subject}
    else:
        key = text(e, "ObjectName")
        for long, short in (("\\REGISTRY\\MACHINE", "HKLM"), ("\\REGISTRY\\USER", "HKU")):
            if key.upper().startswith(long):
                key = short + key[len(long):]
        value, new, kind = text(e, "ObjectValueName"), text(e, "NewValue"), text(e, "NewValueType")
        deleted = text(e, "OperationType") == "%%1906"
        details = (None if deleted else f"DWORD (0x{int(new):08x})" if kind == "%%1876" and new.isdigit()
                   else "Binary Data" if kind == "%%1875" else "(Empty)" if new in ("", "-") else new)
        out |= {"TargetObject": f"{key}\\{value if value not in ('', '-') else '(Default)'}", "Details": details, "User": subject,
                "EventType": "DeleteValue" if deleted else "SetValue", "Image": e.get("ProcessName")}
    if "product" in e:
        out["category"] = category
    return {k: v for k, v in out.items() if v is not None}


def category(e, rule):
    channel, n = channel_and_id(e)
    wanted = rule.category
    home = channel == "microsoft-windows-sysmon/operational" and n in SYSMON_HOME.get(wanted, ())
    return {**e, "category": wanted} if home and e.get("category") != wanted else None


def no_category(e, rule):
    channel, n = channel_and_id(e)
    wanted = rule.category
    home = channel == "microsoft-windows-sysmon/operational" and n in SYSMON_HOME.get(wanted, ())
    home = home or channel == "security" and wanted in AUDIT_HOME.get(n, ())
    return {**e, "category": "none"} if wanted and not home and "product" in e and "category" not in e else None


def empty(e, rule):
    absent = {name: "" for name in rule.empty if name not in e}
    return {**e, **absent} if absent else None


def dash(e, _):
    out = {k: v for k, v in e.items() if v != "-"}
    return out if len(out) != len(e) else None


def numbers(e, _):
    out = {k: number(v) if isinstance(v, str) and re.fullmatch(r"-?\d{1,18}", v) else v for k, v in e.items()}
    return out if out != e else None


CAUSES = {"carrier": carrier, "provider": provider, "audit": audit, "category": category, "no-category": no_category, "empty": empty,
          "dash": dash, "number": numbers}


# ---- input -------------------------------------------------------------------------------------------

def lines(path):
    with open(path, encoding="utf-8") as f:
        yield from (json.loads(line) for line in f if line.strip())


def identity(event):
    """Events of equal content are one: either engine must say the same of all of them."""
    return hashlib.blake2b(json.dumps(event, sort_keys=True).encode(), digest_size=12).digest()


# The category of the rule's log source, and the fields that it asks for the empty text.
Rule = collections.namedtuple("Rule", "category empty", defaults=(None, ()))


def read_rules(folder):
    """Rule id → what causes ask of it, read without a YAML reader."""
    out = {}
    for path in pathlib.Path(folder).rglob("*.yml"):
        body = path.read_text(encoding="utf-8", errors="replace")
        rule = re.search(r"^id:\s*(\S+)", body, re.M)
        source = re.search(r"^logsource:[ \t]*\n((?:[ \t]+.*\n|#.*\n)+)", body, re.M)
        if rule and source:
            found = re.search(r"^\s+category:\s*(\S+)", source[1], re.M)
            fields = re.findall(r"^\s+(?:-\s+)?([\w.]+):\s*(?:''|\"\")\s*(?:#.*)?$", body, re.M)
            out[rule[1]] = Rule(found[1].strip("'\"") if found else None, tuple(fields))
    return out


def ask(arguments, rules, events):
    """What rsigma says of events: the set of (place in the list, rule)."""
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson", encoding="utf-8") as f:
        for i, e in enumerate(events):
            f.write(json.dumps({**e, "compare_hits_case": f"case{i}"}, ensure_ascii=False) + "\n")
        f.flush()
        command = [arguments.rsigma, "engine", "eval", "-r", rules, "-e", f"@{f.name}", "--input-format", "json",
                   "--output-format", "ndjson", "--include-event", "--quiet"]
        if not arguments.no_routing:
            command.append("--logsource-routing")
        run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    out = set()
    for line in run.stdout.splitlines():
        hit = json.loads(line)
        out.add((int(hit["event"]["compare_hits_case"][4:]), hit["rule_id"]))
    return out


# ---- the two comparisons -----------------------------------------------------------------------------

def by_rule(a):
    count, titles = [], {}
    for path in (a.tercel, a.rsigma_hits):
        c = collections.Counter()
        for h in lines(path):
            rule = h.get("rule") or h.get("rule_id")
            c[rule] += 1
            titles[rule] = h.get("title") or h.get("rule_title")
        count.append(c)
    one, two = count
    differ = sorted((r for r in one.keys() | two.keys() if one[r] != two[r]), key=lambda r: -abs(one[r] - two[r]))
    print(f"hits: {one.total()} and {two.total()}; {len(one.keys() | two.keys())} rules fired, {len(differ)} of them differently")
    for r in differ:
        print(f"  {one[r]:>8} {two[r]:>8}  {titles[r]} ({r})")
    return 0


def by_event(a):
    titles, ours, theirs = {}, collections.defaultdict(set), collections.defaultdict(set)
    for h in lines(a.tercel):
        ours[h["rule"]].add(h["record"])
        titles[h["rule"]] = h["title"]
    said = collections.defaultdict(collections.Counter)
    for h in lines(a.rsigma_hits):
        said[h["rule_id"]][identity(h["event"])] += 1
        titles[h["rule_id"]] = h["rule_title"]
    wanted = {k for c in said.values() for k in c}
    places, events, count = collections.defaultdict(list), {}, 0
    touched = set().union(*ours.values()) if ours else set()
    with open(a.events, encoding="utf-8") as f:
        for n, line in enumerate(f):
            count += 1
            event = json.loads(line)
            k = identity(event)
            if k in wanted:
                places[k].append(n)
            if k in wanted or n in touched:
                events[n] = event
    strange = 0
    for rule, c in said.items():
        for k, times in c.items():
            strange += len(places[k]) != times
            theirs[rule].update(places[k])
    differences = [(r, n, n in ours[r]) for r in titles for n in sorted(ours[r] ^ theirs[r])]
    both = sum(len(ours[r] & theirs[r]) for r in titles)
    print(f"{count} events; hits: {sum(map(len, ours.values()))} of tercel, {sum(map(len, theirs.values()))} of rsigma, {both} of both; "
          f"{len(differences)} of one alone; {strange} events whose copies rsigma treats differently")

    of = read_rules(a.rules)
    cases, variants = [], []
    for i, (rule, n, _) in enumerate(differences):
        usable = []
        for size in range(1, len(CAUSES) + 1):
            for names in itertools.combinations(CAUSES, size):
                if size > 1 and any(x not in usable for x in names):
                    continue
                event = events[n]
                for x in names:
                    event = event and CAUSES[x](event, of.get(rule, Rule()))
                # A cause may only have something to change after another.
                if event is None and size == 1 and names[0] in ("audit", "provider", "dash", "number"):
                    lifted = carrier(events[n], None)
                    if lifted and CAUSES[names[0]](lifted, of.get(rule, Rule())):
                        usable.append(names[0])
                if event is None:
                    continue
                if size == 1:
                    usable.append(names[0])
                if size <= a.together:
                    cases.append((i, names))
                    variants.append(event)
    original = ask(a, a.rules, [events[n] for _, n, _ in differences])
    answers = ask(a, a.rules, variants) if variants else set()
    cause, unstable = {}, 0
    for i, (rule, _, mine) in enumerate(differences):
        unstable += ((i, rule) in original) == mine
    for v, (i, names) in enumerate(cases):
        rule, _, mine = differences[i]
        if i not in cause and ((v, rule) in answers) == mine:
            cause[i] = " + ".join(names)
        elif i in cause and len(names) < cause[i].count("+") + 1 and ((v, rule) in answers) == mine:
            cause[i] = " + ".join(names)
    table = collections.Counter()
    rules = collections.defaultdict(set)
    for i, (rule, n, mine) in enumerate(differences):
        key = ("tercel" if mine else "rsigma", cause.get(i, "UNEXPLAINED"))
        table[key] += 1
        rules[key].add(rule)
    print(f"{unstable} of the differences did not show again when rsigma met the event alone")
    for (side, why), n in sorted(table.items(), key=lambda x: -x[1]):
        print(f"  {n:>7} hits of {side} alone, {len(rules[side, why]):>4} rules: {why}")
    left = [(rule, n, mine) for i, (rule, n, mine) in enumerate(differences) if i not in cause]
    for rule, n, mine in left[:a.show]:
        channel, number_ = channel_and_id(events[n])
        print(f"      line {n + 1}, {channel} {number_}: {'tercel' if mine else 'rsigma'} alone, {titles[rule]} ({rule})")
    print(f"{len(left)} differences unexplained")
    return 1 if left or unstable else 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("tercel")
    p.add_argument("rsigma_hits")
    p.add_argument("--events", help="what rsigma read; joins by event")
    p.add_argument("--rules", help="the folder of rules that both read")
    p.add_argument("--rsigma", default="rsigma", help="the program to ask again [default: rsigma]")
    p.add_argument("--no-routing", action="store_true", help="rsigma ignored log sources")
    p.add_argument("--together", type=int, default=3, help="causes tried together [default: 3]")
    p.add_argument("--show", type=int, default=20, help="unexplained differences shown [default: 20]")
    a = p.parse_args()
    if a.events and not a.rules:
        p.error("--events needs --rules")
    sys.exit(by_event(a) if a.events else by_rule(a))


if __name__ == "__main__":
    main()
