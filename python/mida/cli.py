"""The command ``mida``: queries, status, lineage and care of the view of all tasks."""

from __future__ import annotations

import argparse
import atexit
import json
import os
import pathlib
import shlex
import subprocess
import sys
import warnings
from typing import Any, Dict, NoReturn, Optional, Sequence

from . import (
    __version__,
    annotating,
    correlation_cli,
    doctor,
    embedded,
    expressions,
    observers_cli,
    originating,
    program,
    reports,
    run_cli,
    tables,
    ui_cli,
    watch_cli,
)
from .client import Client
from .completeness_text import EXIT, HELP, open_text, write_completeness
from .errors import MidaError, MidaWarning, QueryError, UnreachableError

__all__ = ["main"]

EXAMPLES = """\
examples:
  mida query --filter status=FAILED --fields task_id,activity_id,error.message
  mida query --campaign my_campaign_1 --filter 'used.layers>2' --sort ended_at:desc --limit 10
  mida query --fields used.layers --aggregate 'min(generated.loss)' --sort 'min(generated.loss)'
  mida query --fields 'task_id,used.*,generated.*' --format csv --limit 0 > tasks.csv

What a task was given is used.NAME, what came out is generated.NAME; other fields are in docs/query.md.
"""

OK, FAILED, WRONG, UNASKED, BROKEN_PIPE, INTERRUPTED = 0, 1, 2, 3, 141, 130


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line; return the exit code: 0 done, 1 failed, 2 wrong usage or query; or the command's own."""
    args = _parser().parse_args(argv)
    warnings.showwarning = _show_warning
    warnings.simplefilter("always", MidaWarning)
    try:
        code = args.run(args)
        sys.stdout.flush()
    except QueryError as error:
        return _complain(error, args.failed or WRONG)
    except (MidaError, OSError, ImportError) as error:
        if isinstance(error, BrokenPipeError):
            # The reader, such as head, has seen enough; nothing may be written at the interpreter's end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return BROKEN_PIPE
        return _complain(error, args.failed or FAILED)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    return OK if code is None else code


def _complain(error: BaseException, code: int) -> int:
    print(f"mida: {error}", file=sys.stderr)
    return code


def _show_warning(message: Any, category: type, *_: Any, **__: Any) -> None:
    if issubclass(category, MidaWarning):
        print(f"mida: warning: {message}", file=sys.stderr)


