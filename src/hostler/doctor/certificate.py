"""Whether a certificate holds: its dates, its names, its key, who signed it. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator

from hostler.doctor.model import Finding
from hostler.system.dialling import Certificate

DAY = 86_400.0
# Let's Encrypt's clients renew 30 days before the end; whoever is within half of that has a renewal that fails.
SOON = 14 * DAY
_MISMATCH = ("key values mismatch", "KEY_VALUES_MISMATCH", "key type mismatch")


def check_files(certificate: str, key: str, problem: str) -> Finding:
    """Say what is wrong with files that could not be loaded."""
    if any(each in problem for each in _MISMATCH):
        return Finding(
            "fault",
            "certificate",
            f"the key {key} is not that of the certificate {certificate}",
            certificate,
            (
                f"openssl pkey -in {key} -pubout; openssl x509 -in {certificate} -noout -pubkey",
                "# the two must be equal: put the right key in place, or have a new certificate made (certbot renew)",
            ),
        )
    return Finding(
        "fault",
        "certificate",
        f"the certificate cannot be used: {problem}",
        certificate,
        (f"ls -l {certificate} {key}",),
    )


def check_certificate(certificate: Certificate, path: str, host: str, now: float) -> Iterator[Finding]:
    """Check what a certificate says."""
    until = time.strftime("%Y-%m-%d", time.gmtime(certificate.ends))
    renew = ("certbot renew    # or put the renewed file in place, and reload the web server",)
    trouble = False
    if certificate.ends <= now:
        days = int((now - certificate.ends) / DAY)
        trouble = True
        yield Finding("fault", "certificate", f"it expired on {until}, {days} days ago", path, renew)
    elif certificate.begins > now:
        trouble = True
        since = time.strftime("%Y-%m-%d %H:%M", time.gmtime(certificate.begins))
        yield Finding(
            "fault", "certificate", f"it holds from {since} UTC on only; is the clock right?", path, ("date -u",)
        )
    elif certificate.ends - now < SOON:
        yield Finding("warning", "certificate", f"it expires on {until}: its renewal does not work", path, renew)
    if not is_for(certificate, host):
        names = ", ".join(certificate.names) or "no name"
        trouble = True
        yield Finding(
            "fault",
            "certificate",
            f"it is for {names}, not for {host}",
            path,
            (
                f"certbot certonly -d {host}    # a certificate for this name",
                f"# or visit https://{certificate.names[0] if certificate.names else '...'}/",
            ),
        )
    if certificate.is_self_signed:
        yield Finding("warning", "certificate", "it is self-signed: browsers warn of it", path)
    elif certificate.distrust and not trouble:
        text = f"programs of this machine do not believe {certificate.issuer}: {certificate.distrust}"
        yield Finding(
            "warning",
            "certificate",
            text,
            path,
            ("# the file must hold the whole chain: use fullchain.pem, not cert.pem",),
        )
    elif not trouble:
        yield Finding("fine", "certificate", f"for {host}, by {certificate.issuer}, until {until}", path)


def is_for(certificate: Certificate, host: str) -> bool:
    """Tell whether a certificate is for a name or address (RFC 6125 6.4.3: a wildcard is for one label)."""
    host = host.lower()
    for name in map(str.lower, certificate.names):
        if name == host:
            return True
        if name.startswith("*.") and host.partition(".")[2] == name[2:]:
            return True
    return False
