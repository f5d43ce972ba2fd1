#!/usr/bin/env python3
"""Compares the hits of each rule: tercel's (hunt --format jsonl) against another engine's (one JSON object a hit with
`rule_id`).

    scripts/compare_hits.py TERCEL.jsonl OTHER.ndjson
"""

import collections
import json
import sys


def hits(path):
    count, titles = collections.Counter(), {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.strip():
                h = json.loads(line)
                rule = h.get("rule") or h.get("rule_id")
                count[rule] += 1
                titles[rule] = h.get("title") or h.get("rule_title")
    return count, titles


def main():
    (a, ta), (b, tb) = hits(sys.argv[1]), hits(sys.argv[2])
    differ = sorted((r for r in a.keys() | b.keys() if a[r] != b[r]), key=lambda r: -abs(a[r] - b[r]))
    print(f"hits: {sum(a.values())} and {sum(b.values())}; {len(a.keys() | b.keys())} rules fired, {len(differ)} of them differently")
    for r in differ:
        print(f"  {a[r]:>8} {b[r]:>8}  {ta.get(r) or tb.get(r)} ({r})")


if __name__ == "__main__":
    main()
