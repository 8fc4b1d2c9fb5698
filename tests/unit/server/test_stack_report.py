"""The report of a child: what faulthandler writes, joined with what the interpreter and the kernel say."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from hostler.server.stack_report import describe_report, parse_stacks
from hostler.system.vitals import read_threads, read_vitals

TEXT = """\
Thread 0x00007f0000000001 (most recent call first):
  File "/usr/lib/python3.11/threading.py", line 982 in run
  File "/usr/lib/python3.11/threading.py", line 1002 in _bootstrap

Current thread 0x00007f0000000002 [main] (most recent call first):
  File "/srv/shop/app.py", line 7 in checkout
  File "/lib/hostler/worker/wsgi.py", line 52 in serve_wsgi
  File "/lib/hostler/worker/role.py", line 128 in _serve
  File "/lib/hostler/supervisor/shell.py", line 492 in child_main
"""


def test_stacks_are_told_apart_and_end_where_the_supervisor_begins() -> None:
    raw, stacks, current = parse_stacks(TEXT)
    assert raw == ""
    assert current == 0x7F0000000002
    assert stacks[current].splitlines() == [
        '  File "/srv/shop/app.py", line 7 in checkout',
        '  File "/lib/hostler/worker/wsgi.py", line 52 in serve_wsgi',
    ]
    assert "_bootstrap" in stacks[0x7F0000000001]


def test_text_that_is_none_of_it_is_kept() -> None:
    assert parse_stacks("nonsense\n") == ("nonsense", {}, 0)
    assert parse_stacks("") == ("", {}, 0)


def test_threads_get_their_names_from_the_interpreter() -> None:
    main = threading.get_native_id()
    said = {"threads": {str(0x7F0000000002): [main, "the main one"]}, "tasks": [{"name": "Task-1"}]}
    described = describe_report(os.getpid(), TEXT, json.dumps(said).encode())
    assert described["is_responsive"]
    (own,) = [each for each in described["threads"] if each["id"] == main]
    assert own["name"] == "the main one"
    assert "checkout" in own["stack"]
    (unknown,) = [each for each in described["threads"] if each["id"] == 0]
    assert unknown["name"] == "0x7f0000000001"
    assert described["tasks"] == [{"name": "Task-1"}]


def test_interpreter_that_says_nothing_leaves_the_stacks() -> None:
    described = describe_report(os.getpid(), TEXT, b"")
    assert not described["is_responsive"]
    (main,) = [each for each in described["threads"] if each["id"] == os.getpid()]
    assert main["name"] == "MainThread"
    assert "checkout" in main["stack"]
    assert described["tasks"] is None


def test_nonsense_from_the_application_does_no_harm() -> None:
    for second in (b"[]", b"\xff", b'{"threads": {"1": 7}, "tasks": 3}', b"{" * 5000):
        assert describe_report(os.getpid(), TEXT, second)["tasks"] is None


def test_kernel_knows_the_threads_of_a_process() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    found = {each.number: each for each in read_threads(os.getpid())}
    done.set()
    thread.join()
    assert found[os.getpid()].name == Path("/proc/self/comm").read_text().strip()
    assert thread.native_id in found
    assert all(each.state in "RSDTtZI" for each in found.values())


def test_vitals_are_those_of_the_process() -> None:
    vitals = read_vitals(os.getpid())
    assert vitals is not None
    assert 1_000_000 < vitals.memory < 10_000_000_000
    assert vitals.cpu > 0
    assert vitals.threads >= 1


def test_process_that_is_gone_has_none() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert read_vitals(pid) is None
    assert read_threads(pid) == []
