"""Run the conformance suite on every store: did each run the same cases, and pass them all?

Writes the numbers into docs/conformance.md. With --logs, outputs of test binaries that were run by
hand with -test.v=test2json are read instead, one file for each store.
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
from pathlib import Path

from mutations import SUITES, Cases, build, cases_of, run, write_between

STORES = ["sqlite", "opensearch", "elasticsearch"]


def cases_on(store: str) -> Cases:
    """Run the suite on one store."""
    with tempfile.TemporaryDirectory(prefix="mida-conformance-") as directory:
        return run(build(store, [], Path(directory)), store, timeout="60m")


def main() -> int:
    """Run the tool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=Path, nargs=3, metavar=tuple(STORES))
    args = parser.parse_args()
    wrong = 0
    ran: dict[str, set[str]] = {}
    lines = ["| store | cases | passed |", "|---|---|---|"]
    for i, store in enumerate(STORES):
        if args.logs:
            cases = cases_of(args.logs[i].read_text(errors="replace"), SUITES[store][1])
        else:
            cases = cases_on(store)
        ran[store] = set(cases.contract)
        passed = {c for c in cases.contract if cases.ended.get(c) == "PASS"}
        for case in sorted(ran[store] - passed):
            print(f"{store}: {case}: {cases.ended.get(case, 'did not end')}")
        for case in sorted(ran["sqlite"] ^ ran[store]):
            print(f"{case} is a case of sqlite or of {store}, not of both")
        wrong += len(ran[store] - passed) + len(ran["sqlite"] ^ ran[store])
        lines.append(f"| {store} | {len(ran[store])} | {len(passed)} |")
    same = "all the same" if len({frozenset(c) for c in ran.values()}) == 1 else "NOT THE SAME"
    lines += ["", f"{datetime.date.today().isoformat()}; the cases are {same}."]
    print("\n".join(lines))
    write_between("<!-- stores -->", "<!-- end of stores -->", "\n".join(lines))
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
