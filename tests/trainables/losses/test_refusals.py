"""What a study refuses before anything is launched: each method and its settings, by `check_student`."""

from typing import Any

import pytest

from tests.factories import device_data, stored_teacher, student, training_data
from tests.trainables.losses.batches import method
from trainables.config import (
    AugmentationConfig,
    LossConfig,
    ModelConfig,
    OptionValue,
    RandAugmentConfig,
    StudentConfig,
    TrainingConfig,
    TransferConfig,
)
from trainables.losses import LOSSES
from trainables.losses.distillation_loss import Need
from trainables.run_start import check_student, student_run
from trainables.teacher_config import TeacherConfig


def teacher(outputs: str = "auto", model: ModelConfig | None = None) -> TeacherConfig:
    network = model or ModelConfig(name="cnn", options={"width": 3})
    return TeacherConfig.model_validate({"model": network, "training": TrainingConfig(epochs=1), "outputs": outputs})


def candidate(
    name: str,
    options: dict[str, OptionValue] | None = None,
    *,
    model: ModelConfig | None = None,
    views: AugmentationConfig | None = None,
    **transfer: Any,
) -> StudentConfig:
    config = student(loss=LossConfig(name=name, options=options or {}))
    training = config.training.model_copy(update={"augmentation": views or AugmentationConfig()})
    changes = {"training": training, "transfer": TransferConfig(**transfer), "model": model or config.model}
    return config.model_copy(update=changes)


def refusal(config: StudentConfig, under: TeacherConfig | None = None) -> str:
    with pytest.raises(ValueError, match=r"\S") as error:
        check_student(config, under or teacher(), training_data())
    return str(error.value)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_method_at_its_defaults_is_let_through_under_a_live_teacher(name: str) -> None:
    views = AugmentationConfig(mixup=1.0) if Need.VIEWS in method(name).needs else None
    check_student(candidate(name, views=views), teacher(), training_data())


OF_A_NETWORK = (Need.FEATURES, Need.TEACHER_NETWORK)
NO_LAYER = "is not a layer of the network; it has"
NO_MAP = "is not a layer of shape (channels, height, width) of the network; it has"
LAYERS = "stage1, stage1.0, stage1.1, stage1.2, stage2, stage2.0, stage2.1, stage2.2"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hint", {"student_layer": "stage9"}, f'student_layer: "stage9" {NO_LAYER} {LAYERS}'),
        ("hint_first", {"teacher_layer": "block"}, f'teacher_layer: "block" {NO_LAYER} {LAYERS}'),
        (
            "attention",
            {"student_layers": ("stage1", "classifier"), "teacher_layers": ("stage1", "stage2")},
            f'student_layers: "classifier" {NO_MAP} {LAYERS}',
        ),
        ("similarity", {"teacher_layers": ("stage1", "stage2"), "student_layers": ("stage1",)}, "each layer of the"),
        ("relational", {"student_layer": "stage0"}, 'student_layer: "stage0" is not a layer'),
        ("contrastive", {"teacher_layer": "stage0"}, 'teacher_layer: "stage0" is not a layer'),
        ("sum", {"terms": ("hint",), "weights": (1.0,), "hint.student_layer": "x"}, f'student_layer: "x" {NO_LAYER}'),
        ("hint", {"student_layer": "classifier"}, "both must be (channels, height, width), or both flat"),
    ],
    ids=["hint", "hint_first", "attention", "similarity", "relational", "contrastive", "sum", "maps and flat"],
)  # fmt: skip
def test_layer_that_does_not_exist_or_will_not_do_is_named_with_those_that_would(
    name: str, options: dict[str, OptionValue], message: str
) -> None:
    assert message in refusal(candidate(name, options))


def test_network_without_spatial_layers_cannot_pay_attention() -> None:
    flat = ModelConfig(name="mlp", options={"hidden": (6,)})
    message = refusal(candidate("attention", model=flat), teacher(model=flat))
    assert message.startswith("student_layers: none is not a layer of shape (channels, height, width)")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("kd", {"alpha": 1.2}, "option alpha = 1.2: input should be less than or equal to 1"),
        ("hint_first", {"first_stage": 1.0}, "option first_stage = 1.0: input should be less than 1"),
        ("kd", {"temperature": 0.0}, "option temperature = 0.0: input should be greater than 0"),
        ("dkd", {"beta": -1.0}, "option beta = -1.0: input should be greater than or equal to 0"),
        ("dist", {"warm_up": 2.0}, "option warm_up = 2.0: input should be less than or equal to 1"),
        ("boundary", {"num_steps": 0}, "option num_steps = 0: input should be greater than or equal to 1"),
        ("contrastive", {"momentum": 1.0}, "option momentum = 1.0: input should be less than 1"),
        ("label_smoothing", {"epsilon": 1.0}, "option epsilon = 1.0: input should be less than 1"),
        ("standardized", {"kd.alpha": 1.2}, "option alpha = 1.2: input should be less than or equal to 1"),
        ("standardized", {"dkd.beta": 1.0}, 'there is no option dkd.beta = 1.0; of the methods: "kd.<option>"'),
        ("sum", {"weights": (1.0,)}, "weights = [1.0]: one is needed for each of terms = "),
        ("sum", {"terms": ("kd", "kd"), "weights": (1.0, 1.0)}, "names a method twice"),
        ("sum", {"terms": ("kd",), "weights": (1.0,), "kd.alpha": 0.5}, "there is no option kd.alpha = 0.5"),
    ],
)
def test_option_out_of_range_is_named_with_its_value(name: str, options: dict[str, OptionValue], message: str) -> None:
    assert message in refusal(candidate(name, options))


