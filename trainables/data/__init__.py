"""Datasets by name: one file each, one line here."""

from trainables.config import NamedConfig
from trainables.data.image_arrays import Dataset
from trainables.registry import construct

DATASETS = {
    "mnist": "trainables.data.mnist:load",
}


def load(name: str) -> Dataset:
    """Load a dataset: a name from `DATASETS`, or one's own function without arguments as "package.module:object".

    Raises:
        ValueError: no such dataset, it is not a function that returns a `Dataset`, or its files are damaged.
    """
    dataset = construct("dataset", DATASETS, NamedConfig(name=name))
    if not isinstance(dataset, Dataset):
        raise ValueError(
            f'dataset "{name}" returned a {type(dataset).__name__}: it must return a {Dataset.__module__}.Dataset'
        )
    return dataset
