#!/usr/bin/env bash
# Every public Sigma rule on every event of public telemetry, four times: by the rule-set program, event by
# event, by one plan a rule in the engine (many in a pass), and by one run of the engine a rule over tables held
# in memory. Prints the numbers of hits and every difference; fails on one.
#
#   scripts/differential.sh [--every N] [--no-engine] [--no-alone] [DATA...]
#
# The corpus and the data are looked for beside the repository. The slow evaluation of everything and the runs of
# one rule each take minutes, the latter up to a few gigabytes of memory; `--every N` shows the slow evaluation only
# the records whose number is a multiple of N.
set -euo pipefail
cd "$(dirname "$0")/.."
shared=../shared
options=()
data=()
while [ $# -gt 0 ]; do
    case $1 in
    --every) options+=("$1" "$2"); shift 2 ;;
    --no-engine | --no-alone) options+=("$1"); shift ;;
    *) data+=("$1"); shift ;;
    esac
done
corpus=$shared/corpora/sigma/sigma-rules.tar.zst
if [ ! -e "$corpus" ]; then
    echo "needs the public rules at $corpus" >&2
    exit 2
fi
if [ ${#data[@]} -eq 0 ]; then
    for folder in evtx mordor sentinel zeek mde_shapes synth_small; do
        data+=("$shared/telemetry/$folder")
    done
fi
rules=$(mktemp -d)
trap 'rm -rf "$rules"' EXIT
zstd -dc "$corpus" | tar x -C "$rules"
cargo run --release --locked -q -p tercel-catalog --example differential -- "$rules" "${data[@]}" "${options[@]}"
