#!/usr/bin/env python3
"""Makes schemas/*.schema from schema collections in JSON: `make_schemas.py FOLDER`.

FOLDER holds
  defender_xdr.json             {table: [{name, type}]}   advanced hunting, as the Defender portal names columns
  sentinel_log_analytics.json   {table: [{name, type}]}   the Log Analytics table reference
  sysmon_15.15_schema_4.90.json Sysmon's own manifest (events, fields, inType)
  security_auditing.json        EventData of Windows Security events, by event and version

Only facts are taken: names and types. They come from Microsoft Learn's table references (through
oshezaf/sentinelninja, Apache-2.0, and pySigma-backend-kusto), and from OTRF/OSSEM-DD (MIT).
The output is checked in; the build does not need this script. Domains stand in domains.txt, by hand.
"""
import json, os, re, sys, textwrap

SRC = sys.argv[1] if len(sys.argv) > 1 else "."
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "schemas")

# The record's own columns, as every Windows event has them.
SYSTEM = [("TimeGenerated", "datetime"), ("EventID", "int"), ("Provider", "string"), ("Channel", "string"),
          ("Computer", "string"), ("EventRecordID", "long"), ("Level", "int"), ("Task", "int"), ("Opcode", "int"),
          ("Keywords", "string"), ("Version", "int"), ("SystemUserId", "string"), ("SystemProcessId", "long"),
          ("SystemThreadId", "long")]

# EventData of other channels that detections name often; the table is open, so this only helps completion.
WINDOWS_DATA = """Data Message Description ScriptBlockText ScriptBlockId MessageNumber MessageTotal Path Payload ContextInfo
UserData HostApplication HostName HostVersion EngineVersion CommandLine ServiceName ImagePath ServiceType StartType
AccountName TaskName UserContext ActionName ResultCode RemoteName LocalName processPath processId jobTitle url
param1 param2 param3 param4 param5 param6 User SessionID Address Source Action ApplicationPath ModifyingApplication
RuleName Operation ESS CONSUMER Query QueryName QueryResults QueryStatus ProcessName TargetName UserName WorkstationName
DomainName SChannelName ThreatName FileNameBuffer ProcessNameBuffer RequestedPolicy ValidatedPolicy NewValue OldValue
PackageFullName PackageSourceUri AppId CallingProcess FilePath PackagePath PackageId
ShareName ObjectName ServerName Reason Status Service subjectName payload process Caption SearchFilter DistinguishedName
TargetUserName TargetUserSid TargetDomainName SubjectUserName SubjectUserSid SubjectDomainName Origin
AppName AppVersion ExceptionCode ModuleName ImageName ErrorCode Flags HasFullTrust QNAME Configuration SidList Name RemoteAddress
ServerAddress ClientAddress EncyptionUsed SigningUsed Binary DeviceName HiveName IsatapRouter Value PossibleCause ProcessPath AppID ProcessId""".split()

# Event data of the Security channel that neither table above has, all text; rules ask for them.
SECURITY_DATA = """AttributeLDAPDisplayName AttributeValue AuditSourceName CertThumbprint ClientProcessId FileName FilterName FilterOrigin
NewTargetUserName NewTemplateContent ObjectClass ObjectDN OldTargetUserName ParentProcessId PreAuthType ProviderContextName Service
ServicePrincipalNames TargetName TaskContentNew TicketEncryptionType TicketOptions param1""".split()

# Defender's antivirus writes names with a blank; Sigma's and Sentinel's tables write them without.
SECURITY_EXTRA = [("Provider", "string"), ("EventRecordID", "long")]
SECURITY_TYPES = {"SourcePort": "int", "DestPort": "int", "Protocol": "int", "ProcessID": "long", "FilterRTID": "long",
                  "LayerRTID": "long", "EtherType": "string", "MediaType": "int", "InterfaceType": "int"}

