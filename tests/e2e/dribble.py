"""Opens many connections, leaves some idle and sends one byte at a time on the others; a process of its own.

Run as `python -m tests.e2e.dribble PORT IDLE DRIBBLING`. It says `ready` once all are open, then sends a byte on each
of the dribbling ones every 100 ms, and ends when its standard input ends.
"""

from __future__ import annotations

import itertools
import resource
import select
import socket
import sys

PAUSE = 0.1


def main() -> None:
    """Be the slow clients."""
    port, idle, dribbling = map(int, sys.argv[1:])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, idle + dribbling + 100)), hard))
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(idle)]
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(dribbling)]
    for stream in slow:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nX-Slow: ")
    sys.stdout.write(f"ready {len(silent) + len(slow)}\n")
    sys.stdout.flush()
    for byte in itertools.repeat(b"x"):
        if select.select([sys.stdin], [], [], PAUSE)[0]:
            return
        for stream in slow:
            stream.sendall(byte)


if __name__ == "__main__":
    main()
