import pytest
from pydantic import ValidationError

from trainables.hardware.settings import ProfileSettings


def test_settings_survive_json() -> None:
    settings = ProfileSettings(inference_batch_sizes=(1, 32), max_attempts=2)
    assert ProfileSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("inference_batch_sizes", ()),
        ("inference_batch_sizes", (0,)),
        ("seconds_per_batch_size", 0.0),
        ("seconds_per_training_batch_size", -1.0),
        ("max_attempts", 0),
        ("num_threads", 0),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_the_name_of_its_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        ProfileSettings.model_validate({field: value})


def test_a_batch_size_named_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"inference batch sizes \[1, 8, 1\]: each may be named once"):
        ProfileSettings(inference_batch_sizes=(1, 8, 1))
