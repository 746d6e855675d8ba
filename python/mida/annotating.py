"""Annotations: what people say of tasks, entities and campaigns, kept with who, when and why (``docs/steering.md``)."""

from __future__ import annotations

import argparse
import getpass
import json
import os
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Union

from . import expressions
from .client import Client
from .errors import QueryError

__all__ = ["add_command", "annotate", "notes"]

EXAMPLES = """\
examples:
  mida annotate 62648372a124dee7f61020dbff957a54 --note 'the plot looks odd' --tag check
  mida annotate --filter used.seed=7 --campaign search --exclude --why 'wrong calibration'
  mida annotate --campaign search --action 'stopped the search' --why 'loss does not fall'
  mida annotate --entity file:my.site:/data/img_7.npz --exclude --why 'out of focus'
"""


def annotate(
    ids: Union[str, Iterable[str], None] = None,
    *,
    filter: Optional[Mapping[str, Any]] = None,
    campaign: Optional[str] = None,
    entity: Optional[str] = None,
    note: Optional[str] = None,
    add_tags: Optional[Iterable[str]] = None,
    remove_tags: Optional[Iterable[str]] = None,
    exclude: Optional[bool] = None,
    action: Optional[str] = None,
    why: Optional[str] = None,
    by: Optional[str] = None,
    via: Optional[str] = None,
    client: Optional[Client] = None,
) -> Dict[str, Any]:
    """Note, tag, exclude, or record a decision on tasks, an entity or a campaign; return its id and its author.

    Parameters
    ----------
    ids
        Ids of tasks, or ``task_id`` that are unique.
    filter
        In place of ids, the tasks that match, as in `query`.
    campaign
        In place of ids, the campaign as a whole; with a filter, only its tasks.
    entity
        In place of ids, a thing that tasks used or generated, by its id as `lineage` and the links of a task have it:
        ``"file:my.site:/data/img_7.npz"``.
    note
        Free text.
    add_tags, remove_tags
        Tags of the tasks.
    exclude
        True: not to be counted from now on, with `why`; False: again.
    action
        A steering decision, such as ``"stopped the search"``, with `why`.
    why
        The reason.
    by
        Who says it. Default: the user of this process. Where the collector authenticates users, it knows better.
    via
        What said it for the person, such as a watch.
    """
    body: Dict[str, Any] = {"by": by or _user()}
    if filter is not None and campaign is not None:
        filter, campaign = {"$and": [{"campaign_id": campaign}, dict(filter)]}, None
    if ids is not None:
        body["ids"] = [ids] if isinstance(ids, str) else list(ids)
    for key, value in (
        ("filter", filter),
        ("campaign", campaign),
        ("entity", entity),
        ("note", note),
        ("excluded", exclude),
        ("action", action),
        ("why", why),
        ("via", via),
    ):
        if value is not None:
            body[key] = value
    for key, tags in (("tags_added", add_tags), ("tags_removed", remove_tags)):
        if tags:
            body[key] = [tags] if isinstance(tags, str) else list(tags)
    return (client or Client()).post("/api/v1/annotations", body)


def notes(
    id: Optional[str] = None,
    *,
    campaign: Optional[str] = None,
    entity: Optional[str] = None,
    limit: Optional[int] = None,
    client: Optional[Client] = None,
) -> List[Dict[str, Any]]:
    """Return what people said, the latest first, each as a dict with who (``by``), when (``at``) and ``why``.

    Parameters
    ----------
    id
        Only of this task, and of what it used and generated.
    campaign
        Only of this campaign, its tasks and entities.
    entity
        Only of this thing that tasks used or generated.
    limit
        At most so many; 200 by default, 1,000 at most.
    """
    given = [("id", id), ("campaign_id", campaign), ("entity", entity), ("limit", limit)]
    return (client or Client()).get("/api/v1/annotations", [(k, v) for k, v in given if v is not None])["annotations"]


