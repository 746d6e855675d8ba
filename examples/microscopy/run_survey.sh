#!/bin/sh
# Run the campaign of many sizes: sessions at the microscope, then a search in which some trainings run out of memory.
#   run_survey.sh WORKDIR [PYTHON [SEED]]
set -eu

workdir=${1:?usage: run_survey.sh WORKDIR [PYTHON [SEED]]}
python=${2:-python3}
seed=${3:-1}
scripts=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

# One thread a process: the search has a process for every core.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

mkdir -p "$workdir"
cd "$workdir"
"$python" "$scripts/survey.py" --seed "$seed"
"$python" "$scripts/wide_search.py" --seed "$seed"
