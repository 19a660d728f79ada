from pathlib import Path
from typing import Annotated, Unpack

import pytest
from pydantic import Field, validate_call
from typing_extensions import TypedDict

from trainables.config import NamedConfig, OptionValue
from trainables.registry import construct, resolve

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
def net(shape: tuple[int, ...], *, classes: int, width: int = Field(ge=1), depth: int = 2) -> tuple[object, ...]:
    return shape, classes, width, depth


def unchecked(shape: tuple[int, ...], **options: object) -> tuple[object, ...]:
    return shape, options


NETS = {"net": "tests.trainables.test_registry:net", "unchecked": "tests.trainables.test_registry:unchecked"}


def build(name: str, **options: OptionValue) -> object:
    return construct("model", NETS, NamedConfig(name=name, options=options), (1, 8, 8), classes=3)


def test_builder_gets_context_what_is_given_and_its_options() -> None:
    assert build("net", width=4) == ((1, 8, 8), 3, 4, 2)


def test_builder_that_takes_anything_gets_anything() -> None:
    assert build("unchecked", colour="red") == ((1, 8, 8), {"classes": 3, "colour": "red"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, 'model "net": option width = 0: input should be greater than or equal to 1'),
        ({"width": 1, "colour": "red"}, "model \"net\": there is no option colour = 'red'; allowed are width, depth$"),
        ({"width": 0, "depth": "deep"}, "option width = 0: .*; option depth = 'deep': "),
        ({"width": 1, "classes": 4}, "there is no option classes = 4; allowed are width, depth$"),
    ],
)
def test_a_refused_option_is_named_with_its_value_in_one_line(options: dict[str, OptionValue], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        build("net", **options)
    assert "\n" not in str(caught.value)


class Shared(TypedDict, total=False):
    """Options that several builders take."""

    colour: Annotated[str, Field(max_length=5)]
    size: int


@validate_call
def spelled_out(shape: tuple[int, ...], *, classes: int, width: int, **shared: Unpack[Shared]) -> tuple[object, ...]:
    return shape, classes, width, shared


def test_options_that_builders_share_are_checked_and_listed_as_each_ones_own() -> None:
    nets = {"net": "tests.trainables.test_registry:spelled_out"}

    def made(**options: OptionValue) -> object:
        return construct("model", nets, NamedConfig(name="net", options=options), (1, 8, 8), classes=3)

    assert made(width=4, colour="red") == ((1, 8, 8), 3, 4, {"colour": "red"})
    with pytest.raises(ValueError, match=r"no option color = 'red'; allowed are width, colour, size$"):
        made(width=4, color="red")
    with pytest.raises(ValueError, match="option colour = 'vermilion': string should have at most 5 characters"):
        made(width=4, colour="vermilion")


def needy(shape: object, *, classes: int, width: int) -> object:
    return shape, classes, width


def test_a_required_option_that_is_missing_is_named() -> None:
    config = NamedConfig(name="tests.trainables.test_registry:needy")
    with pytest.raises(ValueError, match='needy": option width is required'):
        construct("model", NETS, config, (1, 8, 8), classes=3)


def test_an_entry_that_cannot_be_called_is_said_so() -> None:
    with pytest.raises(ValueError, match='NETS" is a dict: it must be a function or a class'):
        construct("model", NETS, NamedConfig(name="tests.trainables.test_registry:NETS"))
