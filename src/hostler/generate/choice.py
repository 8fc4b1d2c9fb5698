"""What can be said to `hostler generate` beside the configuration: each choice declared once, and its checks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hostler.config.origin import suggest
from hostler.errors import ConfigurationError

# What would end a word or begin a variable in one of the formats that a path is written to.
_UNSAFE = re.compile(r"[\"'`$;{}\\%#|\x00-\x1f\x7f]")
# RFC 1123 2.1, with the wildcard label that web servers and Ingress know.
_HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")
# RFC 1035 2.3.1 labels, which names of Kubernetes services must be; short enough for a suffix.
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,48}[a-z0-9])?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")
_PYTHON = re.compile(r"3\.\d{1,2}")
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
# Arbitrary: beyond it, a slip of the keyboard.
MOST_REPLICAS = 1000


@dataclass(frozen=True, slots=True)
class Choice:
    """One flag of `hostler generate`.

    Attributes:
        flag: its spelling.
        metavar: the placeholder of its value; empty for a switch.
        doc: its help.
        kinds: what it is for; empty for everything.
        repeats: whether it may be given several times.
    """

    flag: str
    metavar: str
    doc: str
    kinds: tuple[str, ...] = ()
    repeats: bool = False

    @property
    def name(self) -> str:
        """The attribute of `Choices` that it sets."""
        return self.flag.lstrip("-").replace("-", "_")


_FRONTS = ("nginx", "apache")

CHOICES = (
    Choice("--output", "DIR", "write files into this directory instead of standard output; never over existing ones"),
    Choice("--force", "", "with --output: overwrite files that exist"),
    Choice("--name", "NAME", "what services, units and files are called [server.name, or the project's directory]"),
    Choice("--server-name", "HOST", "host names of the site, separated by commas", (*_FRONTS, "kubernetes")),
    Choice("--tls-certificate", "PATH", "the certificate that the web server shows; with --tls-key", _FRONTS),
    Choice("--tls-key", "PATH", "the key of that certificate", _FRONTS),
    Choice("--upstream", "ADDRESS", "where the web server finds Hostler [the first of server.bind that fits]", _FRONTS),
    Choice("--static", "PREFIX=DIR", "files that the web server answers itself, such as /static/=/srv/site/static",
           _FRONTS, repeats=True),
    Choice("--directory", "DIR", "where the project will be on the server [the current directory]", ("systemd",)),
    Choice("--program", "PATH", "the hostler to run [this one]", ("systemd", "makefile")),
    Choice("--no-socket", "", "let Hostler bind its addresses itself, without a socket unit", ("systemd",)),
    Choice("--python", "VERSION", "the version of Python in the image [this one's]", ("docker",)),
    Choice("--health-path", "PATH", "a path that answers 200 when all is well [any answer of / below 500]",
           ("docker", "kubernetes")),
    Choice("--image", "IMAGE", "the image to run", ("compose", "kubernetes")),
    Choice("--replicas", "N", "how many pods [2]", ("kubernetes",)),
    Choice("--tls-secret", "NAME", "the secret with the Ingress's certificate; with --server-name", ("kubernetes",)),
    Choice("--ingress-class", "NAME", "the ingress controller [the cluster's default]", ("kubernetes",)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices that were made, checked; what was not chosen is empty."""

    output: Path | None = None
    force: bool = False
    name: str = ""
    server_names: tuple[str, ...] = ()
    tls_certificate: str = ""
    tls_key: str = ""
    upstream: str = ""
    static: Mapping[str, str] = field(default_factory=dict)
    directory: str = ""
    program: str = ""
    no_socket: bool = False
    python: str = ""
    health_path: str = ""
    image: str = ""
    replicas: int = 2
    tls_secret: str = ""
    ingress_class: str = ""