LOG_ANALYTICS = """AADManagedIdentitySignInLogs AADNonInteractiveUserSignInLogs AADProvisioningLogs AADRiskyUsers
AADServicePrincipalSignInLogs AADUserRiskEvents AWSCloudTrail AWSGuardDuty AWSVPCFlow Alert Anomalies
ASimAuditEventLogs ASimAuthenticationEventLogs ASimDhcpEventLogs ASimDnsActivityLogs ASimFileEventLogs
ASimNetworkSessionLogs ASimProcessEventLogs ASimRegistryEventLogs ASimUserManagementActivityLogs ASimWebSessionLogs
AZFWApplicationRule AZFWDnsQuery AZFWIdpsSignature AZFWNatRule AZFWNetworkRule AZFWThreatIntel AppServiceHTTPLogs
AuditLogs AzureActivity AzureDevOpsAuditing AzureDiagnostics AzureMetrics BehaviorAnalytics CommonSecurityLog
ConfigurationChange ConfigurationData ContainerLogV2 DnsEvents DnsInventory Dynamics365Activity Event GCPAuditLogs
Heartbeat HuntingBookmark IdentityInfo IntuneAuditLogs IntuneDevices LAQueryLogs LinuxAuditLog McasShadowItReporting
MicrosoftGraphActivityLogs NetworkAccessTraffic NetworkSessions OfficeActivity Operation Perf PowerBIActivity
ProtectionStatus SecurityAlert SecurityBaseline SecurityDetection SecurityIncident SecurityNestedRecommendation
SecurityRecommendation SentinelAudit SentinelHealth SigninLogs SqlVulnerabilityAssessmentResult StorageBlobLogs
StorageFileLogs Syslog ThreatIntelIndicators ThreatIntelligenceIndicator Update UpdateSummary Usage UserPeerAnalytics
ADFSSignInLogs AZKVAuditLogs AKSAudit AKSAuditAdmin AKSControlPlane IntuneOperationalLogs MicrosoftAzureBastionAuditLogs
ContainerRegistryLoginEvents ContainerRegistryRepositoryEvents StorageTableLogs StorageQueueLogs ContainerLog AppTraces
AppServiceAuditLogs AppServiceIPSecAuditLogs AADServicePrincipalRiskEvents ConfidentialWatchlist MessageEvents
MessagePostDeliveryEvents MessageUrlInfo PowerAppsActivity PowerPlatformConnectorActivity CloudDnsEvents
VMBoundPort VMComputer VMConnection VMProcess W3CIISLog Watchlist WindowsEvent WindowsFirewall WireData""".split()
OPEN_LOG_ANALYTICS = {"Event", "WindowsEvent", "Syslog", "AzureDiagnostics", "CommonSecurityLog"}

ABOUT = {
    "Sysmon": "Every event of Sysmon for Windows, one column for each field of its manifest (schema 4.90).",
    "SecurityEvent": "Windows Security log: Sentinel's columns and the EventData names of the events themselves.",
    "WindowsEvents": "Every other Windows event-log channel; EventData names are columns.",
    "DeviceNetworkEvents": "Defender: network connections and related events.",
    "DeviceProcessEvents": "Defender: process creation.",
    "DeviceFileEvents": "Defender: file creation, change, deletion.",
    "DeviceRegistryEvents": "Defender: registry keys and values.",
    "DeviceImageLoadEvents": "Defender: DLL loads.",
    "DeviceLogonEvents": "Defender: logons.",
    "DeviceEvents": "Defender: other endpoint events, security controls among them.",
    "Event": "Sentinel: Windows events, EventData as XML text.",
    "WindowsEvent": "Sentinel: Windows events, EventData as a bag.",
    "Syslog": "Sentinel: syslog messages.",
    "VMConnection": "Sentinel: connections seen by VM insights.",
    "LinuxAudit": "Linux audit records (auditd), one row a record, from audit.log or syslog.",
    "ZeekConn": "Zeek conn.log: connections.",
    "ZeekDns": "Zeek dns.log: DNS queries and answers.",
    "ZeekSsl": "Zeek ssl.log: TLS handshakes.",
    "ZeekHttp": "Zeek http.log: HTTP requests.",
}

