#!/usr/bin/env python3
"""Converts the rules of a SigmaHQ checkout with tercel, checks the results in every way there is, and writes
docs/state-of-conversions.md.

    scripts/state_of_conversions.py --rules SIGMAHQ [--tercel PROGRAM] [--shared FOLDER] [--pysigma PYTHON] [-o PAGE]

SIGMAHQ is the folder with `rules`, `rules-threat-hunting` and so on. FOLDER holds telemetry, public queries and the
seeds; what is not there is left out of the page. PYTHON is an interpreter with pysigma and pysigma-backend-kusto.
Only the standard library is used here.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.sax.saxutils

HERE = pathlib.Path(__file__).resolve().parent.parent
TARGETS = [
    ("Defender KQL", ["--to", "kql", "--schema", "defender"], "kql"),
    ("ASIM KQL", ["--to", "kql", "--schema", "asim"], "kql"),
    ("Sentinel KQL (`Event`)", ["--to", "kql", "--schema", "sentinel"], "kql"),
    ("Sumo Logic", ["--to", "sumo"], "sumo"),
]
ORDER = ["exact", "wider", "narrower", "different", "unproved", "refused"]

PYSIGMA = r"""
import json, sys, time
start = time.process_time()
from sigma.collection import SigmaCollection
from sigma.backends.kusto import KustoBackend
from sigma.pipelines.sentinelasim import sentinel_asim_pipeline
from sigma.pipelines.microsoftxdr import microsoft_xdr_pipeline
pipeline = {"asim": sentinel_asim_pipeline, "xdr": microsoft_xdr_pipeline}[sys.argv[1]]
one = KustoBackend(processing_pipeline=pipeline())
out = []
for f in (l.strip() for l in sys.stdin):
    try:
        rules = SigmaCollection.from_yaml(open(f, encoding="utf-8").read())
        # What a pipeline remembers of one rule must not reach the next where the texts are looked at.
        backend = one if len(sys.argv) > 2 else KustoBackend(processing_pipeline=pipeline())
        out.append({"file": f, "text": backend.convert(rules)[0]})
    except Exception as e:
        out.append({"file": f, "error": type(e).__name__ + ": " + str(e).split(chr(10))[0]})
