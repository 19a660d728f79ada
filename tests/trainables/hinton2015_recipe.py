"""A recipe of the same shape as the paper's that trains in a moment."""

from typing import Any

from trainables.hinton2015 import Hinton2015Recipe


def small_recipe(**changes: Any) -> Hinton2015Recipe:
    steps: dict[str, Any] = {"epochs": 2, "batch_size": 20, "optimizer": {"name": "adamw", "learning_rate": 2e-2}}
    bounded = {"name": "adamw", "learning_rate": 1e-2, "max_norm": 0.7}
    soft = {**steps, "alpha": 0.9}
    fields: dict[str, Any] = {
        "dataset": {"name": "tests.study.tiny_digits:load", "num_validation_images": 50},
        "teacher": {**steps, "optimizer": bounded, "hidden": (64, 64), "shift_pixels": 0, "dropout": 0.2},
        "student_hidden": (16, 16),
        "labels": steps,
        "soft": soft,
        "widths": ({"units": 4, "temperatures": (2.0, 8.0, 20.0), "soft": soft},),
    }
    return Hinton2015Recipe.model_validate({**fields, **changes})
