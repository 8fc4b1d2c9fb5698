"""`hostler top`: a live view of a server, with keys to reload, to scale and to look at stacks."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from hostler.cli.display import clean_line
from hostler.cli.instance import connect, parse_arguments
from hostler.cli.stacks import write_child
from hostler.cli.top_view import ORDERS, Picture, Sample, render, scroll
from hostler.cli.wait import read_duration
from hostler.control.client import ControlClient, UnreachableError
from hostler.errors import HostlerError
from hostler.system.clock import SystemClock
from hostler.system.environment import environment
from hostler.system.terminal import Screen, is_screen, open_screen

# Between the two samples of a single picture, seconds at most.
LONGEST_GLANCE = 1.0
# How wide a picture is that goes to a file or a pipe.
WIDE = 200
PAGE = 10


def execute(arguments: Sequence[str]) -> int:
    """Show a server until a key, or its end, ends it."""
    namespace = parse_arguments("top", arguments)
    interval = read_duration("--interval", namespace.interval)
    is_terminal = sys.stdout.isatty()
    with connect(namespace) as client:
        if namespace.once or not is_terminal:
            print_picture(client, None, min(interval, LONGEST_GLANCE))
        elif not is_screen(environment()):
            print_pictures(client, interval)
        else:
            show(namespace, client, interval)
    return 0


def take_sample(client: ControlClient) -> Sample:
    """Ask a server for all that is shown."""
    return Sample(client.get("/v1/status"), client.get("/v1/load"), client.get("/v1/requests"))


def print_picture(client: ControlClient, former: Sample | None, pause: float) -> Sample:
    """Print one picture of the time since `former`, or of a moment; return the sample that it ends with."""
    former = former or take_sample(client)
    threading.Event().wait(pause)
    latest = take_sample(client)
    print("\n".join(render(Picture(former, latest), WIDE)), flush=True)
    return latest


def print_pictures(client: ControlClient, interval: float) -> None:
    """Print a picture after each interval, for a terminal that only writes on."""
    former = None
    try:
        while True:
            former = print_picture(client, former, interval)
            print(flush=True)
    except UnreachableError:
        print("the server has ended", file=sys.stderr)


def show(namespace: argparse.Namespace, client: ControlClient, interval: float) -> None:
    """Show the picture on the whole terminal."""
    try:
        with open_screen() as screen:
            Top(screen, client, lambda: connect(namespace), interval).run()
    except UnreachableError:
        print("the server has ended", file=sys.stderr)


class Top:
    """The view, and what its keys do."""

    def __init__(
        self, screen: Screen, client: ControlClient, dial: Callable[[], ControlClient], interval: float
    ) -> None:
        """Begin.

        Args:
            screen: where to show it.
            client: the connection that samples come from.
            dial: makes another connection, for what takes long.
            interval: seconds between two samples.
        """
        self._screen = screen
        self._client = client
        self._dial = dial
        self._interval = interval
        self._clock = SystemClock()
        self._former: Sample | None = None
        self._latest = take_sample(client)
        self._order = 0
        self._shows_slowest = False
        self._message = ""
        self._message_until = 0.0
        self._keys: Mapping[str, Callable[[], None]] = {
            "r": self._reload,
            "+": lambda: self._scale(1),
            "=": lambda: self._scale(1),
            "-": lambda: self._scale(-1),
            "s": self._show_stacks,
            "o": self._change_order,
            "t": self._switch_requests,
        }

    def run(self) -> None:
        """Show until the key q."""
        due = self._clock.now() + min(self._interval, LONGEST_GLANCE)
        while True:
            self._draw()
            key = self._screen.wait_key(max(0.0, due - self._clock.now()))
            if key in ("q", "Q"):
                return
            if key is not None and key in self._keys:
                self._keys[key]()
            if self._clock.now() >= due:
                self._former, self._latest = self._latest, take_sample(self._client)
                due = self._clock.now() + self._interval

    def _draw(self) -> None:
        columns, rows = self._screen.size()
        message = self._message if self._clock.now() < self._message_until else ""
        picture = Picture(self._former, self._latest, ORDERS[self._order], message, self._shows_slowest)
        self._screen.show(render(picture, columns, rows))

    def _say(self, message: str) -> None:
        self._message, self._message_until = clean_line(message), self._clock.now() + 10.0

    def _change_order(self) -> None:
        self._order = (self._order + 1) % len(ORDERS)
        self._say(f"ordered by {ORDERS[self._order]}")

    def _switch_requests(self) -> None:
        self._shows_slowest = not self._shows_slowest

    def _scale(self, difference: int) -> None:
        with self._explaining():
            answer = self._client.post("/v1/scale", {"by": difference})
            self._say(f"{answer['workers']} workers are wanted now, {answer['former']} were before")

    def _reload(self) -> None:
        """Reload beside the view, which goes on; a reload may take as long as the application loads."""
        self._say("reloading ...")
        threading.Thread(target=self._reload_and_say, name="reload", daemon=True).start()

    def _reload_and_say(self) -> None:
        try:
            with self._dial() as client:
                client.post("/v1/reload", timeout=None)
        except HostlerError as error:
            # Where the server has ended, the view is about to find out, too.
            self._say(f"not reloaded: {error}")
        else:
            self._say("reloaded")

    @contextlib.contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except UnreachableError:
            raise
        except HostlerError as error:
            self._say(f"not done: {error}")

    def _show_stacks(self) -> None:
        with self._explaining():
            children = self._client.get("/v1/stacks")["children"]
            text = "\n\n".join(write_child(child) for child in children)
            self._page(text.splitlines())

    def _page(self, lines: Sequence[str]) -> None:
        """Show a text that may be longer than the terminal, until it is left."""
        first = 0
        while True:
            columns, rows = self._screen.size()
            picture, first = scroll(lines, first, columns, rows)
            self._screen.show(picture)
            key = self._screen.wait_key(60.0)
            if key in ("q", "Q", "escape", "s"):
                return
            first += {"up": -1, "down": 1, "page up": -PAGE, "page down": PAGE}.get(key or "", 0)
