"""A headless Chromium for tests, driven by its DevTools protocol."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

Picture = npt.NDArray[np.uint8]

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_S = 60.0


class PageError(Exception):
    """The browser refused a call."""


class Page:
    """One page of a browser."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._number = 0
        self.errors: list[str] = []
        self.call("Runtime.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(_PATIENCE_S))
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(answer["params"]["exceptionDetails"]["text"])
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise PageError(answer["error"])
                return dict(answer["result"])

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def text(self) -> str:
        found = self.call("Runtime.evaluate", expression="document.body.innerText")
        return str(found["result"].get("value", ""))

    def screenshot(self) -> Picture:
        file = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))

    def wait_for(self, ready: Callable[[Picture], bool], timeout_s: float) -> Picture:
        """Take screenshots until one is as wanted; the last one at the time-out."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                picture = self.screenshot()
                if ready(picture) or time.monotonic() > deadline:
                    return picture
            except PageError:
                # While a page begins, it cannot be photographed.
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.5)


@contextmanager
def chromium_page(profile: Path) -> Iterator[Page]:
    """An empty page; the test is skipped where there is no Chromium or no websockets."""
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    client = pytest.importorskip("websockets.sync.client", reason="it comes with viser")
    command = [program, "--headless=new", "--no-sandbox", "--remote-debugging-port=0"]
    # Software rendering: test machines have no graphics card.
    command += ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--window-size=1280,800"]
    command += [f"--user-data-dir={profile}", "about:blank"]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = _page_address(profile)
        with client.connect(address, max_size=None, open_timeout=_PATIENCE_S) as connection:
            yield Page(connection)
    finally:
        browser.terminate()
        browser.wait(_PATIENCE_S)


def _page_address(profile: Path) -> str:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            port = (profile / "DevToolsActivePort").read_text().split()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
                pages = [tab for tab in json.load(answer) if tab["type"] == "page"]
            return str(pages[0]["webSocketDebuggerUrl"])
        except (OSError, IndexError):
            time.sleep(0.2)
    raise AssertionError("Chromium did not start")
