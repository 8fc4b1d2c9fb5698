"""Drives a real browser, headless Chromium, over its debugging pipe: no driver program, no port."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from tests.e2e.harness import PATIENCE

# Nothing of Chromium's own may reach for the network, and none of it needs a sandbox against our own page.
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--window-size=1200,900",
)


class BrowserError(AssertionError):
    """The browser did not do what a test waits for."""


class Browser:
    """A browser with one tab; use as a context manager.

    Messages are JSON objects, each ended by NUL, on descriptors 3 (to the browser) and 4 (from it).

    Args:
        program: the path of chromium.
        directory: where it keeps its profile.
        options: of its command line, beside `OPTIONS`.
    """

    def __init__(self, program: str, directory: Path, *options: str) -> None:
        self._last_id = 0
        self._buffer = b""
        self._events: list[dict[str, Any]] = []
        their_input, self._input = os.pipe()
        self._output, their_output = os.pipe()
        # The shell puts the descriptors in place: what is inherited has other numbers.
        script = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
        profile = f"--user-data-dir={directory}"
        command = [program, *OPTIONS, *options, profile, "--remote-debugging-pipe", "about:blank"]
        self._log = directory.with_suffix(".log").open("wb")
        self._process = subprocess.Popen(
            ["bash", "-c", script, "chromium", str(their_input), str(their_output), *command],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=(their_input, their_output),
        )
        os.close(their_input)
        os.close(their_output)
        self._session = ""

    def __enter__(self) -> Self:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Log.enable")
        self.call("Runtime.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._session = ""
        with contextlib.suppress(BrowserError, OSError):
            self.call("Browser.close")
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._input)
        os.close(self._output)
        self._log.close()

    def open(self, url: str) -> None:
        """Go to an address and wait until the page with all that it refers to has been loaded."""
        self.forget_events()
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise BrowserError(f"{url}: {answer['errorText']}")
        self.wait_for_event("Page.loadEventFired")

    def submit(self, fields: dict[str, str], button: str) -> None:
        """Fill in the page's form, click a button (a CSS selector), and wait for the page that follows."""
        for name, value in fields.items():
            self.evaluate(f"document.querySelector('[name={name}]').value = {json.dumps(value)}")
        self.forget_events()
        self.evaluate(f"document.querySelector({json.dumps(button)}).click()")
        self.wait_for_event("Page.loadEventFired")

    def forget_events(self) -> None:
        """Let `wait_for_event` see only what comes from now on."""
        self._events.clear()

    def evaluate(self, expression: str) -> Any:  # noqa: ANN401 (whatever the page's script gives)
        """Run a script in the page, wait for its promise if it gives one, and return the value."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise BrowserError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def text(self) -> str:
        """The page's text, as rendered."""
        return str(self.evaluate("document.body.innerText"))

    def complaints(self) -> list[str]:
        """What the browser has written to its console since the last page was asked for."""
        entries = [event["params"]["entry"] for event in self._events if event["method"] == "Log.entryAdded"]
        thrown = [event for event in self._events if event["method"] == "Runtime.exceptionThrown"]
        return [f"{entry['level']}: {entry['text']} ({entry.get('url', '')})" for entry in entries] + [
            json.dumps(event["params"]) for event in thrown
        ]

    def screenshot(self, path: Path) -> None:
        """Keep what the window shows as a PNG file."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its result."""
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._input, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while (answer := self._receive(deadline)).get("id") != self._last_id:
            self._events.append(answer)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def wait_for_event(self, method: str) -> None:
        """Wait until an event of that name has come since the last page was asked for, or `forget_events`."""
        deadline = time.monotonic() + PATIENCE
        while not any(event["method"] == method for event in self._events):
            self._events.append(self._receive(deadline))

    def _receive(self, deadline: float) -> dict[str, Any]:
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while b"\0" not in self._buffer:
                if not selector.select(max(0, deadline - time.monotonic())):
                    raise BrowserError(f"{PATIENCE:g} s went by without word from the browser")
                block = os.read(self._output, 65536)
                if not block:
                    raise BrowserError("the browser has ended")
                self._buffer += block
        message, _, self._buffer = self._buffer.partition(b"\0")
        decoded: dict[str, Any] = json.loads(message)
        return decoded
