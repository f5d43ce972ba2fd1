//! Regular expressions for program names that also find other programs.

use tercel_ir::{Diagnostic, Span};

use super::Linter;
use crate::ast::Expr;

/// Programs that come with Windows or are found on most machines. The list serves to name an example;
/// that an expression is not anchored does not depend on it.
const PROGRAMS: &[&str] = &[
    "acrord32.exe",
    "appvclient.exe",
    "arp.exe",
    "at.exe",
    "atbroker.exe",
    "attrib.exe",
    "audiodg.exe",
    "autochk.exe",
    "backgroundtaskhost.exe",
    "bash.exe",
    "bcdboot.exe",
    "bcdedit.exe",
    "bitsadmin.exe",
    "bootcfg.exe",
    "cacls.exe",
    "calc.exe",
    "calculatorapp.exe",
    "certreq.exe",
    "certutil.exe",
    "charmap.exe",
    "chkdsk.exe",
    "chrome.exe",
    "cipher.exe",
    "cleanmgr.exe",
    "cmd.exe",
    "cmdkey.exe",
    "cmdl32.exe",
    "cmstp.exe",
    "colorcpl.exe",
    "compact.exe",
    "conhost.exe",
    "control.exe",
    "csc.exe",
    "cscript.exe",
    "csrss.exe",
    "ctfmon.exe",
    "curl.exe",
    "dashost.exe",
    "dcomcnfg.exe",
    "dfrgui.exe",
    "dfsvc.exe",
    "diskpart.exe",
    "diskshadow.exe",
    "dism.exe",
    "dismhost.exe",
    "dllhost.exe",
    "dnscmd.exe",
    "driverquery.exe",
    "dsregcmd.exe",
    "dwm.exe",
    "esentutl.exe",
    "eudcedit.exe",
    "eventvwr.exe",
    "excel.exe",
    "expand.exe",
    "explorer.exe",
    "extexport.exe",
    "extrac32.exe",
    "fc.exe",
    "find.exe",
    "findstr.exe",
    "finger.exe",
    "firefox.exe",
    "fltmc.exe",
    "fodhelper.exe",
    "fontdrvhost.exe",
    "format.com",
    "forfiles.exe",
    "fsutil.exe",
    "ftp.exe",
    "getmac.exe",
    "git.exe",
    "gpresult.exe",
    "gpupdate.exe",
    "help.exe",
    "hh.exe",
    "hostname.exe",
    "icacls.exe",
    "iediagcmd.exe",
    "ieexec.exe",
    "iexplore.exe",
    "ilasm.exe",
    "infdefaultinstall.exe",
    "installutil.exe",
    "ipconfig.exe",
    "java.exe",
    "javaw.exe",
    "jsc.exe",
    "klist.exe",
    "logonui.exe",
    "lsass.exe",
    "makecab.exe",
    "mavinject.exe",
    "microsoft.workflow.compiler.exe",
    "mmc.exe",
    "mobsync.exe",
    "mofcomp.exe",
    "mpcmdrun.exe",
    "msbuild.exe",
    "msconfig.exe",
    "msdt.exe",
    "msdtc.exe",
    "msedge.exe",
    "mshta.exe",
    "msiexec.exe",
    "msmpeng.exe",
    "mspaint.exe",
    "msra.exe",
    "mstsc.exe",
    "nbtstat.exe",
    "net.exe",
    "net1.exe",
    "netsh.exe",
    "netstat.exe",
    "nltest.exe",
    "node.exe",
    "notepad++.exe",
    "notepad.exe",
    "nslookup.exe",
    "ntdsutil.exe",
    "odbcconf.exe",
    "onedrive.exe",
    "openfiles.exe",
    "openssh.exe",
    "outlook.exe",
    "pathping.exe",
    "pcalua.exe",
    "pcwrun.exe",
    "perl.exe",
    "ping.exe",
    "pnputil.exe",
    "powerpnt.exe",
    "powershell.exe",
    "powershell_ise.exe",
    "presentationhost.exe",
    "print.exe",
    "provlaunch.exe",
    "psexec.exe",
    "psr.exe",
    "putty.exe",
    "pwsh.exe",
    "python.exe",
    "pythonw.exe",
    "qprocess.exe",
    "quser.exe",
    "qwinsta.exe",
    "rasdial.exe",
    "rdpclip.exe",
    "reg.exe",
    "regasm.exe",
    "regedit.exe",
    "regedt32.exe",
    "regini.exe",
    "register-cimprovider.exe",
    "regsvcs.exe",
    "regsvr32.exe",
    "robocopy.exe",
    "route.exe",
    "rundll32.exe",
    "runonce.exe",
    "runtimebroker.exe",
    "rwinsta.exe",
    "sc.exe",
    "schtasks.exe",
    "scp.exe",
    "scrcons.exe",
    "sdbinst.exe",
    "sdclt.exe",
    "searchindexer.exe",
    "secedit.exe",
    "services.exe",
    "setspn.exe",
    "sfc.exe",
    "sftp.exe",
    "shutdown.exe",
    "sihost.exe",
    "smss.exe",
    "snippingtool.exe",
    "spoolsv.exe",
    "sqlcmd.exe",
    "sqlps.exe",
    "ssh.exe",
    "svchost.exe",
    "systeminfo.exe",
    "takeown.exe",
    "tar.exe",
    "taskeng.exe",
    "taskhost.exe",
    "taskhostw.exe",
    "taskkill.exe",
    "tasklist.exe",
    "taskmgr.exe",
    "teams.exe",
    "telnet.exe",
    "tftp.exe",
    "tiworker.exe",
    "tracert.exe",
    "trustedinstaller.exe",
    "typeperf.exe",
    "userinit.exe",
    "utilman.exe",
    "vaultcmd.exe",
    "verclsid.exe",
    "vssadmin.exe",
    "w32tm.exe",
    "wab.exe",
    "waitfor.exe",
    "wbadmin.exe",
    "wbemtest.exe",
    "werfault.exe",
    "wermgr.exe",
    "wevtutil.exe",
    "where.exe",
    "whoami.exe",
    "win32calc.exe",
    "wininit.exe",
    "winlogon.exe",
    "winrs.exe",
    "winrshost.exe",
    "winver.exe",
    "winword.exe",
    "wmiadap.exe",
    "wmic.exe",
    "wmiprvse.exe",
    "wordpad.exe",
    "wowreg32.exe",
    "write.exe",
    "wscript.exe",
    "wsl.exe",
    "wsmprovhost.exe",
    "wuauclt.exe",
    "wusa.exe",
    "xcopy.exe",
    "xwizard.exe",
];

