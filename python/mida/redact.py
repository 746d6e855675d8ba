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

# What must occur in a text for a pattern to be tried; looking for it first keeps the usual text cheap.
_URL, _QUERY, _AWS, _GIT, _API, _JWT, _PEM, _AUTH, _WORDS = (1 << n for n in range(9))
_MARK = "[redacted]"
_WORD = r"(?:passw(?:or)?d|passphrase|secret(?:[_-]?key)?|(?:api|access|private)[_-]?key|credentials?|token)"
# The rules of internal/capture/redact.go, in the same order; internal/capture/testdata/cases.json holds for both. The
# groups are the secret; the rest of the match stays.
_VALUES: Tuple[Tuple[int, re.Pattern[str]], ...] = tuple(
    (hint, re.compile(pattern, re.ASCII))
    for hint, pattern in (
        (_PEM, r"(?s)(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z))"),
        # A user without a password is part of many addresses (abfss://container@account, ssh://git@host), only on the
        # web it is a token.
        (_URL, r"[a-zA-Z0-9+.\-]://([^/\s@:\"'<>]*:[^/\s\"'<>]*)@"),
        (_URL, r"(?i)https?://([^/\s@:\"'<>\[]+)@"),
        (
            _QUERY,
            r"(?i)[?&;](?:X-Amz-(?:Signature|Credential|Security-Token)|X-Goog-(?:Signature|Credential)|"
            r"AWSAccessKeyId|Signature|sig|se|token|access_token|api_key|apikey|password|secret|auth)="
            r"([^&#\s\"'\[][^&#\s\"']*)",
        ),
        (_QUERY, r"(?i)[?&;]key=([^&#\s\"'\[][^&#\s\"']{19,})"),
        (_AWS, r"\b((?:AKIA|ASIA)[0-9A-Z]{16})\b"),
        (_GIT, r"\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_\-]{16,})"),
        (_API, r"\b(xox[abprs]-[A-Za-z0-9\-]{10,})"),
        (_API, r"\b(sk-[A-Za-z0-9_\-]{20,}|hf_[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_\-]{30,})"),
        (_JWT, r"\b(eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*)"),
        (_AUTH, r"\b[Bb]earer +([A-Za-z0-9_\-.~+/]{12,}=*)"),
        (
            _AUTH,
            r"(?i)authori[sz]ation[\"']?\s*[:=]\s*[\"']?(?:basic|bearer|token|digest|negotiate)\s+"
            r"([^\s\"',;\[][^\s\"',;]{3,})",
        ),
        # Base64, which ordinary words are not: "basic understanding".
        (_AUTH, r"\b[Bb]asic +([A-Za-z0-9_\-+/]{6,}={1,2}|[A-Za-z_\-+/]*[0-9][A-Za-z0-9_\-+/]{7,}=*)"),
        (
            _WORDS,
            r"(?i)" + _WORD + r"\\*[\"']?\s*[=:]\s*\\*(?:\"([^\"\n\[][^\"\n]{3,})|'([^'\n\[][^'\n]{3,})|"
            r"([^\s\"',;&)}\[\]][^\s\"',;&)}\]]{3,}))",
        ),
        (_WORDS, r"(?i)--(?:[a-z0-9]+-)*" + _WORD + r" +([^\s\"',;\-\[][^\s\"',;]{3,})"),
    )
)
# An option of a command line that is an element of a list: --password, hunter2 or --password=hunter2.
_OPTION = re.compile(r"--?(?!no-)([A-Za-z0-9][A-Za-z0-9_.\-]*)(?:=(.*))?", re.DOTALL)
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")


def _hints(text: str) -> int:
    """Say which patterns may find something. It may see too much, never too little."""
    lower = text.lower()
    found = 0
    if "://" in text:
        found |= _URL
    if "=" in text and ("?" in text or "&" in text or ";" in text):
        found |= _QUERY
    if "pass" in lower or "key" in lower or "token" in lower or "secret" in lower or "credential" in lower:
        found |= _WORDS
    if "bearer" in lower or "basic" in lower or "authori" in lower:
        found |= _AUTH
    if "-" in text:
        if "sk-" in text or "xox" in text:
            found |= _API
        if "glpat-" in text:
            found |= _GIT
        if "-----BEGIN " in text:
            found |= _PEM
    if "_" in text:
        if "hf_" in text:
            found |= _API
        if "gh" in text or "github_pat_" in text:
            found |= _GIT
    if "A" in text:
        if "AKIA" in text or "ASIA" in text:
            found |= _AWS
        if "AIza" in text:
            found |= _API
    if "eyJ" in text:
        found |= _JWT
    return found


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
        hints = _hints(text) if len(text) >= 8 else 0
        if hints:
            for hint, pattern in _VALUES:
                if hint & hints:
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
        option = 0  # whether the element before names a secret, as --password does
        for i, value in enumerate(values):
            kind = type(value)
            before, option = option, 0
            if kind is str:
                if before or value[:1] == "-":
                    option, value = self._argument(value, before)
                    values[i] = value
                if len(value) >= 8:
                    values[i] = self.text(value)
            elif kind is bytes:
                values[i] = self._bytes(value)
            elif kind is dict:
                self.mapping(value)
            elif kind is list:
                self._list(value)

    def _argument(self, text: str, before: int) -> Tuple[int, str]:
        """Hide the value of an option of a command line; return also what the next element is."""
        option = before
        start = 0
        if text[:1] == "-":
            found = _OPTION.fullmatch(text)
            option = self._secret(found.group(1)) if found is not None else 0
            if found is None or not option or found.group(2) is None:
                return option, text
            start = found.start(2)
        value = text[start:]
        if not value or value == _MARK or (option == 1 and _NUMBER.fullmatch(value) is not None):
            return 0, text
        self.count += 1
        return 0, text[:start] + _MARK
