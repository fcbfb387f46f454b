"""What tasks rely on when they hand values to each other."""

import asyncio
from types import SimpleNamespace

from edge_agent.runtime.queues import MAX_WAITING_BYTES, Fanout, Latest, Tick, pace
from edge_agent.simulation.clock import run_virtual


async def test_latest_value_not_read_is_dropped_and_counted() -> None:
    slot: Latest[int] = Latest()
    for value in range(3):
        slot.put(value)
    assert await slot.get() == 2
    assert slot.dropped == 2


async def test_latest_reader_waits_for_the_next_value() -> None:
    slot: Latest[int] = Latest()
    reading = asyncio.create_task(slot.get())
    await asyncio.sleep(0)
    assert not reading.done()
    slot.put(7)
    assert await reading == 7
    second = asyncio.create_task(slot.get())
    await asyncio.sleep(0)
    assert not second.done(), "a value is given out once"
    second.cancel()


async def test_fanout_slow_observer_loses_its_oldest_values_and_others_none() -> None:
    fanout: Fanout[int] = Fanout()
    slow, quick = fanout.subscribe("slow", 2), fanout.subscribe("quick", 10)
    for value in range(5):
        fanout.publish(value)
    assert [await slow.get() for _ in range(len(slow))] == [3, 4]
    assert [await quick.get() for _ in range(len(quick))] == [0, 1, 2, 3, 4]
    assert fanout.dropped() == {"slow": 3, "quick": 0}


async def test_fanout_bounds_the_memory_of_what_waits_for_a_slow_observer() -> None:
    fanout: Fanout[SimpleNamespace] = Fanout()
    slow = fanout.subscribe("slow", 256)
    for index in range(6):
        fanout.publish(SimpleNamespace(index=index, nbytes=MAX_WAITING_BYTES // 4))
    assert [(await slow.get()).index for _ in range(len(slow))] == [2, 3, 4, 5]
    fanout.publish(SimpleNamespace(index=6, nbytes=2 * MAX_WAITING_BYTES))
    assert (await slow.get()).index == 6, "the newest value is kept whatever its size"
    assert fanout.dropped() == {"slow": 2}


async def test_fanout_unsubscribed_observer_gets_nothing_more() -> None:
    fanout: Fanout[int] = Fanout()
    gone = fanout.subscribe("gone", 2)
    fanout.unsubscribe(gone)
    fanout.publish(1)
    assert len(gone) == 0


def test_fanout_offers_only_what_a_subscription_takes() -> None:
    fanout: Fanout[object] = Fanout()
    words, numbers, everything = (
        fanout.subscribe("w", 9, (str,)),
        fanout.subscribe("n", 9, (int, float)),
        fanout.subscribe("e", 9),
    )
    for value in ("a", 1, 2.5, None):
        fanout.publish(value)
    assert [len(one) for one in (words, numbers, everything)] == [1, 2, 4]
    assert fanout.dropped() == {"w": 0, "n": 0, "e": 0}


def _ticks(count: int, period_s: float, work_s: dict[int, float]) -> list[Tick]:
    """Run `count` ticks on a virtual clock; tick n is followed by `work_s[n]` seconds of work."""

    async def main() -> list[Tick]:
        seen: list[Tick] = []
        async for tick in pace(period_s):
            seen.append(tick)
            if len(seen) == count:
                return seen
            await asyncio.sleep(work_s.get(tick.index, 0.0))
        return seen

    return run_virtual(main())


def test_pace_over_an_hour_does_not_drift() -> None:
    ticks = _ticks(36_000, 0.1, dict.fromkeys(range(0, 36000, 3), 0.07))
    assert abs(ticks[-1].due_s - 35_999 * 0.1) < 1e-6
    assert max(tick.late_s for tick in ticks) < 1e-6
    assert sum(tick.missed for tick in ticks) == 0


def test_pace_work_longer_than_a_period_skips_beats_instead_of_bursting() -> None:
    ticks = _ticks(5, 0.1, {1: 0.35})
    assert [tick.index for tick in ticks] == [0, 1, 4, 5, 6]
    assert [tick.missed for tick in ticks] == [0, 0, 2, 0, 0]
    assert 0.04 < ticks[2].late_s < 0.06
    assert ticks[3].late_s < 1e-6, "the beat is kept after a late tick"