ZEEK_ID = [("id_orig_h", "string"), ("id_orig_p", "int"), ("id_resp_h", "string"), ("id_resp_p", "int")]
ZEEK_HEAD = [("TimeGenerated", "datetime"), ("ts", "datetime"), ("uid", "string")] + ZEEK_ID
ZEEK = {
    "ZeekConn": [("proto", "string"), ("service", "string"), ("duration", "real"), ("orig_bytes", "long"),
        ("resp_bytes", "long"), ("conn_state", "string"), ("local_orig", "bool"), ("local_resp", "bool"),
        ("missed_bytes", "long"), ("history", "string"), ("orig_pkts", "long"), ("orig_ip_bytes", "long"),
        ("resp_pkts", "long"), ("resp_ip_bytes", "long"), ("tunnel_parents", "dynamic"), ("orig_l2_addr", "string"),
        ("resp_l2_addr", "string"), ("vlan", "int"), ("inner_vlan", "int"), ("community_id", "string")],
    "ZeekDns": [("proto", "string"), ("trans_id", "int"), ("rtt", "real"), ("query", "string"), ("qclass", "int"),
        ("qclass_name", "string"), ("qtype", "int"), ("qtype_name", "string"), ("rcode", "int"),
        ("rcode_name", "string"), ("AA", "bool"), ("TC", "bool"), ("RD", "bool"), ("RA", "bool"), ("Z", "int"),
        ("answers", "dynamic"), ("TTLs", "dynamic"), ("rejected", "bool")],
    "ZeekSsl": [("version", "string"), ("cipher", "string"), ("curve", "string"), ("server_name", "string"),
        ("resumed", "bool"), ("last_alert", "string"), ("next_protocol", "string"), ("established", "bool"),
        ("cert_chain_fuids", "dynamic"), ("client_cert_chain_fuids", "dynamic"), ("subject", "string"),
        ("issuer", "string"), ("client_subject", "string"), ("client_issuer", "string"),
        ("validation_status", "string"), ("ja3", "string"), ("ja3s", "string")],
    "ZeekHttp": [("trans_depth", "int"), ("method", "string"), ("host", "string"), ("uri", "string"),
        ("referrer", "string"), ("version", "string"), ("user_agent", "string"), ("origin", "string"),
        ("request_body_len", "long"), ("response_body_len", "long"), ("status_code", "int"),
        ("status_msg", "string"), ("info_code", "int"), ("info_msg", "string"), ("tags", "dynamic"),
        ("username", "string"), ("password", "string"), ("proxied", "dynamic"), ("orig_fuids", "dynamic"),
        ("orig_filenames", "dynamic"), ("orig_mime_types", "dynamic"), ("resp_fuids", "dynamic"),
        ("resp_filenames", "dynamic"), ("resp_mime_types", "dynamic"), ("client_header_names", "dynamic")],
    "ZeekDceRpc": [("rtt", "real"), ("named_pipe", "string"), ("endpoint", "string"), ("operation", "string")],
    "ZeekDhcp": [("uids", "dynamic"), ("client_addr", "string"), ("server_addr", "string"), ("mac", "string"),
        ("host_name", "string"), ("client_fqdn", "string"), ("domain", "string"), ("requested_addr", "string"),
        ("assigned_addr", "string"), ("lease_time", "real"), ("client_message", "string"), ("server_message", "string"),
        ("msg_types", "dynamic"), ("duration", "real")],
    "ZeekFiles": [("fuid", "string"), ("tx_hosts", "dynamic"), ("rx_hosts", "dynamic"), ("conn_uids", "dynamic"),
        ("source", "string"), ("depth", "int"), ("analyzers", "dynamic"), ("mime_type", "string"), ("filename", "string"),
        ("duration", "real"), ("local_orig", "bool"), ("is_orig", "bool"), ("seen_bytes", "long"), ("total_bytes", "long"),
        ("missing_bytes", "long"), ("overflow_bytes", "long"), ("timedout", "bool"), ("parent_fuid", "string"),
        ("md5", "string"), ("sha1", "string"), ("sha256", "string"), ("extracted", "string")],
    "ZeekFtp": [("user", "string"), ("password", "string"), ("command", "string"), ("arg", "string"),
        ("mime_type", "string"), ("file_size", "long"), ("reply_code", "int"), ("reply_msg", "string"),
        ("data_channel_passive", "bool"), ("data_channel_orig_h", "string"), ("data_channel_resp_h", "string"),
        ("data_channel_resp_p", "int"), ("fuid", "string")],
    "ZeekKerberos": [("request_type", "string"), ("client", "string"), ("service", "string"), ("success", "bool"),
        ("error_code", "int"), ("error_msg", "string"), ("from", "datetime"), ("till", "datetime"), ("cipher", "string"),
        ("forwardable", "bool"), ("renewable", "bool"), ("client_cert_subject", "string"), ("client_cert_fuid", "string"),
        ("server_cert_subject", "string"), ("server_cert_fuid", "string")],
    "ZeekLdap": [("message_id", "int"), ("version", "int"), ("opcode", "string"), ("result", "string"),
        ("diagnostic_message", "string"), ("object", "string"), ("argument", "string")],
    "ZeekModbus": [("tid", "int"), ("unit", "int"), ("func", "string"), ("pdu_type", "string"), ("exception", "string")],
    "ZeekMysql": [("cmd", "string"), ("arg", "string"), ("success", "bool"), ("rows", "long"), ("response", "string")],
    "ZeekNotice": [("fuid", "string"), ("file_mime_type", "string"), ("file_desc", "string"), ("proto", "string"),
        ("note", "string"), ("msg", "string"), ("sub", "string"), ("src", "string"), ("dst", "string"), ("p", "int"),
        ("n", "long"), ("peer_descr", "string"), ("actions", "dynamic"), ("suppress_for", "real")],
    "ZeekNtlm": [("username", "string"), ("hostname", "string"), ("domainname", "string"),
        ("server_nb_computer_name", "string"), ("server_dns_computer_name", "string"), ("server_tree_name", "string"),
        ("success", "bool")],
    "ZeekNtp": [("version", "int"), ("mode", "int"), ("stratum", "int"), ("poll", "real"), ("precision", "real"),
        ("root_delay", "real"), ("root_disp", "real"), ("ref_id", "string"), ("num_exts", "int")],
    "ZeekPe": [("id", "string"), ("machine", "string"), ("compile_ts", "datetime"), ("os", "string"), ("subsystem", "string"),
        ("is_exe", "bool"), ("is_64bit", "bool"), ("uses_aslr", "bool"), ("uses_dep", "bool"), ("uses_code_integrity", "bool"),
        ("uses_seh", "bool"), ("has_import_table", "bool"), ("has_export_table", "bool"), ("has_cert_table", "bool"),
        ("has_debug_data", "bool"), ("section_names", "dynamic")],
    "ZeekQuic": [("version", "string"), ("client_initial_dcid", "string"), ("client_scid", "string"),
        ("server_scid", "string"), ("server_name", "string"), ("client_protocol", "string"), ("history", "string")],
    "ZeekRadius": [("username", "string"), ("mac", "string"), ("framed_addr", "string"), ("tunnel_client", "string"),
        ("connect_info", "string"), ("reply_msg", "string"), ("result", "string"), ("ttl", "real")],
    "ZeekRdp": [("cookie", "string"), ("result", "string"), ("security_protocol", "string"), ("client_channels", "dynamic"),
        ("keyboard_layout", "string"), ("client_build", "string"), ("client_name", "string"), ("client_dig_product_id", "string"),
        ("desktop_width", "int"), ("desktop_height", "int"), ("requested_color_depth", "string"), ("cert_type", "string"),
        ("cert_count", "int"), ("cert_permanent", "bool"), ("encryption_level", "string"), ("encryption_method", "string")],
    "ZeekRfb": [("client_major_version", "string"), ("client_minor_version", "string"), ("server_major_version", "string"),
        ("server_minor_version", "string"), ("authentication_method", "string"), ("auth", "bool"), ("share_flag", "bool"),
        ("desktop_name", "string"), ("width", "int"), ("height", "int")],
    "ZeekSip": [("trans_depth", "int"), ("method", "string"), ("uri", "string"), ("date", "string"), ("request_from", "string"),
        ("request_to", "string"), ("response_from", "string"), ("response_to", "string"), ("call_id", "string"),
        ("subject", "string"), ("user_agent", "string"), ("status_code", "int"), ("status_msg", "string")],
    "ZeekSmbFiles": [("fuid", "string"), ("action", "string"), ("path", "string"), ("name", "string"), ("size", "long"),
        ("prev_name", "string"), ("times_modified", "datetime"), ("times_accessed", "datetime"),
        ("times_created", "datetime"), ("times_changed", "datetime"), ("data_offset_req", "long"), ("data_len_req", "long"),
        ("data_len_rsp", "long")],
    "ZeekSmbMapping": [("path", "string"), ("service", "string"), ("native_file_system", "string"), ("share_type", "string")],
    "ZeekSmtp": [("trans_depth", "int"), ("helo", "string"), ("mailfrom", "string"), ("rcptto", "dynamic"), ("date", "string"),
        ("from", "string"), ("to", "dynamic"), ("cc", "dynamic"), ("reply_to", "string"), ("msg_id", "string"),
        ("in_reply_to", "string"), ("subject", "string"), ("x_originating_ip", "string"), ("first_received", "string"),
        ("second_received", "string"), ("last_reply", "string"), ("path", "dynamic"), ("user_agent", "string"),
        ("tls", "bool"), ("fuids", "dynamic")],
    "ZeekSnmp": [("duration", "real"), ("version", "string"), ("community", "string"), ("get_requests", "long"),
        ("get_bulk_requests", "long"), ("get_responses", "long"), ("set_requests", "long"), ("display_string", "string"),
        ("up_since", "datetime")],
    "ZeekSocks": [("version", "int"), ("user", "string"), ("password", "string"), ("status", "string"),
        ("request_host", "string"), ("request_name", "string"), ("request_p", "int"), ("bound_host", "string"),
        ("bound_name", "string"), ("bound_p", "int")],
    "ZeekSsh": [("version", "int"), ("auth_success", "bool"), ("auth_attempts", "int"), ("direction", "string"),
        ("client", "string"), ("server", "string"), ("cipher_alg", "string"), ("mac_alg", "string"),
        ("compression_alg", "string"), ("kex_alg", "string"), ("host_key_alg", "string"), ("host_key", "string"),
        ("hassh", "string"), ("hasshServer", "string")],
    "ZeekSyslog": [("proto", "string"), ("facility", "string"), ("severity", "string"), ("message", "string")],
    "ZeekTunnel": [("tunnel_type", "string"), ("action", "string")],
    "ZeekWeird": [("name", "string"), ("addl", "string"), ("notice", "bool"), ("peer", "string"), ("source", "string")],
    "ZeekX509": [("id", "string"), ("fingerprint", "string"), ("certificate_version", "int"), ("certificate_serial", "string"),
        ("certificate_subject", "string"), ("certificate_issuer", "string"), ("certificate_not_valid_before", "datetime"),
        ("certificate_not_valid_after", "datetime"), ("certificate_key_alg", "string"), ("certificate_sig_alg", "string"),
        ("certificate_key_type", "string"), ("certificate_key_length", "int"), ("certificate_exponent", "string"),
        ("certificate_curve", "string"), ("san_dns", "dynamic"), ("san_uri", "dynamic"), ("san_email", "dynamic"),
        ("san_ip", "dynamic"), ("basic_constraints_ca", "bool"), ("basic_constraints_path_len", "int"),
        ("host_cert", "bool"), ("client_cert", "bool")],
}

