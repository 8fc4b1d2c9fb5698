"""Taking the name of an application apart."""

from __future__ import annotations

import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostler.app import Target, parse_target
from hostler.app.target import Call
from hostler.errors import ApplicationError


@pytest.mark.parametrize(
    "text,target",
    [
        ("app", Target("app", module="app")),
        ("app:app", Target("app:app", module="app", attributes=("app",))),
        ("a.b.c:d.e", Target("a.b.c:d.e", module="a.b.c", attributes=("d", "e"))),
        (" app:app ", Target("app:app", module="app", attributes=("app",))),
        ("app:make()", Target("app:make()", module="app", attributes=("make",), call=Call())),
        (
            "app:make('x', [1], debug=True)",
            Target(
                "app:make('x', [1], debug=True)",
                module="app",
                attributes=("make",),
                call=Call(("x", [1]), {"debug": True}),
            ),
        ),
        ("app.py", Target("app.py", path="app.py")),
        ("dir/app.py:x", Target("dir/app.py:x", path="dir/app.py", attributes=("x",))),
        ("/srv/app.wsgi", Target("/srv/app.wsgi", path="/srv/app.wsgi")),
        ("./site.wsgi", Target("./site.wsgi", path="./site.wsgi")),
        ("my-site.wsgi", Target("my-site.wsgi", path="my-site.wsgi")),
        ("site.wsgi", Target("site.wsgi", module="site.wsgi")),
        ("site.wsgi:application", Target("site.wsgi:application", module="site.wsgi", attributes=("application",))),
        ("app:f('a:b/c.py')", Target("app:f('a:b/c.py')", module="app", attributes=("f",), call=Call(("a:b/c.py",)))),
    ],
)
def test_target_is_taken_apart(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text", ["", ":", ":app", "app:", "a b", "my-app:app", "app:1", "app:f()()", "app:a b", "app:f()[0]"]
)
def test_text_that_names_no_application_is_refused(text: str) -> None:
    with pytest.raises(ApplicationError, match="does not name an application"):
        parse_target(text)


@pytest.mark.parametrize("arguments", ["os", "1+x", "*[1]", "**{}", "__import__('os')", "f'{x}'", "lambda: 1"])
def test_arguments_that_are_code_are_refused(arguments: str) -> None:
    with pytest.raises(ApplicationError, match="must be literals"):
        parse_target(f"app:make({arguments})")


KEYWORDS = frozenset(keyword.kwlist)
names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
literals = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(names, min_size=1, max_size=3),
    names,
    st.lists(literals, max_size=3),
    st.dictionaries(names, literals, max_size=3),
)
def test_literal_arguments_survive(
    modules: list[str], factory: str, arguments: list[object], named: dict[str, object]
) -> None:
    if {*modules, factory, *named} & KEYWORDS:
        return
    written = [repr(value) for value in arguments] + [f"{name}={value!r}" for name, value in named.items()]
    target = parse_target(f"{'.'.join(modules)}:{factory}({', '.join(written)})")
    assert target.module == ".".join(modules)
    assert target.call == Call(tuple(arguments), named)


@given(st.text(max_size=40))
def test_any_text_is_taken_apart_or_refused(text: str) -> None:
    try:
        target = parse_target(text)
    except ApplicationError:
        return
    assert bool(target.module) != bool(target.path)
