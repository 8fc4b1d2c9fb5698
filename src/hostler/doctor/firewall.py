"""What packet filters do with a new TCP connection from outside to one port. Pure: rules are handed in as printed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Verdict = Literal["accept", "drop", "reject"]
# Chains may jump to each other; a circle ends here.
_DEEPEST = 16


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, as far as it concerns a port.

    Attributes:
        ports: ranges of ports that it is for; None for all.
        action: what it does: a verdict, "return", "jump", or "" for nothing that ends.
        target: the chain that it jumps to.
        text: as it is printed.
        is_narrow: whether it is for some clients only, so that it says nothing of others.
    """

    ports: tuple[tuple[int, int], ...] | None
    action: str
    target: str = ""
    text: str = ""
    is_narrow: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules in their order, and what is done when none ends it.

    Attributes:
        rules: the rules.
        policy: "accept" or "drop" of a chain that the kernel begins with; empty for others.
        priority: the order of the kernel's chains.
    """

    rules: tuple[Rule, ...] = ()
    policy: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What happens to a connection.

    Attributes:
        verdict: what.
        text: the rule or policy that says so.
        chain: the chain that the kernel began with.
    """

    verdict: Verdict
    text: str
    chain: str = ""


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All chains of one table, by name."""

    name: str
    chains: Mapping[str, Chain] = field(default_factory=dict)

    @property
    def is_ufw(self) -> bool:
        """Whether ufw wrote it."""
        return any(name.startswith("ufw-") for name in self.chains)

    def judge(self, port: int) -> Answer | None:
        """Tell what the table does with a connection to `port`; None when it lets it through."""
        entrances = sorted(
            ((name, chain) for name, chain in self.chains.items() if chain.policy), key=lambda each: each[1].priority
        )
        for name, chain in entrances:
            policy = Answer(_verdict(chain.policy), f"{self.name} {name}: policy {chain.policy}")
            answer = self._follow(chain, port, 0) or policy
            if answer.verdict != "accept":
                return replace(answer, chain=name)
        return None

    def _follow(self, chain: Chain, port: int, depth: int) -> Answer | None:
        for rule in chain.rules:
            if rule.is_narrow or (rule.ports is not None and not any(low <= port <= high for low, high in rule.ports)):
                continue
            if rule.action == "return":
                return None
            if rule.action in {"accept", "drop", "reject"}:
                return Answer(_verdict(rule.action), rule.text)
            if rule.action in {"jump", "goto"} and depth < _DEEPEST:
                answer = self._follow(self.chains.get(rule.target, Chain()), port, depth + 1)
                if answer is not None or rule.action == "goto":
                    return answer
        return None


def _verdict(word: str) -> Verdict:
    return "accept" if word == "accept" else "reject" if word == "reject" else "drop"


# iptables -S, ip6tables -S


def read_iptables(text: str, name: str = "iptables") -> Ruleset:
    """Read what `iptables -S` prints."""
    policies: dict[str, str] = {}
    rules: dict[str, list[Rule]] = {}
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["-P"] and len(words) > 2:
            policies[words[1]] = words[2].lower()
        elif words[:1] == ["-A"] and len(words) > 1:
            rules.setdefault(words[1], []).append(_read_iptables_rule(words[2:], f"{name} {line}"))
    chains = {
        chain: Chain(tuple(rules.get(chain, ())), policies.get(chain, "") if chain == "INPUT" else "")
        for chain in {*policies, *rules}
    }
    return Ruleset(name, chains)


# Matches that do not make a rule narrower for a new TCP connection from anywhere.
_WIDE = frozenset({"-p", "-m", "--dport", "--dports", "-j", "-g", "--comment", "--reject-with", "--tcp-flags", "--syn"})


def _read_iptables_rule(words: Sequence[str], text: str) -> Rule:
    options = _pair(words)
    protocol = options.get("-p", "tcp")
    jump = options.get("-j", options.get("-g", ""))
    action = jump.lower() if jump in {"ACCEPT", "DROP", "REJECT", "RETURN"} else "jump"
    if jump in {"LOG", "NFLOG", "MARK", "CONNMARK", "TRACE", ""}:
        action = ""
    states = options.get("--ctstate", options.get("--state", ""))
    narrow = [each for each in options if each not in _WIDE and each not in {"--ctstate", "--state"}]
    is_old = bool(states and "NEW" not in states.split(","))
    return Rule(
        _read_ports(options.get("--dport", options.get("--dports", ""))),
        "goto" if "-g" in options else action,
        jump,
        text,
        bool(narrow) or is_old or protocol not in {"tcp", "all", "6"} or "!" in words,
    )  # fmt: skip


def _pair(words: Sequence[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    last = ""
    for word in words:
        if word.startswith("-"):
            last = word
            options[last] = ""
        elif last:
            options[last] = f"{options[last]} {word}".strip()
    return options


def _read_ports(text: str) -> tuple[tuple[int, int], ...] | None:
    if not text:
        return None
    ranges = []
    for part in text.split(","):
        low, colon, high = part.partition(":")
        ranges.append((int(low or 0), int(high or 65535) if colon else int(low or 0)))
    return tuple(ranges)


# nft -j list ruleset


def read_nft(text: str) -> tuple[Ruleset, ...]:
    """Read what `nft -j list ruleset` prints: a table each."""
    try:
        objects = json.loads(text).get("nftables", [])
    except (ValueError, AttributeError):
        return ()
    tables: dict[str, dict[str, Chain]] = {}
    rules: dict[tuple[str, str], list[Rule]] = {}
    for each in objects:
        chain, rule = each.get("chain"), each.get("rule")
        if chain and chain["family"] in {"inet", "ip", "ip6"}:
            is_entrance = chain.get("hook") == "input"
            tables.setdefault(_table(chain), {})[chain["name"]] = Chain(
                (), chain.get("policy", "accept") if is_entrance else "", int(chain.get("prio", 0))
            )
        elif rule and rule["family"] in {"inet", "ip", "ip6"}:
            rules.setdefault((_table(rule), rule["chain"]), []).append(_read_nft_rule(rule))
    return tuple(
        Ruleset(
            f"nft {table}",
            {
                name: Chain(tuple(rules.get((table, name), ())), chain.policy, chain.priority)
                for name, chain in chains.items()
            },
        )
        for table, chains in tables.items()
    )


def _table(item: Mapping[str, Any]) -> str:
    return f"{item['family']} {item['table']}"


def _read_nft_rule(rule: Mapping[str, Any]) -> Rule:
    ports: tuple[tuple[int, int], ...] | None = None
    action = target = ""
    is_narrow = False
    for expression in rule.get("expr", ()):
        kind, value = next(iter(expression.items()))
        if kind == "match":
            found = _read_match(value)
            ports = ports if found is True or found is False else found
            is_narrow = is_narrow or found is False
        elif kind in {"accept", "drop", "reject", "return"}:
            action = kind
        elif kind in {"jump", "goto"}:
            action, target = kind, value["target"]
        elif kind in {"xt", "vmap", "limit", "quota"}:
            # What another program wrote (iptables says it better), or what holds for some connections only.
            is_narrow = True
    return Rule(ports, action, target, f"nft {_table(rule)} {rule['chain']}: handle {rule.get('handle')}", is_narrow)


def _read_match(match: Mapping[str, Any]) -> tuple[tuple[int, int], ...] | bool:
    """Give the ports that a match is for; True where it holds for every new TCP connection, False where it may not."""
    left, right, sign = match.get("left", {}), match.get("right"), match.get("op", "==")
    payload, meta, state = left.get("payload", {}), left.get("meta", {}), left.get("ct", {})
    if payload.get("field") == "dport" and payload.get("protocol") in {"tcp", "th"} and sign in {"==", "in"}:
        return tuple(_list_ranges(right))
    if meta.get("key") == "l4proto" or (payload.get("field") in {"protocol", "nexthdr"}):
        return "tcp" in _list_words(right)
    if state.get("key") == "state":
        return "new" in _list_words(right)
    return bool(meta.get("key") == "nfproto")


def _list_words(value: object) -> list[str]:
    if isinstance(value, dict):
        return _list_words(value.get("set", []))
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _list_ranges(value: object) -> Iterator[tuple[int, int]]:
    if isinstance(value, int):
        yield (value, value)
    elif isinstance(value, list):
        for each in value:
            yield from _list_ranges(each)
    elif isinstance(value, dict) and "range" in value:
        low, high = value["range"]
        yield (int(low), int(high))
    elif isinstance(value, dict):
        yield from _list_ranges(value.get("set", []))
