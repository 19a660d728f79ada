"""The marker of what takes minutes: `make bench` leaves it out, `make bench-search` runs it."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker here, where it is used."""
    config.addinivalue_line("markers", "race: searches of whole tables, run by `make bench-search`")
