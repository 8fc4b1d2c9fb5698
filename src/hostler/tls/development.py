"""Certificates for development: one for names of this machine, signed by an authority whose key is thrown away.

Whoever trusts that authority trusts this one certificate and nothing else, as nobody can sign with it again.
"""

from __future__ import annotations

import ipaddress
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hostler.errors import HostlerError
from hostler.system.openssl import run_openssl

DEFAULT_NAMES = ("localhost", "127.0.0.1", "::1")
# CA/Browser Forum and Apple refuse certificates that are valid for longer.
MAX_DAYS = 397
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True, slots=True)
class Made:
    """The files that were written.

    Attributes:
        certificate: the chain, for `tls.certificate`.
        key: its key, which is found beside it.
        authority: what browsers are to trust.
    """

    certificate: Path
    key: Path
    authority: Path


def make_certificate(directory: Path, names: Sequence[str], days: int = MAX_DAYS, *, force: bool = False) -> Made:
    """Make a certificate for host names and addresses.

    Raises:
        HostlerError: a file is there already, or cannot be written.
    """
    made = Made(directory / "dev.pem", directory / "dev.key", directory / "dev-authority.pem")
    for path in (made.certificate, made.key, made.authority):
        if path.exists() and not force:
            raise HostlerError(f"{path} is there already; use it, or have it replaced with --force")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            _sign(made, Path(scratch), names, days)
    except OSError as error:
        raise HostlerError(f"cannot write {error.filename}: {error.strerror}") from None
    return made


def _sign(made: Made, scratch: Path, names: Sequence[str], days: int) -> None:
    authority_key, request, extensions = scratch / "authority.key", scratch / "request", scratch / "extensions"
    made.key.touch(0o600)
    run_openssl(
        *("req", "-x509", *_CURVE, "-keyout", str(authority_key), "-out", str(made.authority), "-days", str(days)),
        *("-subj", f"/O=Hostler development/CN=For {names[0]} only"),
        *("-addext", "keyUsage=critical,keyCertSign"),
    )
    run_openssl(
        *("req", *_CURVE, "-keyout", str(made.key), "-out", str(request)),
        *("-subj", f"/O=Hostler development/CN={names[0]}"),
    )
    extensions.write_text(
        f"subjectAltName={','.join(map(_name, names))}\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n"
    )
    signed = run_openssl(
        *("x509", "-req", "-in", str(request), "-CA", str(made.authority), "-CAkey", str(authority_key)),
        *("-CAserial", str(scratch / "serial"), "-CAcreateserial"),
        *("-days", str(days), "-extfile", str(extensions)),
    )
    made.certificate.write_text(signed + made.authority.read_text())


def _name(name: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"
