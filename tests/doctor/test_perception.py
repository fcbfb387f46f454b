"""The checks of camera, detector and rules."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.config import Settings
from edge_agent.doctor.check import Check, CheckResult, Status, run_checks
from edge_agent.doctor.perception import (
    TakenPictures,
    better_turn,
    check_camera,
    check_detector,
    check_picture,
)
from edge_agent.perception.camera.images import read_image
from edge_agent.perception.vision import OutputLayout, Turn
from edge_agent.runtime import resources
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


async def test_threshold_that_the_rules_overrule_warns_and_one_that_hides_a_sign_fails(
    tmp_path: Path, rules: Path
) -> None:
    found = {"model": model(tmp_path, "['stop']"), "threshold": 0.3}
    shown = await looked(settings(detector=found, policy={"rules": rules}), detector=True)
    assert (shown.status, "only shows more boxes" in shown.message) == (Status.WARN, True)
    hidden = await looked(settings(detector=found | {"threshold": 0.7}, policy={"rules": rules}), detector=True)
    assert (hidden.status, "counts less (min_score: stop 0.6)" in hidden.message) == (Status.FAIL, True)


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


def shown(folder: Path, *images: np.ndarray) -> Path:  # type: ignore[type-arg]
    """Write pictures into a folder, which then is the camera."""
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return folder


async def pictured(folder: Path, **capture: object) -> CheckResult:
    """Run the checks of camera and picture on a folder, as the doctor does; return the second's result."""
    found, taken = settings(capture={"source": str(folder), **capture}), TakenPictures()
    checks = [
        Check("a", 30, lambda: check_camera(found.capture, taken)),
        Check("b", 90, lambda: check_picture(found, taken)),
    ]
    return (await run_checks(checks))[1]


@pytest.fixture(scope="module")
def track() -> list[np.ndarray]:  # type: ignore[type-arg]
    """Drawn pictures with signs in view, (480, 640, 3) uint8 BGR."""
    found = [read_image(resources.engines_dir() / "samples" / f"{number}.jpg") for number in range(1, 4)]
    return [one[0] for one in found if one is not None]


async def test_upright_pictures_in_colour_are_well(tmp_path: Path, track: list[np.ndarray]) -> None:  # type: ignore[type-arg]
    result = await pictured(shown(tmp_path, *track))
    assert (result.status, result.message) == (Status.OK, "in colour and upright")


@pytest.mark.parametrize(("mounted", "remedy"), [(180, 180), (90, 270), (270, 90)])
async def test_camera_that_is_not_upright_is_told_with_the_setting_that_helps(
    mounted: int,
    remedy: int,
    tmp_path: Path,
    track: list[np.ndarray],  # type: ignore[type-arg]
) -> None:
    folder = shown(tmp_path, *(Turn(mounted).pixels(image) for image in track))
    assert (await pictured(folder)).remedy == f"set capture.rotate to {remedy}"
    assert (await pictured(folder, rotate=remedy)).status is Status.OK


async def test_setting_that_helps_is_right_behind_a_mirror_too(tmp_path: Path, track: list[np.ndarray]) -> None:  # type: ignore[type-arg]
    folder = shown(tmp_path, *(Turn(90).pixels(Turn(0, flip=True).pixels(image)) for image in track))
    assert (await pictured(folder, flip=True, rotate=0)).remedy == "set capture.rotate to 270"
    assert (await pictured(folder, flip=True, rotate=270)).status is Status.OK


@pytest.mark.parametrize(("rolled", "way"), [(30, "clockwise"), (-30, "anticlockwise")])
async def test_camera_that_is_rolled_is_told_with_the_way_to_turn_it(
    rolled: int,
    way: str,
    tmp_path: Path,
    track: list[np.ndarray],  # type: ignore[type-arg]
) -> None:
    """A picture that is turned clockwise comes from a camera that is turned anticlockwise."""
    matrix = cv2.getRotationMatrix2D((320, 240), -rolled, 1.0)
    folder = shown(tmp_path, *(cv2.warpAffine(image, matrix, (640, 480)) for image in track))
    result = await pictured(folder)
    assert result.status is Status.WARN
    assert result.remedy.startswith(f"turn the camera {way}, ")


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (1.0, 0.8, 0.95)])
async def test_pictures_without_colour_are_told(
    tint: tuple[float, float, float],
    tmp_path: Path,
    track: list[np.ndarray],  # type: ignore[type-arg]
) -> None:
    grey = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None] * np.array(tint) for image in track]
    assert "no colour" in (await pictured(shown(tmp_path, *(image.astype(np.uint8) for image in grey)))).message


async def test_dark_pictures_are_told(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 6, (480, 640, 3), np.uint8)
    assert "dark or shows nothing" in (await pictured(shown(tmp_path, noise))).message


async def test_view_without_a_sign_says_that_nothing_is_known(tmp_path: Path) -> None:
    ramp = np.zeros((480, 640, 3), np.uint8)
    ramp[..., 0] = np.linspace(0, 255, 640)
    result = await pictured(shown(tmp_path, ramp))
    assert (result.status, "no sign is in view" in result.message) == (Status.OK, True)


async def test_camera_without_pictures_leaves_nothing_to_look_at(tmp_path: Path) -> None:
    assert (await pictured(tmp_path / "nowhere")).status is Status.WARN


def test_one_false_sign_in_a_turned_picture_turns_nothing() -> None:
    """Painted over, 2 of 37 real pictures show one, of 0.61 and 0.65, in one of the turns."""
    nothing = dict.fromkeys((0, 90, 180, 270, -20, 20), 0.0)
    assert better_turn([nothing] * 5) == 0
    assert better_turn([{**nothing, 180: 0.65}] * 5) == 0
    assert better_turn([nothing] * 4 + [{**nothing, 180: 0.95}]) == 180
    assert better_turn([{**nothing, 0: 0.9, 180: 1.5}]) == 0
