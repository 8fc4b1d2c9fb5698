"""The site of examples/django_site, with views that tests hold and a proxy setting as deployment guides give it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

os.environ["DJANGO_SETTINGS_MODULE"] = "stable.settings"

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path

from tests.e2e.apps.robust import PATIENCE, hold

# Before the routes: they bring models, which Django must know of.
application = get_wsgi_application()
settings.ROOT_URLCONF = __name__
settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

PARTIES = 4
_barrier = threading.Barrier(PARTIES)


def drip(request: HttpRequest) -> StreamingHttpResponse:
    def pieces() -> Iterator[bytes]:
        yield b"first\n"
        hold("drip")
        yield b"last\n"

    return StreamingHttpResponse(pieces(), content_type="text/plain")


def meet(request: HttpRequest) -> HttpResponse:
    """Answer once PARTIES calls are here at the same time."""
    _barrier.wait(PATIENCE)
    return HttpResponse("met\n")


def tell(request: HttpRequest) -> JsonResponse:
    return JsonResponse(
        {
            "secure": request.is_secure(),
            "url": request.build_absolute_uri(),
            "client": request.META["REMOTE_ADDR"],
        }
    )


urlpatterns = [
    path("drip/", drip),
    path("meet/", meet),
    path("tell/", tell),
    path("", include("stable.urls")),
]
