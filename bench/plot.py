"""A record drawn as SVG: horizontal bars of processor time per request, one panel per main scenario."""

from __future__ import annotations

from html import escape

from bench.goal import cpu
from bench.report import format_figure, list_rows
from bench.result import Record
from bench.scenario import BY_NAME, Entry, Scenario
from bench.server import BY_KEY

PANELS = (
    *("plaintext-64", "plaintext-1", "post", "large", "sleep", "flask"),
    *("asgi-plaintext-64", "asgi-fastapi", "ws-echo-64", "ws-echo-16k"),
)
# Pixels. The panel is as wide as half of a README column on GitHub (about 900).
PANEL_WIDTH = 440
MARGIN = 20
LABEL_WIDTH = 164
VALUE_WIDTH = 56
BAR = 14
STEP = 20
TITLE = 34
HEAD = 62
COLUMNS = 2
HEADING = "Processor time per request or message, µs (less is better)"

STYLE = """
.ground{fill:#ffffff}.text{fill:#1f2328}.quiet{fill:#59636e}.peer{fill:#8c959f}.floor{fill:#c8cdd3}.hostler{fill:#0969da}
.range{stroke:#1f2328}
@media (prefers-color-scheme:dark){.ground{fill:#0d1117}.text{fill:#e6edf3}.quiet{fill:#9198a1}.peer{fill:#6e7681}
.floor{fill:#3d444d}.hostler{fill:#4493f8}.range{stroke:#e6edf3}}
text{font:12px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}.title{font-weight:600;font-size:13px}
.strong{font-weight:600}
.main{font-weight:600;font-size:16px}
"""


def render_plot(record: Record) -> str:
    """Render the main scenarios of a record; the drawing follows the reader's light or dark setting."""
    panels = [(BY_NAME[key], _rows(record, BY_NAME[key])) for key in PANELS]
    panels = [(scenario, rows) for scenario, rows in panels if rows]
    lines = [panels[start : start + COLUMNS] for start in range(0, len(panels), COLUMNS)]
    parts, top = [], HEAD
    for line in lines:
        for column, (scenario, rows) in enumerate(line):
            parts += _render_panel(record, scenario, rows, MARGIN + column * (PANEL_WIDTH + MARGIN), top)
        top += TITLE + STEP * max(len(rows) for _, rows in line) + MARGIN
    width = MARGIN + COLUMNS * (PANEL_WIDTH + MARGIN)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top}" role="img"',
            f'viewBox="0 0 {width} {top}">',
            f"<title>Processor time per request</title><style>{STYLE}</style>",
            f'<rect class="ground" width="{width}" height="{top}" rx="8"/>',
            f'<text class="text main" x="{MARGIN}" y="30">{HEADING}</text>',
            f'<text class="quiet" x="{MARGIN}" y="49">{escape(_subtitle(record))}</text>',
            *parts,
            "</svg>\n",
        ]
    )


def _subtitle(record: Record) -> str:
    processors = "; ".join(dict.fromkeys(run.machine["processor"] for run in record.runs))
    dates = ", ".join(dict.fromkeys(run.date[:10] for run in record.runs))
    return f"one worker each, median of the rounds with range; each panel has its own scale; {processors}; {dates}"


def _rows(record: Record, scenario: Scenario) -> list[Entry]:
    return [entry for entry in list_rows(record, scenario) if not entry.memory_only]


def _render_panel(record: Record, scenario: Scenario, rows: list[Entry], left: int, top: int) -> list[str]:
    spreads = [record.spread(scenario.key, entry.key, cpu) for entry in rows]
    greatest = max(spread.greatest for spread in spreads if spread)
    scale = (PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH) / greatest
    parts = [f'<text class="text title" x="{left}" y="{top + 20}">{escape(scenario.title)}</text>']
    start = left + LABEL_WIDTH
    for number, (entry, spread) in enumerate(zip(rows, spreads, strict=True)):
        if spread is None:
            continue
        y = top + TITLE + number * STEP
        end, least, most = (start + value * scale for value in (spread.median, spread.least, spread.greatest))
        role = BY_KEY[entry.server].role
        kind = "floor" if role == "alone" else role
        text = "text strong" if kind == "hostler" else "text"
        parts += [
            f'<text class="{text}" x="{start - 8}" y="{y + 11}" text-anchor="end">{escape(entry.title)}</text>',
            f'<rect class="{kind}" x="{start}" y="{y}" width="{max(1.0, end - start):.1f}" height="{BAR}" rx="2"/>',
            f'<path class="range" d="M{least:.1f} {y + BAR // 2}H{most:.1f}"/>',
            f'<text class="{text}" x="{most + 6:.1f}" y="{y + 11}">{format_figure(spread.median)}</text>',
        ]
    return parts
