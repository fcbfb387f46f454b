"""The base of all settings sections (frozen, strict, no unknown keys), common types, and the reading of secrets."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from edge_agent.errors import ConfigError
from edge_agent.runtime.files import read_file

_MAX_SECRET_BYTES = 64 * 1024  # longer than any token or password: whatever has more (a video, say) is a wrong path


class Section(BaseModel):
    """A group of settings; values cannot change after loading."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        validate_default=True,
        ser_json_inf_nan="constants",
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for name in type(self).model_fields:
            if getattr(self, name) is not None and getattr(self, f"{name}_file", None) is not None:
                raise ValueError(f"{name} and {name}_file are both set: keep one")
        return self


def _number_as_text(value: object) -> object:
    """Turn an integer into text, so that `source: 0` and `name: 12` need no quotes; leave true and 1.5."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, BeforeValidator(_number_as_text, json_schema_input_type=str | int), Field(min_length=1)]
"""Text of at least one character; a bare integer is accepted as text."""


def _without_port(value: str) -> str:
    """Raise where the value names a port as well; an IPv6 address has more colons."""
    host, colon, port = value.rpartition(":")
    if colon and port.isdigit() and ":" not in host:
        raise ValueError(f"holds a port: write '{host}' here and {port} as `port`")
    return value


Host = Annotated[
    str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9_.:\-]+$"), AfterValidator(_without_port)
]
"""A host name or an address."""

Address = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$")]
"""A Bluetooth address."""

Port = Annotated[int, Field(ge=1, le=65535)]
"""A TCP port."""

Percent = Annotated[int, Field(ge=0, le=100)]
"""A whole percentage."""

PositivePercent = Annotated[int, Field(ge=1, le=100)]
"""A whole percentage above zero."""


def read_secret(value: SecretStr | None, file: Path | None, key: str) -> SecretStr | None:
    """Return the secret from the environment's `value`, or from `file` without its trailing line end, or None.

    It is read when it is used, so that a rotated file works. `key` is the file's setting, for the message. Raises
    ConfigError when the file cannot be read or is empty; the secret itself never appears in a message.
    """
    if value is not None or file is None:
        return value
    try:
        raw = read_file(file, _MAX_SECRET_BYTES + 1)
        text = raw.decode("utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigError(
            f"{key}: cannot read {file}: {error.strerror}", remedy="create it, or allow the agent's user to read it"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"{key}: {file} is not text", remedy="name a file that holds nothing but the secret"
        ) from None
    if not text or len(raw) > _MAX_SECRET_BYTES:
        what = "is empty" if not text else f"has more than {_MAX_SECRET_BYTES} bytes"
        raise ConfigError(f"{key}: {file} {what}", remedy="name a file that holds nothing but the secret")
    return SecretStr(text)
