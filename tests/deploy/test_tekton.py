"""The pipeline: everything that is named is declared, in the right place; what its scripts do to a repository, done."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.deploy.kustomize import Resource, containers, documents, render
from tests.deploy.promtool import ROOT, load

FOLDER = ROOT / "config/tekton"
SCHEMA = load(Path(__file__).with_name("tekton.yaml"))
(SETTINGS,) = documents(FOLDER / "kustomization.yaml")
APPLIED = [each for name in SETTINGS["resources"] for each in documents(FOLDER / name)]
(RUN,) = documents(FOLDER / "pipelinerun.yaml")
(PIPELINE,) = [each for each in APPLIED if each["kind"] == "Pipeline"]
TASKS = {each["metadata"]["name"]: each["spec"] for each in APPLIED if each["kind"] == "Task"}
ACTIONS = {each["metadata"]["name"]: each["spec"] for each in APPLIED if each["kind"] == "StepAction"}
STAGES = {each["name"]: each for each in PIPELINE["spec"]["tasks"]}

tasks = pytest.mark.parametrize("name", sorted(TASKS))


def names(spec: dict[str, Any], what: str) -> set[str]:
    return {each["name"] for each in spec.get(what, [])}


def references(value: Any) -> set[str]:
    """Return what stands in every $(...) that is Tekton's: those of the shell begin with a command and a space."""
    return set(re.findall(r"\$\(([a-z][\w.-]*(?:\[\*\])?)\)", json.dumps(value)))


def known_in(spec: dict[str, Any]) -> set[str]:
    """Return what a task may refer to."""
    found = {f"params.{each['name']}{'[*]' if each['type'] == 'array' else ''}" for each in spec["params"]}
    found |= {f"results.{each['name']}.path" for each in spec.get("results", []) if "value" not in each}
    found |= {f"workspaces.{name}.path" for name in names(spec, "workspaces")}
    for step in spec["steps"]:
        if "ref" in step:
            found |= {f"steps.{step['name']}.results.{name}" for name in names(ACTIONS[step["ref"]["name"]], "results")}
    return found


def check_given(given: list[dict[str, Any]], declared: list[dict[str, Any]]) -> None:
    """Hold what is given against what is declared: nothing unknown, nothing missing, lists where lists are wanted."""
    types = {each["name"]: each["type"] for each in declared}
    values = {each["name"]: each["value"] for each in given}
    assert len(values) == len(given)
    assert values.keys() <= types.keys()
    assert {each["name"] for each in declared if "default" not in each} <= values.keys()
    for name, value in values.items():
        assert isinstance(value, list) == (types[name] == "array"), name


@pytest.mark.parametrize("resource", [*APPLIED, RUN], ids=lambda each: each["kind"] + "-" + str(each["metadata"]))
def test_resource_fits_the_schema(resource: Resource) -> None:
    jsonschema.validate(resource, SCHEMA)


def test_every_file_is_applied() -> None:
    assert {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.yaml")} == {
        *SETTINGS["resources"], "kustomization.yaml", "pipelinerun.yaml",
    }  # fmt: skip


@tasks
def test_task_refers_only_to_what_it_declares_and_uses_all_of_it(name: str) -> None:
    spec = TASKS[name]
    used, known = references(spec), known_in(spec)
    assert used <= known
    assert {each for each in known - used if not each.startswith("steps.")} == set()


@tasks
def test_step_calls_actions_as_they_are_declared(name: str) -> None:
    for step in TASKS[name]["steps"]:
        if "ref" in step:
            check_given(step.get("params", []), ACTIONS[step["ref"]["name"]]["params"])


@tasks
def test_volume_is_mounted_and_there(name: str) -> None:
    spec = TASKS[name]
    mounts = [*spec.get("stepTemplate", {}).get("volumeMounts", [])]
    mounts += [mount for step in spec["steps"] for mount in step.get("volumeMounts", [])]
    assert {mount["name"] for mount in mounts} == names(spec, "volumes")


def scripts() -> Iterator[Any]:
    for name, spec in {**TASKS, **ACTIONS}.items():
        for step in spec.get("steps", [spec]):
            if "script" in step:
                yield pytest.param(step, id=f"{name}-{step.get('name', '')}")


