"""Certificates for tests, made by `openssl`: an authority and what it signs."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key.

    Attributes:
        chain: the file with the certificate and its signer.
        key: the file with the key.
    """

    chain: Path
    key: Path


class Authority:
    """Signs certificates; all its files are in one directory."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        """Make the authority's own certificate."""
        self._directory = directory
        self._name = name
        self.file = directory / f"{name}.pem"
        directory.mkdir(exist_ok=True)
        _openssl(
            *("req", "-x509", *_new_key(directory / f"{name}.key"), "-out", self.file),
            *("-subj", f"/CN=Test {name}", "-days", "30"),
        )

    def issue(self, name: str, *others: str, file: str = "", days: int = 10) -> Certificate:
        """Sign a certificate for host names; with a negative number of days one that has expired.

        Args:
            name: the first name, also the subject's.
            others: more names; one that looks like an address is one.
            file: what the files are called, without a suffix; empty for `name`.
            days: how long it is valid.
        """
        stem = file or name.replace("*", "any")
        base = self._directory / stem
        certificate = Certificate(base.with_name(f"{stem}.pem"), base.with_name(f"{stem}.key"))
        names = ",".join(f"IP:{each}" if each[-1].isdigit() else f"DNS:{each}" for each in (name, *others))
        request, extensions = base.with_name(f"{stem}.csr"), base.with_name(f"{stem}.ext")
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        _openssl("req", *_new_key(certificate.key), "-out", request, "-subj", f"/O=Shop, Ltd/CN={name}")
        signed = _openssl(
            *("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._directory / f"{self._name}.key"),
            *("-CAcreateserial", "-days", str(days), "-extfile", extensions),
        )
        certificate.chain.write_text(signed + self.file.read_text())
        return certificate

    def vouch(self, certificate: Certificate, file: Path) -> None:
        """Write what this authority answers by OCSP: that it has not taken the certificate back."""
        index, request = self._directory / f"{self._name}.index", file.with_suffix(".request")
        serial = _openssl("x509", "-in", certificate.chain, "-noout", "-serial").strip().partition("=")[2]
        # Whether it is valid, until when (nobody looks), since when it is not, its number, where it is, its subject.
        index.write_text(f"V\t491231235959Z\t\t{serial}\tunknown\t/CN=whoever\n")
        signer = ("-CA", self.file, "-rsigner", self.file, "-rkey", self._directory / f"{self._name}.key")
        _openssl("ocsp", "-issuer", self.file, "-cert", certificate.chain, "-no_nonce", "-reqout", request)
        _openssl("ocsp", "-index", index, *signer, "-reqin", request, "-ndays", "1", "-respout", file)

    def client_context(self, certificate: Certificate | None = None) -> ssl.SSLContext:
        """Make what a client needs that believes this authority, and perhaps has a certificate of its own."""
        context = ssl.create_default_context(cafile=str(self.file))
        context.set_alpn_protocols(["http/1.1"])
        if certificate is not None:
            context.load_cert_chain(certificate.chain, certificate.key)
        return context


def _new_key(path: Path) -> Sequence[str | Path]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path)


def _openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
