"""The pure parts of the bench: orders, histories, tables, what is kept. What runs in the machine: `make device`."""

from pathlib import Path

import pytest

from tests.device.cache import KEPT_OF_A_KIND, kept, key
from tests.device.history import drives_within, forbidden, last_drive_s
from tests.device.orders import ORDERS, Order, OrderError, parse
from tests.device.table import Row, from_json, merged, percentile, replaced, section, to_json

EXAMPLES = {"": "", "number": " 5", "word": " low_voltage", "switch": " 1"}


@pytest.mark.parametrize("name", ORDERS)
def test_every_order_is_read_with_its_kind_of_argument_and_no_other(name: str) -> None:
    kind = ORDERS[name][0]
    assert parse(name + EXAMPLES[kind]).name == name
    with pytest.raises(OrderError, match=f"^{name} takes "):
        parse(name if kind else f"{name} 5")


def test_an_order_has_its_argument() -> None:
    assert parse("loss 5") == Order("loss", 5.0)
    assert parse("alert low_voltage\n") == Order("alert", word="low_voltage")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "no order ''"),
        ("dance", "no order 'dance'"),
        ("loss much", "takes a number, not 'much'"),
        ("runs-on 2", "takes 0 or 1"),
    ],
)
def test_a_wrong_order_is_refused_with_the_reason(line: str, message: str) -> None:
    with pytest.raises(OrderError, match=message):
        parse(line)


HISTORY = [
    [1.0, "linked", 0],
    [2.0, "drive", 60],
    [2.5, "drive", 60],
    [3.0, "brake", 0],
    [4.0, "drive", 60],
    [4.5, "coast", 0],
]


def test_last_drive_counts_a_power_that_comes_late() -> None:
    assert last_drive_s(HISTORY[:4], 2.2) == 3.0
    assert last_drive_s(HISTORY, 2.2) == 4.5
    assert last_drive_s(HISTORY[:5], 2.2) == float("inf")


def test_motor_that_stood_before_the_fault_gives_its_moment() -> None:
    assert last_drive_s(HISTORY, 5.0) == 5.0
    assert last_drive_s([], 5.0) == 5.0


def test_drives_within_an_interval_counts_a_motor_that_was_driving_at_its_begin() -> None:
    assert drives_within(HISTORY, 2.7, 2.9) == [2.7]
    assert drives_within(HISTORY, 3.1, 3.9) == []
    assert drives_within(HISTORY, 3.1, 4.2) == [4.0]


def test_train_must_not_drive_from_a_while_after_running_until_running_again() -> None:
    states = [(0.0, "disarmed"), (10.0, "running"), (20.0, "link_lost"), (21.0, "disarmed"), (30.0, "running")]
    assert forbidden(states, 40.0) == [(0.8, 10.0), (20.8, 30.0)]
    assert forbidden(states[:4], 40.0) == [(0.8, 10.0), (20.8, 40.0)]
    assert forbidden([(1.0, "running"), (2.0, "stopping"), (2.5, "running")], 9.0) == []


def test_row_tells_the_late_ones_and_the_failed_ones_from_those_that_held() -> None:
    row = Row("Radio", "out", "brakes", 100, (50.0, 60.0, 170.0, None), ("it fell",))
    assert (row.runs, row.held) == (5, 3)
    assert row.cells() == ("out", "brakes", "100", "60", "170", "3/5")
    text = section("Radio", [row])
    assert "| out | brakes | 100 | 60 | 170 | 3/5 |" in text
    assert "- out: 1 of 5 late, the worst 170 ms" in text
    assert "- out: it fell (1 of 5)" in text


def test_row_without_times_and_bound_has_empty_cells() -> None:
    assert Row("Unit", "reload", "reads", None, (None,)).cells() == ("reload", "reads", "", "", "", "1/1")


def test_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 99) == 4.0
    assert percentile([7.0], 50) == 7.0


def test_runs_of_one_fault_come_together_and_survive_the_way_through_a_file() -> None:
    one = Row("Radio", "out", "brakes", 100, (50.0,))
    other = Row("Radio", "out", "brakes", 100, (), ("it fell",))
    camera = Row("Camera", "out", "brakes", None, (None,))
    together = merged([one, camera, other])
    assert together == (Row("Radio", "out", "brakes", 100, (50.0,), ("it fell",)), camera)
    assert from_json(to_json(together)) == together


def test_section_of_a_page_is_replaced_and_the_others_stay() -> None:
    page = "# Page\n\nText.\n\n## One\n\nold\n\n## Two\n\nstays\n"
    fresh = replaced(page, "One", "## One\n\nnew\n")
    assert fresh == "# Page\n\nText.\n\n## One\n\nnew\n\n## Two\n\nstays\n"
    assert replaced(fresh, "Three", "## Three\n\nmore\n").endswith("stays\n\n## Three\n\nmore\n")


def test_what_was_built_is_kept_and_built_anew_when_its_parts_change(tmp_path: Path) -> None:
    built = []

    def make(into: Path) -> None:
        built.append(into)
        (into / "file").write_text("made")

    first = kept("image", [b"a"], make, where=tmp_path)
    assert (first / "file").read_text() == "made"
    assert kept("image", [b"a"], make, where=tmp_path) == first
    assert kept("image", [b"b"], make, where=tmp_path) != first
    assert len(built) == 2
    assert key([b"ab", b"c"]) != key([b"a", b"bc"])


def test_what_failed_to_build_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(into: Path) -> None:
        (into / "half").write_text("")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        kept("image", [b"a"], fail, where=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f".image-{key([b'a'])}.lock"]


def test_only_the_newest_of_a_kind_are_kept(tmp_path: Path) -> None:
    folders = [kept("image", [bytes([n])], lambda into: None, where=tmp_path) for n in range(KEPT_OF_A_KIND + 2)]
    assert [path.exists() for path in folders][-1]
    assert len(list(tmp_path.glob("image-*"))) == KEPT_OF_A_KIND
