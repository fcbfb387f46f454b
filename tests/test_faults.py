"""The fault reporter: once when a fault appears, again as its kind asks for, once when it is over."""

import pytest

from edge_agent.events import Fault, Severity
from edge_agent.faults import FaultKind, FaultReport, FaultReporter

COLD = FaultKind("cold", Severity.DEGRADED, "light a fire")
WET = FaultKind("wet", remedy="take an umbrella")


class Reports:
    """A reporter with a clock that the test sets, and what it has published."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.published: list[FaultReport] = []
        self.reporter = FaultReporter(self.published.append, lambda: self.now_s)

    @property
    def codes(self) -> list[tuple[str, bool]]:
        return [(report.code, report.active) for report in self.published]


@pytest.fixture
def reports() -> Reports:
    return Reports()


def test_fault_is_reported_once_while_it_lasts_and_once_when_it_is_over(reports: Reports) -> None:
    assert reports.reporter.report(COLD, "3 degrees")
    assert not reports.reporter.report(COLD, "2 degrees")
    assert reports.reporter.clear(COLD)
    assert not reports.reporter.clear(COLD)
    assert reports.published == [
        FaultReport("cold", "3 degrees", "light a fire", Severity.DEGRADED),
        FaultReport("cold", "over", "", Severity.DEGRADED, active=False),
    ]


def test_fault_that_comes_back_is_reported_again(reports: Reports) -> None:
    for _ in range(2):
        reports.reporter.report(COLD, "3 degrees")
        reports.reporter.clear(COLD)
    assert reports.codes == [("cold", True), ("cold", False)] * 2


def test_end_of_what_was_never_reported_is_not_published(reports: Reports) -> None:
    assert not reports.reporter.clear(COLD)
    assert reports.published == []


def test_caller_may_give_remedy_severity_and_the_words_of_the_end(reports: Reports) -> None:
    reports.reporter.report(COLD, "3 degrees", "wear a coat", severity=Severity.STOP)
    reports.reporter.clear(COLD, "spring has come")
    assert reports.published == [
        FaultReport("cold", "3 degrees", "wear a coat", Severity.STOP),
        FaultReport("cold", "spring has come", "", Severity.STOP, active=False),
    ]


def test_an_empty_remedy_is_a_remedy(reports: Reports) -> None:
    reports.reporter.report(COLD, "3 degrees", "")
    assert reports.published[0].remedy == ""


def test_faults_of_two_kinds_do_not_touch_each_other(reports: Reports) -> None:
    reports.reporter.report(COLD, "3 degrees")
    reports.reporter.report(WET, "rain")
    reports.reporter.clear(COLD)
    assert reports.codes == [("cold", True), ("wet", True), ("cold", False)]
    assert reports.reporter.since_s(WET) == 100.0
    assert reports.reporter.since_s(COLD) is None


def test_since_is_when_the_fault_was_first_noted(reports: Reports) -> None:
    reports.reporter.report(COLD, "3 degrees")
    reports.now_s += 7
    reports.reporter.report(COLD, "3 degrees")
    assert reports.reporter.since_s(COLD) == 100.0


@pytest.mark.parametrize(("seconds", "expected"), [(9.9, 1), (10.0, 2), (25.0, 2)])
def test_fault_is_repeated_when_its_period_has_passed(reports: Reports, seconds: float, expected: int) -> None:
    often = FaultKind("often", repeat_s=10.0)
    reports.reporter.report(often, "again")
    reports.now_s += seconds
    reports.reporter.report(often, "again")
    assert len(reports.published) == expected


def test_what_merely_happens_is_reported_each_time(reports: Reports) -> None:
    event = FaultKind("event", repeat_s=0.0)
    assert [reports.reporter.report(event, "again") for _ in range(3)] == [True] * 3


def test_fault_may_be_repeated_when_its_words_change(reports: Reports) -> None:
    stuck = FaultKind("stuck", repeat_changed=True)
    for message, remedy in (("full", ""), ("full", ""), ("read-only", ""), ("read-only", "remount it")):
        reports.reporter.report(stuck, message, remedy)
    assert [(report.message, report.remedy) for report in reports.published] == [
        ("full", ""),
        ("read-only", ""),
        ("read-only", "remount it"),
    ]


def test_fault_that_does_not_outlast_its_grace_is_never_reported(reports: Reports) -> None:
    away = FaultKind("away", grace_s=5.0)
    reports.reporter.report(away, "no answer")
    reports.now_s += 4.9
    assert not reports.reporter.report(away, "no answer")
    assert not reports.reporter.clear(away)
    reports.reporter.report(away, "no answer")
    reports.now_s += 5.0
    assert reports.reporter.report(away, "no answer")
    assert reports.codes == [("away", True)]
    assert reports.reporter.since_s(away) == 104.9


REFUSED = FaultKind("refused", group="link")
AWAY = FaultKind("away", group="link", grace_s=5.0)


def test_fault_of_a_group_takes_the_place_of_another(reports: Reports) -> None:
    reports.reporter.report(REFUSED, "no entry")
    reports.reporter.report(FaultKind("moved", group="link"), "elsewhere")
    reports.reporter.clear(AWAY)
    assert reports.codes == [("refused", True), ("refused", False), ("moved", True), ("moved", False)]


def test_grace_within_a_group_counts_from_its_first_fault(reports: Reports) -> None:
    reports.reporter.report(REFUSED, "no entry")
    reports.now_s += 4.0
    reports.reporter.report(AWAY, "no answer")
    assert reports.codes == [("refused", True)]
    reports.now_s += 1.0
    reports.reporter.report(AWAY, "no answer")
    assert reports.codes == [("refused", True), ("refused", False), ("away", True)]


def test_report_becomes_a_fault_with_the_time_of_the_loop() -> None:
    report = FaultReport("cold", "3 degrees", "light a fire", Severity.DEGRADED)
    assert report.at(7.0) == Fault("cold", "3 degrees", "light a fire", Severity.DEGRADED, 7.0)
