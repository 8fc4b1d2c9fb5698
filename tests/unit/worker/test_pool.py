"""Daemonic threads for calls that must not block the loop."""

from __future__ import annotations

import queue
import threading

from hostler.worker.pool import Pool

PATIENCE = 10.0


def fail(error: BaseException) -> None:
    raise AssertionError(error)


def test_calls_run_side_by_side_up_to_the_limit() -> None:
    pool = Pool(2, "test", fail)
    both = threading.Barrier(3)
    third: queue.SimpleQueue[str] = queue.SimpleQueue()
    release = threading.Event()

    def wait() -> None:
        both.wait(PATIENCE)
        release.wait(PATIENCE)

    pool.submit(wait)
    pool.submit(wait)
    pool.submit(lambda: third.put("ran"))
    both.wait(PATIENCE)
    assert third.empty()
    release.set()
    assert third.get(timeout=PATIENCE) == "ran"
    pool.close()


def test_idle_thread_is_used_before_another_is_made() -> None:
    pool = Pool(4, "test", fail)
    names: queue.SimpleQueue[str] = queue.SimpleQueue()
    idle = pool._idle
    for _ in range(3):
        pool.submit(lambda: names.put(threading.current_thread().name))
        assert names.get(timeout=PATIENCE) == "test-1"
        # Until it is idle again, the next call would rightly get another thread.
        assert idle.acquire(timeout=PATIENCE)
        idle.release()
    pool.close()


def test_error_is_told_and_the_thread_goes_on() -> None:
    told: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
    pool = Pool(1, "test", told.put)

    def fall() -> None:
        raise SystemExit(3)

    pool.submit(fall)
    assert isinstance(told.get(timeout=PATIENCE), SystemExit)
    done = threading.Event()
    pool.submit(done.set)
    assert done.wait(PATIENCE)
    pool.close()


def test_threads_are_daemonic_and_end_when_the_pool_is_closed() -> None:
    pool = Pool(1, "test", fail)
    found: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()
    pool.submit(lambda: found.put(threading.current_thread()))
    thread = found.get(timeout=PATIENCE)
    assert thread.daemon
    pool.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
