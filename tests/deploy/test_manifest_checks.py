"""The overlays by the checks of manifest_checks.py, and each check by a mistake that it has to find."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.deploy.kustomize import Resource
from tests.deploy.manifest_checks import problems
from tests.deploy.test_microshift import MADE_BY_HAND, OVERLAYS, SERVING_CERTIFICATE, rendered, validate

Change = Callable[[dict[str, Any]], object]


def outside(resources: list[Resource]) -> set[str]:
    annotations = [each["metadata"].get("annotations", {}) for each in resources if each["kind"] == "Service"]
    return MADE_BY_HAND | {each[SERVING_CERTIFICATE] for each in annotations if SERVING_CERTIFICATE in each}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_has_no_mistake_that_the_schemas_let_pass(overlay: str) -> None:
    assert problems(rendered(overlay), outside(rendered(overlay))) == []


def pod(deployment: dict[str, Any]) -> Any:
    return deployment["spec"]["template"]["spec"]


def container(deployment: dict[str, Any]) -> Any:
    return pod(deployment)["containers"][0]


MISTAKES: dict[str, tuple[str, Change, str]] = {
    "memory in words": (
        "Deployment",
        lambda d: container(d)["resources"]["limits"].update(memory="lots"),
        "no quantity",
    ),
    "memory in MB": ("Deployment", lambda d: container(d)["resources"]["limits"].update(memory="512MB"), "no quantity"),
    "negative cpu": ("Deployment", lambda d: container(d)["resources"]["requests"].update(cpu="-1"), "no quantity"),
    "request above limit": (
        "Deployment",
        lambda d: container(d)["resources"].update(requests={"memory": "1Gi"}, limits={"memory": "1000Mi"}),
        "requests more memory",
    ),
    "size of a volume": (
        "Deployment",
        lambda d: pod(d)["volumes"].append({"name": "more", "emptyDir": {"sizeLimit": "big"}}),
        "no quantity",
    ),
    "storage of a claim": (
        "PersistentVolumeClaim",
        lambda d: d["spec"]["resources"]["requests"].update(storage="2 GB"),
        "no quantity",
    ),
    "no image": ("Deployment", lambda d: container(d).pop("image"), "no image"),
    "no name": ("Deployment", lambda d: container(d).update(name="My Container"), "no DNS label"),
    "no container": ("Deployment", lambda d: pod(d).update(containers=[]), "needs a container"),
    "port of a container": (
        "Deployment",
        lambda d: container(d)["ports"][0].update(containerPort=70000),
        "port 70000",
    ),
    "port of a service": ("Service", lambda d: d["spec"]["ports"][0].update(port=70000), "port 70000"),
    "port of a policy": (
        "NetworkPolicy",
        lambda d: d["spec"].update(ingress=[{"ports": [{"port": 70000}]}]),
        "port 70000",
    ),
    "name of a port": ("Deployment", lambda d: container(d)["ports"][0].update(name="Web_Port"), "port name"),
    "target port": (
        "Service",
        lambda d: d["spec"]["ports"][0].update(targetPort="elsewhere"),
        "opens a port elsewhere",
    ),
    "probe": (
        "Deployment",
        lambda d: container(d)["livenessProbe"].update(httpGet={"path": "/healthz", "port": "elsewhere"}),
        "opens a port elsewhere",
    ),
    "selector of a workload": (
        "Deployment",
        lambda d: d["spec"]["selector"].update(matchLabels={"app": "another"}),
        "own pods",
    ),
    "selector of a service": ("Service", lambda d: d["spec"].update(selector={"app": "another"}), "finds no pod"),
    "selector of a policy": (
        "NetworkPolicy",
        lambda d: d["spec"].update(podSelector={"matchLabels": {"app": "another"}}),
        "finds no pod",
    ),
    "service account": ("Deployment", lambda d: pod(d).update(serviceAccountName="nobody"), "ServiceAccount nobody"),
    "config map": (
        "Deployment",
        lambda d: pod(d)["volumes"].append({"name": "more", "configMap": {"name": "none"}}),
        "no ConfigMap none",
    ),
    "secret": (
        "Deployment",
        lambda d: pod(d)["volumes"].append({"name": "more", "secret": {"secretName": "none"}}),
        "no Secret none",
    ),
    "claim": (
        "Deployment",
        lambda d: pod(d)["volumes"].append({"name": "more", "persistentVolumeClaim": {"claimName": "none"}}),
        "no PersistentVolumeClaim none",
    ),
    "environment": (
        "Deployment",
        lambda d: container(d).update(envFrom=[{"secretRef": {"name": "none"}}]),
        "no Secret none",
    ),
    "variable": (
        "Deployment",
        lambda d: container(d).update(
            env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "a"}}}]
        ),
        "no ConfigMap none",
    ),
    "mount": (
        "Deployment",
        lambda d: container(d)["volumeMounts"].append({"name": "none", "mountPath": "/none"}),
        "mounts no volume none",
    ),
    "two volumes of one name": (
        "Deployment",
        lambda d: pod(d)["volumes"].append(copy.deepcopy(pod(d)["volumes"][0])),
        "two volumes",
    ),
    "route": ("Route", lambda d: d["spec"]["to"].update(name="none"), "no Service none"),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_mistake_is_found(name: str) -> None:
    kind, change, told = MISTAKES[name]
    resources = copy.deepcopy(rendered("workshop"))
    victim = next(each for each in resources if each["kind"] == kind and each["metadata"]["name"] != "mosquitto")
    change(victim)
    found = problems(resources, outside(resources))
    assert any(told in each for each in found), found


@pytest.mark.parametrize("name", ["memory in words", "no image", "port of a container", "selector of a service"])
def test_schemas_alone_let_it_pass(name: str) -> None:
    kind, change, _ = MISTAKES[name]
    resources = copy.deepcopy(rendered("workshop"))
    victim = next(each for each in resources if each["kind"] == kind and each["metadata"]["name"] != "mosquitto")
    change(victim)
    validate(victim)


@pytest.mark.parametrize(
    ("quantity", "good"),
    [
        ("1", True),
        ("0.5", True),
        (".5", True),
        ("100m", True),
        ("1Gi", True),
        ("1e3", True),
        (2, True),
        ("1K", False),
        ("", False),
        ("1 Gi", False),
        (None, False),
    ],
)
def test_quantities_are_those_of_kubernetes(quantity: object, good: bool) -> None:
    claim = {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "one"},
        "spec": {"resources": {"requests": {"storage": quantity}}},
    }
    assert (problems([claim]) == []) == good


def test_binding_of_nobody_is_found() -> None:
    resources = copy.deepcopy(rendered("central"))
    (binding,) = [each for each in resources if each["kind"] == "ClusterRoleBinding"]
    binding["subjects"][0]["name"] = "nobody"
    assert problems(resources, outside(resources)) == [
        f"ClusterRoleBinding/{binding['metadata']['name']}: binds no ServiceAccount nobody"
    ]
