"""uWSGI's command line, taken apart as GNU getopt does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hostler.compat.uwsgi.option import Takes
from hostler.config.origin import suggest
from hostler.errors import ConfigurationError

PROGRAM = "hostler uwsgi"


@dataclass(frozen=True, slots=True)
class Word:
    """An option on the command line, or a file if it has no name."""

    name: str
    value: str | None


class CommandLine:
    """Takes the words one by one; an option that was declared meanwhile is known to those that follow."""

    def __init__(self, words: Sequence[str], takes: Mapping[str, Takes], letters: Mapping[str, str]) -> None:
        """Take the words.

        Args:
            words: without the program's name.
            takes: what each option takes; may grow.
            letters: the option that each letter stands for.
        """
        self._words = list(words)
        self._takes = takes
        self._letters = letters

    def read(self) -> Iterator[Word]:
        """Give the options in order, and after all of them the files, wherever they stand.

        Raises:
            ConfigurationError: an option is unknown, or lacks its value.
        """
        files = []
        while self._words:
            word = self._words.pop(0)
            if word == "--":
                files += self._words
                self._words = []
            elif word.startswith("--"):
                yield self._read_long(word[2:])
            elif word.startswith("-") and word != "-":
                yield from self._read_letters(word[1:])
            else:
                files.append(word)
        for name in files:
            yield Word("", name)

    def _read_long(self, word: str) -> Word:
        text, equals, value = word.partition("=")
        name = self._find(text)
        takes = self._takes[name]
        if takes is Takes.NOTHING and equals:
            raise ConfigurationError(f"--{name} takes no value; {value!r} was given")
        if takes is Takes.VALUE and not equals:
            return Word(name, self._take_value(f"--{name}"))
        return Word(name, value if equals else None)

    def _find(self, text: str) -> str:
        if text in self._takes:
            return text
        longer = [name for name in self._takes if name.startswith(text)] if text else []
        if len(longer) == 1:
            return longer[0]
        if longer:
            raise ConfigurationError(
                f"--{text} may be {', '.join(f'--{name}' for name in sorted(longer)[:5])}; name one"
            )
        hint = suggest(text, self._takes, otherwise=f"; see {PROGRAM} --help")
        raise ConfigurationError(f"unknown option --{text}{hint}")

    def _read_letters(self, text: str) -> Iterator[Word]:
        while text:
            letter, text = text[0], text[1:]
            name = self._letters.get(letter)
            if name is None:
                raise ConfigurationError(f"unknown option -{letter}; see {PROGRAM} --help")
            takes = self._takes[name]
            if takes is Takes.NOTHING:
                yield Word(name, None)
                continue
            value = text or (self._take_value(f"-{letter}") if takes is Takes.VALUE else None)
            yield Word(name, value)
            return

    def _take_value(self, shown: str) -> str:
        if not self._words:
            raise ConfigurationError(f"{shown} needs a value")
        return self._words.pop(0)
