"""JSON responses, and errors that carry a remedy."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from edge_agent.console.schemas import to_json

NOT_STORED = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Problem:
    """An error."""

    error: Annotated[str, Field(description="What went wrong.")]
    remedy: Annotated[str, Field(description="What to do about it.")]


class ApiError(HTTPException):
    """A refused request: an HTTP status, what is wrong and what to do about it."""

    def __init__(self, status: int, error: str, remedy: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, error, headers)
        self.remedy = remedy


def view(value: Any, status: int = 200) -> Response:
    """Return a value of `schemas` as a JSON response."""
    return Response(to_json(value), status, {**NOT_STORED, "Content-Type": "application/json"})
