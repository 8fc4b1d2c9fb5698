"""A record turned into text: tables for the terminal, the page of the documentation, the summary of the README."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.errors import BenchError
from bench.goal import Verdict, judge
from bench.result import Measurement, Record, Run
from bench.scenario import BY_NAME, GROUPS, MAIN, MAIN_ASGI, SCENARIOS, Entry, Group, Scenario
from bench.server import BY_KEY, SERVERS
from bench.statistic import Spread

BEGIN = "<!-- benchmark:begin -->"
END = "<!-- benchmark:end -->"
NONE = "-"
# Longer reasons stand below their table.
SHORT_REASON = 20
SUMMARY_HEADINGS = ("server", "CPU µs/request", "ratio", "requests/s", "p99", "worker PSS")
Table = list[list[str]]


@dataclass(frozen=True, slots=True)
class Row:
    """One measured row of a scenario, for columns to take figures from."""

    record: Record
    scenario: Scenario
    entry: Entry

    def spread(self, name: str) -> Spread:
        """Give median and range of an attribute of its measurements."""
        found = self.record.spread(self.scenario.key, self.entry.key, lambda item: float(getattr(item, name)))
        assert found is not None  # only measured rows become rows
        return found

    def median(self, name: str) -> float:
        """Give the median of an attribute of its measurements."""
        return self.spread(name).median

    def ratio(self) -> Spread | None:
        """Divide the figure of the scenario by that of the row's base, round by round."""
        scenario, entry = self.scenario, self.entry
        return self.record.ratio(scenario.key, entry.key, entry.base, get_figure(scenario))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a scenario's table.

    Attributes:
        heading: its heading.
        build: writes the cell of a row.
        memory: whether it says something of a row of which only the memory is comparable.
        alone: whether it says something of an application without a server.
    """

    heading: str
    build: Callable[[Row], str]
    memory: bool = False
    alone: bool = False


def get_figure(scenario: Scenario) -> Callable[[Measurement], float]:
    """Give the function that reads the figure which rows of a scenario are compared in."""
    return lambda item: float(getattr(item, scenario.figure))


def format_time(microseconds: float) -> str:
    """Write a duration with three digits in the unit that suits it."""
    for limit, factor, unit in ((1e3, 1.0, "µs"), (1e6, 1e3, "ms")):
        if microseconds < limit:
            return f"{microseconds / factor:.3g} {unit}"
    return f"{microseconds / 1e6:.3g} s"


def format_figure(value: float) -> str:
    """Write a number with about three digits and no exponent."""
    decimals = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{decimals}f}"


def format_ratio(spread: Spread | None) -> str:
    """Write a ratio, or a dash where there is none."""
    return NONE if spread is None else f"{spread.median:.2f}"


def format_memory(size: float) -> str:
    """Write a number of bytes as mebibytes."""
    return f"{size / 2**20:.1f} MiB"


def format_range(spread: Spread) -> str:
    """Write the least and the greatest value."""
    return f"{format_figure(spread.least)}-{format_figure(spread.greatest)}"


def _scale(spread: Spread, factor: float) -> Spread:
    return Spread(spread.median * factor, spread.least * factor, spread.greatest * factor)


def build_columns(scenario: Scenario) -> list[Column]:
    """Choose the columns of a scenario's table."""
    memory = [
        Column("PSS", lambda row: format_memory(row.median("tree_pss")), memory=True),
        Column("worker PSS", lambda row: format_memory(row.median("worker_pss")), memory=True),
    ]
    name = Column("server", lambda row: row.entry.title, memory=True, alone=True)
    ratio = Column("ratio", lambda row: format_ratio(row.ratio()), alone=True)
    used = Column(f"CPU µs/{scenario.unit}", lambda row: format_figure(row.median("cpu_us")), alone=True)
    errors = Column("errors", lambda row: f"{row.spread('errors').greatest:.0f}")
    if scenario.figure == "connection_pss":
        return [
            name,
            Column("KiB/connection", lambda row: format_figure(row.median("connection_pss") / 1024)),
            Column("range", lambda row: format_range(_scale(row.spread("connection_pss"), 1 / 1024))),
            ratio,
            used,
            *memory,
            Column("permessage-deflate", lambda row: "agreed" if row.median("deflated") else "no"),
            errors,
        ]
    columns = [
        name,
        used,
        Column("range", lambda row: format_range(row.spread("cpu_us")), alone=True),
        ratio,
        Column(f"{scenario.unit}s/s", lambda row: f"{row.median('rate'):,.0f}", alone=True),
        Column("p50", lambda row: format_time(row.median("p50_us"))),
        Column("p99", lambda row: format_time(row.median("p99_us"))),
        *memory,
        errors,
    ]
    if scenario.ideal_rate:
        columns.append(Column("of the ideal", lambda row: f"{row.median('rate') / scenario.ideal_rate:.1%}"))
    return columns


