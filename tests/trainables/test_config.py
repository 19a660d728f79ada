import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trainables.config import AugmentationConfig, DatasetConfig, Frozen, ModelConfig, OptimizerConfig, TrainingConfig
from trainables.teacher_config import TeacherConfig

OPTION_VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text('aZ09 .,=()"\\\n\u00e9\u2192', max_size=8),
    st.lists(st.integers(0, 2000), max_size=3).map(tuple),
)
OPTIONS = st.dictionaries(st.text("abcxyz_", min_size=1, max_size=6), OPTION_VALUES, max_size=4)


@given(OPTIONS)
def test_options_survive_json_with_their_types(options: dict[str, bool | float | str | tuple[int, ...]]) -> None:
    """A student is stored as JSON and built again from it: 1, 1.0 and true must stay apart."""
    config = ModelConfig(name="net", options=options)
    restored = ModelConfig.model_validate_json(config.model_dump_json())
    assert restored == config
    assert restored.key == config.key
    assert {name: type(value) for name, value in restored.options.items()} == {
        name: type(value) for name, value in options.items()
    }


@given(OPTIONS)
def test_a_key_does_not_depend_on_the_order_of_the_options(
    options: dict[str, bool | float | str | tuple[int, ...]],
) -> None:
    reversed_options = dict(reversed(options.items()))
    assert ModelConfig(name="net", options=options).key == ModelConfig(name="net", options=reversed_options).key


@pytest.mark.parametrize(
    ("name", "options", "key"),
    [
        ("cnn", {"width": 8}, "cnn(width=8)"),
        ("mlp", {"hidden": (1200, 1200), "dropout": 0.5}, "mlp(dropout=0.5,hidden=[1200,1200])"),
        ("labels", {}, "labels()"),
        ("net", {"text": "8", "on": True}, 'net(on=true,text="8")'),
    ],
)
def test_a_key_reads_as_a_call(name: str, options: dict[str, bool | float | str | tuple[int, ...]], key: str) -> None:
    assert ModelConfig(name=name, options=options).key == key


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        (DatasetConfig, "num_validation_images", 0),
        (DatasetConfig, "max_train_images", 0),
        (DatasetConfig, "split_seed", -1),
        (AugmentationConfig, "shift_pixels", 9),
        (OptimizerConfig, "learning_rate", 0.0),
        (OptimizerConfig, "learning_rate", float("inf")),
        (OptimizerConfig, "momentum", 1.0),
        (OptimizerConfig, "name", "adam"),
        (ModelConfig, "name", ""),
    ],
)
def test_a_value_out_of_range_is_refused_by_the_name_of_its_field(
    section: type[Frozen], field: str, value: object
) -> None:
    with pytest.raises(ValidationError, match=rf"\n{field}\n"):
        section.model_validate({field: value})


@pytest.mark.parametrize(("field", "value"), [("epochs", 0), ("batch_size", 0), ("schedule", "step"), ("seed", -1)])
def test_a_training_value_out_of_range_is_refused_by_the_name_of_its_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=rf"\n{field}\n"):
        TrainingConfig.model_validate({"epochs": 1, field: value})


def test_a_misspelt_field_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"bach_size\n  Extra inputs are not permitted"):
        TrainingConfig.model_validate({"epochs": 1, "bach_size": 32})


def test_configuration_cannot_be_changed() -> None:
    config = DatasetConfig()
    with pytest.raises(ValidationError, match=r"name\n  Instance is frozen"):
        config.name = "cifar10"  # type: ignore[misc]


@pytest.mark.parametrize(("shift_pixels", "expected"), [(0, True), (1, False)])
def test_a_view_is_the_image_itself_only_without_a_shift(shift_pixels: int, expected: bool) -> None:
    assert AugmentationConfig(shift_pixels=shift_pixels).is_identity is expected


def test_a_teacher_survives_json() -> None:
    teacher = TeacherConfig(
        model=ModelConfig(name="mlp", options={"hidden": (1200, 1200), "dropout": 0.5}),
        training=TrainingConfig(epochs=6, augmentation=AugmentationConfig(shift_pixels=2)),
    )
    assert TeacherConfig.model_validate_json(teacher.model_dump_json()) == teacher
