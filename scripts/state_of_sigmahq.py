#!/usr/bin/env python3
"""Writes docs/state-of-sigmahq.md: what `tercel lint` proves about a folder of Sigma rules.

    scripts/state_of_sigmahq.py FOLDER [--tercel target/release/tercel] [--revision TEXT] [-o FILE]

FOLDER is a checkout of SigmaHQ's rules, or a part of it. Only titles, ids and the values that a finding is about are written.
"""

import argparse
import collections
import datetime
import json
import os
import re
import subprocess
import sys
import time

RANKS = [
    ("never-fires", "Can never fire", "Conditions of the rule contradict each other."),
    ("log-source-clash", "Contradicts its log source", "By itself the rule could fire, but not on events of its log source as they are read here."),
    ("selection-without-effect", "Alternative or exclusion without effect", "Taking it out changes nothing."),
    ("filter-never-bites", "Exclusion that never excludes", "What it describes never gets as far."),
    ("always-true", "Condition that is always true", "Every event that gets as far meets it."),
    ("item-never-matters", "List item that never matters", "Something elsewhere in the rule makes it idle."),
    ("shadowed-item", "List item covered by another", "The other one finds everything that this one finds."),
    ("redundant-condition", "Test for absence that is not needed", "Harmless."),
    ("equal-rules", "Rules that are equal", "They find the same events."),
    ("contained-rule", "Rules inside other rules", "Everything that the rule finds, the other finds too. Often on purpose: the narrower rule has a higher level."),
    ("not-proved", "Not decided", "Said, not guessed."),
]
# A long list of what is only untidy helps nobody.
SHOWN = {"shadowed-item": 60, "contained-rule": 40}


def short(text, limit=400):
    text = " ".join((text or "").split()).replace("|", "\\|")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def without_paths(text, folder):
    """File names instead of paths of this machine."""
    return re.sub(re.escape(os.path.abspath(folder)) + r"/(?:[^`,)]*/)?", "", text or "")


def titles(folder):
    out = {}
    for base, _, names in os.walk(folder):
        for name in names:
            if name.endswith((".yml", ".yaml")):
                path = os.path.join(base, name)
                with open(path, encoding="utf-8", errors="replace") as f:
                    found = re.search(r"^title:\s*(.+)$", f.read(), re.M)
                out[os.path.abspath(path)] = found.group(1).strip().strip("'\"") if found else name
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder")
    p.add_argument("--tercel", default="target/release/tercel")
    p.add_argument("--revision", default="unknown")
    p.add_argument("-o", "--output", default="docs/state-of-sigmahq.md")
    a = p.parse_args()
    folder = os.path.abspath(a.folder)
    start = time.monotonic()
    ran = subprocess.run([a.tercel, "lint", folder, "--format", "json"], capture_output=True, text=True)
    if ran.returncode not in (0, 1):
        sys.exit(f"lint failed: {ran.stderr[-2000:]}")
    took = time.monotonic() - start
    found = json.loads(ran.stdout)
    names = titles(folder)
    by = collections.defaultdict(list)
    for f in found:
        by[f["code"]].append(f)
    out = []
    w = out.append
    w("# The state of SigmaHQ\n")
    w(
        f"What `tercel lint` proves about the {len(names)} rules of SigmaHQ (revision {a.revision}), without any data. Written by "
        f"`scripts/state_of_sigmahq.py` on {datetime.date.today().isoformat()}.\n"
    )
    w(
        "Every finding holds for all events, whatever tool writes them: a part is listed only when the rule without it finds exactly the same. "
        "The proofs follow the Sigma specification as tercel reads it: values ignore case, a missing field meets nothing but `null`, "
        "and `null` and the empty text are one. Some of it is on purpose (a value kept for documentation, a narrower rule with a higher level); "
        "none of it changes what is found.\n"
    )
    w("| rank | | findings | rules |")
    w("|--:|---|--:|--:|")
    for i, (code, title, _) in enumerate(RANKS, 1):
        rules = {f["file"] for f in by[code]}
        w(f"| {i} | {title} (`{code}`) | {len(by[code])} | {len(rules)} |")
    w("")
    for i, (code, title, meaning) in enumerate(RANKS, 1):
        if not by[code]:
            continue
        w(f"## {i}. {title}\n\n{meaning}\n")
        list_ = sorted(by[code], key=lambda f: (f["file"], f["line"], f["column"]))
        shown = list_[: SHOWN.get(code, len(list_))]
        for f in shown:
            name = names.get(os.path.abspath(f["file"]), "")
            w(f"- **{short(name, 120)}** (`{f['rule']}`, `{os.path.basename(f['file'])}:{f['line']}`): "
              f"{short(without_paths(f['message'], folder))}.")
            if f.get("meaning"):
                w(f"  {short(without_paths(f['meaning'], folder)[:1].upper() + without_paths(f['meaning'], folder)[1:])}.")
        if len(shown) < len(list_):
            w(f"- … and {len(list_) - len(shown)} more; `tercel lint` lists them all.")
        w("")
    with open(a.output, "w", encoding="utf-8") as f:
        f.write("\n".join(out).rstrip() + "\n")
    print(f"{a.output}: {sum(len(by[c]) for c, _, _ in RANKS)} findings, {took:.1f} s")


if __name__ == "__main__":
    main()
