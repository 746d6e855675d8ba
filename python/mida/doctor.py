"""The command ``mida doctor``: what each observer sees, what it drops and why, and why two tasks are not linked."""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys
from typing import Any, Callable, Dict, List, Optional

from . import tables
from .client import Client
from .errors import AuthenticationError, UnreachableError

__all__ = ["add_command", "write_doctor", "write_link"]

FINE, WRONG, UNASKED = 0, 1, 3

HELP = """\
exit status: 0 nothing is wrong; 1 something is; 3 nobody could be asked

Without a running collector it looks at the configuration: mida.yaml of this directory, or --config FILE.
docs/troubleshooting.md lists usual mistakes.
"""


def add_command(
    commands: Any, common: argparse.ArgumentParser, forms: argparse.ArgumentParser, client: Callable, program: Callable
) -> None:
    """Add the command to a parser; `client` makes a `Client` of the arguments, `program` finds the collector."""
    text = "what each observer sees, what it drops and why, and why two tasks are not linked"
    sub = commands.add_parser(
        "doctor",
        parents=[common, forms],
        help=text,
        description=text,
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.set_defaults(run=lambda args: _doctor(args, client, program), failed=None)
    sub.add_argument("--campaign", help="only this campaign")
    sub.add_argument("--link", nargs=2, metavar=("A", "B"), help="why task B does not come from task A")
    sub.add_argument(
        "--config",
        metavar="FILE",
        action="append",
        help="look at this configuration rather than at a running collector",
    )


def _doctor(args: argparse.Namespace, client: Callable[[Any], Client], program: Callable[[], str]) -> int:
    if args.config:
        return _offline(args.config, program)
    try:
        asked = client(args)
        if args.link:
            return _link(asked, args)
        return _observers(asked, args)
    except AuthenticationError as error:
        print(f"collector: {error}", file=sys.stderr)
        print(
            "  It runs, but this token is not its own: unset MIDA_TOKEN and MIDA_ENDPOINT and run this in the directory"
        )
        print("  of the collector, or set MIDA_TOKEN to the content of mida-data/token there.")
        return UNASKED
    except UnreachableError as error:
        print(f"collector: {error}", file=sys.stderr)
        print("  Start it in the directory where the workflows run, `mida up`, or say where it is: --endpoint URL,")
        print("  --state-directory DIR.")
        if not args.link and pathlib.Path("mida.yaml").exists():
            _offline([], program)
        return UNASKED


def _offline(configs: List[str], program: Callable[[], str]) -> int:
    """Let the collector's program look at a configuration."""
    command = [program(), "doctor", *(word for config in configs for word in ("--config", config))]
    sys.stdout.flush()
    return subprocess.run(command, check=False).returncode


def _observers(client: Client, args: argparse.Namespace) -> int:
    answer = client.doctor(args.campaign)
    if args.format == "json":
        tables.write_json(sys.stdout, answer)
    else:
        write_doctor(sys.stdout, answer, client.endpoint)
    return WRONG if answer["findings"] or any(o["state"] == "trouble" for o in answer["observers"]) else FINE


def write_doctor(out: Any, answer: Dict[str, Any], endpoint: str) -> None:
    """Write the answer for people."""
    print(f"collector: answers at {endpoint}", file=out)
    for observer in answer["observers"]:
        campaign = f", campaign {observer['campaign_id']}" if observer["campaign_id"] else ""
        print(f"{observer['id']}{campaign}: {observer['state']}", file=out)
        for part in observer["parts"]:
            _part(out, part)
    for finding in answer["findings"]:
        print(f"{finding['about']}: {finding['problem']}", file=out)
    if not answer["findings"] and not any(o["state"] == "trouble" for o in answer["observers"]):
        print("nothing looks wrong; `mida completeness` says whether all that was observed is in the view", file=out)


MARKS = {"reached": "+", "waiting": "?", "trouble": "!"}


def _part(out: Any, part: Dict[str, Any]) -> None:
    print(f"  {MARKS[part['state']]} {part['what']}{_counts(': ', part.get('saw'))}", file=out)
    if part.get("dropped"):
        print(f"      not used{_counts(': ', part['dropped'])}", file=out)
    if part.get("problem"):
        print(f"      {part['problem']}", file=out)
    for line in part.get("unmatched_lines", []):
        print(f"      byte {line['offset']}: {line['text']}", file=out)
        if line.get("why"):
            print(f"        rule {line['why']}", file=out)
    for error in part.get("errors", []):
        print(f"      {tables.when(error.get('at'))} {error['error']}", file=out)


def _counts(before: str, counts: Optional[Dict[str, int]]) -> str:
    return before + ", ".join(f"{n} {what}" for what, n in counts.items()) if counts else ""


def _link(client: Client, args: argparse.Namespace) -> int:
    answer = client.explain_link(*args.link)
    if args.format == "json":
        tables.write_json(sys.stdout, answer)
    else:
        write_link(sys.stdout, answer)
    return FINE if answer["linked"] else WRONG


def write_link(out: Any, answer: Dict[str, Any]) -> None:
    """Write why a task comes from another one, or does not."""
    first, second = _name(answer["from"]), _name(answer["to"])
    if answer.get("steps"):
        between = len(answer["steps"]) - 2
        print(f"{second} comes from {first}, with {between} between: {' -> '.join(answer['steps'])}", file=out)
    elif answer["linked"]:
        print(f"{second} comes from {first}:", file=out)
        for link in answer["links"]:
            doubt = f", {link['doubt']}" if link.get("doubt") else ""
            print(f"  {link['entity']} ({link['evidence']}, confidence {link['confidence']:.2f}{doubt})", file=out)
    else:
        print(f"{second} does not come from {first}:", file=out)
        for reason in answer["reasons"]:
            print(f"  - {reason['text']}", file=out)
        _identities(out, f"generated by {first}", answer["generated"])
        _identities(out, f"used by {second}", answer["used"])


def _identities(out: Any, what: str, ids: List[str]) -> None:
    if ids:
        print(f"  {what}:", file=out)
        for id in ids[:20]:
            print(f"    {id}", file=out)
        if len(ids) > 20:
            print(f"    and {len(ids) - 20} more", file=out)


def _name(task: Dict[str, Any]) -> str:
    return f"{task['task_id']} ({task['activity_id'] or task['kind']})"
