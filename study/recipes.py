"""Recipes of published experiments that `kd-study reproduce` knows by name; one TOML file each."""

import tomllib
from importlib import resources
from importlib.resources.abc import Traversable

from pydantic import ValidationError

from trainables.hinton2015 import Hinton2015Recipe


def recipe_names() -> list[str]:
    """Names of the publications whose experiments can be run again."""
    files = [entry.name for entry in _folder().iterdir()]
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def read_recipe(name: str) -> Hinton2015Recipe:
    """The recipe of a publication.

    Raises:
        ValueError: there is none of that name, or it is not in order; one line says which or what.
    """
    if name not in recipe_names():
        raise ValueError(f'unknown publication "{name}": allowed are {", ".join(recipe_names())}')
    data = tomllib.loads((_folder() / f"{name}.toml").read_text(encoding="utf-8"))
    try:
        return Hinton2015Recipe.model_validate(data)
    except ValidationError as error:
        problem = error.errors()[0]
        raise ValueError(f'recipe "{name}": {".".join(map(str, problem["loc"]))}: {problem["msg"]}') from error


def _folder() -> Traversable:
    return resources.files("study").joinpath("reproductions")
