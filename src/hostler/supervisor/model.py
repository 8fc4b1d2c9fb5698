"""The words of the supervisor: roles, child states and their transitions, what happens, and what is to be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from hostler.supervisor.recycling import ENDLESS, Wear
from hostler.supervisor.scaling import Load, Scaling


@dataclass(frozen=True, slots=True)
class Role:
    """A kind of child, as data: the supervisor knows nothing else of it.

    Attributes:
        name: "worker", "fork server", ...
        count: how many are wanted; each has a slot, from 1 to `count`.
        via: the role whose child forks this one; "" when the supervisor does.
        after: the role without whose ready child none of this one is started; "" for none.
        is_scalable: whether a signal may change `count`.
        boot_timeout: seconds from start to ready.
        graceful_timeout: seconds from the request to drain until it is killed.
        wear: when a child is replaced by a fresh one.
        scaling: between which bounds `count` follows the load; None where it does not.
    """

    name: str
    count: int = 1
    via: str = ""
    after: str = ""
    is_scalable: bool = False
    boot_timeout: float = 60.0
    graceful_timeout: float = 30.0
    wear: Wear = ENDLESS
    scaling: Scaling | None = None


class ChildState(Enum):
    """Where a child is in its life; gone children are forgotten."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    KILLED = "killed"


class Turn(Enum):
    """What can turn a child's state."""

    REPORTED_READY = "reported ready"
    DRAIN = "drain"
    STOP = "stop"
    KILL = "kill"


# Whatever is not in this table changes nothing: a child that reports ready after it was told to drain goes on draining.
TRANSITIONS: dict[tuple[ChildState, Turn], ChildState] = {
    (ChildState.STARTING, Turn.REPORTED_READY): ChildState.READY,
    (ChildState.STARTING, Turn.DRAIN): ChildState.DRAINING,
    (ChildState.READY, Turn.DRAIN): ChildState.DRAINING,
    (ChildState.STARTING, Turn.STOP): ChildState.STOPPING,
    (ChildState.READY, Turn.STOP): ChildState.STOPPING,
    (ChildState.DRAINING, Turn.STOP): ChildState.STOPPING,
    (ChildState.STARTING, Turn.KILL): ChildState.KILLED,
    (ChildState.READY, Turn.KILL): ChildState.KILLED,
    (ChildState.DRAINING, Turn.KILL): ChildState.KILLED,
    (ChildState.STOPPING, Turn.KILL): ChildState.KILLED,
}
# States in which a child takes its slot.
ACTIVE = frozenset({ChildState.STARTING, ChildState.READY})


class Strategy(Enum):
    """How many workers a reload replaces at a time."""

    ALL = "all"
    ROLLING = "rolling"
    ONE_BY_ONE = "one-by-one"


class Phase(Enum):
    """Where the supervisor is in its own life."""

    BOOTING = "booting"
    RUNNING = "running"
    RELOADING = "reloading"
    UPGRADING = "upgrading"
    STOPPING = "stopping"
    ENDED = "ended"


class Command(Enum):
    """What an operator can ask for, by signal or otherwise."""

    DRAIN = "drain"
    INTERRUPT = "interrupt"
    STOP = "stop"
    RELOAD = "reload"
    UPGRADE = "upgrade"
    MORE = "more"
    FEWER = "fewer"
    REOPEN_LOGS = "reopen logs"


class Outcome(Enum):
    """What came of a reload or an upgrade."""

    RELOADED = "reloaded"
    UPGRADED = "upgraded"
    REFUSED = "refused"
    ABANDONED = "abandoned"
    STOPPED = "stopped"


class Order(Enum):
    """What the supervisor tells a child; the shell turns it into a signal."""

    DRAIN = "drain"
    STOP = "stop"
    ABORT = "abort"  # leave a word about where it is, and end
    KILL = "kill"
    REOPEN_LOGS = "reopen logs"


@dataclass(frozen=True, slots=True)
class ChildFacts:
    """A child as it is now, for those who want to know.

    Attributes:
        number: identifies it for as long as the supervisor lives.
        name: for people, such as "worker 2".
        role: the name of its role.
        slot: which of its role it is.
        generation: the configuration that it was started from.
        state: where it is in its life.
        since: point in time at which it came into this state.
        started: point in time at which it was started.
        pid: its process id; 0 until it is known.
    """

    number: int
    name: str
    role: str
    slot: int
    generation: int
    state: ChildState
    since: float
    started: float
    pid: int


