"""Simulated rooms without signs as training pictures."""

from pathlib import Path

import numpy as np

from edge_agent.mlops.coco import read_split
from tools.room_pictures import write_rooms


def test_write_rooms_is_a_data_set_without_boxes_and_the_same_again(tmp_path: Path) -> None:
    for name in "ab":
        write_rooms(tmp_path / name, 2, seed=9)
    first, second = (read_split(tmp_path / name, "train") for name in "ab")
    assert [len(one.boxes) for one in first] == [0, 0]
    assert first[0].known.all()
    assert [one.data for one in first] == [one.data for one in second]
    assert not np.array_equal(first[0].decode(), first[1].decode())
