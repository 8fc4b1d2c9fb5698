"""The fork server: loads the application once and forks workers that share its memory.

Theory: the supervisor never runs application code; with `app.preload` a child of it does, freezes the heap and then
waits for requests. Each worker is forked twice, so that it becomes the supervisor's own child, is reaped by it and
outlives a fork server that a reload has replaced (docs/adr/0004). A reload makes a new fork server, so it loads new
code.
"""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import Sequence

from hostler.contracts import ChildContext, Mount
from hostler.errors import HostlerError
from hostler.system.channel import send_message
from hostler.system.forking import ForkRequest, receive_fork_request
from hostler.system.process import close_descriptors, fork_grandchild, own_pid
from hostler.system.signals import ignore_signal, set_handler
from hostler.worker.assignment import Assignment, load_mounts
from hostler.worker.report import report_failure
from hostler.worker.role import find_server, prepare_process, serve_preloaded
from hostler.worker.stacks import answer_questions


def run_fork_server(assignment: Assignment, context: ChildContext) -> int:
    """Be a fork server; after fork. Returns the exit status."""
    send_message(context.status_fd, {"event": "started", "pid": own_pid()})
    try:
        prepare_process(assignment, context, f"hostler: fork server {assignment.title}")
        assignment.hooks.loading()
        mounts = load_mounts(assignment)
        find_server(mounts)  # imports it: what is there before the fork is shared
    except HostlerError as error:
        report_failure(context.status_fd, error)
        return error.exit_status
    _take_signals_back()
    _freeze()
    send_message(context.status_fd, {"event": "ready"})
    while (request := receive_fork_request(context.control_fd)) is not None:
        _fork_worker(assignment, context, mounts, request)
    return 0


def _take_signals_back() -> None:
    """End on TERM whatever the application installed while it was loaded: there is nothing to drain here."""
    set_handler(signal.SIGTERM, signal.SIG_DFL)
    set_handler(signal.SIGQUIT, signal.SIG_DFL)
    set_handler(signal.SIGINT, ignore_signal)


def _freeze() -> None:
    """Keep the collector off the pages that workers are to share."""
    gc.collect()
    gc.freeze()


def _fork_worker(assignment: Assignment, context: ChildContext, mounts: Sequence[Mount], request: ForkRequest) -> None:
    worker_context = ChildContext(
        request.role,
        request.slot,
        request.status_fd,
        request.lifeline_fd,
        -1,
        context.supervisor_pid,
        request.listeners,
        request.board_fd,
        request.board_offset,
        request.report_fd,
    )

    def worker_main() -> int:
        # First, as the fork server's own report goes to a descriptor that is about to be closed.
        answer_questions(worker_context)
        close_descriptors(
            fd for fd in (context.status_fd, context.lifeline_fd, context.control_fd, context.report_fd) if fd >= 0
        )
        return serve_preloaded(assignment, worker_context, mounts)

    assignment.hooks.worker_forking(request.slot)
    try:
        fork_grandchild(worker_main)
    except OSError as error:
        logging.getLogger("hostler").warning("the fork server cannot fork: %s", error)
    finally:
        # When nothing was forked, the status pipe ends here, which tells the supervisor.
        passed = [request.status_fd, request.lifeline_fd, *(each.fd for each in request.listeners)]
        passed += [fd for fd in (request.board_fd, request.report_fd) if fd >= 0]
        close_descriptors(passed)