def build_choices(kind: str, given: Mapping[str, Sequence[str]]) -> Choices:
    """Check what was chosen.

    Args:
        kind: what is generated.
        given: the texts of each flag that was given, by the name of the choice; a switch has one empty text.

    Raises:
        ConfigurationError: a choice is not for this kind, has a wrong value, or does not go with another.
    """
    for choice in CHOICES:
        if given.get(choice.name) and choice.kinds and kind not in choice.kinds:
            kinds = " and ".join(choice.kinds) if len(choice.kinds) < 3 else ", ".join(choice.kinds)
            raise ConfigurationError(f"{choice.flag} is for {kinds}, not for {kind}; leave it out")
    last = {name: texts[-1] for name, texts in given.items() if texts}
    choices = Choices(
        output=Path(last["output"]) if "output" in last else None,
        force="force" in last,
        name=_match("--name", last.get("name", ""), _NAME, "lower-case letters, digits and hyphens, a letter first"),
        server_names=_read_hosts(last.get("server_name", "")),
        tls_certificate=_read_path("--tls-certificate", last.get("tls_certificate", "")),
        tls_key=_read_path("--tls-key", last.get("tls_key", "")),
        upstream=last.get("upstream", ""),
        static=_read_static(given.get("static", ())),
        directory=_read_path("--directory", last.get("directory", "")),
        program=_read_path("--program", last.get("program", ""), absolute=kind == "systemd"),
        no_socket="no_socket" in last,
        python=_match("--python", last.get("python", ""), _PYTHON, 'a version such as "3.13"'),
        health_path=_read_health_path(last.get("health_path", "")),
        image=_match("--image", last.get("image", ""), _IMAGE, 'the name of an image, such as "example.org/site:1.0"'),
        replicas=_read_replicas(last.get("replicas", "2")),
        tls_secret=_match("--tls-secret", last.get("tls_secret", ""), _SUBDOMAIN, "the name of a secret"),
        ingress_class=_match("--ingress-class", last.get("ingress_class", ""), _SUBDOMAIN, "the name of a class"),
    )
    _check_pairs(choices)
    return choices


def _check_pairs(choices: Choices) -> None:
    if bool(choices.tls_certificate) != bool(choices.tls_key):
        given, missing = ("certificate", "key") if choices.tls_certificate else ("key", "certificate")
        raise ConfigurationError(f"--tls-{given} needs --tls-{missing}; give both, or neither")
    if (choices.tls_certificate or choices.tls_secret) and not choices.server_names:
        raise ConfigurationError("a certificate is for a name: say which with --server-name")
    if choices.force and choices.output is None:
        raise ConfigurationError("--force overwrites files, and without --output none are written; add --output DIR")


def _match(flag: str, text: str, pattern: re.Pattern[str], expects: str) -> str:
    if text and not pattern.fullmatch(text):
        raise ConfigurationError(f'{flag} is "{text}"; it must be {expects}')
    return text


def _read_hosts(text: str) -> tuple[str, ...]:
    names = tuple(text.replace(",", " ").split())
    for name in names:
        _match("--server-name", name, _HOST, "host names separated by commas, without scheme and port")
    return names


def _read_path(flag: str, text: str, *, absolute: bool = True) -> str:
    if not text:
        return ""
    if absolute and not text.startswith("/"):
        raise ConfigurationError(f'{flag} is "{text}"; it must be an absolute path')
    return check_path(flag, text)


def check_path(what: str, text: str) -> str:
    """Refuse a path that cannot be written to each format as it is.

    Raises:
        ConfigurationError: it has a quote, a dollar sign, or another character with a meaning of its own.
    """
    if found := _UNSAFE.search(text):
        raise ConfigurationError(f'{what} is "{text}"; a path with {found[0]!r} cannot be written into the file')
    return text


def _read_static(texts: Sequence[str]) -> Mapping[str, str]:
    pairs = {}
    for text in texts:
        prefix, equals, directory = text.partition("=")
        if not equals or not re.fullmatch(r"/(?:[\w.~-]+/)+", prefix, re.ASCII):
            raise ConfigurationError(f'--static is "{text}"; it must be PREFIX=DIR with a prefix such as /static/')
        pairs[prefix] = _read_path(f"--static {prefix}", directory).rstrip("/") + "/"
    return pairs


def _read_health_path(text: str) -> str:
    if text and not re.fullmatch(r"/[\w.~/?&=-]*", text, re.ASCII):
        raise ConfigurationError(f'--health-path is "{text}"; it must be a path such as /health')
    return text


def _read_replicas(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_REPLICAS:
        raise ConfigurationError(f'--replicas is "{text}"; it must be a whole number from 1 to {MOST_REPLICAS}')
    return int(text)


def explain_unknown(kind: str, kinds: Sequence[str]) -> str:
    """Word the mistake of asking for something that cannot be generated."""
    return f'"{kind}" cannot be generated{suggest(kind, kinds)}; there are {", ".join(kinds)}'.replace("?;", "?")
