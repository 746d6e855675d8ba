"""Take secrets out of what is about to leave the process."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Tuple

if TYPE_CHECKING:
    from .capture import Policy

__all__ = ["Redactor"]

_KEY = re.compile(
    r"passw(or)?d|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|credential|authori[sz]ation|"
    r"(^|[_\-.])(token|pwd|bearer|cookie|signature)($|[_\-.])|(auth|access|refresh|session|id|api|bearer)[_-]?token",
    re.IGNORECASE,
)
# Counts of tokens are the most ordinary numbers of language models: only texts are secrets there.
_TEXT_ONLY = re.compile(r"token|signature|cookie", re.IGNORECASE)

# One of these must occur in a text that holds a secret; looking for them first keeps the usual string cheap.
_HINT = re.compile(
    r"://|[?&;][A-Za-z_\-]+=|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|hf_|eyJ|-----BEGIN|"
    r"[Bb]earer |[Bb]asic |AIza|[Aa][Uu][Tt][Hh][Oo][Rr][Ii]|[Cc][Rr][Ee][Dd][Ee][Nn]|"
    r"[Pp][Aa][Ss][Ss]|[Ss][Ee][Cc][Rr][Ee][Tt]|[Tt][Oo][Kk][Ee][Nn]|[Kk][Ee][Yy]"
)
_MARK = "[redacted]"
_WORD = r"(?:passw(?:or)?d|passphrase|secret(?:[_-]?key)?|(?:api|access|private)[_-]?key|credentials?|token)"
# The rules of internal/capture/redact.go, in the same order; internal/capture/testdata/cases.json holds for both. The
# groups are the secret; the rest of the match stays.
_VALUES: Tuple[re.Pattern[str], ...] = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        r"(?s)(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z))",
        # A user without a password is part of many addresses (abfss://container@account, ssh://git@host), only on the
        # web it is a token.
        r"[a-zA-Z0-9+.\-]://([^/\s@:\"'<>]*:[^/\s\"'<>]*)@",
        r"(?i)https?://([^/\s@:\"'<>\[]+)@",
        r"(?i)[?&;](?:X-Amz-(?:Signature|Credential|Security-Token)|X-Goog-(?:Signature|Credential)|AWSAccessKeyId|"
        r"Signature|sig|se|token|access_token|api_key|apikey|password|secret|auth)=([^&#\s\"'\[][^&#\s\"']*)",
        r"(?i)[?&;]key=([^&#\s\"'\[][^&#\s\"']{19,})",
        r"\b((?:AKIA|ASIA)[0-9A-Z]{16})\b",
        r"\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_\-]{16,})",
        r"\b(xox[abprs]-[A-Za-z0-9\-]{10,})",
        r"\b(sk-[A-Za-z0-9_\-]{20,}|hf_[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_\-]{30,})",
        r"\b(eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*)",
        r"\b[Bb]earer +([A-Za-z0-9_\-.~+/]{12,}=*)",
        r"(?i)authori[sz]ation[\"']?\s*[:=]\s*[\"']?(?:basic|bearer|token|digest|negotiate)\s+"
        r"([^\s\"',;\[][^\s\"',;]{3,})",
        # Base64, which ordinary words are not: "basic understanding".
        r"\b[Bb]asic +([A-Za-z0-9_\-+/]{6,}={1,2}|[A-Za-z_\-+/]*[0-9][A-Za-z0-9_\-+/]{7,}=*)",
        r"(?i)" + _WORD + r"\\*[\"']?\s*[=:]\s*\\*(?:\"([^\"\n\[][^\"\n]{3,})|'([^'\n\[][^'\n]{3,})|"
        r"([^\s\"',;&)}\[\]][^\s\"',;&)}\]]{3,}))",
        r"(?i)--(?:[a-z0-9]+-)*" + _WORD + r" +([^\s\"',;\-\[][^\s\"',;]{3,})",
    )
)


def _hide(match: re.Match[str]) -> str:
    start, end = match.span(match.lastindex or 0)
    text, offset = match.group(0), match.start(0)
    return text[: start - offset] + _MARK + text[end - offset :]


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
        for pattern in _VALUES:
            text, n = pattern.subn(_hide, text)
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
        if kind is dict and len(value) == 1:
            if "$redacted" in value:
                return False
            if "$cut" in value:  # it still says how the secret begins
                return True
        if secret == 2 or kind is str or kind is bytes:
            return True
        return kind is list and any(type(v) is str for v in value)

    def event(self, event: Dict[str, Any], policy: Policy) -> None:
        """Apply the policy to an event and take out its secrets, in place."""
        for root in ("used", "generated"):
            values = event.get(root)
            if values:
                event[root] = self.mapping(policy.fields(root, values))
        attributes, custom, record = event.get("attributes"), event.get("custom"), event.get("record")
        for values in (attributes, custom, record):
            if values:
                self.mapping(values)
        if policy.trivial:
            return
        if custom and type(custom.get("annotations")) is dict:
            custom["annotations"] = policy.fields("annotations", custom["annotations"])
        if record and "value" in record:
            record.update({"value": None, **policy.fields("generated", {"value": record["value"]})})
        if attributes and policy.values != "values":
            for name in ("exception.message", "exception.stacktrace"):  # they quote values
                attributes.pop(name, None)

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
            elif kind is bytes:
                values[name] = self._bytes(value)
            elif kind is dict:
                self.mapping(value)
            elif kind is list:
                self._list(value)
        return values

    def _bytes(self, value: bytes) -> bytes:
        return self.text(value.decode("latin-1")).encode("latin-1")

    def _list(self, values: list) -> None:
        for i, value in enumerate(values):
            kind = type(value)
            if kind is str:
                if len(value) >= 8:
                    values[i] = self.text(value)
            elif kind is bytes:
                values[i] = self._bytes(value)
            elif kind is dict:
                self.mapping(value)
            elif kind is list:
                self._list(value)
