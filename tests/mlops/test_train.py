"""The training loop: it learns, it can stop and resume, and it refuses what does not fit."""

import errno
import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from edge_agent.errors import ConfigError, FatalError, UsageError  # noqa: E402
from edge_agent.mlops import job, run_state  # noqa: E402
from edge_agent.mlops.augment import AugmentOptions  # noqa: E402
from edge_agent.mlops.coco import read_split  # noqa: E402
from edge_agent.mlops.job import TrainingJob  # noqa: E402
from edge_agent.mlops.network import Architecture, SignNet  # noqa: E402
from edge_agent.mlops.sampler import Sampler  # noqa: E402
from edge_agent.mlops.train import Progress, Trainer, TrainingSettings, rate_at  # noqa: E402

TINY = Architecture(widths=(8, 8, 16, 16, 16), depths=(1, 1, 1, 1), neck=(16, 16), head=16, bins=8)
SETTINGS = TrainingSettings(samples=48, batch=8, warm_up=8, report=16, judge=32, bf16=False)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def trainer(toy: Path, out: Path, settings: TrainingSettings = SETTINGS) -> Trainer:
    torch.manual_seed(settings.seed)
    sampler = Sampler((read_split(toy, "train"),), (1.0,), 64, 64, settings.seed)
    return Trainer(SignNet(TINY), sampler, settings, out, torch.device("cpu"))


def test_run_toy_set_loss_falls(toy: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(samples=320, batch=8, warm_up=16, report=80, rate=5e-3, bf16=False)
    torch.manual_seed(0)
    plain = AugmentOptions(mosaic=0, colour=0, grey=0, noise=0, blur=0, bars=0)
    sampler = Sampler((read_split(toy, "train"),), (1.0,), 64, 64, 0, plain)
    made = Trainer(SignNet(TINY), sampler, settings, tmp_path / "run", torch.device("cpu"))
    made.run()
    losses = [line.loss_score + line.loss_overlap + line.loss_side for line in made.lines]
    assert losses[-1] < 0.6 * losses[0]


def test_run_same_seed_gives_same_weights(toy: Path, tmp_path: Path) -> None:
    first, second = (trainer(toy, tmp_path / name).run().state_dict() for name in "ab")
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_run_bfloat16_stays_finite(toy: Path, tmp_path: Path) -> None:
    made = trainer(toy, tmp_path / "run", TrainingSettings(samples=32, batch=8, warm_up=8, report=32)).run()
    assert all(bool(value.isfinite().all()) for value in made.state_dict().values())


class InterruptedRunError(Exception):
    """Ends a run early."""


def test_resume_after_interruption_equals_uninterrupted_run(toy: Path, tmp_path: Path) -> None:
    whole = trainer(toy, tmp_path / "whole").run().state_dict()

    def interrupt(progress: Progress) -> None:
        if progress.samples == 16:
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        trainer(toy, tmp_path / "parts").run(report=interrupt)
    second = trainer(toy, tmp_path / "parts")
    second.resume()
    assert second.samples == 16
    parts = second.run().state_dict()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    assert [line.samples for line in second.lines] == [16, 32, 48]


def test_resume_other_architecture_names_file_and_difference(toy: Path, tmp_path: Path) -> None:
    trainer(toy, tmp_path / "run").save()
    other = trainer(toy, tmp_path / "run")
    other.net.arch = Architecture()
    with pytest.raises(ConfigError, match=r"last\.pt holds another architecture: .*bins 8 instead of 12"):
        other.resume()


def test_resume_other_seed_is_refused(toy: Path, tmp_path: Path) -> None:
    trainer(toy, tmp_path / "run").save()
    with pytest.raises(ConfigError, match="--seed"):
        trainer(toy, tmp_path / "run", TrainingSettings(samples=48, batch=8, seed=5, bf16=False)).resume()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_load_foreign_file_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"last\.pt"):
        run_state.load_checkpoint(path)


