#!/bin/sh
# Sigma at scale: all rules of a folder over the workloads that make_workload.py makes, one thread and two, and the same with
# rsigma if it is on the PATH (the answers are compared first: hits of each rule).
#
#   scripts/make_workload.py CAPTURES --out DIR --unique --annotate
#   scripts/bench_sigma.sh RULES DIR [RUNS]
#
# RULES is a folder of Sigma rules (SigmaHQ's rules/windows); DIR holds events.ndjson and, as far as there, unique.ndjson and
# the *.routed.ndjson of either. Times are of whole processes, with output to a file; what loading the rules costs is measured
# on one event and named apart. EVTX: put event logs into DIR/evtx.
set -eu
cd "$(dirname "$0")/.."
rules=${1:?rules} dir=${2:?folder of workloads} runs=${3:-3}
cargo build --release --locked --bin tercel
tercel=target/release/tercel
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# name command...: best wall, its CPU, peak memory.
measure() {
    name=$1
    shift
    best=
    for _ in $(seq "$runs"); do
        /usr/bin/time -o "$out/t" -f '%e %U %S %M' "$@" >"$out/stdout" 2>"$out/stderr" || { cat "$out/stderr" >&2; exit 1; }
        t=$(tail -n 1 "$out/t")
        if [ -z "$best" ] || awk "BEGIN { exit !(${t%% *} < ${best%% *}) }"; then best=$t; fi
    done
    echo "$name $best" | awk '{ printf "%-44s %7.2f s wall %7.2f s CPU %6d MB\n", $1, $2, $3 + $4, $5 / 1024 }'
}

head -n 1 "$dir/events.ndjson" >"$out/one.ndjson"
measure tercel-load "$tercel" hunt "$out/one.ndjson" -r "$rules" -o "$out/x.jsonl" --force
for w in events unique; do
    f=$dir/$w.ndjson
    [ -f "$f" ] || continue
    echo "-- $w: $(wc -l <"$f") events, $(wc -c <"$f") bytes"
    for jobs in 1 2; do
        measure "tercel-$w-jobs$jobs" "$tercel" hunt "$f" -r "$rules" --jobs "$jobs" -o "$out/$w.jsonl" --force
    done
    if command -v rsigma >/dev/null && [ -f "$dir/$w.routed.ndjson" ]; then
        measure "rsigma-$w-routed" rsigma engine eval -r "$rules" -e "@$dir/$w.routed.ndjson" --logsource-routing --input-format json --output-format ndjson
        cp "$out/stdout" "$out/$w.rsigma"
        python3 scripts/compare_hits.py "$out/$w.jsonl" "$out/$w.rsigma"
    fi
done
if [ -d "$dir/evtx" ]; then
    echo "-- evtx: $(find "$dir/evtx" -name '*.evtx' -print0 | xargs -0 cat | wc -c) bytes"
    measure tercel-evtx-jobs1 "$tercel" hunt "$dir/evtx" -r "$rules" --jobs 1 -o "$out/e.jsonl" --force
    measure tercel-evtx-jobs2 "$tercel" hunt "$dir/evtx" -r "$rules" --jobs 2 -o "$out/e.jsonl" --force
fi
