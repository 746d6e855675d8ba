"""Which strings are paths, and where they lead on the node where their task ran."""

from __future__ import annotations

import os
import re
import stat
import threading
import time
from typing import Any, Dict, FrozenSet, List, Optional, Tuple

from .mounts import Space, read_space

__all__ = ["PathFinder", "looks_like_path", "resolve"]

# ---- which strings are paths: the rules of internal/entity/looks.go and field.go -------------------------------------


def _words(text: str) -> FrozenSet[str]:
    return frozenset(text.split())


_KNOWN = _words(
    "npz npy h5 hdf5 hdf he5 nc nc4 cdf zarr csv tsv parquet feather arrow orc avro json jsonl ndjson yaml "
    "yml toml ini cfg pkl pickle joblib dill pt pth ckpt onnx safetensors gguf keras pb tflite bst ubj model "
    "weights tfrecord tif tiff png jpg jpeg bmp gif svg webp pdf eps dm3 dm4 mrc ser emd emi tvips edf cbf "
    "cif pdb xyz vasp mmcif gro xtc trr dcd psf lammpstrj raw bin dat data txt log out err md xml html xls "
    "xlsx ods db sqlite sqlite3 duckdb tar gz tgz bz2 xz zip zst lz4 7z mat rds rdata fits root vtk vtu vtp "
    "vtr pvd hdr nii mha mhd nrrd dcm czi lif nd2 oib vsi ims mp4 avi mov mkv wav flac mp3 fasta fa fastq fq "
    "bam sam cram vcf bcf bed gff gtf las laz ply stl obj geojson shp tex ipynb py r c h m o a f z"
)
_MIME = _words("application audio font image message model multipart text video example chemical")
_DOMAINS = _words(
    "com org net edu gov io de uk ch fr eu ai dev info jp cn us ca it nl se es at be pl au in br app cloud co"
)
_SLASHED = _words("n/a and/or either/or yes/no true/false on/off i/o tcp/ip y/n he/she his/her km/h m/s")
_THING = _words(
    "dataset datasets checkpoint checkpoints ckpt model models weights image images picture "
    "data input inputs output outputs artifact artifacts snapshot snapshots src dst source destination archive "
    "table log logs config notebook script plot figure result results volume mask masks frame frames"
)
_PATH = _words(
    "path paths file files filename filenames filepath filepaths fname fpath pathname "
    "dir dirs directory directories folder folders"
)
_FILLER = _words("name names in out")
_BAD = re.compile(r'[*?<>|"`{}$^;\x7f\x00-\x1f]')
_NUMERIC = re.compile(r"[0-9.,+\-]*\Z")
_EXTENSION = re.compile(r"[A-Za-z0-9]+\Z")
_HINTS: Dict[str, int] = {}


def _hint(field: str) -> int:
    """Return how far the name of a field vouches for a path: 0 not, 1 a thing that often is a file, 2 a path."""
    known = _HINTS.get(field)
    if known is None:
        last, known = field, 0
        for _ in range(2):
            parent, dot, name = last.rpartition(".")
            known = _word_hint(name)
            if known or not dot:
                break
            last = parent
        if len(_HINTS) < 10000:
            _HINTS[field] = known
    return known


def _word_hint(name: str) -> int:
    while True:
        word, name = _last_word(name)
        if not word or len(word) > 32:
            return 0
        lower = word.lower()
        if lower in _PATH:
            return 2
        if lower in _THING:
            return 1
        if not word.isdigit() and lower not in _FILLER:
            return 0


def _alnum(c: str) -> bool:
    return c.isascii() and c.isalnum()


def _last_word(name: str) -> Tuple[str, str]:
    """Cut the last word off a snake_case, kebab-case or camelCase name."""
    end = len(name)
    while end > 0 and not _alnum(name[end - 1]):
        end -= 1
    i = end
    while i > 0 and _alnum(name[i - 1]):
        i -= 1
        if i > 0 and name[i].isupper() and name[i - 1].isascii() and name[i - 1].islower():
            break
        if i > 0 and name[i].isdigit() != name[i - 1].isdigit() and _alnum(name[i - 1]):
            break
    return name[i:end], name[:i]


def _has_name(text: str) -> bool:
    return text.strip("./") != ""