# ---- the command line --------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mida",
        description="One live, linked view over all workflows.",
        epilog="The collector is found by MIDA_ENDPOINT and MIDA_TOKEN, or by mida-data/endpoint.json here or above.",
    )
    parser.add_argument("--version", action="version", version=f"mida {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    for place, default in ((parser, None), (common, argparse.SUPPRESS)):  # before the command and behind it
        place.add_argument("--endpoint", metavar="URL", default=default, help="address of the query API")
        place.add_argument("--state-directory", metavar="DIR", default=default, help="the collector's state directory")
    forms = argparse.ArgumentParser(add_help=False)
    forms.add_argument("--format", choices=("table", "json", "csv"), default="table", help="form of the output")
    forms_no_csv = argparse.ArgumentParser(add_help=False)
    forms_no_csv.add_argument("--format", choices=("table", "json"), default="table", help="form of the output")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Any, *parents: argparse.ArgumentParser, **kwargs: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, parents=list(parents), description=kwargs["help"], **kwargs)
        sub.set_defaults(run=run, failed=None)
        return sub

    sub = command("query", _query, common, forms, help="ask for tasks or for aggregates over them", epilog=EXAMPLES)
    sub.formatter_class = argparse.RawDescriptionHelpFormatter
    _query_arguments(sub)

    sub = command("status", _status, common, forms_no_csv, help="campaigns, workflows, and how complete the view is")
    sub.add_argument("--campaign", help="only this campaign")

    sub = command(
        "completeness",
        _completeness,
        common,
        forms_no_csv,
        help="whether all that was observed is in the view",
        epilog=HELP,
    )
    sub.formatter_class = argparse.RawDescriptionHelpFormatter
    sub.set_defaults(failed=UNASKED)
    sub.add_argument("--campaign", help="only this campaign")

    sub = command("task", _task, common, help="one task, whole, as JSON")
    sub.add_argument("id", help="id of the task, or its task_id where only one task has it")

    sub = command("lineage", _lineage, common, forms_no_csv, help="where a task's inputs came from, or what it led to")
    sub.add_argument("id", help="id of the task, or its task_id where only one task has it")
    sub.add_argument(
        "--direction",
        choices=("upstream", "downstream", "both"),
        default="upstream",
        help="default: upstream, what it came from",
    )
    sub.add_argument("--depth", type=int, help="steps from the task (default: all)")
    sub.add_argument(
        "--cost", action="store_true", help="energy, CO2e, CPU and GPU hours of all that it came from, and of trials"
    )

    correlation_cli.add_command(commands, common, forms, _client)

    reports.add_command(commands, common, _client)

    originating.add_command(commands, common, forms, _client)

    annotating.add_command(commands, common, _client)
    watch_cli.add_command(commands, common)

    sub = command("delete", _delete, common, help="remove a campaign and all of its tasks")
    sub.add_argument("--campaign", required=True, help="name of the campaign")
    sub.add_argument("--yes", action="store_true", help="do not ask first")

    sub = command("backup", _backup, common, help="write a consistent copy of the store")
    sub.add_argument("file", help="a file that does not exist yet, on the collector's machine")

    campaign = commands.add_parser("campaign", help="work with campaigns", description="work with campaigns")
    actions = campaign.add_subparsers(metavar="ACTION", required=True)
    sub = actions.add_parser(
        "assign", parents=[common], help="assign tasks to a campaign", description="assign tasks to a campaign"
    )
    sub.set_defaults(run=_assign, failed=None)
    sub.add_argument("name", help="the campaign")
    sub.add_argument("--workflow", action="append", metavar="W", help="id or name of a workflow; may be repeated")
    sub.add_argument("--filter", action="append", metavar="F", help=expressions.HELP)

    ui_cli.add_command(command, common)
    observers_cli.add_command(commands, common, forms_no_csv, _client)
    run_cli.add_command(commands)
    doctor.add_command(commands, common, forms_no_csv, _client, program.find)

    # Everything behind these, --help too, is for the collector's program.
    for name, text in (
        ("rules", "try the rules of the log observer: mida rules test LOG"),
        ("init", "look at a directory and write mida.yaml, with rules for its logs: mida init [DIR]"),
        ("copy", "copy a view between SQLite and a cluster: mida copy --from VIEW --to VIEW"),
        ("up", "observe a campaign until Ctrl-C: mida up --campaign NAME --logs 'logs/*.log'"),
        ("config", "print the collector's configuration that mida up stands for: mida config show"),
    ):
        sub = command(name, _collector, help=text, prefix_chars="\0", add_help=False)
        sub.set_defaults(subcommand=name)
        sub.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser


def _query_arguments(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "query", nargs="?", help='a whole query as JSON, such as \'{"filter": {"status": "FAILED"}}\'; - reads it'
    )
    sub.add_argument("--campaign", help="only tasks of this campaign; short for --filter campaign_id=…")
    sub.add_argument("--filter", action="append", metavar="F", help=expressions.HELP)
    sub.add_argument("--fields", metavar="A,B", help="fields of the rows, or the groups of an aggregation")
    sub.add_argument(
        "--aggregate",
        action="append",
        metavar="AGG",
        help="OPERATION(FIELD), such as 'min(generated.loss)', with min max avg sum count stddev median p95; may be "
        "repeated",
    )
    sub.add_argument("--sort", action="append", metavar="FIELD[:desc]", help="such as 'ended_at:desc'; may be repeated")
    sub.add_argument("--limit", type=int, metavar="N", help="number of rows (default: 100; 0 = all)")


