"""Renders the guestbook's page."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from guestbook.served import Served
from guestbook.store import Entry

_TEMPLATE = Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))

# Largest first; what is below a minute is "just now".
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


def render_page(
    served: Served, entries: Sequence[Entry], total: int, problem: str = "", name: str = "", message: str = ""
) -> str:
    """Render the page.

    Args:
        served: what served the request.
        entries: the entries to show, newest first.
        total: how many entries there are.
        problem: why the form was refused; empty if it was not.
        name: what to put back into the form.
        message: what to put back into the form.
    """
    return _TEMPLATE.substitute(
        server=html.escape(served.server),
        facts="\n".join(_render_facts(served)),
        headers="\n".join(_render_header(*header) for header in served.headers),
        header_count=len(served.headers),
        entries="\n".join(map(_render_entry, entries)),
        total="1 entry" if total == 1 else f"{total} entries",
        problem=f'<p class="problem" role="alert">{html.escape(problem)}</p>' if problem else "",
        name=html.escape(name),
        message=html.escape(message),
    )


def describe_duration(seconds: float) -> str:
    """Say how long something lasts, in its largest unit: "2 hours"."""
    for size, unit in _UNITS:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    return f"{seconds:.0f} s"


def _render_facts(served: Served) -> Iterable[str]:
    facts = (
        ("Worker", f"process {served.worker}"),
        ("Thread", served.thread),
        ("Requests", f"{served.request_number} by this worker"),
        ("Up", describe_duration(served.worker_uptime)),
        ("Request id", served.request_id),
        ("Protocol", served.protocol),
        ("Client", served.client),
        ("Python", served.python),
    )
    for label, value in facts:
        yield f"<div><dt>{label}</dt><dd>{html.escape(value)}</dd></div>"


def _render_header(name: str, value: str) -> str:
    return f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"


def _render_entry(entry: Entry) -> str:
    age = (datetime.now(UTC) - entry.written_at).total_seconds()
    when = f"{describe_duration(age)} ago" if age >= 60 else "just now"
    stamp = entry.written_at.isoformat()
    return (
        f'<li><p class="message">{html.escape(entry.message)}</p>'
        f'<p class="signature">{html.escape(entry.name)} <time datetime="{stamp}">{when}</time></p></li>'
    )
