"""The scanner that finds the lines of keys."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from hostler.config.kind import quote
from hostler.config.line import find_line, locate_keys

TEXT = '''\
# a comment with [brackets] and "quotes
top = 1

[server]
bind = [  # first
    "127.0.0.1:1",  # ] not the end
    '[::1]:2',
]
header = """
[not.a.table]
x = 1
"""
"quoted.key" = 'lite#ral'
after = "a\\"b # no comment"

[env . production]
workers.count = 4
"log" = { level = "info", access = "-" }
[env.production.http]
head_timeout = "1s"

[[things]]
name = "x"
'''


def test_keys_are_found_where_they_stand() -> None:
    lines = locate_keys(TEXT)
    assert {path: lines[path] for path in lines if path[0] != "things"} == {
        ("top",): 2,
        ("server",): 4,
        ("server", "bind"): 5,
        ("server", "header"): 9,
        ("server", "quoted.key"): 13,
        ("server", "after"): 14,
        ("env",): 16,
        ("env", "production"): 16,
        ("env", "production", "workers"): 17,
        ("env", "production", "workers", "count"): 17,
        ("env", "production", "log"): 18,
        ("env", "production", "http"): 19,
        ("env", "production", "http", "head_timeout"): 20,
    }


def test_key_of_an_inline_table_has_the_line_of_the_table() -> None:
    assert find_line(locate_keys(TEXT), ("env", "production", "log", "level")) == 18


def test_unknown_path_has_the_first_line() -> None:
    assert find_line(locate_keys(TEXT), ("nowhere",)) == 1


def test_multi_line_literal_string_hides_what_looks_like_keys() -> None:
    text = "a = '''\nb = 1\n'''\nc = 2\n"
    assert locate_keys(text) == {("a",): 1, ("c",): 4}


def test_last_line_needs_no_line_end() -> None:
    assert locate_keys("a = 1\nb = 2") == {("a",): 1, ("b",): 2}


def test_escapes_in_keys_are_understood() -> None:
    assert locate_keys('"a\\u0062\\n" = 1') == {("ab\n",): 1}


values = st.one_of(
    st.integers(-5, 5).map(str),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(quote),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="'"), max_size=8).map(
        lambda text: f"'{text}'"
    ),
    st.just('[\n  1, # ]\n  "]",\n]'),
    st.just('"""\nx = [\n\\""""'),
    st.just("'''\n[a]\n'''"),
)


@given(st.lists(values, max_size=8), st.integers(0, 3))
def test_every_key_is_found_whatever_the_values_are(items: list[str], blanks: int) -> None:
    parts, expected = [], {}
    line = 1
    for number, value in enumerate(items):
        parts.append("\n" * blanks + f"k{number} = {value}\n")
        expected[f"k{number}",] = line + blanks
        line += parts[-1].count("\n")
    text = "".join(parts)
    assert set(tomllib.loads(text)) == {name for (name,) in expected}
    assert locate_keys(text) == expected
