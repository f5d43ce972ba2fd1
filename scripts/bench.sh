#!/usr/bin/env bash
# Whole-process benchmark: one hunt over synthetic Sysmon connections, from NDJSON and from Parquet.
#
#   scripts/bench.sh [EVENTS] [RULES…]      default: 1000000, and the rules named below
#
# Prints for each run: seconds, MB/s and events/s of input, peak memory, processor time, hits. The data
# stays in $TERCEL_BENCH_DIR (default: target/bench-data) and is made once for each number of events.
# There are no timed tests; numbers are written down by hand, with the machine they came from.
set -euo pipefail
cd "$(dirname "$0")/.."

events="${1:-1000000}"
shift || true
data="${TERCEL_BENCH_DIR:-target/bench-data}/${events}"
mkdir -p "${data}"
data="$(cd "${data}" && pwd)"

# The published texts that the project started from, when they are at hand; else the built-in pack.
rules=("$@")
if [[ ${#rules[@]} -eq 0 && -d ../shared/seeds ]]; then
    mapfile -t rules < <(find ../shared/seeds -maxdepth 1 -type f ! -name 'README*' | sort)
fi
rule_options=()
if [[ ${#rules[@]} -gt 0 ]]; then
    rule_options=(-r "${rules[@]}")
fi

if [[ ! -s "${data}/sysmon.jsonl" ]]; then
    echo "making ${events} events in ${data} …"
    if [[ -f ../shared/tools/synth_telemetry.py ]]; then
        python3 ../shared/tools/synth_telemetry.py --out "${data}" --events "${events}" --devices 500 --seed 1 --format sysmon >/dev/null
    else
        python3 scripts/make_fleet.py "${data}/sysmon.jsonl" --events "${events}"
    fi
fi

# TERCEL names another build to measure.
tercel="${TERCEL:-}"
if [[ -z "${tercel}" ]]; then
    cargo build --release --locked --quiet
    tercel="${CARGO_TARGET_DIR:-${PWD}/target}/release/tercel"
fi

if [[ ! -s "${data}/sysmon.parquet" ]]; then
    echo "writing the same rows as Parquet …"
    "${tercel}" query 'Sysmon' "${data}/sysmon.jsonl" --quiet -o "${data}/sysmon.parquet"
fi

# Runs a command and reports what it cost; getrusage knows the peak of the largest child.
measure() {
    python3 - "$@" <<'PY'
import os, resource, subprocess, sys, time
label, path, events, *command = sys.argv[1:]
size = os.path.getsize(path)
start = time.monotonic()
run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
seconds = time.monotonic() - start
if run.returncode != 0:
    sys.exit(f"{label}: exit {run.returncode}\n{run.stderr.decode(errors='replace')}")
use = resource.getrusage(resource.RUSAGE_CHILDREN)
hits = run.stdout.count(b"\n")
print(f"{label:8} {seconds:8.2f} s  {size / seconds / 1e6:9.1f} MB/s  {int(events) / seconds:12,.0f} events/s  "
      f"peak {use.ru_maxrss / 1024:8.1f} MB  cpu {use.ru_utime + use.ru_stime:7.2f} s  {hits} hits  ({size / 1e6:.0f} MB)")
PY
}

echo "machine: $(nproc) processors, $(uname -sm); rules: ${#rules[@]} texts${rules[0]:+ from $(dirname "${rules[0]}")}"
for run in 1 2 3; do
    measure "ndjson ${run}" "${data}/sysmon.jsonl" "${events}" "${tercel}" hunt "${data}/sysmon.jsonl" "${rule_options[@]}" --format jsonl
done
for run in 1 2 3; do
    measure "parquet ${run}" "${data}/sysmon.parquet" "${events}" "${tercel}" hunt "${data}/sysmon.parquet" "${rule_options[@]}" --format jsonl
done
