"""Hosts of their own on one machine: a network namespace each, with its own host name, joined by a bridge."""

from __future__ import annotations

import itertools
import os
import secrets
import subprocess
from typing import Any


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)


class Hosts:
    """A network of hosts; this process is on it, too, as `here`.

    A host has its own network and its own name, and shares the file system.
    """

    def __init__(self) -> None:
        self._bridge = f"mida{secrets.token_hex(3)}"
        # Of the block for documentation and tests (RFC 2544), so that no real network is in the way.
        self._prefix = f"198.18.{os.getpid() % 256}"
        self.here = f"{self._prefix}.1"
        self._numbers = itertools.count(2)
        self._names: list[str] = []

    def __enter__(self) -> Hosts:
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("addr", "add", f"{self.here}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        return self

    def add(self, name: str) -> Host:
        """Make a host."""
        number = next(self._numbers)
        namespace, address = f"{self._bridge}-{name}", f"{self._prefix}.{number}"
        _ip("netns", "add", namespace)
        self._names.append(namespace)
        outer = f"{self._bridge}v{number}"
        _ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        _ip("link", "set", outer, "master", self._bridge, "up")
        for command in (f"addr add {address}/24 dev eth0", "link set eth0 up", "link set lo up"):
            _ip("-n", namespace, *command.split())
        return Host(name, namespace, address)

    def __exit__(self, *_: Any) -> None:
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self._bridge], check=False, capture_output=True)


class Host:
    """One of the hosts."""

    def __init__(self, name: str, namespace: str, address: str) -> None:
        self.name, self.address, self._namespace = name, address, namespace

    def command(self, *command: Any) -> list[str]:
        """Return the command that runs a command there. The process that is started becomes it."""
        inner = 'hostname "$0" && exec "$@"'
        words = ["ip", "netns", "exec", self._namespace, "unshare", "--uts", "sh", "-c", inner, self.name]
        return [*words, *map(str, command)]