# Fields of Linux audit records that detections use. All text: a record's fields are text, and rules compare them so.
LINUX_AUDIT = """Computer type serial CommandLine a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 acct addr arch argc auid AUID cmd cmdline comm cwd
egid euid EUID exe exit gid GID grantors hostname inode item items key laddr lport mode name nametype node op ouid pid ppid proctitle
res result saddr SADDR ses success syscall SYSCALL terminal tty uid UID unit user""".split()


def load(name):
    with open(os.path.join(SRC, name), encoding="utf-8") as f:
        return json.load(f)


def clean(tables):
    """Scraped pages leave footnote marks on names and placeholders in lists."""
    types = {"string", "datetime", "long", "int", "real", "bool", "dynamic", "guid"}
    out = {}
    for table, columns in tables.items():
        found = []
        for c in columns:
            name = re.match(r"[A-Za-z_]\w*", c["name"])
            if name:
                found.append((name.group(), c["type"] if c["type"] in types else "string"))
        out[table] = merge(found)
    return out


def merge(*lists):
    """First type wins, first place wins."""
    seen = {}
    for columns in lists:
        for name, ty in columns:
            seen.setdefault(name, ty)
    return list(seen.items())


def block(name, columns, is_open, time="TimeGenerated"):
    out = ["table %s %s time=%s" % (name, "open" if is_open else "closed", time)]
    if name in ABOUT:
        out.append("about " + ABOUT[name])
    run, ty = [], None
    def flush():
        if run:
            out.extend(textwrap.wrap(ty + " " + " ".join(run), 118, subsequent_indent="  "))
    for n, t in columns:
        t = {"boolean": "bool", "double": "real", "int32": "int", "int64": "long"}.get(t, t)
        if t != ty:
            flush()
            run, ty = [], t
        run.append(n)
    flush()
    return "\n".join(out) + "\n"