print(json.dumps({"seconds": time.process_time() - start, "results": out}))
"""


class Tercel:
    def __init__(self, program):
        self.program = program

    def lines(self, *args, check=(0, 1, 2)):
        """The JSON Lines on standard output, the text on standard error, and the seconds of processor time."""
        before = os.times()
        p = subprocess.run([self.program, *map(str, args)], capture_output=True, stdin=subprocess.DEVNULL, text=True, encoding="utf-8")
        after = os.times()
        if p.returncode not in check:
            sys.exit(f"{args}: {p.returncode}: {p.stderr[-2000:]}")
        used = (after.children_user - before.children_user) + (after.children_system - before.children_system)
        return [json.loads(line) for line in p.stdout.splitlines() if line.strip()], p.stderr, used

    def convert(self, paths, to):
        return self.lines("convert", *paths, *to, "--format", "jsonl")

    def verify(self, a, b, *more):
        try:
            p = subprocess.run(
                [self.program, "verify", str(a), str(b), *more, "--format", "json"], capture_output=True, stdin=subprocess.DEVNULL, text=True, encoding="utf-8", timeout=30
            )
            v = json.loads(p.stdout)
        except subprocess.TimeoutExpired:
            return {"relation": "unknown", "reason": "the proof took longer than its budget", "witnesses": []}
        except json.JSONDecodeError:
            why = next((l for l in p.stderr.splitlines() if l.strip()), "no answer")
            return {"relation": "unknown", "reason": why, "witnesses": []}
        return v[0] if isinstance(v, list) else v


def table(head, rows):
    out = ["| " + " | ".join(head) + " |", "|" + "|".join("---" if i == 0 else "--:" for i in range(len(head))) + "|"]
    out += ["| " + " | ".join(str(c) for c in r) + " |" for r in rows]
    return "\n".join(out) + "\n"


def event_text(event, limit=140):
    if not event:
        return ""
    table = event.get("table")
    text = ", ".join(f"{k}={v}" for k, v in event.items() if v not in ("", None) and k not in ("Provider", "table"))
    text = f"{table}: {text}" if table else text
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return "`" + text.replace("|", "\\|").replace("`", "'") + "`"


def group_of(row):
    """Why a conversion is not exact, in words that rules have in common."""
    reason = row.get("reason") or ""
    if row["fidelity"] == "refused":
        m = re.search(r"has no table for events of the log source `([^`]*)`", reason)
        if m:
            return f"no table for `{m[1]}`"
        if "the records of another source" in reason:
            return "it asks for records of another source (`_sourceCategory`)"
        if "`false` never holds" in reason:
            return "it could never fire there: the query says `false`"
        m = re.search(r"it needs ([^;]*)", reason)
        if m:
            return f"nothing would be left without {', '.join(sorted(set(re.findall(r'(?:^|, )([A-Za-z_]+) [(]', m[1]))))}"
        return reason
    if row["fidelity"] == "unproved":
        return "not decided: " + re.sub(r";.*", "", re.sub(r" of [A-Z].*", "", reason))[:80]
    why = [l for l in row["losses"] if l["effect"] != "none"]
    if not why:
        return re.sub(r" an event of .*", "", reason)[:80]
    w = why[0]
    what = re.sub(r"the address range .*", "these address ranges", w["why"])
    return f"{w['what']}: {what}"


def named(rows, where, suffix):
    """Writes conversions as files called by what they were made from."""
    for name, text in rows:
        (where / f"{name}.{suffix}").write_text(text, encoding="utf-8")


def rule_files(folder):
    return sorted(p for p in pathlib.Path(folder).rglob("*.yml"))


def ids(files):
    """Rules by their id."""
    out = {}
    for f in files:
        m = re.search(r"^id:\s*['\"]?([0-9a-fA-F-]{36})", f.read_text(encoding="utf-8", errors="replace"), re.M)
        if m:
            out[m[1].lower()] = f
    return out


# ---- Hits -------------------------------------------------------------------------------------------------------


def hits(tercel, data, rules, key):
    found = collections.defaultdict(set)
    lines, err, _ = tercel.lines("hunt", *data, "-r", rules, "--format", "jsonl")
    for h in lines:
        found[h["rule"].lower()].add(key(h))
    return found, err


def by_record(h):
    return (h["source"], h.get("record"))


OWN = {
    "TimeGenerated", "EventID", "Channel", "Computer", "Provider", "EventRecordID", "Level", "Task", "Opcode", "Keywords", "Version",
    "SystemUserId", "SystemProcessId", "SystemThreadId", "SystemTime",
}


def sentinel_row(e):
    """A Windows event as Sentinel's `Event` table has it: the fields as XML text."""

    def text(v):
        v = str(v).lower() if isinstance(v, bool) else str(v)
        return xml.sax.saxutils.escape(v, {'"': "&quot;", "'": "&apos;"})

    fields = "".join(f'<Data Name="{k}">{text(v)}</Data>' for k, v in e.items() if k not in OWN and not k.startswith("$") and v is not None)
    return {
        "TimeGenerated": e.get("TimeGenerated") or "2026-01-01T00:00:00Z",
        "Source": e.get("Provider"),
        "EventLog": e.get("Channel"),
        "Computer": e.get("Computer"),
        "EventID": e.get("EventID"),
        "EventData": f"<EventData>{fields}</EventData>",
        "Type": "Event",
    }


def side_by_side(tercel, data, source, where, exact):
    """Rules, the hits of both sides, and the rules whose hits are not the same."""
    theirs, _ = hits(tercel, data, source, by_record)
    ours, _ = hits(tercel, data, where, by_record)
    fired = {r for r in exact if theirs.get(r) or ours.get(r)}
    differ = {r: (theirs.get(r, set()), ours.get(r, set())) for r in fired if theirs.get(r, set()) != ours.get(r, set())}
    return fired, sum(len(theirs.get(r, ())) for r in fired), differ


# ---- Parts of the page --------------------------------------------------------------------------------------------


