"""What the options of TLS become."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from hostler.compat.effect import Effect, Give, Note
from hostler.compat.uwsgi.option import Facts, Given

# The order in which `https` has them, in Hostler's words where there is one.
_PARTS = ("address", "certificate", "key", "ciphers", "client_ca")
# The keys of `https2`.
_KEYS = {"addr": "address", "cert": "certificate", "crt": "certificate", "key": "key", "ciphers": "ciphers",
         "clientca": "client_ca", "client_ca": "client_ca", "spdy": "spdy"}  # fmt: skip


def map_https(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`https = address,certificate,key,ciphers,authority`, and `https2` with names for them.

    Raises:
        ValueError: one has no address, certificate or key.
    """
    first: tuple[str, str] | None = None
    for each in given:
        parts = read_parts(each)
        if not all(parts.get(name) for name in ("address", "certificate", "key")):
            raise ValueError("address,certificate,key")
        pair = str(facts.home / parts["certificate"]), str(facts.home / parts["key"])
        said: dict[str, str] = {}
        if first is None:
            first = pair
            yield Give("tls.certificate", [pair[0]])
            yield Give("tls.key", [pair[1]])
        elif pair != first:
            said = {"certificate": pair[0], "key": pair[1]}
        authority = parts.get("client_ca", "")
        if authority:
            said["client_auth"] = "required" if authority.startswith("!") else "optional"
            said["client_ca"] = str(facts.home / authority.removeprefix("!"))
        yield Give("server.bind", [f"https://{parts['address']}{f'?{urlencode(said)}' if said else ''}"])
        if parts.get("ciphers"):
            yield Note("the ciphers are Hostler's own")


def read_parts(given: Given) -> dict[str, str]:
    """Take one address apart."""
    pieces = [piece.strip() for piece in given.text.split(",")]
    if given.name != "https2":
        return dict(zip(_PARTS, pieces, strict=False))
    pairs = (piece.partition("=") for piece in pieces)
    return {_KEYS[name]: value for name, _, value in pairs if name in _KEYS}


def map_names(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`sni = name certificate,key,ciphers,authority`.

    Raises:
        ValueError: one has no certificate or no key.
    """
    for each in given:
        _, _, rest = each.text.strip().partition(" ")
        certificate, _, others = rest.partition(",")
        key = others.partition(",")[0]
        if not certificate.strip() or not key.strip():
            raise ValueError("name certificate,key")
        yield Give("tls.certificate", [str(facts.home / certificate.strip())])
        yield Give("tls.key", [str(facts.home / key.strip())])


def map_name_directory(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`sni-dir`: name.crt and name.key for each name, as they are there now."""
    for each in given:
        for certificate in sorted((facts.home / each.text).glob("*.crt")):
            yield Give("tls.certificate", [str(certificate)])
            yield Give("tls.key", [str(certificate.with_suffix(".key"))])