def write(name, note, blocks):
    with open(os.path.join(OUT, name + ".schema"), "w", encoding="utf-8", newline="\n") as f:
        f.write("# Made by tools/make_schemas.py. %s\n\n" % note)
        f.write("\n".join(blocks))


def sysmon():
    types = {"win:UInt32": "long", "win:UInt16": "int", "win:Boolean": "bool"}
    out = []
    events = load("sysmon_15.15_schema_4.90.json")["events"]
    for k in sorted(events, key=int):
        for f in events[k]["fields"]:
            ty = "datetime" if f["name"].endswith("UtcTime") else types.get(f["inType"], "string")
            out.append((f["name"], ty))
    return merge(SYSTEM, out)


def security(la):
    out = []
    for event in load("security_auditing.json").values():
        for f in event["fields"]:
            ty = {"UInt8": "int", "UInt16": "int", "UInt32": "long", "UInt64": "long", "Boolean": "bool",
                  "FILETIME": "datetime", "SYSTEMTIME": "datetime"}.get(f["type"], "string")
            out.append((f["name"], SECURITY_TYPES.get(f["name"], ty)))
    columns = sorted(la["SecurityEvent"], key=lambda c: c[0].lower())
    first = [("TimeGenerated", "datetime"), ("EventID", "int"), ("Provider", "string"), ("Channel", "string"),
             ("Computer", "string"), ("EventRecordID", "long")]
    return merge(first, columns, out, [(n, "string") for n in SECURITY_DATA])


