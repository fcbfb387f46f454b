"""Settings of the traces.

Knows names, units, ranges and defaults. Knows nothing of what reads a setting.
"""

from typing import Annotated

from pydantic import Field

from edge_agent.config.base import Section

Url = Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]


class Tracing(Section):
    """A trace of each frame for OpenTelemetry; needs the extra `tracing`."""

    enabled: bool = Field(False, description="Export a span for each frame, with its stages.")
    endpoint: Url = Field(
        "http://127.0.0.1:4318/v1/traces",
        examples=["http://collector:4318/v1/traces"],
        description="Where to export to: OTLP over HTTP.",
    )
    share: float = Field(1.0, ge=0, le=1, description="The share of frames that is exported.")
