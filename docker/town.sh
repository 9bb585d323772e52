#!/bin/sh
# What the town of compose.yaml needs before its workers start, and its first job. Usage: town found|first-job.
# A development chain only: its accounts have published keys.
set -eu
export PROOFWARD_CHAIN="${PROOFWARD_CHAIN:-ws://rpc:9944}" PROOFWARD_STATE=/tmp/state
example=/usr/local/share/proofward

until proofward model list >/dev/null 2>&1; do sleep 1; done

case "$1" in
found)
    [ ! -d /models/wdbc ] || { echo "founded already"; exit 0; }
    for account in //WorkerA //WorkerB //Hospital //Publisher; do
        proofward account faucet "$account" --amount 300
    done
    proofward worker allow "$(python3.11 -c 'from proofward_enclave.measure import simulated_measurement as s; print("0x" + s().hex())')" --label town
    cd /tmp && cp "$example/model.onnx" .
    proofward model publish model.onnx --calibration "$example/train.csv" --evaluation "$example/held.csv" \
        --truth target --name wdbc --signer //Publisher
    cp -r model.proofward /models/.wdbc && mv /models/.wdbc /models/wdbc
    ;;
first-job)
    until [ "$(proofward worker list --json | grep -o '"served": 1' | wc -l)" -ge "${WORKERS:-2}" ]; do sleep 1; done
    cd /tmp
    proofward model fetch wdbc --from http://worker-a:9615 --out public.proofward
    proofward job submit wdbc --input "$example/record.csv" --artifact public.proofward --dev --signer //Hospital --wait
    job=$(proofward job list --json | python3.11 -c 'import json, sys; print(json.load(sys.stdin)[-1]["job"])')
    proofward job open "$job"
    proofward verify "$job" --artifact public.proofward --dev
    ;;
*)
    echo "usage: town found|first-job" >&2
    exit 2
    ;;
esac
