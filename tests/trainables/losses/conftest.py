"""One thread for every test here: networks this small are many times as slow on threads that wait for each other."""

from collections.abc import Iterator

import pytest

from trainables.hardware.device import fixed_num_threads


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    with fixed_num_threads(1):
        yield
