"""A picture is turned and resized on first use, once, in the thread that uses it."""

import threading
from typing import Any

import numpy as np
import pytest

from edge_agent.events import Box
from edge_agent.perception.vision import CameraPicture, Turn, fitted, picture, resize

IMAGE = np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def test_pixels_are_the_cameras_own_and_the_published_ones_resized() -> None:
    made = CameraPicture(IMAGE, (60, 40))
    assert made.pixels() is IMAGE
    np.testing.assert_array_equal(made.published(), resize(IMAGE, 60, 40))
    assert made.published() is made.published()
    assert CameraPicture(IMAGE).published() is IMAGE


def test_published_pixels_are_made_once_however_many_threads_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    makers: list[str] = []
    go_on = threading.Event()

    def slowly(*how: Any) -> Any:
        makers.append(threading.current_thread().name)
        go_on.wait(30)
        return resize(*how)

    monkeypatch.setattr(picture, "resize", slowly)
    made = CameraPicture(IMAGE, (60, 40))
    assert makers == []
    seen: list[Any] = []
    threads = [threading.Thread(target=lambda: seen.append(made.published()), name=f"t{n}") for n in range(3)]
    for thread in threads:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(makers) == 1
    assert makers[0] in {"t0", "t1", "t2"}
    assert all(one is seen[0] for one in seen)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", [False, True])
def test_turned_box_lies_where_the_turned_pixels_lie(*, rotate: int, flip: bool) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[5:9, 10:30] = 255
    turn = Turn(rotate, flip)
    made = CameraPicture(image, None, turn)
    rows, columns = np.nonzero(made.pixels()[..., 0])
    assert made.size == (made.pixels().shape[1], made.pixels().shape[0])
    box = turn.box(Box(10, 5, 30, 9), (64, 48))
    assert box == Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_rotation_is_clockwise_and_comes_before_the_mirror() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1).repeat(3, axis=2)
    assert CameraPicture(image, None, Turn(90)).pixels()[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]
    assert CameraPicture(image, None, Turn(90, flip=True)).pixels()[..., 0].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize(
    ("size", "room"),
    [
        ((600, 400), (600, 400)),
        ((640, 480), (533, 400)),
        ((1280, 720), (600, 338)),
        ((480, 640), (300, 400)),
        ((320, 240), (533, 400)),
        ((5000, 2), (600, 1)),
    ],
)
def test_fitted_size_has_the_shape_of_the_picture(size: tuple[int, int], room: tuple[int, int]) -> None:
    assert fitted(size, (600, 400)) == room
