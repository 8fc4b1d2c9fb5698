"""Which site of a web server answers a page, and which of its routes. Pure; the rules are the servers' own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hostler.doctor.model import Page, Route, Site


def list_listening_sites(sites: Sequence[Site], page: Page) -> list[Site]:
    """List the sites that listen at the page's port."""
    return [site for site in sites if any(each.port == page.port for each in site.listens)]


def find_named_site(sites: Sequence[Site], host: str) -> Site | None:
    """Find the site that has this name: exactly, by a wildcard, by an expression (server_names.html)."""
    host = host.lower()
    for matches in (_is_exact, _is_below, _begins_like, _is_matched):
        fitting = [(name, site) for site in sites for name in site.names if matches(name.lower(), host)]
        if fitting:
            # The longest wildcard; the first of what is equally long.
            return max(fitting, key=lambda each: len(each[0]))[1]
    return None


def find_default_site(sites: Sequence[Site], page: Page) -> Site | None:
    """Find the site that answers for names that no site has."""
    marked = [site for site in sites if any(each.is_default and each.port == page.port for each in site.listens)]
    return next(iter([*marked, *sites]), None)


def _is_exact(name: str, host: str) -> bool:
    return name == host or (name.startswith(".") and name[1:] == host)


def _is_below(name: str, host: str) -> bool:
    return name.startswith(("*.", ".")) and host.endswith(name.lstrip("*")) and name != "*."


def _begins_like(name: str, host: str) -> bool:
    return name.endswith(".*") and host.startswith(name[:-1])


def _is_matched(name: str, host: str) -> bool:
    return name.startswith("~") and _search(name[1:], host)


def _search(pattern: str, text: str) -> bool:
    """Search with an expression of PCRE, as far as Python's module reads it."""
    try:
        return re.search(re.sub(r"\(\?<(?![=!])", "(?P<", pattern), text) is not None
    except re.error:
        return False


def find_route(site: Site, path: str) -> Route | None:
    """Find the route that a path takes."""
    path = path.partition("?")[0]
    if site.is_ordered:
        return next((each for each in site.routes if _fits(each, path)), None)
    exact = [each for each in site.routes if each.kind == "exact" and each.pattern == path]
    if exact:
        return exact[0]
    prefixes = [each for each in site.routes if each.kind in {"prefix", "final"} and path.startswith(each.pattern)]
    best = max(prefixes, key=lambda each: len(each.pattern), default=None)
    if best is not None and best.kind == "final":
        return best
    return next((each for each in site.routes if each.kind == "regex" and _search(each.pattern, path)), best)


def _fits(route: Route, path: str) -> bool:
    if route.kind == "regex":
        return _search(route.pattern, path)
    return path.startswith(route.pattern) or f"{path}/" == route.pattern
