import pytest

from trainables import data

NOT_A_FUNCTION = 7


def not_a_dataset() -> str:
    return "seven"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r'unknown dataset "mnits": allowed are .*mnist'):
        data.load("mnits")


def test_an_entry_that_cannot_be_called_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=f'dataset "{__name__}:NOT_A_FUNCTION" is a int: it must be a function'):
        data.load(f"{__name__}:NOT_A_FUNCTION")


def test_an_entry_that_returns_something_else_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"not_a_dataset\" returned a str: it must return a .*image_arrays\.Dataset"):
        data.load(f"{__name__}:not_a_dataset")
