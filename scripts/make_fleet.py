#!/usr/bin/env python3
"""Writes a large made-up log of Sysmon network connections, one JSON object a line, for benchmarks.

    python3 scripts/make_fleet.py FILE [--events 1000000] [--devices 500]

The same arguments give the same bytes. The mix of programs, ports and names is plausible, not measured.
One row in about four thousand is of a kind that detections look for.
"""

import argparse
import json

PROFILES = [
    # weight, program, ports, has a name, share of internal destinations in percent
    (420, "C:\\Windows\\System32\\svchost.exe", (53, 80, 135, 443), False, 70),
    (180, "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe", (443, 443, 80), True, 5),
    (140, "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe", (443, 443, 80), True, 5),
    (70, "C:\\Program Files\\WindowsApps\\MSTeams\\ms-teams.exe", (443, 3478), False, 0),
    (60, "C:\\Program Files\\Microsoft Office\\root\\Office16\\OUTLOOK.EXE", (443, 993, 587), True, 20),
    (50, "C:\\Windows\\System32\\lsass.exe", (88, 389, 135), False, 100),
    (30, "System", (445, 139), False, 100),
    (20, "C:\\Program Files\\Vendor Agent\\agent.exe", (8443,), False, 0),
    (15, "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe", (5985, 443), False, 90),
    (10, "C:\\Users\\u%05d\\AppData\\Local\\Microsoft\\OneDrive\\OneDrive.exe", (443,), True, 0),
    (1, "C:\\Users\\Public\\updater.exe", (443, 4444, 8081), False, 0),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--devices", type=int, default=500)
    args = parser.parse_args()

    wheel = [p for p in PROFILES for _ in range(p[0])]
    state, mask = 88172645463325252, 2**64 - 1
    step_ms = max(1, 30 * 86_400_000 // max(1, args.events))
    with open(args.file, "w", encoding="utf-8", newline="\n") as out:
        batch = []
        for number in range(args.events):
            # One xorshift step an event; its bits serve every choice.
            state ^= (state << 13) & mask
            state ^= state >> 7
            state ^= (state << 17) & mask
            r = state
            _, image, ports, named, internal = wheel[r % len(wheel)]
            device = (r >> 16) % args.devices
            port = ports[(r >> 26) % len(ports)]
            if "%05d" in image:
                image = image % device
            if (r >> 34) % 100 < internal:
                ip, name = f"10.{(r >> 40) & 31}.{(r >> 45) & 255}.{(r >> 53) & 255}", "-"
            else:
                site = (r >> 40) & 4095
                ip = f"33.{site >> 8}.{site & 255}.{(r >> 52) & 15}"
                name = f"s{site}.vendor.example" if named else "-"
            ms = number * step_ms
            day, ms = ms // 86_400_000, ms % 86_400_000
            time = f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"
            batch.append(
                '{"EventID":3,"SourceName":"Microsoft-Windows-Sysmon","Channel":"Microsoft-Windows-Sysmon/Operational",'
                f'"Hostname":"WS-{device:05d}.corp.example","RuleName":"-",'
                f'"ProcessGuid":"{{{r & 0xffffffff:08x}-{device & 0xffff:04x}-6640-0100-{r >> 48:012x}}}",'
                f'"ProcessId":"{4 * (r >> 20 & 8191)}","Image":{json.dumps(image)},"User":"CORP\\\\u{device:05d}",'
                f'"Protocol":"tcp","Initiated":"{"false" if r >> 60 == 0 else "true"}","SourceIsIpv6":"false",'
                f'"SourceIp":"10.64.{device >> 8}.{device & 255}","SourceHostname":"ws-{device:05d}.corp.example",'
                f'"SourcePort":"{49152 + (r >> 30 & 16383)}","SourcePortName":"-","DestinationIsIpv6":"false",'
                f'"DestinationIp":"{ip}","DestinationHostname":"{name}","DestinationPort":"{port}",'
                f'"DestinationPortName":"-","UtcTime":"2026-05-{day + 1:02d} {time}",'
                f'"@timestamp":"2026-05-{day + 1:02d}T{time}Z","RecordNumber":{number}}}\n')
            if len(batch) == 10_000:
                out.write("".join(batch))
                batch.clear()
        out.write("".join(batch))


if __name__ == "__main__":
    main()
