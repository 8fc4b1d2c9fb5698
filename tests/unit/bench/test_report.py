"""A record judged, tabulated, drawn and put into a page."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.errors import BenchError
from bench.goal import GOALS, Verdict, judge
from bench.plot import render_plot
from bench.report import (
    BEGIN,
    END,
    build_table,
    format_figure,
    format_time,
    insert_summary,
    render_goals,
    render_markdown,
    render_summary,
    render_table,
)
from bench.result import UNABLE, Failure, Measurement, Method, Record, Run, load_record
from bench.scenario import BY_NAME, MAIN, MAIN_ASGI

MACHINE = {"processor": "A & B, 2 usable", "memory": "4.0 GiB", "system": "an OS", "python": "CPython 3", "load": "0.1"}


def build_measurement(
    entry: str, cpu_us: float, scenario: str = MAIN, number: int = 1, rate: float = 1.0
) -> Measurement:
    return Measurement(
        scenario=scenario,
        entry=entry,
        number=number,
        requests=1000,
        cpu_us=cpu_us,
        rate=rate,
        p50_us=100.0,
        p99_us=2_500.0,
        errors=0,
        tree_pss=3 * 2**20,
        worker_pss=2 * 2**20,
        processes=2,
        foreign_share=0.01,
    )


def build_run(*measurements: Measurement, failures: tuple[Failure, ...] = (), day: str = "2020-01-01") -> Run:
    method = Method(rounds=3, warm_up=1, seconds=3, server_cpu=0, load_cpu=1)
    versions = {"nginx": "1.0", "hostler": "9.9"}
    return Run(f"{day} 00:00 UTC", MACHINE, versions, method, list(measurements), list(failures))


def build_record(*measurements: Measurement, failures: tuple[Failure, ...] = ()) -> Record:
    return Record([build_run(*measurements, failures=failures)])


def find_verdict(record: Record, words: str) -> Verdict:
    return next(verdict for verdict in judge(record) if words in verdict.goal.text)


def test_record_survives_its_file(tmp_path: Path) -> None:
    record = build_record(build_measurement("hostler", 6.5), failures=(Failure(MAIN, "bjoern", "not there"),))
    path = tmp_path / "record.json"
    path.write_text(record.dump())
    assert load_record(path) == record


def test_record_without_a_file_is_empty(tmp_path: Path) -> None:
    assert load_record(tmp_path / "nothing.json") == Record()


def test_newer_run_replaces_its_scenarios_and_leaves_the_others_to_their_run() -> None:
    older = build_run(
        build_measurement("hostler", 1.0),
        build_measurement("hostler", 2.0, "post"),
        failures=(Failure("post", "x", "y"),),
    )
    newer = build_run(build_measurement("hostler", 3.0, "post"), day="2021-01-01")
    record = Record([older]).merge(newer)
    assert [run.date[:4] for run in record.runs] == ["2020", "2021"]
    assert record.rounds(MAIN, "hostler", lambda item: item.cpu_us) == {1: 1.0}
    assert record.rounds("post", "hostler", lambda item: item.cpu_us) == {1: 3.0}
    assert record.failure("post", "x") == ""
    assert record.run_of("post") is newer
    assert record.run_of("large") is None


def test_run_whose_scenarios_are_all_replaced_is_gone() -> None:
    record = Record([build_run(build_measurement("hostler", 1.0))])
    newer = build_run(failures=(Failure(MAIN, "hostler", "did not start"),), day="2021-01-01")
    assert record.merge(newer).runs == [newer], "a run that failed does not leave older figures standing"


def test_fault_is_a_row_that_should_have_given_figures() -> None:
    fault = Failure(MAIN, "granian", "gave no answer within 20 s")
    assert build_run(failures=(Failure(MAIN, "bjoern", UNABLE), fault)).faults() == [fault]


def test_every_scenario_of_a_page_says_when_and_with_which_version_it_was_measured() -> None:
    record = build_record(build_measurement("hostler", 6.0)).merge(
        build_run(build_measurement("hostler-uvloop", 7.0, MAIN_ASGI), day="2021-01-01")
    )
    page = render_markdown(record)
    assert page.index("### WSGI") < page.index("### ASGI")
    assert "*Measured 2020-01-01 00:00 UTC, Hostler 9.9.*" in page.partition("### ASGI")[0]
    assert "*Measured 2021-01-01 00:00 UTC, Hostler 9.9.*" in page.partition("### ASGI")[2]
    assert f"### Run of 2021-01-01 00:00 UTC\n\n- Scenarios: {MAIN_ASGI}.\n" in page


def test_goal_is_reached_at_its_limit_and_missed_beyond() -> None:
    peer = build_measurement("nginx", 100.0)
    reached = find_verdict(build_record(peer, build_measurement("hostler", 115.0)), "1.15 times nginx")
    missed = find_verdict(build_record(peer, build_measurement("hostler", 126.5)), "1.15 times nginx")
    assert reached.word == "reached"
    assert missed.word == "**missed** by 10.0%"


def test_goal_against_every_peer_is_judged_by_the_best_of_them() -> None:
    rows = [
        build_measurement(name, us, "large") for name, us in (("hostler", 90.0), ("bjoern", 100.0), ("granian", 60.0))
    ]
    verdict = find_verdict(build_record(*rows), "below every peer")
    assert verdict.value is not None
    assert (verdict.value.against, verdict.value.spread.median) == ("granian", 1.5)


def test_goal_below_every_peer_does_not_count_nginx_sending_a_file() -> None:
    rows = [
        build_measurement(name, us, "large") for name, us in (("hostler", 90.0), ("bjoern", 100.0), ("nginx", 10.0))
    ]
    assert find_verdict(build_record(*rows), "below every peer").word == "reached"


@pytest.mark.parametrize("rate, word", [(1600.0, "reached"), (1552.0, "reached"), (1396.8, "**missed** by 10.0%")])
def test_goal_of_throughput_wants_more(rate: float, word: str) -> None:
    record = build_record(build_measurement("hostler", 50.0, "sleep", rate=rate))
    assert find_verdict(record, "ideal throughput").word == word


def test_goal_of_the_access_log_compares_the_two_rows_of_hostler() -> None:
    off, on = (
        build_measurement("hostler log off", 10.0, "access-log"),
        build_measurement("hostler log on", 10.5, "access-log"),
    )
    verdict = find_verdict(build_record(off, on), "Access log")
    assert verdict.value is not None
    assert verdict.value.spread.median == pytest.approx(1.05)


@pytest.mark.parametrize("uvicorn, against, ratio", [(20.0, "granian-asgi", 0.75), (10.0, "uvicorn", 0.9)])
def test_goal_of_asgi_is_judged_with_uvloop_against_the_better_of_two(
    uvicorn: float, against: str, ratio: float
) -> None:
    values = {"hostler-uvloop": 9.0, "hostler-asyncio": 1.0, "granian-asgi": 12.0, "uvicorn": uvicorn, "hypercorn": 1.0}
    record = build_record(*(build_measurement(entry, us, MAIN_ASGI) for entry, us in values.items()))
    verdict = find_verdict(record, "half of Granian and of Uvicorn")
    assert verdict.value is not None
    assert (verdict.value.against, verdict.value.spread.median) == (against, ratio)


@pytest.mark.parametrize("key, entry", [("http2", "hostler"), ("asgi-http2-tls", "hostler-uvloop")])
def test_goals_of_http2_allow_more_than_nginx_and_less_than_granian(key: str, entry: str) -> None:
    granian = "granian" if key == "http2" else "granian-asgi"
    values = {entry: 9.0, "nginx": 6.0, granian: 10.0}
    record = build_record(*(build_measurement(row, us, key) for row, us in values.items()))
    found = {verdict.value.against: verdict.word for verdict in judge(record) if verdict.value}
    assert found == {"nginx": "reached", granian: "**missed** by 5.9%"}


def test_goal_of_a_framework_does_not_count_the_framework_alone() -> None:
    values = {"hostler-uvloop": 50.0, "hostler-asyncio": 40.0, "uvicorn": 60.0, "alone": 30.0}
    record = build_record(*(build_measurement(entry, us, "asgi-fastapi") for entry, us in values.items()))
    assert find_verdict(record, "FastAPI").word == "reached"


def test_goal_without_figures_is_neither_reached_nor_missed() -> None:
    verdicts = judge(build_record())
    assert [verdict.word for verdict in verdicts] == ["not measured"] * len(GOALS)
    assert render_goals(verdicts).count("not measured") == len(GOALS)


def test_table_is_ordered_by_processor_time_with_ratios_to_hostler_and_failures_last() -> None:
    record = build_record(
        build_measurement("granian", 12.0),
        build_measurement("hostler", 6.0),
        build_measurement("uvicorn", 1.0),
        failures=(Failure(MAIN, "bjoern", "cannot do this"), Failure(MAIN, "waitress", "gave no answer within 20 s")),
    )
    table = build_table(record, BY_NAME[MAIN])
    assert [row[0] for row in table[1:]] == ["Hostler", "Granian", "Uvicorn", "bjoern", "waitress"]
    assert [row[3] for row in table[1:3]] == ["1.00", "2.00"]
    assert table[3][1] == "-", "the processor time of an ASGI server is not comparable"
    assert table[4][1] == "n/a: cannot do this"
    assert {len(row) for row in table} == {len(table[0])}
    assert len({len(line.rstrip()) for line in render_table(record, BY_NAME[MAIN]).splitlines()}) == 1


def test_application_without_a_server_has_no_latency_and_no_memory() -> None:
    record = build_record(
        build_measurement("alone", 30.0, "asgi-fastapi"), build_measurement("hostler-uvloop", 40.0, "asgi-fastapi")
    )
    headings, alone, _ = build_table(record, BY_NAME["asgi-fastapi"])
    cells = dict(zip(headings, alone, strict=True))
    assert cells["server"] == "no server"
    assert (cells["CPU µs/request"], cells["ratio"]) == ("30.0", "0.75")
    assert cells["p99"] == cells["worker PSS"] == cells["errors"] == "-"


def test_idle_connections_are_ordered_and_compared_by_their_memory() -> None:
    rows = [
        dataclasses.replace(build_measurement(entry, us, "ws-idle-deflate"), connection_pss=kib * 1024, deflated=count)
        for entry, us, kib, count in (("uvicorn", 1.0, 60.0, 1000), ("hostler-uvloop", 2.0, 20.0, 0))
    ]
    headings, *cells = build_table(build_record(*rows), BY_NAME["ws-idle-deflate"])
    found = [dict(zip(headings, row, strict=True)) for row in cells]
    assert [row["server"] for row in found] == ["Hostler (uvloop)", "Uvicorn"]
    assert [row["KiB/connection"] for row in found] == ["20.0", "60.0"]
    assert [row["ratio"] for row in found] == ["1.00", "3.00"]
    assert [row["permessage-deflate"] for row in found] == ["no", "agreed"]


def test_messages_are_called_messages() -> None:
    headings = build_table(build_record(), BY_NAME["ws-echo-64"])[0]
    assert {"CPU µs/message", "messages/s"} <= set(headings)


def test_page_names_method_failures_and_every_measured_scenario_only() -> None:
    record = build_record(
        build_measurement("hostler", 6.0), failures=(Failure(MAIN, "waitress", "gave no answer within 20 s"),)
    )
    page = render_markdown(record)
    assert BY_NAME[MAIN].title in page
    assert BY_NAME["post"].title not in page.partition("## Figures")[2]
    assert "waitress: gave no answer within 20 s" in page
    assert "nginx 1.0" in page


def test_plot_is_well_formed_and_draws_longer_bars_for_more_time() -> None:
    record = build_record(build_measurement("hostler", 6.0), build_measurement("granian", 12.0))
    tree = ET.fromstring(render_plot(record))
    bars = {rect.get("class"): float(rect.get("width", "0")) for rect in tree.iter("{http://www.w3.org/2000/svg}rect")}
    assert bars["peer"] == pytest.approx(2 * bars["hostler"], abs=0.2)


def test_plot_of_nothing_is_well_formed() -> None:
    assert ET.fromstring(render_plot(build_record())) is not None


def test_summary_replaces_what_stands_between_the_markers() -> None:
    page = f"# A\n\n{BEGIN}\nold\n{END}\n\nrest\n"
    once = insert_summary(page, "new")
    assert once == f"# A\n\n{BEGIN}\nnew\n{END}\n\nrest\n"
    assert insert_summary(once, "new") == once


@pytest.mark.parametrize("page", ["# A\n", f"{BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_summary_needs_both_markers(page: str) -> None:
    with pytest.raises(BenchError, match="markers"):
        insert_summary(page, "new")


def test_summary_has_a_table_for_each_interface_that_was_measured() -> None:
    wsgi = build_measurement("hostler", 6.0)
    asgi = build_measurement("hostler-uvloop", 7.0, MAIN_ASGI)
    assert BY_NAME[MAIN_ASGI].title not in render_summary(build_record(wsgi))
    summary = render_summary(build_record(wsgi, asgi))
    assert summary.index(BY_NAME[MAIN].title) < summary.index(BY_NAME[MAIN_ASGI].title)
    assert summary.count("| server | CPU µs/request | ratio | requests/s | p99 | worker PSS |") == 2


def test_summary_counts_only_goals_that_were_measured() -> None:
    record = build_record(build_measurement("hostler", 13.0), build_measurement("granian", 12.0))
    memory = dataclasses.replace(build_measurement("uvicorn", 1.0), worker_pss=2 * 2**20)
    record.runs[0].measurements.append(memory)
    assert "1 of 2 measured goals reached" in render_summary(record)


@pytest.mark.parametrize("value, text", [(6.432, "6.43"), (38.31, "38.3"), (118.4, "118"), (1546.0, "1546")])
def test_figures_have_about_three_digits(value: float, text: str) -> None:
    assert format_figure(value) == text


@pytest.mark.parametrize(
    "value, text", [(59.0, "59 µs"), (999.4, "999 µs"), (2_500.0, "2.5 ms"), (1_550_000.0, "1.55 s")]
)
def test_times_have_the_unit_that_suits_them(value: float, text: str) -> None:
    assert format_time(value) == text
