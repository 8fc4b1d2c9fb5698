"""Reads everything that uWSGI is told, and gives its options with their final values, in the order that counts.

Theory, as uWSGI has it: each option that is met is *exported* to one list. Some act when they are met (files that are
included, `if` and `for`, placeholders, `strict`): their own values are as they stand. When all is read, `$(ENV)`,
`@(file)` and `%(name)` are replaced in all other values, in this order. Then comes what files that are inherited hold,
which nothing is replaced in any more. The last of several values is the one that counts, unless the option adds up.

Environment variables come first, then the options of the command line in their order with the files that they name,
then the files that stand by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hostler.compat.uwsgi.command_line import PROGRAM, CommandLine
from hostler.compat.uwsgi.logic import ENDS, STATEMENTS, Repeat, Scene
from hostler.compat.uwsgi.magic import Machine, MagicTable
from hostler.compat.uwsgi.option import Given, Takes
from hostler.compat.uwsgi.placeholder import compute, replace_all
from hostler.compat.uwsgi.scheme import read_text
from hostler.compat.uwsgi.syntax import FORMATS, SECTIONS, parse_xml
from hostler.compat.uwsgi.table import index_options
from hostler.config.origin import Origin, find_nearest
from hostler.errors import ConfigurationError

# Variables that begin with UWSGI_ and are no options.
_NO_OPTIONS = frozenset(
    {
        "UWSGI_RELOADS", "UWSGI_VASSALS_DIR", "UWSGI_EMPEROR_FD", "UWSGI_BROODLORD_NUM", "UWSGI_EMPEROR_FD_CONFIG",
        "UWSGI_EMPEROR_PROXY", "UWSGI_JAIL_PID", "UWSGI_ORIGINAL_PROC_NAME", "UWSGI_PLUGINS",
    }
)  # fmt: skip
# How deep files may include each other, and how many may be read in all (arbitrary).
DEEPEST_FILE = 50
MOST_FILES = 500


@dataclass(slots=True)
class Exported:
    """An option as it was met.

    Attributes:
        given: the option.
        is_settled: whether it has done what it does, so that nothing is replaced in it any more.
        is_placeholder: whether it is a name for a value only.
        is_hidden: whether an option that was declared stands for it, which is shown in its place.
    """

    given: Given
    is_settled: bool = False
    is_placeholder: bool = False
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was read.

    Attributes:
        given: the options that count, in order.
        shown: everything that was met, in order, for people.
        files: the files that were read.
        remarks: what is odd, a sentence each.
        is_strict: whether an unknown option is an error.
    """

    given: tuple[Given, ...]
    shown: tuple[Given, ...]
    files: tuple[Path, ...]
    remarks: tuple[str, ...]
    is_strict: bool


