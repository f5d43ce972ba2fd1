"""One made-up event, written the way each product would write it.

An event is a plain dict made by `connection` or `process`. Every other function here turns such a
dict into one carrier's shape, so that samples and fixtures of different shapes stay the same event.
Standard library only; nothing here reads a clock or a random number.
"""

import hashlib
import json
from datetime import datetime, timezone
from xml.sax.saxutils import escape

SYSMON = "Microsoft-Windows-Sysmon"
SECURITY = "Microsoft-Windows-Security-Auditing"
SYSMON_GUID = "{5770385F-C22A-43E0-BF4C-06F5698FFBD9}"
SECURITY_GUID = "{54849625-5478-4994-A5BA-3E3B0328C30D}"
PROTOCOL_NUMBER = {"tcp": "6", "udp": "17", "icmp": "1"}
# The programs that listen on a port, as Sysmon's own port names know them.
PORT_NAMES = {53: "domain", 80: "http", 135: "epmap", 389: "ldap", 443: "https", 445: "microsoft-ds"}


def digest(kind, text):
    """A hash that belongs to a file name; no real program has it."""
    return getattr(hashlib, kind)(f"tercel sample {kind} {text.lower()}".encode()).hexdigest()


def basename(path):
    return path.rsplit("\\", 1)[-1]


def guid(text):
    h = digest("md5", text)
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def parse_time(text):
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f").replace(tzinfo=timezone.utc)


def connection(host, image, ip, port, *, name="-", proto="tcp", outbound=True, user="CORP\\mlange",
               time="2026-05-12T09:30:00.000", local_ip="10.20.4.17", local_port=52110, pid=4312,
               command=None, parent="explorer.exe", failed=False, sent=900, received=4200):
    """A network connection as the computer `host` sees it: `ip`, `port`, `name` are the other end."""
    return dict(kind="connection", host=host, image=image, ip=ip, port=port, name=name, proto=proto,
                outbound=outbound, user=user, time=time, local_ip=local_ip, local_port=local_port, pid=pid,
                command=command or f'"{image}"', parent=parent, failed=failed, sent=sent, received=received)


def process(host, image, command, *, parent="C:\\Windows\\explorer.exe", parent_command=None,
            user="CORP\\mlange", time="2026-05-12T09:30:00.000", pid=4312, parent_pid=2208,
            integrity="Medium", original=None):
    """The creation of a process on the computer `host`."""
    return dict(kind="process", host=host, image=image, command=command, parent=parent,
                parent_command=parent_command or f'"{parent}"', user=user, time=time, pid=pid,
                parent_pid=parent_pid, integrity=integrity, original=original or basename(image))


def event_id(event):
    return 3 if event["kind"] == "connection" else 1


def public(ip):
    """True for an IPv4 address that a sample uses as one of the internet."""
    a, b = (int(part) for part in ip.split(".")[:2])
    return not (a in (10, 127) or (a == 172 and 16 <= b < 32) or (a, b) in ((192, 168), (169, 254)))


# ---- Sysmon ---------------------------------------------------------------------------------------

def sysmon_fields(e):
    """The fields of the event as Sysmon names and orders them; every value is text."""
    utc = e["time"].replace("T", " ")
    process_guid = "{" + guid(f"{e['host']}{e['pid']}{e['image']}") + "}"
    if e["kind"] == "process":
        hashes = ",".join(f"{k.upper()}={digest(k, e['image']).upper()}" for k in ("md5", "sha256"))
        return {
            "RuleName": "-", "UtcTime": utc, "ProcessGuid": process_guid, "ProcessId": str(e["pid"]),
            "Image": e["image"], "OriginalFileName": e["original"], "CommandLine": e["command"],
            "CurrentDirectory": "C:\\Users\\" + basename(e["user"]) + "\\", "User": e["user"],
            "IntegrityLevel": e["integrity"], "Hashes": hashes,
            "ParentProcessGuid": "{" + guid(f"{e['host']}{e['parent_pid']}{e['parent']}") + "}",
            "ParentProcessId": str(e["parent_pid"]), "ParentImage": e["parent"],
            "ParentCommandLine": e["parent_command"],
        }
    local = (e["local_ip"], e["host"].lower(), e["local_port"])
    remote = (e["ip"], e["name"], e["port"])
    source, destination = (local, remote) if e["outbound"] else (remote, local)
    return {
        "RuleName": "-", "UtcTime": utc, "ProcessGuid": process_guid, "ProcessId": str(e["pid"]),
        "Image": e["image"], "User": e["user"], "Protocol": e["proto"],
        "Initiated": "true" if e["outbound"] else "false", "SourceIsIpv6": "false",
        "SourceIp": source[0], "SourceHostname": source[1], "SourcePort": str(source[2]),
        "SourcePortName": PORT_NAMES.get(source[2], "-"), "DestinationIsIpv6": "false",
        "DestinationIp": destination[0], "DestinationHostname": destination[1],
        "DestinationPort": str(destination[2]), "DestinationPortName": PORT_NAMES.get(destination[2], "-"),
    }


