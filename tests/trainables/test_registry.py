from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import Field, ValidationError, validate_call

from trainables.registry import option_error, resolve

REGISTRY = {"join": "os.path:join", "broken": "os.path:no_such_function", "gone": "no_such_module:entry"}


def test_a_built_in_name_gives_the_object_it_stands_for() -> None:
    assert resolve("path", {"Path": "pathlib:Path"}, "Path") is Path


def test_ones_own_entry_is_imported_by_its_address() -> None:
    assert resolve("path", {}, "pathlib:Path") is Path


@pytest.mark.parametrize("name", ["jion", "os.path", "os.path:", ":join", ""])
def test_a_name_that_is_neither_lists_the_built_in_ones(name: str) -> None:
    with pytest.raises(ValueError, match=f'unknown path "{name}": allowed are broken, gone, join, or one\'s own as'):
        resolve("path", REGISTRY, name)


def test_a_missing_module_is_named() -> None:
    with pytest.raises(ValueError, match='path "gone": there is no module "no_such_module"'):
        resolve("path", REGISTRY, "gone")


def test_a_module_that_lacks_the_object_is_named() -> None:
    with pytest.raises(ValueError, match=r'path "broken": module "(posix|os\.)?path" has no "no_such_function"'):
        resolve("path", {"broken": "os.path:no_such_function"}, "broken")


@validate_call
def builder(width: int = Field(ge=1), *, depth: int = 2) -> tuple[int, int]:
    return width, depth


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, 'model "net": option width = 0: input should be greater than or equal to 1'),
        ({}, 'model "net": option width: is required'),
        ({"width": 1, "colour": "red"}, "model \"net\": option colour = 'red': is not an option of it"),
        ({"width": 0, "depth": "deep"}, "option width = 0: .*; option depth = 'deep': "),
    ],
)
def test_a_refused_option_is_named_with_its_value_in_one_line(options: Mapping[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        builder(**options)  # type: ignore[arg-type]
    error = option_error("model", "net", options, caught.value)
    assert "\n" not in str(error)
    with pytest.raises(ValueError, match=message):
        raise error


def test_a_builder_without_checks_gives_its_own_words_and_the_options() -> None:
    error = option_error("model", "net", {"width": 1}, TypeError("unexpected keyword argument 'width'"))
    assert str(error) == "model \"net\" with options {'width': 1}: unexpected keyword argument 'width'"
