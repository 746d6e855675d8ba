"""Counts what FlowCept's consumer has stored; runs in FlowCept's environment, one count a line that comes in."""

import json
import sys

import lmdb

ROOM = 1 << 36  # bytes of addresses: the consumer's file grows meanwhile


def count(path: str, filler: bytes) -> dict:
    """Return how many tasks there are, and how many of them ended."""
    with lmdb.open(path, max_dbs=5, readonly=True, map_size=ROOM) as environment:
        table = environment.open_db(b"tasks", create=False)
        with environment.begin(db=table) as transaction:
            tasks = ended = 0
            for key, value in transaction.cursor():
                if not key.startswith(filler):
                    tasks += 1
                    ended += json.loads(value).get("status") == "FINISHED"
    return {"tasks": tasks, "finished": ended}


def entries(path: str) -> int:
    """Return how many records there are, which costs next to nothing."""
    with lmdb.open(path, max_dbs=5, readonly=True, map_size=ROOM) as environment:
        try:
            table = environment.open_db(b"tasks", create=False)
        except lmdb.ReadonlyError:
            return 0
        with environment.begin(db=table) as transaction:
            return transaction.stat()["entries"]


for line in sys.stdin:
    what, path = line.split()
    answer = {"entries": entries(path)} if what == "entries" else count(path, b"filler-")
    print(json.dumps(answer), flush=True)
