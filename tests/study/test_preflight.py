"""What is refused before anything is launched."""

from collections.abc import Mapping, Sequence

import optuna
import pytest
import torch
from torch import Tensor

import search_spaces
from study.preflight import check_precisions, prepare
from tests.factories import study_config
from trainables.config import LossConfig, ModelConfig, StudentConfig, TrainingConfig
from trainables.losses.distillation_loss import DistillationLoss, DistillationStep, LossContext, Need, Taps

CNN = {"name": "cnn", "options": {"width": 2}}


class Space:
    """A user's own space, with a mistake in it."""

    name = "own"
    methods: Sequence[str] = ()

    def __init__(
        self, *, suggested: str = "cnn", loss: str = "labels", architectures: int = 1, epochs: int = 1
    ) -> None:
        self._suggested, self._loss, self._architectures, self._epochs = suggested, loss, architectures, epochs

    def suggest(self, trial: optuna.Trial) -> StudentConfig:
        return StudentConfig(
            model=ModelConfig(name=self._suggested, options={"width": trial.suggest_int("width", 1, 1)}),
            loss=LossConfig(name=self._loss),
            training=TrainingConfig(epochs=self._epochs),
        )

    def baselines(self) -> Sequence[Mapping[str, object]]:
        return []

    def architectures(self) -> Sequence[ModelConfig]:
        return [ModelConfig(name="cnn", options={"width": 1})] * self._architectures

    def training_batch_sizes(self) -> Sequence[int]:
        return [128]


def own_space(**options: object) -> dict[str, object]:
    return {"name": "tests.study.test_preflight:Space", "options": options}


