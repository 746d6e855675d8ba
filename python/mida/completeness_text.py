"""What is known of completeness, as text."""

from __future__ import annotations

from typing import Any, Dict, List, TextIO

from .tables import when

__all__ = ["EXIT", "HELP", "open_text", "write_completeness"]

EXIT = {"complete": 0, "missing": 1, "unknown": 2}
HELP = """\
exit status:
  0  complete: every observer ended, all that it saw is in the view, and every witness counted the same
  1  missing: something is known to be lost, or has not arrived; it is named
  2  unknown: an observer has not ended ("open since ..."), or nobody observed
  3  the collector could not be asked
"""

Row = Dict[str, Any]


def write_completeness(out: TextIO, answer: Row, campaign: str) -> None:
    """Write a summary, what is missing first."""
    line = f"{campaign}: {answer['state']}"
    if answer.get("complete_up_to"):
        line += f", complete up to {when(answer['complete_up_to'])}"
    print(line, file=out)
    observers = answer["observers"]
    if not observers:
        print("  no observer has reported", file=out)
    for state in ("missing", "unknown"):
        for o in observers:
            if o["state"] == state:
                print(f"  {state}: {_observer(o)}", file=out)
        for w in answer["witnesses"]:
            if w["state"] == state:
                print(f"  {state}: {_witness(w)}", file=out)
    if answer["complete"]:
        print(f"  complete: {answer['complete']} of {len(observers)} observers", file=out)
    for w in answer["witnesses"]:
        if w["state"] == "complete":
            print(f"  complete: {_witness(w)}", file=out)


def _observer(o: Row) -> str:
    text = f"observer {o['observer']}" + (f" on {o['host']}" if o.get("host") else "")
    parts = [f"{_numbers(r)} dropped ({r[2] if len(r) > 2 else 'no reason'})" for r in o.get("dropped_ranges", [])]
    parts += [f"{_numbers(r)} did not arrive" for r in o.get("missing_ranges", [])]
    if len(parts) > 10:
        parts = [*parts[:10], f"and {len(parts) - 10} more ranges"]
    if o["dropped"] or o["missing"]:
        parts.append(f"{o['dropped'] + o['missing']} of {o['last_seq']} events in all")
    if o.get("segments_removed"):
        parts.append(f"{o['segments_removed']} journal segments were deleted while they were written")
    if o["state"] == "unknown" or not o["final"]:
        parts.append(open_text(o))
    return f"{text}: " + "; ".join(parts)


def open_text(o: Row) -> str:
    """Say since when an observer is open."""
    since = when(o.get("open_since"))
    return f"open since its checkpoint of {since}" if since else "open, no checkpoint yet"


def _numbers(r: List[Any]) -> str:
    return f"event {r[0]}" if r[0] == r[1] else f"events {r[0]} to {r[1]}"


def _witness(w: Row) -> str:
    of = f" ({w['of']})" if w["of"] else ""
    detail = f": {w['detail']}" if w.get("detail") else ""
    return f"{w['what']}{of}: {w['expected']} and {w['found']}{detail}"
