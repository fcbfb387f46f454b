"""Label Studio: pictures to tasks with pre-annotations, and its JSON export to a COCO data set.

The format is documented at https://labelstud.io/guide/tasks and /guide/predictions; boxes are in percent.
"""

import json
import math
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

from edge_agent.errors import ConfigError, FatalError
from edge_agent.events import Box, Detection
from edge_agent.mlops.coco import load_json, picture_size, read_picture_bytes
from edge_agent.runtime.files import write_atomic
from edge_agent.signs import CLASS_IDS, LABELS, Sign

_URL = "/data/local-files/?d="
"""Address under which Label Studio serves files of its local storage."""


def labelling_config() -> str:
    """Return the XML of the labelling interface: a rectangle tool with our labels in the order of their class ids."""
    labels = "\n".join(
        f"    <Label value={quoteattr(sign)} background={quoteattr(sign.facts.colour)}/>" for sign in Sign
    )
    return (
        '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
        f'  <RectangleLabels name="label" toName="image" canRotate="false">\n{labels}\n  </RectangleLabels>\n</View>\n'
    )


def task(
    picture: Path, width: int, height: int, detections: Sequence[Detection], *, model: str, prefix: str = ""
) -> dict[str, Any]:
    """Return one task: the picture's address, its file name (which an export keeps), and a model's detections."""
    result = [_rectangle(one, width, height) for one in detections if one.label in CLASS_IDS]
    made: dict[str, Any] = {"data": {"image": f"{_URL}{quote(prefix + picture.name)}", "file": picture.name}}
    if result:
        score = min(one.score for one in detections)
        made["predictions"] = [{"model_version": model, "score": score, "result": result}]
    return made


def _rectangle(detection: Detection, width: int, height: int) -> dict[str, Any]:
    """Return a detection as a rectangle in percent of the picture."""
    box = detection.box
    return {
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": detection.score,
        "value": {
            "x": box.x1 / width * 100,
            "y": box.y1 / height * 100,
            "width": box.width / width * 100,
            "height": box.height / height * 100,
            "rotation": 0,
            "rectanglelabels": [detection.label],
        },
    }


def write_tasks(out: Path, tasks: Iterable[dict[str, Any]]) -> tuple[Path, Path]:
    """Write `tasks.json` and `labelling.xml` into a folder and return their paths."""
    made = out / "tasks.json", out / "labelling.xml"
    write_atomic(made[0], (json.dumps(list(tasks), indent=1) + "\n").encode())
    write_atomic(made[1], labelling_config().encode())
    return made


