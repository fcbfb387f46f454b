"""Secrets that systemd hands over (LoadCredential=), as the files that the settings name.

Knows the folder and how a credential is named: as the setting that it is for, without `_file` (`mqtt.password`,
`console.token`, `kafka.key`). Reads no secret.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from edge_agent.config.fields import leaves
from edge_agent.config.tree import Place, Problem, Tree

VARIABLE = "CREDENTIALS_DIRECTORY"
_FILE = "_file"
_PREFIX = "edge-agent_"
"""What systemd puts in front where a whole folder is handed over, as the unit does (LoadCredential=edge-agent:...)."""


def add_credentials(tree: Tree, environ: Mapping[str, str], model: type[BaseModel]) -> None:
    """Name the credentials in `tree`, where neither the file nor the secret itself is set elsewhere."""
    folder = Path(environ.get(VARIABLE, ""))
    if not folder.is_absolute():
        return
    try:
        there = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        tree.problems.append(
            Problem(VARIABLE, "", f"cannot look into {folder}: {error.strerror}; start the service anew")
        )
        return
    for leaf in leaves(model):
        if not leaf.is_path or not leaf.key.endswith(_FILE):
            continue
        plain = leaf.key.removesuffix(_FILE)
        set_already = {leaf.path, tuple(plain.split("."))} & tree.places.keys()
        for name in () if set_already else (f"{_PREFIX}{plain}", plain):
            if name in there:
                tree.set(leaf.path, str(folder / name), Place("environment", f"credential {name}"))