def main():
    la = clean(load("sentinel_log_analytics.json"))
    xdr = clean(load("defender_xdr.json"))
    write("windows", "Sysmon's manifest; Windows Security events; Log Analytics' SecurityEvent.", [
        block("Sysmon", sysmon(), True, "UtcTime"),
        block("SecurityEvent", security(la), True),
        block("WindowsEvents", merge(SYSTEM, [(n, "string") for n in WINDOWS_DATA]), True),
    ])
    both = []
    for t in sorted(xdr):
        door = [("Timestamp", "datetime"), ("TimeGenerated", "datetime")]
        # Where the doors differ in type, the wider one: a bag can hold the text of the other door.
        wide = {n for n, ty in la.get(t, []) if ty == "dynamic"}
        columns = merge(door, [(n, "dynamic" if n in wide else ty) for n, ty in xdr[t]], la.get(t, []))
        both.append(block(t, columns, False, "Timestamp"))
    write("defender", "Advanced hunting: the portal's columns and those of Log Analytics.", both)
    write("log_analytics", "Log Analytics and Sentinel tables that detections use often.", [
        block(t, sorted(la[t], key=lambda c: (c[0] != "TimeGenerated", c[0].lower())), t in OPEN_LOG_ANALYTICS)
        for t in LOG_ANALYTICS if t not in xdr and t in la])
    write("linux", "Linux audit records.", [
        block("LinuxAudit", [("TimeGenerated", "datetime")] + [(n, "string") for n in LINUX_AUDIT], True),
    ])
    write("zeek", "Zeek's own logs; dots in field names become underscores.", [
        block(t, merge(ZEEK_HEAD, cs), True, "ts") for t, cs in ZEEK.items()])


main()
