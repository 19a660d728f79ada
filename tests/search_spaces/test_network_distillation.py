"""Students of any network: by name, with a width where it has one, trained by the recipe that the space states."""

import pytest

import search_spaces
from search_spaces.network_distillation import NetworkDistillation
from search_spaces.space import student_of
from tests.search_spaces.test_cnn_distillation import ask
from trainables.config import NamedConfig


def test_standard_recipe_of_cifar_reaches_the_student() -> None:
    """Tian et al., ICLR 2020: SGD, 0.05, weight decay 5e-4, batches of 64, steps at 150, 180, 210 of 240 epochs."""
    options = {
        "student": "wrn_16_2", "methods": ("labels", "kd"), "batch_sizes": (64,), "learning_rates": (0.05, 0.05),
        "optimizer": "sgd", "weight_decay": 5e-4, "schedule": "multi_step", "shift_pixels": 4, "flip": True,
        "epochs": 240, "num_views": 30, "precision": "bfloat16",
    }  # fmt: skip
    space = search_spaces.build(NamedConfig(name="network_distillation", options=options))
    training = space.suggest(ask()).training
    assert (training.epochs, training.batch_size, training.schedule) == (240, 64, "multi_step")
    assert training.milestones == pytest.approx((150 / 240, 180 / 240, 210 / 240))
    sgd = training.optimizer
    assert (sgd.name, sgd.learning_rate, sgd.weight_decay, sgd.momentum) == ("sgd", 0.05, 5e-4, 0.9)
    assert training.augmentation.active == {"shift_pixels": 4, "flip": True}
    assert training.augmentation.num_views == 30
    assert training.precision == "bfloat16"
    assert [each.key for each in space.architectures()] == ["wrn_16_2()"]


def test_widths_are_told_by_the_option_that_the_network_has() -> None:
    space = NetworkDistillation(student="resnet20", widths=(0.5, 1.0, 2.0))
    assert [each.options for each in space.architectures()] == [{"width_multiplier": w} for w in (0.5, 1.0, 2.0)]
    channels = NetworkDistillation(student="cnn", width_option="width", widths=(2.0, 4.0))
    assert [each.options["width"] for each in channels.architectures()] == [2, 4]
    assert all(isinstance(each.options["width"], int) for each in channels.architectures())


def test_width_of_1_is_told_where_it_is_no_multiplier() -> None:
    (only,) = NetworkDistillation(student="cnn", width_option="width", widths=(1.0,)).architectures()
    assert only.options == {"width": 1}


def test_baselines_are_students_of_the_space() -> None:
    space = NetworkDistillation(student="resnet20", widths=(0.5, 1.0))
    students = [student_of(space, each) for each in space.baselines()]
    assert [(each.loss.name, each.model.key) for each in students] == [
        ("labels", "resnet20(width_multiplier=0.5)"), ("labels", "resnet20(width_multiplier=1.0)"),
        ("kd", "resnet20(width_multiplier=0.5)"), ("kd", "resnet20(width_multiplier=1.0)"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "option student is required"),
        ({"student_options": {"width_multiplier": 2.0}}, "student_options: width_multiplier varies"),
        ({"widths": (1.0, 1.0)}, "names a value twice"),
        ({"schedule": "triangular"}, "schedule"),
        ({"num_views": 3}, "num_views = 3: every student is shown the images as they are"),
    ],
)
def test_mistakes_are_named(options: dict[str, object], message: str) -> None:
    given = {"student": "resnet20"} if options else {}
    with pytest.raises(ValueError, match=message):
        search_spaces.build(
            NamedConfig.model_validate({"name": "network_distillation", "options": {**given, **options}})
        )
