"""Origins: the raw data behind tasks, and what tells these from other tasks (``docs/questions.md``)."""

from __future__ import annotations

import argparse
import csv
import sys
import warnings
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple, Union

from . import expressions, tables
from .client import Client, encode
from .errors import MidaWarning, QueryError
from .standing import OUT_OF_MEMORY as _CAUSES

__all__ = ["OUT_OF_MEMORY", "add_command", "ask", "origins"]

#: Tasks that ended for want of memory, however their tool calls it: ``mida.query(filter=mida.OUT_OF_MEMORY)``.
OUT_OF_MEMORY: Dict[str, Any] = {"error.type": {"$in": list(_CAUSES)}}

Tasks = Union[Mapping[str, Any], Iterable[str]]

EXAMPLES = """\
examples:
  mida origins --filter 'error.type~memory|oom'
  mida origins --filter 'error.type~memory|oom' --against status=FINISHED --against activity_id=train
  mida origins --campaign my_campaign_1 --filter status=FAILED --fields elapsed --format csv > failed.csv

A row is a task, a data set that it used, and a raw file behind that. docs/questions.md says more.
"""

# What a table leaves to the other formats.
LONG = ("id", "error.message", "raw.id", "raw.task_id")


def origins(
    filter: Tasks,
    against: Optional[Tasks] = None,
    *,
    campaign: Optional[str] = None,
    fields: Union[str, Iterable[str], None] = None,
    limit: Optional[int] = None,
    client: Optional[Client] = None,
) -> Any:
    """Return the raw data behind tasks: a row for each task, data set that it used, and raw file behind that.

    Parameters
    ----------
    filter
        Which tasks: a filter as in `query`, such as ``mida.OUT_OF_MEMORY``; ids; or a DataFrame with a column ``id``.
    against
        Other tasks: what tells the first from them is in the attribute ``contrast`` of the answer.
    campaign
        Only tasks of this campaign.
    fields
        More columns: ``["elapsed", "telemetry_peak.process.memory.usage"]``.
    limit
        Tasks of each group at most (default: 1000).
    client
        Which collector; the one that `Client` finds without it.

    Returns
    -------
    OriginsFrame
        A DataFrame: ``used.*`` of the task, ``dataset`` and ``dataset.*`` (what is known of it), ``through`` and
        ``through.*`` (the transformations), ``raw``, ``raw.used.*`` (how it was made: the instrument's parameters) and
        ``raw.generated.*``.
    """
    try:
        from .origins_frame import to_frame
    except ImportError:
        raise ImportError("mida.origins needs pandas: pip install pandas") from None
    answer = ask(client or Client(), filter, against, campaign, fields, limit)
    for text in answer.get("warnings", []):
        warnings.warn(text, MidaWarning, stacklevel=2)
    return to_frame(answer)


def ask(
    client: Client,
    filter: Tasks,
    against: Optional[Tasks] = None,
    campaign: Optional[str] = None,
    fields: Union[str, Iterable[str], None] = None,
    limit: Optional[int] = None,
) -> Any:
    """Return the answer of the API as it is; needs no pandas."""
    params: List[Tuple[str, Any]] = [("filter", _filter("filter", filter))]
    if against is not None:
        params.append(("against", _filter("against", against)))
    if campaign is not None:
        params.append(("campaign_id", campaign))
    if fields is not None:
        params.append(("fields", fields if isinstance(fields, str) else ",".join(fields)))
    if limit is not None:
        params.append(("limit", limit))
    return client.get("/api/v1/origins", params)


def _filter(what: str, tasks: Any) -> str:
    if not isinstance(tasks, Mapping):
        if hasattr(tasks, "columns"):  # a DataFrame, which would give the names of its columns
            tasks = tasks["id"]
        ids = [tasks] if isinstance(tasks, str) else list(dict.fromkeys(tasks))
        if not all(isinstance(one, str) for one in ids):
            raise QueryError(f"{what}: neither a filter nor ids of tasks", field=what)
        tasks = {"id": {"$in": ids}}
    return encode(tasks).decode()


