"""A data set on disk: the same bytes from any number of processes, formats that agree, no partial files."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.errors import ConfigError, FatalError, UsageError
from edge_agent.mlops.synth.build import synthesise
from edge_agent.mlops.synth.options import SynthOptions
from edge_agent.signs import LABELS


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth") / "set"
    synthesise(SynthOptions(count=12, seed=4, val_fraction=0.2, clutter=0.5), out, jobs=1)
    return out


def test_two_processes_write_the_same_bytes_as_one(made: Path, tmp_path: Path) -> None:
    ticks: list[None] = []
    summary = synthesise(
        SynthOptions(count=12, seed=4, val_fraction=0.2, clutter=0.5),
        tmp_path / "set",
        jobs=2,
        tick=lambda: ticks.append(None),
    )
    assert _contents(tmp_path / "set") == _contents(made)
    assert len(ticks) == 12
    assert summary.pictures == {"train": 10, "val": 2}


def test_folder_holds_pictures_labels_and_what_made_them(made: Path) -> None:
    assert len(list((made / "images/train").glob("*.jpg"))) == 10
    assert len(list((made / "labels/val").glob("*.txt"))) == 2
    record = json.loads((made / "synth.json").read_text())
    assert (record["seed"], record["count"], record["version"]) == (4, 12, "0.1.0")
    assert "--seed 4" in record["command"]
    assert (record["clutter"], record["generator"]) == (0.5, 3)
    assert "--clutter 0.5" in record["command"]
    assert f"0: {LABELS[0]}" in (made / "data.yaml").read_text()
    preview = cv2.imread(str(made / "preview.png"))
    assert preview is not None
    assert preview.shape == (2 * 256, 6 * 320, 3)


def test_coco_and_yolo_agree(made: Path) -> None:
    for split in ("train", "val"):
        document = json.loads((made / f"annotations/{split}.json").read_text())
        assert [category["name"] for category in document["categories"]] == list(LABELS)
        assert [category["id"] for category in document["categories"]] == list(range(1, len(LABELS) + 1))
        for image in document["images"]:
            stem = Path(image["file_name"]).stem
            rows = [line.split() for line in (made / f"labels/{split}/{stem}.txt").read_text().splitlines()]
            wanted = [a for a in document["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]]
            assert len(rows) == len(wanted)
            for row, annotation in zip(rows, wanted, strict=True):
                assert int(row[0]) == annotation["category_id"] - 1
                x, y, wide, tall = (float(value) for value in row[1:])
                left, top = (x - wide / 2) * image["width"], (y - tall / 2) * image["height"]
                box = (left, top, wide * image["width"], tall * image["height"])
                assert box == pytest.approx(annotation["bbox"], abs=0.01)


def test_pictures_have_the_size_that_the_labels_say(made: Path) -> None:
    document = json.loads((made / "annotations/train.json").read_text())
    for image in document["images"]:
        picture = cv2.imread(str(made / "images/train" / image["file_name"]))
        assert picture is not None
        assert picture.shape == (image["height"], image["width"], 3)


def test_filled_folder_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    for force in (False, True):
        with pytest.raises(UsageError, match="not empty"):
            synthesise(SynthOptions(count=1), tmp_path, jobs=1, force=force)
    assert _contents(tmp_path) == {"mine.txt": b"keep me"}


def test_force_replaces_a_data_set_of_ours(tmp_path: Path) -> None:
    out = tmp_path / "set"
    synthesise(SynthOptions(count=2, seed=1), out, jobs=1)
    synthesise(SynthOptions(count=1, seed=2), out, jobs=1, force=True)
    assert json.loads((out / "synth.json").read_text())["seed"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_failure_half_way_leaves_nothing(tmp_path: Path, failure: BaseException) -> None:
    ticks: list[None] = []

    def tick() -> None:
        ticks.append(None)
        if len(ticks) == 2:
            raise failure

    with pytest.raises((KeyboardInterrupt, FatalError)) as raised:
        synthesise(SynthOptions(count=5), tmp_path / "set", jobs=1, tick=tick)
    assert not list(tmp_path.iterdir())
    if isinstance(failure, OSError):
        assert "space" in str(raised.value)


def test_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FatalError, match="could not write"):
        synthesise(SynthOptions(count=1), tmp_path / "file" / "set", jobs=1)
    with pytest.raises(UsageError, match="is a file"):
        synthesise(SynthOptions(count=1), tmp_path / "file", jobs=1)


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"count": 0}, "--count"),
        ({"seed": -1}, "--seed"),
        ({"width": 10}, "--width"),
        ({"height": 9000}, "--height"),
        ({"val_fraction": 1.0}, "--val-fraction"),
        ({"negatives": 1.5}, "--negatives"),
        ({"clutter": -0.1}, "--clutter"),
        ({"clutter": 1.1}, "--clutter"),
    ],
)
def test_option_out_of_range_is_named(change: dict[str, float], option: str) -> None:
    with pytest.raises(UsageError, match=option):
        SynthOptions(**{"count": 5, **change})  # type: ignore[arg-type]


def test_negative_number_of_processes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--jobs"):
        synthesise(SynthOptions(count=1), tmp_path / "set", jobs=-1)


def test_no_validation_share_writes_one_split(tmp_path: Path) -> None:
    summary = synthesise(SynthOptions(count=2, val_fraction=0), tmp_path / "set", jobs=1)
    assert summary.pictures == {"train": 2}
    assert not (tmp_path / "set/annotations/val.json").exists()


@pytest.mark.parametrize(("count", "fraction", "val"), [(100, 0.05, 5), (10, 0.05, 1), (2, 0.5, 1), (1, 0.5, 0)])
def test_validation_share_is_exact_and_never_empty_by_rounding(count: int, fraction: float, val: int) -> None:
    options = SynthOptions(count=count, val_fraction=fraction)
    assert sum(options.is_val(index) for index in range(count)) == val


def _png(path: Path, *, alpha: bool = True, seen: bool = True) -> None:
    picture = np.full((40, 40, 4 if alpha else 3), 255 if seen else 0, dtype=np.uint8)
    cv2.imwrite(str(path), picture)


def test_artwork_folder_replaces_the_drawn_sign(tmp_path: Path) -> None:
    art = tmp_path / "art"
    art.mkdir()
    _png(art / "stop__white.png")
    plain = synthesise(SynthOptions(count=3, seed=3), tmp_path / "plain", jobs=1)
    own = synthesise(SynthOptions(count=3, seed=3, artwork_dir=art), tmp_path / "own", jobs=1)
    assert _contents(plain.folder)["synth.json"] != _contents(own.folder)["synth.json"]
    assert json.loads((own.folder / "synth.json").read_text())["artwork_sha256"]


@pytest.mark.parametrize("bad", ["missing", "empty", "unlabelled", "broken", "opaque", "invisible", "zero"])
def test_unusable_artwork_folder_is_named_before_work_starts(tmp_path: Path, bad: str) -> None:
    art = tmp_path / "art"
    if bad != "missing":
        art.mkdir()
    path = art / "stop__mine.png"
    if bad == "unlabelled":
        _png(art / "yield__mine.png")
    elif bad == "broken":
        path.write_bytes(b"not a picture")
    elif bad == "zero":
        path.write_bytes(b"")
    elif bad in ("opaque", "invisible"):
        _png(path, alpha=bad != "opaque", seen=bad != "invisible")
    with pytest.raises(ConfigError if bad == "missing" else UsageError, match="art"):
        synthesise(SynthOptions(count=1, artwork_dir=art), tmp_path / "set", jobs=1)
    assert not (tmp_path / "set").exists()


def test_backgrounds_are_used(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "green.png"), np.full((300, 400, 3), (0, 255, 0), dtype=np.uint8))
    synthesise(SynthOptions(count=6, seed=1, negatives=1.0), tmp_path / "without", jobs=1)
    synthesise(SynthOptions(count=6, seed=1, negatives=1.0, backgrounds_dir=photos), tmp_path / "with", jobs=1)
    assert _contents(tmp_path / "without" / "images") != _contents(tmp_path / "with" / "images")


@pytest.mark.parametrize("bad", ["missing", "empty", "broken"])
def test_unusable_backgrounds_are_named(tmp_path: Path, bad: str) -> None:
    photos = tmp_path / "photos"
    if bad != "missing":
        photos.mkdir()
    if bad == "broken":
        (photos / "a.jpg").write_bytes(b"no jpeg")
    with pytest.raises(ConfigError if bad == "missing" else UsageError, match="photos"):
        synthesise(SynthOptions(count=1, backgrounds_dir=photos), tmp_path / "set", jobs=1)
