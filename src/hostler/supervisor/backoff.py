"""How long a slot waits before a crashed child is started again."""

from __future__ import annotations

from dataclasses import dataclass

# A first crash is repaired at once: one lost worker must not become an outage.
FIRST_DELAY = 0.0
# From the second crash in a row on: half a second, doubled each time, at most half a minute (both arbitrary; systemd's
# RestartSec with RestartSteps and Kubernetes' 10 s to 5 min lie around them).
BASE_DELAY = 0.5
MAX_DELAY = 30.0
# Up to a quarter more or less, so that the workers of one release do not crash in step.
JITTER = 0.25
# A child that has been ready for this long has crashed for a new reason (arbitrary).
STABLE_AFTER = 10.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """The crash history of one slot.

    Attributes:
        crashes: crashes in a row, without a stable run between them.
        not_before: the point in time before which the slot stays empty.
    """

    crashes: int = 0
    not_before: float = 0.0

    def after_crash(self, now: float, ready_for: float, fraction: float) -> Backoff:
        """Return the history with one more crash.

        Args:
            now: point in time, seconds.
            ready_for: seconds for which the child had been ready; 0 when it never was.
            fraction: a random number from 0 to 1, for the jitter.
        """
        crashes = 1 if ready_for >= STABLE_AFTER else self.crashes + 1
        return Backoff(crashes, now + delay(crashes, fraction))


def delay(crashes: int, fraction: float) -> float:
    """Return the seconds to wait after `crashes` crashes in a row."""
    if crashes <= 1:
        return FIRST_DELAY
    # The exponent is capped because a float overflows long before a crash counter does.
    plain: float = min(MAX_DELAY, BASE_DELAY * 2 ** min(crashes - 2, 16))
    return plain * (1 - JITTER + 2 * JITTER * fraction)
