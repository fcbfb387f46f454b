"""Fine-tuning on new pictures: every set that is trained on is rendered first, and a run that was stopped goes on."""

import itertools
from pathlib import Path

from tools.finetune import SHARES, SHIPPED, commands, comparisons


def test_train_reads_only_what_earlier_steps_have_written(tmp_path: Path) -> None:
    steps = commands(tmp_path, 24, 64, 3)
    (train,) = [words for _, words in steps if words[:2] == ["edge_agent", "train"]]
    sets = [Path(word) for before, word in itertools.pairwise(train) if before == "--data"]
    written = [path.parent for path, _ in steps[: steps.index((tmp_path / "run" / "signs.json", train))]]
    assert sets == written
    assert len(train[train.index("--shares") + 1].split(",")) == len(sets) == len(SHARES)
    assert train[train.index("--init") + 1] == str(SHIPPED)


def test_stopped_run_is_resumed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.pt").write_bytes(b"")
    (train,) = [words for _, words in commands(tmp_path, 24, 64, 3) if words[:2] == ["edge_agent", "train"]]
    assert "--resume" in train
    assert "--init" not in train


def test_nothing_is_compared_without_pictures(tmp_path: Path) -> None:
    assert comparisons(tmp_path / "new.onnx", None, None, None) == []
    assert comparisons(tmp_path / "new.onnx", tmp_path, None, None) == []
    ((*words,),) = comparisons(tmp_path / "new.onnx", None, None, tmp_path)
    assert words == [
        "edge_agent",
        "evaluate",
        "--approaches",
        str(tmp_path),
        "--compare",
        str(SHIPPED),
        str(tmp_path / "new.onnx"),
    ]
