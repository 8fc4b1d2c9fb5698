"""Certificates on disk: which files are meant, and what is said when something is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostler.config.schema import Tls
from hostler.errors import ConfigurationError
from hostler.tls.material import Pair, find_pairs, load_material, take_fingerprint
from hostler.tls.plan import Plan, build_plan

CERTIFICATE = "-----BEGIN CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "certificate,key",
    [
        ("fullchain.pem", "privkey.pem"),
        ("cert.pem", "key.pem"),
        ("shop.crt", "shop.key"),
        ("shop.pem", "shop-key.pem"),
        ("tls.crt", "tls.key"),
    ],
)
def test_key_is_found_beside_its_certificate(tmp_path: Path, certificate: str, key: str) -> None:
    pair = Pair(write(tmp_path / certificate, CERTIFICATE), write(tmp_path / key, KEY))
    assert find_pairs(Plan((str(pair.certificate),))) == (pair,)


def test_file_may_hold_both(tmp_path: Path) -> None:
    both = write(tmp_path / "both.pem", CERTIFICATE + KEY)
    (pair,) = find_pairs(Plan((str(both),)))
    assert pair == Pair(both, both)
    assert load_material(pair).key == load_material(pair).chain


def test_directory_and_pattern_name_several(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.pem", CERTIFICATE)
        write(tmp_path / f"{name}.key", KEY)
        write(tmp_path / "live" / name / "fullchain.pem", CERTIFICATE)
        write(tmp_path / "live" / name / "privkey.pem", KEY)
    write(tmp_path / "readme.txt", "no certificate")
    write(tmp_path / "lonely-key.pem", KEY)
    names = [pair.certificate.name for pair in find_pairs(Plan((str(tmp_path),)))]
    assert names == ["a.pem", "b.pem"]
    assert len(find_pairs(Plan((str(tmp_path / "live"),)))) == 2
    assert [pair.key.name for pair in find_pairs(Plan((str(tmp_path / "*.pem"),)))] == ["a.key", "b.key"]


def test_keys_that_are_named_are_taken_in_order(tmp_path: Path) -> None:
    plan = Plan(("/a.pem", "/b.pem"), keys=("/1.key", "/2.key"))
    assert find_pairs(plan) == (Pair(Path("/a.pem"), Path("/1.key")), Pair(Path("/b.pem"), Path("/2.key")))


@pytest.mark.parametrize(
    "make,said",
    [
        (lambda path: path / "none.pem", r"none\.pem is not there"),
        (lambda path: write(path / "a.pem", CERTIFICATE), r"no private key for .*a\.pem.*a\.key, a-key\.pem.*tls\.key"),
        (lambda path: path, "no certificate in the directory"),
        (lambda path: path / "*.pem", "no certificate matches"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigurationError, match=said):
        find_pairs(Plan((str(make(tmp_path)),)))


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.pem cannot be read: No such file"):
        load_material(Pair(tmp_path / "gone.pem", tmp_path / "gone.key"))


def test_fingerprint_tells_a_change_of_any_file(tmp_path: Path) -> None:
    certificate = write(tmp_path / "a.pem", CERTIFICATE)
    write(tmp_path / "a.key", KEY)
    plan = Plan((str(tmp_path / "*.pem"),), client_ca=str(tmp_path / "ca"))
    seen = [take_fingerprint(plan)]
    for change in (
        lambda: write(certificate, CERTIFICATE * 2),
        lambda: write(tmp_path / "a.key", KEY * 2),
        lambda: write(tmp_path / "a.pem.ocsp", "answer"),
        lambda: write(tmp_path / "ca", CERTIFICATE),
        certificate.unlink,
    ):
        assert take_fingerprint(plan) == seen[-1]
        change()
        assert take_fingerprint(plan) not in seen
        seen.append(take_fingerprint(plan))


def test_address_says_some_of_it_in_the_place_of_the_section() -> None:
    section = Tls(certificate=("/a.pem", "/b.pem"), key=("/a.key", "/b.key"), min_version="1.3")
    assert build_plan(section, ()) == Plan(("/a.pem", "/b.pem"), ("/a.key", "/b.key"), "1.3")
    own = (("certificate", "/c.pem"), ("client_auth", "required"), ("client_ca", "/ca.pem"), ("min_version", "1.2"))
    assert build_plan(section, own) == Plan(("/c.pem",), (), "1.2", "required", "/ca.pem")


@pytest.mark.parametrize(
    "section,overrides,said",
    [
        (Tls(), (), "no certificate for it.*certs self-signed"),
        (Tls(certificate=("/a",), key=("/b", "/c")), (), "tls.key has 2 files, tls.certificate 1"),
        (Tls(certificate=("/a",)), (("client_auth", "optional"),), "tls.client_ca does not say"),
        (Tls(certificate=("/a",)), (("min_version", "1.0"),), "'1.0'; 1.2, 1.3 are known"),
    ],
)
def test_what_makes_no_sense_is_told(section: Tls, overrides: tuple[tuple[str, str], ...], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        build_plan(section, overrides)
