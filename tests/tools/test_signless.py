"""Films without signs: the same again for the same seed, of a camera's size, and no sign left in frames."""

import json
from pathlib import Path

import av
import cv2
import numpy as np

from tools.signless import SIZE, Package, distinct, files_of, painted_over, pan, played, write_film

PHOTOGRAPH = np.random.default_rng(0).integers(0, 255, (300, 500, 3), dtype=np.uint8)


def test_pan_stays_inside_the_photograph_and_is_the_same_again() -> None:
    bright = np.maximum(PHOTOGRAPH, 60)
    once, again = (list(pan(bright, 5, np.random.default_rng(3))) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(once, again, strict=True))
    assert {view.shape for view in once} == {(SIZE[1], SIZE[0], 3)}
    assert min(int(view.min()) for view in once) >= 55  # nothing black from outside
    assert not np.array_equal(once[0], once[-1])


def test_film_is_played_at_ten_pictures_a_second_and_not_written_twice(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    assert write_film(path, pan(PHOTOGRAPH, 7, np.random.default_rng(1))) == 7
    before = path.read_bytes()
    assert write_film(path, iter(())) == 7
    assert path.read_bytes() == before
    assert sum(1 for _ in played(str(path))) == 7
    assert [one.name for one in tmp_path.iterdir()] == ["film.mp4"]


def test_faster_film_loses_pictures_not_seconds(tmp_path: Path) -> None:
    path = tmp_path / "fast.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(PHOTOGRAPH[:240, :320].copy(), format="bgr24")))
        container.mux(stream.encode())
    assert sum(1 for _ in played(str(path))) == 20


def test_painted_over_leaves_nothing_of_a_sign(tmp_path: Path) -> None:
    picture = np.full((200, 300, 3), 90, np.uint8)
    picture[80:110, 120:150] = (0, 200, 255)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    labels = tmp_path / "coco.json"
    labels.write_text(
        json.dumps(
            {"images": [{"id": 4, "file_name": "a.png"}], "annotations": [{"image_id": 4, "bbox": [120, 80, 30, 30]}]}
        )
    )
    ((path, cleaned),) = painted_over(tmp_path, [labels])
    assert path.name == "a.png"
    assert int(np.abs(cleaned.astype(int) - 90).max()) <= 6


def test_pictures_of_a_package_leave_out_masks_copies_and_icons(tmp_path: Path) -> None:
    folder = tmp_path / "share" / "photographs"
    folder.mkdir(parents=True)
    for name, picture in {
        "a.png": PHOTOGRAPH,
        "b.png": cv2.resize(PHOTOGRAPH, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST),
        "icon.png": PHOTOGRAPH[:40, :40],
        "mask.png": PHOTOGRAPH,
    }.items():
        cv2.imwrite(str(folder / name), picture)
    cv2.imwrite(str(tmp_path / "share" / "logo.png"), PHOTOGRAPH[::-1])
    package = Package("apt", "some-photographs", ("photographs",), without=("mask",))
    found = files_of(tmp_path, package, {".png"})
    assert [path.name for path in found] == ["a.png", "b.png", "icon.png"]
    assert [path.name for path, _ in distinct(found)] == ["a.png"]
