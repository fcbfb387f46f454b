"""Render a data set into a folder, on all cores; a failure leaves nothing behind."""

import contextlib
import errno
import hashlib
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_agent import __version__
from edge_agent.errors import FatalError, UsageError
from edge_agent.mlops.synth import formats
from edge_agent.mlops.synth.labels import LabelledBox
from edge_agent.mlops.synth.options import SynthOptions
from edge_agent.mlops.synth.scene import SceneGenerator
from edge_agent.mlops.synth.textures import Image

GENERATOR = 3
"""Incremented whenever the same seed produces other pictures."""

_CHUNK = 8


@dataclass(frozen=True)
class _Rendered:
    """A rendered picture: its number, content and boxes."""

    index: int
    jpeg: bytes
    boxes: tuple[LabelledBox, ...]


@dataclass(frozen=True)
class Summary:
    """Contents of a data set: pictures in each split, boxes to learn and to ignore."""

    folder: Path
    pictures: dict[str, int]
    boxes: int
    ignored: int


def synthesise(
    options: SynthOptions, out: Path, *, jobs: int = 0, force: bool = False, tick: Callable[[], None] = lambda: None
) -> Summary:
    """Render a data set into `out`.

    Args:
        options: what to render.
        out: folder to create; an existing one must be empty, or an earlier data set that `force` replaces.
        jobs: number of processes; 0 for one per core.
        force: replace an existing data set.
        tick: called once for each finished picture.

    Raises:
        UsageError: a folder or an option that cannot be used.
        FatalError: a file could not be written, on a full disk say; nothing is left behind.
    """
    if jobs < 0:
        raise UsageError(f"--jobs is {jobs}", remedy="give 0 for all cores, or a number of processes")
    _check_output(out, force=force)
    generator = SceneGenerator(options)  # reports unusable folders here instead of in a worker
    partial = out.with_name(f"{out.name}.partial-{os.getpid()}")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        summary = _write(options, partial, out, _render(options, generator, jobs), tick)
        _swap(partial, out)
    except OSError as error:
        full = error.errno == errno.ENOSPC
        raise FatalError(
            f"could not write the data set to {out}: {error.strerror or error}",
            remedy="free some space or choose another folder" if full else "choose a folder that can be written",
            path=str(error.filename or out),
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return summary


def _check_output(out: Path, *, force: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file", remedy="give a folder for the data set", path=str(out))
    if not out.exists() or not any(out.iterdir()):
        return
    if not force:
        raise UsageError(
            f"{out} is not empty", remedy="choose another folder, or replace it with --force", path=str(out)
        )
    if not (out / "synth.json").is_file():
        raise UsageError(
            f"{out} is not empty and is not a data set made by this command",
            remedy="choose another folder: --force replaces only such data sets",
            path=str(out),
        )


def _swap(partial: Path, out: Path) -> None:
    """Move the finished folder into place, and only then delete an old one."""
    old = out.with_name(f"{out.name}.old-{os.getpid()}")
    if out.exists():
        out.replace(old)
    partial.replace(out)
    shutil.rmtree(old, ignore_errors=True)


def _rendered(generator: SceneGenerator, index: int) -> _Rendered:
    scene = generator.scene(index)
    done, data = cv2.imencode(".jpg", scene.image, [cv2.IMWRITE_JPEG_QUALITY, scene.jpeg_quality])
    if not done:
        raise FatalError(f"picture {index} could not be encoded", remedy="report this with the seed")
    return _Rendered(index, data.tobytes(), scene.boxes)


class _Worker:
    """A worker process's generator, created once by the pool's initialiser."""

    generator: SceneGenerator

    @classmethod
    def start(cls, options: SynthOptions) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
        cv2.setNumThreads(1)
        cls.generator = SceneGenerator(options)

    @classmethod
    def render(cls, index: int) -> _Rendered:
        return _rendered(cls.generator, index)


def _render(options: SynthOptions, generator: SceneGenerator, jobs: int) -> Iterator[_Rendered]:
    """Yield the pictures in order; the processes end with the iteration."""
    cv2.setNumThreads(1)  # the processes share the cores
    processes = min(jobs or os.cpu_count() or 1, -(-options.count // _CHUNK))
    if processes == 1:
        yield from (_rendered(generator, index) for index in range(options.count))
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, _Worker.start, (options,)) as pool:
        yield from pool.imap(_Worker.render, range(options.count), chunksize=_CHUNK)


def _write(
    options: SynthOptions, folder: Path, out: Path, pictures: Iterator[_Rendered], tick: Callable[[], None]
) -> Summary:
    for split in options.splits():
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
    (folder / "annotations").mkdir()
    entries: dict[str, list[formats.Entry]] = {split: [] for split in options.splits()}
    tiles: list[Image] = []
    with contextlib.closing(pictures):  # type: ignore[type-var]  # a generator has close()
        for picture in pictures:
            split = "val" if options.is_val(picture.index) else "train"
            entry = formats.Entry(picture.index, options.width, options.height, picture.boxes)
            (folder / "images" / split / f"{entry.stem}.jpg").write_bytes(picture.jpeg)
            (folder / "labels" / split / f"{entry.stem}.txt").write_text(formats.yolo(entry), encoding="utf-8")
            entries[split].append(entry)
            if len(tiles) < formats.MOST_TILES:
                tiles.append(_tile(picture))
            tick()
    _write_summaries(options, folder, entries, tiles)
    boxes = [box for split in entries.values() for entry in split for box in entry.boxes]
    ignored = sum(box.ignore for box in boxes)
    return Summary(out, {split: len(items) for split, items in entries.items()}, len(boxes) - ignored, ignored)


def _tile(picture: _Rendered) -> Image:
    decoded = np.asarray(cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR), dtype=np.uint8)
    return formats.annotate(decoded, picture.boxes)


def _write_summaries(
    options: SynthOptions, folder: Path, entries: dict[str, list[formats.Entry]], tiles: list[Image]
) -> None:
    description = f"toy road signs, synthetic, seed {options.seed}"
    for split, items in entries.items():
        formats.write_json(folder / "annotations" / f"{split}.json", formats.coco(items, description))
    (folder / "data.yaml").write_text(formats.data_yaml(options.splits()), encoding="utf-8")
    done, png = cv2.imencode(".png", formats.sheet(tiles))
    if done:
        (folder / "preview.png").write_bytes(png.tobytes())
    formats.write_json(folder / "synth.json", _record(options))


def _record(options: SynthOptions) -> dict[str, Any]:
    """Return the data set's provenance; without folder and processes, so that equal pictures have equal records."""
    return {
        "version": __version__,
        "generator": GENERATOR,
        "count": options.count,
        "seed": options.seed,
        "width": options.width,
        "height": options.height,
        "val_fraction": options.val_fraction,
        "negatives": options.negatives,
        "clutter": options.clutter,
        "artwork_sha256": _digest(options.artwork_dir),
        "backgrounds_sha256": _digest(options.backgrounds_dir),
        "command": _command(options),
    }


def _command(options: SynthOptions) -> str:
    words = ["edge-agent dataset synth", f"--count {options.count}", f"--seed {options.seed}"]
    words += [f"--width {options.width}", f"--height {options.height}"]
    words += [f"--val-fraction {options.val_fraction:g}", f"--negatives {options.negatives:g}"]
    words.append(f"--clutter {options.clutter:g}")
    if options.artwork_dir:
        words.append("--artwork DIR")
    if options.backgrounds_dir:
        words.append("--backgrounds DIR")
    return " ".join([*words, "--out DIR"])


def _digest(folder: Path | None) -> str | None:
    """Return a hash of the names and contents of a folder's files."""
    if folder is None:
        return None
    total = hashlib.sha256()
    for path in sorted(item for item in folder.iterdir() if item.is_file()):
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
