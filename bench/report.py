"""A record turned into text: tables for the terminal, the page of the documentation, the summary of the README."""

from __future__ import annotations

from bench.errors import BenchError
from bench.goal import Verdict, cpu, judge
from bench.result import Record
from bench.scenario import BY_NAME, MAIN, SCENARIOS, Entry, Scenario
from bench.server import SERVERS
from bench.statistic import Spread

BEGIN = "<!-- benchmark:begin -->"
END = "<!-- benchmark:end -->"
NONE = "-"
HEADINGS = ("server", "CPU µs/request", "range", "ratio", "requests/s", "p50", "p99", "PSS", "worker PSS", "errors")
Table = list[list[str]]


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


def list_rows(record: Record, scenario: Scenario) -> list[Entry]:
    """Order the measured rows: by processor time, or as declared where rows of one server belong together."""
    rows = [entry for entry in scenario.entries if record.rounds(scenario.key, entry.key, cpu)]
    if any(entry.label for entry in rows):
        return rows
    return sorted(rows, key=lambda entry: (entry.memory_only, _median(record, scenario, entry)))


def build_table(record: Record, scenario: Scenario) -> Table:
    """Build the cells of one scenario, headings first."""
    ideal = ["of the ideal"] if scenario.ideal_rate else []
    table = [[*HEADINGS, *ideal]]
    table.extend(_build_row(record, scenario, entry) for entry in list_rows(record, scenario))
    for entry in scenario.entries:
        reason = record.failure(scenario.key, entry.key)
        if reason:
            table.append(
                [entry.title, f"n/a: {reason}" if len(reason) < 20 else "failed", *[NONE] * (len(table[0]) - 2)]
            )
    return table


def _build_row(record: Record, scenario: Scenario, entry: Entry) -> list[str]:
    def spread(name: str) -> Spread:
        found = record.spread(scenario.key, entry.key, lambda item: float(getattr(item, name)))
        assert found is not None  # only measured rows come here
        return found

    memory = [format_memory(spread("tree_pss").median), format_memory(spread("worker_pss").median)]
    if entry.memory_only:
        return [entry.title, *[NONE] * 6, *memory, NONE]
    used = spread("cpu_us")
    row = [
        entry.title,
        format_figure(used.median),
        f"{format_figure(used.least)}-{format_figure(used.greatest)}",
        format_ratio(record.ratio(scenario.key, entry.key, entry.base, cpu)),
        f"{spread('rate').median:,.0f}",
        format_time(spread("p50_us").median),
        format_time(spread("p99_us").median),
        *memory,
        f"{spread('errors').greatest:.0f}",
    ]
    return [*row, f"{spread('rate').median / scenario.ideal_rate:.1%}"] if scenario.ideal_rate else row


def _median(record: Record, scenario: Scenario, entry: Entry) -> float:
    spread = record.spread(scenario.key, entry.key, cpu)
    return spread.median if spread else float("inf")


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
    measured = {item.scenario for item in record.measurements}
    parts = [
        "# Benchmarks",
        "Written by `make bench`; do not edit. The raw figures are in [benchmarks.json](benchmarks.json).",
        "![Processor time per request of each server](benchmarks.svg)",
        "## Goals",
        render_goals(judge(record)),
        "## Figures",
        _render_legend(),
        *(_render_scenario(record, scenario) for scenario in SCENARIOS if scenario.key in measured),
        "## Method",
        _render_method(record),
    ]
    return "\n\n".join(parts) + "\n"


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
        "were answered; *range* its least and greatest value over the rounds. *Ratio* divides it by that of Hostler in "
        "the same round (where rows of one server are compared: by that of its first row), and is the median of the "
        "rounds. The other columns are medians; *errors* is the worst round. *PSS* is the memory of all processes of "
        "the server at the end, *worker PSS* that of the process which did the work."
    )


def _render_scenario(record: Record, scenario: Scenario) -> str:
    failed = [
        f"- {entry.title}: {record.failure(scenario.key, entry.key)}"
        for entry in scenario.entries
        if len(record.failure(scenario.key, entry.key)) >= 20
    ]
    parts = [f"### {scenario.title}", scenario.about, render_markdown_table(build_table(record, scenario))]
    return "\n\n".join(parts + (["\n".join(failed)] if failed else []))


def _render_method(record: Record) -> str:
    method, machine = record.method, record.machine
    worst = max((item.foreign_share for item in record.measurements), default=0.0)
    mean = sum(item.foreign_share for item in record.measurements) / max(1, len(record.measurements))
    rounds = f"{method.rounds} round{'s' if method.rounds > 1 else ''}"
    versions = ", ".join(f"{name} {version}" for name, version in sorted(record.versions.items()))
    longer = ", ".join(f"{item.key} {item.least_seconds} s at least" for item in SCENARIOS if item.least_seconds)
    text = f"""\
- Date: {record.date}. Machine: {machine["processor"]}, {machine["memory"]}; {machine["system"]}; {machine["python"]};
  load average {machine["load"]}.
- Versions: {versions}.
- Each server runs one worker on processor {method.server_cpu}, wrk one thread on processor {method.load_cpu}, over
  loopback. One thread for the application where a scenario asks for no more.
- {rounds}; within a round the servers take turns, each started anew, looked at for a right answer, warmed up for
  {method.warm_up} s and measured for {method.seconds} s ({longer}).
- Processor time is read from `/proc/PID/stat` of the whole process tree, ended children included; memory from
  `smaps_rollup`. Everything else on the server's processor, the kernel's own work for the network included, took
  {mean:.1%} of it on average and {worst:.1%} in the worst measurement."""
    return "\n".join([text, *(f"- {server.title}: {server.note}" for server in SERVERS if server.note)])


def render_summary(record: Record) -> str:
    """Render the short summary for the README: the main scenario, and how many goals are reached."""
    scenario = BY_NAME[MAIN]
    columns = [
        HEADINGS.index(name) for name in ("server", "CPU µs/request", "ratio", "requests/s", "p99", "worker PSS")
    ]
    entries = [entry for entry in list_rows(record, scenario) if not entry.memory_only]
    rows = [list(HEADINGS), *(_build_row(record, scenario, entry) for entry in entries)]
    verdicts = [verdict for verdict in judge(record) if verdict.value is not None]
    reached = sum(verdict.miss <= 0 for verdict in verdicts)
    table = render_markdown_table([[row[column] for column in columns] for row in rows])
    return f"""\
{scenario.title}, one worker each, server and load on a processor of their own ({record.machine["processor"]};
{record.date[:10]}; Hostler {record.versions.get("hostler", "")}):

{table}

![Processor time per request](docs/benchmarks.svg)

{reached} of {len(verdicts)} measured goals reached; method, all scenarios and misses:
[docs/benchmarks.md](docs/benchmarks.md)."""


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
