"""Processes measured at once under a real Ray, on CPUs: kept on one node, met, and ended."""

import time
from collections.abc import Iterator

import pytest
import ray

from study.cluster import connect
from study.co_tenancy import at_once
from study.errors import StageFailedError
from study.resources import ResourcesConfig
from trainables.co_tenancy import Training
from trainables.config import ModelConfig
from trainables.hardware.settings import ProfileSettings

SETTINGS = ProfileSettings(seconds_per_training_batch_size=0.05)
SMALL = Training(model=ModelConfig(name="cnn", options={"width": 1}), batch_size=64, execution=None)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with connect(ResourcesConfig(dashboard=False, object_store_mib=100), None, None):
        yield


@pytest.mark.usefixtures("cluster")
def test_processes_on_one_node_are_measured_at_once() -> None:
    """As on a GPU, less the GPU: two processes, each with a CPU, in one placement group."""
    found = at_once([SMALL], ((1, 8, 8), 3, SETTINGS, 1), 1, 2, gpus=0.0)
    assert len(found) == 2
    assert all(speed is not None and speed > 0.0 for each in found for speed in each.images_per_s)
    for _ in range(50):  # Ray takes a moment to have its CPUs back
        if ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"]:  # type: ignore[no-untyped-call]
            break
        time.sleep(0.1)
    else:
        pytest.fail("the placement group still holds CPUs")


@pytest.mark.usefixtures("cluster")
def test_process_that_dies_is_not_waited_for() -> None:
    """The other one waits at the meeting until that goes; it would for ten minutes."""
    unknown = [Training(model=ModelConfig(name="no_such_network"), batch_size=64, execution=None)]
    with pytest.raises(StageFailedError, match="no_such_network"):
        at_once(unknown, ((1, 8, 8), 3, SETTINGS, 1), 1, 2, gpus=0.0)
