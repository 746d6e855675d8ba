"""Rows as text: aligned tables, CSV, JSON, and a graph of tasks as a tree."""

from __future__ import annotations

import base64
import csv
import datetime
import json
import math
from typing import Any, Dict, List, Optional, Sequence, TextIO

from .frames import ALWAYS, columns, flatten, spread

__all__ = ["when", "write", "write_cost", "write_json", "write_lineage", "write_table"]

# What a table shows of whole tasks; json and csv show everything.
OVERVIEW = ["id", "task_id", "workflow_name", "activity_id", "status", "started_at", "elapsed"]
TIMES = ("submitted_at", "started_at", "ended_at")
WIDEST = 60


def write(
    out: TextIO,
    form: str,
    rows: Sequence[Dict[str, Any]],
    projection: Optional[List[str]] = None,
    aggregation: Optional[List[List[str]]] = None,
) -> None:
    """Write the rows of an answer."""
    if form == "json":
        write_json(out, rows)
        return
    names = columns(projection, aggregation) if projection or aggregation else None
    if form == "csv":
        if names is None:
            flat = [flatten(row) for row in rows]
            header = list(dict.fromkeys(key for row in flat for key in row)) or ALWAYS
        else:
            flat, header = spread(rows, projection, aggregation)
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([text(row[name]) if name in row else "" for name in header] for row in flat)
        return
    write_table(out, rows, names or OVERVIEW)


def write_json(out: TextIO, value: Any) -> None:
    """Write a value in the encoding of the API, readable."""
    json.dump(_encodable(value), out, indent=2, ensure_ascii=False)
    out.write("\n")


def _encodable(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _encodable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    return value


def text(value: Any) -> str:
    """Return a value as one cell: strings as they are, everything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(_encodable(value), ensure_ascii=False)


def when(seconds: Any) -> str:
    """Return a time in the local zone, or nothing for none."""
    if not isinstance(seconds, (int, float)):
        return ""
    return datetime.datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _cell(name: str, row: Dict[str, Any]) -> str:
    if name not in row:
        return ""
    value = row[name]
    base = name[name.find("(") + 1 :].rstrip(")")
    if base in TIMES and isinstance(value, (int, float)) and not name.startswith("count("):
        return when(value)
    if name in ("elapsed",) and isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, float) and len(repr(value)) > 8:
        return f"{value:.6g}"
    cell = "".join(c if c.isprintable() else "\ufffd" for c in text(value).replace("\n", "⏎"))
    return cell if len(cell) <= WIDEST else cell[: WIDEST - 1] + "…"


def write_table(out: TextIO, rows: Sequence[Dict[str, Any]], names: Sequence[str], indent: str = "") -> None:
    """Write rows in aligned columns; numbers to the right."""
    cells = [[_cell(name, row) for name in names] for row in rows]
    widths = [max([len(name), *(len(line[i]) for line in cells)]) for i, name in enumerate(names)]
    right = [
        any(name in row for row in rows) and all(_is_number(row.get(name, 0)) and name not in TIMES for row in rows)
        for name in names
    ]
    for line in [list(names), *cells]:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right))
        out.write((indent + "  ".join(padded)).rstrip() + "\n")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def write_lineage(out: TextIO, graph: Dict[str, Any]) -> None:
    """Write a graph as a tree from the tasks asked for; what was shown already is named again, not repeated."""
    tasks = {t["id"]: t for t in graph["tasks"]}
    labels = {e["entity"]: e.get("label") for e in graph["entities"]}
    ways = {"upstream": [("from", "to")], "downstream": [("to", "from")]}
    for far, near in ways.get(graph["direction"], [("from", "to"), ("to", "from")]):
        if graph["direction"] == "both":
            out.write("came from:\n" if far == "from" else "led to:\n")
        by_near: Dict[str, List[Dict[str, Any]]] = {}
        for link in graph["links"]:
            by_near.setdefault(link[near], []).append(link)
        shown: set = set()
        for start in graph["ids"]:
            _tree(out, start, by_near, far, tasks, labels, shown)
        if not any(by_near.get(start) for start in graph["ids"]):
            out.write(f"  (nothing that it {'came from' if far == 'from' else 'led to'} is known)\n")
    if graph["truncated"]:
        out.write("(the graph is larger than one answer holds; ask with --depth)\n")


def write_cost(out: TextIO, cost: Dict[str, Any]) -> None:
    """Write what tasks used; what nobody knows is said rather than shown as zero."""
    total, trials = cost["total"], cost["discarded_trials"]
    out.write(f"\nthis cost {_energy(total)}, {_grams(total)}, {_hours(total, 'cpu')}, {_hours(total, 'gpu')}\n")
    told = f"{total['tasks']} tasks, of which {total['without_energy']} say nothing of their energy"
    out.write(f"  {told} and {total['without_cpu_time']} nothing of their CPU time\n")
    if trials["tasks"]:
        of = ", ".join(f"{n} {activity}" for activity, n in sorted(trials.get("by_activity", {}).items()))
        out.write(f"  discarded trials included: {of}, with {_energy(trials)}, {_hours(trials, 'cpu')}\n")
    else:
        out.write("  no discarded trials are known\n")
    if total["shared"]:
        out.write(f"  {total['shared']} shared a number with tasks of the same time: each counts an equal part\n")
    if total["earlier_attempts"]:
        out.write(f"  {total['earlier_attempts']} earlier attempts are not in it\n")
    if cost["truncated"]:
        out.write("  there are more tasks than were counted: this is the least it cost\n")


def _energy(of: Dict[str, Any]) -> str:
    return f"{of['energy_joules']:,.0f} J" if "energy_joules" in of else "unknown energy"


def _grams(of: Dict[str, Any]) -> str:
    return f"{of['co2e_grams']:,.3g} g CO2e" if "co2e_grams" in of else "unknown CO2e"


def _hours(of: Dict[str, Any], unit: str) -> str:
    name = unit.upper()
    if f"{unit}_hours" in of:
        return f"{of[f'{unit}_hours']:,.4g} {name}-hours"
    return "no GPU" if unit == "gpu" else f"unknown {name} time"


def _tree(
    out: TextIO,
    start: str,
    by_near: Dict[str, List[Dict[str, Any]]],
    far: str,
    tasks: Dict[str, Dict[str, Any]],
    labels: Dict[str, Any],
    shown: set,
) -> None:
    arrow = "<-" if far == "from" else "->"
    stack = [(start, 0, "")]
    while stack:
        task_id, depth, how = stack.pop()
        again = task_id in shown and by_near.get(task_id)
        out.write(
            "  " * depth + how + _name(tasks.get(task_id, {"id": task_id})) + (" (see above)" if again else "") + "\n"
        )
        if task_id in shown:
            continue
        shown.add(task_id)
        children = []
        for link in by_near.get(task_id, []):
            entity = labels.get(link["entity"]) or link["entity"]
            doubt = f", {link['doubt']}" if link.get("doubt") else ""
            how = f"{arrow} {entity} [{link['evidence']} {link['confidence']:.2f}{doubt}] "
            children.append((link[far], depth + 1, how))
        stack.extend(reversed(children))


def _name(task: Dict[str, Any]) -> str:
    parts = [task.get("workflow_name"), task.get("activity_id"), task.get("task_id")]
    name = " / ".join(p for p in parts if p) or task["id"]
    status = task.get("status")
    return f"{name} ({status})" if status else name
