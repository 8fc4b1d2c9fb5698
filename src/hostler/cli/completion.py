"""`hostler completion`: scripts that teach a shell to complete commands, flags, choices, files and applications.

A script holds everything that it needs, so that a press of the tabulator starts no Python. It is made from the table of
commands and from the parsers of the commands, which are made from the schema. File names become candidates only if they
are module names, so that no name is ever expanded by the shell.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hostler.cli import instance
from hostler.cli.arguments import build_parser
from hostler.cli.command import COMMANDS, WITH_INSTANCE, WITH_OPTIONS
from hostler.cli.config import ACTIONS
from hostler.config.kind import Integer, Location, Text
from hostler.config.origin import suggest
from hostler.config.parser import Switch
from hostler.errors import ConfigurationError
from hostler.generate import KINDS

# What may follow a command at once.
WORDS: Mapping[str, Sequence[str]] = {
    "certs": ("self-signed",),
    "config": ACTIONS,
    "generate": tuple(KINDS),
    "completion": ("bash", "zsh", "fish"),
    "help": (*COMMANDS, "options"),
    "version": (),
}
WITH_FLAGS = (*WITH_OPTIONS, *WITH_INSTANCE)
_WITH_APPLICATION = tuple(name for name, entry in COMMANDS.items() if "[APP]" in entry.usage)
_APPLICATION = "app.target"
# Of the files that have headers; those of other syntaxes would need a parser.
_LIST_OVERLAYS = r"cat hostler.toml hostler.ini 2>/dev/null | sed -n 's/^\[env\.\([A-Za-z0-9_-]*\).*/\1/p'"
# Terminals cut longer ones, and arrange fewer columns.
_LONGEST_SUMMARY = 70


def execute(arguments: Sequence[str]) -> int:
    """Print the script for a shell."""
    shells = ", ".join(WRITERS)
    if not arguments:
        raise ConfigurationError(f'say for which shell: "hostler completion SHELL"; there are {shells}')
    shell, *rest = arguments
    if shell in {"-h", "--help"}:
        print(f"usage: hostler {COMMANDS['completion'].usage}\n\n{COMMANDS['completion'].summary}")
        return 0
    if shell not in WRITERS:
        hint = suggest(shell, WRITERS, otherwise=f"; there are {shells}")
        raise ConfigurationError(f'there is no completion for "{shell}"{hint}')
    if rest:
        raise ConfigurationError(f'unexpected argument "{rest[0]}"; write "hostler completion {shell}"')
    print(WRITERS[shell](), end="")
    return 0


@dataclass(frozen=True, slots=True)
class Values:
    """What may follow a flag.

    Attributes:
        words: the words to choose from.
        has_files: whether it is a path.
        has_applications: whether it is an application.
        has_overlays: whether it is an overlay of the configuration file.
    """

    words: tuple[str, ...] = ()
    has_files: bool = False
    has_applications: bool = False
    has_overlays: bool = False


def describe_values(switch: Switch) -> Values:
    """Say what may follow a flag, from the declaration of its option."""
    kind = switch.option.kind if switch.option else None
    if switch.option is not None and switch.option.path == _APPLICATION:
        return Values(has_applications=True)
    if "--env" in switch.spellings:
        return Values(has_overlays=True)
    if isinstance(kind, Text) and kind.choices:
        return Values(kind.choices)
    if isinstance(kind, Integer) and kind.auto:
        return Values(("auto",))
    is_path = isinstance(kind, Location) or (isinstance(kind, Text) and kind.path)
    return Values(has_files=is_path or switch.metavar in {"PATH", "FILE"})


@functools.cache
def list_switches(command: str) -> Sequence[Switch]:
    """List the flags of a command."""
    if command in WITH_INSTANCE:
        return instance.build_parser(command).list_switches()
    return build_parser(command, show_all=True).list_switches()


def list_all_switches() -> Iterator[Switch]:
    """List the flags of all commands, each once."""
    seen: list[Switch] = []
    for command in WITH_FLAGS:
        for switch in list_switches(command):
            if switch not in seen:
                seen.append(switch)
                yield switch


def shorten(text: str) -> str:
    """Cut a description to its first sentence, or to what a line of candidates has room for."""
    first = re.sub(r" \[[^]]*\]$", "", text).partition(". ")[0].partition("; ")[0].rstrip(".")
    return first if len(first) <= _LONGEST_SUMMARY else f"{first[: _LONGEST_SUMMARY - 4].rsplit(' ', 1)[0]} ..."


def write_bash() -> str:
    """Write the script for bash."""
    return _BASH.format(
        known="|".join(COMMANDS),
        with_application="|".join(_WITH_APPLICATION),
        commands=" ".join(COMMANDS),
        others="|".join(name for name in COMMANDS if name not in {*WITH_FLAGS, *WORDS}) or "-",
        flags=_write_cases(
            (command, f'flags="{" ".join(_list_spellings(list_switches(command)))}"') for command in WITH_FLAGS
        ),
        words=_write_cases((command, f'words="{" ".join(words)}"') for command, words in WORDS.items()),
        values=_write_cases(
            ("|".join(switch.spellings), _write_bash_values(describe_values(switch)))
            for switch in list_all_switches()
            if switch.metavar
        ),
    )


def _write_bash_values(values: Values) -> str:
    if values.has_applications:
        return "_hostler_reply_applications"
    if values.has_files:
        return "_hostler_reply_files"
    if values.has_overlays:
        return f'_hostler_reply "$({_LIST_OVERLAYS})"'
    return f'_hostler_reply "{" ".join(values.words)}"'


def write_zsh() -> str:
    """Write the script for zsh."""
    return _ZSH.format(
        known="|".join(COMMANDS),
        with_application="|".join(_WITH_APPLICATION),
        commands=_write_zsh_list((name, entry.summary) for name, entry in COMMANDS.items()),
        others="|".join(name for name in COMMANDS if name not in {*WITH_FLAGS, *WORDS}) or "-",
        flags=_write_cases(
            (command, f"flags=({_write_zsh_list(_describe_spellings(list_switches(command)))}\n            )")
            for command in WITH_FLAGS
        ),
        words=_write_cases(
            (command, f"compadd -- {' '.join(words)}\n            return") for command, words in WORDS.items() if words
        ),
        values=_write_cases(
            ("|".join(switch.spellings), _write_zsh_values(describe_values(switch)))
            for switch in list_all_switches()
            if switch.metavar
        ),
    )


def _write_zsh_values(values: Values) -> str:
    if values.has_applications:
        return "_hostler_applications"
    if values.has_files:
        return "_files"
    if values.has_overlays:
        return f'compadd -- ${{(f)"$({_LIST_OVERLAYS})"}}'
    return f"compadd -- {' '.join(values.words)}" if values.words else "_message value"


def _write_zsh_list(items: Iterable[tuple[str, str]]) -> str:
    return "".join(f"\n                {_quote(f'{name}:{text}')}" for name, text in items)


def write_fish() -> str:
    """Write the script for fish."""
    lines = [
        f"complete -c hostler -n __hostler_at_command -a {name} -d {_quote(entry.summary)}"
        for name, entry in COMMANDS.items()
    ]
    lines += [
        f"complete -c hostler -n '__hostler_at_word {command}' -a {_quote(' '.join(words))}"
        for command, words in WORDS.items()
        if words
    ]
    lines += [
        f"complete -c hostler -F -n '__hostler_is {command}'"
        for command in COMMANDS
        if command not in {*WITH_FLAGS, *WORDS}
    ]
    for switch in list_all_switches():
        commands = " ".join(command for command in WITH_FLAGS if switch in list_switches(command))
        lines += _write_fish_switch(switch, commands)
    return _FISH.format(
        lines="\n".join(lines), commands=" ".join(COMMANDS), with_application=" ".join(_WITH_APPLICATION)
    )


def _write_fish_switch(switch: Switch, commands: str) -> Iterator[str]:
    values = describe_values(switch)
    if not switch.metavar:
        takes = ""
    elif values.has_applications:
        takes = " -x -a '(__hostler_applications)'"
    elif values.has_files:
        takes = " -r -F"
    elif values.has_overlays:
        takes = f' -x -a "({_LIST_OVERLAYS})"'
    else:
        takes = f" -x -a {_quote(' '.join(values.words))}"
    positive = [text for text in switch.spellings if not text.startswith("--no-")]
    negative = [text for text in switch.spellings if text.startswith("--no-")]
    for texts, prefix in ((positive, ""), (negative, "not: ")):
        if texts:
            names = " ".join(f"-l {text[2:]}" if text.startswith("--") else f"-s {text[1:]}" for text in texts)
            summary = _quote(prefix + shorten(switch.summary))
            yield f"complete -c hostler -n '__hostler_is {commands}' {names}{takes} -d {summary}"


def _list_spellings(switches: Iterable[Switch]) -> Iterator[str]:
    return (text for switch in switches for text in switch.spellings)


def _describe_spellings(switches: Iterable[Switch]) -> Iterator[tuple[str, str]]:
    for switch in switches:
        for text in switch.spellings:
            summary = shorten(switch.summary)
            yield text, f"not: {summary}" if text.startswith("--no-") else summary


def _write_cases(cases: Iterable[tuple[str, str]]) -> str:
    """Write the branches of a shell's `case`, those of one body together."""
    bodies: dict[str, list[str]] = {}
    for pattern, body in cases:
        bodies.setdefault(body, []).append(pattern)
    return "\n".join(f"        {'|'.join(patterns)})\n            {body} ;;" for body, patterns in bodies.items())


