"""Datasets by name: one file each, one line here."""

from trainables.config import NamedConfig
from trainables.data.image_arrays import Dataset
from trainables.registry import construct

DATASETS = {
    "arrays": "trainables.data.arrays:load",
    "cifar10": "trainables.data.cifar:cifar10",
    "cifar100": "trainables.data.cifar:cifar100",
    "fashion_mnist": "trainables.data.fashion_mnist:load",
    "image_folder": "trainables.data.folder:load",
    "mnist": "trainables.data.mnist:load",
    "tiny_imagenet": "trainables.data.tiny_imagenet:load",
}


def load(dataset: NamedConfig | str) -> Dataset:
    """Load a dataset, with its options; only the name where it needs none.

    Args:
        dataset: a name from `DATASETS`, or one's own function as "package.module:object", and options; the function is
            called with them by keyword, and returns a `Dataset`.

    Raises:
        ValueError: no such dataset, an option is unknown or not allowed, it is not a function that returns a `Dataset`,
            or its files are missing or damaged.
    """
    config = NamedConfig(name=dataset) if isinstance(dataset, str) else dataset
    loaded = construct("dataset", DATASETS, config)
    if not isinstance(loaded, Dataset):
        raise ValueError(
            f'dataset "{config.name}" returned a {type(loaded).__name__}: it must return a {Dataset.__module__}.Dataset'
        )
    return loaded
