"""How long a search will take: from the speeds of its profiles, and before them from those kept in the user's cache."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

import search_spaces
from study.config import StudyConfig
from study.hours import Machine, SearchTime, kept_words, num_cpus, search_time, this_machine, time_words
from study.profile_cache import ProfileCache, kept_devices, profiled_batch_sizes, student_trainings
from study.resources import ResourcesConfig
from tests.factories import study_config, training_data
from tests.profiles import architecture_profile
from trainables.config import ModelConfig
from trainables.measurements import ArchitectureProfile, DeviceFacts

DATA = training_data(num_train=1_000)
TORCH = this_machine(ResourcesConfig()).facts.versions["torch"]
HERE = DeviceFacts(
    kind="cpu", name="Example CPU", num_threads=1, precision="float32", peak_flops_per_s=None,
    versions={"torch": TORCH, "python": "3.11.9"},
)  # fmt: skip
A10G = HERE.model_copy(update={"kind": "cuda", "name": "NVIDIA A10G", "precision": "bfloat16"})
LAPTOP = Machine(HERE, num_cpus=4, num_gpus=0)


def study(widths: Sequence[int] = (2, 4), *, num_trials: int = 24, gpus: float = 0.25) -> StudyConfig:
    """Students of three epochs, at one batch size, which is the teacher's too."""
    options = {"widths": list(widths), "batch_sizes": [32], "epochs": 3}
    return study_config(
        space={"name": "cnn_distillation", "options": options}, search={"num_trials": num_trials},
        teacher={"model": {"name": "cnn", "options": {"width": 8}}, "training": {"epochs": 1, "batch_size": 32}},
        resources={"gpus_per_trial": gpus},
    )  # fmt: skip


def profile_of(width: int, *, batch_size: int = 32) -> ArchitectureProfile:
    """At 5,000 images a second."""
    return architecture_profile(ModelConfig(name="cnn", options={"width": width}), batch_sizes=(batch_size,))


def time_of(config: StudyConfig, *profiles: ArchitectureProfile) -> SearchTime:
    known = {each.model.key: each for each in profiles}
    return search_time(config, search_spaces.build(config.space), len(DATA.train), known)


def keep(folder: Path, config: StudyConfig, facts: DeviceFacts, widths: Sequence[int]) -> None:
    """As an earlier study leaves it."""
    space, measured_on = search_spaces.build(config.space), facts.model_copy(update={"reference_ms": 1.0})
    cache = ProfileCache(
        folder,
        facts,
        config.profile,
        profiled_batch_sizes(config, space),
        DATA.input_shape,
        DATA.num_classes,
        1,
        student_trainings(config, space, len(DATA.train)),
    )
    cache.keep_reference(measured_on)
    for width in widths:
        cache.put(profile_of(width).model_copy(update={"device": measured_on}))


def words(folder: Path, config: StudyConfig, here: Machine = LAPTOP) -> list[str]:
    return kept_words(config, search_spaces.build(config.space), DATA, folder, here)


def test_hours_follow_from_the_measured_speeds() -> None:
    """24 trials of 3 epochs of 1,000 images, at 5,000 a second whatever the width."""
    found = time_of(study(), profile_of(2), profile_of(4))
    assert found.seconds == pytest.approx(24 * 3 * 1_000 / 5_000)
    assert (found.num_known, found.num_networks, found.is_whole) == (2, 2, True)


def test_of_networks_whose_speed_is_not_known_no_time_is_told() -> None:
    """One was measured at another batch size, one not at all; a whole is what its parts are together."""
    config = study((2, 4, 8))
    assert time_of(config, profile_of(2, batch_size=64)) == SearchTime(0.0, 0, 3)
    parts = [time_of(config, profile_of(width)) for width in (2, 4, 8)]
    assert [each.num_known for each in parts] == [1, 1, 1]
    assert all(each.seconds > 0.0 for each in parts)
    whole = time_of(config, *(profile_of(width) for width in (2, 4, 8)))
    assert sum(each.seconds for each in parts) == pytest.approx(whole.seconds)
    assert not any(each.is_whole for each in parts)


def test_time_is_told_of_all_slots_together_and_by_the_clock() -> None:
    took = "about 2 h 00 min of training by measured speeds, 30 min on 4 slots, if none is stopped"
    assert time_words(7200.0, 4) == took


