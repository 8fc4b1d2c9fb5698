"""A small site in Django with Channels: views of both kinds beside a chat over WebSockets."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import AsyncIterator

import django
from channels.generic.websocket import (  # type: ignore[import-untyped]
    AsyncJsonWebsocketConsumer,
    WebsocketConsumer,
)
from channels.routing import ProtocolTypeRouter, URLRouter  # type: ignore[import-untyped]
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    DEBUG=False,
    SECRET_KEY="for the tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["channels"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    # 2.5 MB by default.
    DATA_UPLOAD_MAX_MEMORY_SIZE=64 * 1024 * 1024,
    # By default errors are mailed only.
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "loggers": {"django.request": {"handlers": ["console"]}},
    },
)
django.setup()


async def tell(request: HttpRequest) -> JsonResponse:
    await asyncio.sleep(0)
    return JsonResponse({"url": request.build_absolute_uri(), "client": request.META["REMOTE_ADDR"]})


def tell_sync(request: HttpRequest) -> JsonResponse:
    """A view of the old kind: Django runs it in a thread."""
    return JsonResponse({"main": threading.current_thread() is threading.main_thread()})


def digest(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"size": len(request.body), "sha256": hashlib.sha256(request.body).hexdigest()})


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> AsyncIterator[str]:
        for number in range(int(request.GET["lines"])):
            yield f"line {number}\n"
            await asyncio.sleep(0)

    return StreamingHttpResponse(pieces(), content_type="text/plain")


async def crash(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("the stable door was left open")


class Chat(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    """Each message goes to all members of the room, by way of the channel layer."""

    async def connect(self) -> None:
        self.room = self.scope["url_route"]["kwargs"]["room"]
        if self.room == "closed":
            await self.close()
            return
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()
        await self.send_json({"joined": self.room})

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.room, self.channel_name)
        await self.channel_layer.group_send(self.room, {"type": "chat.left", "code": code})

    async def receive_json(self, content: dict[str, str]) -> None:
        await self.channel_layer.group_send(self.room, {"type": "chat.message", "text": content["text"]})

    async def chat_message(self, event: dict[str, str]) -> None:
        await self.send_json({"text": event["text"]})

    async def chat_left(self, event: dict[str, int]) -> None:
        await self.send_json({"left": event["code"]})


class SyncEcho(WebsocketConsumer):  # type: ignore[misc]
    """A consumer of the synchronous kind, which runs in a thread."""

    def connect(self) -> None:
        self.accept("json" if "json" in self.scope["subprotocols"] else None)

    def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.send(text_data=json.dumps({"heard": text_data}))
        self.close(4001)


urlpatterns = [
    path("tell/", tell),
    path("tell-sync/", tell_sync),
    path("digest/", digest),
    path("stream/", stream),
    path("crash/", crash),
]

application = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("chat/<str:room>/", Chat.as_asgi()), path("echo/", SyncEcho.as_asgi())]),
    }
)
