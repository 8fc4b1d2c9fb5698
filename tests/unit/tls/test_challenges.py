"""Answers to authorities: what is one, and what workers are given of them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import pytest

from hostler.tls.challenges import MAX_ANSWERS, Challenges, parse_token

THUMBPRINT = "x" * 43


@pytest.fixture
def challenges() -> Iterator[Challenges]:
    made = Challenges()
    yield made
    made.close()


def given(challenges: Challenges) -> tuple[int, list[str]]:
    """What a worker reads: the number, and the answers."""
    number, length = struct.unpack("<QQ", os.pread(challenges.fd, 16, 0))
    rest, answers = os.pread(challenges.fd, length, 16), []
    assert len(rest) == length == os.fstat(challenges.fd).st_size - 16
    while rest:
        (size,) = struct.unpack("<I", rest[1:5])
        assert rest[:1] == b"H"
        answers.append(rest[5 : 5 + size].decode())
        rest = rest[5 + size :]
    return number, answers


def test_there_is_something_to_read_from_the_beginning(challenges: Challenges) -> None:
    assert given(challenges) == (2, [])


def test_answers_come_and_go(challenges: Challenges) -> None:
    assert challenges.add(f"-one_.{THUMBPRINT}") == "-one_"
    challenges.add(f"two.{THUMBPRINT}")
    assert given(challenges) == (6, [f"-one_.{THUMBPRINT}", f"two.{THUMBPRINT}"])
    assert challenges.remove("-one_")
    assert not challenges.remove("-one_")
    assert given(challenges) == (8, [f"two.{THUMBPRINT}"])
    challenges.add(f"two.{'y' * 43}")
    assert given(challenges) == (10, [f"two.{'y' * 43}"])


def test_oldest_answers_go_first_when_nobody_cleans_up(challenges: Challenges) -> None:
    for number in range(MAX_ANSWERS + 2):
        challenges.add(f"{number}.{THUMBPRINT}")
        challenges.add(f"0.{THUMBPRINT}")
    tokens = [answer.partition(".")[0] for answer in given(challenges)[1]]
    assert len(challenges) == len(tokens) == MAX_ANSWERS
    assert {"0", str(MAX_ANSWERS + 1)} <= set(tokens)
    assert not {"1", "2"} & set(tokens)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "token",
        f".{THUMBPRINT}",
        "token.short",
        f"token.{THUMBPRINT}x",
        f"to/ken.{THUMBPRINT}",
        f"token.{THUMBPRINT}\n",
        f"tokén.{THUMBPRINT}",
        f"{'x' * 129}.{THUMBPRINT}",
        f"token.{THUMBPRINT[:-1]}=",
    ],
)
def test_what_is_no_key_authorization_is_refused(challenges: Challenges, text: str) -> None:
    with pytest.raises(ValueError, match="is no key authorization"):
        challenges.add(text)
    assert given(challenges) == (2, [])


def test_token_is_read_from_itself_or_from_a_key_authorization() -> None:
    assert parse_token("-to_ken") == parse_token(f"-to_ken.{THUMBPRINT}") == "-to_ken"
    for text in ("", ".", "a b", "../a", "x" * 129):
        with pytest.raises(ValueError, match="begins with no token"):
            parse_token(text)
