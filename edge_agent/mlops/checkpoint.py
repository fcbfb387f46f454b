"""A training run's state on disk: enough to go on as if it had never stopped.

Knows the file's form. Knows nothing of the loop that fills it.
"""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edge_agent.errors import ConfigError
from edge_agent.files import write_whole
from edge_agent.mlops.network import Architecture

SCHEMA = 1


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Weights, their running average, the optimiser and how many samples have been seen."""

    arch: Architecture
    model: dict[str, Any]
    average: dict[str, Any]
    optimiser: dict[str, Any] | None
    samples: int
    settings: dict[str, Any]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write whole or not at all; raises FatalError naming the file."""
    buffer = io.BytesIO()
    torch.save(
        {
            "schema": SCHEMA,
            "arch": checkpoint.arch.to_json(),
            "model": checkpoint.model,
            "average": checkpoint.average,
            "optimiser": checkpoint.optimiser,
            "samples": checkpoint.samples,
            "settings": checkpoint.settings,
        },
        buffer,
    )
    write_whole(path, buffer.getvalue())


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; raises ConfigError naming the file when it is none of ours."""
    try:
        raw = torch.load(path, map_location="cpu", weights_only=True)
        if raw["schema"] != SCHEMA:
            raise ConfigError(f"{path} has the checkpoint schema {raw['schema']}, this program reads {SCHEMA}")
        arch = Architecture.from_json(raw["arch"])
        return Checkpoint(arch, raw["model"], raw["average"], raw["optimiser"], raw["samples"], raw["settings"])
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError) as error:
        raise ConfigError(f"{path} is not a checkpoint of this program", remedy="choose a last.pt of a run") from error


def require_same(found: Architecture, wanted: Architecture, path: Path) -> None:
    """Raise ConfigError naming the file when weights of `found` cannot go into a network of `wanted`."""
    if found != wanted:
        theirs, ours = found.to_json(), wanted.to_json()
        parts = ", ".join(f"{key} {theirs[key]} instead of {ours[key]}" for key in ours if theirs[key] != ours[key])
        raise ConfigError(f"{path} holds another architecture: {parts}", remedy="train afresh or choose another file")
