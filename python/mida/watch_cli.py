"""The command ``mida watch``."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from typing import Any, Callable, Dict, Optional

from . import expressions
from .client import Client, encode, opener
from .endpoint import Endpoint
from .errors import MidaWarning, QueryError
from .standing import TEMPLATES
from .watching import NotDelivered, Watch, standing

__all__ = ["add_command"]

ATTEMPTS = 5
EXEC_SECONDS = 300.0

EXAMPLES = """\
examples:
  mida watch 'generated.loss < 0.1' --campaign search --name good
  mida watch --template failure-rate=0.5 --exec './stop_search.sh' --count 1
  mida watch 'status=FAILED' --name failures --webhook https://chat.example.org/hook

A match is a line of JSON: on the output, on the input of CMD (with MIDA_WATCH and MIDA_TASK_ID), or the body of a POST.
templates:
""" + "".join(f"  {name}[=N]: {text}\n" for name, text in TEMPLATES.items())


def add_command(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to a parser."""
    text = "deliver each task that matches, now and later, once"
    sub = commands.add_parser(
        "watch",
        parents=[common],
        help=text,
        description=text,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.set_defaults(run=_watch, failed=None)
    sub.add_argument("query", nargs="*", metavar="F", help=expressions.HELP)
    sub.add_argument("--template", metavar="NAME[=N]", help="in place of F: " + ", ".join(TEMPLATES))
    sub.add_argument("--campaign", help="only this campaign")
    sub.add_argument("--name", help="each match once for all that ever watch by this name, also after a restart")
    sub.add_argument("--from-now", action="store_true", help="not what matches already at the first start")
    sub.add_argument("--count", type=int, metavar="N", help="end after N matches")
    either = sub.add_mutually_exclusive_group()
    either.add_argument("--exec", dest="command", metavar="CMD", help="run this for each match, without a shell")
    either.add_argument("--webhook", metavar="URL", help="POST each match there, until it is taken")


def _watch(args: argparse.Namespace) -> None:
    if args.count is not None and args.count < 1:
        raise QueryError(f"--count: {args.count} is no number of matches; want 1 or more")
    parts = [expressions.parse_filter(text) for text in args.query]
    query = None if not parts else parts[0] if len(parts) == 1 else {"$and": parts}
    if query is None and args.template is None and args.campaign is not None:
        query = {}
    deliver = _deliverer(args)

    def callback(match: Dict[str, Any]) -> None:
        deliver(match)
        if args.count is not None and w.count + 1 >= args.count:
            w.stop()

    w = Watch(
        standing(query, args.template, args.campaign),
        callback,
        name=args.name,
        client=Client(endpoint=args.endpoint, state_directory=args.state_directory),
        from_now=args.from_now,
    )
    w.run()


def _deliverer(args: argparse.Namespace) -> Callable[[Dict[str, Any]], None]:
    if args.command is not None:
        command = shlex.split(args.command)
        if not command:
            raise QueryError("--exec: empty; want a command")
        return lambda match: _execute(command, args.name, match)
    if args.webhook is not None:
        if urllib.parse.urlsplit(args.webhook).scheme not in ("http", "https"):
            raise QueryError(f"--webhook: {args.webhook!r} is no address; want one such as https://example.org/hook")
        return lambda match: post(args.webhook, args.name, match)
    return _print


def _print(match: Dict[str, Any]) -> None:
    sys.stdout.write(encode(match).decode() + "\n")
    sys.stdout.flush()


def _execute(command: list, name: Optional[str], match: Dict[str, Any]) -> None:
    """Run a command once. How it ends is said and not tried again: it may have done a part."""
    environment = {**os.environ, "MIDA_WATCH": name or "", "MIDA_TASK_ID": str(match.get("id", ""))}
    try:
        done = subprocess.run(command, input=encode(match), env=environment, timeout=EXEC_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        _say(f"{command[0]} was ended after {EXEC_SECONDS:.0f} s, for {match.get('id', match)}")
        return
    if done.returncode:
        _say(f"{command[0]} ended with {done.returncode}, for {match.get('id', match)}")


def post(url: str, name: Optional[str], match: Dict[str, Any], pause: float = 0.5) -> None:
    """Send a match until it is taken. What is refused for good is said and not tried again."""
    body = encode({"watch": name, "match": match})
    request = urllib.request.Request(url, data=body, method="POST", headers={"Content-Type": "application/json"})
    send = opener(Endpoint(url, None, "").is_loopback)
    why = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            with send.open(request, timeout=30):
                return
        except urllib.error.HTTPError as error:
            with error:
                why = f"it answered {error.code}"
                if error.code < 500 and error.code not in (408, 429):
                    _say(f"the webhook refused {json.dumps(match.get('id'))}: {why}")
                    return
        except OSError as error:
            why = str(getattr(error, "reason", error))
    raise NotDelivered(f"the webhook took nothing {ATTEMPTS} times ({why}); it is tried again")


def _say(text: str) -> None:
    warnings.warn(text, MidaWarning, stacklevel=2)
