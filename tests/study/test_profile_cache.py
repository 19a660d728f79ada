"""Profiles kept between studies: found where everything that matters is equal, and measured anew where not."""

from pathlib import Path

import pytest

import search_spaces
from study.profile_cache import ProfileCache, student_trainings
from tests.factories import study_config
from tests.profiles import profile
from trainables.config import ModelConfig
from trainables.hardware.settings import ProfileSettings, StudentTrainings
from trainables.measurements import DeviceFacts
from trainables.user_cache import cache_folder

MODEL = ModelConfig(name="cnn", options={"width": 2})
PROFILE = profile(MODEL, 2, 0.2)


def device_facts(**changes: object) -> DeviceFacts:
    return PROFILE.device.model_copy(update=changes)


def cache(
    folder: Path,
    *,
    device: DeviceFacts | None = None,
    settings: ProfileSettings | None = None,
    batch_sizes: tuple[int, ...] = (64, 128),
    threads: int = 1,
    trainings: StudentTrainings | None = None,
) -> ProfileCache:
    asked = ((1, 28, 28), 10, threads, trainings or StudentTrainings())
    return ProfileCache(folder, device or device_facts(), settings or ProfileSettings(), batch_sizes, *asked)


def test_kept_profile_is_found_by_another_study(tmp_path: Path) -> None:
    cache(tmp_path).put(PROFILE)
    assert cache(tmp_path, batch_sizes=(128, 64)).get(MODEL) == PROFILE


def test_clock_and_temperature_of_the_moment_do_not_matter(tmp_path: Path) -> None:
    warm = device_facts(versions={"torch": "2", "temperature_celsius": "70", "clock_mhz": "1700"})
    cold = device_facts(versions={"torch": "2", "temperature_celsius": "40", "clock_mhz": "300"})
    cache(tmp_path, device=warm).put(PROFILE)
    assert cache(tmp_path, device=cold).get(MODEL) is not None


def test_whatever_changes_a_measurement_is_measured_anew(tmp_path: Path) -> None:
    cache(tmp_path).put(PROFILE)
    assert cache(tmp_path).get(ModelConfig(name="cnn", options={"width": 3})) is None
    others = [
        cache(tmp_path, device=device_facts(name="another processor")),
        cache(tmp_path, device=device_facts(versions={"torch": "3"})),
        cache(tmp_path, settings=ProfileSettings(inference_batch_sizes=(1,))),
        cache(tmp_path, batch_sizes=(64,)),
        cache(tmp_path, threads=2),
        cache(tmp_path, trainings=StudentTrainings(precision="bfloat16")),
    ]
    assert [other.get(MODEL) for other in others] == [None] * len(others)


def test_torn_profile_is_measured_again_and_said_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache(tmp_path).put(PROFILE)
    for kept in (tmp_path / "profiles").iterdir():
        kept.write_text('{"model": ')
    assert cache(tmp_path).get(MODEL) is None
    assert "is measured again" in caplog.text


def test_cache_follows_the_users_wish_then_the_xdg_convention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_STUDY_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("KD_STUDY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/kd-study")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "kd-study"


def test_users_own_network_is_never_kept(tmp_path: Path) -> None:
    """Its code may change behind its name."""
    own = ModelConfig(name="my_nets:small")
    cache(tmp_path).put(PROFILE.model_copy(update={"model": own}))
    assert cache(tmp_path).get(own) is None


def test_profile_that_was_corrected_to_another_speed_is_measured_anew(tmp_path: Path) -> None:
    cache(tmp_path).keep_reference(device_facts(reference_ms=2.0))
    slow, fast = device_facts(reference_ms=2.0), device_facts(reference_ms=1.0)
    cache(tmp_path).put(PROFILE.model_copy(update={"device": fast}))
    assert cache(tmp_path).get(MODEL) is None
    cache(tmp_path).put(PROFILE.model_copy(update={"device": slow}))
    assert cache(tmp_path).get(MODEL) is not None
    assert cache(tmp_path).reference_ms() == 2.0


def test_cache_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "profiles").touch()
    cache(tmp_path).put(PROFILE)
    assert "the profile is not kept" in caplog.text
    assert cache(tmp_path).get(MODEL) is None


def is_kept(folder: Path, kind: str, *changed: object) -> bool:
    """Whether what is measured as it is by default is found with these settings and trainings."""
    device = device_facts(kind=kind)
    cache(folder, device=device).put(PROFILE)
    settings = next((each for each in changed if isinstance(each, ProfileSettings)), None)
    trainings = next((each for each in changed if isinstance(each, StudentTrainings)), None)
    return cache(folder, device=device, settings=settings, trainings=trainings).get(MODEL) is not None


@pytest.mark.parametrize(("kind", "matters"), [("cpu", False), ("cuda", True)])
def test_what_is_tried_of_executions_and_for_how_long_a_run_matters_on_a_gpu_alone(
    kind: str, matters: bool, tmp_path: Path
) -> None:
    """On a CPU there is one way, and what earlier versions have kept is found."""
    eager, fixed = (ProfileSettings.model_validate({"executions": each}) for each in ("eager", "fixed"))
    longer = StudentTrainings(num_images=2**20)
    assert [is_kept(tmp_path, kind, each) for each in (eager, fixed, longer)] == [not matters] * 3
    assert not is_kept(tmp_path, kind, StudentTrainings(precision="float32"))
    cache(tmp_path, device=device_facts(kind=kind), settings=fixed).put(PROFILE)
    assert is_kept(tmp_path, kind, fixed, longer)  # nothing is tried, for however long


def test_students_trainings_are_as_short_as_the_shortest_to_a_power_of_two_and_of_one_precision() -> None:
    """3 epochs of a tenth of 1,000 images are 300: 256."""
    options = {"widths": [1, 2], "batch_sizes": [64], "epochs": 3, "transfer_shares": [0.1, 1.0]}

    def trainings(**more: object) -> StudentTrainings:
        config = study_config(space={"name": "cnn_distillation", "options": {**options, **more}})
        return student_trainings(config, search_spaces.build(config.space), 1_000)

    assert trainings() == StudentTrainings(precision="auto", num_images=256)
    assert trainings(precision="float32").precision == "float32"