def conversions(tercel, rules, files, work, page):
    by_id = ids(files)
    network = {i for i, f in by_id.items() if re.search(r"category:\s*network_connection", f.read_text(encoding="utf-8"))}
    whole, reasons, results = [], [], {}
    net = []
    for title, to, suffix in TARGETS:
        print(f"{time.strftime('%H:%M:%S')} {title}", file=sys.stderr, flush=True)
        rows, _, _ = tercel.convert([rules / "rules" / "windows"], to)
        count = collections.Counter(r["fidelity"] for r in rows)
        apart = sum((r.get("reason") or "").startswith("proved equal apart") for r in rows)
        whole.append([title, len(rows), *(count[k] for k in ORDER), apart])
        groups = collections.Counter((r["fidelity"], group_of(r)) for r in rows if r["fidelity"] != "exact")
        reasons.append((title, groups))
        results[title] = rows
        some, _, _ = tercel.convert([by_id[i] for i in sorted(network)], to)
        count = collections.Counter(r["fidelity"] for r in some)
        apart = sum((r.get("reason") or "").startswith("proved equal apart") for r in some)
        net.append([title, len(some), *(count[k] for k in ORDER), apart])
        known = {r["rule"] for r in rows}
        page.network[title] = rows + [r for r in some if r["rule"] not in known]
        assumed = collections.Counter(a for r in rows if r["fidelity"] == "exact" for a in r["assumptions"])
        page.assumptions[title] = assumed
    page.add("## All Windows rules of SigmaHQ\n")
    page.add(
        "*Exact* is proved: no event of the table, as its views tell it, is found by one and not by the other. *Wider* and *narrower* are proved as well, "
        "or follow from a field that the target does not record. *Unproved* is said where the prover could not decide; *refused* where nothing of the rule would be left.\n"
    )
    page.add(table(["target", "rules", *ORDER, "not exact, but equal apart from the loss"], whole))
    page.add("### The network rules\n")
    page.add("Every rule of the category `network_connection` in the folders `rules*` (Windows, Linux, macOS).\n")
    page.add(table(["target", "rules", *ORDER, "not exact, but equal apart from the loss"], net))
    page.add("### Why not exact\n")
    for title, groups in reasons:
        page.add(f"**{title}**\n")
        no_table = [(g, n) for (f, g), n in groups.items() if g.startswith("no table for")]
        if no_table:
            listed = ", ".join(f"{g[len('no table for '):]} {n}" for g, n in sorted(no_table, key=lambda x: -x[1])[:12])
            all_of_them = sum(n for _, n in no_table)
            page.add(f"- refused, no table for the log source: {all_of_them} {'rule' if all_of_them == 1 else 'rules'} ({listed}{', …' if len(no_table) > 12 else ''})")
        for (f, g), n in groups.most_common():
            if not g.startswith("no table for") and (n > 1 or f in ("unproved", "different")):
                page.add(f"- {f}, {n}: {g}")
        rest = sum(n for (f, g), n in groups.items() if not g.startswith("no table for") and n == 1 and f not in ("unproved", "different"))
        if rest:
            page.add(f"- {rest} more, each for a reason of its own")
        page.add("")
    page.add("### What is taken for granted\n")
    page.add("A proof is about events as sources write them. What it takes for granted is printed with the conversion; of the exact ones above:\n")
    for title, assumed in page.assumptions.items():
        for a, n in assumed.most_common():
            page.add(f"- {title}, {n} rules: {a}")
    page.add("")
    return results


