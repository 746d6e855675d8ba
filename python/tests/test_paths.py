"""Paths: the same tables as the Go side."""

from __future__ import annotations

import os
import pathlib
import threading

import pytest

from mida import looks, paths
from mida.mounts import Space

ENTITY = pathlib.Path(__file__).resolve().parents[2] / "internal" / "entity" / "testdata"


def table():
    out = []
    for line in (ENTITY / "paths.txt").read_text(encoding="utf-8").split("\n"):
        if line and not line.startswith("#"):
            want, field, value = line.split("\t", 2)
            out.append(pytest.param("" if field == "-" else field, value, want == "yes", id=f"{field}:{value}"))
    return out


@pytest.mark.parametrize(("field", "value", "want"), table())
def test_looks_like_path(field, value, want):
    assert looks.looks_like_path(field, value) is want


DOCKER = "3f8a1c5be0d2746f9a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef"
INITIAL, NESTED = "4026531836", "4026532600"


def space(own, init, pid_ns, cgroup=""):
    def text(name):
        return (ENTITY / "mountinfo" / name).read_text(encoding="utf-8") if name else None

    return Space(text(own), text(init), cgroup, pid_ns, "4026532700", "777")


SPACES = {
    "laptop": ("laptop", "laptop", INITIAL),
    "docker": ("docker", "docker", NESTED, "0::/"),
    "docker host": ("docker", "laptop", INITIAL, f"0::/docker-{DOCKER}.scope"),
    "apptainer": ("apptainer", "laptop", INITIAL, "0::/user.slice"),
    "hidden": ("apptainer", "", INITIAL, "0::/user.slice"),
    "nfs a": ("nfs-client-a", "nfs-client-a", INITIAL),
    "nfs b": ("nfs-client-b", "nfs-client-b", INITIAL),
    "parallel": ("parallel", "parallel", INITIAL),
    "btrfs": ("btrfs", "", INITIAL),
    "autofs": ("autofs", "autofs", INITIAL),
}


@pytest.mark.parametrize(
    ("name", "path", "fs", "rel"),
    [
        ("laptop", "/home/ada/data/x", "", "/home/ada/data/x"),
        ("laptop", "/srv/data/x", "", "/home/ada/data/x"),
        ("laptop", "/", "", "/"),
        ("laptop", "/media/ada/My Disk/x", "", "/media/ada/My Disk/x"),
        ("docker", "/data/x", "dev:259:3", "/ada/data/x"),
        ("docker", "/tmp/x", "container:" + DOCKER, "/tmp/x"),
        ("docker host", "/data/x", "", "/home/ada/data/x"),
        ("docker host", "/out/x", "container:" + DOCKER, "/out/x"),
        ("apptainer", "/input/x", "", "/home/ada/data/x"),
        ("apptainer", "/var/tmp/x", "container:mnt-4026532700", "/var/tmp/x"),
        ("hidden", "/input/x", "dev:259:3", "/ada/data/x"),
        ("nfs a", "/mnt/data/run 1/x", "nfs:nas.example.org", "/export/data/run 1/x"),
        ("nfs b", "/home/shared/run1/x", "nfs:nas.example.org", "/export/data/run 1/x"),
        ("nfs b", "/v6/x", "nfs:[fe80::1]", "/export/x"),
        ("parallel", "/lustre/scratch/proj/x", "lustre:scratch", "/proj/x"),
        ("parallel", "/gpfs/fs1/x", "gpfs:fs1", "/x"),
        ("parallel", "/ceph/x", "ceph:2f3a1b6c-0000-4000-8000-0123456789ab.cephfs", "/vol/x"),
        ("parallel", "/oldceph/x", "ceph:10.0.0.1,10.0.0.2", "/vol/x"),
        ("parallel", "/win/x", "cifs:files.example.org", "/share/sub/x"),
        ("parallel", "/gluster/x", "glusterfs:gl1.example.org", "/vol1/x"),
        ("parallel", "/home/ada/farhome/x", "sshfs:login.example.org", "/~ada/x"),
        ("parallel", "/afs/cern.ch/u/x", "afs", "/afs/cern.ch/u/x"),
        ("parallel", "/home/proj/x", "beegfs", "/beegfs/proj/x"),
        ("parallel", "/tcp9p/x", "9p:files.example.org", "/vol/x"),
        ("parallel", "/pvfs/x", "pvfs2:io1.example.org:3334", "/orangefs/x"),
        ("parallel", "/weka/x", "wekafs:default", "/x"),
        ("parallel", "/pan/x", "panfs:realm.example.org", "/vol/x"),
        ("btrfs", "/srv/data/x", "", "/home/ada/data/x"),
        ("autofs", "/home/ada/x", "nfs:nas.example.org", "/homes/ada/x"),
    ],
)
def test_locate(name, path, fs, rel):
    assert space(*SPACES[name]).locate(path) == (fs, rel)


