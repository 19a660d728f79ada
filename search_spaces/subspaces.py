"""What may vary of each method: its own hyperparameters, at the ranges that the literature uses."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from trainables.config import OptionValue


@dataclass(frozen=True, slots=True)
class Real:
    """A range of real numbers, searched evenly by ratio (`log`) or by difference."""

    low: float
    high: float
    log: bool = True


class Labels(StrEnum):
    """Of how many of its images a student must be told the label, so that there is something to learn."""

    NONE = "none"
    SOME = "some"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class SubSpace:
    """Options of a method that are searched, those that are fixed, and the views that it needs beside the study's.

    `labels` are of how many images it cannot do without them: of all, its loss looks at each; of some, for nothing else
    teaches the last layer.
    """

    options: Mapping[str, Real] = field(default_factory=dict)
    fixed: Mapping[str, OptionValue] = field(default_factory=dict)
    mixup: float = 0.0
    labels: Labels = Labels.NONE

    def label_shares(self, shares: Sequence[float]) -> tuple[float, ...]:
        """Of these shares of the labels those that the method can do with."""
        least = {Labels.NONE: 0.0, Labels.SOME: math.ulp(0.0), Labels.ALL: 1.0}[self.labels]
        return tuple(each for each in shares if each >= least)


# Around each paper's own value (trainables/losses says which), a factor of 4 to 10 each way unless it is bounded.
SUBSPACES: Mapping[str, SubSpace] = MappingProxyType(
    {
        "labels": SubSpace(labels=Labels.SOME),
        "label_smoothing": SubSpace({"epsilon": Real(0.02, 0.3, log=False)}, labels=Labels.SOME),
        "teacher_free_kd": SubSpace({"weight": Real(0.05, 2.0), "temperature": Real(5.0, 40.0)}, labels=Labels.ALL),
        "kd": SubSpace({"temperature": Real(1.0, 20.0), "alpha": Real(0.1, 1.0, log=False)}),
        "standardized": SubSpace({"weight": Real(1.0, 18.0), "kd.temperature": Real(1.0, 6.0)}),
        "logit_mse": SubSpace({"weight": Real(0.01, 1.0), "labels_weight": Real(0.0, 1.0, log=False)}),
        "dkd": SubSpace({"beta": Real(0.5, 16.0), "temperature": Real(1.0, 8.0)}, labels=Labels.ALL),
        "dist": SubSpace({"weight": Real(0.5, 8.0), "temperature": Real(1.0, 8.0)}),
        "hint": SubSpace({"weight": Real(1.0, 300.0)}, labels=Labels.SOME),
        "hint_first": SubSpace({"first_stage": Real(0.1, 0.5, log=False), "temperature": Real(1.0, 20.0)}),
        "attention": SubSpace({"weight": Real(30.0, 3000.0)}, labels=Labels.SOME),
        "similarity": SubSpace({"weight": Real(100.0, 10_000.0)}, labels=Labels.SOME),
        "relational": SubSpace({"weight": Real(0.03, 3.0)}, labels=Labels.SOME),
        "contrastive": SubSpace(
            {"weight": Real(0.1, 3.0), "tau": Real(0.05, 0.2)}, {"num_negatives": 1024}, labels=Labels.ALL
        ),
        "boundary": SubSpace({"weight": Real(0.5, 8.0), "temperature": Real(1.0, 8.0)}, labels=Labels.ALL),
        "function_matching": SubSpace({"temperature": Real(1.0, 8.0)}, mixup=1.0),
    }
)


def subspace(method: str) -> SubSpace:
    """What varies of a method; nothing of one's own, which is taken with its defaults."""
    return SUBSPACES.get(method, SubSpace())