def _quote(text: str) -> str:
    """Quote a text for zsh and fish, whose single quotes both end at a quote and resume after an escaped one."""
    return "'" + text.replace("'", "'\\''") + "'"


_BASH = r"""# Completion of hostler for bash, generated by "hostler completion bash".
# Once:   source <(hostler completion bash)
# Always: hostler completion bash > ~/.local/share/bash-completion/completions/hostler

_hostler_reply() {{
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current")
}}

_hostler_reply_files() {{
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
}}

# Modules and packages of this directory as "module:", beside further words.
_hostler_reply_applications() {{
    local path name names="${{1-}}"
    for path in *.py */__init__.py */wsgi.py */asgi.py; do
        name=${{path%.py}}
        name=${{name%/__init__}}
        name=${{name//\//.}}
        [[ -f $path && $name =~ ^[A-Za-z_][A-Za-z0-9_.]*$ ]] && names+=" $name:"
    done
    if [[ $current == */* ]]; then
        _hostler_reply_files
        return
    fi
    _hostler_reply "$names"
    [[ ${{#COMPREPLY[@]}} -eq 1 && ${{COMPREPLY[0]}} == *: ]] && compopt -o nospace 2>/dev/null
    return 0
}}

_hostler_reply_value() {{
    case "$1" in
{values}
        *) return 1 ;;
    esac
    return 0
}}

_hostler() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}}
    local command=run flags="" words=""
    COMPREPLY=()
    # "=" and ":" are words of their own where COMP_WORDBREAKS holds them.
    if [[ $current == "=" ]]; then
        current=""
    elif [[ $before == "=" ]]; then
        before=${{COMP_WORDS[COMP_CWORD - 2]}}
    elif [[ $current == ":" || $before == ":" ]]; then
        return
    fi
    if ((COMP_CWORD > 1)); then
        case "${{COMP_WORDS[1]}}" in
            {known}) command=${{COMP_WORDS[1]}} ;;
        esac
    fi
    case "$command" in
{flags}
        {others})
            _hostler_reply_files
            return ;;
    esac
    if [[ -n $flags ]]; then
        _hostler_reply_value "$before" && return
    fi
    if [[ $current == -* ]]; then
        _hostler_reply "$flags"
        return
    fi
    if ((COMP_CWORD == 1)); then
        _hostler_reply_applications "{commands}"
        return
    fi
    case "$command" in
{words}
    esac
    if [[ -n $words ]] && ((COMP_CWORD == 2)); then
        _hostler_reply "$words"
        return
    fi
    case "$command" in
        {with_application}) _hostler_reply_applications ;;
    esac
}}

complete -F _hostler hostler
"""

