"""How much the workers have to do: from the scoreboard, the kernel's queues and the processors' time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hostler.contracts import Listener
from hostler.supervisor.scaling import Load
from hostler.system.backlog import read_backlog
from hostler.system.usage import read_usage
from hostler.telemetry.reading import Reading, WorkerReading, compare

_SERVING = frozenset({"idle", "busy"})


class LoadMeter:
    """Compares each reading with the one before.

    Theory: a worker has two bounds, and the nearer one tells how busy it is: the threads that may be in the application
    (WSGI; with an event loop there is no such bound), and the one processor that the interpreter's lock lets it use.
    """

    def __init__(self, read_board: Callable[[], Reading]) -> None:
        """Measure from now on."""
        self._read_board = read_board
        self._former = read_board()
        self._cpu: dict[int, float] = {}

    def measure(self, listeners: Iterable[Listener], *, has_threads: bool) -> Load:
        """Return what there is to do.

        Args:
            listeners: those whose queues count.
            has_threads: whether requests take threads in the application.
        """
        former, reading = self._former, self._read_board()
        self._former = reading
        interval = compare(former, reading)
        cpu = self._measure_cpu(reading.workers, interval.seconds)
        serving = [worker for worker in reading.workers if worker.state in _SERVING]
        busy = [
            max(interval.workers[each.child].utilisation if has_threads else 0.0, cpu.get(each.child, 0.0))
            for each in serving
        ]
        queues = [queue.waiting for queue in map(read_backlog, listeners) if queue is not None]
        return Load(
            busy=sum(min(1.0, each) for each in busy) / len(busy) if busy else 0.0,
            waiting=sum(queues) + sum(worker.ready for worker in serving),
            requests=reading.counts.finished + reading.counts.websockets,
            in_flight=sum(worker.in_flight for worker in reading.workers),
        )

    def _measure_cpu(self, workers: Iterable[WorkerReading], seconds: float) -> dict[int, float]:
        """Return the share of a processor that each worker has used, of those that were there before."""
        former, self._cpu = self._cpu, {}
        for worker in workers:
            usage = read_usage(worker.pid, proportional=False) if worker.pid else None
            if usage is not None:
                self._cpu[worker.child] = usage.cpu
        if seconds <= 0:
            return {}
        return {child: (used - former[child]) / seconds for child, used in self._cpu.items() if child in former}
