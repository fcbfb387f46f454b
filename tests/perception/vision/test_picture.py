"""A picture is resized on first use, once, in the thread that uses it."""

import threading
from typing import Any

import numpy as np
import pytest

from edge_agent.perception.vision import ResizedPicture, letterbox, resize

IMAGE = np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def test_pixels_are_those_of_resizing_and_stay_the_same_array() -> None:
    fitted = ResizedPicture(IMAGE, 60, 40)
    np.testing.assert_array_equal(fitted.pixels(), resize(IMAGE, 60, 40))
    assert fitted.pixels() is fitted.pixels()
    assert ResizedPicture.of(IMAGE).pixels() is IMAGE


def test_pixels_are_made_once_however_many_threads_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    makers: list[str] = []
    go_on = threading.Event()

    def slowly(*how: Any) -> Any:
        makers.append(threading.current_thread().name)
        go_on.wait(30)
        return resize(*how)

    monkeypatch.setattr(letterbox, "resize", slowly)
    fitted = ResizedPicture(IMAGE, 60, 40)
    assert makers == []
    seen: list[Any] = []
    threads = [threading.Thread(target=lambda: seen.append(fitted.pixels()), name=f"t{n}") for n in range(3)]
    for thread in threads:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(makers) == 1
    assert makers[0] in {"t0", "t1", "t2"}
    assert all(one is seen[0] for one in seen)