def test_where_every_network_was_measured_before_the_hours_are_told_on_this_machines_slots(tmp_path: Path) -> None:
    """24,000 trials of 3,000 images at 5,000 a second are four hours, on four cores one."""
    config = study(num_trials=24_000)
    keep(tmp_path, config, HERE, (2, 4))
    (line,) = words(tmp_path, config)
    assert line == (
        "the search on this machine (Example CPU): about 4 h 00 min of training by measured speeds, 60 min on 4 slots, "
        "if none is stopped (speeds of 2 of 2 networks, measured before)"
    )


def test_where_some_are_missing_it_says_for_how_many(tmp_path: Path) -> None:
    config = study((2, 4, 8), num_trials=24_000)
    keep(tmp_path, config, HERE, (2, 8))
    (line,) = words(tmp_path, config)
    assert line.endswith(
        ", for the students of 2 of 3 networks that were measured before; the others are told once they have been"
    )


@pytest.mark.parametrize("change", [{"name": "Another CPU"}, {"versions": {"torch": "1.0"}}, {"num_threads": 2}])
def test_where_none_was_measured_on_this_device_hours_are_left_to_the_profile(
    tmp_path: Path, change: dict[str, object]
) -> None:
    config = study()
    keep(tmp_path, config, HERE.model_copy(update=change), (2, 4))
    assert words(tmp_path, config) == [
        "hours of the search are told once its networks have been measured: none of them is known here"
    ]
    assert words(tmp_path / "no_such_folder", config) == words(tmp_path, config)


def test_card_that_earlier_studies_ran_on_is_told_in_gpu_hours(tmp_path: Path) -> None:
    """Four hours, were the trials run one by one on a card; a quarter, were four as fast at once."""
    config = study(num_trials=24_000)
    keep(tmp_path, config, A10G, (2, 4))
    (line,) = words(tmp_path, config)
    assert line == (
        "the search on NVIDIA A10G: about 4 GPU-hours of training by measured speeds, 1 where 4 at once do not slow "
        "each other down, if none is stopped (speeds of 2 of 2 networks, measured before)"
    )
    keep(tmp_path, config, HERE, (2,))
    assert [each.partition(":")[0] for each in words(tmp_path, config)] == [
        "the search on this machine (Example CPU)", "the search on NVIDIA A10G",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "gpus"),
    [
        (A10G, 0.0),
        (A10G.model_copy(update={"versions": {"torch": "1.0"}}), 0.25),
        (A10G.model_copy(update={"kind": "cpu"}), 0.25),
    ],
)
def test_card_that_this_study_would_not_run_on_is_not_told(tmp_path: Path, facts: DeviceFacts, gpus: float) -> None:
    """On CPUs alone; under another torch, where all is measured again; and no card at all."""
    config = study(gpus=gpus)
    keep(tmp_path, config, facts, (2, 4))
    assert words(tmp_path, config)[0].startswith("hours of the search are told once")


def test_card_of_this_machine_is_told_once_and_by_its_slots(tmp_path: Path) -> None:
    """Two cards hold eight quarters, and six cores six trials; at most five are wanted."""
    config = study()
    keep(tmp_path, config, A10G, (2, 4))
    (line,) = words(tmp_path, config, Machine(A10G, num_cpus=6, num_gpus=2))
    assert "on 6 slots" in line
    fewer = config.model_copy(update={"resources": ResourcesConfig(max_concurrent_trials=5)})
    assert Machine(A10G, num_cpus=16, num_gpus=2).num_slots(config.resources) == 8
    assert Machine(A10G, num_cpus=16, num_gpus=2).num_slots(fewer.resources) == 5


def test_devices_in_the_cache_are_each_named_once_whatever_their_clock(tmp_path: Path) -> None:
    warm = A10G.model_copy(update={"versions": {**A10G.versions, "clock_mhz": "1700"}})
    for config in (study(), study((2, 16))):
        for facts in (HERE, A10G, warm):
            keep(tmp_path, config, facts, (2,))
    (tmp_path / "profiles" / "torn.json").write_text('{"kind": ')
    assert sorted(each.name for each in kept_devices(tmp_path)) == ["Example CPU", "NVIDIA A10G"]


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "250000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "1600000 100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
    ],
)
def test_container_has_as_many_cores_as_its_quota_of_eight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert num_cpus(tmp_path) == cores


def test_this_machine_is_found_again_in_the_cache_which_is_left_as_it_is(tmp_path: Path) -> None:
    config = study()
    here = this_machine(config.resources)
    keep(tmp_path, config, here.facts, (2, 4))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "profiles").iterdir()}
    assert "(speeds of 2 of 2 networks, measured before)" in words(tmp_path, config, here)[0]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "profiles").iterdir()} == before
