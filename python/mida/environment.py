"""The environment record: under which circumstances a process ran its tasks."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import re
import socket
import subprocess
import sys
import threading
from typing import Any, Dict, Optional

from .encoding import canonical_json

__all__ = ["Describer", "describe", "digest", "job_attributes", "user_name"]

_SLURM = {
    "mida.job.cluster": "SLURM_CLUSTER_NAME",
    "mida.job.id": "SLURM_JOB_ID",
    "mida.job.array_id": "SLURM_ARRAY_JOB_ID",
    "mida.job.array_task": "SLURM_ARRAY_TASK_ID",
    "mida.job.step": "SLURM_STEP_ID",
    "mida.job.restart": "SLURM_RESTART_COUNT",
    "mida.job.name": "SLURM_JOB_NAME",
    "mida.job.account": "SLURM_JOB_ACCOUNT",
    "mida.job.partition": "SLURM_JOB_PARTITION",
}
_VISIBLE = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_GIT_SECONDS = 5.0
_PODMAN = "/run/.containerenv"
_MOUNTS = "/proc/self/mountinfo"


def digest(record: Dict[str, Any]) -> str:
    """Return the digest by which events name their environment record."""
    return hashlib.sha256(canonical_json(record).encode("utf-8")).hexdigest()[:32]


def user_name() -> str:
    """Return the name of the user who runs this process, or its uid."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        try:
            return getpass.getuser()
        except Exception:
            return str(os.getuid())


def job_attributes() -> Dict[str, str]:
    """Return the ``mida.job.*`` attributes of a batch job, if this is one."""
    return {name: os.environ[variable] for name, variable in _SLURM.items() if os.environ.get(variable)}


def describe(script: Optional[str] = None) -> Dict[str, Any]:
    """Describe this process. Slow (files, ``git``): for a background thread.

    Parameters
    ----------
    script : str, optional
        The script whose repository is asked for commit and state; by default
        that of this process.
    """
    cwd = _cwd()
    record: Dict[str, Any] = {
        "user": user_name(),
        "host": socket.gethostname(),
        "cwd": cwd,
        "argv": [a[:500] for a in sys.argv[:20]],
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "executable": sys.executable or "",
        },
        "os": {"type": platform.system().lower(), "version": platform.release(), "machine": platform.machine()},
        "packages": _packages(),
    }
    script = script or (sys.argv[0] if sys.argv and sys.argv[0] not in ("", "-c", "-m") else "")
    if script and os.path.isfile(script):
        record["script"] = os.path.abspath(script)
    path = record.get("script", "")
    commit = _git(os.path.dirname(path) or cwd, path) or _git(cwd, path)
    if commit:
        record["vcs"] = commit
    image = _container()
    if image:
        record["container"] = image
    job = {name[len("mida.job.") :]: value for name, value in job_attributes().items()}
    if job:
        record["job"] = job
    gpus = {name: os.environ[name][:500] for name in _VISIBLE if name in os.environ}
    if gpus:
        record["visible_gpus"] = gpus
    for name in ("CONDA_DEFAULT_ENV", "VIRTUAL_ENV"):
        if os.environ.get(name):
            record["python"]["environment"] = os.environ[name][:500]
            break
    return record


class Describer:
    """The environment record, made in a thread of its own: it reads many files and may ask ``git``.

    Attributes
    ----------
    record : dict or None
        The record, once it is ready.
    error : BaseException or None
        Why there is none.
    """

    def __init__(self) -> None:
        self.record: Optional[Dict[str, Any]] = None
        self.error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, name="mida-environment", daemon=True)

    def start(self) -> None:
        """Begin to look around."""
        self._thread.start()

    def ready(self, wait: float) -> bool:
        """Say whether it is done, after waiting for so many seconds."""
        if wait:
            self._thread.join(wait)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.record = describe()
        except Exception as error:
            self.error = error


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return ""


def _packages() -> Dict[str, str]:
    from importlib import metadata

    out: Dict[str, str] = {}
    for found in metadata.distributions():
        try:
            name, version = found.metadata["Name"], found.version
        except Exception:
            continue
        if isinstance(name, str) and isinstance(version, str) and len(out) < 2000:
            out.setdefault(name.lower(), version)
    return dict(sorted(out.items()))


def _git(directory: str, script: str) -> Optional[Dict[str, Any]]:
    """Read commit and branch from the files of a repository, and ask ``git`` whether what runs differs from it."""
    top = directory
    while top and not os.path.exists(os.path.join(top, ".git")):
        parent = os.path.dirname(top)
        if parent == top:
            return None
        top = parent
    if not top:
        return None
    try:
        commit, branch = _head(os.path.join(top, ".git"))
    except (OSError, ValueError):
        return None
    out: Dict[str, Any] = {"root": top, "commit": commit}
    if branch:
        out["branch"] = branch
    try:
        # Looking for all untracked files can take minutes beside data; the one that runs is what matters.
        out["dirty"] = _status(top, "--untracked-files=no") or (
            _within(script, top) and not _within(script, sys.prefix) and _status(top, "--", os.path.realpath(script))
        )
    except (OSError, subprocess.SubprocessError):
        pass  # whether it is dirty stays unsaid
    return out


def _status(top: str, *arguments: str) -> bool:
    found = subprocess.run(
        ["git", "--no-optional-locks", "-C", top, "status", "--porcelain", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_GIT_SECONDS,
        check=True,
    )
    return bool(found.stdout.strip())


def _within(path: str, directory: str) -> bool:
    return bool(path) and os.path.realpath(path).startswith(os.path.join(os.path.realpath(directory), ""))


def _head(git: str) -> tuple[str, str]:
    if os.path.isfile(git):  # a worktree or a submodule
        with open(git, encoding="utf-8") as file:
            git = os.path.join(os.path.dirname(git), file.read().partition("gitdir:")[2].strip())
    with open(os.path.join(git, "HEAD"), encoding="utf-8") as file:
        head = file.read().strip()
    if not head.startswith("ref:"):
        return _commit(head), ""
    ref = head[4:].strip()
    branch = ref[len("refs/heads/") :] if ref.startswith("refs/heads/") else ref
    common = git
    if os.path.isfile(os.path.join(git, "commondir")):
        with open(os.path.join(git, "commondir"), encoding="utf-8") as file:
            common = os.path.normpath(os.path.join(git, file.read().strip()))
    for base in (git, common):
        if os.path.isfile(os.path.join(base, ref)):
            with open(os.path.join(base, ref), encoding="utf-8") as file:
                return _commit(file.read().strip()), branch
    with open(os.path.join(common, "packed-refs"), encoding="utf-8") as file:
        for line in file:
            if line.rstrip().endswith(" " + ref):
                return _commit(line.split()[0]), branch
    raise ValueError("no commit")


def _commit(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40,64}", text):
        raise ValueError("not a commit")
    return text


def _container() -> Dict[str, str]:
    """Return what is known of the container: its image and id, as run times leave them behind."""
    out = {}
    for variable in ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "SHIFTER_IMAGEREQUEST", "CONTAINER_IMAGE"):
        if os.environ.get(variable):
            out["image"] = os.environ[variable][:500]
            break
    found = re.search(r"/(?:docker|containers|overlay-containers|sandboxes)/([0-9a-f]{64})/", _head_of(_MOUNTS))
    if found:
        out["id"] = found.group(1)
    for name, value in re.findall(r'^(image|id)="(.*)"$', _head_of(_PODMAN), re.MULTILINE):
        if value:
            out.setdefault(name, value[:500])
    return out


def _head_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(262144)
    except OSError:
        return ""
