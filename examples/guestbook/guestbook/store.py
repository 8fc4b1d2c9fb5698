"""Keeps the entries of the guestbook in SQLite."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    message TEXT NOT NULL,
    written_at TEXT NOT NULL
)
"""
GREETING = ("The hostler", "Welcome. Leave your name, and a word if you like; the horses are being seen to.")


@dataclass(frozen=True, slots=True)
class Entry:
    """One signature."""

    name: str
    message: str
    written_at: datetime


class Guestbook:
    """The entries, shared by all workers through one database file.

    A connection lives for one call: SQLite opens one in microseconds, and nothing is shared between threads or
    across a fork.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as database:
            # All workers start at once, and one of them makes the table: the others wait here, for as long as the
            # timeout says. A change of the journal mode would not wait but fail.
            database.execute("BEGIN IMMEDIATE")
            database.execute(SCHEMA)
            (count,) = database.execute("SELECT count(*) FROM entry").fetchone()
            if count == 0:
                self._insert(database, *GREETING)

    def sign(self, name: str, message: str) -> None:
        """Add an entry, written now."""
        with self._open() as database:
            self._insert(database, name, message)

    def latest(self, count: int) -> list[Entry]:
        """List the newest entries, newest first."""
        query = "SELECT name, message, written_at FROM entry ORDER BY id DESC LIMIT ?"
        with self._open() as database:
            rows = database.execute(query, (count,)).fetchall()
        return [Entry(name, message, datetime.fromisoformat(written_at)) for name, message, written_at in rows]

    def count(self) -> int:
        """Count all entries."""
        with self._open() as database:
            (count,) = database.execute("SELECT count(*) FROM entry").fetchone()
        return int(count)

    @staticmethod
    def _insert(database: sqlite3.Connection, name: str, message: str) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        database.execute("INSERT INTO entry (name, message, written_at) VALUES (?, ?, ?)", (name, message, now))

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._path, timeout=10)) as database, database:
            yield database
