"""Every overlay as a cluster gets it: by Kubernetes's schemas, by restricted-v2's rules, by what belongs together."""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from edge_agent.cli.program import COMMANDS, build
from edge_agent.config import load as load_settings
from tests.deploy.kustomize import CLUSTER_WIDE, Resource, containers, documents, render
from tests.deploy.prometheusrule import TARGET, write
from tests.deploy.promtool import ROOT, load

app = build(COMMANDS)

FOLDER = ROOT / "config/microshift"
OVERLAYS = sorted(path.name for path in (FOLDER / "overlays").iterdir())
KUBERNETES = "1.32"  # MicroShift 4.19
CRDS = load(Path(__file__).with_name("crds.yaml"))

# By hand, once, before the first start; config/microshift/README.md tells how.
MADE_BY_HAND = {"edge-agent-credentials", "mosquitto-users", "edge-agent-console-cookie"}
# By the cluster, for the services that ask for it.
SERVING_CERTIFICATE = "service.beta.openshift.io/serving-cert-secret-name"

overlays = pytest.mark.parametrize("overlay", OVERLAYS)


@cache
def rendered(overlay: str) -> list[Resource]:
    return render(FOLDER / "overlays" / overlay)


def of_kind(overlay: str, *kinds: str) -> list[Resource]:
    return [each for each in rendered(overlay) if each["kind"] in kinds]


@cache
def _validate(text: str) -> None:
    resource = json.loads(text)
    if resource["kind"] in CRDS:
        jsonschema.validate(resource, CRDS[resource["kind"]])
    else:
        kubernetes_validate.validate(resource, KUBERNETES, strict=True)


def validate(resource: Resource) -> None:
    _validate(json.dumps(resource))


@overlays
def test_overlay_fits_the_schemas(overlay: str) -> None:
    for resource in rendered(overlay):
        validate(resource)


