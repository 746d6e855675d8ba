#!/usr/bin/env bash
#SBATCH --job-name=observed
#SBATCH --nodes=1
# One node: the collector runs beside the job on the node-local disk, where
# SQLite belongs, and the view is copied to where the job was submitted.
# Put your own #SBATCH lines above and your own command at the mark.
set -euo pipefail

export MIDA_CAMPAIGN=${MIDA_CAMPAIGN:-$SLURM_JOB_NAME}
local_dir=${SLURM_TMPDIR:-${TMPDIR:-/tmp}}/mida-$SLURM_JOB_ID
export MIDA_DATA=$local_dir/data MIDA_JOURNAL_DIR=$local_dir/data/journal
mkdir -p -m 0700 "$local_dir" "$MIDA_DATA" "$MIDA_JOURNAL_DIR"

otelcol-mida --config laptop.yaml >"otelcol-mida-$SLURM_JOB_ID.log" 2>&1 &
collector=$!

finish() {
  # A collector that is asked to stop stores what it has read before it ends.
  kill -TERM "$collector" 2>/dev/null || true
  wait "$collector" || true
  cp "$MIDA_DATA/mida.db" "$SLURM_SUBMIT_DIR/mida-$SLURM_JOB_ID.db"
  rm -rf "$local_dir"
}
trap finish EXIT

# --- your command ---
srun python search.py
