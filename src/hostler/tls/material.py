"""Certificates and keys on disk: which files are meant, and what is in them."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hostler.errors import ConfigurationError
from hostler.tls.plan import Plan

# What holds certificates in a directory; keys, requests and answers of OCSP lie beside them.
_SUFFIXES = (".pem", ".crt", ".cer")
# certbot, and what keys are commonly called beside a certificate.
_PAIRS = {"fullchain.pem": "privkey.pem", "cert.pem": "key.pem", "tls.crt": "tls.key"}
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_KEY = b"PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of one certificate.

    Attributes:
        certificate: the chain.
        key: the key; the same file if it holds both.
    """

    certificate: Path
    key: Path

    @property
    def ocsp(self) -> Path:
        """Where an answer of OCSP would be: beside the certificate, with this suffix behind its name."""
        return self.certificate.with_name(self.certificate.name + ".ocsp")


@dataclass(frozen=True, slots=True)
class Material:
    """What is in those files.

    Attributes:
        name: the certificate's file, for people.
        chain: as PEM.
        key: as PEM.
        ocsp: an answer of OCSP in DER, or nothing.
    """

    name: str
    chain: bytes
    key: bytes
    ocsp: bytes = b""


def find_pairs(plan: Plan) -> tuple[Pair, ...]:
    """Find the files of a plan's certificates.

    Raises:
        ConfigurationError: there are none, or one without a key.
    """
    if plan.keys:
        return tuple(Pair(Path(each), Path(key)) for each, key in zip(plan.certificates, plan.keys, strict=True))
    return tuple(dict.fromkeys(pair for each in plan.certificates for pair in _expand(each)))


def _expand(text: str) -> Iterator[Pair]:
    path = Path(text)
    if path.is_dir():
        found = sorted(_list_certificates(path))
        if not found:
            raise ConfigurationError(f"there is no certificate in the directory {text}; put one there, or leave it out")
    elif glob.has_magic(text):
        root = Path(path.anchor or ".")
        pattern = str(path.relative_to(path.anchor))
        found = sorted(each for each in root.glob(pattern) if _holds_certificate(each))
        if not found:
            raise ConfigurationError(f"no certificate matches {text}; check the pattern")
    else:
        found = [path]
    for each in found:
        yield Pair(each, _find_key(each))


def _list_certificates(directory: Path) -> Iterator[Path]:
    """List a directory's certificates, and those in directories of it as certbot lays them out."""
    for each in directory.iterdir():
        if each.is_dir():
            chain = each / "fullchain.pem"
            if chain.exists():
                yield chain
        elif _holds_certificate(each):
            yield each


def _holds_certificate(path: Path) -> bool:
    return path.suffix in _SUFFIXES and path.is_file() and _CERTIFICATE in _read(path)


def _find_key(certificate: Path) -> Path:
    if certificate.exists() and _KEY in _read(certificate):
        return certificate
    names = [_PAIRS.get(certificate.name, ""), f"{certificate.stem}.key", f"{certificate.stem}-key.pem"]
    for name in names:
        if name and certificate.with_name(name).exists():
            return certificate.with_name(name)
    if not certificate.exists():
        raise ConfigurationError(f"the certificate {certificate} is not there; check tls.certificate")
    looked = ", ".join(name for name in names if name)
    raise ConfigurationError(f"there is no private key for {certificate}, in it or beside it ({looked}); set tls.key")


def load_material(pair: Pair) -> Material:
    """Read a certificate and its key.

    Raises:
        ConfigurationError: a file cannot be read.
    """
    chain = _read(pair.certificate)
    key = chain if pair.key == pair.certificate else _read(pair.key)
    ocsp = _read(pair.ocsp) if pair.ocsp.exists() else b""
    return Material(str(pair.certificate), chain, key, ocsp)


def load_authorities(plan: Plan) -> bytes:
    """Read the authorities that may have signed clients' certificates.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    if plan.client_auth == "none" or plan.client_ca is None:
        return b""
    return _read(Path(plan.client_ca))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}; check the path and who may read it"
        ) from None


def take_fingerprint(plan: Plan) -> tuple[object, ...]:
    """Tell by a value that compares equal whether a plan's files are still the same; what is missing is part of it."""
    try:
        pairs = find_pairs(plan)
    except ConfigurationError as error:
        return (str(error),)
    paths = [path for pair in pairs for path in (pair.certificate, pair.key, pair.ocsp)]
    if plan.client_ca is not None:
        paths.append(Path(plan.client_ca))
    return tuple((path, _stat(path)) for path in paths)


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
