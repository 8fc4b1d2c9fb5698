"""What authorities are answered that look over HTTP whether we have a name (RFC 8555 8.3).

Theory: an ACME client gets a token from the authority, and makes the *key authorization* of it: the token, a full stop
and the thumbprint of its own key. That is the answer at `/.well-known/acme-challenge/TOKEN`. Answers are handed to
workers as certificates are, in a file in memory of their own; what is there is given with the next request to any of
them.
"""

from __future__ import annotations

import re

from hostler.tls.contents import build_answers
from hostler.tls.store import Store

# RFC 8555 8.3: tokens are base64url. Their length is bounded as the engine has it; authorities use 43 characters.
_WORD = r"[A-Za-z0-9_-]{1,128}"
# RFC 8555 8.1: SHA-256, in base64url without padding.
_THUMBPRINT = r"[A-Za-z0-9_-]{43}"
_TOKEN = re.compile(_WORD)
_KEY_AUTHORIZATION = re.compile(rf"({_WORD})\.{_THUMBPRINT}")
# Answers at once: as for ten certificates of 100 names. The oldest go first, as nobody may have cleaned up.
MAX_ANSWERS = 1_000


def parse_token(text: str) -> str:
    """Read the token from a key authorization, or from itself alone.

    Raises:
        ValueError: it is neither.
    """
    token = text.partition(".")[0]
    if not _TOKEN.fullmatch(token):
        raise ValueError(f"{text[:200]!r} begins with no token, which is up to 128 letters, digits, - and _")
    return token


class Challenges:
    """The answers of one server, for the workers of all its generations."""

    def __init__(self) -> None:
        """Begin without any."""
        self._answers: dict[str, str] = {}
        self._store = Store(b"", "hostler-challenges")

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def fd(self) -> int:
        """The descriptor of the file that workers read."""
        return self._store.fd

    def add(self, key_authorization: str) -> str:
        """Answer with this where its token is asked for. Returns the token.

        Raises:
            ValueError: it is no key authorization.
        """
        match = _KEY_AUTHORIZATION.fullmatch(key_authorization)
        if match is None:
            raise ValueError(
                f"{key_authorization[:200]!r} is no key authorization, which is a token, a full stop and a thumbprint "
                "of 43 letters, digits, - and _"
            )
        self._answers.pop(match[1], None)
        self._answers[match[1]] = key_authorization
        if len(self._answers) > MAX_ANSWERS:
            del self._answers[next(iter(self._answers))]
        self._hand_over()
        return match[1]

    def remove(self, token: str) -> bool:
        """Leave a token to the application again. Returns whether there was an answer to it."""
        if self._answers.pop(token, None) is None:
            return False
        self._hand_over()
        return True

    def close(self) -> None:
        """Close the file; workers have it still."""
        self._store.close()

    def _hand_over(self) -> None:
        self._store.write(build_answers(self._answers.values()))
