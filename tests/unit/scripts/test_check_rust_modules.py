"""The check of the order of Rust modules finds what it should, and nothing else."""

from pathlib import Path

import pytest

from scripts.check_rust_modules import check_file, check_tree, find_references, main

PRESENT = frozenset({"python", "worker", "conn", "net", "reactor", "codec", "time", "error"})


def check(path: str, source: str) -> list[str]:
    return [violation.message for violation in check_file(Path(path), source, PRESENT)]


@pytest.mark.parametrize(
    "source, names",
    [
        ("use crate::time::Clock;", ["time"]),
        ("use crate::{codec::{http1, path}, time};", ["codec", "time"]),
        ("use crate::{\n    codec::http1::Parser as P,\n    net,\n};", ["codec", "net"]),
        ("fn f(x: &crate::net::Stream) {}", ["net"]),
        ("pub(crate) fn f() {} // use crate::net;", []),
        ("/* use crate::net; */", []),
        ('let text = "crate::net";', []),
        ('let text = r#"crate::net "quoted" "#;', []),
        ("let quote = '\"'; use crate::net;", ["net"]),
        ("fn f<'a>(x: &'a crate::net::Stream) -> &'a u8 {}", ["net"]),
        ("let escaped = '\\''; use crate::time;", ["time"]),
        ("let byte = b'\"'; use crate::time;", ["time"]),
    ],
)
def test_references_are_found_in_code_only(source: str, names: list[str]) -> None:
    assert [name for _, name in find_references(source)] == names


def test_a_reference_carries_its_line() -> None:
    assert list(find_references("//! Docs.\n\nuse crate::net;\n")) == [(3, "net")]


def test_lower_layers_may_be_named() -> None:
    assert check("conn/mod.rs", "use crate::{net, reactor, codec, time, error};") == []


def test_a_module_may_name_itself() -> None:
    assert check("conn/body.rs", "use crate::conn::Outbox;") == []


@pytest.mark.parametrize("target", ["worker", "python", "conn"])
def test_higher_layers_may_not_be_named(target: str) -> None:
    assert check("codec/http1.rs", f"use crate::{target}::Thing;") == [
        f"`codec` names `{target}`, which is not below it"
    ]


def test_neighbours_may_not_name_each_other() -> None:
    assert len(check("net/mod.rs", "use crate::access_log::Line;")) == 1


def test_items_of_the_crate_root_may_not_be_named_from_below() -> None:
    assert check("net/mod.rs", "use crate::VERSION;") == ["`net` names `VERSION`, which is not below it"]


def test_a_module_without_a_layer_is_refused() -> None:
    assert "has no layer" in check("helper.rs", "")[0]


@pytest.mark.parametrize("path", ["lib.rs", "python/mod.rs", "python.rs"])
def test_bridges_may_name_pyo3(path: str) -> None:
    assert check(path, "use pyo3::prelude::*;") == []


@pytest.mark.parametrize("source", ["use pyo3::prelude::*;", "fn f(py: pyo3::Python<'_>) {}", "use pyo3 as p;"])
def test_nothing_else_may_name_pyo3(source: str) -> None:
    assert check("worker/mod.rs", source) == ["`worker` names pyo3: only lib and python may"]


def test_pyo3_in_a_comment_is_no_reference() -> None:
    assert check("worker/mod.rs", "// what pyo3::Python does elsewhere") == []


def test_a_tree_is_checked_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "codec").mkdir()
    (tmp_path / "codec" / "mod.rs").write_text("use crate::conn::Flow;\n")
    (tmp_path / "conn.rs").write_text("use crate::codec::Event;\n")
    assert [str(violation) for violation in check_tree(tmp_path)] == [
        "codec/mod.rs:1: `codec` names `conn`, which is not below it"
    ]


def test_exit_status_tells_the_outcome(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "time.rs").write_text("")
    assert main([str(tmp_path)]) == 0
    (tmp_path / "time.rs").write_text("use crate::worker;")
    assert main([str(tmp_path)]) == 1
    assert main([]) == 2
    assert "time.rs:1" in capsys.readouterr().out