_ZSH = r"""#compdef hostler
# Completion of hostler for zsh, generated by "hostler completion zsh".
# Once:   source <(hostler completion zsh)       (after compinit)
# Always: hostler completion zsh > "${{fpath[1]}}/_hostler"

# Modules and packages of this directory as "module:".
_hostler_applications() {{
    local name
    local -a names
    for name in *.py(N:r) */__init__.py(N:h) */wsgi.py(N:r) */asgi.py(N:r); do
        name=${{name//\//.}}
        [[ $name =~ '^[A-Za-z_][A-Za-z0-9_.]*$' ]] && names+=("$name:")
    done
    compadd -S '' -- $names
    [[ $PREFIX == */* ]] && _files
    return 0
}}

_hostler_value() {{
    case "$1" in
{values}
        *) return 1 ;;
    esac
    return 0
}}

_hostler() {{
    local command=run
    local -a flags commands
    if (( CURRENT > 2 )); then
        case "${{words[2]}}" in
            {known}) command=${{words[2]}} ;;
        esac
    fi
    case "$command" in
{flags}
        {others})
            _files
            return ;;
    esac
    if (( $#flags )); then
        if [[ $PREFIX == --*=* ]]; then
            local flag=${{PREFIX%%=*}}
            compset -P '*='
            _hostler_value "$flag"
            return
        fi
        _hostler_value "${{words[CURRENT - 1]}}" && return
    fi
    if [[ $PREFIX == -* ]]; then
        _describe -o option flags
        return
    fi
    if (( CURRENT == 2 )); then
        commands=({commands}
        )
        _describe command commands
        _hostler_applications
        return
    fi
    if (( CURRENT == 3 )); then
        case "$command" in
{words}
        esac
    fi
    case "$command" in
        {with_application}) _hostler_applications ;;
    esac
}}

if [[ $funcstack[1] == _hostler ]]; then
    _hostler "$@"
else
    compdef _hostler hostler
fi
"""

_FISH = r"""# Completion of hostler for fish, generated by "hostler completion fish".
# Once:   hostler completion fish | source
# Always: hostler completion fish > ~/.config/fish/completions/hostler.fish

function __hostler_command
    set -l words (commandline -opc)
    if set -q words[2]; and contains -- $words[2] {commands}
        echo $words[2]
    else
        echo run
    end
end

function __hostler_is
    contains -- (__hostler_command) $argv
end

function __hostler_at_command
    test (count (commandline -opc)) -eq 1
end

function __hostler_at_word
    test (count (commandline -opc)) -eq 2; and __hostler_is $argv
end

# Modules and packages of this directory as "module:".
function __hostler_applications
    for path in *.py */__init__.py */wsgi.py */asgi.py
        set -l name (string replace -r '(/__init__)?\.py$' '' -- $path | string replace -a / .)
        string match -qr '^[A-Za-z_][A-Za-z0-9_.]*$' -- $name; and echo $name:
    end
end

complete -c hostler -e
complete -c hostler -f
complete -c hostler -n '__hostler_is {with_application}' -a '(__hostler_applications)'
{lines}
"""

WRITERS = {"bash": write_bash, "zsh": write_zsh, "fish": write_fish}
