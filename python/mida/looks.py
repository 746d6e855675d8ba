"""Which strings are paths: the rules of ``internal/entity/looks.go`` and ``field.go``."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, Tuple

__all__ = ["looks_like_path"]


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