def add_command(
    commands: Any, common: argparse.ArgumentParser, forms: argparse.ArgumentParser, client: Callable
) -> None:
    """Add the command to a parser; `client` makes a `Client` of the arguments."""
    text = "the raw data behind tasks, how they were made, and what tells the tasks from others"
    sub = commands.add_parser(
        "origins",
        parents=[common, forms],
        help=text,
        description=text,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.set_defaults(run=lambda args: _origins(client(args), args), failed=None)
    sub.add_argument("--filter", action="append", required=True, metavar="F", help=expressions.HELP)
    sub.add_argument("--against", action="append", metavar="F", help="other tasks, to be told apart; as --filter")
    sub.add_argument("--campaign", help="only tasks of this campaign")
    sub.add_argument("--fields", metavar="A,B", help="more fields of the tasks")
    sub.add_argument("--limit", type=int, metavar="N", help="tasks of each group at most (default: 1000)")


def _origins(client: Client, args: argparse.Namespace) -> None:
    chosen, others = (_joined(parts) for parts in (args.filter, args.against))
    answer = ask(client, chosen or {}, others, args.campaign, args.fields, args.limit)
    for text in answer.get("warnings", []):
        warnings.warn(text, MidaWarning, stacklevel=1)
    if args.format == "json":
        tables.write_json(sys.stdout, answer)
        return
    columns, rows = answer["columns"], answer["rows"]
    if args.format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([tables.text(row[c]) if c in row else "" for c in columns] for row in rows)
        return
    if not rows:
        print("no task matches", file=sys.stderr)
        return
    mine = [row for row in rows if row.get("group") != "against"]
    _write_rows([c for c in columns if c not in LONG], mine)
    if "contrast" in answer:
        print()
        _write_contrast(answer)


def _joined(texts: Optional[List[str]]) -> Optional[Dict[str, Any]]:
    parts = [expressions.parse_filter(text) for text in texts or []]
    return None if not parts else parts[0] if len(parts) == 1 else {"$and": parts}


def _write_rows(columns: List[str], rows: List[Dict[str, Any]]) -> None:
    """Write what differs as a table, and what does not below it."""
    different = {c: {tables.text(row[c]) if c in row else "" for row in rows} for c in columns}
    shown = [c for c in columns if len(different[c]) > 1 or c in ("task_id", "raw")]
    tables.write_table(sys.stdout, rows, shown)
    same = [f"{c} = {next(iter(different[c]))}" for c in columns if c not in shown and different[c] != {""}]
    if same:
        print(f"in all rows: {', '.join(same)}")


def _write_contrast(answer: Dict[str, Any]) -> None:
    found = answer["contrast"]
    rows, left = [], []
    for one in found["columns"]:
        if "value" not in one:
            left.append(one["column"])
            continue
        row = {"column": one["column"], "statistic": one["statistic"], "value": f"{one['value']:.2f}", "n": one["n"]}
        row["q"] = f"{one['q']:.2g}" if "q" in one else ""
        rows.append({**row, "filter": _range(one["filter"]), "against": _range(one["against"])})
    tables.write_table(sys.stdout, rows, ["column", "statistic", "value", "n", "q", "filter", "against"])
    counts = {name: group["tasks"] for name, group in answer["groups"].items()}
    print(f"{counts['filter']} tasks against {counts['against']}; {found['tests']} tests, {found['correction']}")
    if left:
        print(f"tells nothing: {', '.join(left)}", file=sys.stderr)


def _range(values: Dict[str, Any]) -> str:
    listed = values.get("values", [])
    if "min" in values and len(listed) != 1:
        return f"{_short(values['min'])} to {_short(values['max'])}"
    return ", ".join(_short(one) for one in listed) or f"{values['distinct']} values"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else tables.text(value)
