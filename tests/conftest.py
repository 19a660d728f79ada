"""What every test shares: Hypothesis settings, a cache of their own, and one small Ray for those that need it."""

import gc
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch

# A machine that is busy is no reason to fail a property.
hypothesis.settings.register_profile(
    "shared_machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared_machine")


# Tensors here are small: a second thread waits for the first, and on a busy machine takes the time of others too.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _garbage_is_found() -> Iterator[None]:
    """A command that ran here, in the tests' own process, had it look away from what was there."""
    yield
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Profiles that tests measure are not kept for the user, and the user's do not reach the tests."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_STUDY_CACHE", str(folder))
        yield folder
