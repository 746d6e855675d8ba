"""Who a client of a Dask scheduler is: the script that runs in its process."""

from __future__ import annotations

import os
import sys
import uuid
from typing import Any, List, Optional

__all__ = ["Workflow", "client_script", "script_name"]

_PID_BITS = 14  # distributed puts the process id into the clock sequence of the client's UUID


class Workflow:
    """A client, as the workflow of what it submits.

    It is named at once: the script may have ended a moment later. The name is
    the given one, that of the client's script, or the short form of its id.
    """

    __slots__ = ("client", "name")

    def __init__(self, client: str, comm: Any, name: Optional[str]) -> None:
        self.client = client
        if name is None:
            try:
                name = client_script(client, comm)
            except Exception:
                name = None
        self.name = name or "dask " + client.rpartition("Client-")[2][:13]


def client_script(client: str, comm: Any) -> Optional[str]:
    """Return the name of the script that a client runs in, if it is a process of this user on this host.

    Parameters
    ----------
    client : str
        The id of the client; its UUID carries the process id.
    comm : Comm
        The scheduler's connection to the client, which tells whether both are
        on one host.
    """
    try:
        sequence = uuid.UUID(client[-36:]).clock_seq
    except ValueError:
        return None
    if os.getpid() % (1 << _PID_BITS) == sequence and _same_process(comm):
        return script_name(["python", *sys.argv] if sys.argv else [])
    if comm is None or _host(comm.peer_address) != _host(comm.local_address):
        return None
    found = []
    for pid in range(sequence, _pid_max() + 1, 1 << _PID_BITS):
        try:
            if os.stat(f"/proc/{pid}").st_uid != os.getuid():
                continue
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                argv = file.read(65536).decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        if "python" in os.path.basename(argv[0]):
            found.append(argv)
    return script_name(found[0]) if len(found) == 1 else None


def script_name(argv: List[str]) -> Optional[str]:
    """Return a readable name for the program of a Python command line."""
    args = iter(argv[1:])
    for arg in args:
        if arg == "-m":
            module = next(args, "")
            return "notebook" if module.startswith("ipykernel") else module or None
        if arg == "-c" or arg == "":
            return None
        if arg in ("-W", "-X"):
            next(args, "")
            continue
        if arg.startswith("-"):
            continue
        name = os.path.basename(arg)
        if name.startswith("ipykernel"):
            return "notebook"
        stem = name[:-3] if name.endswith(".py") else name
        return os.path.basename(os.path.dirname(os.path.abspath(arg))) if stem == "__main__" else stem or None
    return None


def _same_process(comm: Any) -> bool:
    return comm is None or _host(comm.peer_address) == _host(comm.local_address)


def _host(address: Any) -> str:
    text = str(address)
    if text.startswith("inproc://"):
        return "inproc"
    host = text.partition("://")[2].rpartition(":")[0]
    return "localhost" if host in ("127.0.0.1", "[::1]", "localhost") else host


def _pid_max() -> int:
    try:
        with open("/proc/sys/kernel/pid_max", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 1 << 15