def flat(e, number=1):
    """Sysmon as a collector such as NXLog sends it: all fields at the top level."""
    return {"EventID": event_id(e), "SourceName": SYSMON, "ProviderGuid": SYSMON_GUID,
            "Channel": SYSMON + "/Operational", "Hostname": e["host"], "@timestamp": e["time"] + "Z",
            "RecordNumber": number, **sysmon_fields(e)}


def beat6(e, number=1):
    """Sysmon through Winlogbeat 6."""
    return {"@timestamp": e["time"] + "Z", "beat": {"name": "collector01", "version": "6.8.23"},
            "source_name": SYSMON, "provider_guid": SYSMON_GUID, "log_name": SYSMON + "/Operational",
            "event_id": event_id(e), "computer_name": e["host"], "record_number": str(number),
            "level": "Information", "type": "wineventlog", "event_data": sysmon_fields(e)}


def ecs(e, number=1):
    """Sysmon through Winlogbeat 7 or 8 with its Sysmon module: the Elastic Common Schema."""
    domain, _, user = e["user"].rpartition("\\")
    fields = sysmon_fields(e)
    out = {
        "@timestamp": e["time"] + "Z",
        "ecs": {"version": "8.0.0"},
        "agent": {"type": "winlogbeat", "version": "8.12.0", "name": "collector01"},
        "event": {"code": str(event_id(e)), "kind": "event", "module": "sysmon", "provider": SYSMON},
        "host": {"name": e["host"]},
        "log": {"level": "information"},
        "process": {"entity_id": fields["ProcessGuid"], "executable": e["image"],
                    "name": basename(e["image"]), "pid": e["pid"]},
        "user": {"domain": domain, "name": user},
        "winlog": {"channel": SYSMON + "/Operational", "computer_name": e["host"], "event_id": str(event_id(e)),
                   "provider_name": SYSMON, "provider_guid": SYSMON_GUID, "record_id": number, "event_data": {}},
    }
    if e["kind"] == "process":
        out["event"].update(category=["process"], type=["start"])
        out["process"].update(
            command_line=e["command"], working_directory=fields["CurrentDirectory"],
            hash={k: digest(k, e["image"]) for k in ("md5", "sha256")}, pe={"original_file_name": e["original"]},
            parent={"entity_id": fields["ParentProcessGuid"], "executable": e["parent"], "name": basename(e["parent"]),
                    "pid": e["parent_pid"], "command_line": e["parent_command"]})
        out["winlog"]["event_data"] = {"IntegrityLevel": e["integrity"]}
        return out
    ends = {"source": {"ip": fields["SourceIp"], "port": int(fields["SourcePort"])},
            "destination": {"ip": fields["DestinationIp"], "port": int(fields["DestinationPort"])}}
    for end, key in (("source", "SourceHostname"), ("destination", "DestinationHostname")):
        if fields[key] != "-":
            ends[end]["domain"] = fields[key]
    out["event"].update(category=["network"], type=["start", "connection", "protocol"])
    out["network"] = {"transport": e["proto"], "type": "ipv4", "direction": "egress" if e["outbound"] else "ingress"}
    return {**out, **ends}


def windows_event(e, number=1):
    """Sysmon in Sentinel's WindowsEvent table: the fields are JSON inside a string."""
    return {"TimeGenerated": e["time"] + "Z", "Provider": SYSMON, "Channel": SYSMON + "/Operational",
            "Computer": e["host"], "EventID": event_id(e), "EventLevelName": "Information",
            "EventData": json.dumps(sysmon_fields(e)), "EventRecordId": str(number), "Type": "WindowsEvent"}