def test_run_disk_full_names_file_and_leaves_the_old_one(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    before = trainer(toy, out)
    before.save()
    kept = (out / "last.pt").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FatalError, match=r"last\.pt could not be written: No space left"):
        before.run()
    assert (out / "last.pt").read_bytes() == kept
    assert not list(out.glob(".*"))


def test_run_diverging_loss_is_reported(toy: Path, tmp_path: Path) -> None:
    made = trainer(toy, tmp_path / "run")
    with torch.no_grad():
        made.net.stem.conv.weight.fill_(float("nan"))
    with pytest.raises(FatalError, match="diverged"):
        made.run()


def test_rate_warms_up_holds_and_decays() -> None:
    settings = TrainingSettings(samples=1000, batch=10, warm_up=100, hold=0.5, rate=1.0)
    rates = [rate_at(settings, samples) for samples in (0, 50, 100, 500, 750, 1000)]
    assert rates == pytest.approx([1 / 11, 6 / 11, 1, 1, 0.505, 0.01])


def make_job(toy: Path, out: Path, **other: object) -> TrainingJob:
    values = {"folders": (toy,), "out": out, "settings": SETTINGS, "command": "test", "arch": TINY, "size": (64, 64)}
    return TrainingJob(**(values | other))  # type: ignore[arg-type]


@pytest.fixture
def _small_views(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "VIEW", (64, 64))


@pytest.mark.usefixtures("_small_views")
def test_job_writes_model_manifest_log_and_plot(toy: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    out = tmp_path / "run"
    model = job.run(make_job(toy, out), job.Hooks(progress=lambda one: seen.append(one.samples)))
    assert seen == [16, 32, 48]
    assert {path.name for path in out.iterdir()} == {"last.pt", "log.csv", "log.png", "signs.onnx", "signs.json"}
    assert model == out / "signs.onnx"
    rated = [line.samples for line in run_state.read_log(out / "log.csv") if line.ap50 is not None]
    assert rated == [32, 48]


@pytest.mark.usefixtures("_small_views")
def test_job_starts_from_an_exported_model_with_its_weights(toy: Path, tmp_path: Path) -> None:
    model = job.run(make_job(toy, tmp_path / "run"))
    kept = run_state.load_checkpoint(tmp_path / "run" / "last.pt").average
    for file in (model, tmp_path / "run" / "last.pt"):
        started = job.initial(make_job(toy, tmp_path / "again", init=file)).state_dict()
        assert all(torch.equal(kept[key], value) for key, value in started.items() if "num_batches" not in key)


@pytest.mark.usefixtures("_small_views")
def test_job_init_of_another_architecture_names_file(toy: Path, tmp_path: Path) -> None:
    model = job.run(make_job(toy, tmp_path / "run"))
    with pytest.raises(ConfigError, match=r"signs\.onnx holds another architecture"):
        job.run(make_job(toy, tmp_path / "again", init=model, arch=Architecture()))
    assert not (tmp_path / "again").exists()


def test_job_bad_data_leaves_nothing_behind(toy: Path, tmp_path: Path) -> None:
    (toy / "images" / "train" / "3.jpg").write_bytes(b"broken")
    with pytest.raises(ConfigError, match=r"3\.jpg"):
        job.run(make_job(toy, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_job_folder_with_a_run_requires_resume(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "last.pt").touch()
    with pytest.raises(UsageError, match="--resume"):
        job.run(make_job(toy, tmp_path))


@pytest.mark.parametrize("device", ["gpu", "cuda"])
def test_device_that_is_not_there_is_refused(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="--device"):
        job.pick_device(device)


def test_shares_finetune_draws_sets_evenly() -> None:
    sets = ([None] * 30, [None] * 10)
    assert job.shares_of(sets, finetune=True) == (0.5, 0.5)  # type: ignore[arg-type]
    assert job.shares_of(sets, finetune=False) == (0.75, 0.25)  # type: ignore[arg-type]
