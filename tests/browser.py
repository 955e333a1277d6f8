"""A real browser for tests: Debian's chromium without a window, spoken to over a pipe. No driver, no download."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
START = "import os,sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
    "--disable-extensions", "--disable-background-networking", "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE = 60.0  # seconds for one answer, on a busy machine


class Browser:
    """One tab. `errors` holds every error and warning of a page's console, and every request that leaves the page."""

    def __init__(self, home: Path) -> None:
        assert CHROMIUM is not None
        (to_read, to_write), (from_read, from_write) = os.pipe(), os.pipe()
        there = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (to_read, from_write)]  # clear of 3 and 4
        call = [sys.executable, "-c", START, *map(str, there), CHROMIUM, *FLAGS, f"--user-data-dir={home}"]
        self.process = subprocess.Popen(call, pass_fds=there, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (*there, to_read, from_write):
            os.close(fd)
        self.write, self.read = to_write, from_read
        self.numbers, self.buffer, self.session = itertools.count(1), b"", ""
        self.errors: list[str] = []
        self.events: list[tuple[str, dict[str, Any]]] = []  # since the page was opened
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        os.close(self.write)
        os.close(self.read)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self.numbers)
        session = {"sessionId": self.session} if self.session else {}
        os.write(self.write, json.dumps({"id": number, "method": method, "params": params, **session}).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def open(self, path: Path, width: int, height: int = 900, dark: bool = False, media: str = "") -> None:
        """Load a file at a width, and wait until it stands."""
        self.errors.clear()
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.call("Page.navigate", url=path.as_uri())
        self.wait("Page.loadEventFired")

    def wait(self, event: str, **params: Any) -> None:
        """Until an event with these parameters has come."""
        while not any(name == event and params.items() <= told.items() for name, told in self.events):
            self._next()

    def tell(self, expression: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self, to: Path, top: float = 0, height: float = 1500) -> None:
        """What a person sees, from `top` on, as a PNG file."""
        width = self.tell("innerWidth")
        clip = {"x": 0, "y": top, "width": width, "height": height, "scale": 1}
        found = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        to.write_bytes(base64.b64decode(found["data"]))

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read], [], [], max(0.0, until - time.monotonic()))
            assert ready, "chromium does not answer"
            some = os.read(self.read, 1 << 20)
            assert some, "chromium has ended"
            self.buffer += some
        text, _, self.buffer = self.buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            self._event(message["method"], message.get("params", {}))
        return message

    def _event(self, name: str, params: dict[str, Any]) -> None:
        self.events.append((name, params))
        if name == "Runtime.exceptionThrown" or (
            name == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert")
        ):
            self.errors.append(json.dumps(params)[:2000])
        if name == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])
        if name == "Network.requestWillBeSent" and not params["request"]["url"].startswith(("file:", "data:", "blob:")):
            self.errors.append(f"asked for {params['request']['url']}")
