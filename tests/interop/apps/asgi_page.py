"""A page that listens to events and talks over a WebSocket, and shows what it got; no framework."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<link rel="icon" href="data:,">
<title>Stable talk</title>
<style>
  body { font: 18px/1.4 sans-serif; margin: 2em; }
  main { display: flex; gap: 2em; }
  section { flex: 1; border: 1px solid #888; border-radius: 8px; padding: 0 1em 1em; }
  li.told { color: #06c; } li.lost { color: #c00; }
</style>
<h1>Stable talk</h1>
<main>
  <section><h2>WebSocket</h2><ol id="talk"></ol></section>
  <section><h2>Events</h2><ol id="events"></ol></section>
</main>
<script>
  const note = (list, text, kind = "") => {
    const item = document.createElement("li");
    item.textContent = text;
    item.className = kind;
    document.getElementById(list).append(item);
  };
  let socket;
  const open = () => {
    socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/talk`, ["stable"]);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => note("talk", `open, protocol "${socket.protocol}", extensions "${socket.extensions}"`);
    socket.onmessage = event => note("talk",
      typeof event.data == "string" ? event.data : `${event.data.byteLength} bytes`, "told");
    socket.onclose = event => {
      note("talk", `closed, code ${event.code}, clean ${event.wasClean}`, "lost");
      if (event.code == 1012) setTimeout(open, 50);
    };
  };
  open();
  const events = new EventSource("/events");
  events.onmessage = event => note("events", `${event.lastEventId}: ${event.data}`, "told");
  events.onerror = () => note("events", "lost, trying again", "lost");
  const seen = list => [...document.querySelectorAll(`#${list} li`)].map(item => item.textContent);
  const until = (list, text) => new Promise((found, lost) => {
    const limit = setTimeout(() => lost(new Error(`no ${text} among ${seen(list)}`)), 20000);
    const look = () => {
      if (!seen(list).some(line => line.includes(text))) return;
      clearTimeout(limit);
      found(seen(list));
    };
    new MutationObserver(look).observe(document.getElementById(list), { childList: true });
    look();
  });
</script>
</html>
"""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the page and what it asks for."""
    if scope["type"] == "websocket":
        await talk(receive, send)
    elif scope["type"] == "lifespan":
        raise ValueError("no lifespan here")
    elif scope["path"] == "/events":
        await tell(scope, receive, send)
    else:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html; charset=utf-8")]}
        )
        await send({"type": "http.response.body", "body": PAGE})


async def talk(receive: Receive, send: Send) -> None:
    """Answer texts with themselves reversed, and bytes with twice as many."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "stable"})
    await send({"type": "websocket.send", "text": f"welcome to worker {os.getpid()}"})
    while (event := await receive())["type"] == "websocket.receive":
        if event.get("text") == "bye":
            await send({"type": "websocket.close", "code": 4001, "reason": "as you wish"})
            return
        if event.get("text") is not None:
            await send({"type": "websocket.send", "text": event["text"][::-1]})
        else:
            await send({"type": "websocket.send", "bytes": event["bytes"] * 2})


async def tell(scope: Scope, receive: Receive, send: Send) -> None:
    """Send three events, numbered on from the last that the client has seen, then wait for its end."""
    last = int(dict(scope["headers"]).get(b"last-event-id", b"0"))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for number in range(last + 1, last + 4):
        text = f"retry: 50\nid: {number}\ndata: from worker {os.getpid()}\n\n"
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        await asyncio.sleep(0.01)
    while (await receive())["type"] != "http.disconnect":
        pass
