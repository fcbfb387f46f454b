"""A browser that looks at a console: one page, and everything that went wrong on it."""

import os
import shutil
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, Playwright

PATIENCE_MS = 30_000


async def launch(playwright: Playwright) -> Browser:
    """Start the system's Chromium; root has no sandbox."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "Chromium is missing: install the package chromium"
    arguments = ["--disable-gpu", "--mute-audio", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    return await playwright.chromium.launch(executable_path=program, args=arguments)


@dataclass
class Viewer:
    """A page that was opened; `troubles` are the errors that the browser told, CSP violations among them."""

    page: Page
    expected: tuple[str, ...] = ()
    troubles: list[str] = field(default_factory=list)

    @classmethod
    async def open(cls, browser: Browser, url: str, *, expected: tuple[str, ...] = (), **options: Any) -> "Viewer":
        """Open a page in a context of its own; errors that contain one of `expected` are none."""
        context = await browser.new_context(**({"viewport": {"width": 1600, "height": 900}} | options))
        context.set_default_timeout(PATIENCE_MS)
        viewer = cls(await context.new_page(), expected)
        viewer.page.on("pageerror", lambda error: viewer.troubles.append(str(error)))
        viewer.page.on("console", lambda line: viewer._note(line.type, line.text))
        await viewer.page.goto(url)
        return viewer

    def _note(self, kind: str, text: str) -> None:
        if kind == "error" and not any(known in text for known in self.expected):
            self.troubles.append(text)

    async def close(self) -> None:
        await self.page.context.close()
        assert not self.troubles, self.troubles

    async def until(self, script: str, argument: Any = None) -> Any:
        """Wait until an expression in the page is true, and return it."""
        return await (await self.page.wait_for_function(script, arg=argument)).json_value()

    async def sees(self, selector: str, text: str) -> None:
        """Wait until an element shows a text."""
        await self.until("([s, t]) => document.querySelector(s)?.textContent.includes(t)", [selector, text])

    async def has(self, selector: str) -> None:
        """Wait until there is such an element."""
        await self.page.wait_for_selector(selector, state="attached")

    async def moves(self, selector: str) -> None:
        """Wait until the pixels of a canvas have changed three times."""
        await self.until(
            """(selector) => {
                const canvas = document.querySelector(selector);
                const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                let sum = 0;
                for (let place = 0; place < data.length; place += 97) sum = (sum * 31 + data[place]) % 1000003;
                const seen = (window.seenByTest ??= new Set());
                seen.add(sum);
                return seen.size > 3;
            }""",
            selector,
        )

    async def barriers(self) -> list[str]:
        """Return what axe-core finds that keeps people out, serious or worse."""
        found = (await Axe().run(self.page)).response["violations"]
        return [
            f"{one['id']}: {one['help']}: {node['target']} {node['failureSummary']}"
            for one in found
            for node in one["nodes"]
            if one["impact"] in ("serious", "critical")
        ]