def _file_extension(text: str) -> str:
    name = text.rstrip("/").rpartition("/")[2]
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or not stem.strip(".") or _EXTENSION.match(extension) is None:
        return ""
    if len(extension) > 8 and extension.lower() not in _KNOWN:
        return ""
    if len(extension) > 1 and not extension[0].isdigit():
        return extension
    return extension if len(stem.encode("utf-8", "replace")) > 1 and extension.lower() in _KNOWN else ""


def _lower_extension(text: str) -> str:
    return _file_extension(text.rpartition("\\")[2]).lower()


def _spaced_out(field: str, text: str) -> bool:
    """Tell a sentence from a file name with blanks."""
    if " " not in text:
        return False
    if "  " in text or ", " in text or ". " in text:
        return True
    if _hint(field) == 2:
        return False
    return text[0] not in "/.~" or _lower_extension(text) not in _KNOWN


def looks_like_path(field: str, value: str) -> bool:
    """Say whether a string is a local path; `field` is the dotted name under which the task had it."""
    if len(value) < 2 or len(value) > 4096 or len(value.encode("utf-8", "replace")) > 4096:
        return False
    if _BAD.search(value) is not None or value[0] == " " or value[-1] == " ":
        return False
    if "\\" in value or value[1] == ":":
        if _is_windows(value):
            return True
        if "\\" in value:
            return False
    slash = value.find("/")
    if slash == 0:
        return _absolute(field, value)
    if slash > 0:
        if value[:slash] in (".", "..", "~"):
            return not _spaced_out(field, value) and _has_name(value[slash + 1 :])
        return _relative(field, value)
    return " " not in value and ":" not in value and _hint(field) != 0 and _lower_extension(value) in _KNOWN


def _is_windows(value: str) -> bool:
    if len(value) > 3 and value[0].isascii() and value[0].isalpha() and value[1] == ":" and value[2] in "\\/":
        rest = value[3:]
        return (
            ":" not in rest
            and _alnum(rest[0])
            and ("\\" in rest[1:] or "/" in rest[1:] or _lower_extension(rest) != "")
        )
    if value.startswith("\\\\"):
        server, found, share = value[2:].partition("\\")
        return bool(
            found and server and share and _alnum(server[0]) and _alnum(share[0])
            and not any(c in "+()[]/:" for c in value[2:])
        )  # fmt: skip
    return False


def _absolute(field: str, value: str) -> bool:
    if value.startswith("//") or ":/" in value or _spaced_out(field, value):
        return False
    parts = value[1:].split("/")
    if parts[0] in ("proc", "sys") or (parts[0] == "dev" and not value.startswith("/dev/shm/")):
        return False
    named = [p for p in parts if _has_name(p)]
    letters = any(_NUMERIC.match(p) is None for p in named)
    return letters and (len(named) >= 2 or _file_extension(value) != "")


def _relative(field: str, value: str) -> bool:
    if ":" in value or "//" in value or _spaced_out(field, value):
        return False
    first = value.partition("/")[0]
    if first.startswith("www.") or ("." in first[1:] and first.rpartition(".")[2] in _DOMAINS):
        return False
    if len(value) < 12 and value.lower() in _SLASHED:
        return False
    parts = (value[:-1] if value.endswith("/") else value).split("/")
    if any(not _has_name(p) and p not in (".", "..") for p in parts):
        return False
    if all(_NUMERIC.match(p) is not None for p in parts):
        return False
    extension, hint = _file_extension(value), _hint(field)
    if first in _MIME and value.count("/") == 1 and (not extension or extension.lower() not in _KNOWN):
        return False
    return hint == 2 or (extension != "" and "@" not in value)


# ---- where they lead ---------------------------------------------------------------------------------------------


def resolve(path: str, directory: str, space: Space) -> Tuple[Optional[Dict[str, Any]], str]:
    """Find where a path leads, and the device of what is there.

    Parameters
    ----------
    path, directory : str
        The path as the task named it, and the task's working directory.
    space : Space
        The mounts of this process.
    """
    if path.startswith("~/"):
        path = os.path.expanduser(path)
    if not os.path.isabs(path):
        if not os.path.isabs(directory):
            return None, ""
        path = directory + "/" + path
    real = os.path.realpath(path)
    info: Dict[str, Any] = {"real": real, "size": -1}
    device = ""
    try:
        found = os.stat(real)
        info["mtime"] = found.st_mtime_ns
        if stat.S_ISREG(found.st_mode):
            info["size"] = found.st_size
        device = f"{os.major(found.st_dev)}:{os.minor(found.st_dev)}"
    except OSError:
        pass  # what does not exist has an identity too
    fs, info["rel"] = space.locate(real)
    if fs:
        info["fs"] = fs
    return info, device