class Reader:
    """Reads once; make another to read again."""

    def __init__(
        self, environ: Mapping[str, str], machine: Machine, *, is_reload: bool = False, is_elsewhere: bool = False
    ) -> None:
        """Begin.

        Args:
            environ: the environment variables.
            machine: the facts that magic variables stand for.
            is_reload: whether this is a reload.
            is_elsewhere: whether the server runs on another machine, so that files may be missing here.
        """
        self._environ = environ
        self._directory = machine.directory
        self._magic = MagicTable(machine)
        self._is_elsewhere = is_elsewhere
        self._exported: list[Exported] = []
        self._first: dict[str, Exported] = {}
        self._scene = Scene(machine.directory, environ, machine.host, is_reload, self._find)
        self._statement: tuple[Repeat, str, str] | None = None
        self._is_repeating = False
        self._is_strict = False
        self._lists: dict[str, frozenset[str] | None] = {"blacklist": None, "whitelist": None}
        self._custom: dict[str, str] = {}
        self._takes = {name: takes for option in index_options().values() for name, takes in option.names.items()}
        self._files: list[Path] = []
        self._depth = 0
        self._loads = 0
        self._last_file = ""
        self._remarks: list[str] = []
        # The names that placeholders and conditions have asked for.
        self._asked: set[str] = set()
        self._handlers: dict[str, Callable[[Given], None]] = {
            **dict.fromkeys(FORMATS, self._load_format),
            "include": self._load_template,
            "strict": self._set_strict,
            "set": self._set_option,
            **dict.fromkeys(("set-placeholder", "set-ph"), self._set_placeholder),
            "blacklist": self._set_list,
            "whitelist": self._set_list,
            "end-blacklist": lambda _given: self._lists.update(blacklist=None),
            "end-whitelist": lambda _given: self._lists.update(whitelist=None),
            "declare-option": self._declare,
        }

    def read(self, words: Sequence[str], letters: Mapping[str, str]) -> Reading:
        """Read the environment, the command line, and the files that they name.

        Args:
            words: the command line, without the program's name.
            letters: the option that each letter stands for.

        Raises:
            ConfigurationError: something cannot be read, or is not allowed.
        """
        for variable, value in self._environ.items():
            if variable.startswith("UWSGI_") and variable not in _NO_OPTIONS:
                name = variable.removeprefix("UWSGI_").lower().replace("_", "-")
                self._export(name, value, Origin("environment", variable))
        for word in CommandLine(words, self._takes, letters).read():
            if word.name:
                self._export(word.name, word.value, Origin("flag", f"--{word.name}"))
            elif word.value is not None and not word.value.startswith("["):
                self._load(word.value, PROGRAM, is_template=True)
        self._replace_everywhere()
        self._follow()
        return self._conclude()

    # Meeting options.

    def _export(self, name: str, value: str | None, origin: Origin) -> None:
        """Take an option in, or what `for` and `if` make of it."""
        self._check_allowed(name, origin)
        if not self._is_repeating:
            if name in ENDS:
                self._statement = None
            if self._statement is not None:
                self._repeat(name, value, origin)
                return
        self._add(Given(name, value, origin))

    def _repeat(self, name: str, value: str | None, origin: Origin) -> None:
        assert self._statement is not None
        repeat, argument, _ = self._statement
        texts = list(repeat(argument, self._scene))
        self._is_repeating = True
        for text in texts:
            found = value.replace("%(_)", text) if value is not None and text is not None else value
            self._export(name, found, origin)
        self._is_repeating = False

    def _check_allowed(self, name: str, origin: Origin) -> None:
        allowed, forbidden = self._lists["whitelist"], self._lists["blacklist"]
        if name in ("end-blacklist", "end-whitelist"):
            return
        if (forbidden is not None and name in forbidden) or (allowed is not None and name not in allowed):
            kind = "blacklist" if forbidden is not None and name in forbidden else "whitelist"
            raise ConfigurationError(f"{origin.where}: {name} is not allowed here, by {kind}")

    def _add(self, given: Given, *, is_placeholder: bool = False) -> None:
        exported = Exported(given, is_settled=is_placeholder, is_placeholder=is_placeholder)
        self._exported.append(exported)
        self._first.setdefault(given.name, exported)
        if is_placeholder:
            return
        if given.name in self._custom:
            exported.is_settled = True
            self._expand(given)
        elif given.name in STATEMENTS:
            exported.is_settled = True
            self._begin(given)
        elif given.name in self._handlers:
            exported.is_settled = True
            self._handlers[given.name](given)

    def _begin(self, given: Given) -> None:
        if self._statement is not None:
            raise ConfigurationError(
                f"{given.origin.where}: {given.name} stands inside of {self._statement[2]}; end that first"
            )
        self._statement = STATEMENTS[given.name], given.text, given.name

    def _find(self, name: str) -> str | None:
        self._asked.add(name)
        exported = self._first.get(name)
        return exported.given.value if exported is not None else None

    def _set_strict(self, given: Given) -> None:
        self._is_strict = given.is_on

    def _set_list(self, given: Given) -> None:
        self._lists[given.name] = frozenset(given.text.split())

    def _split(self, given: Given) -> tuple[str, str]:
        name, equals, value = given.text.partition("=")
        if not equals:
            raise ConfigurationError(f'{given.origin.where}: {given.name} is "{given.text}"; it must be name=value')
        return name, value

    def _set_option(self, given: Given) -> None:
        name, value = self._split(given)
        self._export(name, value, given.origin)

    def _set_placeholder(self, given: Given) -> None:
        name, value = self._split(given)
        if name in self._takes:
            raise ConfigurationError(f"{given.origin.where}: {name} is an option; a placeholder needs another name")
        self._check_allowed(name, given.origin)
        self._add(Given(name, value, given.origin), is_placeholder=True)

    def _declare(self, given: Given) -> None:
        name, template = self._split(given)
        self._custom[name] = template
        takes = Takes.VALUE if any(f"${number}" in template for number in (1, 2, 3)) else Takes.NOTHING
        self._takes.setdefault(name, takes)

    def _expand(self, given: Given) -> None:
        """Put the options in that an option declared in the file stands for."""
        words = [word for word in given.text.split(" ") if word] or [""]
        for part in self._custom[given.name].split(";"):
            name, equals, value = part.partition("=")
            if not equals:
                continue
            for number, word in enumerate(words, 1):
                name, value = name.replace(f"${number}", word), value.replace(f"${number}", word)
            self._exported.append(Exported(Given(name, value, given.origin), is_hidden=True))

    # Files.

    def _load_format(self, given: Given) -> None:
        self._load(given.text, given.origin.where, kind=given.name)

    def _load_template(self, given: Given) -> None:
        self._load(given.text, given.origin.where, is_template=True)

    def _load(self, name: str, where: str, *, kind: str = "", is_template: bool = False) -> None:
        """Read a file, with the section that its name may end in.

        Raises:
            ConfigurationError: it has no format, cannot be read, or is read without end.
        """
        path, section = split_section(name)
        kind = kind or path.rpartition(".")[2]
        if kind not in FORMATS:
            raise ConfigurationError(
                f"{where}: {name} is no configuration (.ini, .xml, .yaml, .json); an application is named by "
                "--wsgi-file PATH or --module NAME"
            )
        path = path or self._last_file
        self._loads += 1
        if self._depth >= DEEPEST_FILE or self._loads > MOST_FILES:
            raise ConfigurationError(f"{where}: {name}: the files include each other without end")
        parse = FORMATS[kind]
        self._magic.enter(name, is_template=is_template)
        text = self._read_file(path, where)
        if text is None:
            return
        self._last_file = path
        self._depth += 1
        wanted = section or SECTIONS[parse]
        is_found = False
        for line in parse(self._magic.replace(text), wanted, path):
            is_found = True
            place = f"{path}:{line.number}" if line.number else path
            self._export(line.key, line.value, Origin("file", place))
        self._depth -= 1
        if not is_found and parse is not parse_xml:
            self._remarks.append(f"{path} has no section {wanted}, or nothing in it")

    def _read_file(self, path: str, where: str) -> str | None:
        if self._is_elsewhere and not (self._directory / path).is_file():
            self._remarks.append(f"{path} is not here, and so was not read ({where})")
            return None
        text = read_text(path, self._directory, where)
        if path != "-" and "://" not in path:
            self._files.append(self._directory / path)
        return text

    # When all is read.

    def _replace_everywhere(self) -> None:
        for symbol, look_up in (("$", self._environ.get), ("@", None), ("%", lambda text: compute(text, self._find))):
            for exported in self._exported:
                given = exported.given
                if given.value is None or exported.is_settled or f"{symbol}(" not in given.value:
                    continue
                find = look_up if look_up is not None else self._read_at(given)
                value = replace_all(given.value, symbol, find, given.origin.where)
                exported.given = replace(given, value=value)

    def _read_at(self, given: Given) -> Callable[[str], str | None]:
        def read(name: str) -> str | None:
            if self._is_elsewhere and "://" not in name and not (self._directory / name).is_file():
                self._remarks.append(f"{name} is not here, and so was not read ({given.origin.where})")
                return None
            text = read_text(name, self._directory, given.origin.where)
            return text[:-1] if text[-1:] in ("\n", "\r") else text

        return read

    def _follow(self) -> None:
        """Read files that are inherited, where they stand; what they hold comes behind all else."""
        for exported in self._exported:
            if exported.is_settled:
                continue
            exported.is_settled = True
            if exported.given.name == "inherit":
                self._load(exported.given.text, exported.given.origin.where, is_template=True)

    def _conclude(self) -> Reading:
        if self._statement is not None:
            self._remarks.append(f"{self._statement[2]} {self._statement[1]} has no end")
        given, unknown = [], []
        for exported in self._exported:
            name = exported.given.name
            if name in index_options():
                given.append(exported.given)
            elif not exported.is_placeholder and name not in self._custom:
                unknown.append(exported.given)
        self._judge_unknown(unknown)
        shown = tuple(each.given for each in self._exported if not each.is_hidden)
        return Reading(tuple(given), shown, tuple(self._files), tuple(self._remarks), self._is_strict)

    def _judge_unknown(self, unknown: Sequence[Given]) -> None:
        """Refuse unknown options if `strict`; else say which were probably meant to be options.

        Raises:
            ConfigurationError: an unknown option is an error; a line for each.
        """
        problems = []
        for given in unknown:
            if given.origin.source == "environment":
                continue
            if self._is_strict:
                nearest = find_nearest(given.name, self._takes)
                hint = f"; did you mean {nearest}?" if nearest else "; a placeholder is made by set-ph"
                problems.append(f"{given.origin.where}: unknown option {given.name}{hint}")
            else:
                nearest = find_nearest(given.name, self._takes, cutoff=0.85)
                if nearest and given.name not in self._asked:
                    self._remarks.append(f"{given.origin.where}: {given.name} is no option; did you mean {nearest}?")
        if problems:
            raise ConfigurationError("\n".join(problems))


def split_section(name: str) -> tuple[str, str]:
    """Split the name of a file from that of its section: `app.ini:staging`, `:staging` in the same file."""
    if "://" in name:
        scheme, _, rest = name.partition("://")
        path, _, section = rest.partition(":")
        return f"{scheme}://{path}", section
    path, colon, section = name.rpartition(":")
    return (path, section) if colon else (name, "")
