"""The page that `hostler dev` shows in place of an application that failed: what was raised, and the source around it.

Everything that comes from the application is escaped; nothing is fetched, and values of variables are not shown, so
that a screenshot of the page is no leak of a password.
"""

from __future__ import annotations

import hashlib
import html
import importlib
import linecache
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

# How many lines of source are shown before and after the one that raised (arbitrary: a screen holds three frames).
CONTEXT = 4
# A recursion error has a thousand frames; the ends tell the story.
MOST_FRAMES = 40
# The header by which the page finds out that what serves its address now is another page.
TOKEN_HEADER = "X-Hostler-Error"  # noqa: S105 - names a header
_OWN_DIRECTORY = f"{Path(__file__).absolute().parent.parent}/"
_IMPORT_SYSTEM = ("<frozen importlib", importlib.__file__)

_STYLE = """
:root{color-scheme:light dark;--ink:#1d1d1f;--dim:#6b6b70;--paper:#fff;--card:#f5f5f7;--mark:#ffe3e0;--red:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#eee;--dim:#9a9aa0;--paper:#161618;--card:#222226;--mark:#4a211e;
--red:#ff8a80}}
body{margin:0;padding:2rem;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:auto}h1{font-size:1.4rem;color:var(--red);margin:.2rem 0;overflow-wrap:anywhere;
white-space:pre-wrap}
p{margin:.4rem 0}.dim{color:var(--dim)}section,details{margin:1rem 0;background:var(--card);border-radius:.5rem;
padding:.7rem 1rem}summary{cursor:pointer}pre{margin:.5rem 0 0;overflow-x:auto;font:13px/1.6 ui-monospace,monospace}
pre b{display:block;background:var(--mark);font-weight:inherit}h2{font-size:1rem;margin:1.5rem 0 0}
"""
_RELOAD = """
setInterval(async()=>{try{const r=await fetch(location.href,{method:"HEAD",cache:"no-store"});
if(r.headers.get("%(header)s")!=="%(token)s")location.reload()}catch(e){}},1000)
"""


@dataclass(frozen=True, slots=True)
class Spot:
    """One place in a traceback.

    Attributes:
        filename: the file.
        line: the line in it.
        function: the function, or empty for a syntax error.
        is_library: whether the file is installed rather than the project's own.
    """

    filename: str
    line: int
    function: str
    is_library: bool


def make_token(text: str) -> str:
    """Make the value of the header that tells one failure from another."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def render_page(title: str, error: BaseException | None, facts: Mapping[str, str], token: str = "") -> bytes:
    """Render a failure.

    Args:
        title: the one line that says what is wrong.
        error: the exception with its traceback, if there is one.
        facts: what else to tell, by name.
        token: when not empty, the page reloads itself once its address answers with another token or none.

    Returns:
        A whole HTML document in UTF-8.
    """
    lines = "".join(f'<p class="dim">{_escape(name)}: {_escape(value)}</p>' for name, value in facts.items())
    chain = "".join(_render_exception(one, relation) for one, relation in _follow_chain(error)) if error else ""
    script = f"<script>{_RELOAD % {'header': TOKEN_HEADER, 'token': token}}</script>" if token else ""
    waiting = '<p class="dim">This page reloads itself when the application loads again.</p>' if token else ""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<title>{_escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f'<p class="dim">hostler dev</p><h1>{_escape(title)}</h1>{lines}{waiting}{chain}'
        f"</main>{script}</body></html>\n"
    )
    return text.encode("utf-8", "replace")


def summarise(error: BaseException) -> str:
    """Give the line of a traceback that names the exception, even one that cannot be turned into text."""
    # Before it stands where a syntax error is, indented; behind it stand its notes (PEP 678).
    return next(line for line in traceback.format_exception_only(error) if not line.startswith(" ")).strip()


def _escape(text: str) -> str:
    return html.escape(text, quote=True)


def _follow_chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """List an exception and those behind it, the last raised first, each with its relation to the one before."""
    seen: set[int] = set()
    current: BaseException | None = error
    relation = ""
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current, relation
        if current.__cause__ is not None:
            current, relation = current.__cause__, "caused by"
        elif current.__suppress_context__:
            return
        else:
            current, relation = current.__context__, "while this was handled"


def _render_exception(error: BaseException, relation: str) -> str:
    spots = [*_list_spots(error.__traceback__), *_locate_syntax_error(error)]
    heading = f"<h2>{_escape(relation)} {_escape(summarise(error))}</h2>" if relation else ""
    heading += "".join(f"<p>{_escape(note)}</p>" for note in _list_notes(error))
    if len(spots) > MOST_FRAMES:
        left_out = f'<p class="dim">{len(spots) - MOST_FRAMES} frames left out</p>'
        half = MOST_FRAMES // 2
        return (
            heading
            + "".join(map(_render_spot, reversed(spots[-half:])))
            + left_out
            + "".join(map(_render_spot, reversed(spots[:half])))
        )
    return heading + "".join(map(_render_spot, reversed(spots)))


def _list_notes(error: BaseException) -> list[str]:
    """List what was added to an exception with `add_note`; it may have been set to anything (PEP 678)."""
    notes = getattr(error, "__notes__", None)
    return [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []


def _list_spots(tracebacks: TracebackType | None) -> Iterator[Spot]:
    """List the frames that are not Hostler's own or the import system's, outermost first."""
    for frame, line in traceback.walk_tb(tracebacks):
        code = frame.f_code
        if code.co_filename.startswith((_OWN_DIRECTORY, *_IMPORT_SYSTEM)):
            continue
        yield Spot(code.co_filename, line or 0, code.co_name, _is_library(code.co_filename))


def _locate_syntax_error(error: BaseException) -> Iterator[Spot]:
    if isinstance(error, SyntaxError) and error.filename:
        yield Spot(error.filename, error.lineno or 0, "", _is_library(error.filename))


def _is_library(filename: str) -> bool:
    return "site-packages" in filename or "dist-packages" in filename or filename == traceback.__file__


def _render_spot(spot: Spot) -> str:
    """Render one frame; the project's own are open, those of libraries closed."""
    where = f"{_escape(spot.filename)}:{spot.line}"
    function = f" in <code>{_escape(spot.function)}</code>" if spot.function else ""
    source = _render_source(spot)
    if spot.is_library:
        return f'<details><summary class="dim">{where}{function}</summary>{source}</details>'
    return f"<section>{where}{function}{source}</section>"


def _render_source(spot: Spot) -> str:
    linecache.checkcache(spot.filename)
    rows = []
    for number in range(max(1, spot.line - CONTEXT), spot.line + CONTEXT + 1):
        text = linecache.getline(spot.filename, number)
        if not text:
            continue
        row = f"{number:>5}  {_escape(text.rstrip())}"
        rows.append(f"<b>{row}\n</b>" if number == spot.line else f"{row}\n")
    return f"<pre>{''.join(rows)}</pre>" if rows else ""
