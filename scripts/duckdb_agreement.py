#!/usr/bin/env python3
"""Asks DuckDB itself whether conversions to its SQL find what the rules find.

    TERCEL_SQL_CASES=cases.jsonl cargo test -p tercel --test suite sql_targets
    python3 scripts/duckdb_agreement.py cases.jsonl

needs `pip install duckdb`, and DuckDB's extension inet for ranges of addresses.
"""
import json
import sys

import duckdb

TYPES = {"long": "BIGINT", "int": "BIGINT", "bool": "BOOLEAN", "real": "DOUBLE"}


def main() -> int:
    con = duckdb.connect()
    try:
        con.execute("INSTALL inet; LOAD inet")
    except duckdb.Error as e:
        print(f"without inet: {e}", file=sys.stderr)
    agree = wrong = skipped = 0
    for line in open(sys.argv[1], encoding="utf-8"):
        case = json.loads(line)
        columns = [(n, TYPES.get(t, "VARCHAR")) for n, t in case["columns"].items()]
        table = case["table"]
        defined = ", ".join(f'"{n}" {t}' for n, t in columns)
        con.execute(f'CREATE OR REPLACE TABLE "{table}" (row_number BIGINT, {defined})')
        marks = ", ".join("?" * (len(columns) + 1))
        rows = [[i, *r] for i, r in enumerate(case["rows"])]
        con.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows[:300])
        wanted = {i for i in case["wanted"] if i < 300}
        try:
            found = con.execute(case["sql"].replace("SELECT *", "SELECT row_number", 1)).fetchall()
        except duckdb.Error as e:
            print(f"{case['rule']}: {e}\n{case['sql']}")
            skipped += 1
            continue
        found = {r[0] for r in found}
        if found == wanted:
            agree += 1
        elif case["exact"]:
            i = min(found ^ wanted)
            print(f"{case['rule']}: DuckDB {i in found} of {rows[i]}\n{case['sql']}")
            wrong += 1
    print(f"{agree} agree, {wrong} differ, {skipped} did not run")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
