"""The command ``mida run``: observe an unchanged script for as long as it runs."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
from typing import Any, Dict, List, Optional

from . import program
from .errors import MidaError, QueryError
from .observing import DRAIN_SECONDS, Logs, Observer, absolute_paths
from .running import Run

__all__ = ["add_command", "observers", "summary", "wanted"]

EXAMPLES = """\
examples:
  mida run --campaign search -- python search.py --layers 3
  mida run --campaign acquire --logs 'logs/*.log' --rules rules.yaml -- ./acquire.sh
  mida run --campaign train --output train.log --rules rules.yaml -- python train.py
  mida run -- python search.py        # with the keys of mida.yaml in this directory

Clusters that the script makes with Dask are observed without a change to it; so are the MLflow databases that it
writes: the one of MLFLOW_TRACKING_URI, and those that appear in this directory and below. At the end all that happened
is in the view. The exit code is the script's, 128+N after a signal N. docs/getting-started.md says more.
"""

# As `mida up` has them: the collector's program reads them, with mida.yaml.
PASSED = (
    (
        "--campaign",
        "NAME",
        "the campaign that the tasks belong to (default: that of mida.yaml, or this directory's name)",
    ),
    ("--logs", "GLOB", "logs to read, such as 'logs/*.log'; may be repeated"),
    ("--rules", "FILE", "what the lines of the logs mean (default: rules.yaml, if it is there)"),
    ("--mlflow", "URI", "MLflow's database (default: found); may be repeated; false: none"),
    ("--dask", "WHICH", "auto (default), an address, a scheduler file, false; may be repeated"),
)


def add_command(commands: Any) -> None:
    """Add the command to a parser."""
    text = "observe a script while it runs: mida run --campaign NAME -- python script.py"
    parser = commands.add_parser(
        "run",
        help=text,
        description=text,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="mida run [OPTION]… -- COMMAND [ARGUMENT]…",
        allow_abbrev=False,
    )
    parser.set_defaults(run=_run, failed=None)
    for flag, metavar, help in PASSED:
        parser.add_argument(flag, metavar=metavar, action="append", default=[], help=help)
    parser.add_argument(
        "--output", metavar="FILE", help="also append what the script prints to FILE, and read it as a log"
    )
    parser.add_argument("--state-directory", metavar="DIR", help="the collector's (default: mida-data, here or above)")
    parser.add_argument(
        "--timeout",
        type=float,
        default=DRAIN_SECONDS,
        metavar="SECONDS",
        help=f"to wait at the end for each observer (default: {DRAIN_SECONDS:g})",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the script, behind --")


def _run(args: argparse.Namespace) -> int:
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise QueryError("run: no command; want one such as mida run --campaign search -- python search.py")
    given: List[str] = []
    for flag, _, _ in PASSED:
        for value in getattr(args, flag[2:]):
            # The rules of the output alone are no mistake.
            if not (flag == "--rules" and args.output and not args.logs):
                given += [flag, value]
    known = wanted(given)
    for glob in known["without_rules"]:
        _say(f"{glob} is not observed: nothing says what its lines mean; `mida init` suggests rules")
    observed = observers(known)
    output = None
    if args.output:
        output = pathlib.Path(args.output).absolute()
        observed.append(Logs([output], _rules(args)))
    run = Run(
        known["campaign"],
        observed,
        find_mlflow=not known["mlflow_named"],
        output=output,
        state_directory=args.state_directory,
        timeout=args.timeout,
        say=_say,
    )
    code = run.execute(command)
    _say(summary(known["campaign"], run.counts))
    return code


def _rules(args: argparse.Namespace) -> str:
    rules = args.rules[-1] if args.rules else "rules.yaml"
    if not os.path.exists(rules):
        raise QueryError(f"--output: nothing says what its lines mean: there is no {rules}; `mida init` suggests rules")
    return rules


def wanted(given: List[str]) -> Dict[str, Any]:
    """Ask the collector's program what mida.yaml and these flags stand for."""
    done = subprocess.run([program.find(), "config", "observers", *given], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = re.sub(r"^otelcol-mida config observers: ", "", done.stderr.strip())
        raise QueryError(f"run: {said}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise MidaError(f"{program.find()} is not the program of this version: {done.stdout[:200]!r}") from None


def observers(known: Dict[str, Any]) -> List[Observer]:
    """Return the observers of what is wanted, with the paths of this directory."""
    return [Observer(o["kind"], absolute_paths(o["config"])) for o in known["observers"]]


def summary(campaign: str, counts: Optional[Dict[str, int]]) -> str:
    """Return what the campaign holds, in a line."""
    if counts is None:
        return "the view could not be asked"
    if not counts:
        return f"campaign {campaign} holds no task: no Dask cluster, MLflow database or log of this script was found"
    parts = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
    ask = f"mida query --campaign {shlex.quote(campaign)}"
    return f"campaign {campaign} holds {sum(counts.values())} tasks ({parts}); ask: {ask}"


def _say(text: str) -> None:
    print(f"mida: {text}", file=sys.stderr, flush=True)
