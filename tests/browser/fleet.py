"""A fleet's console in this process, with simulated events of its trains."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr

from edge_agent.config import ConsoleSettings
from edge_agent.console.app import ConsoleApp
from edge_agent.console.routes import application, console_routes
from edge_agent.console.server import listen, serve
from edge_agent.events import CommandKind, Detection, GuardState
from edge_agent.perception.vision import CameraPicture
from tests.browser.dry_run import TOKEN
from tests.console.rig import Train, envelope
from tests.support import events as make
from tests.support.proxy import free_port

PERIOD_S = 0.2


@dataclass
class Fleet:
    """A console and its trains: those in `guards` send events all the time.

    `views` is what some of them see instead of noise; `behind_s` is how far their clocks are behind.
    """

    app: ConsoleApp
    trains: Train = field(default_factory=Train)
    guards: dict[str, GuardState] = field(default_factory=dict)
    views: dict[str, tuple[NDArray[np.uint8], tuple[Detection, ...]]] = field(default_factory=dict)
    troubled: set[str] = field(default_factory=set)
    behind_s: float = 0.0
    number: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.app.settings.port}/"

    async def run(self) -> None:
        while True:
            self.number += 1
            for index, train_id in enumerate(list(self.guards)):
                self.send_events(train_id, self.number * 10 + index)
            await asyncio.sleep(PERIOD_S)

    def send_events(self, train_id: str, number: int) -> None:
        """Send events of every kind for one train."""
        at_s = time.time() - self.behind_s - (make.UNIX_S - 0.25)  # the wall clock of the test events starts there
        frame, found = make.frame(number, at_s=at_s), (make.sighting(),)
        if train_id in self.views:
            image, found = self.views[train_id]
            frame = replace(frame, picture=CameraPicture(image))
        state = make.state(self.guards[train_id], at_s=at_s)
        power_percent = 60 if state.guard is GuardState.RUNNING else 0
        events = [frame, make.prediction(frame, *found), replace(state, power_percent=power_percent)]
        if self.number % 10 == 1:
            decision = make.decision(frame)
            events += [decision, make.command(decision)]
        elif self.number % 10 == 6:
            events.append(replace(make.command(make.decision(frame)), kind=CommandKind.DRIVE, power_percent=60))
        if self.guards[train_id] is GuardState.FAULT_LATCHED and train_id not in self.troubled:
            self.troubled.add(train_id)
            events.append(replace(make.fault(), remedy="<img src=x onerror=alert(1)> look at the cable"))
        for event in events:
            self.app.receive(envelope(event, train_id, number))


@contextlib.asynccontextmanager
async def fleet(**guards: GuardState) -> AsyncIterator[Fleet]:
    """Serve a console for the duration of the block; names of trains must not have hyphens."""
    app = ConsoleApp(ConsoleSettings(port=free_port(), token=SecretStr(TOKEN)), "fleet", budget_bytes=10_000_000)
    made = Fleet(app, guards=dict(guards))
    asgi = application(console_routes(app, made.trains))
    tasks = [asyncio.create_task(work) for work in (serve(asgi, listen(app.settings)), app.run(), made.run())]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
