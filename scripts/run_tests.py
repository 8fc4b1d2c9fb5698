"""Runs test suites one after the other and prints the sum of their counts as its last line.

Usage: run_tests.py SUITE... [-- ARGUMENTS]

A suite that fails does not keep the next from running. What follows `--` goes to pytest, or to cargo where `rust` is
the only suite. The exit status is 0 only if some test ran and none failed; the last line, such as
`812 passed, 0 failed, 3 skipped`, is also kept in build/reports/summary.txt.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "reports"

# Suite -> directories under tests/. `rust` is cargo's.
PYTEST_SUITES: Mapping[str, Sequence[str]] = {
    "unit": ("tests/unit", "tests/property"),
    "conformance": ("tests/conformance",),
    "e2e": ("tests/e2e",),
    "interop": ("tests/interop",),
}
RUST_SUITE = "rust"
CARGO = ("cargo", "test", "--manifest-path", "rust/Cargo.toml", "--locked", "--no-default-features")

# pytest's exit status for "nothing was collected".
NOTHING_COLLECTED = 5

_CARGO_RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many tests ended how, and what went wrong around them.

    Attributes:
        passed: tests that passed.
        failed: tests that failed, in themselves or around them (fixtures).
        skipped: tests that were skipped, ignored, or expected to fail and did.
        trouble: why the suite as a whole has failed although no test did; empty if it has not.
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    trouble: str = ""

    @property
    def ran(self) -> int:
        """How many tests ran."""
        return self.passed + self.failed

    @property
    def is_good(self) -> bool:
        """Whether something ran and nothing failed."""
        return self.ran > 0 and self.failed == 0 and not self.trouble

    def __add__(self, other: Counts) -> Counts:
        trouble = "; ".join(filter(None, (self.trouble, other.trouble)))
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped, trouble)

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def parse_cargo_output(output: str) -> Counts:
    """Add up the result lines that cargo prints, one per test binary."""
    found = [tuple(map(int, match.groups())) for match in _CARGO_RESULT.finditer(output)]
    return Counts(*(sum(column) for column in zip(*found, strict=True))) if found else Counts()


def parse_junit_report(report: str) -> Counts:
    """Read the counts of a JUnit report (XML) as pytest writes it."""
    total = Counts()
    for suite in ET.fromstring(report).iter("testsuite"):
        tests, failures, errors, skipped = (
            int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")
        )
        # A test that fails and whose fixture then fails too counts twice among the bad, once among the tests.
        failed = failures + errors
        total += Counts(max(0, tests - failed - skipped), failed, skipped)
    return total


def judge(counts: Counts, status: int, suite: str, *, is_filtered: bool) -> Counts:
    """Add the trouble of a suite whose exit status is not explained by its failed tests.

    Args:
        counts: what its report says.
        status: its exit status.
        suite: its name, for the message.
        is_filtered: arguments were given that may leave a suite with no test at all.
    """
    if counts.ran == 0 and counts.skipped == 0 and status in {0, NOTHING_COLLECTED}:
        return counts if is_filtered else counts + Counts(trouble=f"{suite}: no test was found")
    if status != 0 and counts.failed == 0:
        return counts + Counts(trouble=f"{suite}: ended with status {status}")
    return counts


def run_rust(arguments: Sequence[str]) -> Counts:
    """Run the tests of the crate, without an interpreter."""
    output: list[str] = []
    with subprocess.Popen([*CARGO, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            output.append(line)
    return judge(parse_cargo_output("".join(output)), process.returncode, RUST_SUITE, is_filtered=bool(arguments))


def run_pytest(suite: str, arguments: Sequence[str]) -> Counts:
    """Run one suite of Python tests in a process of its own."""
    report = REPORTS / f"{suite}.xml"
    report.unlink(missing_ok=True)
    directories = [name for name in PYTEST_SUITES[suite] if (ROOT / name).is_dir()]
    command = [sys.executable, "-m", "pytest", *directories, f"--junitxml={report}", *arguments]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    counts = parse_junit_report(report.read_text()) if report.exists() else Counts()
    return judge(counts, status, suite, is_filtered=bool(arguments))


def run_suites(suites: Sequence[str], arguments: Sequence[str]) -> dict[str, Counts]:
    """Run the suites in order; arguments go to pytest, or to cargo if it is alone."""
    results = {}
    for suite in suites:
        print(f"== {suite}", flush=True)
        if suite == RUST_SUITE:
            results[suite] = run_rust(arguments if list(suites) == [RUST_SUITE] else ())
        else:
            results[suite] = run_pytest(suite, arguments)
    return results


def render(results: Mapping[str, Counts]) -> Iterable[str]:
    """Lay out the results: a line per suite, a line per trouble, and the sum."""
    total = sum(results.values(), Counts())
    yield from (f"{suite:>12}: {counts}" for suite, counts in results.items())
    if total.trouble:
        yield f"failed: {total.trouble}"
    if total.ran == 0:
        yield "failed: no test ran"
    yield str(total)


def main(arguments: Sequence[str]) -> int:
    """Run what the command line names; return the exit status."""
    suites = list(arguments)
    extra: list[str] = []
    if "--" in suites:
        cut = suites.index("--")
        suites, extra = suites[:cut], suites[cut + 1 :]
    unknown = sorted(set(suites) - {RUST_SUITE, *PYTEST_SUITES})
    if unknown or not suites:
        print(f"no such suite: {' '.join(unknown)}; there are rust {' '.join(PYTEST_SUITES)}", file=sys.stderr)
        return 2
    REPORTS.mkdir(parents=True, exist_ok=True)
    results = run_suites(suites, extra)
    lines = list(render(results))
    (REPORTS / "summary.txt").write_text(lines[-1] + "\n")
    print("\n".join(lines), flush=True)
    return 0 if sum(results.values(), Counts()).is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
