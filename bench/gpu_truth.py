"""Compare what tasks used of a real GPU, as its driver told them, with what the view says, by both readers.

Needs a machine with an NVIDIA GPU and PyTorch, and both binaries (make build build-gpu). With ``--write`` the table
goes into docs/telemetry.md, of each kind of number only the one that is furthest off. The exit code is 1 when a number
is further off than its tolerance.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.gpus import READERS, Run, measure, missing, read, summary, table, uses, write  # noqa: E402

DOC = ROOT / "docs" / "telemetry.md"


def card() -> str:
    """Return what the GPU is, and its driver."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def head(runs: list[Run], gpu: str) -> list[str]:
    """Return what stands above the table."""
    costs = "; ".join(f"{r.cost['in_30_s']:.2f} s with {r.reader}" for r in runs)
    return [
        f"Measured on {datetime.date.today():%Y-%m-%d} on one GPU ({gpu}). CPU time of the collector, with the",
        f"programs that it runs, in 30 s of these tasks: {costs}.",
        "",
    ]


def main() -> int:
    """Run all, or read what was kept of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/telemetry.md")
    parser.add_argument("--keep", type=Path, help="a directory in which all that was seen is kept")
    parser.add_argument("--kept", type=Path, help="a directory in which it was kept, by --keep or by the tests")
    parser.add_argument("--gpu", help="what the GPU is, if it is not here")
    options = parser.parse_args()
    runs = []
    for reader in READERS:
        if options.kept:
            path = options.kept / f"{reader}.json"
            runs += [read(path)] if path.exists() else []
            continue
        if absent := missing():
            parser.error(f"cannot measure here: {absent}")
        with tempfile.TemporaryDirectory(prefix="mida-gpu-") as directory:
            runs.append(measure(reader, Path(directory)))
        if options.keep:
            write(runs[-1], options.keep / f"{reader}.json")
    if not runs:
        parser.error(f"--kept {options.kept}: holds none of {', '.join(f'{r}.json' for r in READERS)}")
    above = head(runs, options.gpu or card())
    print("\n".join(above + table(runs)))
    if options.write:
        before, _, rest = DOC.read_text().partition("<!-- gpu -->\n")
        _, _, after = rest.partition("<!-- /gpu -->")
        text = "\n".join(above + summary(runs))
        DOC.write_text(f"{before}<!-- gpu -->\n{text}\n<!-- /gpu -->{after}")
    wrong = [u for r in runs for u in uses(r) if u.wrong]
    for u in wrong:
        print("WRONG:", u, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