def _user() -> Optional[str]:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user may have no name
        return None


def add_command(commands: Any, common: argparse.ArgumentParser, client: Callable) -> None:
    """Add the command to a parser; `client` makes a `Client` of the arguments."""
    text = "note, tag, exclude, or record a decision on tasks, an entity or a campaign"
    sub = commands.add_parser(
        "annotate",
        parents=[common],
        help=text,
        description=text,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sub.set_defaults(run=lambda args: _annotate(client(args), args), failed=None)
    sub.add_argument("ids", nargs="*", metavar="ID", help="id of a task, or its task_id where only one task has it")
    sub.add_argument("--filter", action="append", metavar="F", help=expressions.HELP)
    sub.add_argument("--campaign", help="the campaign as a whole; with --filter, only its tasks")
    sub.add_argument("--entity", metavar="E", help="a thing that tasks used or generated, by its id in the lineage")
    sub.add_argument("--note", metavar="TEXT", help="free text")
    sub.add_argument("--tag", action="append", metavar="T", help="add a tag; may be repeated")
    sub.add_argument("--untag", action="append", metavar="T", help="remove a tag; may be repeated")
    either = sub.add_mutually_exclusive_group()
    either.add_argument("--exclude", action="store_true", default=None, help="not to be counted; wants --why")
    either.add_argument("--include", dest="exclude", action="store_false", help="to be counted again")
    sub.add_argument("--action", metavar="TEXT", help="a steering decision; wants --why")
    sub.add_argument("--why", metavar="TEXT", help="the reason")
    sub.add_argument("--via", metavar="TEXT", help="what says it for you (default: the watch whose --exec this is)")
    sub.add_argument("--by", metavar="USER", help="who says it (default: you)")

    _add_list(commands, common, client)


def _add_list(commands: Any, common: argparse.ArgumentParser, client: Callable) -> None:
    text = "list what people said, the latest first, each as a line of JSON"
    sub = commands.add_parser("notes", parents=[common], help=text, description=text)
    sub.set_defaults(run=lambda args: _list(client(args), args), failed=None)
    sub.add_argument("id", nargs="?", metavar="ID", help="only of this task, and of what it used and generated")
    sub.add_argument("--campaign", help="only of this campaign, its tasks and entities")
    sub.add_argument("--entity", metavar="E", help="only of this thing that tasks used or generated")
    sub.add_argument("--limit", type=int, metavar="N", help="at most so many (default 200, at most 1000)")


def _list(client: Client, args: argparse.Namespace) -> None:
    for said in notes(args.id, campaign=args.campaign, entity=args.entity, limit=args.limit, client=client):
        print(json.dumps(said, ensure_ascii=False))


def _annotate(client: Client, args: argparse.Namespace) -> None:
    if args.entity is not None and (args.ids or args.filter or args.campaign is not None):
        raise QueryError("annotate: --entity is given together with tasks or a campaign; want one of them")
    if not args.ids and not args.filter and args.campaign is None and args.entity is None:
        raise QueryError("annotate: nothing chosen; want ids of tasks, --filter, --campaign or --entity")
    if args.ids and (args.filter or args.campaign is not None):
        raise QueryError("annotate: ids and --filter or --campaign are given; want one of them")
    parts = [expressions.parse_filter(text) for text in args.filter or []]
    watch = os.environ.get("MIDA_WATCH")
    answer = annotate(
        args.ids or None,
        filter=None if not parts else parts[0] if len(parts) == 1 else {"$and": parts},
        campaign=args.campaign,
        entity=args.entity,
        note=args.note,
        add_tags=args.tag,
        remove_tags=args.untag,
        exclude=args.exclude,
        action=args.action,
        why=args.why,
        by=args.by,
        via=args.via or (f"watch {watch}" if watch else None),
        client=client,
    )
    print(json.dumps(answer, ensure_ascii=False))