def sentinel_event(e, number=1):
    """Sysmon in Sentinel's Event table: the fields are XML inside a string."""
    data = "".join(f'<Data Name="{k}">{escape(v)}</Data>' for k, v in sysmon_fields(e).items())
    xml = (f'<DataItem type="System.XmlData" time="{e["time"]}Z" sourceHealthServiceId="0">'
           f'<EventData xmlns="http://schemas.microsoft.com/win/2004/08/events/event">{data}</EventData></DataItem>')
    return {"TimeGenerated": e["time"] + "Z", "Source": SYSMON, "EventLog": SYSMON + "/Operational",
            "Computer": e["host"], "EventLevel": 4, "EventLevelName": "Information", "EventData": xml,
            "EventID": event_id(e), "Type": "Event"}


# ---- Windows Security -----------------------------------------------------------------------------

def security(e, number=1):
    """Windows Security auditing: 5156 (or 5157, blocked) for a connection, 4688 for a process."""
    head = {"SourceName": SECURITY, "ProviderGuid": SECURITY_GUID, "Channel": "Security",
            "Hostname": e["host"], "@timestamp": e["time"] + "Z", "RecordNumber": number}
    domain, _, user = e["user"].rpartition("\\")
    if e["kind"] == "process":
        return {"EventID": 4688, **head, "SubjectUserSid": "S-1-5-21-1111111111-2222222222-3333333333-1104",
                "SubjectUserName": user, "SubjectDomainName": domain, "SubjectLogonId": "0x5f1a2",
                "NewProcessId": hex(e["pid"]), "NewProcessName": e["image"], "TokenElevationType": "%%1938",
                "ProcessId": hex(e["parent_pid"]), "CommandLine": e["command"], "TargetUserSid": "S-1-0-0",
                "TargetUserName": "-", "TargetDomainName": "-", "TargetLogonId": "0x0",
                "ParentProcessName": e["parent"],
                "MandatoryLabel": {"Medium": "S-1-16-8192", "High": "S-1-16-12288",
                                   "System": "S-1-16-16384"}[e["integrity"]]}
    fields = sysmon_fields(e)
    application = "\\device\\harddiskvolume3" + e["image"][2:].lower() if ":" in e["image"] else e["image"]
    return {"EventID": 5157 if e["failed"] else 5156, **head, "ProcessID": str(e["pid"]),
            "Application": application, "Direction": "%%14593" if e["outbound"] else "%%14592",
            "SourceAddress": fields["SourceIp"], "SourcePort": fields["SourcePort"],
            "DestAddress": fields["DestinationIp"], "DestPort": fields["DestinationPort"],
            "Protocol": PROTOCOL_NUMBER[e["proto"]], "FilterRTID": "72041",
            "LayerName": "%%14611" if e["outbound"] else "%%14610",
            "LayerRTID": "48" if e["outbound"] else "44", "RemoteUserID": "S-1-0-0", "RemoteMachineID": "S-1-0-0"}


# ---- Microsoft Defender ---------------------------------------------------------------------------

def table(e):
    return "DeviceNetworkEvents" if e["kind"] == "connection" else "DeviceProcessEvents"


def portal(e, number=1):
    """A row of an advanced-hunting table as the portal exports it."""
    domain, _, user = e["user"].lower().rpartition("\\")
    host = e["host"].lower()
    head = {"Timestamp": e["time"] + "0000Z", "DeviceId": digest("sha1", host), "DeviceName": host}
    account = {"AccountDomain": domain, "AccountName": user,
               "AccountSid": "S-1-5-21-1111111111-2222222222-3333333333-1104"}
    if e["kind"] == "process":
        return {**head, "ActionType": "ProcessCreated", "FileName": basename(e["image"]), "FolderPath": e["image"],
                "SHA256": digest("sha256", e["image"]), "MD5": digest("md5", e["image"]),
                "ProcessVersionInfoOriginalFileName": e["original"], "ProcessId": e["pid"],
                "ProcessCommandLine": e["command"], "ProcessIntegrityLevel": e["integrity"],
                **account, "InitiatingProcessAccountDomain": domain, "InitiatingProcessAccountName": user,
                "InitiatingProcessFileName": basename(e["parent"]).lower(),
                "InitiatingProcessFolderPath": e["parent"].lower(), "InitiatingProcessId": e["parent_pid"],
                "InitiatingProcessCommandLine": e["parent_command"], "ReportId": number, "AdditionalFields": ""}
    action = ("ConnectionFailed" if e["failed"] else "ConnectionSuccess") if e["outbound"] else "InboundConnectionAccepted"
    return {**head, "ActionType": action, "RemoteIP": e["ip"], "RemotePort": e["port"],
            "RemoteUrl": "" if e["name"] == "-" else e["name"], "LocalIP": e["local_ip"],
            "LocalPort": e["local_port"], "Protocol": e["proto"].capitalize(), "LocalIPType": "Private",
            "RemoteIPType": "Public" if public(e["ip"]) else "Private",
            "InitiatingProcessFileName": basename(e["image"]).lower(),
            "InitiatingProcessFolderPath": e["image"].lower(), "InitiatingProcessId": e["pid"],
            "InitiatingProcessCommandLine": e["command"], "InitiatingProcessParentFileName": e["parent"],
            "InitiatingProcessMD5": digest("md5", e["image"]), "InitiatingProcessSHA256": digest("sha256", e["image"]),
            **{"InitiatingProcess" + k: v for k, v in account.items()},
            "InitiatingProcessIntegrityLevel": "Medium", "ReportId": number, "AdditionalFields": ""}


