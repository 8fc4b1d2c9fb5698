"""The counts of test suites are read, judged and added up as they are."""

import pytest

from scripts.run_tests import Counts, judge, main, parse_cargo_output, parse_junit_report, render

CARGO_OUTPUT = """
running 3 tests
test codec::ok ... ok

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

running 1 test
test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
"""


def junit(tests: int, failures: int = 0, errors: int = 0, skipped: int = 0) -> str:
    suite = f'<testsuite tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}"/>'
    return f'<?xml version="1.0"?><testsuites name="pytest tests">{suite}</testsuites>'


def test_results_of_all_test_binaries_are_added() -> None:
    assert parse_cargo_output(CARGO_OUTPUT) == Counts(2, 1, 1)


def test_output_without_results_counts_nothing() -> None:
    assert parse_cargo_output("error: could not compile") == Counts()


@pytest.mark.parametrize(
    "report, counts",
    [
        (junit(10), Counts(10, 0, 0)),
        (junit(10, failures=2, errors=1, skipped=3), Counts(4, 3, 3)),
        (junit(1, failures=1, errors=1), Counts(0, 2, 0)),
        (junit(0), Counts()),
    ],
)
def test_junit_report_is_read(report: str, counts: Counts) -> None:
    assert parse_junit_report(report) == counts


@pytest.mark.parametrize(
    "counts, status, is_filtered, is_troubled",
    [
        (Counts(3), 0, False, False),
        (Counts(3, 1), 1, False, False),  # explained by the failed test
        (Counts(3), 1, False, True),  # passed, yet ended badly
        (Counts(), 101, False, True),  # did not compile
        (Counts(), 4, True, True),  # wrong usage
        (Counts(), 5, False, True),  # an empty suite
        (Counts(), 5, True, False),  # nothing matched the filter
        (Counts(), 0, False, True),
        (Counts(skipped=3), 0, False, False),
    ],
)
def test_a_suite_is_judged_by_counts_and_status(
    counts: Counts, status: int, is_filtered: bool, is_troubled: bool
) -> None:
    assert bool(judge(counts, status, "e2e", is_filtered=is_filtered).trouble) == is_troubled


def test_the_last_line_is_the_sum() -> None:
    lines = list(render({"rust": Counts(2), "unit": Counts(3, 1, 2)}))
    assert lines[-1] == "5 passed, 1 failed, 2 skipped"


def test_skipped_tests_are_left_out_of_the_sum_when_there_are_none() -> None:
    assert list(render({"unit": Counts(3)}))[-1] == "3 passed, 0 failed"


@pytest.mark.parametrize(
    "counts, is_good",
    [
        (Counts(1), True),
        (Counts(1, 1), False),
        (Counts(skipped=4), False),
        (Counts(), False),
        (Counts(1, trouble="unit: ended with status 2"), False),
    ],
)
def test_only_passed_tests_make_a_good_run(counts: Counts, is_good: bool) -> None:
    assert counts.is_good == is_good


def test_trouble_of_any_suite_spoils_the_sum() -> None:
    assert not (Counts(5) + Counts(trouble="rust: ended with status 101")).is_good


@pytest.mark.parametrize("arguments", [[], ["unti"], ["--", "-k", "x"]])
def test_unknown_suites_are_refused(arguments: list[str]) -> None:
    assert main(arguments) == 2