impl Linter<'_> {
    /// A regular expression that is found in the values of an expression.
    pub(super) fn regex(&mut self, x: &Expr, re: &str, at: Span) {
        self.private_regex(re, at);
        if !re.to_ascii_lowercase().contains("exe") {
            return;
        }
        let Ok(compiled) = tercel_ir::function::compile_regex(re) else { return };
        // The programs that are meant, and others that end like one of them.
        let mut meant: Vec<&str> = Vec::new();
        let mut others: Vec<(&str, usize)> = Vec::new();
        for p in PROGRAMS {
            let path = format!("c:\\windows\\system32\\{p}");
            let name_at = path.len() - p.len();
            let Some(m) = compiled.find(&path) else { continue };
            // From the first letter of the name on: meant. Later: the tail of another name.
            if m.start() <= name_at {
                meant.push(p);
            } else {
                others.push((p, m.start() - name_at));
            }
        }
        // Not anchored if a letter before a name that is meant makes no difference.
        let open = |p: &&str| compiled.is_match(&format!("c:\\windows\\system32\\x{p}"));
        let Some(first) = meant.iter().copied().find(open) else { return };
        let shown = crate::print::print_expr(x);
        let (names, tail) = match others.first() {
            Some((other, from)) => {
                let names: Vec<String> = others.iter().take(3).map(|(p, _)| format!("`{p}`")).collect();
                (names.join(", "), &other[*from..])
            }
            None => (format!("`x{first}`"), first),
        };
        let tail = tail.split(".exe").next().unwrap_or(tail);
        self.report(
            Diagnostic::warning("sumo-unanchored-exe-regex", format!("this also matches {names}"))
                .at(at)
                .label(format!("`{tail}.exe` is found inside longer names"))
                .meaning(format!(
                    "the expression is searched anywhere in `{shown}`, and nothing says where the name begins"
                ))
                .help("begin it with `(^|\\\\)` and end it with `$`: `/(^|\\\\)(a|b)\\.exe$/`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_lower_case() {
        assert!(PROGRAMS.iter().all(|p| *p == p.to_lowercase()));
    }
}