# What happens.


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The generation that was asked for can be started."""

    generation: int
    roles: tuple[Role, ...]
    strategy: Strategy = Strategy.ALL


@dataclass(frozen=True, slots=True)
class Refused:
    """The generation that was asked for cannot be: its configuration is wrong, or an address is taken."""

    message: str


@dataclass(frozen=True, slots=True)
class ChildReady:
    """A child serves."""

    child: int


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """A child cannot load what it should serve, says why, and ends."""

    child: int
    message: str
    details: str = ""
    status: int = 3


@dataclass(frozen=True, slots=True)
class ChildAskedRecycling:
    """A child has served enough requests and wants a successor."""

    child: int


@dataclass(frozen=True, slots=True)
class ChildStuck:
    """A child has something in hand that does not come to an end, whatever it does about it.

    Attributes:
        child: which one.
        message: what it is.
        is_hopeless: nothing else in it goes on either.
    """

    child: int
    message: str
    is_hopeless: bool


@dataclass(frozen=True, slots=True)
class ChildExited:
    """A child is gone. `reason` reads on from its name: "exited with status 1"."""

    child: int
    reason: str


@dataclass(frozen=True, slots=True)
class Commanded:
    """An operator asks for something."""

    command: Command


@dataclass(frozen=True, slots=True)
class Resized:
    """An operator wants so many children of every role that can be scaled."""

    count: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What was asked for with `Measure`.

    Attributes:
        memory: resident bytes by child; children of which nothing is known are left out.
        loads: what each role that scales has to do, by its name.
    """

    memory: Mapping[int, int] = field(default_factory=dict)
    loads: Mapping[str, Load] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Knocked:
    """Somebody has connected while there was no worker."""


Event = (
    Ticked
    | Prepared
    | Refused
    | ChildReady
    | ChildFailed
    | ChildAskedRecycling
    | ChildStuck
    | ChildExited
    | Commanded
    | Resized
    | Measured
    | Knocked
)


# What is to be done.


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a child. `via` is the child that forks it, or 0 for the supervisor."""

    child: int
    role: str
    slot: int
    generation: int
    via: int


@dataclass(frozen=True, slots=True)
class Launch:
    """Start a new supervisor from the program on disk, as a child, and give it the listeners."""

    child: int


@dataclass(frozen=True, slots=True)
class HandOver:
    """The new supervisor serves: leave the listeners, their files and our name to it, and forget that it is a child."""

    child: int


@dataclass(frozen=True, slots=True)
class Resume:
    """An upgrade has come to nothing: what was meant for the new supervisor is ours again."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell a child something."""

    child: int
    order: Order


@dataclass(frozen=True, slots=True)
class Prepare:
    """Re-read the configuration as this generation; answer with `Prepared` or `Refused`."""

    generation: int


@dataclass(frozen=True, slots=True)
class Announce:
    """All of the first generation are ready: say so to people and to the service manager."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """This generation serves now; what only older ones used can be closed."""

    generation: int


@dataclass(frozen=True, slots=True)
class Abandon:
    """This generation never came to serve; what only it used can be closed."""

    generation: int


@dataclass(frozen=True, slots=True)
class Vacate:
    """This slot of a role is no longer wanted; what only it used can be closed."""

    role: str
    slot: int


@dataclass(frozen=True, slots=True)
class Measure:
    """Look at the children's memory and load; answer with `Measured`."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """So many children of a role are wanted from now on."""

    role: str
    count: int


@dataclass(frozen=True, slots=True)
class StopListening:
    """Close the supervisor's own hold on the listeners."""


@dataclass(frozen=True, slots=True)
class ReopenLogs:
    """Reopen the supervisor's own log."""


@dataclass(frozen=True, slots=True)
class Log:
    """Say something to the operator. `level` is a level name of `logging`, in lower case."""

    level: str
    message: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class Concluded:
    """A reload or an upgrade that was asked for has ended: for those who wait to hear of it.

    Attributes:
        outcome: how.
        message: why nothing has changed; "" when something has.
        details: the application's traceback, if there is one.
        command: what was asked for, RELOAD or UPGRADE.
    """

    outcome: Outcome
    message: str = ""
    details: str = ""
    command: Command = Command.RELOAD


@dataclass(frozen=True, slots=True)
class Finish:
    """End the supervisor.

    Attributes:
        status: the exit status.
        message: why it could not start; "" otherwise.
        details: the application's traceback, if there is one.
    """

    status: int
    message: str = ""
    details: str = ""


Action = (
    Spawn
    | Launch
    | HandOver
    | Resume
    | Tell
    | Prepare
    | Announce
    | Adopt
    | Abandon
    | Vacate
    | Measure
    | Scaled
    | StopListening
    | ReopenLogs
    | Log
    | Concluded
    | Finish
)
