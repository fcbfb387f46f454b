"""One Chromium and one dry run for all browser tests; each test opens its own pages."""

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from edge_agent.events import GuardState
from tests.browser.dry_run import TOKEN, DryRun
from tests.browser.fleet import Fleet, fleet
from tests.browser.viewer import Viewer, launch

Open = Callable[..., Coroutine[Any, Any, Viewer]]
Gather = Callable[..., Coroutine[Any, Any, Fleet]]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        program = await launch(playwright)
        yield program
        await program.close()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DryRun]:
    process = await DryRun.start(Path(tmp_path_factory.mktemp("dry-run")))
    yield process
    await process.end()


@pytest_asyncio.fixture(loop_scope="session")
async def gather() -> AsyncIterator[Gather]:
    """Return a function that starts a fleet's console with trains: names and guard states."""
    async with contextlib.AsyncExitStack() as stack:

        async def serve(**guards: GuardState) -> Fleet:
            return await stack.enter_async_context(fleet(**guards))

        yield serve


@pytest_asyncio.fixture(loop_scope="session")
async def show(browser: Browser, gather: Gather) -> AsyncIterator[Open]:
    """Return a function that opens a page; at the end, before a fleet is closed, none may have reported an error."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_page(url: str, *, token: str | None = TOKEN, **options: Any) -> Viewer:
            viewer = await Viewer.open(browser, f"{url}#token={token}" if token else url, **options)
            stack.push_async_callback(viewer.close)
            return viewer

        yield open_page
