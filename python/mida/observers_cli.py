"""The command ``mida observers``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Callable, Dict

from . import tables
from .client import Client
from .errors import MidaError, QueryError
from .observing import DRAIN_SECONDS, Observer, Observers, absolute_paths

EXAMPLES = """\
examples:
  mida observers add mlflow tracking_uri=sqlite:///mlflow.db campaign=search --id search-runs
  mida observers add dask 'schedulers=["tcp://127.0.0.1:8786"]'
  mida observers stop search-runs
  mida observers discovered
  mida observers add --discovered mlflow-1f3a09c2 campaign=search

A value is JSON, or else text. docs/observers.md says more.
"""


def add_command(
    commands: Any, common: argparse.ArgumentParser, forms: argparse.ArgumentParser, client: Callable
) -> None:
    """Add the command to a parser; `client` makes a `Client` of the arguments."""
    text = "observers that start and stop while the collector runs"
    parser = commands.add_parser(
        "observers",
        parents=[common, forms],
        help=text,
        description=text,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=lambda args: _list(client(args), args), failed=None)
    actions = parser.add_subparsers(metavar="ACTION")

    def action(name: str, run: Callable[[Client, argparse.Namespace], Any], text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, parents=[common], help=text, description=text)
        sub.set_defaults(run=lambda args: run(client(args), args), failed=None)
        return sub

    sub = action("add", _add, "register an observer and start it")
    sub.add_argument("kind", nargs="?", help="dask, mlflow or tasklog")
    sub.add_argument("config", nargs="*", metavar="KEY=VALUE", help="keys of that receiver's configuration")
    sub.add_argument("--id", help="a name for it (default: one is made)")
    sub.add_argument("--discovered", metavar="OFFER", help="in place of a kind, what `mida observers discovered` lists")
    sub = actions.add_parser(
        "discovered", parents=[common, forms], help="what could be observed", description="what could be observed"
    )
    sub.set_defaults(run=lambda args: _discovered(client(args), args), failed=None)
    sub = action("start", _start, "start an observer")
    sub.add_argument("id")
    for name, run, text in (
        ("stop", _stop, "stop an observer once all that its tool did is in the view"),
        ("remove", _remove, "stop an observer and forget it, with its position"),
    ):
        sub = action(name, run, text)
        sub.add_argument("id")
        sub.add_argument(
            "--timeout", type=float, default=DRAIN_SECONDS, metavar="SECONDS", help=f"default: {DRAIN_SECONDS:g}"
        )
    sub.add_argument("--force", action="store_true", help="forget it also when not everything is in the view")


def _list(client: Client, args: argparse.Namespace) -> None:
    known = Observers(client).list()
    if args.format == "json":
        tables.write_json(sys.stdout, known)
        return
    if not known:
        print("No observers were registered; those of the collector's configuration are in `mida status`.")
    rows = [
        {**o, "campaign": o["config"].get("campaign", ""), "last event": tables.when(o.get("last_event_at"))}
        for o in known
    ]
    if rows:
        tables.write_table(sys.stdout, rows, ["id", "kind", "campaign", "state", "events", "last event"])
    for o in known:
        if o.get("problem"):
            print(f"{o['id']}: {o['problem']}")


def _discovered(client: Client, args: argparse.Namespace) -> None:
    found = Observers(client).discovered()
    if args.format == "json":
        tables.write_json(sys.stdout, found)
        return
    for offer in found["discovered"]:
        observed = f" (observed by {offer['observed_by']})" if offer["observed"] else ""
        print(f"{offer['id']}{observed}")
        print(f"  {_shown(offer['config'])}\n  {offer['evidence']}")
        if offer.get("note"):
            print(f"  {offer['note']}")
    for note in found["notes"]:
        print(f"note: {note}")
    if any(not offer["observed"] for offer in found["discovered"]):
        print("`mida observers add --discovered OFFER campaign=NAME` observes one of them")
    elif not found["discovered"]:
        print("Nothing was found that could be observed.")


def _shown(config: Dict[str, Any]) -> str:
    parts = []
    for key, value in config.items():
        if key in ("rules", "ignore"):
            value = f"({len(value)})"
        parts.append(f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    return " ".join(parts)


def _add(client: Client, args: argparse.Namespace) -> None:
    if args.discovered:  # the first KEY=VALUE stands where a kind would
        pairs = ([args.kind] if args.kind else []) + args.config
        added = Observers(client).add_discovered(args.discovered, name=args.id, **_config(pairs))
    elif not args.kind:
        raise QueryError("add: nothing to observe; want dask, mlflow or tasklog, or --discovered OFFER")
    else:
        added = Observers(client).add(Observer(args.kind, _config(args.config), id=args.id))
    if added["state"] == "failed":
        raise MidaError(f"{added['id']} is registered, but does not start: {added.get('problem', '')}")
    print(f"{added['id']} is {added['state']}")


def _config(pairs: Any) -> Dict[str, Any]:
    config: Dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise QueryError(f"{pair!r} is no KEY=VALUE; want one such as campaign=search")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        config[key] = value
    return absolute_paths(config)


def _start(client: Client, args: argparse.Namespace) -> None:
    started = Observers(client).start(args.id)
    if started["state"] == "failed":
        raise MidaError(f"{args.id} does not start: {started.get('problem', '')}")
    print(f"{args.id} is {started['state']}")


def _stop(client: Client, args: argparse.Namespace) -> int:
    return _said(args.id, "stopped", Observers(client).stop(args.id, args.timeout))


def _remove(client: Client, args: argparse.Namespace) -> int:
    answer = Observers(client).remove(args.id, args.timeout, force=args.force)
    if not answer["deleted"]:
        answer["problem"] = f"{answer.get('problem', '')}; it is kept, --force forgets it"
    return _said(args.id, "removed" if answer["deleted"] else "stopped", answer)


def _said(id: str, what: str, answer: Dict[str, Any]) -> int:
    if answer["drained"]:
        print(f"{id} is {what}; everything that it observed is in the view")
        return 0
    print(f"{id} is {what}, but not everything is in the view: {answer.get('problem', '')}", file=sys.stderr)
    return 1
