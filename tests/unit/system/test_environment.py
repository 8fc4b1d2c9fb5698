"""Variables that are set for a while."""

from __future__ import annotations

import os

import pytest

from hostler.system.environment import variables_set


def test_variables_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HORSE", "grey")
    monkeypatch.delenv("CART", raising=False)

    def fail() -> None:
        with variables_set({"HORSE": "brown", "CART": "red"}):
            assert (os.environ["HORSE"], os.environ["CART"]) == ("brown", "red")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (os.environ["HORSE"], os.environ.get("CART")) == ("grey", None)