@pytest.mark.parametrize(
    ("name", "need"),
    [(name, need) for name in sorted(LOSSES) for need in OF_A_NETWORK if need in method(name).needs],
)
def test_stored_outputs_are_refused_where_the_network_itself_is_needed(name: str, need: Need) -> None:
    message = refusal(candidate(name), teacher("stored"))
    assert message.startswith(f'method "{name}" needs {need}')
    assert 'teacher.outputs = "stored" must be "auto" or "live"' in message


@pytest.mark.parametrize(
    ("views", "named"),
    [
        (AugmentationConfig(shift_pixels=2), "shift_pixels = 2"),
        (AugmentationConfig(mixup=0.5), "training.augmentation.mixup = 0.5"),
        (
            AugmentationConfig(flip=True, cutout_pixels=4),
            "training.augmentation.flip = true and training.augmentation.cutout_pixels = 4",
        ),
        (
            AugmentationConfig(rand_augment=RandAugmentConfig()),
            'training.augmentation.rand_augment = {"num_ops": 2, "magnitude": 9}',
        ),
    ],
)
def test_augmented_views_need_a_live_teacher_only_where_its_logits_on_them_cannot_be_stored(
    views: AugmentationConfig, named: str
) -> None:
    """For a search they are stored beforehand; an assistant alone sees its own."""
    config = candidate("kd", {"alpha": 1.0}, views=views)
    check_student(config, teacher("stored"), training_data())
    with pytest.raises(ValueError, match="needs a live teacher: its logits on these views are not stored") as refused:
        check_student(config, teacher("stored"), training_data(), stores_views=False)
    assert f"{named} needs a live teacher" in str(refused.value)


def test_mixed_images_among_a_share_of_all_need_a_live_teacher() -> None:
    """Which image another is mixed with is drawn among those that the student is shown."""
    mixed = candidate("kd", {"alpha": 1.0}, views=AugmentationConfig(mixup=0.5), share=0.5)
    assert refusal(mixed, teacher("stored")) == (
        'method "kd" with training.augmentation.mixup = 0.5 needs a live teacher: some images are left out, and which '
        'one another is mixed with is this student\'s own (teacher.outputs = "stored" must be "auto" or "live")'
    )
    check_student(mixed, teacher("auto"), training_data())


def test_function_matching_without_views_is_refused() -> None:
    assert refusal(candidate("function_matching")) == (
        'method "function_matching" needs views: training.augmentation must have shift_pixels, flip, rand_augment, '
        "cutout_pixels or mixup; it has none of them"
    )


def test_views_that_such_images_cannot_have_are_refused() -> None:
    refused = refusal(candidate("labels", views=AugmentationConfig(cutout_pixels=9)))
    assert refused.startswith("training.augmentation.cutout_pixels = 9: must be at most 8, the shorter side of the ima")


@pytest.mark.parametrize("name", ["labels", "label_smoothing", "kd", "dkd", "boundary", "sum"])
def test_labels_of_mixed_images_are_refused(name: str) -> None:
    message = refusal(candidate(name, views=AugmentationConfig(mixup=0.5)))
    assert message.startswith(f'method "{name}" needs labels, which a mixed image does not have: ')
    assert "training.augmentation.mixup = 0.5 must be 0" in message


def test_kd_without_labels_is_let_through_on_mixed_images() -> None:
    check_student(candidate("kd", {"alpha": 1.0}, views=AugmentationConfig(mixup=0.5)), teacher(), training_data())


def test_teacher_on_mixed_images_is_refused_when_its_configuration_is_read() -> None:
    training = TrainingConfig(epochs=1, augmentation=AugmentationConfig(mixup=0.5))
    with pytest.raises(ValueError, match=r"training.augmentation.mixup = 0.5: must be 0 for a teacher"):
        TeacherConfig(model=ModelConfig(name="cnn"), training=training)


def test_transfer_set_emptied_by_omission_is_refused() -> None:
    assert refusal(candidate("kd", omitted_classes=(0, 1, 2))) == (
        "transfer.omitted_classes = [0, 1, 2] leaves no image to learn from: at least one class must stay"
    )


def test_method_that_needs_every_label_is_refused_a_share_of_them() -> None:
    assert refusal(candidate("dkd", label_share=0.5)) == (
        'method "dkd" needs the label of every image: transfer.label_share = 0.5 must be 1'
    )


def test_labels_alone_without_labels_are_refused() -> None:
    assert "transfer.label_share = 0 leaves it nothing to learn from" in refusal(candidate("labels", label_share=0.0))


def test_teacher_of_other_classes_is_refused_by_the_loss() -> None:
    data = device_data()

    class FourClasses:
        network = None

        def outputs(self, batch: Any) -> Any:
            outputs = stored_teacher(data).outputs(batch)
            return type(outputs)(outputs.logits_NC.repeat(1, 2)[:, :4])

    run = student_run(candidate("kd"), data, FourClasses())
    with pytest.raises(ValueError, match=r"student logits have shape \(32, 3\), teacher logits \(32, 4\)"):
        run.run_epoch()
