"""Measure a detector by the decisions that it leads to, for `evaluate --approaches` and `engine promote`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edge_agent.cli.options import detector_at_working_point
from edge_agent.cli.output import progress_bar, show

if TYPE_CHECKING:
    from edge_agent.config import Settings
    from edge_agent.mlops.evaluate import DecisionReport

_COLUMNS = ("signs", "obeyed", "late", "never", "wrong", "twice", "wait_p50_s", "wait_p95_s")


def measure_decisions(folder: Path, settings: "Settings") -> "DecisionReport":
    """Play the films of a folder through the product's own path, with the detector of the settings; no motor."""
    from edge_agent.agent.build import MODELLED_INFERENCE_S, build_capture_parameters, build_tuning
    from edge_agent.config import load_rules
    from edge_agent.mlops.evaluate import PlaybackOptions, judge, play
    from edge_agent.mlops.films import read_films
    from edge_agent.perception.detector import open_fastest
    from edge_agent.perception.detector.trial import try_model

    films = read_films(folder)
    try_model(settings.detector.model)
    rules = load_rules(settings.policy.rules)
    settings = detector_at_working_point(settings, rules)
    options = PlaybackOptions(
        build_capture_parameters(settings),
        build_tuning(settings, rules),
        settings.capture.max_age_ms / 1000,
        MODELLED_INFERENCE_S,
    )
    with progress_bar() as progress:
        tick = partial(progress.advance, progress.add_task("films", total=len(films)))
        return judge(films, play(films, partial(open_fastest, settings.detector), options, tick))


def show_decisions(report: "DecisionReport", *, as_json: bool) -> None:
    """Print a report: a row for each sign and for all, then what was false."""
    rows: list[tuple[Any, ...]] = [("sign", *_COLUMNS)]
    rows += [(label, *(figures[column] for column in _COLUMNS)) for label, figures in report.rows().items()]
    show(report.as_json(), as_json, rows)
    if as_json:
        return
    if (interval := report.obeyed_interval()) is not None:
        typer.echo(f"obeyed in time: {interval[0]:.1%} to {interval[1]:.1%} (95% interval)")
    signless = sum(one.signless for one in report.false)
    typer.echo(
        f"false actions: {len(report.false)} in {report.hours:.2f} h ({_rate(report.false_an_hour())}), of which "
        f"{signless} in {report.signless_hours:.2f} h without any sign ({_rate(report.signless_false_an_hour())})"
    )
    for one in report.false:
        typer.echo(f"  {one.film}, picture {one.picture}: {one.label}")


def _rate(an_hour: float | None) -> str:
    return "-" if an_hour is None else f"{an_hour:.1f} an hour"
