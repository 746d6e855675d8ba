"""On which file system a path lies, named so that all machines that share it agree.

The algorithm is that of ``internal/entity/doc.go``; the tests replay its
recorded mount tables.
"""

from __future__ import annotations

import os
import re
from typing import Dict, List, Optional, Tuple

__all__ = ["Mount", "MountTable", "Space", "read_space"]

INITIAL_PID_NAMESPACE = "4026531836"
_HEX64 = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_OCTAL = re.compile(r"\\([0-7]{3})")
_UNIONS = ("overlay", "aufs", "squashfs", "tmpfs", "fuse-overlayfs", "fuse.fuse-overlayfs")
_VOLATILE = frozenset("overlay aufs tmpfs ramfs rootfs devtmpfs squashfs proc sysfs devpts 9p virtiofs".split())


def join_root(base: str, rel: str) -> str:
    """Append `rel` to `base`; the result is absolute and has no trailing slash."""
    base, rel = base.rstrip("/"), rel.strip("/")
    if rel:
        base += "/" + rel
    elif not base:
        return "/"
    return base if base.startswith("/") else "/" + base


def _under(path: str, directory: str) -> Optional[str]:
    """Return the rest of `path` below `directory`, or None."""
    if directory == "/":
        return path[1:] if path.startswith("/") else None
    if not path.startswith(directory):
        return None
    rest = path[len(directory) :]
    return rest.lstrip("/") if not rest or rest[0] == "/" else None


def _unescape(text: str) -> str:
    return _OCTAL.sub(lambda m: chr(int(m.group(1), 8)), text) if "\\" in text else text


def _server(name: str) -> str:
    name = name.strip().lower()
    return name[:-1] if name.endswith(".") else name


def _last_part(text: str) -> str:
    return text.rstrip("/").rpartition("/")[2]


class Mount:
    """One line of mountinfo."""

    __slots__ = ("id", "parent", "dev", "root", "point", "fstype", "source", "options")

    def __init__(self, line: str) -> None:
        fields = line.rstrip("\r").split(" ")
        separator = fields.index("-", 6)
        self.id, self.parent, self.dev = int(fields[0]), int(fields[1]), fields[2]
        self.root, self.point = _unescape(fields[3]), _unescape(fields[4])
        self.fstype, self.source = _unescape(fields[separator + 1]), _unescape(fields[separator + 2])
        self.options = fields[5].split(",")
        if len(fields) > separator + 3:
            self.options += [_unescape(o) for o in fields[separator + 3].split(",")]
        if ":" not in self.dev or not self.point.startswith("/"):
            raise ValueError(line)

    def option(self, name: str) -> str:
        """Return the value of an option, or an empty string."""
        for option in self.options:
            if option.startswith(name + "="):
                return option[len(name) + 1 :]
        return ""

    def network(self) -> Optional[Tuple[str, str]]:
        """Return name and shown directory of a network file system; None for a local one."""
        kind = self.fstype[5:] if self.fstype.startswith("fuse.") else self.fstype
        source = self.source
        if kind in ("nfs", "nfs4"):
            cut = _cut_server(source)
            return ("nfs:" + _server(cut[0]), cut[1]) if cut else ("nfs", self.point)
        if kind == "lustre":
            at = source.rfind(":/")
            if at < 0:
                return "lustre", self.point
            name, _, sub = source[at + 2 :].partition("/")
            return "lustre:" + name, sub
        if kind in ("gpfs", "mmfs"):
            return "gpfs:" + _last_part(source), ""
        if kind in ("ceph", "ceph-fuse"):
            return self._ceph()
        if kind in ("cifs", "smb3", "smbfs", "smb2"):
            server, _, rest = source.replace("\\", "/").strip("/").partition("/")
            share, _, sub = rest.partition("/")
            return "cifs:" + _server(server), join_root("/" + share.lower(), sub)
        if kind == "glusterfs":
            servers, _, volume = source.partition(":")
            return "glusterfs:" + _server(servers.partition(",")[0]), volume
        if kind == "sshfs":
            return self._sshfs()
        if kind in ("afs", "openafs", "auristorfs"):
            return "afs", "/afs"
        if kind == "9p":
            if self.option("trans") not in ("tcp", "rdma"):
                return None
            return "9p:" + _server(source), self.option("aname")
        if kind in ("orangefs", "pvfs2", "panfs"):
            _, found, rest = source.partition("://")
            if not found:
                return kind, self.point
            server, _, name = rest.partition("/")
            return f"{kind}:{_server(server)}", name
        if kind == "wekafs":
            name = _last_part(source)
            return ("wekafs:" + name, "") if name and name != "none" else (kind, self.point)
        if kind == "beegfs":
            host = self.option("sysMgmtdHost")
            return ("beegfs:" + _server(host), "") if host else (kind, self.point)
        if kind in ("daos", "dfuse"):
            return "daos", self.point
        return None

    def _ceph(self) -> Tuple[str, str]:
        name, found, directory = self.source.partition("=/")
        if found:
            return "ceph:" + name.rpartition("@")[2], directory
        cut = _cut_server(self.source)
        if cut is None:
            return "ceph", self.point
        monitors = []
        for monitor in cut[0].split(","):
            colon = monitor.rfind(":")
            monitors.append(_server(monitor[:colon] if colon > monitor.rfind("]") else monitor))
        return "ceph:" + ",".join(sorted(monitors)), cut[1]

    def _sshfs(self) -> Tuple[str, str]:
        if self.source.startswith("["):
            who, found, directory = self.source.partition("]:")
            who = who[1:]
        else:
            who, found, directory = self.source.partition(":")
        if not found:
            return "sshfs", self.point
        user, _, host = who.rpartition("@")
        if not directory.startswith("/"):
            directory = join_root("/~" + user, directory)
        return "sshfs:" + _server(host), directory


