"""What can go wrong with a question to the collector."""

from __future__ import annotations

from typing import List, Optional

__all__ = ["AuthenticationError", "MidaError", "MidaWarning", "NotFoundError", "QueryError", "UnreachableError"]


class MidaError(Exception):
    """The collector could not answer.

    Attributes
    ----------
    status
        HTTP status of the answer, None without one.
    field, suggestion, valid
        Where the mistake is, the valid name most like the one given, and what would be valid.
    """

    def __init__(
        self,
        message: str,
        *,
        status: Optional[int] = None,
        field: Optional[str] = None,
        suggestion: Optional[str] = None,
        valid: Optional[List[str]] = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.suggestion = suggestion
        self.valid = valid or []


class QueryError(MidaError, ValueError):
    """The query is wrong; the message says where and what would be valid."""


class NotFoundError(MidaError, LookupError):
    """There is no such task, workflow or campaign."""


class AuthenticationError(MidaError):
    """The token is missing or wrong."""


class UnreachableError(MidaError):
    """No collector answers, or none was found."""


class MidaWarning(UserWarning):
    """The answer leaves something out, such as values that are no numbers in an aggregate."""
