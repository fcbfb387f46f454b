"""Renders an overlay as kustomize does, as far as config/microshift uses it; an unknown key is an error, not ignored.

Covers resources, components, configMapGenerator, JSON patches (RFC 6902: add, replace, remove) with a target by kind
and name, namespace, labels and images. Names of generated ConfigMaps get no suffix of their content.
"""

import copy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

Resource = dict[str, Any]

CLUSTER_WIDE = {"Namespace", "ClusterRoleBinding"}
_KEYS = {
    "apiVersion", "kind", "resources", "components", "configMapGenerator", "generatorOptions", "patches", "namespace",
    "labels", "images",
}  # fmt: skip


def documents(path: Path) -> list[Resource]:
    """Return the resources of a YAML file."""
    return copy.deepcopy(_read(path))


@cache
def _read(path: Path) -> list[Resource]:
    return [each for each in YAML(typ="safe", pure=True).load_all(path) if each]


def render(folder: Path) -> list[Resource]:
    """Return every resource of an overlay, base or component."""
    return _apply(folder, [])


def _apply(folder: Path, given: list[Resource]) -> list[Resource]:
    (settings,) = documents(folder / "kustomization.yaml")
    unknown = settings.keys() - _KEYS
    if unknown:
        raise ValueError(f"{folder}: this renderer does not know {sorted(unknown)}")
    found = list(given)
    for name in settings.get("resources", []):
        there = folder / name
        found += render(there) if there.is_dir() else documents(there)
    for name in settings.get("components", []):
        found = _apply(folder / name, found)
    found += _generated(folder, settings)
    found = copy.deepcopy(found)
    for patch in settings.get("patches", []):
        _patch(found, patch, folder)
    for resource in found:
        _transform(resource, settings)
    return found


def _generated(folder: Path, settings: dict[str, Any]) -> Iterator[Resource]:
    for each in settings.get("configMapGenerator", []):
        data = {name: (folder / name).read_text(encoding="utf-8") for name in each.get("files", [])}
        data |= dict(literal.split("=", 1) for literal in each.get("literals", []))
        labels = settings.get("generatorOptions", {}).get("labels", {})
        metadata = {"name": each["name"], **({"labels": labels} if labels else {})}
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _patch(found: list[Resource], patch: dict[str, Any], folder: Path) -> None:
    kind, name = patch["target"]["kind"], patch["target"]["name"]
    targets = [each for each in found if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    if not targets:
        raise ValueError(f"{folder}: a patch of {kind} {name} finds nothing")
    for operation in YAML(typ="safe", pure=True).load(patch["patch"]):
        for target in targets:
            _operate(target, **operation)


def _operate(target: Any, op: str, path: str, value: Any = None) -> None:
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    for part in parents:
        target = target[int(part) if isinstance(target, list) else part]
    if isinstance(target, list) and op == "add" and last == "-":
        target.append(copy.deepcopy(value))
        return
    key = int(last) if isinstance(target, list) else last
    if op in {"replace", "remove"}:
        target[key]  # raises where there is nothing
    if op == "remove":
        del target[key]
    elif op == "add" and isinstance(target, list):
        target.insert(key, copy.deepcopy(value))
    elif op in {"add", "replace"}:
        target[key] = copy.deepcopy(value)
    else:
        raise ValueError(f"unknown operation {op}")


def _transform(resource: Resource, settings: dict[str, Any]) -> None:
    metadata = resource["metadata"]
    if "namespace" in settings and resource["kind"] not in CLUSTER_WIDE:
        metadata["namespace"] = settings["namespace"]
    for each in settings.get("labels", []):
        metadata["labels"] = {**metadata.get("labels", {}), **each["pairs"]}
    for container in containers(resource):
        for image in settings.get("images", []):
            if container["image"] == image["name"]:
                tail = f"@{image['digest']}" if "digest" in image else f":{image['newTag']}"
                container["image"] = image["newName"] + tail


def containers(resource: Resource) -> list[dict[str, Any]]:
    """Return the containers of a workload; none of anything else."""
    if resource["kind"] not in {"Deployment", "StatefulSet", "DaemonSet", "Job"}:
        return []
    spec = resource["spec"]["template"]["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]
