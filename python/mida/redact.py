"""Take secrets out of what is about to leave the process."""

from __future__ import annotations

import re
from typing import Any, Dict, Tuple

__all__ = ["Redactor"]

_KEY = re.compile(
    r"passw(or)?d|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|credential|authori[sz]ation|"
    r"(^|[_\-.])(token|pwd|bearer|cookie|signature)($|[_\-.])|(auth|access|refresh|session|id|api|bearer)[_-]?token",
    re.IGNORECASE,
)
# Counts of tokens are the most ordinary numbers of language models: only texts are secrets there.
_TEXT_ONLY = re.compile(r"token|signature|cookie", re.IGNORECASE)

# Each value pattern begins with a text that must occur; looking for it first keeps the usual string cheap.
_HINT = re.compile(
    r"://|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|hf_|eyJ|-----BEGIN|[Bb]earer |[Bb]asic |AIza|"
    r"[Pp][Aa][Ss][Ss]|[Ss][Ee][Cc][Rr][Ee][Tt]|[Tt][Oo][Kk][Ee][Nn]|[Kk][Ee][Yy]"
)
_MARK = "[redacted]"
_VALUES: Tuple[Tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL), _MARK),
    (re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.\-]*://)[^/\s@:]*(:[^/\s@]*)?@"), r"\1" + _MARK + "@"),
    (
        re.compile(
            r"([?&;](?:X-Amz-(?:Signature|Credential|Security-Token)|X-Goog-(?:Signature|Credential)|AWSAccessKeyId|"
            r"Signature|sig|se|token|access_token|api_key|apikey|key|password|secret|auth)=)[^&#\s\"']+",
            re.IGNORECASE,
        ),
        r"\1" + _MARK,
    ),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), _MARK),
    (re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_\-]{16,})"), _MARK),
    (re.compile(r"\bxox[abprs]-[A-Za-z0-9\-]{10,}"), _MARK),
    (re.compile(r"\b(?:sk-[A-Za-z0-9_\-]{20,}|hf_[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_\-]{30,})"), _MARK),
    (re.compile(r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*"), _MARK),
    (re.compile(r"\b([Bb]earer|[Bb]asic) +[A-Za-z0-9_\-.~+/]{12,}=*"), r"\1 " + _MARK),
    (
        re.compile(
            r"(\b[\w\-]*(?:passw(?:or)?d|secret|api[_-]?key|access[_-]?key|auth[_-]?token|access[_-]?token|token)"
            r"[\"']?\s*[=:]\s*[\"']?)([^\s\"',;&)}\]]{4,})",
            re.IGNORECASE,
        ),
        r"\1" + _MARK,
    ),
)


class Redactor:
    """Replace secrets in summarised values, by the name of their key and by what they look like.

    Attributes
    ----------
    count : int
        How many values were replaced so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._names: Dict[str, int] = {}

    def text(self, text: str) -> str:
        """Return `text` without the secrets in it."""
        if len(text) < 8 or _HINT.search(text) is None:
            return text
        for pattern, replacement in _VALUES:
            text, n = pattern.subn(replacement, text)
            self.count += n
        return text

    def _secret(self, name: str) -> int:
        """Say whether a key names a secret: 0 no, 1 only if its value is text, 2 yes."""
        known = self._names.get(name)
        if known is None:
            known = 0
            if _KEY.search(name) is not None:
                known = 1 if _TEXT_ONLY.search(name) is not None else 2
            if len(self._names) < 10000:
                self._names[name] = known
        return known

    def _hides(self, name: str, value: Any) -> bool:
        secret = self._secret(name)
        kind = type(value)
        if secret == 0 or value is None or kind is bool:
            return False
        if secret == 2 or kind is str or kind is bytes:
            return True
        return kind is list and any(type(v) is str for v in value)

    def mapping(self, values: Dict[str, Any]) -> Dict[str, Any]:
        """Redact a mapping in place and return it."""
        for name, value in values.items():
            kind = type(value)
            if self._hides(name, value):
                values[name] = {"$redacted": True}
                self.count += 1
            elif kind is str:
                if len(value) >= 8:
                    values[name] = self.text(value)
            elif kind is dict:
                self.mapping(value)
            elif kind is list:
                self._list(value)
        return values

    def _list(self, values: list) -> None:
        for i, value in enumerate(values):
            kind = type(value)
            if kind is str:
                if len(value) >= 8:
                    values[i] = self.text(value)
            elif kind is dict:
                self.mapping(value)
            elif kind is list:
                self._list(value)