def test_schema_refuses_an_unknown_key() -> None:
    (deployment,) = documents(FOLDER / "base/console/deployment.yaml")
    deployment["spec"]["replica"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(deployment)


@pytest.mark.parametrize("path", [FOLDER / "components/system-bus/constraint.yaml"], ids=lambda path: path.stem)
def test_file_that_is_applied_by_hand_fits_its_schema(path: Path) -> None:
    for resource in documents(path):
        validate(resource)


def test_every_base_and_component_is_part_of_an_overlay() -> None:
    named = {
        (path.parent / name).resolve()
        for path in FOLDER.rglob("kustomization.yaml")
        for settings in documents(path)
        for name in (*settings.get("resources", []), *settings.get("components", []))
    }
    assert {path.resolve() for part in ("base", "components") for path in (FOLDER / part).iterdir()} <= named


@overlays
def test_resource_is_there_once_and_in_the_namespace(overlay: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered(overlay)]
    assert len(names) == len(set(names))
    for resource in rendered(overlay):
        assert ("namespace" in resource["metadata"]) == (resource["kind"] not in CLUSTER_WIDE)
        assert resource["metadata"]["labels"]["app.kubernetes.io/part-of"] == "edge-agent"


@overlays
def test_container_is_admitted_by_restricted_v2(overlay: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/, and the user id is the namespace's."""
    for workload in of_kind(overlay, "Deployment"):
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
        for container in containers(workload):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
        on_host = [volume for volume in pod["volumes"] if "hostPath" in volume]
        assert bool(on_host) == (overlay == "train-in-cluster" and workload["metadata"]["name"] == "edge-agent")


@overlays
def test_container_has_limits_and_probes_at_ports_that_it_opens(overlay: str) -> None:
    for workload in of_kind(overlay, "Deployment"):
        ports = {port["name"] for container in containers(workload) for port in container.get("ports", [])}
        for container in containers(workload):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]
            for probe in ("livenessProbe", "readinessProbe"):
                how = container[probe].get("httpGet") or container[probe]["tcpSocket"]
                assert how["port"] in ports
                assert how.get("path", "/healthz") in {"/healthz", "/readyz"}


@overlays
def test_image_has_a_version(overlay: str) -> None:
    for workload in of_kind(overlay, "Deployment"):
        for container in containers(workload):
            assert re.fullmatch(
                r"[a-z0-9./-]+\.[a-z]+/[a-z0-9./-]+(:v?\d[\w.-]*|@sha256:[0-9a-f]{64})", container["image"]
            )


@overlays
def test_no_mount_lies_within_another_and_each_has_its_volume(overlay: str) -> None:
    """What is mounted into a read-only mount cannot be: its folder cannot be made."""
    for workload in of_kind(overlay, "Deployment"):
        volumes = {volume["name"] for volume in workload["spec"]["template"]["spec"]["volumes"]}
        mounted = {mount["name"] for container in containers(workload) for mount in container["volumeMounts"]}
        assert mounted == volumes
        for container in containers(workload):
            paths = [Path(mount["mountPath"]) for mount in container["volumeMounts"]]
            assert not [(a, b) for a in paths for b in paths if a in b.parents]


@overlays
def test_config_map_secret_and_claim_that_is_named_is_there(overlay: str) -> None:
    there = {
        kind: {each["metadata"]["name"] for each in of_kind(overlay, kind)}
        for kind in ("ConfigMap", "PersistentVolumeClaim")
    }
    certificates = {
        each["metadata"].get("annotations", {}).get(SERVING_CERTIFICATE) for each in of_kind(overlay, "Service")
    }
    assert not of_kind(overlay, "Secret"), "secrets are named, never kept here"
    for workload in of_kind(overlay, "Deployment"):
        for volume in workload["spec"]["template"]["spec"]["volumes"]:
            if "configMap" in volume:
                assert volume["configMap"]["name"] in there["ConfigMap"]
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in there["PersistentVolumeClaim"]
            if "secret" in volume:
                assert volume["secret"]["secretName"] in MADE_BY_HAND | certificates
        for container in containers(workload):
            assert {each["configMapRef"]["name"] for each in container.get("envFrom", [])} <= there["ConfigMap"]
            assert all("value" in variable for variable in container.get("env", []))


def test_console_knows_what_its_arguments_ask_for() -> None:
    (console,) = of_kind("central", "Deployment")
    container = containers(console)[0]
    (given,) = [each for each in of_kind("central", "ConfigMap") if each["metadata"]["name"].endswith("-settings")]
    asked = {name for word in container["args"] for name in re.findall(r"\$\((\w+)\)", word)}
    assert asked == given["data"].keys()


def test_secret_made_by_hand_is_told_in_the_readme() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert {name for name in MADE_BY_HAND if name in text} == MADE_BY_HAND


# The console without the proxy before it is in no overlay.
@pytest.mark.parametrize("overlay", [*OVERLAYS, "../base/console"])
def test_service_route_and_policy_lead_to_pods_that_are_there(overlay: str) -> None:
    pods = [each["spec"]["template"] for each in of_kind(overlay, "Deployment")]
    slices = {each["metadata"]["labels"]["kubernetes.io/service-name"] for each in of_kind(overlay, "EndpointSlice")}
    services = {each["metadata"]["name"]: each for each in of_kind(overlay, "Service")}
    for name, service in services.items():
        selector = service["spec"].get("selector")
        if selector is None:
            assert name in slices
            continue
        (pod,) = [each for each in pods if selector.items() <= each["metadata"]["labels"].items()]
        ports = {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for route in of_kind(overlay, "Route"):
        service = services[route["spec"]["to"]["name"]]
        assert route["spec"]["port"]["targetPort"] in {port["name"] for port in service["spec"]["ports"]}
    for monitor in of_kind(overlay, "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        (service,) = [each for each in services.values() if wanted <= each["metadata"]["labels"].items()]
        assert "edge-agent/train" in service["metadata"]["labels"]


@overlays
def test_network_policy_closes_the_namespace_and_opens_the_ports_of_each_pod(overlay: str) -> None:
    policies = of_kind(overlay, "NetworkPolicy")
    (default,) = [each for each in policies if each["spec"]["podSelector"] == {}]
    assert default["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for workload in of_kind(overlay, "Deployment"):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        own = [each for each in policies if each["spec"]["podSelector"].get("matchLabels") == labels]
        opened = {port["port"] for each in own for rule in each["spec"]["ingress"] for port in rule["ports"]}
        ports = {port["containerPort"] for container in containers(workload) for port in container.get("ports", [])}
        assert opened == ports


@overlays
def test_arguments_are_options_of_the_command(overlay: str) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for workload in of_kind(overlay, "Deployment"):
        for container in containers(workload):
            if "edge-agent/edge-agent" not in container["image"]:
                continue
            command, *words = container["args"]
            known = {option for parameter in commands[command].params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= known


def test_settings_of_the_agent_are_valid_and_name_files_that_are_mounted(tmp_path: Path) -> None:
    (agent,) = [
        each
        for each in rendered("workshop")
        if each["kind"] == "Deployment" and each["metadata"]["name"] == "edge-agent"
    ]
    text = (FOLDER / "base/agent/agent.yaml").read_text(encoding="utf-8")
    (tmp_path / "agent.yaml").write_text(text, encoding="utf-8")
    load_settings(tmp_path / "agent.yaml", environ={})
    mounts = [Path(mount["mountPath"]) for mount in containers(agent)[0]["volumeMounts"]]
    for path in re.findall(r"^\s+\w*(?:file|directory): (\S+)", text, re.MULTILINE):
        assert [mount for mount in mounts if mount == Path(path) or mount in Path(path).parents], path


def test_rules_for_the_operator_are_those_of_prometheus(tmp_path: Path) -> None:
    write(tmp_path / "rule.yaml")
    assert TARGET.read_text(encoding="utf-8") == (tmp_path / "rule.yaml").read_text(encoding="utf-8"), (
        "run `make rules`"
    )


def by_kubectl(overlay: str) -> list[Resource]:
    done = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER / "overlays" / overlay)], capture_output=True, check=True, text=True
    )
    # ConfigMaps that are generated have a hash of their content in their names there.
    text = re.sub(r"(name: [a-z-]+)-[bcdfghkmt2456789]{10}$", r"\1", done.stdout, flags=re.MULTILINE)
    return list(YAML(typ="safe", pure=True).load_all(text))


def kubectl_version() -> tuple[int, ...]:
    if shutil.which("kubectl") is None:
        return ()
    done = subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True, check=False, text=True)
    try:
        version = json.loads(done.stdout).get("kustomizeVersion", "")
    except json.JSONDecodeError:
        return ()
    return tuple(int(part) for part in re.findall(r"\d+", version))


@overlays
def test_renderer_agrees_with_kustomize(overlay: str) -> None:
    if kubectl_version() < (5,):
        pytest.skip("no kubectl with kustomize 5 is here")

    def sorted_by_name(resources: list[Any]) -> list[Any]:
        return sorted(resources, key=lambda each: (each["kind"], each["metadata"]["name"]))

    assert sorted_by_name(by_kubectl(overlay)) == sorted_by_name(rendered(overlay))