class PathFinder:
    """Add ``paths`` to events; what takes too long, as on a dead network file system, is left out and counted.

    The file system is asked in a thread of its own, because such a call can
    block for ever and nothing can interrupt it.

    Parameters
    ----------
    wait : float
        Seconds that a batch may wait for its paths.

    Attributes
    ----------
    missed : int
        How many paths were left unresolved.
    """

    MAX_PER_BATCH = 20_000

    def __init__(self, wait: float = 1.0) -> None:
        self.missed = 0
        self._wait = wait
        self._space: Optional[Space] = None
        self._read_at = 0.0
        self._busy: Optional[_Job] = None
        self._thread: Optional[threading.Thread] = None
        self._more = threading.Event()
        self._next: Optional[_Job] = None

    def add(self, events: List[Dict[str, Any]]) -> None:
        """Resolve the paths of a batch of events and put them beside the values."""
        wanted: List[Tuple[Dict[str, Any], List[str]]] = []
        unique: Dict[str, None] = {}
        for event in events:
            found: List[str] = []
            for root in ("used", "generated"):
                values = event.get(root)
                if values:
                    _collect("", values, found)
            if found:
                wanted.append((event, found))
                for path in found:
                    unique[path] = None
        if not unique:
            return
        infos = self._resolve(list(unique))
        for event, found in wanted:
            paths = {p: infos[p] for p in found if p in infos}
            if paths:
                event["paths"] = paths

    def _resolve(self, paths: List[str]) -> Dict[str, Dict[str, Any]]:
        job = self._busy
        if job is not None and not job.done.is_set():
            self.missed += len(paths)  # still stuck with an earlier batch
            return {}
        try:
            directory = os.getcwd()
        except OSError:
            directory = ""
        job = _Job(paths[: self.MAX_PER_BATCH], directory)
        self._busy = self._next = job
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="mida-paths", daemon=True)
            self._thread.start()
        self._more.set()
        job.done.wait(self._wait)
        infos = dict(job.infos)
        self.missed += len(paths) - len(job.seen)
        return infos

    def _run(self) -> None:
        while True:
            self._more.wait()
            self._more.clear()
            job, self._next = self._next, None
            if job is None:
                continue
            try:
                for path in job.paths:
                    info = self._one(path, job.directory)
                    job.seen.append(path)
                    if info is not None:
                        job.infos[path] = info
            except Exception:
                pass  # the rest of the batch goes without
            job.done.set()

    def _one(self, path: str, directory: str) -> Optional[Dict[str, Any]]:
        if self._space is None:
            self._space, self._read_at = read_space(), time.monotonic()
        try:
            info, device = resolve(path, directory, self._space)
            if info is not None and self._space.stale(info["real"], device):
                if time.monotonic() - self._read_at >= 1.0:
                    self._space, self._read_at = read_space(), time.monotonic()
                info, _ = resolve(path, directory, self._space)
        except (OSError, ValueError):  # a NUL byte, a loop of links
            return None
        return info


class _Job:
    def __init__(self, paths: List[str], directory: str) -> None:
        self.paths, self.directory = paths, directory
        self.infos: Dict[str, Dict[str, Any]] = {}
        self.seen: List[str] = []
        self.done = threading.Event()


def _collect(field: str, values: Any, out: List[str]) -> None:
    kind = type(values)
    if kind is dict:
        for name, value in values.items():
            inner = type(value)
            if inner is str:
                if ("/" in value or "." in value or "\\" in value) and looks_like_path(
                    f"{field}.{name}" if field else name, value
                ):
                    out.append(value)
            elif inner is dict or inner is list:
                _collect(f"{field}.{name}" if field else name, value, out)
    elif kind is list:
        for value in values:
            if type(value) is str:
                if ("/" in value or "." in value or "\\" in value) and looks_like_path(field, value):
                    out.append(value)
            else:
                _collect(field, value, out)