def agreement(tercel, rules, files, results, shared, work, page):
    """Every exact conversion against its rule, over real events and over events made for the rule."""
    page.add("## Run side by side\n")
    page.add(
        "Each exact conversion was run beside the rule it was made from, each in its own language, over real attack telemetry and over events that were made "
        "from the rules (the smallest events that fire each part, and near misses), and the events found were compared one by one.\n"
    )
    by_id = ids(files)
    windows = rules / "rules" / "windows"
    made = {}
    for source in ("sysmon", "defender", "sentinel"):
        made[source] = work / f"made_{source}.jsonl"
        made[source].write_text("", encoding="utf-8")
        for folder in sorted(p for p in windows.rglob("*") if p.is_dir() and any(p.glob("*.yml"))):
            # A folder at a time: what takes too long costs only its own events.
            command = [tercel.program, "test", folder, "--generate", "--source", source, "--format", "ndjson", "--limit", "10", "--budget", "2"]
            try:
                p = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=400)
            except subprocess.TimeoutExpired:
                page.notes.append(f"no events as {source} writes them for `{folder.name}`: making them took too long")
                continue
            with open(made[source], "a", encoding="utf-8") as f:
                f.write(p.stdout)
    real = [p for p in (shared / "telemetry" / "evtx", shared / "telemetry" / "mordor") if p.exists()]
    if real:
        rows, _, _ = tercel.lines("query", "Sysmon", *real, "--format", "jsonl")
        made["event"] = work / "real_event.jsonl"
        made["event"].write_text("".join(json.dumps(sentinel_row(r)) + "\n" for r in rows), encoding="utf-8")
    rows = []
    for title, _, suffix in TARGETS:
        where = work / re.sub(r"\W", "", title)
        where.mkdir(exist_ok=True)
        exact = {r["rule"].lower(): r["text"] for r in results[title] if r["fidelity"] == "exact"}
        named(exact.items(), where, suffix)
        sentinel = "Event" in title
        print(f"{time.strftime('%H:%M:%S')} side by side: {title}", file=sys.stderr, flush=True)
        sets = []
        if real:
            sets.append(("real", [made["event"]] if sentinel else real))
        sets.append(("made for the rules", [made["sentinel" if sentinel else "sysmon"]]))
        if "Defender" in title:
            sets.append(("made, as Defender writes them", [made["defender"]]))
        for what, data in sets:
            fired, found, differ = side_by_side(tercel, data, windows, where, exact)
            rows.append([title, what, len(exact), len(fired), found, len(differ)])
            for r, (a, b) in sorted(differ.items())[:12]:
                page.notes.append(f"{title}, {what}: {by_id[r].name if r in by_id else r}: {len(a - b)} events only by the rule, {len(b - a)} only by the conversion")
    page.add(table(["target", "events", "exact conversions", "of them fired", "hits", "differ"], rows))
    page.add(BETWEEN)
    if page.notes:
        page.add("Where they differ, up to twelve of each:\n")
        for n in page.notes:
            page.add(f"- {n}")
        page.add("")


# What was found by looking at them one by one; the real events of the captures for Sumo Logic were not.
BETWEEN = """A proof is about the rows of the target's own table; over another source's events the views stand between the two, and that is where they still differ. Looked at one by one,
Defender's differences over real events are kinds of events that the views do not bring into Defender's tables (pipes, access to processes, threads in other processes, drivers; name resolution;
access to files), and connections that Windows' audit log records beside Sysmon: in Defender's tables one connection counts once. Sumo Logic's searches read Sysmon's records alone, while a Sigma
rule about processes or connections also finds what the Security log records of them (4688 and 5156). Events that are made are rows such as their source writes: a folder path has its file name beside it,
a registry event its kind, hashes are whole. As Defender writes them no conversion differs from its rule. Of the 62 rules that differ over events as Sysmon writes them 57 are about kinds of events that the views do
not bring into Defender's tables (22 name resolution, 17 pipes, 7 access to processes, 6 threads in other processes, 4 drivers, 1 changed time of a file), 3 about columns that Sysmon's file events do not have
(`CommandLine`, `ParentImage`: Sigma's rule finds the field, the view gives none), one about a path without a folder, and one about a number written as no Windows writes it. The last and two of the three are what differs for
ASIM. The three for Sentinel are rows of `SecurityEvent` and `DeviceNetworkEvents`, which the rule finds as well: the query is about `Event`.
"""


def run_pysigma(python, pipeline, files, *more):
    p = subprocess.run([python, "-c", PYSIGMA, pipeline, *more], input="\n".join(map(str, files)), capture_output=True, text=True)
    if p.returncode != 0:
        sys.exit(p.stderr[-2000:])
    return json.loads(p.stdout)


def witness(v, first):
    for w in v.get("witnesses") or []:
        fires = w.get("fires") or []
        if len(fires) == 1 and (fires[0] in ("a", "first", 1, "A")) == first:
            return dict(w.get("event") or {}, table=w.get("table"))
    return None


