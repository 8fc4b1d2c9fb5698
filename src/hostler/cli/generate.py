"""`hostler generate KIND`: files for the programs around Hostler, from the effective configuration."""

from __future__ import annotations

from collections.abc import Sequence

from hostler.cli.arguments import CHOICE_PREFIX, load_with_application, parse_arguments
from hostler.errors import ConfigurationError
from hostler.generate import CHOICES, KINDS, build_choices, describe_project, generate, join_files, write_files
from hostler.generate.kind import get_kind


def execute(arguments: Sequence[str]) -> int:
    """Print the files, or with `--output` write them."""
    words = list(arguments)
    kind = "" if not words or words[0].startswith("-") else words.pop(0)
    if kind:
        get_kind(kind)
    elif not {"-h", "--help", "--help-all"} & set(words):
        raise ConfigurationError(f'say what to generate: "hostler generate KIND", where KIND is {", ".join(KINDS)}')
    parsed = parse_arguments("generate", words)
    given = {choice.name: getattr(parsed.namespace, f"{CHOICE_PREFIX}{choice.name}") or () for choice in CHOICES}
    choices = build_choices(kind, given)
    loaded, found = load_with_application(parsed.sources)
    files = generate(kind, describe_project(parsed.sources, loaded, found, choices), choices)
    if choices.output is None:
        print(join_files(files), end="")
        return 0
    for path in write_files(files, parsed.sources.directory / choices.output, force=choices.force):
        print(f"wrote {path}")
    return 0
