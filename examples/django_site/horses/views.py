"""Pages of the site."""

import hashlib
from collections.abc import Iterator

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods

from horses.models import Horse

MOST_LINES = 100_000


@require_GET
def list_horses(request: HttpRequest) -> HttpResponse:
    """Show the horses."""
    return render(request, "horses/list.html", {"horses": Horse.objects.all()})


@require_http_methods(["GET", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """Show a form; describe the file that comes back."""
    if request.method == "GET":
        return render(request, "horses/upload.html")
    file = request.FILES.get("file")
    if file is None:
        return JsonResponse({"error": "the form has no file"}, status=400)
    digest = hashlib.sha256()
    for block in file.chunks():
        digest.update(block)
    return JsonResponse({"name": file.name, "size": file.size, "sha256": digest.hexdigest()})


@require_GET
def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Send lines as they are made."""
    text = request.GET.get("lines", "10")
    count = min(int(text), MOST_LINES) if text.isdecimal() else 10

    def lines() -> Iterator[str]:
        yield from (f"line {number}\n" for number in range(1, count + 1))

    return StreamingHttpResponse(lines(), content_type="text/plain; charset=utf-8")


@require_GET
def crash(request: HttpRequest) -> HttpResponse:
    """Raise; Django answers 500 itself."""
    raise RuntimeError("the stable door was left open")