def peers(tercel, python, files, results, work, page):
    """What the converter in use today makes of the network rules, and what that means."""
    network = [f for f in files if re.search(r"category:\s*network_connection", f.read_text(encoding="utf-8")) and "placeholder" not in str(f)]
    page.add("## The converter in use today\n")
    versions = subprocess.run([python, "-c", "from importlib.metadata import version as v; print(v('pysigma'), v('pysigma-backend-kusto'))"], capture_output=True, stdin=subprocess.DEVNULL, text=True).stdout.split()
    page.add(f"pySigma {versions[0]} with its kusto backend {versions[1]}, on the same {len(network)} network rules. Its queries are compared by `tercel verify` with tercel's own conversion of the rule where that is exact, so that both read the same table, and with the rule itself otherwise.\n")
    exact = {t: {r["rule"].lower(): r["text"] for r in results.get(t, []) if r["fidelity"] == "exact"} for t in ("ASIM KQL", "Defender KQL")}
    for pipeline, title in (("asim", "ASIM (`sentinel_asim`)"), ("xdr", "Defender (`microsoft_xdr`)")):
        made = run_pysigma(python, pipeline, network)["results"]
        texts = [(pathlib.Path(r["file"]), r["text"]) for r in made if "text" in r]
        errors = collections.Counter(r["error"].split(":")[0] for r in made if "error" in r)
        where = work / f"pysigma_{pipeline}"
        where.mkdir(exist_ok=True)
        count, never, rows = collections.Counter(), [], []
        own = exact["ASIM KQL" if pipeline == "asim" else "Defender KQL"]
        for f, text in texts:
            q = where / f"{f.stem}.kql"
            q.write_text(text, encoding="utf-8")
            reference, mine = f, own.get(next(iter(ids([f])), ""))
            if mine:
                reference = where / f"{f.stem}.own.kql"
                reference.write_text(mine, encoding="utf-8")
            v = tercel.verify(reference, q)
            reason = v.get("reason") or ""
            if "second can never fire" in reason or "neither can ever fire" in reason:
                never.append((f, why_never(text)))
                count["can never match"] += 1
            else:
                # As seen from the query: it finds more, or less, than the rule.
                word = {"equal": "equal", "subset": "wider", "superset": "narrower", "overlap": "different", "disjoint": "different (nothing in common)"}.get(v["relation"], "not decided")
                count[word] += 1
                more, less = witness(v, False), witness(v, True)
                rows.append((f.stem, word, more, less, reason))
        page.add(f"### {title}\n")
        said = f"{len(texts)} of {len(network)} rules are converted"
        if errors:
            said += " (the others: " + ", ".join(f"{k} {n}" for k, n in errors.items()) + ")"
        page.add(said + ".\n")
        page.add(table(["compared with the rule", "queries"], [[k, n] for k, n in count.most_common()]))
        if never:
            whys = collections.Counter(w for _, w in never)
            page.add(f"{len(never)} of {len(texts)} can never match a row, whatever the data:\n")
            for w, n in whys.most_common():
                page.add(f"- {n}: {w}")
            page.add("")
            page.add("<details><summary>which</summary>\n")
            page.add(", ".join(f"`{f.stem}`" for f, _ in never) + "\n\n</details>\n")
        shown = [r for r in rows if r[1] not in ("equal", "not decided")]
        if shown:
            page.add("<details><summary>an event for each difference</summary>\n")
            page.add("| rule | the query is | an event that only the query finds | an event that only the rule finds |\n|---|---|---|---|")
            for name, word, more, less, _ in shown:
                page.add(f"| `{name}` | {word} | {event_text(more)} | {event_text(less)} |")
            page.add("\n</details>\n")
        undecided = collections.Counter(re.sub(r"`[^`]*`", "…", r[4])[:90] for r in rows if r[1] == "not decided")
        for w, n in undecided.most_common():
            page.add(f"- not decided, {n}: {w}")
        if undecided:
            page.add("")


def why_never(text):
    if re.search(r'Port(?:Number)? (?:in~|=~) \(?"', text) and not re.search(r'NetworkDirection =~ "', text):
        return "a port, a number, is compared with texts by an operator of texts (`in~`): Kusto refuses the query"
    if re.search(r'NetworkDirection =~ "(true|false)"', text):
        return '`NetworkDirection` is compared with "true" or "false"; the column holds Inbound, Outbound, Local, External, Listen or NA'
    return "a condition that no event meets"


