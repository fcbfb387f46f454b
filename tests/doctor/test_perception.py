"""The checks of camera, detector and rules."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.config import Settings
from edge_agent.doctor.check import Check, CheckResult, Status, run_checks
from edge_agent.doctor.perception import check_camera, check_detector
from edge_agent.perception.vision import OutputLayout
from tests.perception.detector.models import outputs_for, save
from tests.support.streams import stream_server


def settings(**sections: dict[str, object]) -> Settings:
    return Settings.model_validate(sections, strict=False)


async def looked(found: Settings, *, detector: bool = False) -> CheckResult:
    """Run the check as the doctor does: what it raises becomes a result."""
    look = (lambda: check_detector(found)) if detector else (lambda: check_camera(found.capture))
    (result,) = await run_checks([Check("x", 30, look)])
    return result


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "signs.yaml"
    path.write_text("signs: {stop: {action: stop}}", encoding="utf-8")
    return path


def model(folder: Path, names: str, score: float = 0.9) -> Path:
    """Write a model that finds one sign: where the fourth sample picture has its stop sign."""
    found = outputs_for(OutputLayout.CHANNELS_LAST, [(22.8, 44.5, 38.3, 60.8, score, 0)], 1)
    return save(folder / "m.onnx", found, names=names)


async def test_simulated_camera_is_well() -> None:
    assert (await looked(settings())).status is Status.OK


async def test_folder_of_images_is_ok_and_shows_their_size(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((48, 64, 3), np.uint8))
    result = await looked(settings(capture={"source": str(tmp_path)}))
    assert result.status is Status.OK
    assert "gives 64x48" in result.message


async def test_stream_whose_lag_cannot_be_known_is_a_warning_with_a_remedy() -> None:
    with stream_server() as address:
        result = await looked(settings(capture={"source": f"{address}/steady"}))
    assert result.status is Status.WARN
    assert "96x64" in result.message
    assert "how late its pictures are cannot be known" in result.message
    assert "RTSP" in result.remedy


@pytest.mark.parametrize("source", ["/dev/video97", "nowhere.mp4", "."])
async def test_camera_that_cannot_be_opened_fails_with_a_remedy(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = await looked(settings(capture={"source": source, "open_timeout_s": 2.0}))
    assert result.status is Status.FAIL
    assert result.remedy


async def test_model_that_runs_and_knows_the_signs_is_well(tmp_path: Path, rules: Path) -> None:
    found = settings(detector={"model": model(tmp_path, "{0: 'stop'}")}, policy={"rules": rules}, capture={"fps": 0.1})
    result = await looked(found, detector=True)
    assert result.status is Status.OK
    assert "m.onnx on onnxruntime (sha256 " in result.message


async def test_model_that_does_not_know_a_sign_of_the_rules_fails(tmp_path: Path, rules: Path) -> None:
    found = settings(detector={"model": model(tmp_path, "{0: 'zebra'}")}, policy={"rules": rules})
    result = await looked(found, detector=True)
    assert result.status is Status.FAIL
    assert "signs.stop: the model does not know this sign" in result.message


async def test_model_that_finds_nothing_in_the_sample_pictures_warns(tmp_path: Path, rules: Path) -> None:
    found = settings(detector={"model": model(tmp_path, "{0: 'stop'}", 0.1)}, policy={"rules": rules})
    result = await looked(found, detector=True)
    assert result.status is Status.WARN
    assert "m.onnx finds none of the 6 signs of its labels in the sample pictures" in result.message


async def test_model_that_is_missing_fails_with_a_remedy(tmp_path: Path) -> None:
    result = await looked(settings(detector={"model": tmp_path / "none.onnx"}), detector=True)
    assert result.status is Status.FAIL
    assert "none.onnx" in result.message
    assert result.remedy


async def test_model_too_slow_for_the_frame_rate_warns(tmp_path: Path, rules: Path) -> None:
    found = settings(detector={"model": model(tmp_path, "{0: 'stop'}")}, policy={"rules": rules})
    hasty = found.model_copy(update={"capture": found.capture.model_copy(update={"fps": 1e9})})
    assert (await looked(hasty, detector=True)).status is Status.WARN


async def test_detector_that_is_off_warns() -> None:
    result = await looked(settings(detector={"backend": "none"}), detector=True)
    assert result.status is Status.WARN


async def test_rules_that_are_broken_fail(tmp_path: Path) -> None:
    (tmp_path / "signs.yaml").write_text("signs: {stop: {action: halt}}", encoding="utf-8")
    result = await looked(settings(policy={"rules": tmp_path / "signs.yaml"}), detector=True)
    assert result.status is Status.FAIL
    assert "signs.stop.action" in result.message
