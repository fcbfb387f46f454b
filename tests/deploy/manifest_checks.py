"""What Kubernetes's schemas let pass: quantities, ports, required fields, and names that lead nowhere.

The API server checks most of it at admission (https://github.com/kubernetes/kubernetes, pkg/apis/core/validation), the
rest is found out by the pod that never starts.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from tests.deploy.kustomize import Resource, containers

_QUANTITY = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(m|[kMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?")
_SUFFIXES = {
    None: Decimal(1), "m": Decimal("0.001"),
    **{name: Decimal(1000) ** power for power, name in enumerate("kMGTPE", 1)},
    **{f"{name}i": Decimal(1024) ** power for power, name in enumerate("KMGTPE", 1)},
}  # fmt: skip
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


def problems(resources: list[Resource], given: Iterable[str] = ()) -> list[str]:
    """Return what is wrong with the resources that are applied together; `given` are secrets made elsewhere."""
    names = {(each["kind"], each["metadata"]["name"]) for each in resources} | {("Secret", name) for name in given}
    pods = [each for each in resources if each["kind"] in _WORKLOADS]
    found: list[str] = []
    for resource in resources:
        found += [f"{resource['kind']}/{resource['metadata']['name']}: {what}" for what in _of(resource, names, pods)]
    return found


def _of(resource: Resource, names: set[tuple[str, str]], pods: list[Resource]) -> Iterator[str]:
    kind, spec = resource["kind"], resource.get("spec", {})
    if kind in _WORKLOADS:
        yield from _workload(resource, names)
    elif kind == "PersistentVolumeClaim":
        yield from _quantity("storage", spec.get("resources", {}).get("requests", {}).get("storage"))
    elif kind == "Service":
        yield from _service(spec, pods)
    elif kind == "EndpointSlice":
        for port in resource.get("ports", ()):
            yield from _number(port.get("port"))
    elif kind == "NetworkPolicy":
        yield from _policy(spec, pods)
    elif kind == "Route":
        if ("Service", spec["to"]["name"]) not in names:
            yield f"leads to no Service {spec['to']['name']}"
    elif kind in {"RoleBinding", "ClusterRoleBinding"}:
        for subject in resource.get("subjects", ()):
            if subject["kind"] == "ServiceAccount" and ("ServiceAccount", subject["name"]) not in names:
                yield f"binds no ServiceAccount {subject['name']}"


def _workload(resource: Resource, names: set[tuple[str, str]]) -> Iterator[str]:
    template, selector = resource["spec"]["template"], resource["spec"].get("selector", {}).get("matchLabels", {})
    if not selector or not selector.items() <= template.get("metadata", {}).get("labels", {}).items():
        yield "its selector does not find its own pods"
    pod = template["spec"]
    account = pod.get("serviceAccountName")
    if account is not None and ("ServiceAccount", account) not in names:
        yield f"there is no ServiceAccount {account}"
    if not pod.get("containers"):
        yield "a pod needs a container"
    yield from _volumes(pod, names)
    for container in containers(resource):
        for what in _container(container, pod, names):
            yield f"container {container.get('name', '?')}: {what}"


def _volumes(pod: dict[str, Any], names: set[tuple[str, str]]) -> Iterator[str]:
    volumes = pod.get("volumes", [])
    if len({volume["name"] for volume in volumes}) < len(volumes):
        yield "two volumes have one name"
    for volume in volumes:
        for source, kind, key in (
            ("configMap", "ConfigMap", "name"),
            ("secret", "Secret", "secretName"),
            ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
        ):
            if source in volume and (kind, volume[source].get(key)) not in names:
                yield f"volume {volume['name']}: there is no {kind} {volume[source].get(key)}"
        if "sizeLimit" in volume.get("emptyDir", {}):
            yield from _quantity(f"volume {volume['name']}: sizeLimit", volume["emptyDir"]["sizeLimit"])


def _container(container: dict[str, Any], pod: dict[str, Any], names: set[tuple[str, str]]) -> Iterator[str]:
    if not _NAME.fullmatch(container.get("name", "")):
        yield "its name is missing or no DNS label"
    if not container.get("image"):
        yield "it has no image"
    yield from _resources(container.get("resources", {}))
    yield from _ports(container, pod)
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    yield from (
        f"mounts no volume {mount['name']}"
        for mount in container.get("volumeMounts", [])
        if mount["name"] not in volumes
    )
    sources = [*container.get("envFrom", []), *(each.get("valueFrom", {}) for each in container.get("env", []))]
    for source in sources:
        for key, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
            named = source.get(f"{key}Ref") or source.get(f"{key}KeyRef")
            if named and not named.get("optional") and (kind, named["name"]) not in names:
                yield f"takes its environment from no {kind} {named['name']}"


def _resources(resources: dict[str, Any]) -> Iterator[str]:
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    wrong = [
        what
        for of, values in (("requests", requests), ("limits", limits))
        for key, value in values.items()
        for what in _quantity(f"{of}.{key}", value)
    ]
    yield from wrong
    if not wrong:
        more = [key for key in requests.keys() & limits.keys() if _value(requests[key]) > _value(limits[key])]
        yield from (f"requests more {key} than its limit" for key in more)


def _ports(container: dict[str, Any], pod: dict[str, Any]) -> Iterator[str]:
    ports = container.get("ports", [])
    for port in ports:
        yield from _number(port.get("containerPort"))
        if "name" in port and not _PORT_NAME.fullmatch(port["name"]):
            yield f"port name {port['name']} is not one"
    if len({port["name"] for port in ports if "name" in port}) < len([port for port in ports if "name" in port]):
        yield "two ports have one name"
    opened = {port.get("name") for each in pod.get("containers", []) for port in each.get("ports", [])}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        how = container.get(probe, {})
        for action in ("httpGet", "tcpSocket", "grpc"):
            if action in how:
                yield from (f"{probe}: {what}" for what in _reference(how[action].get("port"), opened))


def _service(spec: dict[str, Any], pods: list[Resource]) -> Iterator[str]:
    selector = spec.get("selector")
    found = [each for each in pods if selector and _matches(selector, each)]
    if selector and not found:
        yield "its selector finds no pod"
    opened = {port.get("name") for pod in found for each in containers(pod) for port in each.get("ports", [])}
    for port in spec.get("ports", []):
        yield from _number(port.get("port"))
        if selector and "targetPort" in port:
            yield from _reference(port["targetPort"], opened)
    if not spec.get("ports"):
        yield "it has no port"


def _policy(spec: dict[str, Any], pods: list[Resource]) -> Iterator[str]:
    labels = spec.get("podSelector", {}).get("matchLabels", {})
    if labels and not any(_matches(labels, pod) for pod in pods):
        yield "its selector finds no pod"
    for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
        for port in rule.get("ports", ()):
            yield from _number(port.get("port"))


def _matches(labels: dict[str, str], workload: Resource) -> bool:
    return labels.items() <= workload["spec"]["template"].get("metadata", {}).get("labels", {}).items()


def _reference(port: object, opened: set[Any]) -> Iterator[str]:
    if isinstance(port, str):
        if port not in opened:
            yield f"no container opens a port {port}"
    else:
        yield from _number(port)


def _number(port: object) -> Iterator[str]:
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
        yield f"port {port} is not one"


def _quantity(name: str, value: object) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not _QUANTITY.fullmatch(str(value)):
        yield f"{name}: {value} is no quantity"


def _value(quantity: str | float) -> Decimal:
    match = _QUANTITY.fullmatch(str(quantity))
    assert match is not None
    number, suffix = match.groups()
    if suffix and suffix[0] in "eE" and suffix[1:]:
        return Decimal(f"{number}{suffix}")
    return Decimal(number) * _SUFFIXES[suffix]
