"""`hostler certs self-signed`: a certificate for development."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hostler.config.parser import Parser
from hostler.tls.development import DEFAULT_NAMES, MAX_DAYS, make_certificate

ACTIONS = ("self-signed",)


def execute(arguments: Sequence[str]) -> int:
    """Make the certificate and say how it is used."""
    parser = Parser(
        prog="hostler certs",
        description="Make a certificate for development: dev.pem and dev.key, and dev-authority.pem for browsers to "
        "trust. The authority's own key is thrown away, so that nobody can make another certificate it vouches for.",
    )
    parser.add_argument("action", metavar="self-signed", choices=ACTIONS, help="what to make")
    parser.add_argument(
        "names",
        metavar="NAME",
        nargs="*",
        default=list(DEFAULT_NAMES),
        help=f"host names and addresses that it is for; without any, {', '.join(DEFAULT_NAMES)}",
    )
    parser.add_argument("--directory", metavar="PATH", default="certs", help="where to put the files (certs)")
    parser.add_argument("--days", metavar="N", type=int, default=MAX_DAYS, help=f"how long it is valid ({MAX_DAYS})")
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    parsed = parser.parse(arguments)
    made = make_certificate(Path(parsed.directory), parsed.names, parsed.days, force=parsed.force)
    print(f"certificate  {made.certificate} (for {', '.join(parsed.names)})")
    print(f"key          {made.key}")
    print(f"authority    {made.authority} (let browsers trust it: docs/guides/https.md)")
    print(f"use it with  hostler dev APP --bind https://127.0.0.1:8443 --certificate {made.certificate}")
    return 0
