#!/bin/sh
# Run the campaign: two rounds of acquire, search, evaluate, in a directory of your choice.
#   run_campaign.sh WORKDIR [PYTHON [SEED [ROUNDS]]]
set -eu

workdir=${1:?usage: run_campaign.sh WORKDIR [PYTHON [SEED [ROUNDS]]]}
python=${2:-python3}
seed=${3:-1}
rounds=${4:-2}
scripts=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

# One thread a process: the search has a process for every core.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
export MLFLOW_DISABLE_TELEMETRY=true

mkdir -p "$workdir"
cd "$workdir"
round=1
while [ "$round" -le "$rounds" ]; do
    for script in acquire search evaluate; do
        "$python" "$scripts/$script.py" --round "$round" --seed "$seed"
    done
    round=$((round + 1))
done
