"""A page in a browser, and the errors that it reported."""

import os
import shutil
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, Playwright

TIMEOUT_MS = 30_000


async def launch(playwright: Playwright) -> Browser:
    """Start the system's Chromium; as root without its sandbox."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "Chromium is missing: install the package chromium"
    arguments = ["--disable-gpu", "--mute-audio", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    return await playwright.chromium.launch(executable_path=program, args=arguments)


@dataclass
class Viewer:
    """An open page; `errors` are those on its console, CSP violations among them."""

    page: Page
    expected: tuple[str, ...] = ()
    errors: list[str] = field(default_factory=list)

    @classmethod
    async def open(cls, browser: Browser, url: str, *, expected: tuple[str, ...] = (), **options: Any) -> "Viewer":
        """Open a page in a context of its own; errors that contain one of `expected` are ignored."""
        context = await browser.new_context(**({"viewport": {"width": 1600, "height": 900}} | options))
        context.set_default_timeout(TIMEOUT_MS)
        viewer = cls(await context.new_page(), expected)
        viewer.page.on("pageerror", lambda error: viewer.errors.append(str(error)))
        viewer.page.on("console", lambda line: viewer._note(line.type, line.text))
        await viewer.page.goto(url)
        return viewer

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and not any(known in text for known in self.expected):
            self.errors.append(text)

    async def close(self) -> None:
        await self.page.context.close()
        assert not self.errors, self.errors

    async def until(self, script: str, argument: Any = None) -> Any:
        """Wait until an expression in the page is true, and return it."""
        return await (await self.page.wait_for_function(script, arg=argument)).json_value()

    async def sees(self, selector: str, text: str) -> None:
        """Wait until an element contains a text."""
        await self.until("([s, t]) => document.querySelector(s)?.textContent.includes(t)", [selector, text])

    async def has(self, selector: str) -> None:
        """Wait until there is an element that matches."""
        await self.page.wait_for_selector(selector, state="attached")

    async def moves(self, selector: str) -> None:
        """Wait until the pixels of a canvas have changed three times."""
        await self.until(
            """(selector) => {
                const canvas = document.querySelector(selector);
                const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                let sum = 0;
                for (let index = 0; index < data.length; index += 97) sum = (sum * 31 + data[index]) % 1000003;
                const seen = (window.seenByTest ??= new Set());
                seen.add(sum);
                return seen.size > 3;
            }""",
            selector,
        )

    async def violations(self) -> list[str]:
        """Return the serious and critical violations that axe-core finds."""
        found = (await Axe().run(self.page)).response["violations"]
        return [
            f"{one['id']}: {one['help']}: {node['target']} {node['failureSummary']}"
            for one in found
            for node in one["nodes"]
            if one["impact"] in ("serious", "critical")
        ]
