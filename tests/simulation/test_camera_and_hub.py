import asyncio

import numpy as np
import pytest

from edge_agent.errors import RetryableError
from edge_agent.events import HubStatus
from edge_agent.ports import HubEvent, Shot
from edge_agent.simulation.camera import SimCamera
from edge_agent.simulation.clock import run_virtual
from edge_agent.simulation.hub import SimHub
from edge_agent.simulation.view import Optics
from edge_agent.simulation.world import World
from tests.simulation.driving import short_layout

SMALL = Optics(300, 200)


def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_motor_moves_the_camera():
    async def main() -> tuple[Shot, Shot, float]:
        world = World(short_layout(), optics=SMALL)
        async with SimCamera(world) as camera, SimHub(world) as hub:
            first = await camera.grab()
            await hub.drive(60)
            await asyncio.sleep(1)
            second = await camera.grab()
            assert first is not None
            assert second is not None
            return first, second, world.s_mm

    first, second, s_mm = run_virtual(main())
    assert s_mm > 160 + 200
    assert (first.serial, second.serial) == (0, 1)
    assert (first.taken_s, second.taken_s) == (0.0, 1.015)
    assert first.image.shape == (200, 300, 3)
    assert first.truth is not None
    assert second.truth is not None
    heights = [next(d.box.height for d in shot.truth or () if d.label == "speed_limit_30") for shot in (first, second)]
    assert heights[1] > heights[0]


def test_source_ends_a_moment_after_the_train_fell_and_pictures_are_the_same_each_run():
    async def main() -> tuple[int, float, int]:
        world = World(short_layout(), optics=SMALL)
        count, digest = 0, 0
        async with SimCamera(world, linger_s=0.5) as camera, SimHub(world) as hub:
            await hub.drive(100)
            while (shot := await camera.grab()) is not None:
                count += 1
                digest = hash((digest, shot.image.tobytes(), shot.truth))
                await asyncio.sleep(0.8)
        assert world.derailed
        return count, now_s(), digest

    first, second = run_virtual(main()), run_virtual(main())
    assert first == second
    assert first[0] > 7


def test_hub_brakes_first_and_last():
    async def main() -> list[tuple[float, str, int]]:
        world = World(short_layout())
        async with SimHub(world) as hub:
            await hub.drive(50)
            await hub.light(80)
            await hub.show("green")
        assert (hub.light_percent, hub.colour, hub.status().connected) == (80, "green", False)
        return hub.writes

    writes = run_virtual(main())
    assert [write[1:] for write in writes] == [
        ("brake", 0),
        ("drive", 50),
        ("light", 80),
        ("show", 0),
        ("brake", 0),
    ]
    assert writes[1][0] == pytest.approx(0.015)


def test_write_takes_effect_when_it_arrives():
    async def main() -> tuple[float, float]:
        world = World(short_layout())
        async with SimHub(world, write_s=0.5) as hub:
            write = asyncio.create_task(hub.drive(100))
            await asyncio.sleep(0.49)
            world.advance(now_s())
            before = world.s_mm
            await write
            await asyncio.sleep(0.3)
            world.advance(now_s())
            return before, world.s_mm

    before, after = run_virtual(main())
    assert before == 160
    assert after > 160


def test_lost_link_is_reported_refuses_writes_and_its_return_brakes_first():
    async def main() -> tuple[list[HubEvent], float, list[tuple[float, str, int]]]:
        world, message = World(short_layout()), []
        async with SimHub(world, reconnect_s=2.0) as hub:
            hub.subscribe(message.append)
            await hub.drive(60)
            await asyncio.sleep(1)
            hub.sim_disconnect()
            assert not hub.status().connected
            for write in (hub.drive(60), hub.brake(), hub.light(1)):
                with pytest.raises(RetryableError):
                    await write
            await asyncio.sleep(2.5)
            assert hub.status().connected
            return message, world.speed_mm_s, hub.writes

    message, speed, writes = run_virtual(main())
    assert [event.kind for event in message] == ["disconnected", "connected"]
    assert speed == 0
    assert writes[-2][1:] == ("brake", 0)
    assert writes[-2][0] == pytest.approx(3.015)


@pytest.mark.parametrize(("halts", "stands"), [(True, True), (False, False)])
def test_train_without_a_link_halts_or_runs_on_as_its_firmware_does(halts: bool, stands: bool):
    async def main() -> bool:
        world = World(short_layout())
        async with SimHub(world, halt_on_loss=halts) as hub:
            await hub.drive(60)
            await asyncio.sleep(1)
            hub.sim_disconnect()
            await asyncio.sleep(3)
            world.advance(now_s())
            return world.stopped

    assert run_virtual(main()) is stands


def test_link_lost_during_a_write_fails_that_write():
    async def main() -> None:
        async with SimHub(World(short_layout()), write_s=0.1) as hub:
            write = asyncio.create_task(hub.drive(60))
            await asyncio.sleep(0.05)
            hub.sim_disconnect()
            with pytest.raises(RetryableError):
                await write

    run_virtual(main())


def test_hanging_hub_fails_a_write_at_its_time_limit_and_moves_nothing():
    async def main() -> tuple[float, float]:
        world = World(short_layout())
        async with SimHub(world, time_limit_s=0.5) as hub:
            hub.sim_hang()
            with pytest.raises(RetryableError):
                await hub.drive(60)
            return now_s(), world.power_percent

    assert run_virtual(main()) == (0.5, 0)


def test_button_and_alerts_are_reported():
    async def main() -> list[HubEvent]:
        message: list[HubEvent] = []
        async with SimHub(World(short_layout())) as hub:
            hub.subscribe(message.append)
            hub.sim_press_button()
            hub.sim_raise_alert("high_current")
            assert hub.status().alerts == {"high_current"}
            hub.sim_clear_alerts()
            assert hub.status().alerts == frozenset()
        return message

    assert run_virtual(main()) == [HubEvent("button_pressed"), HubEvent("alert", "high_current")]


def test_weak_battery_shows_in_the_status():
    async def main() -> tuple[HubStatus, HubStatus]:
        world = World(short_layout(), battery_percent=4)
        async with SimHub(world) as hub:
            resting = hub.status()
            await hub.drive(100)
            await asyncio.sleep(0.1)
            world.advance(now_s())
            return resting, hub.status()

    resting, pulling = run_virtual(main())
    assert (resting.battery_percent, resting.alerts, pulling.alerts) == (4, frozenset(), {"low_voltage"})
    assert resting.voltage_mv is not None
    assert pulling.voltage_mv is not None
    assert pulling.voltage_mv < 5800 < 6000 < resting.voltage_mv < 6200


def test_picture_of_a_closed_camera_is_refused():
    async def main() -> None:
        camera = SimCamera(World(short_layout()))
        with pytest.raises(RuntimeError, match="not open"):
            await camera.grab()

    run_virtual(main())


def test_camera_works_on_an_ordinary_loop_too():
    async def main() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        async with SimCamera(World(short_layout(), optics=SMALL)) as camera:
            shot = await camera.grab()
        assert shot is not None
        return shot.image

    assert asyncio.run(main()).mean() > 5
