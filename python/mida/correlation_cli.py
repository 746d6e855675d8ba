"""The command ``mida correlation``."""

from __future__ import annotations

import argparse
import csv
import sys
import warnings
from typing import Any, Callable, Dict, List

from . import correlations, expressions, tables
from .client import Client
from .errors import MidaError, MidaWarning

EXAMPLES = """\
examples:
  mida correlation --campaign my_campaign_1 --filter activity_id=train --filter status=FINISHED
  mida correlation --filter activity_id=train --y 'telemetry_peak.*,telemetry_delta.*,elapsed' --method spearman
  mida correlation --filter activity_id=train --plot heat.png

A * marks q < 0.05, the p-value corrected for the number of tests. A category and a number have the correlation
ratio, marked by an e: 0 to 1, without direction. docs/correlation.md says more.
"""

LEAST_Q = 0.05


def add_command(
    commands: Any, common: argparse.ArgumentParser, forms: argparse.ArgumentParser, client: Callable
) -> None:
    """Add the command to a parser; `client` makes a `Client` of the arguments."""
    text = "how hyperparameters go together with metrics, telemetry and time"
    sub = commands.add_parser(
        "correlation",
        parents=[common, forms],
        help=text,
        description=text,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.set_defaults(run=lambda args: _correlation(client(args), args), failed=None)
    sub.add_argument("--campaign", help="only tasks of this campaign")
    sub.add_argument("--filter", action="append", metavar="F", help=expressions.HELP)
    sub.add_argument("--x", metavar="A,B", help="fields or prefixes (default: used.*)")
    sub.add_argument("--y", metavar="A,B", help="what to correlate them with (default: generated.*,elapsed)")
    sub.add_argument("--method", help="pearson (default) or spearman")
    sub.add_argument("--correction", help="of p-values: benjamini-hochberg (default), holm, bonferroni or none")
    sub.add_argument("--min-n", type=int, metavar="N", help="tasks that a pair needs (default: 3)")
    sub.add_argument("--plot", metavar="FILE", help="also draw a heat map: .png, .svg or .pdf")


def _correlation(client: Client, args: argparse.Namespace) -> None:
    parts = [expressions.parse_filter(text) for text in args.filter or []]
    chosen = None if not parts else parts[0] if len(parts) == 1 else {"$and": parts}
    answer = correlations.ask(client, args.x, args.y, args.campaign, chosen, args.method, args.correction, args.min_n)
    for text in answer.get("warnings", []):
        warnings.warn(text, MidaWarning, stacklevel=1)
    if args.format == "json":
        tables.write_json(sys.stdout, answer)
    elif args.format == "csv":
        _write_csv(answer)
    else:
        _write_matrix(answer)
    if args.plot:
        _plot(answer, args.plot)


def _write_csv(answer: Dict[str, Any]) -> None:
    names = ["x", "y", "statistic", "value", "n", "p", "q", "reason"]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([cell.get(name, "") for name in names] for cell in answer["cells"])


def _write_matrix(answer: Dict[str, Any]) -> None:
    rows: Dict[str, Dict[str, str]] = {}
    columns: Dict[str, None] = {}
    for cell in answer["cells"]:
        if "value" in cell:
            columns[cell["y"]] = None
            rows.setdefault(cell["x"], {"": cell["x"]})[cell["y"]] = _cell(cell)
    ordered = [f["field"] for f in answer["y"] if f["field"] in columns]
    if rows:
        tables.write_table(sys.stdout, list(rows.values()), ["", *ordered])
    print(
        f"{answer['read']} tasks, {answer['method']}, {answer['tests']} tests, {answer['correction']}", file=sys.stderr
    )
    left: List[str] = []
    for side, shown in (("x", rows), ("y", columns)):
        for field in answer[side]:
            if field["field"] not in shown:
                left.append(f"{field['field']} ({_why(field, side, answer)})")
    if left:
        print(f"without a coefficient: {', '.join(left)}", file=sys.stderr)


def _why(field: Dict[str, Any], side: str, answer: Dict[str, Any]) -> str:
    if field["constant"]:
        return "constant"
    if not field["n"]:
        return "neither numbers nor text"
    reasons = [c["reason"] for c in answer["cells"] if c[side] == field["field"] and "reason" in c]
    if not reasons:
        return "nothing to correlate with"
    own = [r[len(field["field"]) :].strip() for r in reasons if r.startswith(field["field"] + " ")]
    return own[0] if own else reasons[0]


def _cell(cell: Dict[str, Any]) -> str:
    mark = "e" if cell["statistic"] == "eta" else ""
    return f"{cell['value']:.2f}{mark}{'*' if cell.get('q', 1) < LEAST_Q else ''}"


def _plot(answer: Dict[str, Any], path: str) -> None:
    try:
        import matplotlib

        from .correlation_frame import to_frame
    except ImportError:
        raise ImportError("--plot needs pandas and matplotlib: pip install pandas matplotlib") from None
    matplotlib.use("Agg")
    try:
        ax = to_frame(answer).plot()
        ax.figure.savefig(path, dpi=120)
    except ValueError as error:
        raise MidaError(f"--plot: {error}") from None
