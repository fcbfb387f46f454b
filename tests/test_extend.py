"""docs/extend.md, followed to the letter on a copy of the code: what it promises is there afterwards."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECIPES = (ROOT / "docs/extend.md").read_text(encoding="utf-8")
_BLOCK = re.compile(
    r"^In `([^`]+)`, (?:(below|instead of) `([^`]+)`|as a new file):\n\n```\w+\n(.*?)```$", re.MULTILINE | re.DOTALL
)


def recipe(title: str) -> str:
    """Return the text under a heading."""
    return RECIPES.split(f"\n## {title}\n")[1].split("\n## ")[0]


def follow(text: str, checkout: Path) -> None:
    """Put each block of a recipe where it says."""
    blocks = _BLOCK.findall(text)
    assert len(blocks) == len(re.findall(r"^In `", text, re.MULTILINE)) > 0
    for name, where, line, code in blocks:
        file = checkout / name
        if not where:
            assert not file.exists()
            file.write_text(code, encoding="utf-8")
            continue
        before = file.read_text(encoding="utf-8")
        assert before.count(f"{line}\n") == 1, f"{name}: {line}"
        file.write_text(
            before.replace(f"{line}\n", code if where == "instead of" else f"{line}\n{code}"), encoding="utf-8"
        )


def run(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the copy's code."""
    return subprocess.run(
        [sys.executable, *words], cwd=checkout, capture_output=True, text=True, check=False, timeout=90
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Copy the code, so that it may be changed."""
    shutil.copytree(ROOT / "edge_agent", tmp_path / "edge_agent", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "engines").symlink_to(ROOT / "engines")
    return tmp_path


def test_sign_of_the_recipe_is_drawn_named_ruled_and_learnt(checkout: Path) -> None:
    follow(recipe("A sign"), checkout)
    drawn = run(checkout, "-m", "edge_agent", "dataset", "synth", "--count", "60", "--out", "set", "--jobs", "1")
    assert drawn.returncode == 0, drawn.stderr
    truth = json.loads(next((checkout / "set").rglob("*train*.json")).read_text(encoding="utf-8"))
    number = next(row["id"] for row in truth["categories"] if row["name"] == "yield")
    assert sum(row["category_id"] == number for row in truth["annotations"]) > 0
    checked = run(checkout, "-m", "edge_agent", "config", "check")
    assert "signs.yield: the model does not know this sign" in checked.stderr
    names = run(checkout, "-c", "from edge_agent.console.routes import signs_module; print(signs_module())")
    assert '"yield": {"en": "give way", "fr": "cédez le passage", "colour": "#f48fb1"}' in names.stdout
    rules = "from edge_agent.config import load_rules; print(load_rules().signs['yield'].action)"
    assert "slow" in run(checkout, "-c", rules).stdout


def test_network_has_a_class_for_the_sign_of_the_recipe(checkout: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    follow(recipe("A sign"), checkout)
    classes = run(checkout, "-c", "from edge_agent.mlops.network import Architecture; print(Architecture().classes)")
    assert classes.stdout.strip() == "10", classes.stderr


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        ("Sign.DANGER: SignFacts(0.22", "the shares of the signs add up to 1.05 instead of 1"),
        ('Sign.YIELD: SignFacts(0.05, "give way"', "nothing is said of yield"),
        ('"yield": plates.give_way', "no artwork shows yield"),
    ],
)
def test_step_of_the_recipe_that_is_left_out_is_named_at_import(checkout: Path, left_out: str, message: str) -> None:
    steps = re.split(r"^(?=In `)", recipe("A sign"), flags=re.MULTILINE)
    follow("".join(step for step in steps if left_out not in step), checkout)
    assert message in run(checkout, "-c", "import edge_agent.simulation.artwork").stderr


_DETECT = """
import numpy as np
from edge_agent.config.control import DetectorSettings
from edge_agent.perception.detector import open_detector, open_fastest

picture = np.zeros((480, 640, 3), np.uint8)
picture[100:130, 200:230, 2] = 220
for opened in (open_detector, open_fastest):
    detector = opened(DetectorSettings(backend="red"))
    print([(found.label, found.score, found.box) for found in detector.infer(picture)])
    detector.close()
"""


def test_detector_backend_of_the_recipe_is_opened_by_its_name_and_detects(checkout: Path) -> None:
    follow(recipe("A detector backend"), checkout)
    done = run(checkout, "-c", _DETECT)
    assert done.stdout.splitlines() == 2 * ["[('stop', 0.9, Box(x1=200.0, y1=100.0, x2=230.0, y2=130.0))]"], done.stderr
    rules = checkout / "stop-only.yaml"
    rules.write_text("signs: {stop: {action: stop, hold_s: 1, then: resume, near_height_px: 32}}\n", encoding="utf-8")
    words = "run --dry-run --no-realtime --duration 2 --detector red --config agent.yaml"
    (checkout / "agent.yaml").write_text("policy: {rules: stop-only.yaml}\n", encoding="utf-8")
    driven = run(checkout, "-m", "edge_agent", *words.split())
    assert driven.returncode == 0, driven.stderr
    assert "on red" in driven.stdout + driven.stderr


_PUBLISH = """
from edge_agent.config import MqttSettings
from edge_agent.events import Action, Decision
from edge_agent.observers.mqtt.messages import MqttMessageBuilder
from edge_agent.observers.mqtt.send_queue import EventEncoder, SendQueue
from edge_agent.runtime.queues import ThreadQueue

events, waiting = ThreadQueue(lambda: None, max_bulky=1), SendQueue(100)
builder = MqttMessageBuilder(MqttSettings(), "train-7")
encoder = EventEncoder(
    events, waiting, builder, train_id="train-7", first_sequence=1, image_wanted=lambda: False, compat=False
)
for sign in (None, "stop"):
    events.put(Decision("d", "f", 1.0, 0.9, Action.STOP, 0, sign, "because"))
encoder.drain()
while message := waiting.first():
    print(message.topic, message.retain, message.payload if message.topic.endswith("/sign") else "")
    waiting.acknowledge(message)
"""


def test_mqtt_topic_of_the_recipe_is_published_with_each_decision_that_has_a_sign(checkout: Path) -> None:
    follow(recipe("An MQTT topic"), checkout)
    done = run(checkout, "-c", _PUBLISH)
    assert [line for line in done.stdout.splitlines() if "/sign " in line] == [
        "edge-agent/train-7/sign True b'stop'"
    ], done.stderr