def seeds(tercel, shared, work, page):
    folder = shared / "seeds"
    if not folder.exists():
        return
    page.add("## Published pages\n")
    page.add("Four detections as two catalogues publish them, compared with each other and with the rules they say they are made from.\n")
    rows = []

    def row(what, a, b, *more):
        v = tercel.verify(a, b, *more)
        reason = v.get("reason") or ""
        only_a, only_b = witness(v, True), witness(v, False)
        rows.append(f"| {what} | {v['relation']}{'; ' + reason if reason else ''} | {event_text(only_a, 110)} | {event_text(only_b, 110)} |")

    for n, name in (("000", "office_uncommon_ports"), ("003", "suspicious_location")):
        rule, query = folder / f"{n}_{name}.sigma.yml", folder / f"{n}_{name}.asim.kql"
        row(f"{name.replace('_', ' ')}: Sigma rule, published KQL", rule, query)
        made, _, _ = tercel.convert([rule], ["--to", "kql", "--schema", "asim"])
        own = work / f"{n}.kql"
        own.write_text(made[0]["text"], encoding="utf-8")
        said = made[0]["fidelity"] + (", " + made[0]["reason"] if made[0].get("reason") else "")
        lost = "; ".join(f"{l['what']}: {l['why']}" for l in made[0]["losses"] if l["effect"] != "none")
        rows.append(f"| {name.replace('_', ' ')}: tercel's KQL for the same table | {said}{' (' + lost + ')' if lost else ''} | | |")
        made, _, _ = tercel.convert([rule], ["--to", "kql", "--schema", "asim", "--source", "Sysmon"])
        exact = work / f"{n}.sysmon.kql"
        exact.write_text(made[0]["text"], encoding="utf-8")
        row(f"{name.replace('_', ' ')}: Sigma rule, tercel's KQL for Sysmon's rows (`--source Sysmon`)", rule, exact, "--source", "Sysmon")
    row("commonly used port: Defender KQL, Sumo Logic", folder / "001_commonly_used_port.defender.kql", folder / "002_commonly_used_port.sumo")
    page.add(NO_EQUAL)
    page.add("| first, second | relation | only the first finds | only the second finds |\n|---|---|---|---|\n" + "\n".join(rows) + "\n")


APART = "proved equal apart"
# Why the two rules have no equal query of all sources.
NO_EQUAL = """Both rules test folders of programs. No query of ASIM's network sessions is equal to such a rule for every source: of a
row of `DeviceNetworkEvents` the schema has `InitiatingProcessFileName` alone. Take two rows that differ in `InitiatingProcessFolderPath`
and in nothing else, one in a folder that the rule names and one elsewhere: the rule finds one of them, and to every query of
`_Im_NetworkSession` they are one and the same row. So a query either has both or neither. Of a source that records whole paths there may be an equal query;
`tercel convert --schema asim --source TABLE` makes it, with a condition on `EventProduct`, and proves it over the rows of that table through the
schema's views, with nothing taken for granted.
"""
# Lines of KQL that only choose a range of time, or limit what is shown.
RANGE = re.compile(r"^[ \t]*\|[ \t]*(?:where[ \t]+(?:Timestamp|TimeGenerated)[ \t]*>=?[ \t]*ago\([^()]*\)|(?:take|limit)[ \t]+\d+)[ \t]*(?://.*)?$", re.M)


