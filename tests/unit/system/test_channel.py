"""Messages between processes, over real pipes and socket pairs."""

from __future__ import annotations

import os
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hostler.contracts import Listener
from hostler.system.channel import MessageReader, open_control_pair, open_pipe, send_message
from hostler.system.forking import ForkRequest, receive_fork_request, send_fork_request


@given(st.lists(st.text(max_size=20), max_size=5), st.integers(1, 40))
def test_any_split_gives_the_same_messages(texts: list[str], size: int) -> None:
    source, target = open_pipe()
    for text in texts:
        send_message(target, {"event": text})
    os.close(target)
    data = os.read(source, 1 << 20)
    os.close(source)
    source, target = open_pipe()
    reader = MessageReader(source)
    received = []
    for start in range(0, len(data), size):
        os.write(target, data[start : start + size])
        received += reader.receive()
    assert [each["event"] for each in received] == texts
    os.close(target)
    assert reader.receive() == []
    assert reader.is_closed
    reader.close()


def test_noise_on_the_pipe_is_dropped() -> None:
    source, target = open_pipe()
    reader = MessageReader(source)
    os.write(target, b'hello\n[1]\n\xff\n{"event": "ready"}\n{"event"')
    assert reader.receive() == [{"event": "ready"}]
    os.close(target)
    reader.close()


def test_sender_learns_that_the_reader_is_gone() -> None:
    source, target = open_pipe()
    os.close(source)
    assert not send_message(target, {"event": "ready"})
    os.close(target)


def test_fork_request_arrives_with_working_descriptors() -> None:
    ours, theirs = open_control_pair()
    status_read, status_write = open_pipe()
    lifeline_read, lifeline_write = open_pipe()
    listener = Listener(lifeline_read, "tcp", "127.0.0.1", 80, "http://127.0.0.1:80", "uwsgi", proxy_protocol=True)
    assert send_fork_request(ours, ForkRequest("worker", 2, status_write, lifeline_read, (listener,)))
    request = receive_fork_request(theirs)
    assert request is not None
    assert (request.role, request.slot) == ("worker", 2)
    assert replace(request.listeners[0], fd=lifeline_read) == listener
    assert request.listeners[0].fd not in (lifeline_read, -1)
    os.write(request.status_fd, b"hi")
    assert os.read(status_read, 2) == b"hi"
    received = (request.status_fd, request.lifeline_fd, request.listeners[0].fd)
    assert not any(os.get_inheritable(fd) for fd in received)
    os.close(ours)
    assert receive_fork_request(theirs) is None
    for fd in (theirs, status_read, status_write, lifeline_read, lifeline_write, *received):
        os.close(fd)


def test_fork_server_that_is_gone_is_noticed() -> None:
    ours, theirs = open_control_pair()
    os.close(theirs)
    assert not send_fork_request(ours, ForkRequest("worker", 1, 1, 2))
    os.close(ours)
