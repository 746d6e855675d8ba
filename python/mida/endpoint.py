"""Where the query API is, and how to be let in."""

from __future__ import annotations

import base64
import dataclasses
import ipaddress
import json
import os
import pathlib
import stat
import urllib.parse
from typing import Any, List, Optional, Tuple

from .errors import UnreachableError

__all__ = ["Endpoint", "find"]

STATE_DIRECTORY = "mida-data"
ENDPOINT_FILE = "endpoint.json"
DEFAULT_PORT = 4340


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Address of a query API."""

    url: str
    authorization: Optional[str]
    source: str
    pid: Optional[int] = None
    token_source: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether the address is this machine's own."""
        host = urllib.parse.urlsplit(self.url).hostname or ""
        if host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def unreachable(self, reason: Any) -> str:
        """Say why nothing answers."""
        message = f"no collector answers at {self.url} ({self.source}): {getattr(reason, 'strerror', None) or reason}"
        if self.pid is not None and not _alive(self.pid):
            message += f"; its process {self.pid} has ended, start the collector again"
        return message

    def token_hint(self) -> str:
        """Say what a refused client could do."""
        if self.authorization:
            return f"; the one that was sent comes from {self.token_source}"
        return "; set MIDA_TOKEN, or run where the collector's state directory is"


def find(endpoint: Optional[str], token: Optional[str], state_directory: Optional[str]) -> Endpoint:
    """Find the query API: arguments first, then the environment, then ``endpoint.json``."""
    env_endpoint = None if state_directory else os.environ.get("MIDA_ENDPOINT")
    token_source = "the argument token"
    if not token:
        token, token_source = os.environ.get("MIDA_TOKEN"), "MIDA_TOKEN"
    if endpoint or env_endpoint:
        source = "the endpoint given" if endpoint else "MIDA_ENDPOINT"
        url, authorization = _normalise(endpoint or env_endpoint or "", source)
        pid = None
        if not token and authorization is None:
            token, token_source = _token_for(url, state_directory)
    else:
        path = _find_file(state_directory)
        source, info = str(path), _read_json(path)
        url, authorization = _normalise(info.get("url", ""), source)
        pid = info.get("pid") if isinstance(info.get("pid"), int) else None
        if not token and info.get("token_file"):
            token, token_source = _read_own(pathlib.Path(info["token_file"])).strip(), info["token_file"]
    if token:
        return Endpoint(url, _bearer(token), source, pid, token_source)
    return Endpoint(url, authorization, source, pid, source)


def _bearer(token: str) -> str:
    token = token.strip()
    if not token.isascii() or not token.isprintable():
        raise UnreachableError("the token holds characters that no token has; want the content of the token file")
    return "Bearer " + token


def _normalise(url: str, source: str) -> tuple[str, Optional[str]]:
    """Return the address without its trailing slash, and the Authorization of a ``user:password@``."""
    default_port = None
    if "://" not in url:  # a host alone
        url, default_port = "http://" + url, DEFAULT_PORT
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port or default_port
    except ValueError:
        parts, port = urllib.parse.urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnreachableError(f"{source}: {url!r} is no address; want one such as http://127.0.0.1:4340")
    authorization = None
    if parts.username is not None:
        pair = urllib.parse.unquote(parts.username) + ":" + urllib.parse.unquote(parts.password or "")
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    netloc = host if port is None else f"{host}:{port}"
    return f"{parts.scheme}://{netloc}{parts.path.rstrip('/')}", authorization


def _token_for(url: str, state_directory: Optional[str]) -> Tuple[Optional[str], str]:
    """Return the token of the local collector, and its file, when the address is its own: it goes nowhere else."""
    try:
        info = _read_json(_find_file(state_directory))
        if info.get("url", "").rstrip("/") == url and info.get("token_file"):
            return _read_own(pathlib.Path(info["token_file"])).strip(), info["token_file"]
    except UnreachableError:
        pass
    return None, ""


def _find_file(state_directory: Optional[str]) -> pathlib.Path:
    if state_directory:
        path = pathlib.Path(state_directory) / ENDPOINT_FILE
        if not path.exists():
            raise UnreachableError(f"{path} does not exist: no collector runs with this state directory")
        return path
    here = pathlib.Path.cwd()
    foreign: List[str] = []
    for directory in (here, *here.parents):
        path = directory / STATE_DIRECTORY / ENDPOINT_FILE
        try:
            if not is_own(path):
                foreign.append(str(path))
                continue
        except OSError:
            continue
        return path
    message = (
        f"no collector found: no {STATE_DIRECTORY}/{ENDPOINT_FILE} in {here} or above it; start the collector there, "
        "or set MIDA_ENDPOINT and MIDA_TOKEN"
    )
    if foreign:
        message += f" ({', '.join(foreign)} belongs to another user and was passed over)"
    raise UnreachableError(message)


def is_own(path: pathlib.Path) -> bool:
    """Whether a regular file is this user's: another's could lead the questions and the token anywhere."""
    info = os.lstat(path)
    return stat.S_ISREG(info.st_mode) and (not hasattr(os, "geteuid") or info.st_uid in (os.geteuid(), 0))


def _read_own(path: pathlib.Path) -> str:
    try:
        if not is_own(path):
            raise UnreachableError(f"{path} is not a file of this user, so it is not read")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UnreachableError(f"{path} cannot be read: {error.strerror}") from None


def _read_json(path: pathlib.Path) -> dict[str, Any]:
    try:
        info = json.loads(_read_own(path))
    except ValueError:
        info = None
    if not isinstance(info, dict):
        raise UnreachableError(f"{path} is not what a collector writes; start the collector again")
    return info


def _alive(pid: int) -> bool:
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