def test_users_own_space_is_found_by_module_and_name() -> None:
    space, data = prepare(study_config(space=own_space()))
    assert space.name == "own"
    assert len(data.train) == 55_000
    assert len(data.validation) == 5_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": own_space(architectures=0)}, "has no architecture: nothing to search"),
        (
            {"space": own_space(suggested="mlp")},
            r"suggests mlp\(width=1\), .* its architectures: cnn\(width=1\)",
        ),
        ({"space": own_space(loss="nope")}, 'unknown loss "nope": allowed are .*kd, .*labels'),
        ({"space": {"name": "cnn_distilation"}}, 'unknown space "cnn_distilation": allowed are cnn_distillation'),
        ({"space": {"name": "no_such_package:Space"}}, 'there is no module "no_such_package"'),
        ({"space": {"name": "study.config:Nothing"}}, 'module "study.config" has no "Nothing"'),
        (
            {"space": {"name": "cnn_distillation", "options": {"widths": [0]}}},
            r"option widths\.0 = .*greater than or equal to 1",
        ),
        (
            {"space": {"name": "cnn_distillation", "options": {"wide": 3}}},
            "there is no option wide = 3; allowed are .*widths",
        ),
        ({"space": {"name": "cnn_distillation", "options": {"widths": []}}}, "option widths"),
        (
            {"space": {"name": "cnn_distillation", "options": {"temperatures": [9, 2]}}},
            r"temperatures = \[9\.0, 2\.0\]",
        ),
        (
            {"search": {"sampler": "nope"}},
            'unknown sampler "nope": allowed are gp, grid, known_cost, nsga2, random, tpe',
        ),
        ({"search": {"sampler": "grid"}}, "needs a space of finitely many students: learning_rate takes any value"),
        ({"dataset": {"name": "mnits"}}, 'unknown dataset "mnits": allowed are .*mnist'),
        ({"dataset": {"num_validation_images": 60_000}}, "num_validation_images = 60000"),
        (
            {"teacher": {"model": {"name": "cnn", "options": {"width": "wide"}}, "training": {"epochs": 1}}},
            'model "cnn": .*width',
        ),
        (
            {"verify": {"best_of": ["method", "depth"]}},
            r'verify\.best_of = .* has no parameter "depth" that varies; it has alpha, .*, temperature, width',
        ),
        (
            {"space": {"name": "cnn_distillation", "options": {"omitted_classes": [3, 12]}}},
            r"omitted_classes: there is no class 12; there are \[0, 1, 2,",
        ),
        (
            {"assistants": [{"model": CNN, "loss": {"name": "nope"}, "training": {"epochs": 1}}]},
            r'assistants\.0: unknown loss "nope"',
        ),
        (
            {
                "teacher": {"model": CNN, "training": {"epochs": 1}, "outputs": "stored"},
                "assistants": [{"model": CNN, "loss": {"name": "attention"}, "training": {"epochs": 1}}],
            },
            r'assistants\.0: method "attention" needs features, which stored outputs do not give',
        ),
        (
            {"teacher": {"model": CNN, "training": {"epochs": 1, "augmentation": {"cutout_pixels": 40}}}},
            "cutout_pixels = 40",
        ),
        (
            {
                "teacher": {"model": {"name": "resnet8"}, "training": {"epochs": 1, "batch_size": 54_999}},
                "dataset": {"num_validation_images": 5_000},
            },
            "batch_size = 54999 with training.accumulate = 1 shows one of 55,000 images alone",
        ),
        ({"search": {"trials_per_method": {"dkd": 3}}}, "names dkd: it must name the methods of the space, labels, kd"),
        ({"search": {"num_trials": 9, "trials_per_method": {"labels": 3, "kd": 5}}}, "adds up to 8: .*num_trials = 9"),
        (
            {"search": {"balanced": ["depth"]}},
            r'search\.balanced names "depth": .* the same under each method: batch_size, width$',
        ),
        ({"search": {"balanced": ["temperature"]}}, r'search\.balanced names "temperature": .*: batch_size, width$'),
        ({"search": {"balanced": ["method"]}}, r'search\.balanced names "method": '),
        ({"search": {"balanced": ["width"], "sampler": "grid"}}, r"search\.balanced: .* cannot be balanced"),
        ({"space": {"name": ".foo:bar"}}, r'space "\.foo:bar": "\.foo" cannot be imported'),
        ({"space": {"name": "collections:Counter"}}, "built a Counter: it must build a SearchSpace"),
        ({"dataset": {"name": "json:loads"}}, 'dataset "json:loads": option s is required'),
        ({"dataset": {"name": "os:getcwd"}}, 'dataset "os:getcwd" returned a str'),
    ],
)
def test_mistake_is_one_line_that_names_it(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        prepare(study_config(**change))
    assert "\n" not in str(caught.value)


def test_kinds_may_be_told_apart_by_what_a_method_has_for_itself() -> None:
    space = {"name": "cnn_distillation", "options": {"widths": [1], "label_shares": [0.0, 1.0]}}
    prepare(study_config(space=space, verify={"best_of": ["method", "label_share"]}))


def test_students_are_checked_against_the_last_assistant() -> None:
    """A hint from a layer that the teacher has, and the assistant has not."""
    hint = {"name": "tests.study.test_preflight:Space", "options": {"loss": "hint"}}
    prepare(study_config(space=hint))
    below = {"model": {"name": "mlp", "options": {"hidden": [8]}}, "training": {"epochs": 1}}
    with pytest.raises(ValueError, match=r'teacher_layer "hidden1" gives \(8,\)'):
        prepare(study_config(space=hint, assistants=[below]))


class WrongTap(DistillationLoss):
    """A user's own loss that reads a layer which is not there."""

    needs = frozenset({Need.FEATURES})
    taps = Taps(("nope",), ("stage1",))

    def forward(self, step: DistillationStep) -> Tensor:
        return step.student.features["nope"].sum()


def wrong_tap(_: LossContext) -> DistillationLoss:
    return WrongTap()


def test_own_loss_that_reads_a_layer_which_is_not_there_is_refused_before_the_launch() -> None:
    space = own_space(loss="tests.study.test_preflight:wrong_tap")
    with pytest.raises(ValueError, match='unknown feature "nope": the network has stage1, stage2, classifier'):
        prepare(study_config(space=space))


@pytest.mark.parametrize("seed", range(4))
def test_every_choice_is_tried_whatever_the_random_students_are(seed: int) -> None:
    options = {"widths": [1], "omitted_classes": list(range(11))}
    with pytest.raises(ValueError, match="there is no class 10"):
        prepare(study_config(seed=seed, space={"name": "cnn_distillation", "options": options}))


def test_rungs_are_held_to_the_smallest_transfer_set() -> None:
    """1 % of 55,000 images are 9 batches of 64: a first rung after a fiftieth of an epoch comes before the first."""
    options = {"widths": [1], "batch_sizes": [64], "transfer_shares": [0.01, 1.0]}
    halving = {"early_stopping": "pareto_halving", "halving": {"first_rung": 0.02}}
    with pytest.raises(ValueError, match="there is no whole batch"):
        prepare(study_config(space={"name": "cnn_distillation", "options": options}, search=halving))
    options |= {"transfer_shares": [1.0]}
    prepare(study_config(space={"name": "cnn_distillation", "options": options}, search=halving))


LOW = {"epochs": 1, "precision": "bfloat16"}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"teacher": {"model": CNN, "training": LOW}}, "teacher.training"),
        ({"assistants": [{"model": CNN, "training": LOW}]}, "assistants.0.training"),
        (
            {"space": {"name": "cnn_distillation", "options": {"widths": [1], "precision": "bfloat16"}}},
            'space "cnn_distillation": training',
        ),
    ],
)
def test_precision_that_this_machine_has_not_is_refused_by_its_field(
    change: dict[str, object], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = study_config(**change)
    space, cpu = search_spaces.build(config.space), torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    check_precisions(config, space, cpu)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with pytest.raises(ValueError, match=rf'{where}\.precision = "bfloat16", but device cpu .* has no bfloat16 units'):
        check_precisions(config, space, cpu)