def _cut_server(source: str) -> Optional[Tuple[str, str]]:
    at = source.find(":/", source.find("]") + 1)
    return None if at < 0 else (source[:at], source[at + 1 :])


class MountTable:
    """The mounts of one process, in the order of the file: of two in one place the later is on top."""

    def __init__(self, text: str) -> None:
        self.mounts: List[Mount] = []
        for line in text.split("\n"):
            try:
                self.mounts.append(Mount(line))
            except (ValueError, IndexError):
                continue  # a line of a newer kernel must not cost the whole table
        ids = {m.id for m in self.mounts}
        self._children: Dict[int, List[int]] = {}
        self._by_dev: Dict[str, List[int]] = {}
        self._root = -1
        for i, mount in enumerate(self.mounts):
            self._by_dev.setdefault(mount.dev, []).append(i)
            if mount.parent != mount.id:
                self._children.setdefault(mount.parent, []).append(i)
            if self._root < 0 and mount.point == "/" and (mount.parent == mount.id or mount.parent not in ids):
                self._root = i

    def find(self, path: str) -> Optional[Mount]:
        """Return the mount that holds an absolute, clean path."""
        i = self._index(path)
        return self.mounts[i] if i >= 0 else None

    def _index(self, path: str) -> int:
        if self._root < 0:
            best = -1
            for i, mount in enumerate(self.mounts):
                if _under(path, mount.point) is not None:
                    if best < 0 or len(mount.point) >= len(self.mounts[best].point):
                        best = i
            return best
        current = self._root
        for _ in self.mounts:  # a parent loop in a broken table ends here
            following = -1
            for child in self._children.get(self.mounts[current].id, ()):
                point = self.mounts[child].point
                if _under(path, point) is not None:
                    if following < 0 or len(point) <= len(self.mounts[following].point):
                        following = child
            if following < 0:
                return current
            current = following
        return current

    def path_of(self, dev: str, inside: str) -> Optional[str]:
        """Return a path of this table for a directory entry of a device."""
        best: Optional[Mount] = None
        found: Optional[str] = None
        for i in self._by_dev.get(dev, ()):
            mount = self.mounts[i]
            rest = _under(inside, mount.root)
            if rest is None:
                continue
            if best is not None and (len(mount.root), len(mount.point)) >= (len(best.root), len(best.point)):
                continue
            path = join_root(mount.point, rest)
            if self._index(path) != i:
                continue  # another mount lies over it
            best, found = mount, path
        return found