@pytest.mark.parametrize("step", list(scripts()))
def test_script_is_shell_and_takes_values_by_the_environment_only(step: dict[str, Any]) -> None:
    """A value that Tekton pastes into a script is code: a branch named `; rm -rf .` would run."""
    assert not references(step["script"])
    done = subprocess.run(["sh", "-n"], input=step["script"], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    used = set(re.findall(r"\$\{?([A-Z_]+)", step["script"]))
    assert used - set(re.findall(r"([A-Z_]+)=", step["script"])) <= names(step, "env")
    assert names(step, "env") - used <= {"HOME", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG"}


def test_pipeline_calls_tasks_as_they_are_declared() -> None:
    for stage in STAGES.values():
        spec = TASKS[stage["taskRef"]["name"]]
        check_given(stage.get("params", []), spec["params"])
        assert names(stage, "workspaces") == names(spec, "workspaces")
        assert {each["workspace"] for each in stage.get("workspaces", [])} <= names(PIPELINE["spec"], "workspaces")
    assert {stage["taskRef"]["name"] for stage in STAGES.values()} == TASKS.keys()


def test_pipeline_refers_only_to_what_is_declared_and_uses_all_of_it() -> None:
    spec = PIPELINE["spec"]
    known = {f"params.{each['name']}{'[*]' if each['type'] == 'array' else ''}" for each in spec["params"]}
    results = {
        f"tasks.{name}.results.{each}"
        for name, stage in STAGES.items()
        for each in names(TASKS[stage["taskRef"]["name"]], "results")
    }
    used = references([spec["tasks"], spec["results"]])
    assert used <= known | results
    assert known <= used
    assert {each["workspace"] for stage in STAGES.values() for each in stage.get("workspaces", [])} == names(
        spec, "workspaces"
    )


def test_pipeline_has_no_circle_and_signs_before_it_promotes() -> None:
    before = {
        name: {
            *stage.get("runAfter", []),
            *(each.split(".")[1] for each in references(stage) if each.startswith("tasks.")),
        }
        for name, stage in STAGES.items()
    }
    assert set().union(*before.values()) <= STAGES.keys()
    ahead: dict[str, set[str]] = {}
    for name in TopologicalSorter(before).static_order():  # raises where there is a circle
        ahead[name] = before[name].union(*(ahead[each] for each in before[name]))
    assert ahead["attest"] >= {"check", "build-amd64", "build-arm64", "join"}
    assert "attest" in ahead["promote"], "nothing unsigned is run"


def test_run_gives_what_the_pipeline_needs_and_each_build_a_node_of_its_architecture() -> None:
    assert RUN["spec"]["pipelineRef"]["name"] == PIPELINE["metadata"]["name"]
    check_given(RUN["spec"]["params"], PIPELINE["spec"]["params"])
    assert names(RUN["spec"], "workspaces") == names(PIPELINE["spec"], "workspaces")
    nodes = {each["pipelineTaskName"]: each["podTemplate"]["nodeSelector"] for each in RUN["spec"]["taskRunSpecs"]}
    for name, stage in STAGES.items():
        wanted = {each["value"] for each in stage["params"] if each["name"] == "architecture"}
        assert {node["kubernetes.io/arch"] for stage_name, node in nodes.items() if stage_name == name} == wanted


def test_secret_of_the_run_is_told_in_the_readme() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [
        each["secret"]["secretName"] for each in RUN["spec"]["workspaces"] if each["secret"]["secretName"] not in text
    ] == []


# --- the scripts, carried out -----------------------------------------------------------------------------------------

DIGEST = "sha256:" + "5a" * 32
IMAGE = "registry.example.com/other/agent"


def git(*words: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(["git", *words], check=True, capture_output=True, text=True, cwd=cwd)
    return done.stdout.strip()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """Make a bare repository with our overlays on the branch main."""
    work = tmp_path / "begin"
    shutil.copytree(ROOT / "config", work / "config", ignore=shutil.ignore_patterns("*.onnx"))
    git("init", "-q", "-b", "main", work)
    git("add", ".", cwd=work)
    git("-c", "user.name=a", "-c", "user.email=a@example.invalid", "commit", "-q", "-m", "begin", cwd=work)
    git("clone", "-q", "--bare", work, tmp_path / "remote.git")
    return tmp_path / "remote.git"


def script_of(task: str, step: str) -> str:
    (found,) = [each["script"] for each in TASKS[task]["steps"] if each["name"] == step]
    return str(found)


def promote(remote: Path, folder: Path, *overlays: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    (folder / "step.sh").write_text(script_of("edge-agent-promote", "promote"), encoding="utf-8")
    given = {"URL": str(remote), "BRANCH": "main", "IMAGE": IMAGE, "DIGEST": DIGEST, "HOME": str(folder)}
    return subprocess.run(
        ["sh", "step.sh", *overlays],
        env={**os.environ, **given},
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )


def test_promote_commits_a_digest_that_the_overlays_then_run(remote: Path, tmp_path: Path) -> None:
    (wanted,) = [each["default"] for each in PIPELINE["spec"]["params"] if each["name"] == "gitops-overlays"]
    done = promote(remote, tmp_path / "one", *wanted)
    assert done.returncode == 0, done.stderr
    git("clone", "-q", remote, tmp_path / "after")
    for overlay in wanted:
        images = {each["image"] for resource in render(tmp_path / "after" / overlay) for each in containers(resource)}
        assert f"{IMAGE}@{DIGEST}" in images
        assert len(images) == 2, "the other image is as it was"
    assert git("--git-dir", remote, "rev-list", "--count", "main") == "2"


def test_promote_of_what_is_there_already_commits_nothing(remote: Path, tmp_path: Path) -> None:
    overlay = "config/microshift/overlays/central"
    promote(remote, tmp_path / "one", overlay)
    done = promote(remote, tmp_path / "two", overlay)
    assert (done.returncode, git("--git-dir", remote, "rev-list", "--count", "main")) == (0, "2")


def test_promote_into_an_overlay_without_our_image_fails_and_says_so(remote: Path, tmp_path: Path) -> None:
    done = promote(remote, tmp_path / "one", "config/microshift/overlays/train")
    assert done.returncode == 1
    assert "names no image edge-agent" in done.stderr
    assert git("--git-dir", remote, "rev-list", "--count", "main") == "1"


def test_clone_fetches_the_revision_and_tells_its_commit(remote: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    given = {"URL": str(remote), "REVISION": "main", "COMMIT": str(tmp_path / "commit"), "HOME": str(work)}
    subprocess.run(
        ["sh", "-c", ACTIONS["edge-agent-clone"]["script"]], env={**os.environ, **given}, cwd=work, check=True
    )
    assert (tmp_path / "commit").read_text(encoding="utf-8") == git("--git-dir", remote, "rev-parse", "main")
    assert (work / "source/config/agent.yaml").is_file()
