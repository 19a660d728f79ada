"""Profiling, without Ray: that every number of the record comes from measuring the right thing."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainables import execution as executing
from trainables import profile as profiling
from trainables.config import Execution, LossConfig, ModelConfig, StudentConfig, TrainingConfig
from trainables.hardware.settings import ProfileSettings, StudentTrainings
from trainables.measurements import ArchitectureProfile, DeviceFacts, ProfilesRecord, TrainingMeasurement
from trainables.profile import DeviceProfiler, random_images

SETTINGS = ProfileSettings(
    inference_batch_sizes=(1, 4), seconds_per_batch_size=0.02, seconds_per_training_batch_size=0.02, max_attempts=1
)
MODEL = ModelConfig(name="cnn", options={"width": 2})


@pytest.fixture(scope="module")
def profile() -> ArchitectureProfile:
    return profiled([16, 32])


def profiled(
    batch_sizes: list[int], settings: ProfileSettings = SETTINGS, trainings: StudentTrainings | None = None
) -> ArchitectureProfile:
    profiler = DeviceProfiler((1, 8, 8), 3, settings, 1, trainings or StudentTrainings())
    (profile,) = profiler.profiles([MODEL], batch_sizes)
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


def test_idle_power_is_kept_with_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiling, "measure_idle_watts", lambda _: 21.5)
    assert DeviceProfiler((1, 8, 8), 3, SETTINGS, 1, StudentTrainings()).facts().idle_watts == 21.5


def test_a_device_that_does_not_count_its_energy_has_no_idle_power(profile: ArchitectureProfile) -> None:
    assert torch.cuda.is_available() or profile.device.idle_watts is None
    older = profile.device.model_dump(mode="json", exclude={"idle_watts"})
    assert DeviceFacts.model_validate(older).idle_watts is None


def test_random_images_are_the_same_each_time() -> None:
    assert (random_images((1, 8, 8), 3).train.images_NCHW == random_images((1, 8, 8), 3).train.images_NCHW).all()


def test_on_a_cpu_nothing_is_tried_and_the_one_way_is_recorded(profile: ArchitectureProfile) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert [(each.execution, each.tried) for each in profile.trainings] == [(Execution(), ())] * 2


def test_a_profile_from_before_there_were_executions_is_read_and_names_none(profile: ArchitectureProfile) -> None:
    older = profile.model_dump(mode="json")
    for training in older["trainings"]:
        del training["execution"], training["tried"]
    read = ProfilesRecord.model_validate({"fingerprint": "", "teacher": older, "students": {MODEL.key: older}})
    assert read.execution(student_at(16)) is None
    assert read.teacher.metrics(16) == profile.metrics(16)


def student_at(batch_size: int) -> StudentConfig:
    training = TrainingConfig(epochs=1, batch_size=batch_size)
    return StudentConfig(model=MODEL, loss=LossConfig(name="kd"), training=training)


FORMATS = (Execution(), Execution(memory_format="contiguous"))


def slow_but_compiled(network: nn.Module, how: str) -> Callable[[Tensor], Tensor]:
    """A compiler that makes of a network one that does nothing else than what it must, or fails."""
    if how == "cuda_graphs":
        raise RuntimeError("there is no GPU")
    classifier = next(each for each in network.modules() if isinstance(each, nn.Linear))
    return lambda images: classifier(images.flatten(1)[:, : classifier.in_features])


def test_where_there_are_several_ways_each_network_and_batch_size_has_its_fastest_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two orders in memory, and what is "compiled" skips the convolutions: it wins, at every size, over a long run."""
    monkeypatch.setattr(profiling, "executions_for", lambda *_: FORMATS)
    monkeypatch.setattr(executing, "compiled", slow_but_compiled)
    profile = profiled([16, 512], trainings=StudentTrainings(num_images=2**40))
    chosen = Execution.model_validate({"compile": "default"})
    for training in profile.trainings:
        assert training.execution is not None
        assert training.execution.compile == chosen.compile
        others = {each.execution.compile: each for each in training.tried}
        assert [each.execution.compile for each in training.tried] == ["none"] * 3 + ["default", "cuda_graphs"]
        assert others["cuda_graphs"].failure == "RuntimeError: there is no GPU"
        assert others["none"].start_s == 0.0
    record = ProfilesRecord(fingerprint="", teacher=profile, students={MODEL.key: profile})
    assert record.execution(student_at(512)) == profile.trainings[1].execution
    assert record.execution(student_at(64)) is None


@pytest.mark.parametrize(("executions", "num_tried"), [("eager", 3), ("fixed", 0)])
def test_what_the_settings_leave_out_is_not_tried(
    executions: Any, num_tried: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiling, "executions_for", lambda *_: FORMATS)
    settings = SETTINGS.model_copy(update={"executions": executions})
    training: TrainingMeasurement
    (training,) = profiled([16], settings, StudentTrainings(num_images=2**40)).trainings
    assert len(training.tried) == num_tried
    assert {each.execution.compile for each in training.tried} <= {"none"}
    if not num_tried:
        assert training.execution == FORMATS[0]


def test_a_precision_that_the_device_has_not_ends_the_profile_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with pytest.raises(ValueError, match='precision = "bfloat16", but device cpu'):
        DeviceProfiler((1, 8, 8), 3, SETTINGS, 1, StudentTrainings(precision="bfloat16"))
