"""Profiling, without Ray: that every number of the record comes from measuring the right thing."""

import pytest

from trainables.config import ModelConfig
from trainables.hardware.settings import ProfileSettings
from trainables.measurements import ArchitectureProfile
from trainables.profile import DeviceProfiler, random_images

SETTINGS = ProfileSettings(
    inference_batch_sizes=(1, 4), seconds_per_batch_size=0.02, seconds_per_training_batch_size=0.02, max_attempts=1
)
MODEL = ModelConfig(name="cnn", options={"width": 2})


@pytest.fixture(scope="module")
def profile() -> ArchitectureProfile:
    (profile,) = DeviceProfiler((1, 8, 8), 3, SETTINGS, num_threads=1).profiles([MODEL], [16, 32])
    return profile


def test_every_batch_size_asked_for_is_measured(profile: ArchitectureProfile) -> None:
    assert [latency.batch_size for latency in profile.latencies] == [1, 4]
    assert [training.batch_size for training in profile.trainings] == [16, 32]
    assert all(0 < latency.p50_ms <= latency.p90_ms <= latency.p99_ms for latency in profile.latencies)


def test_work_and_size_are_those_of_the_closed_form(profile: ArchitectureProfile) -> None:
    """Width 2 on 8 x 8: 2 FLOP a multiply-accumulate; 8 x 8 x 9 x 2 + 4 x 4 x 9 x 2 x 4 + 16 x 3 of them."""
    assert profile.num_parameters == (9 * 2 + 2) + (2 * 9 * 4 + 4) + (16 * 3 + 3)
    assert profile.forward_flops_per_image == 2 * (8 * 8 * 9 * 2 + 4 * 4 * 9 * 2 * 4 + 16 * 3)


def test_utilisation_is_work_over_peak_and_unknown_where_there_is_no_gpu(profile: ArchitectureProfile) -> None:
    peak = profile.device.peak_flops_per_s
    assert peak is not None
    for training in profile.trainings:
        assert training.mfu_fraction == pytest.approx(training.flops_per_image * training.images_per_s / peak)
        assert training.gpu_utilization_fraction is None
        assert training.energy_joules_per_image is None


def test_trials_are_told_the_numbers_of_their_own_batch_size(profile: ArchitectureProfile) -> None:
    metrics = profile.metrics(32)
    assert metrics["train_images_per_s"] == profile.trainings[1].images_per_s
    assert metrics["latency_p50_ms_batch4"] == profile.latencies[1].p50_ms
    assert metrics["num_parameters"] == profile.num_parameters
    assert "train_images_per_s" not in profile.metrics(64)


def test_random_images_are_the_same_each_time() -> None:
    assert (random_images((1, 8, 8), 3).train.images_NCHW == random_images((1, 8, 8), 3).train.images_NCHW).all()