class Space:
    """What one process sees: its own mounts, those of its host or container, and which of the two it is.

    Parameters
    ----------
    own : str, optional
        Text of the process's mountinfo; None where there is none.
    init : str, optional
        Text of the mountinfo of process 1; None when it cannot be read.
    cgroup, pid_ns, mnt_ns, init_age : str
        The cgroup file, the inodes of the namespaces, the start time of
        process 1.
    """

    def __init__(
        self, own: Optional[str], init: Optional[str], cgroup: str, pid_ns: str, mnt_ns: str, init_age: str
    ) -> None:
        self.pid_ns, self.mnt_ns, self.init_age = pid_ns, mnt_ns, init_age
        self.own = self.home = MountTable(own) if own is not None else None
        self.on_host, self.runtime_id = False, ""
        if self.own is None:
            return
        seen = False
        if init is not None:
            table = MountTable(init)
            if table.mounts:
                self.home, seen = table, True
        self.runtime_id = _runtime_id(cgroup, self.own)
        if pid_ns == INITIAL_PID_NAMESPACE:
            self.on_host = seen or (not self.runtime_id and _plain_root(self.own))
        elif not pid_ns:
            self.on_host = not self.runtime_id and _plain_root(self.own)

    def container(self) -> str:
        """Return the id that qualifies paths of the container's own layer."""
        if self.runtime_id:
            return self.runtime_id
        if self.pid_ns and self.pid_ns != INITIAL_PID_NAMESPACE:
            return f"pid-{self.pid_ns}-{self.init_age}"
        return "mnt-" + self.mnt_ns if self.mnt_ns else ""

    def locate(self, real: str) -> Tuple[str, str]:
        """Return the file system's name and the path inside it."""
        if self.own is None or self.home is None:
            return "", join_root(real, "")
        mount = self.own.find(real)
        if mount is None:
            return "", real
        inside = join_root(mount.root, _under(real, mount.point) or "")
        network = mount.network()
        if network is not None:
            fs, base = network
            if ":" in fs or fs == "afs":
                return fs, join_root(base, inside)
            # Known by its mount point: a bind mount of a part must not rename it.
            return fs, self.own.path_of(mount.dev, inside) or real
        outer = self.home.path_of(mount.dev, inside)
        if self.on_host:
            if outer is not None:
                return "", outer
            return "container:" + (self.runtime_id or "mnt-" + self.mnt_ns), real
        if mount.fstype not in _VOLATILE and not mount.fstype.startswith("fuse"):
            return "dev:" + mount.dev, inside
        if outer is not None:
            return "container:" + self.container(), outer
        return f"container:{self.container()}.mnt-{self.mnt_ns}", real

    def stale(self, real: str, dev: str) -> bool:
        """Say whether the table seems older than the file: an automount point, or another device."""
        if self.own is None or not dev:
            return False
        mount = self.own.find(real)
        if mount is None or mount.fstype == "autofs":
            return True
        if mount.fstype in ("btrfs", "overlay", "aufs", "nfs", "nfs4", "zfs") or mount.fstype.startswith("fuse"):
            return False
        return mount.dev != dev


def _plain_root(table: MountTable) -> bool:
    mount = table.find("/")
    if mount is None:
        return True
    return mount.fstype not in _UNIONS and (mount.root == "/" or mount.fstype == "btrfs")


def _runtime_id(cgroup: str, table: MountTable) -> str:
    for line in cgroup.split("\n"):
        found = _HEX64.findall(line)
        if found:
            return found[-1]
    for mount in table.mounts:
        if mount.point in ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf"):
            found = _HEX64.findall(mount.root)
            if found:
                return found[-1]
    return ""


def _read(path: str) -> Optional[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return None


def _namespace(path: str) -> str:
    try:
        return os.readlink(path).partition(":[")[2].rstrip("]")
    except OSError:
        return ""


def read_space() -> Space:
    """Return the space of this process."""
    stat = (_read("/proc/1/stat") or "").rpartition(")")[2].split()
    return Space(
        _read("/proc/self/mountinfo"),
        _read("/proc/1/mountinfo"),
        _read("/proc/self/cgroup") or "",
        _namespace("/proc/self/ns/pid"),
        _namespace("/proc/self/ns/mnt"),
        stat[19] if len(stat) > 19 else "0",
    )
