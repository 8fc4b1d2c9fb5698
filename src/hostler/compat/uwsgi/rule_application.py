"""What the options of the application and its Python become."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator
from pathlib import Path

from hostler.compat.effect import Effect, Give, Note
from hostler.compat.uwsgi.option import Facts, Given

# For ways to wait with many clients per process. Threads are made when they are needed, and 64 of them are about
# what one interpreter can keep busy with waiting (arbitrary).
GREEN_THREADS = 64
GREEN = ("gevent", "async")


def leave(_given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """An option that the rule of another looks at."""
    return iter(())


def map_module(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`module`: a dotted name, with a colon and the callable."""
    yield Give("app.target", name_target(given[-1].text, facts))


def map_file(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`wsgi-file`: a path; `module` wins over it."""
    if "module" in facts.given:
        yield Note("is not loaded, as module names the application")
    else:
        yield Give("app.target", name_file(given[-1].text, facts))


def name_target(text: str, facts: Facts) -> str:
    """Write a module, with a callable or without, in Hostler's words."""
    module, colon, name = text.partition(":")
    return f"{module}:{name if colon and name else facts.text('callable') or 'application'}"


def name_file(text: str, facts: Facts) -> str:
    """Write the path of a file in Hostler's words."""
    path = text if "/" in text else f"./{text}"
    return f"{path}:{facts.text('callable') or 'application'}"


def is_file(text: str) -> bool:
    """Tell whether what is mounted is a file, not a module."""
    return text.endswith((".py", ".wsgi")) or "/" in text.partition(":")[0]


def map_mount(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`mount`: /prefix=application.

    Raises:
        ValueError: one has no equals sign.
    """
    mounts = {}
    for each in given:
        place, equals, target = each.text.partition("=")
        if not equals:
            raise ValueError(f"/prefix=application, other than {each.text}")
        if "|" in place or (place and not place.startswith("/")):
            yield Note(f"{each.text} is not mounted: one application by host name is not chosen yet")
            continue
        named = name_file(target, facts) if is_file(target) else name_target(target, facts)
        prefix = place.rstrip("/")
        if prefix:
            mounts[prefix] = named
        else:
            yield Give("app.target", named)
    if not mounts:
        return
    yield Give("app.mounts", mounts)
    if not any(name in facts.given for name in ("module", "wsgi-file")) and not _has_root(given):
        # There is no default application: what no mount answers is 404, as with uWSGI.
        prefix, target = next(iter(mounts.items()))
        yield Give("app.target", target)
        yield Note(f"no application has the root; that of {prefix} is given it")


def _has_root(given: tuple[Given, ...]) -> bool:
    return any(each.text.partition("=")[0].rstrip("/") == "" for each in given)


# Surroundings


def map_directory(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`chdir`; the door itself resolves it."""
    yield Give("app.chdir", given[-1].text)


def map_second_directory(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`chdir2`: after the application is loaded; `chdir` wins over it."""
    if "chdir" in facts.given:
        yield Note(f"the directory stays that of chdir, {facts.text('chdir')}")
    else:
        yield Give("app.chdir", given[-1].text)


def map_python_path(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`pythonpath`: directories, with patterns."""
    paths = []
    for each in given:
        # Relative paths are those of the application's directory, as are the results.
        found = sorted(glob.glob(each.text, root_dir=facts.home)) or [each.text]  # noqa: PTH207 - absolute patterns too
        paths += [str(Path(path)) for path in found]
    yield Give("app.python_path", paths)


def map_home(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`home`: a virtual environment. Its packages are found if it is of this Python.

    Raises:
        ValueError: it is no environment, or one of another Python.
    """
    home = facts.home / given[-1].text
    if home.resolve() == Path(sys.prefix).resolve():
        return
    packages = find_packages(home)
    if packages is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        found = ", ".join(sorted(path.parent.name for path in home.glob("lib/python*/site-packages")))
        has = f"it has {found}" if found else "there is none"
        raise ValueError(
            f"a virtual environment of Python {version}, which Hostler runs in ({has}); install Hostler in it"
        )
    yield Give("app.python_path", [str(packages)])
    yield Note("its packages are put on the path; better install Hostler in it, and start that")


def find_packages(home: Path) -> Path | None:
    """Find the packages of a virtual environment of the running version of Python."""
    path = home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    return path if path.is_dir() else None


def map_variable(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`env`: NAME=value.

    Raises:
        ValueError: one has no equals sign.
    """
    pairs = {}
    for each in given:
        name, equals, value = each.text.partition("=")
        if not equals or not name:
            raise ValueError(f"NAME=value, other than {each.text}")
        pairs[name] = value
    yield Give("app.env", pairs)


def map_unset(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`unenv`: a variable cannot be taken away; it is made empty."""
    yield Give("app.env", {each.text: "" for each in given})
    yield Note("is made empty, not taken away")


def map_variable_directory(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`envdir`: a file for each variable, as of daemontools.

    Raises:
        ValueError: a directory cannot be read.
    """
    pairs = {}
    for each in given:
        try:
            for path in sorted((facts.directory / each.text).iterdir()):
                if path.is_file() and not path.name.startswith("."):
                    text = path.read_text(encoding="utf-8")
                    pairs[path.name] = text.partition("\n")[0].rstrip(" \t") if text else ""
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"a directory of files ({error})") from None
    yield Give("app.env", pairs)


# Waiting


def map_green(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`gevent` and its like: as many threads, up to a bound."""
    if facts.number("threads") > 1:
        return
    count = min(GREEN_THREADS, max(1, given[-1].number))
    yield Give("workers.threads", count)
    yield Note(f"requests run in up to {count} threads, nothing is monkey-patched; threads sets another number")
