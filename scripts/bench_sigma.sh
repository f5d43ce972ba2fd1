#!/bin/sh
# Sigma at scale: all rules of a folder over the workloads that make_workload.py makes, on one thread and two, with log
# sources and without, and the same with rsigma if it is on the PATH (RSIGMA names another). Runs alternate, so that what
# else the machine does meets both. The answers are compared first, event by event where the events are annotated.
#
#   scripts/make_workload.py CAPTURES --out DIR --unique --annotate
#   scripts/bench_sigma.sh RULES DIR [RUNS]
#
# RULES is a folder of Sigma rules (SigmaHQ's rules/windows); DIR holds events.ndjson and, as far as there, unique.ndjson and
# the *.routed.ndjson of either; event logs may lie in DIR/evtx. Times are of whole processes, the best of RUNS (3), with
# output to a file; what loading the rules costs is measured on one event and named apart. TERCEL names another build.
# docs/performance.md says what the lines mean.
set -eu
cd "$(dirname "$0")/.."
rules=${1:?rules} dir=${2:?folder of workloads} runs=${3:-3}
if [ -z "${TERCEL:-}" ]; then
    cargo build --release --locked --bin tercel
    TERCEL=target/release/tercel
fi
rsigma=${RSIGMA:-$(command -v rsigma || true)}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# name command...: one run; its wall, processor time and peak memory go to a file of that name.
run() {
    name=$1
    shift
    /usr/bin/time -o "$out/t" -f '%e %U %S %M' "$@" >"$out/$name.stdout" 2>"$out/stderr" || { cat "$out/stderr" >&2; exit 1; }
    tail -n 1 "$out/t" >>"$out/$name.times"
}
# name...: the best of the runs of each, by processor time of the user's part; the first over the others.
show() {
    for name in "$@"; do
        sort -k2,2n "$out/$name.times" | head -n 1 | awk -v name="$name" '{
            printf "%-36s %7.2f s wall %7.2f s user %6.2f s system %6d MB\n", name, $1, $2, $3, $4 / 1024 }'
    done
    if [ $# = 2 ]; then
        awk -v one="$(sort -k2,2n "$out/$1.times" | head -n 1)" -v two="$(sort -k2,2n "$out/$2.times" | head -n 1)" 'BEGIN {
            split(one, a, " "); split(two, b, " ")
            printf "%-36s %7.1f x wall %7.1f x user\n", "  second over first", b[1] / a[1], b[2] / a[2] }'
    fi
}
hunt() {
    name=$1
    shift
    run "$name" "$TERCEL" hunt -r "$rules" -o "$out/$name.jsonl" --force "$@"
}
peer() {
    name=$1
    shift
    run "$name" "$rsigma" engine eval -r "$rules" --input-format json --output-format ndjson "$@"
}

head -n 1 "$dir/events.ndjson" >"$out/one.ndjson"
for _ in $(seq "$runs"); do hunt tercel-load "$out/one.ndjson" --jobs 1; done
show tercel-load
for w in events unique; do
    f=$dir/$w.ndjson
    [ -f "$f" ] || continue
    echo "-- $w: $(wc -l <"$f") events, $(wc -c <"$f") bytes"
    for _ in $(seq "$runs"); do
        hunt "tercel-$w" "$f" --jobs 1
        hunt "tercel-$w-two-threads" "$f" --jobs 2
        hunt "tercel-$w-ignore" "$f" --jobs 1 --ignore-logsource
        [ -z "$rsigma" ] || peer "rsigma-$w-ignore" -e "@$f"
        if [ -n "$rsigma" ] && [ -f "$dir/$w.routed.ndjson" ]; then
            peer "rsigma-$w-routed" -e "@$dir/$w.routed.ndjson" --logsource-routing
        fi
    done
    show "tercel-$w-two-threads" "tercel-$w"
    if [ -n "$rsigma" ]; then
        show "tercel-$w-ignore" "rsigma-$w-ignore"
        if [ -f "$dir/$w.routed.ndjson" ]; then
            show "tercel-$w" "rsigma-$w-routed"
            peer "$w-with-events" -e "@$dir/$w.routed.ndjson" --logsource-routing --include-event
            python3 scripts/compare_hits.py "$out/tercel-$w.jsonl" "$out/$w-with-events.stdout" \
                --events "$dir/$w.routed.ndjson" --rules "$rules" --rsigma "$rsigma" || true
        fi
        peer "$w-with-events" -e "@$f" --include-event
        python3 scripts/compare_hits.py "$out/tercel-$w-ignore.jsonl" "$out/$w-with-events.stdout" \
            --events "$f" --rules "$rules" --rsigma "$rsigma" --no-routing || true
    else
        show "tercel-$w" "tercel-$w-ignore"
    fi
done

# Stored columns: the rows of one table, as Parquet and as the lines of JSON that they are.
echo "-- stored columns: the table Sysmon of events.ndjson"
"$TERCEL" query Sysmon "$dir/events.ndjson" --quiet -o "$out/sysmon.parquet"
"$TERCEL" query Sysmon "$out/sysmon.parquet" --quiet -o "$out/sysmon.jsonl"
for _ in $(seq "$runs"); do
    hunt tercel-parquet "$out/sysmon.parquet" --jobs 1
    hunt tercel-ndjson "$out/sysmon.jsonl" --jobs 1
done
show tercel-parquet tercel-ndjson

if [ -d "$dir/evtx" ]; then
    echo "-- evtx: $(find "$dir/evtx" -name '*.evtx' -print0 | xargs -0 cat | wc -c) bytes"
    for _ in $(seq "$runs"); do
        hunt tercel-evtx "$dir/evtx" --jobs 1
        hunt tercel-evtx-two-threads "$dir/evtx" --jobs 2
    done
    show tercel-evtx-two-threads tercel-evtx
fi
