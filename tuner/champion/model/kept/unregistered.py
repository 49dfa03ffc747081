"""Names the classes and functions of a .keras file that Keras cannot find, and says what to do about each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tuner.champion.clean.keras_file import configuration, custom_objects
from tuner.champion.model.kept.kept_file import KeptFile, LeftOut
from tuner.champion.model.kept.users_objects import REGISTER, Reference, UsersObject, UsersObjects, is_kerass_own

_REGISTER = f"{REGISTER}()"


def explain_missing(file: Path, users: UsersObjects, *, compiled: bool = True) -> str | None:
    """What a .keras file needs that is not registered, or not allowed, as sentences; None if nothing is missing.

    Args:
        compiled: what it was compiled with is needed too.

    Raises:
        OSError, ValueError, KeyError, BadZipFile: it is not a .keras file.
    """
    config = configuration(str(file))
    if not compiled:
        config.pop("compile_config", None)
    items = list(custom_objects(config))
    found = list(dict.fromkeys(_missing(items, users)))
    if any(item["class_name"] == "__lambda__" for item in items):
        found.append(
            "it has a Lambda layer made from a Python lambda, whose code Keras does not load from a file: write it as "
            f"a Layer subclass with {_REGISTER} above it"
        )
    return "; ".join(found) or None


def unregistered(kept: KeptFile, left_out: Sequence[LeftOut], users: UsersObjects) -> list[str]:
    """What of a model that can be exported is not registered, a sentence each, with what to do about it.

    Args:
        left_out: what the exported file is without.
    """
    found = [
        _unregistered(reference, each, users) for reference, each in kept.of_the_model.items() if not each.registered
    ]
    defined = {reference.name: (reference, each) for reference, each in kept.named.items()}
    for each in left_out:
        reference, known = defined.get(each.name, (Reference("function", each.name), None))
        place = place_of(known.reference if known else reference, users)
        if known is None or known.registered:
            found.append(
                f"{each}{place} cannot be loaded from a file: an exported model.keras will be without it. Its value is "
                "computed by the model that the space builds"
            )
        else:
            advice = f"put {_decorator(known)} above it to have it there"
            found.append(f"{each}{place} is not registered: an exported model.keras will be without it; {advice}")
    return list(dict.fromkeys(found))


def _unregistered(reference: Reference, known: UsersObject, users: UsersObjects) -> str:
    return (
        f"the {reference.what} {reference.name}{place_of(known.reference, users)} is not registered: `tuner export` "
        f"takes it from there, but others can load model.keras only with custom_objects; put "
        f"{_decorator(known)} above it"
    )


def _decorator(known: UsersObject) -> str:
    return f'{REGISTER}(package="{known.value.__module__.rpartition(".")[2]}")'


def place_of(reference: Reference, users: UsersObjects) -> str:
    """Where a class or a function is defined, in brackets; empty where that is not clear."""
    found = users.defined_in(reference)
    return f" ({found[0]}, line {found[1]})" if found else ""


def _missing(items: list[dict[str, Any]], users: UsersObjects) -> Iterator[str]:
    for item in items:
        if item["class_name"] == "__lambda__" or is_kerass_own(item):
            continue
        reference = Reference.of(item)
        if users.find(reference) is not None:
            continue
        what, name = reference.what, reference.saved
        if ">" in name:
            yield (
                f"the {what} {reference.name} is registered as {name}, but importing the space's module "
                "does not register it: import the module that defines it there, under that package name"
            )
            continue
        where = (f" of module {reference.module}" if reference.module else "") + place_of(reference, users)
        yield (
            f"the {what} {name}{where} is not registered: put {_REGISTER} above its definition, which must be at the "
            "top of the space's module or of one that it imports"
        )