def _client(args: argparse.Namespace) -> Client:
    try:
        client = Client(endpoint=args.endpoint, state_directory=args.state_directory)
        if client.is_there():
            return client
    except UnreachableError:
        pass
    # The view of a campaign that is over: a collector for this one question.
    state = None
    if not args.endpoint and not (os.environ.get("MIDA_ENDPOINT") and not args.state_directory):
        state = embedded.view_directory(args.state_directory)
    if state is None:
        return Client(endpoint=args.endpoint, state_directory=args.state_directory)
    collector = embedded.join(str(state))
    atexit.register(collector.release)
    return collector.client


# ---- commands ----------------------------------------------------------------------------------------------------


def _query(args: argparse.Namespace) -> None:
    body = _query_body(args)
    client = _client(args)
    unknown = set(body) - {"projection", "aggregation", "filter", "sort", "limit"}
    if unknown:
        raise QueryError(
            f"{', '.join(sorted(unknown))}: unknown key; valid: projection, aggregation, filter, sort, limit"
        )
    limit = body.pop("limit", 100)
    total: Optional[int] = None
    if limit:
        answer = client.page({**body, "limit": limit})
        rows, total = answer["rows"], answer["total"]
        for text in answer.get("warnings", []):
            warnings.warn(text, MidaWarning, stacklevel=1)
        if len(rows) < limit and answer.get("next_cursor"):  # more than one page of the server
            rows = client.query(**body, limit=limit)
    else:
        rows = client.query(**body)
    tables.write(sys.stdout, args.format, rows, body.get("projection"), body.get("aggregation"))
    if not rows and args.format != "json":
        print("no task matches", file=sys.stderr)
    if total is not None and total > len(rows):
        what = "groups" if body.get("aggregation") else "tasks"
        print(f"{len(rows)} of {total} {what}; --limit 0 shows all", file=sys.stderr)


def _query_body(args: argparse.Namespace) -> Dict[str, Any]:
    body: Dict[str, Any] = {}
    if args.query is not None:
        text = sys.stdin.read() if args.query == "-" else args.query
        try:
            body = json.loads(text)
        except ValueError as error:
            hint = (
                ""
                if text.lstrip().startswith("{")
                else f"; a condition goes behind --filter: --filter {shlex.quote(text.strip())}"
            )
            raise QueryError(f"the query is not JSON: {error}{hint}") from None
        if not isinstance(body, dict):
            raise QueryError('the query is not a JSON object; want one such as {"filter": {"status": "FAILED"}}')
    if args.filter or args.campaign is not None:
        parts = [expressions.parse_filter(text) for text in args.filter or []]
        if args.campaign is not None:
            parts.insert(0, {"campaign_id": args.campaign})
        if body.get("filter"):
            parts.insert(0, body["filter"])
        body["filter"] = parts[0] if len(parts) == 1 else {"$and": parts}
    if args.fields:
        body["projection"] = [name.strip() for name in args.fields.split(",") if name.strip()]
    if args.aggregate:
        body["aggregation"] = [expressions.parse_aggregate(text) for text in args.aggregate]
    if args.sort:
        body["sort"] = [expressions.parse_sort(text) for text in args.sort]
    if args.limit is not None:
        if args.limit < 0:
            raise QueryError(f"--limit: {args.limit} is not a number of rows; want 1 or more, or 0 for all")
        body["limit"] = args.limit
    return body


