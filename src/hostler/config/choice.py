"""The choice between the settings of all sources, and the end of the references that were chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from hostler.config.kind import Table
from hostler.config.secret import MASK, Reference, UnreadableError, looks_secret
from hostler.config.source import Setting

Read = Callable[[Reference], str]


@dataclass(frozen=True, slots=True)
class Choice:
    """What the strongest source says of each option that any source speaks of, with all references followed.

    Attributes:
        settings: the settings, by option path.
        masks: what to show in the place of values that are not to be seen, by option path, or by the path of an item
            such as "app.env.SECRET_KEY".
    """

    settings: Mapping[str, Setting]
    masks: Mapping[str, str]


def choose_settings(settings: Sequence[Setting], read: Read, problems: list[str]) -> Choice:
    """Choose between settings, a later one winning over an earlier one, and follow the references of those chosen.

    Args:
        settings: what sources gave, from the weakest to the strongest.
        read: follows a reference; see `secret.read_reference`.
        problems: takes a sentence for each reference that leads nowhere, or to a value that is wrong.
    """
    chosen = {setting.option.path: setting for setting in settings}
    masks: dict[str, str] = {}
    for path, setting in chosen.items():
        if isinstance(setting.value, Reference):
            masks[path] = setting.value.mask
            chosen[path] = replace(setting, value=_follow(setting, setting.value, read, problems))
        elif isinstance(setting.value, Mapping):
            masks |= _mask_items(setting, setting.value)
            items = _follow_items(setting, setting.value, read, problems)
            chosen[path] = replace(setting, value=items)
    return Choice(chosen, masks)


def _follow(setting: Setting, reference: Reference, read: Read, problems: list[str]) -> object:
    """Give the value that a reference leads to, or else the default beside the problem."""
    where, option = setting.origin.where, setting.option
    try:
        return option.kind.parse(read(reference))
    except UnreadableError as error:
        problems.append(f"{where}: {option.path}: {error}")
    except ValueError:
        problems.append(f"{where}: {option.path} is {reference.mask}; it must be {option.kind.expects}")
    return option.default


def _follow_items(
    setting: Setting, items: Mapping[str, object], read: Read, problems: list[str]
) -> Mapping[str, object]:
    pairs = {}
    for name, item in items.items():
        if not isinstance(item, Reference):
            pairs[name] = item
            continue
        path = f"{setting.places.get(name, setting.origin.where)}: {setting.option.path}.{name}"
        try:
            pairs[name] = read(item)
            setting.option.kind.convert({name: pairs[name]})
        except UnreadableError as error:
            problems.append(f"{path}: {error}")
        except ValueError:
            problems.append(f"{path} is {item.mask}; it must be a text without NUL")
    return MappingProxyType(pairs)


def _mask_items(setting: Setting, items: Mapping[str, object]) -> Mapping[str, str]:
    """Find the items that are not to be seen: those that are references, and what looks like a secret."""
    kind, path = setting.option.kind, setting.option.path
    masks = {}
    for name, item in items.items():
        if isinstance(item, Reference):
            masks[f"{path}.{name}"] = item.mask
        elif isinstance(kind, Table) and kind.private and looks_secret(name, str(item)):
            masks[f"{path}.{name}"] = MASK
    return masks