def stream(e, number=1):
    """The same row in the envelope of Defender's streaming API."""
    return {"time": e["time"] + "0000Z", "tenantId": "00000000-0000-4000-8000-000000000001",
            "operationName": "Publish", "category": "AdvancedHunting-" + table(e), "Tenant": "DefaultTenant",
            "properties": portal(e, number)}


def sentinel_device(e, number=1):
    """The same row in Sentinel's copy of the table."""
    row = portal(e, number)
    row.pop("Timestamp")
    return {"TenantId": "00000000-0000-4000-8000-000000000001", "TimeGenerated": e["time"] + "0000Z",
            **row, "SourceSystem": "", "Type": table(e)}


# ---- Zeek -----------------------------------------------------------------------------------------

ZEEK_FIELDS = [("ts", "time"), ("uid", "string"), ("id.orig_h", "addr"), ("id.orig_p", "port"),
               ("id.resp_h", "addr"), ("id.resp_p", "port"), ("proto", "enum"), ("service", "string"),
               ("duration", "interval"), ("orig_bytes", "count"), ("resp_bytes", "count"),
               ("conn_state", "string"), ("local_orig", "bool"), ("local_resp", "bool"), ("missed_bytes", "count"),
               ("history", "string"), ("orig_pkts", "count"), ("orig_ip_bytes", "count"), ("resp_pkts", "count"),
               ("resp_ip_bytes", "count"), ("tunnel_parents", "set[string]")]
ZEEK_SERVICE = {53: "dns", 80: "http", 443: "ssl", 8443: "ssl", 22: "ssh", 21: "ftp", 25: "smtp"}


def zeek(e, number=1):
    """The connection as Zeek's conn.log names it, JSON form (types as Zeek writes them)."""
    here, there = (e["local_ip"], e["local_port"]), (e["ip"], e["port"])
    origin, response = (here, there) if e["outbound"] else (there, here)
    seconds = parse_time(e["time"])
    row = {"ts": seconds.timestamp(), "uid": "C" + digest("md5", f"{e['time']}{number}")[:17],
           "id.orig_h": origin[0], "id.orig_p": origin[1], "id.resp_h": response[0], "id.resp_p": response[1],
           "proto": e["proto"], "duration": round(0.05 + e["received"] / 100000, 6), "orig_bytes": e["sent"],
           "resp_bytes": e["received"], "conn_state": "SF", "local_orig": not public(origin[0]),
           "local_resp": not public(response[0]), "missed_bytes": 0, "history": "ShADadFf",
           "orig_pkts": 4 + e["sent"] // 1400, "orig_ip_bytes": e["sent"] + 172,
           "resp_pkts": 4 + e["received"] // 1400, "resp_ip_bytes": e["received"] + 172}
    if e["port"] in ZEEK_SERVICE:
        row["service"] = ZEEK_SERVICE[e["port"]]
    return row


def zeek_tsv_line(row):
    """One line of conn.log in Zeek's own tab-separated form."""
    cells = []
    for name, kind in ZEEK_FIELDS:
        value = row.get(name)
        if value is None:
            cells.append("-")
        elif kind == "bool":
            cells.append("T" if value else "F")
        elif kind in ("time", "interval"):
            cells.append(f"{value:.6f}")
        else:
            cells.append(str(value))
    return "\t".join(cells)


SHAPES = {f.__name__: f for f in
          (flat, beat6, ecs, windows_event, sentinel_event, security, portal, stream, sentinel_device, zeek)}
