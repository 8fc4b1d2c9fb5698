"""What the command line accepts."""

from __future__ import annotations

import pytest

from bench.cli import main, select_scenarios, select_servers
from bench.errors import BenchError
from bench.scenario import GROUPS, SCENARIOS


def test_names_may_be_repeated_or_separated_by_commas() -> None:
    assert [scenario.key for scenario in select_scenarios(["post,large", "flask"])] == ["post", "large", "flask"]
    assert select_servers(["hostler,nginx"]) == {"hostler", "nginx"}


def test_group_names_all_of_its_scenarios_and_none_is_measured_twice() -> None:
    chosen = [scenario.key for scenario in select_scenarios(["websocket,ws-echo-64,post"])]
    assert chosen == [scenario.key for scenario in SCENARIOS if scenario.group == "websocket"] + ["post"]


def test_groups_hold_every_scenario() -> None:
    assert select_scenarios(list(GROUPS)) == list(SCENARIOS)


def test_no_names_mean_all() -> None:
    assert select_scenarios([]) == list(SCENARIOS)


def test_unknown_names_are_refused_with_those_that_exist() -> None:
    with pytest.raises(BenchError, match=r"no scenario 'nope'; there are: .*plaintext-64"):
        select_scenarios(["nope"])
    with pytest.raises(BenchError, match=r"no server 'nope'; there are: .*bjoern"):
        select_servers(["nope"])


def test_error_is_one_line_and_a_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "nope"]) == 1
    assert capsys.readouterr().err.startswith("bench: no scenario 'nope'")