def test_symlink_relative_and_real_path_lead_to_one_file(tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.npz").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(data)
    monkeypatch.chdir(tmp_path)
    finder = paths.PathFinder(wait=30)
    event = {"used": {"a": "data/a.npz", "b": {"c": [str(tmp_path / "link" / "a.npz"), str(data / "a.npz")]}}}
    finder.add([event])
    infos = event["paths"]
    assert len(infos) == 3
    assert len({(i["real"], i.get("fs"), i["rel"], i["mtime"], i["size"]) for i in infos.values()}) == 1
    assert infos["data/a.npz"]["size"] == 5
    assert infos["data/a.npz"]["mtime"] == os.stat(data / "a.npz").st_mtime_ns
    assert finder.missed == 0


def test_a_file_that_is_not_there_has_an_identity(tmp_path):
    event = {"generated": {"value": str(tmp_path / "later.npz")}}
    paths.PathFinder(wait=30).add([event])
    (info,) = event["paths"].values()
    assert info["size"] == -1 and "mtime" not in info and info["rel"].endswith("/later.npz")


def test_a_file_system_that_hangs_costs_a_bounded_time(monkeypatch):
    hang = threading.Event()
    monkeypatch.setattr(paths, "resolve", lambda *a: hang.wait(30))
    finder = paths.PathFinder(wait=0.05)
    for _ in range(3):
        event = {"used": {"path": "/mnt/dead/x.npz"}}
        finder.add([event])
        assert "paths" not in event
    assert finder.missed == 3
    hang.set()


def test_an_abandoned_batch_does_not_cost_the_next_ones(monkeypatch):
    gate, asked, real = threading.Event(), [], paths.resolve

    def resolve(path, *rest):
        asked.append(path)
        if path == "/data/slow.npz":
            gate.wait(30)
        return real(path, *rest)

    monkeypatch.setattr(paths, "resolve", resolve)
    finder = paths.PathFinder(wait=0.05)
    finder.add([{"used": {"path": ["/data/slow.npz", "/data/a.npz", "/data/b.npz"]}}])
    assert finder.missed == 3
    gate.set()
    finder._busy.done.wait(30)
    finder.wait = 30.0
    event = {"used": {"path": "/data/c.npz"}}
    finder.add([event])
    assert list(event["paths"]) == ["/data/c.npz"] and finder.missed == 3
    assert asked == ["/data/slow.npz", "/data/c.npz"]


def test_who_closes_shortens_the_wait(monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(paths, "resolve", lambda *a: gate.wait(60))
    finder = paths.PathFinder(wait=3600.0)
    adding = threading.Thread(target=finder.add, args=([{"used": {"path": "/mnt/dead/x.npz"}}],), daemon=True)
    adding.start()
    finder.wait = 0.0
    adding.join(30)
    assert not adding.is_alive()
    gate.set()


def test_a_thread_that_cannot_start_is_tried_again(monkeypatch):
    def refused(self):
        raise RuntimeError("can't start new thread")

    finder = paths.PathFinder(wait=30)
    event = {"used": {"path": "/data/x.npz"}}
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(threading.Thread, "start", refused)
        finder.add([event])
    assert finder.missed == 1
    finder.add([event])
    assert list(event["paths"]) == ["/data/x.npz"]
    thread = finder._thread
    finder.close()
    thread.join(30)
    assert not thread.is_alive()


def test_a_busy_interpreter_has_time_for_its_paths():
    assert paths.PathFinder().wait >= 5


@pytest.fixture
def tree(tmp_path):
    """A directory with links of all kinds."""
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "a.npz").write_bytes(b"12345")
    for link, target in {
        "dir": "data/deep",
        "data/file": "deep/a.npz",
        "data/absolute": str(tmp_path / "data" / "deep" / "a.npz"),
        "data/chain": "../dir/a.npz",
        "data/nowhere": "gone/x.npz",
        "data/loop": "loop",
        "data/deep/up": "../..",
    }.items():
        (tmp_path / link).symlink_to(target)
    return tmp_path


def test_real_paths_are_those_of_the_system(tree):
    relative = (
        ". .. / data data/ data/. data/.. data/deep/a.npz dir/a.npz dir/../file dir/gone.npz data/file data/absolute "
        "data/chain data/nowhere data/loop data/loop/x data/deep/up/dir/a.npz data/deep/a.npz/below dir//a.npz "
        "./data/./deep/a.npz gone/x/y.npz"
    ).split()
    directories = paths.Directories()
    for path in [str(tree / "x")[:-1] + r for r in relative] + ["/", "/x.npz", "/tmp", "/..", "/."]:
        for _ in range(2):
            real, found = directories.real(path)
            want = os.path.realpath(path)
            assert real == want, path
            assert (found.st_ino if found else None) == (os.stat(want).st_ino if os.path.exists(want) else None), path


def test_directories_are_asked_once_a_second(tree, monkeypatch):
    asked, real = [], os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda path: asked.append(path) or real(path))
    finder = paths.PathFinder(wait=30)
    monkeypatch.setattr(paths.Directories, "SECONDS", 3600.0)
    event = {"used": {"files": [str(tree / "dir" / f"{n}.npz") for n in range(100)]}}
    finder.add([event])
    assert len(event["paths"]) == 100 and asked == [str(tree / "dir")]
    assert event["paths"][str(tree / "dir" / "7.npz")]["real"] == str(tree / "data" / "deep" / "7.npz")
    # A link in the place of the file is seen at once, one in the way of its directory once a second has passed.
    (tree / "data" / "deep" / "7.npz").symlink_to("a.npz")
    (tree / "dir").unlink()
    (tree / "dir").symlink_to("data")
    event = {"used": {"path": str(tree / "dir" / "7.npz")}}
    finder.add([event])
    assert event["paths"][str(tree / "dir" / "7.npz")]["real"] == str(tree / "data" / "deep" / "a.npz")
    monkeypatch.setattr(paths.Directories, "SECONDS", -1.0)
    finder.add([event])
    assert event["paths"][str(tree / "dir" / "7.npz")]["real"] == str(tree / "data" / "7.npz")
