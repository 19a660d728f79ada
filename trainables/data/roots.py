"""Where a dataset's files lie, and whether they are those that were published."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainables.user_cache import cache_folder

_BLOCK_BYTES = 1 << 20


def datasets_folder() -> Path:
    """Where datasets are looked for, and decoded images are kept, unless a study says otherwise."""
    return (cache_folder() / "datasets").absolute()


def root_folder(root: str | None) -> Path:
    """The folder that the option `root` names, ~ and relative paths resolved; None: `datasets_folder`."""
    return datasets_folder() if root is None else full_path(root)


def full_path(text: str) -> Path:
    """The path, absolute, ~ resolved."""
    return Path(text).expanduser().resolve()


def located(root: Path, name: str) -> Path:
    """The file or folder `name` in `root`; `root` itself where that is the folder of this name."""
    return root if root.name == name else root / name


def not_found(dataset: str, places: Sequence[Path], page: str) -> ValueError:
    """An error that says which files to put where, and where they are published."""
    listed = " or ".join(map(str, places))
    return ValueError(
        f'dataset "{dataset}": its files are not there. Nothing is downloaded: take them from {page} and put them at '
        f"{listed}; for another folder, set dataset.options.root"
    )


def check_sum(path: Path, published: Mapping[str, str]) -> None:
    """Compare a file's MD5 with the published one, where there is one for its name: "file" or "folder/file".

    Raises:
        ValueError: they differ, or the file cannot be read.
    """
    expected = published.get(path.name) or published.get(f"{path.parent.name}/{path.name}")
    if expected is None:
        return
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise unreadable(path, error) from error
    if digest.hexdigest() != expected:
        raise ValueError(
            f"{path}: its MD5 is {digest.hexdigest()}, that of the published file is {expected}: damaged, or not "
            "downloaded to its end"
        )


def unwritable(path: Path, error: OSError) -> ValueError:
    """An error that names the place in the cache that decoded images cannot be written to."""
    return ValueError(
        f"{path}: decoded images cannot be written: {error.strerror or error}; make room, or name another folder in "
        "KD_STUDY_CACHE"
    )


def unreadable(path: Path, error: OSError) -> ValueError:
    """An error that names the file."""
    return ValueError(f"{path}: cannot be read: {error.strerror or error}")
