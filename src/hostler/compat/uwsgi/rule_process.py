"""What the options of the supervisor and its workers become."""

from __future__ import annotations

from collections.abc import Iterator

from hostler.compat.effect import Effect, Give, Note
from hostler.compat.uwsgi.option import Facts, Given

MEBIBYTE = 1_048_576


def count_workers(facts: Facts) -> int:
    """Give the number of workers."""
    return max(1, min(1024, facts.number("processes"))) if "processes" in facts.given else 1


def is_lazy(facts: Facts) -> bool:
    """Tell whether each worker loads the application itself."""
    return facts.is_on("lazy-apps")


def leave(_given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """An option that the rule of another looks at."""
    return iter(())


def map_processes(_given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`processes`; with `cheaper` it is the most workers, not the number to begin with."""
    if not facts.number("cheaper"):
        yield Give("workers.count", count_workers(facts))


def map_cheaper(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`cheaper`: the fewest workers.

    Raises:
        ValueError: there are not so many.
    """
    least, most = given[-1].number, count_workers(facts)
    if not least:
        return
    if least >= most:
        raise ValueError(f"fewer than processes, which is {most}")
    yield Give("scaling.min", 0 if facts.is_on("cheap") else least)
    yield Give("scaling.max", most)
    yield Give("workers.count", min(most, max(1, facts.number("cheaper-initial") or least)))


def map_cheaper_memory(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`cheaper-rss-limit-soft`, in bytes."""
    yield Give("scaling.memory", given[-1].number)


def map_cheap(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`cheap`: down to no worker."""
    if given[-1].is_on:
        yield Give("scaling.min", 0)
        yield Give("scaling.max", count_workers(facts))


def map_idle(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`idle`: after how long; without `cheap` uWSGI's workers stay as well, if there is something to come back to."""
    if given[-1].number:
        yield Give("scaling.idle", given[-1].number)
        if not facts.is_on("cheap"):
            yield Give("scaling.min", 0)
            yield Give("scaling.max", count_workers(facts))


def map_threads(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`threads`."""
    yield Give("workers.threads", max(1, min(1024, given[-1].number)))


def map_lazy(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`lazy-apps`: the opposite of preloading."""
    yield Give("app.preload", not given[-1].is_on)


def map_max_requests(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`max-requests`."""
    yield Give("workers.max_requests", given[-1].number)


def map_jitter(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`max-requests-delta`: uWSGI adds it times the number of the worker; here it is at random, up to as much."""
    if facts.number("max-requests"):
        yield Give("workers.max_requests_jitter", given[-1].number * count_workers(facts))


def map_age(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`max-worker-lifetime`, in seconds."""
    yield Give("workers.max_age", given[-1].number)


def map_memory(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`reload-on-rss`, in megabytes."""
    yield Give("workers.max_memory", given[-1].number * MEBIBYTE)


def map_deadline(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`harakiri`, in seconds."""
    yield Give("deadlines.default", given[-1].number)


def map_grace(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`harakiri-graceful-timeout`, in seconds."""
    if given[-1].number:
        yield Give("deadlines.grace", given[-1].number)


def map_mercy(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`worker-reload-mercy`."""
    if given[-1].number:
        yield Give("server.graceful_timeout", given[-1].number)


def map_touch(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`touch-reload` and its like; where a reload is the end, `control` looks at the files."""
    if not facts.is_on("exit-on-reload"):
        yield Give("reload.touch", [str(facts.home / each.text) for each in given])


def map_chain(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`touch-chain-reload`: one worker after the other."""
    yield from map_touch(given, facts)
    yield Give("reload.strategy", "one-by-one")


def map_pid_file(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`pidfile` and the other three: one is written."""
    yield Give("server.pid_file", given[-1].text)
    if len({each.text for each in given}) > 1:
        yield Note(f"one pid file is written, {given[-1].text}")


def map_name(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`procname`."""
    yield Give("server.name", given[-1].text)


def map_name_prefix(given: tuple[Given, ...], facts: Facts) -> Iterator[Effect]:
    """`procname-prefix`."""
    if "procname" not in facts.given:
        name = facts.text("module") or facts.text("wsgi-file")
        yield Give("server.name", f"{given[-1].text}{' ' if given[-1].name.endswith('spaced') else ''}{name}".strip())


def map_user(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`uid`."""
    yield Give("server.user", given[-1].text)


def map_group(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`gid`."""
    yield Give("server.group", given[-1].text)


def map_immediate(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`immediate-uid` and `immediate-gid`."""
    for each in given:
        yield Give("server.user" if each.name == "immediate-uid" else "server.group", each.text)


def map_umask(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`umask`.

    Raises:
        ValueError: it is not octal.
    """
    try:
        yield Give("server.umask", f"{int(given[-1].text, 8) & 0o777:03o}")
    except ValueError:
        raise ValueError("octal digits such as 022") from None


# Limits and rights


def map_groups(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`add-gid`."""
    yield Give("process.groups", [each.text for each in given])


def map_cores(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`cpu-affinity`: so many cores for each worker."""
    if given[-1].number == 1:
        yield Give("process.cpus", "each")
    elif given[-1].number:
        yield Note("workers get one core each, or all; process.cpus names cores")


def map_priority(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`prio`."""
    yield Give("process.nice", given[-1].number)


def map_limits(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`limit-as`, in megabytes, and `limit-nproc`."""
    for each in given:
        name, unit = ("as", MEBIBYTE) if each.name == "limit-as" else ("nproc", 1)
        yield Give("process.limits", {name: str(each.number * unit)})


def map_root(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`chroot`."""
    yield Give("process.chroot", given[-1].text)


def map_capabilities(given: tuple[Given, ...], _facts: Facts) -> Iterator[Effect]:
    """`cap`."""
    yield Give("process.capabilities", [name.strip() for name in given[-1].text.split(",") if name.strip()])
