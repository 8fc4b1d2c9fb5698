"""A tolerant reader of nginx's and Apache's files: directives, blocks, where they stand. It never refuses anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

# nginx allows includes within includes without end; this ends a circle.
_DEEPEST = 16
_NGINX_TOKEN = re.compile(
    r"""
    \s+ | \#[^\n]*
    | (?P<mark>[;{}])
    | (?P<quoted>"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*')
    | (?P<word>(?:\\. | \$\{[^}]*\} | [^\s;{}\\])+)
    """,
    re.DOTALL | re.VERBOSE,
)
_FILE_HEADING = re.compile(r"^# configuration file (?P<path>.+):$", re.MULTILINE)
_APACHE_WORD = re.compile(r""""((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|(\S+)""")


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive.

    Attributes:
        name: its name; Apache's in lower case.
        arguments: its arguments, without quotes.
        where: "FILE:LINE".
        block: what stands in its braces, or in its section.
    """

    name: str
    arguments: tuple[str, ...]
    where: str
    block: tuple[Directive, ...] = ()

    def find(self, *names: str) -> Iterator[Directive]:
        """Find the directives of these names in the block, not in blocks of the block."""
        return (each for each in self.block if each.name in names)

    def last(self, name: str) -> Directive | None:
        """Find the last directive of that name in the block."""
        return next((each for each in reversed(self.block) if each.name == name), None)


# nginx


def split_dump(text: str) -> dict[str, str]:
    """Split what `nginx -T` prints into files, by path, the main one first."""
    headings = list(_FILE_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    return {heading["path"]: text[heading.end() + 1 : end] for heading, end in zip(headings, ends, strict=True)}


def read_nginx(files: Mapping[str, str]) -> tuple[Directive, ...]:
    """Read all files as one: what is included stands where its include stands."""
    if not files:
        return ()
    main = next(iter(files))
    return tuple(_NginxReader(files, str(PurePosixPath(main).parent)).read(main, 0))


@dataclass(slots=True)
class _NginxReader:
    files: Mapping[str, str]
    prefix: str

    def read(self, path: str, depth: int) -> Iterator[Directive]:
        tokens = _Tokens(list(_split_nginx(self.files[path])))
        while tokens.rest:
            yield from self._read_block(tokens, path, depth)

    def _read_block(self, tokens: _Tokens, path: str, depth: int) -> Iterator[Directive]:
        words: list[str] = []
        began = 0
        while tokens.rest:
            text, line, is_mark = tokens.take()
            if not is_mark:
                began = began if words else line
                words.append(text)
            elif text == "}":
                return
            elif words:
                block = tuple(self._read_block(tokens, path, depth)) if text == "{" else ()
                yield from self._finish(words, block, f"{path}:{began}", depth)
                words = []

    def _finish(
        self, words: Sequence[str], block: tuple[Directive, ...], where: str, depth: int
    ) -> Iterator[Directive]:
        name, *arguments = words
        if name != "include" or not arguments or depth > _DEEPEST:
            yield Directive(name, tuple(arguments), where, block)
            return
        pattern = arguments[0] if arguments[0].startswith("/") else f"{self.prefix}/{arguments[0]}"
        for path in sorted(self.files):
            if fnmatchcase(path, pattern) and path.count("/") == pattern.count("/"):
                yield from self.read(path, depth + 1)


@dataclass(slots=True)
class _Tokens:
    all: list[tuple[str, int, bool]]
    place: int = 0

    @property
    def rest(self) -> int:
        return len(self.all) - self.place

    def take(self) -> tuple[str, int, bool]:
        self.place += 1
        return self.all[self.place - 1]


def _split_nginx(text: str) -> Iterator[tuple[str, int, bool]]:
    """Give words and marks with their lines; a character that begins neither is skipped."""
    place, line = 0, 1
    while place < len(text):
        found = _NGINX_TOKEN.match(text, place)
        whole = found[0] if found else text[place]
        if found and found["mark"]:
            yield found["mark"], line, True
        elif found and found["quoted"]:
            yield re.sub(r"\\(.)", r"\1", found["quoted"][1:-1]), line, False
        elif found and found["word"]:
            yield found["word"], line, False
        line += whole.count("\n")
        place += len(whole)


# Apache


@dataclass(slots=True)
class _Section:
    name: str
    arguments: tuple[str, ...]
    where: str
    block: list[Directive] = field(default_factory=list)


def read_apache(files: Mapping[str, str], variables: Mapping[str, str]) -> tuple[Directive, ...]:
    """Read files one after the other.

    Args:
        files: their texts, by path.
        variables: what `${NAME}` stands for; what `Define` sets is added.
    """
    known = dict(variables)
    return tuple(each for path, text in files.items() for each in _read_apache_file(path, text, known))


def _read_apache_file(path: str, text: str, known: dict[str, str]) -> list[Directive]:
    open_sections = [_Section("", (), path)]
    for line, written in _split_apache(text):
        statement = re.sub(r"\$\{(\w+)\}", lambda found: known.get(found[1], found[0]), written)
        where = f"{path}:{line}"
        if statement.startswith("</"):
            if len(open_sections) > 1:
                _close(open_sections)
            continue
        is_section = statement.startswith("<")
        words = _split_words(statement.strip("<>") if is_section else statement)
        if not words:
            continue
        name, arguments = words[0].lower(), tuple(words[1:])
        if is_section:
            open_sections.append(_Section(name, arguments, where))
            continue
        if name == "define" and arguments:
            known[arguments[0]] = arguments[1] if len(arguments) > 1 else ""
        open_sections[-1].block.append(Directive(name, arguments, where))
    while len(open_sections) > 1:
        _close(open_sections)
    return open_sections[0].block


def _close(open_sections: list[_Section]) -> None:
    ended = open_sections.pop()
    # A condition is taken as fulfilled: which modules there are is not known here.
    if ended.name in {"ifmodule", "ifdefine", "ifversion", "ifmodule!"}:
        open_sections[-1].block.extend(ended.block)
    else:
        open_sections[-1].block.append(Directive(ended.name, ended.arguments, ended.where, tuple(ended.block)))


def _split_apache(text: str) -> Iterator[tuple[int, str]]:
    held, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        began = began if held else number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        statement = (held + line).strip()
        held = ""
        if statement and not statement.startswith("#"):
            yield began, statement


def _split_words(text: str) -> list[str]:
    words = []
    for double, single, bare in _APACHE_WORD.findall(text):
        words.append(bare or re.sub(r'\\(["\\])', r"\1", double or single))
    return words