def list_rows(record: Record, scenario: Scenario) -> list[Entry]:
    """Order the measured rows: by the scenario's figure, or as declared where rows of one server belong together."""
    figure = get_figure(scenario)
    rows = [entry for entry in scenario.entries if record.rounds(scenario.key, entry.key, figure)]
    if any(entry.label for entry in rows):
        return rows
    return sorted(rows, key=lambda entry: (entry.memory_only, Row(record, scenario, entry).median(scenario.figure)))


def build_table(record: Record, scenario: Scenario) -> Table:
    """Build the cells of one scenario, headings first."""
    columns = build_columns(scenario)
    table = [[column.heading for column in columns]]
    table.extend(_build_cells(Row(record, scenario, entry), columns) for entry in list_rows(record, scenario))
    for entry in scenario.entries:
        reason = record.failure(scenario.key, entry.key)
        if reason:
            text = f"n/a: {reason}" if len(reason) < SHORT_REASON else "failed"
            table.append([entry.title, text, *[NONE] * (len(columns) - 2)])
    return table


def _build_cells(row: Row, columns: list[Column]) -> list[str]:
    def is_shown(column: Column) -> bool:
        if row.entry.memory_only:
            return column.memory
        return column.alone or BY_KEY[row.entry.server].role != "alone"

    return [column.build(row) if is_shown(column) else NONE for column in columns]


def render_table(record: Record, scenario: Scenario) -> str:
    """Render one scenario for a terminal."""
    table = build_table(record, scenario)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = []
    for row in table:
        first, *others = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *others]).rstrip())
    return "\n".join(lines)