def read_export(file: Path) -> list[tuple[str, list[Detection]]]:
    """Read Label Studio's JSON export: the file name of each finished task and its boxes in fractions of the picture.

    Tasks that were not annotated, or skipped, are left out, because their pictures need not be empty. Raises
    ConfigError naming file and task for broken JSON, another export format, unknown labels and boxes outside their
    picture.
    """
    raw = load_json(file)
    remedy = "export as JSON, not JSON-MIN or COCO"
    if not isinstance(raw, list):
        raise ConfigError(f"{file} is not a Label Studio export", remedy=remedy)
    entries = []
    for index, one in enumerate(raw):
        where = f"(task {one.get('id', index + 1) if isinstance(one, dict) else index + 1})"
        try:
            done = [each for each in one["annotations"] if not each.get("was_cancelled")]
            if done:
                newest = max(done, key=_changed)
                entries.append((_file_name(one["data"]), [box for part in newest["result"] for box in _boxes(part)]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{file} is not a Label Studio export {where}", remedy=remedy) from error
        except (ValueError, ArithmeticError) as error:
            raise ConfigError(f"{file} has {error} {where}", remedy="correct it and export again") from error
    return entries


def _changed(annotation: dict[str, Any]) -> tuple[datetime, int]:
    """Return when an annotation was last changed, and its id to decide between equal times."""
    text = annotation.get("updated_at") or annotation.get("created_at")
    time = datetime.fromisoformat(text) if text else datetime.min
    number = annotation.get("id")
    return time if time.tzinfo else time.replace(tzinfo=UTC), number if isinstance(number, int) else 0


def _file_name(data: dict[str, Any]) -> str:
    """Return the file name that `task` wrote, else the last part of the address, which is percent-encoded."""
    if data.get("file"):
        name = str(data["file"])
    else:
        address = str(data["image"])
        _, local, query = address.partition("?d=")
        path = urlsplit(address).path if "://" in address else address
        name = unquote(query.partition("&")[0] if local else path)
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _boxes(part: dict[str, Any]) -> list[Detection]:
    """Parse one rectangle; annotations of other tools are skipped. Raises ValueError with what is wrong with it."""
    value = part.get("value", {})
    if part.get("type") != "rectanglelabels" or not value.get("rectanglelabels"):
        return []
    label = str(value["rectanglelabels"][0])
    if label not in CLASS_IDS:
        raise ValueError(f"the unknown label {label!r}, not one of {', '.join(LABELS)}")
    if part.get("image_rotation"):
        raise ValueError(f"a picture turned by {part['image_rotation']} degrees; turn the file instead")
    x, y, width, height = (value[key] / 100 for key in ("x", "y", "width", "height"))
    left, top, right, bottom = x, y, x + width, y + height
    if turn := math.radians(value.get("rotation") or 0):
        # About the top-left corner, clockwise, in pixels: a box around the turned corners.
        aspect = part["original_width"] / part["original_height"]
        across = (width * math.cos(turn), width * aspect * math.sin(turn))
        down = (-height / aspect * math.sin(turn), height * math.cos(turn))
        left, right = x + min(0, across[0]) + min(0, down[0]), x + max(0, across[0]) + max(0, down[0])
        top, bottom = y + min(0, across[1]) + min(0, down[1]), y + max(0, across[1]) + max(0, down[1])
    box = Box(max(0.0, left), max(0.0, top), min(1.0, right), min(1.0, bottom))
    # Compared so that NaN is refused too.
    if not (width > 0 and height > 0 and box.x2 > box.x1 and box.y2 > box.y1):
        raise ValueError(f"a box of {label} outside its picture, or empty")
    return [Detection(label, 1.0, box)]


def to_coco(
    export: Path, pictures: Path, out: Path, *, labelled: Sequence[str] = LABELS, val_every: int = 5
) -> dict[str, int]:
    """Build a data set for `edge-agent train` and return the number of pictures in each split.

    `labelled` are the classes that were annotated: of others nothing is learnt, not even their absence. Every
    `val_every`-th picture (by name) goes to the validation split, unless it is the only one. Raises ConfigError naming
    a missing or broken picture, an unknown label or an existing `out`, FatalError naming a file that cannot be written;
    nothing is left behind then.
    """
    unknown = [label for label in labelled if label not in CLASS_IDS]
    if unknown:
        raise ConfigError(f"{unknown[0]!r} is not a label", remedy=f"known labels: {', '.join(LABELS)}")
    entries = sorted(read_export(export), key=lambda entry: entry[0])
    if not entries:
        raise ConfigError(f"{export} has no finished tasks", remedy="label pictures and export again")
    _check_pictures([name for name, _ in entries], pictures, export)
    chosen = [index % val_every == 0 and len(entries) > 1 for index in range(len(entries))]
    splits = {
        "train": [entry for entry, is_val in zip(entries, chosen, strict=True) if not is_val],
        "val": [entry for entry, is_val in zip(entries, chosen, strict=True) if is_val],
    }
    if out.exists():
        raise ConfigError(f"{out} exists already", remedy="choose another folder, or remove it")
    partial = out.with_name(f".{out.name}.partial")
    try:
        for split, part in splits.items():
            if not part:
                continue
            content = _coco(part, pictures, partial / "images" / split, labelled)
            write_atomic(partial / "annotations" / f"{split}.json", (json.dumps(content) + "\n").encode())
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return {split: len(part) for split, part in splits.items()}


def _check_pictures(names: Sequence[str], pictures: Path, export: Path) -> None:
    """Read every picture; raises ConfigError with a line for each that is missing, broken or listed twice."""
    problems = [f"{export} has two finished tasks for {name}" for name, count in Counter(names).items() if count > 1]
    for name in dict.fromkeys(names):
        try:
            read_picture_bytes(_source(pictures, name))
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))


def _source(pictures: Path, name: str) -> Path:
    """Return the path of a picture; an uploaded one may lie there without the prefix that Label Studio gave it."""
    plain = re.sub(r"^[0-9a-f]{8}-", "", name)
    return pictures / (plain if not (pictures / name).is_file() and (pictures / plain).is_file() else name)


def _coco(
    entries: Sequence[tuple[str, list[Detection]]], pictures: Path, images: Path, labelled: Sequence[str]
) -> dict[str, Any]:
    """Copy a split's pictures and return their COCO annotations."""
    categories = [{"id": CLASS_IDS[label], "name": label} for label in LABELS if label in labelled]
    made: dict[str, Any] = {"images": [], "annotations": [], "categories": categories}
    for name, boxes in entries:
        source = _source(pictures, name)
        width, height = picture_size(read_picture_bytes(source))
        _copy(source, images / name)
        image_id = len(made["images"]) + 1
        made["images"].append({"id": image_id, "file_name": name, "width": width, "height": height})
        for one in boxes:
            if one.label not in labelled:
                continue
            box = [one.box.x1 * width, one.box.y1 * height, one.box.width * width, one.box.height * height]
            row = {"id": len(made["annotations"]) + 1, "image_id": image_id, "category_id": CLASS_IDS[one.label]}
            made["annotations"].append(row | {"bbox": box, "area": box[2] * box[3], "iscrowd": 0})
    return made


def _copy(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise FatalError(f"{target} could not be written: {error.strerror}", remedy="free some space") from error