def round_trips(tercel, shared, work, page):
    kql = sorted((shared / "corpora" / "kql").glob("*.jsonl"))
    sumo = sorted((shared / "corpora" / "sumo").glob("*.jsonl"))
    if not kql and not sumo:
        return
    page.add("## There and back\n")
    page.add(
        "Public queries that are filters, converted to another language and back. Lines that only say how far back to look (`where Timestamp > ago(7d)`) and limits "
        "are left out before comparing, because every product has its own place for them. The columns, the first that fits counts:\n"
    )
    page.add("- *equal on every source*: `tercel verify` finds the query and what came back equal, without any assumption, on the events of every source that the tables are made of;")
    page.add(
        "- *each step proved exact*: of the rows that a step is about (a source's rows in the target's words), with what it takes for granted, both conversions are proved to find the same; "
        "this is no proof about rows that one of the steps is not about;"
    )
    page.add(
        "- *apart from a named loss*: the same, where a step names what it loses and is proved equal for the rest. A query of a Defender table that does not say which `ActionType` "
        "it means, for example, also finds kinds of rows that no log source of Sigma has;"
    )
    page.add("- *unequal, the loss named*: not proved equal for the rest, but every side to which the result differs has a named loss;")
    page.add("- *not decided*: the prover gave up; *not equal*: the result differs, and nothing says so.\n")
    rows, losses = [], []
    for title, corpora, suffix, there, back in (
        ("KQL → Sigma → KQL", kql, "kql", ["--to", "sigma"], None),
        ("KQL → Sumo → KQL", kql, "kql", ["--to", "sumo"], None),
        ("Sumo → KQL → Sumo", sumo, "sumo", ["--to", "kql", "--schema", "native"], ["--to", "sumo"]),
    ):
        where = work / ("trip_" + re.sub(r"\W", "", title))
        (where / "a").mkdir(parents=True)
        (where / "b").mkdir()
        total = 0
        for c in corpora:
            for line in open(c, encoding="utf-8"):
                q = json.loads(line)
                name = re.sub(r"\W", "_", q["id"])
                (where / "a" / f"{name}.{suffix}").write_text(q["query"], encoding="utf-8")
                total += 1
        made, err, _ = tercel.convert([where / "a"], there)
        filters = len(made)
        refused = sum(1 for m in made if m["fidelity"] == "refused")
        count, why, apart = collections.Counter(), collections.Counter(), collections.Counter()
        ext = {"sigma": "yml", "sumo": "sumo", "kql": "kql"}[there[1]]
        done = 0
        for m in made:
            if m["fidelity"] == "refused" or not m["text"]:
                why[group_of(m)] += 1
                continue
            mid = where / "b" / f"{m['rule']}.{ext}"
            mid.write_text(m["text"], encoding="utf-8")
            origin = where / "a" / f"{m['rule']}.{suffix}"
            if back is None:
                first = origin.read_text(encoding="utf-8")
                schema = "asim" if re.search(r"\b(_?_?Im_|im[A-Z]|_ASim)", first) else "defender" if re.search(r"\bDevice\w+Events\b", first) else "native"
                to = ["--to", "kql", "--schema", schema]
            else:
                to = back
            again, _, _ = tercel.convert([mid], to)
            if not again or not again[0]["text"]:
                count["refused on the way back"] += 1
                why["back: " + (group_of(again[0]) if again else "an error")] += 1
                continue
            end = where / "b" / f"{m['rule']}.back.{suffix}"
            end.write_text(again[0]["text"], encoding="utf-8")
            plain = where / "b" / f"{m['rule']}.plain.{suffix}"
            plain.write_text(RANGE.sub("", origin.read_text(encoding="utf-8")), encoding="utf-8")
            v = tercel.verify(plain, end)
            word = v["relation"]
            steps = (m, again[0])
            undecided = [x for x in steps if x["fidelity"] == "unproved"]
            named_loss = [l for x in steps for l in x["losses"] if l["effect"] != "none"]
            # A step that is not exact says to which side it differs; there must be a loss for each.
            nameless = [x for x in steps if not {"wider": {"wider"}, "narrower": {"narrower"}, "different": {"wider", "narrower"}}.get(x["fidelity"], set()) <= {l["effect"] for l in x["losses"]}]
            if word == "equal":
                count["equal"] += 1
            elif all(x["fidelity"] == "exact" for x in steps):
                count["each step exact"] += 1
            elif all(x["fidelity"] == "exact" or (x.get("reason") or "").startswith(APART) for x in steps):
                count["apart"] += 1
                apart.update({f"{l['what']}: {l['why']}" for l in named_loss})
            elif nameless:
                count["not equal"] += 1
                page.trips.append((title, m["rule"], nameless[0]["fidelity"], v))
            elif undecided:
                count["not decided"] += 1
                why["not decided: " + re.sub(r";.*", "", undecided[0].get("reason") or "")[:80]] += 1
            else:
                count["loss named"] += 1
                first = named_loss[0]
                why[first["what"] + ": " + ("one side alone finds some" if first["what"] == "some events" else first["why"])] += 1
            done += 1
        rows.append([title, total, filters, refused, count["equal"], count["each step exact"], count["apart"], count["loss named"], count["refused on the way back"], count["not decided"], count["not equal"]])
        losses.append((title, why, apart))
    page.add(table(["", "queries", "filters", "no counterpart", "equal on every source", "each step proved exact", "apart from a named loss", "unequal, the loss named", "refused on the way back", "not decided", "not equal"], rows))
    for title, why, apart in losses:
        if apart:
            page.add(f"**{title}**, equal apart from:\n")
            for w, n in apart.most_common(10):
                page.add(f"- {n}: {w}")
            page.add("")
        if why:
            page.add(f"**{title}**, why not:\n")
            for w, n in why.most_common(10):
                page.add(f"- {n}: {w}")
            page.add("")
    for title, name, word, v in page.trips[:10]:
        page.add(f"- {title}: `{name}` is {word}: {event_text(witness(v, True) or witness(v, False))}")


