"""The lab book: what each script itself knows it did, one JSON object a line, under ``truth/``."""

import argparse
import hashlib
import json
import os
from datetime import datetime, timezone
from pathlib import Path


def command_line(description: str) -> argparse.Namespace:
    """Read the command line that the three scripts share, and go to the working directory."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--round", type=int, default=1, help="round of the campaign, from 1")
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal results")
    parser.add_argument("--workdir", default=".", help="where all files are read and written")
    args = parser.parse_args()
    os.chdir(args.workdir)
    return args


def now() -> str:
    """Return the time as ISO 8601 in UTC with microseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


def file_record(path) -> dict:
    """Describe a file as it is at this moment: path as used, full path, SHA-256, time."""
    path = Path(path)
    return {
        "path": str(path),
        "absolute_path": str(path.resolve()),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "at": now(),
    }


def note(book: str, record: str, **fields) -> None:
    """Append one record to ``truth/<book>.jsonl``; one write, so that processes do not mix."""
    path = Path("truth", f"{book}.jsonl")
    path.parent.mkdir(exist_ok=True)
    line = json.dumps({"record": record, "noted_at": now(), **fields}) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


def kernel_kills() -> int:
    """Return how many processes of this job the kernel has killed for want of memory, by the job's cgroup."""
    groups = [line.split(":") for line in Path("/proc/self/cgroup").read_text().splitlines()]
    files = [Path("/sys/fs/cgroup/memory" + p, "memory.oom_control") for _, what, p in groups if what == "memory"]
    files += [Path("/sys/fs/cgroup" + p, "memory.events") for _, what, p in groups if not what]
    counts = [f.read_text().partition("oom_kill ")[2].split() for f in files if f.exists()]
    return next((int(c[0]) for c in counts if c), 0)


class DaskCalls:
    """Submit tasks to Dask, remember every call, and note it with its outcome at the end."""

    def __init__(self, client):
        self.client = client
        self.calls = []

    def submit(self, function, retries: int = 0, **arguments):
        """Submit ``function(**arguments)``; futures among the arguments are noted by key."""
        future = self.client.submit(function, retries=retries, **arguments)
        plain = {name: {"$key": value.key} if hasattr(value, "key") else value for name, value in arguments.items()}
        call = {"key": future.key, "function": function.__name__, "arguments": plain}
        self.calls.append((future, {**call, "retries": retries, "submitted": now()}))
        return future

    def take(self, future):
        """Wait for one call and return its future's result, or None; Dask may forget it and need not keep it."""
        i = next(i for i, (one, _) in enumerate(self.calls) if one is future)
        self.calls[i] = (None, {**self.calls[i][1], **outcome(future)})
        return self.calls[i][1].get("result")

    def note(self, book: str, **run) -> None:
        """Wait for all calls and note them."""
        for future, call in self.calls:
            note(book, "call", **run, **call, **(outcome(future) if future is not None else {}))


def outcome(future) -> dict:
    """Wait for a future and describe how it ended."""
    error = future.exception()
    if error is None:
        return {"status": future.status, "result": future.result()}
    return {"status": future.status, "exception": type(error).__name__, "message": str(error)}


def note_dask_files(book: str, read=(), written=()) -> None:
    """Note, from inside a Dask task, which files it has read and written, as they are now."""
    from dask.distributed import get_worker

    read, written = ([file_record(path) for path in paths] for paths in (read, written))
    worker = get_worker()
    task = {"key": str(worker.get_current_task()), "pid": os.getpid(), "worker": worker.address}
    task["scheduler_address"] = worker.scheduler.addr
    note(book, "files", **task, read=read, written=written)
