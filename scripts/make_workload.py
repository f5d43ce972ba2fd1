#!/usr/bin/env python3
"""Makes the workloads of the Sigma benchmark from captures of Windows events (JSON lines, plain or .zst).

    scripts/make_workload.py CAPTURES... --out DIR [--copies 6] [--unique] [--annotate]

Writes DIR/events.ndjson: all events, COPIES times over. With --unique also DIR/unique.ndjson, in which no command
line, path, registry target, script block, pipe name or call trace repeats: every such value gets a token of its own.
With --annotate also the same files as *.routed.ndjson, with the fields product, service and category that engines
want which cannot tell a log source from the event itself.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys

# Sysmon's event ids and Sigma's categories.
SYSMON = {
    1: "process_creation", 2: "file_change", 3: "network_connection", 5: "process_termination", 6: "driver_load",
    7: "image_load", 8: "create_remote_thread", 9: "raw_access_thread", 10: "process_access", 11: "file_event",
    12: "registry_event", 13: "registry_set", 14: "registry_rename", 15: "create_stream_hash", 17: "pipe_created",
    18: "pipe_created", 19: "wmi_event", 20: "wmi_event", 21: "wmi_event", 22: "dns_query", 23: "file_delete",
    25: "process_tampering", 26: "file_delete",
}
POWERSHELL = {4103: "ps_module", 4104: "ps_script", 400: "ps_classic_start", 600: "ps_classic_provider_start", 800: "ps_classic_script"}
SERVICES = {
    "security": "security", "system": "system", "application": "application",
    "microsoft-windows-sysmon/operational": "sysmon",
    "microsoft-windows-powershell/operational": "powershell", "windows powershell": "powershell-classic",
    "microsoft-windows-taskscheduler/operational": "taskscheduler", "microsoft-windows-wmi-activity/operational": "wmi",
    "microsoft-windows-windows defender/operational": "windefend", "microsoft-windows-bits-client/operational": "bits-client",
    "microsoft-windows-dns-client/operational": "dns-client", "microsoft-windows-ntlm/operational": "ntlm",
    "microsoft-windows-codeintegrity/operational": "codeintegrity-operational",
    "microsoft-windows-terminalservices-localsessionmanager/operational": "terminalservices-localsessionmanager",
    "microsoft-windows-windows firewall with advanced security/firewall": "firewall-as",
}
# Fields whose values a machine in use hardly ever writes twice.
FREE = {
    "CommandLine", "ParentCommandLine", "Image", "ParentImage", "SourceImage", "TargetImage", "ImageLoaded", "TargetFilename",
    "TargetObject", "Details", "CallTrace", "PipeName", "QueryName", "QueryResults", "CurrentDirectory", "ScriptBlockText",
    "Payload", "ContextInfo", "HostApplication", "NewProcessName", "ParentProcessName", "ProcessName", "ObjectName",
    "RelativeTargetName", "ShareName", "Application", "ServiceFileName", "ImagePath", "TaskContent", "Message", "Path",
    "Hashes", "Contents", "Destination", "Query",
}


def lines(path):
    if path.suffix == ".zst":
        with subprocess.Popen(["zstd", "-dcq", str(path)], stdout=subprocess.PIPE) as p:
            yield from p.stdout
    else:
        with open(path, "rb") as f:
            yield from f


def log_source(e):
    """product, service, category of a flat or a winlogbeat event; None for anything else."""
    channel = e.get("Channel") or e.get("log_name") or (e.get("winlog") or {}).get("channel")
    event_id = e.get("EventID") or e.get("event_id")
    if not channel or event_id is None:
        return None
    service = SERVICES.get(str(channel).lower())
    n = int(event_id)
    category = SYSMON.get(n) if service == "sysmon" else "process_creation" if service == "security" and n == 4688 else POWERSHELL.get(n) if service in ("powershell", "powershell-classic") else None
    out = {"product": "windows"}
    if category:
        out["category"] = category
    # A rule for a category names no service: an event that says both is matched by rules of either kind.
    if service:
        out["service"] = service
    return out


def unique(value, rng):
    token = f"{rng.getrandbits(48):012x}"
    at = rng.randrange(len(value) + 1) if value else 0
    # Not inside a path's last part, so that endings stay what they are.
    cut = value.rfind("\\", 0, at)
    return f"{value[:cut]}\\{token}{value[cut:]}" if cut >= 0 else f"{value} {token}"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("captures", nargs="+", type=pathlib.Path)
    p.add_argument("--out", required=True, type=pathlib.Path)
    p.add_argument("--copies", type=int, default=6)
    p.add_argument("--unique", action="store_true")
    p.add_argument("--annotate", action="store_true")
    a = p.parse_args()
    files = sorted(f for c in a.captures for f in ([c] if c.is_file() else c.rglob("*")) if f.is_file() and (f.name.endswith((".jsonl", ".ndjson", ".json", ".zst"))))
    if not files:
        sys.exit("no captures")
    a.out.mkdir(parents=True, exist_ok=True)
    names = ["events"] + (["unique"] if a.unique else [])
    names += [f"{n}.routed" for n in names] if a.annotate else []
    outs = {n: open(a.out / f"{n}.ndjson", "wb") for n in names}
    events = 0
    dump = lambda e: json.dumps(e, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    for copy in range(a.copies):
        rng = random.Random(copy)
        for f in files:
            for line in lines(f):
                if not line.strip():
                    continue
                events += 1
                outs["events"].write(line)
                if len(outs) == 1:
                    continue
                e = json.loads(line)
                source = log_source(e) if a.annotate else None
                if a.annotate:
                    outs["events.routed"].write(dump({**(source or {}), **e}))
                if a.unique:
                    for part in (e, e.get("event_data") if isinstance(e.get("event_data"), dict) else {}):
                        for k, v in part.items():
                            if k in FREE and isinstance(v, str):
                                part[k] = unique(v, rng)
                    outs["unique"].write(dump(e))
                    if a.annotate:
                        outs["unique.routed"].write(dump({**(source or {}), **e}))
    for o in outs.values():
        o.close()
    print(f"{events} events of {len(files)} captures: {', '.join(f'{n}.ndjson' for n in outs)} in {a.out}")


if __name__ == "__main__":
    main()
