"""What the operating system lets a process of the application do: limits, rank, root directory, rights."""

from __future__ import annotations

from hostler.errors import ApplicationError
from hostler.system.capability import forbid_new_privileges
from hostler.system.limits import parse_limit, set_limits
from hostler.system.process import change_root
from hostler.system.scheduling import set_cores, set_nice, set_oom_score
from hostler.system.user import drop_privileges
from hostler.worker.assignment import Assignment


def confine(assignment: Assignment) -> None:
    """Give up what the configuration does not leave us; after fork. What needs root comes before root goes.

    Raises:
        PrivilegeError: the kernel refused something.
        ApplicationError: the root directory cannot be entered.
    """
    process = assignment.config.process
    if assignment.worker_group is not None:
        assignment.worker_group.join()
    set_limits(parse_limit(name, text) for name, text in process.limits.items())
    set_nice(process.nice)
    set_oom_score(process.oom_score)
    if process.chroot is not None:
        try:
            change_root(process.chroot)
        except OSError as error:
            raise ApplicationError(
                f"cannot make {process.chroot} the root directory: {error.strerror}; "
                "start as root, and check process.chroot"
            ) from None
    if assignment.identity is not None:
        drop_privileges(assignment.identity)
    if process.no_new_privileges:
        forbid_new_privileges()


def pin(assignment: Assignment, slot: int) -> None:
    """Run on the cores that are meant for this worker; after fork, also in one that has a fork server.

    Raises:
        PrivilegeError: none of them may be used.
    """
    set_cores(assignment.config.process.cpus, slot)
