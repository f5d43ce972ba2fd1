#!/usr/bin/env python3
"""Copies a folder of Sigma rules many times over, every copy with other values and ids, to see what more rules cost.

    scripts/make_rules.py RULES --out DIR [--copies 10]

The first copy is the rules as they are. In the others every quoted or plain text in the detection that has more than six
characters gets the copy's number at its end, before a closing wildcard; numbers, regular expressions, short texts and the
exclusions (filter*) stay.
"""

import argparse
import pathlib
import re
import uuid

VALUE = re.compile(r"^(?P<head>\s+(?:-\s+)?(?:[\w.|]+:\s+)?)(?P<q>['\"]?)(?P<text>[^'\"#{}\[\]|>]{7,}?)(?P<star>\*?)(?P=q)(?P<tail>\s*(?:#.*)?)$")


def perturbed(text, copy):
    out, inside, regex, condition = [], False, False, False
    for line in text.split("\n"):
        if re.match(r"\S", line):
            inside = line.startswith("detection:")
        if line.startswith("id:"):
            line = f"id: {uuid.uuid5(uuid.NAMESPACE_OID, f'{line} {copy}')}"
        elif inside and line.strip() and not line.lstrip().startswith("#"):
            # A condition may go on in further lines. Exclusions stay: without them copies would fire on everything.
            if name := re.match(r"    (\w+):", line):
                condition = name[1] in ("condition", "timeframe") or name[1].startswith("filter")
            key = re.match(r"\s+(?:-\s+)?([\w.|]+):", line)
            if key:
                regex = any(m in key[1].split("|") for m in ("re", "cidr", "fieldref", "expand", "base64", "base64offset", "exists"))
            value = VALUE.match(line)
            number = value and re.fullmatch(r"-?\d+", value["text"].strip())
            padded = value and not value["q"] and value["text"] != value["text"].strip()
            heading = value and value["text"].rstrip().endswith(":")
            if value and not (regex or condition or number or padded or heading):
                # A backslash at the end would escape what follows it.
                end = "" if value["text"].endswith("\\") else str(copy)
                line = f"{value['head']}{value['q']}{value['text']}{end}{value['star']}{value['q']}{value['tail']}"
        out.append(line)
    return "\n".join(out)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("rules", type=pathlib.Path)
    p.add_argument("--out", required=True, type=pathlib.Path)
    p.add_argument("--copies", type=int, default=10)
    a = p.parse_args()
    written = 0
    for path in sorted(a.rules.rglob("*.yml")):
        text = path.read_text(encoding="utf-8")
        for copy in range(a.copies):
            to = a.out / str(copy) / path.relative_to(a.rules)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_text(perturbed(text, copy) if copy else text, encoding="utf-8")
            written += 1
    print(f"{written} rules in {a.out}")


if __name__ == "__main__":
    main()
