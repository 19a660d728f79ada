"""Names to objects: the built-in entries of a registry and a user's own "package.module:object" alike."""

import importlib
from collections.abc import Mapping

from pydantic import ValidationError


def resolve(kind: str, registry: Mapping[str, str], name: str) -> object:
    """Import what `name` stands for in `registry`, or what it spells out itself.

    Args:
        kind: what the registry holds ("model", "loss", ...), for the error message.
        registry: built-in names, each with its "package.module:object".
        name: a built-in name, or "package.module:object" for an entry of one's own.

    Raises:
        ValueError: the name is neither; the message lists what is allowed. Also when the module or the object in it
            does not exist.
    """
    target = registry.get(name, name)
    module_name, colon, attribute = target.partition(":")
    if not colon or not module_name or not attribute:
        allowed = ", ".join(sorted(registry))
        raise ValueError(f'unknown {kind} "{name}": allowed are {allowed}, or one\'s own as "package.module:object"')
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ValueError(f'{kind} "{name}": there is no module "{error.name}"; is its folder importable?') from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        raise ValueError(f'{kind} "{name}": module "{module_name}" has no "{attribute}"') from error


def option_error(kind: str, name: str, options: Mapping[str, object], error: ValidationError | TypeError) -> ValueError:
    """The one-line error for options that a builder refused: which option, what was given, what is allowed."""
    if isinstance(error, TypeError):
        return ValueError(f'{kind} "{name}" with options {dict(options)}: {error}')
    parts = []
    for detail in error.errors():
        option = ".".join(str(part) for part in detail["loc"])
        given = options.get(str(detail["loc"][0])) if detail["loc"] else None
        text = "is required" if detail["type"].startswith("missing") else detail["msg"].lower()
        if detail["type"] == "unexpected_keyword_argument":
            text = "is not an option of it"
        shown = "" if given is None else f" = {given!r}"
        parts.append(f"option {option}{shown}: {text}")
    return ValueError(f'{kind} "{name}": ' + "; ".join(parts))
