"""Videos as editors, phones and browsers write them, and spoilt or cut ones."""

from functools import partial
from pathlib import Path

from edge_agent.perception.camera import VideoReader
from tests.cases.case import Case


def plays(file: Path, *, count: int, lasts_s: float, note: str = "", damaged: bool = False) -> None:
    """Check the number of pictures, the last one's time, what is noted, and that each is shown at its time."""
    reader = VideoReader(file)
    reader.open()
    pictures = list(iter(reader.read, None))
    assert len(pictures) == count, f"{len(pictures)} pictures"
    assert abs(pictures[-1].time_s - lasts_s) < 0.1, f"{pictures[-1].time_s:.2f} s"
    assert reader.damaged == damaged, reader.notes
    assert (note in reader.notes[0]) if note else not reader.notes, reader.notes
    polled = VideoReader(file, fps=10)
    polled.open()
    for call, picture in enumerate(iter(polled.read, None)):
        newest = [one for one in pictures if one.time_s <= call / 10 + 0.0011][-1]
        assert picture.number == newest.number, f"picture {picture.number} at {call / 10} s"


CASES = (
    Case("video/trimmed.mp4", "75 pictures, whole", partial(plays, count=75, lasts_s=2.5)),
    Case("video/audio-longer.mkv", "90 pictures, whole", partial(plays, count=90, lasts_s=3.0)),
    Case("video/h264-copied.avi", "90 pictures in 3 s", partial(plays, count=90, lasts_s=3.0)),
    Case("video/variable-rate.mp4", "80 pictures in 5.83 s, each at its time", partial(plays, count=80, lasts_s=5.83)),
    Case("video/browser-recording.webm", "72 pictures in 2.8 s", partial(plays, count=72, lasts_s=2.8)),
    Case(
        "video/one-spoilt-picture.avi",
        "59 pictures, one noted as unreadable",
        partial(plays, count=59, lasts_s=4.0, note="1 of 60 pictures could not be read"),
    ),
    Case(
        "video/truly-cut.mp4",
        "told as cut short",
        partial(plays, count=54, lasts_s=1.8, note="cut short", damaged=True),
    ),
)
