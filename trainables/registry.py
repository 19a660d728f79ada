"""Names to objects: the built-in entries of a registry and a user's own "package.module:object" alike."""

import importlib
import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Unpack, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from trainables.config import NamedConfig


def make_importable(folder: str | None) -> None:
    """Let this process import a user's own entries from a folder; None: there are none."""
    if folder is not None and folder not in sys.path:
        sys.path.insert(0, folder)


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
    except (TypeError, ValueError, ImportError, SyntaxError) as error:
        raise ValueError(f'{kind} "{name}": "{module_name}" cannot be imported: {error}') from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        raise ValueError(f'{kind} "{name}": module "{module_name}" has no "{attribute}"') from error


def construct(kind: str, registry: Mapping[str, str], config: NamedConfig, *context: object, **given: object) -> object:
    """Call the builder that `config` names with its options.

    Args:
        kind: what the registry holds, for the error message.
        registry: built-in names, each with its "package.module:object".
        config: name and options.
        context: what every builder of this kind takes first, by position.
        given: what every builder of this kind takes by keyword beside its options.

    Raises:
        ValueError: no such entry, or an option is unknown, missing or not allowed; one line says which and what is.
    """
    builder = resolve(kind, registry, config.name)
    if not callable(builder):
        raise ValueError(f'{kind} "{config.name}" is a {type(builder).__name__}: it must be a function or a class')
    _check_option_names(kind, config, builder, num_taken=len(context), taken=given.keys())
    try:
        return builder(*context, **given, **config.options)
    except ValidationError as error:
        problems = "; ".join(_option_problem(detail, config.options) for detail in error.errors())
        raise ValueError(f'{kind} "{config.name}": {problems}') from error


def _check_option_names(
    kind: str, config: NamedConfig, builder: Callable[..., object], *, num_taken: int, taken: Collection[str]
) -> None:
    parameters = list(inspect.signature(builder).parameters.values())
    keywords = [parameter.annotation for parameter in parameters if parameter.kind is parameter.VAR_KEYWORD]
    spelled_out = [get_args(each)[0] for each in keywords if get_origin(each) is Unpack]  # `**options: Unpack[...]`
    takes_any = len(keywords) > len(spelled_out)
    variable = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    options = [each for each in parameters[num_taken:] if each.name not in taken and each.kind not in variable]
    names = [
        *(parameter.name for parameter in options),
        *(name for each in spelled_out for name in each.__annotations__),
    ]
    for name, value in config.options.items():
        if name not in names and not takes_any:
            allowed = ", ".join(names) or "none"
            raise ValueError(f'{kind} "{config.name}": there is no option {name} = {value!r}; allowed are {allowed}')
    for parameter in options:
        if parameter.default is parameter.empty and parameter.name not in config.options:
            raise ValueError(f'{kind} "{config.name}": option {parameter.name} is required')


def _option_problem(detail: ErrorDetails, options: Mapping[str, object]) -> str:
    path = [str(part) for part in detail["loc"]]
    message = detail["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    given = f" = {options[path[0]]!r}" if path and path[0] in options else ""
    return f"option {'.'.join(path)}{given}: {message}" if path else message
