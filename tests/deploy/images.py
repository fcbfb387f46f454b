"""Builds both images, or takes the steps of their files in a clean folder, and runs the agent in them: `make images`.

Knows buildah and chroot. The base images come from registries; here a stand-in takes their place (stand_in.py). So what
is tried is all that the files do themselves: packages, wheel, permissions, user, entry point.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.deploy import stand_in
from tests.deploy.containerfile import Stage, stages

ROOT = Path(__file__).resolve().parents[2]
BASE = "localhost/edge-agent-stand-in"
SOMEBODY = "1000670000:0"  # an id out of a namespace's range, as OpenShift gives them
TRIAL = ["edge-agent", "run", "--dry-run", "--no-realtime", "--duration", "10", "--no-console", "--json"]
# Older versions of buildah know no default of an argument that names a stage.
CPU = {"VARIANT": "cpu", "UBI_IMAGE": BASE, "PYTHON": stand_in.PYTHON}
DEVICE = {"BOOTC_IMAGE": BASE, "PYTHON": stand_in.PYTHON}


def run(*words: str | Path, **more: str) -> str:
    """Run a command, show what it says on stderr; raise where it fails."""
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **more})
    return done.stdout


class Buildah:
    """Builds by buildah without a daemon; its storage is a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._words = ["buildah", "--storage-driver", "vfs", "--root", f"{folder}/root", "--runroot", f"{folder}/run"]

    def works(self, root: Path) -> bool:
        """Make the base image; tell whether that and a command in it work here."""
        if shutil.which("buildah") is None:
            return False
        file = root.parent / "Containerfile"
        file.write_text(f"FROM scratch\nCOPY . /\nRUN {stand_in.PYTHON} -c 'import ssl'\n", encoding="utf-8")
        done = subprocess.run(
            [*self._words, "bud", "--isolation", "chroot", "-q", "-f", file, "-t", BASE, root], check=False
        )
        return done.returncode == 0

    def build(self, file: Path, name: str, arguments: dict[str, str]) -> None:
        """Build an image from a file of the repository."""
        given = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
        words = ["bud", "--isolation", "chroot", "--format", "docker", "--pull-never", *given]
        run(*self._words, *words, "-f", file, "-t", name, ROOT)

    def inside(self, name: str, user: str, *words: str) -> str:
        """Run a command in a new container of an image, without capabilities."""
        container = run(*self._words, "from", "--pull-never", name).strip()
        drop = ["--cap-drop", "all"] if user != "0:0" else []
        return run(*self._words, "run", "--isolation", "chroot", "--user", user, *drop, container, "--", *words)

    def settings(self, name: str) -> dict[str, object]:
        """Return the configuration of an image."""
        found: dict[str, object] = json.loads(run(*self._words, "inspect", "--type", "image", name))["Docker"]["config"]
        return found


class Chroot:
    """Takes the steps of a file in copies of the base; for a machine on which buildah is not there or may not work."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder, self._root = folder, root
        self._roots: dict[str, Path] = {}
        self._environments: dict[str, dict[str, str]] = {}

    def build(self, file: Path, name: str, arguments: dict[str, str]) -> None:
        """Take every step of the stages that the last one needs."""
        for stage in stages(file, arguments):
            root = self._folder / f"{name}-{stage.name}"
            shutil.copytree(self._roots.get(stage.base, self._root), root, symlinks=True)
            environment = dict(self._environments.get(stage.base, {}))
            for instruction, value in stage.steps:
                self._step(instruction, value, stage, root, environment)
            self._roots[stage.name] = self._roots[name] = root
            self._environments[stage.name] = self._environments[name] = environment

    def _step(self, instruction: str, value: str, stage: Stage, root: Path, environment: dict[str, str]) -> None:
        where = environment.get("WORKDIR", "/")
        if instruction == "COPY":
            self._copy_step(value, root, where)
        elif instruction == "RUN":
            self._enter(root, "0:0", ["sh", "-c", f"cd {where} && {value}"], {**stage.arguments, **environment})
        elif instruction == "ENV":
            environment.update(stage.environment(value, environment))
        elif instruction == "WORKDIR":
            environment["WORKDIR"] = value
            (root / value.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _copy_step(self, value: str, root: Path, where: str) -> None:
        words = value.split()
        origin = ROOT
        if words[0].startswith("--from="):
            origin = self._roots[words.pop(0).removeprefix("--from=")]
        *sources, target = words
        into = root / str(Path(where) / target).lstrip("/")
        for source in sources:
            path = origin / source.lstrip("/")
            if source == ".":
                for name in run("git", "-C", str(ROOT), "ls-files").splitlines():
                    copy = into / name
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, copy)
            elif path.is_dir():
                shutil.copytree(path, into, symlinks=True, dirs_exist_ok=True)
            else:
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, into / path.name if target.endswith("/") else into)

    def _enter(self, root: Path, user: str, words: list[str], environment: dict[str, str]) -> str:
        settings = [
            f"{key}={value}" for key, value in {"PATH": "/usr/bin:/bin", **environment}.items() if key != "WORKDIR"
        ]
        return run("chroot", f"--userspec={user}", root, "env", "-i", *settings, *words)

    def inside(self, name: str, user: str, *words: str) -> str:
        """Run a command in what was built."""
        return self._enter(self._roots[name], user, list(words), self._environments[name])


def findings(builder: Buildah | Chroot) -> Iterator[str]:
    """Yield what is wrong with the images that were built."""
    report = json.loads(builder.inside("agent", SOMEBODY, *TRIAL))
    if not report["frames"]["processed"]:
        yield "the agent has understood no frame in the image"
    writable = (
        "import os; print([p for p in ('/', '/opt/edge-agent/lib', '/etc', '/var/lib/edge-agent') if os.access(p, 2)])"
    )
    found = builder.inside("agent", SOMEBODY, "/opt/edge-agent/bin/python", "-c", writable).strip()
    if found != "['/var/lib/edge-agent']":
        yield f"a user without a name may write to {found}"
    if "edge-agent" not in builder.inside("device", "0:0", "/usr/bin/edge-agent", "--help"):
        yield "the device's program tells no help"
    unit = builder.inside("device", "0:0", "cat", "/usr/lib/systemd/system/edge-agent.service")
    if "ExecStart=/usr/bin/edge-agent" not in unit:
        yield "the device has no unit"
    if isinstance(builder, Buildah):
        settings = builder.settings("agent")
        if settings["User"] != "1001:0" or settings["Entrypoint"] != ["edge-agent"] or "Healthcheck" not in settings:
            yield f"user, entry point and health check are {settings}"


def main() -> int:
    """Build and try; return the exit code."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        stand_in.make(folder / "base" / "root")
        builder: Buildah | Chroot = (buildah := Buildah(folder))
        if "chroot" in sys.argv[1:] or not buildah.works(folder / "base" / "root"):
            if os.geteuid() != 0:
                print("images: buildah does not work here; install it, or run this as root", file=sys.stderr)
                return 1
            print("images: without buildah; the same steps are taken in a clean folder", file=sys.stderr)
            builder = Chroot(folder, folder / "base" / "root")
        builder.build(ROOT / "config/containers/Containerfile", "agent", CPU)
        builder.build(ROOT / "config/bootc/Containerfile", "device", DEVICE)
        wrong = list(findings(builder))
    for line in wrong:
        print(f"images: {line}", file=sys.stderr)
    if not wrong:
        print(f"images: both are built and tried ({type(builder).__name__.lower()})", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