def _status(args: argparse.Namespace) -> None:
    client = _client(args)
    known = client.campaigns()
    campaigns = [c for c in known if args.campaign in (None, c["campaign_id"])]
    workflows = client.workflows(args.campaign)
    complete = client.completeness(args.campaign)
    if args.format == "json":
        tables.write_json(sys.stdout, {"campaigns": campaigns, "workflows": workflows, "completeness": complete})
        return
    if not campaigns and not workflows:
        name = f"campaign {args.campaign!r}" if args.campaign else "view"
        others = ", ".join(sorted(c["campaign_id"] for c in known if c["campaign_id"]))
        print(f"The {name} at {client.endpoint} holds no tasks yet" + (f"; there is {others}." if others else "."))
        print("`mida doctor` says what is observed, and what stands in the way.")
    for campaign in campaigns:
        name = campaign["campaign_id"] or "(no campaign)"
        print(f"{name}: {_count(campaign['tasks'], 'task')}, {_by_status(campaign['by_status'])}")
        rows = [
            {
                "workflow": w["workflow_name"] or w["workflow_id"] or "(none)",
                "kind": w["kind"],
                "tasks": w["tasks"],
                "running": w["by_status"].get("RUNNING", 0),
                "failed": w["by_status"].get("FAILED", 0),
                "last": tables.when(w.get("last_at")),
            }
            for w in workflows
            if w["campaign_id"] == campaign["campaign_id"]
        ]
        tables.write_table(sys.stdout, rows, ["workflow", "kind", "tasks", "running", "failed", "last"], indent="  ")
    if complete["observers"]:
        counts = ", ".join(f"{complete[state]} {state}" for state in EXIT)
        print(f"observers: {counts}; `mida completeness` says more")
    for o in complete["observers"]:
        if o["state"] == "unknown":
            print(f"  {o['observer']}: {open_text(o)}")
        elif o["state"] == "missing":
            print(
                f"  {o['observer']}: {_count(o['dropped'], 'event')} dropped, {_count(o['missing'], 'event')} missing"
            )


def _completeness(args: argparse.Namespace) -> int:
    answer = _client(args).completeness(args.campaign)
    if args.format == "json":
        tables.write_json(sys.stdout, answer)
    else:
        write_completeness(sys.stdout, answer, args.campaign or "all campaigns")
    return EXIT[answer["state"]]


def _count(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def _by_status(counts: Dict[str, int]) -> str:
    return ", ".join(f"{n} {status.lower()}" for status, n in sorted(counts.items()) if n) or "none"


def _task(args: argparse.Namespace) -> None:
    tables.write_json(sys.stdout, _client(args).task(args.id))


def _lineage(args: argparse.Namespace) -> None:
    graph = _client(args).lineage(args.id, args.direction, args.depth, args.cost)
    if args.format == "json":
        tables.write_json(sys.stdout, graph)
    else:
        tables.write_lineage(sys.stdout, graph)
        if args.cost:
            tables.write_cost(sys.stdout, graph["cost"])


def _delete(args: argparse.Namespace) -> None:
    client = _client(args)
    if not args.yes:
        known = {c["campaign_id"]: c["tasks"] for c in client.campaigns()}
        if args.campaign in known:
            what = f"campaign {args.campaign!r} with {_count(known[args.campaign], 'task')} at {client.endpoint}"
            _confirm(f"Delete {what}? [y/N] ")
    print(f"{_count(client.delete_campaign(args.campaign), 'task')} deleted")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise QueryError("nothing was deleted: this asks first, and nobody can answer here; want --yes")
    try:
        answer = input(question)
    except EOFError:
        print()
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise MidaError("nothing was deleted")


def _backup(args: argparse.Namespace) -> None:
    path = str(pathlib.Path(args.file).absolute())
    _client(args).backup(path)
    print(f"{path} written")


def _assign(args: argparse.Namespace) -> None:
    if not args.workflow and not args.filter:
        raise QueryError("assign: nothing chosen; want --workflow or --filter")
    parts = [expressions.parse_filter(text) for text in args.filter or []]
    chosen = None if not parts else parts[0] if len(parts) == 1 else {"$and": parts}
    n = _client(args).assign(args.name, filter=chosen, workflows=args.workflow)
    print(f"{_count(n, 'task')} assigned to {args.name}")
    if n == 0:
        print("no task matches that is not there already; `mida status` shows the workflows", file=sys.stderr)


def _collector(args: argparse.Namespace) -> None:
    binary = program.find()
    command = [binary, args.subcommand, *args.arguments]
    sys.stdout.flush()
    if os.name == "posix":
        os.execv(binary, command)
    raise SystemExit(subprocess.run(command, check=False).returncode)


def _run() -> NoReturn:
    sys.exit(main())


if __name__ == "__main__":
    _run()