def render_markdown_table(table: Table) -> str:
    """Render cells as a Markdown table whose figures are aligned to the right."""
    headings, *rows = table
    rule = [":--", *["--:"] * (len(headings) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in [headings, rule, *rows])


def render_markdown(record: Record) -> str:
    """Render the page of the documentation."""
    parts = [
        "# Benchmarks",
        "Written by `make bench`; do not edit. The raw figures are in [benchmarks.json](benchmarks.json).",
        "![Processor time per request of each server](benchmarks.svg)",
        "## Goals",
        render_goals(judge(record)),
        "## Figures",
        _render_legend(),
        *(_render_group(record, group) for group in GROUPS if _list_measured(record, group)),
        "## Method",
        *(_render_run(run, alone=len(record.runs) == 1) for run in record.runs),
        _render_notes(record),
    ]
    return "\n\n".join(parts) + "\n"


def _list_measured(record: Record, group: Group) -> list[Scenario]:
    return [scenario for scenario in SCENARIOS if scenario.group == group and record.run_of(scenario.key)]


def _render_group(record: Record, group: Group) -> str:
    scenarios = (_render_scenario(record, scenario) for scenario in _list_measured(record, group))
    return "\n\n".join([f"### {GROUPS[group]}", *scenarios])


def render_goals(verdicts: list[Verdict]) -> str:
    """Render the goals as a table: limit, value, range, outcome."""
    table = [["goal", "limit", "measured", "range", "against", "outcome"]]
    for verdict in verdicts:
        sign = "≥" if verdict.goal.at_least else "≤"
        row = [verdict.goal.text, f"{sign} {verdict.goal.limit:.2f}"]
        if verdict.value is None:
            row += [NONE, NONE, NONE]
        else:
            spread = verdict.value.spread
            row += [f"{spread.median:.3f}", f"{spread.least:.3f}-{spread.greatest:.3f}", verdict.value.against]
        table.append([*row, verdict.word])
    return render_markdown_table(table)


def _render_legend() -> str:
    return (
        "*CPU µs/request* is the user and system time of all processes of the server, divided by the requests that "
        "were answered (for WebSocket: by the messages that came back, or the connections that were opened); *range* "
        "its least and greatest value over the rounds. *Ratio* divides it by that of Hostler (under ASGI: with uvloop) "
        "in the same round (where rows of one server are compared: by that of its first row), and is the median of the "
        "rounds. The other columns are medians; *errors* is the worst round. *PSS* is the memory of all processes of "
        "the server at the end, *worker PSS* that of the process which did the work. *KiB/connection* is what the "
        "latter grew by from 8 connections before, already closed, divided by the connections; there, *range* and "
        "*ratio* are of this figure. What the kernel holds for a socket is not in it."
    )


def _render_scenario(record: Record, scenario: Scenario) -> str:
    failed = [
        f"- {entry.title}: {record.failure(scenario.key, entry.key)}"
        for entry in scenario.entries
        if len(record.failure(scenario.key, entry.key)) >= SHORT_REASON
    ]
    parts = [
        f"#### {scenario.title}",
        f"{scenario.about} {_render_origin(record, scenario)}",
        render_markdown_table(build_table(record, scenario)),
    ]
    return "\n\n".join(parts + (["\n".join(failed)] if failed else []))


def _render_origin(record: Record, scenario: Scenario) -> str:
    """Say when a scenario was measured, and with which version: not all need be of the same run."""
    run = record.run_of(scenario.key)
    assert run is not None  # only measured scenarios are rendered
    return f"*Measured {run.date}, Hostler {run.versions.get('hostler', 'unknown')}.*"


def _render_run(run: Run, *, alone: bool) -> str:
    """Describe one run; where there are several, with the scenarios that are its."""
    method, machine = run.method, run.machine
    worst = max((item.foreign_share for item in run.measurements), default=0.0)
    mean = sum(item.foreign_share for item in run.measurements) / max(1, len(run.measurements))
    rounds = f"{method.rounds} round{'s' if method.rounds > 1 else ''}"
    versions = ", ".join(f"{name} {version}" for name, version in sorted(run.versions.items()))
    scenarios = [scenario for scenario in SCENARIOS if scenario.key in run.scenarios()]
    longer = ", ".join(f"{item.key} {item.least_seconds} s at least" for item in scenarios if item.least_seconds)
    text = f"""\
- Date: {run.date}. Machine: {machine["processor"]}, {machine["memory"]}; {machine["system"]}; {machine["python"]};
  load average {machine["load"]}.
- Versions: {versions}.
- Each server runs one worker on processor {method.server_cpu}, the load one thread on processor {method.load_cpu}, over
  loopback. One thread for the application where a scenario asks for no more.
- {rounds}; within a round the servers take turns, each started anew, looked at for a right answer, warmed up for
  {method.warm_up} s and measured for {method.seconds} s{f" ({longer})" if longer else ""}.
- Everything else on the server's processor, the kernel's own work for the network included, took {mean:.1%} of it on
  average and {worst:.1%} in the worst measurement."""
    if alone:
        return text
    return f"### Run of {run.date}\n\n- Scenarios: {', '.join(scenario.key for scenario in scenarios)}.\n{text}"


def _render_notes(record: Record) -> str:
    """Say what a reader has to know of the measuring and of the servers that took part."""
    present = {entry.server for item in SCENARIOS for entry in item.entries if record.run_of(item.key)}
    notes = [f"- {server.title}: {server.note}" for server in SERVERS if server.note and server.key in present]
    text = """\
### Notes

- Processor time is read from `/proc/PID/stat` of the whole process tree, ended children included; memory from
  `smaps_rollup`.
- Requests come from wrk, those by HTTP/2 from h2load, WebSocket messages from `bench/ws_load.c`, which checks what
  comes back; its connections are open before the measuring starts.
- The connections of h2load close when its time is up: what was under way then is in the processor time, and is no
  answered request."""
    return "\n".join([text, *notes])


def render_summary(record: Record) -> str:
    """Render the short summary for the README: the main scenarios, and how many goals are reached."""
    verdicts = [verdict for verdict in judge(record) if verdict.value is not None]
    reached = sum(verdict.miss <= 0 for verdict in verdicts)
    tables = (_summarize_scenario(record, BY_NAME[key]) for key in (MAIN, MAIN_ASGI) if record.run_of(key))
    end = f"""\
![Processor time per request](docs/benchmarks.svg)

{reached} of {len(verdicts)} measured goals reached; method, all scenarios and misses:
[docs/benchmarks.md](docs/benchmarks.md)."""
    return "\n\n".join([*tables, end])


def _summarize_scenario(record: Record, scenario: Scenario) -> str:
    run = record.run_of(scenario.key)
    assert run is not None  # only measured scenarios are summarized
    columns = [column for column in build_columns(scenario) if column.heading in SUMMARY_HEADINGS]
    entries = [entry for entry in list_rows(record, scenario) if not entry.memory_only]
    rows = [_build_cells(Row(record, scenario, entry), columns) for entry in entries]
    table = render_markdown_table([[column.heading for column in columns], *rows])
    return f"""\
{scenario.title}, one worker each, server and load on a processor of their own ({run.machine["processor"]};
{run.date[:10]}; Hostler {run.versions.get("hostler", "")}):

{table}"""


def insert_summary(page: str, summary: str) -> str:
    """Replace what stands between the two markers of a page.

    Errors:
        BenchError: the page does not have both markers, in order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"README.md lacks the markers {BEGIN} and {END}; add them where the summary belongs")
    return f"{before}{BEGIN}\n{summary}\n{END}{after}"