def one_core(what):
    """Runs it with this process and its children on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return what()
    finally:
        os.sched_setaffinity(0, cores)


def speed(tercel, python, rules, page):
    page.add("## Speed\n")
    folder = rules / "rules"
    files = rule_files(folder)
    # In turns, so that what else the machine does meets all alike.
    load = os.getloadavg()[0]
    times, peer, converted = collections.defaultdict(list), [], 0
    for _ in range(3):
        for title, to, _ in TARGETS:
            times[title].append(one_core(lambda: tercel.convert([folder], to)[2]))
        if python and len(peer) < 2:
            made = one_core(lambda: run_pysigma(python, "xdr", files, "one"))
            peer.append(made["seconds"])
            converted = sum("text" in r for r in made["results"])
    rows = []
    for title, _, _ in TARGETS:
        best = min(times[title])
        rows.append([f"tercel to {title}, proofs included", len(files), f"{best:.2f} s", f"{min(peer) / best:.1f}" if peer else ""])
    if peer:
        rows.append([f"pySigma to Defender, no proofs ({converted} converted)", len(files), f"{min(peer):.2f} s", "1"])
    page.add(
        "All of SigmaHQ's `rules` folder in one process on one core, one after the other in one sitting; processor time, loading included, best of three for tercel and of two for pySigma. "
        f"tercel uses all cores where it has them. The machine's load was {load:.1f} on {os.cpu_count()} cores when it began.\n"
    )
    page.add(table(["", "rules", "time", "times as fast as pySigma"], rows))


class Page:
    def __init__(self):
        self.parts, self.notes, self.trips, self.assumptions, self.network = [], [], [], {}, {}

    def add(self, text):
        self.parts.append(text)


HEAD = """# The state of conversions

How well detections go from one language to another today, measured on the public rules of SigmaHQ and on public queries. Written by
`scripts/state_of_conversions.py`; every figure here comes from running it.
"""


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--rules", required=True, type=pathlib.Path)
    ap.add_argument("--tercel", default=str(HERE / "target" / "release" / "tercel"))
    ap.add_argument("--shared", type=pathlib.Path, default=HERE.parent / "shared")
    ap.add_argument("--pysigma")
    ap.add_argument("-o", "--output", type=pathlib.Path, default=HERE / "docs" / "state-of-conversions.md")
    ap.add_argument("--work", type=pathlib.Path)
    ap.add_argument("--only", help="parts, by commas: conversions, agreement, peers, seeds, trips, speed")
    args = ap.parse_args()
    work = args.work or pathlib.Path(tempfile.mkdtemp(prefix="conversions-"))
    if args.work and work.exists():
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    tercel, page = Tercel(args.tercel), Page()
    files = [f for d in sorted(args.rules.glob("rules*")) if d.is_dir() for f in rule_files(d)]
    wanted = set(args.only.split(",")) if args.only else {"conversions", "agreement", "peers", "seeds", "trips", "speed"}
    page.add(HEAD)
    results = {}

    if wanted & {"conversions", "agreement", "peers"}:
        results = conversions(tercel, args.rules, files, work, page)
    if "agreement" in wanted:
        agreement(tercel, args.rules, files, results, args.shared, work, page)
    if "peers" in wanted and args.pysigma:
        peers(tercel, args.pysigma, files, page.network, work, page)
    if "seeds" in wanted:
        seeds(tercel, args.shared, work, page)
    if "trips" in wanted:
        round_trips(tercel, args.shared, work, page)
    if "speed" in wanted:
        speed(tercel, args.pysigma, args.rules, page)
    text = "\n".join(page.parts)
    args.output.write_text(re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
