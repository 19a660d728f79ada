"""Every entry of the loss registry, built with its defaults, keeps the promises of `DistillationLoss`."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.factories import student
from tests.trainables.losses.batches import CONTEXT, batch, method, term, value_of, without
from trainables.config import AugmentationConfig, LossConfig, TransferConfig
from trainables.losses import LOSSES, build
from trainables.losses.distillation_loss import UNLABELLED, DistillationStep, Need, Outputs
from trainables.run_start import check_needs

# The mean over a batch is the mean of its halves', where an image's loss is its own. Where it is not:
OF_THE_WHOLE_BATCH = {
    "dist": "correlates each class over the batch",
    "similarity": "compares each image with the others of the batch",
    "relational": "compares pairs and triples of the batch",
    "contrastive": "scales by the first batch, and the batch shares one draw of negatives",
    "boundary": "draws a class for each image, and is the mean over those that come over",
}
ANY_LABELS = {Need.LABELS, Need.EVERY_LABEL}
OF_A_NETWORK = (Need.FEATURES, Need.TEACHER_NETWORK)
OF_A_TEACHER = (Need.TEACHER_LOGITS, *OF_A_NETWORK)
IN_A_STEP = (*OF_A_TEACHER, Need.INDEX)
MOMENTS = (0.2, 0.7)  # both stages of a method that has two, and after every warm-up

NEEDS = {name: method(name).needs for name in sorted(LOSSES)}

every_method = pytest.mark.parametrize("name", sorted(LOSSES))


def half(step: DistillationStep, part: slice) -> DistillationStep:
    def of(outputs: Outputs) -> Outputs:
        return Outputs(outputs.logits_NC[part], {name: each[part] for name, each in outputs.features.items()})

    assert step.teacher is not None
    assert step.indices_N is not None
    assert step.images_NCHW is not None
    return replace(
        step,
        student=of(step.student),
        teacher=of(step.teacher),
        labels_N=step.labels_N[part],
        indices_N=step.indices_N[part],
        images_NCHW=step.images_NCHW[part],
    )


def labelled(step: DistillationStep, num_labels: int) -> DistillationStep:
    """The step with the labels of its first images alone."""
    hidden = torch.arange(num_labels, len(step.labels_N))
    return replace(step, labels_N=step.labels_N.index_fill(0, hidden, UNLABELLED))


def size(tensors: list[Tensor]) -> float:
    return sum(float(each.grad.abs().sum()) for each in tensors if each.grad is not None)


@every_method
def test_value_is_a_scalar_and_not_negative(name: str) -> None:
    for moment in MOMENTS:
        value = value_of(method(name), batch(progress=moment).step)
        assert value.shape == ()
        assert value.item() >= 0.0


@pytest.mark.parametrize("moment", MOMENTS)
@every_method
def test_gradient_of_the_methods_own_part_reaches_the_student_and_never_the_teacher(name: str, moment: float) -> None:
    given = batch(progress=moment)
    value_of(term(method(name)), given.step).backward()  # type: ignore[no-untyped-call]
    assert size(given.of_student) > 0.0
    assert [each.grad for each in given.of_teacher if each.grad is not None] == []


@every_method
def test_gradient_reaches_each_parameter_that_the_method_has_itself(name: str) -> None:
    own = term(method(name))
    for moment in MOMENTS:
        value_of(own, batch(progress=moment).step).backward()  # type: ignore[no-untyped-call]
    assert [each for each, parameter in own.named_parameters() if not size([parameter])] == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@every_method
def test_value_and_gradient_are_finite_at_extreme_logits_and_features(name: str, dtype: torch.dtype) -> None:
    for moment in MOMENTS:
        given, loss = batch(scale=1e4, dtype=dtype, progress=moment), method(name)
        value = value_of(loss, given.step)
        value.backward()  # type: ignore[no-untyped-call]
        assert value.dtype == torch.float32
        assert torch.isfinite(value)
        gradients = [each.grad for each in [*given.of_student, *loss.parameters()] if each.grad is not None]
        assert gradients
        assert all(torch.isfinite(each).all() for each in gradients)


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - OF_THE_WHOLE_BATCH.keys()))
def test_loss_of_a_batch_is_the_mean_of_the_losses_of_its_halves(name: str) -> None:
    for moment in MOMENTS:
        whole = batch(8, progress=moment).step
        halves = [value_of(method(name), half(whole, part)) for part in (slice(0, 4), slice(4, 8))]
        assert value_of(method(name), whole).item() == pytest.approx(sum(halves).item() / 2, rel=1e-5)  # type: ignore[union-attr]


@every_method
def test_methods_that_are_no_mean_over_the_images_are_those_that_need_the_whole_batch(name: str) -> None:
    assert (Need.WHOLE_BATCH in NEEDS[name]) is (name in OF_THE_WHOLE_BATCH)


@pytest.mark.parametrize("name", sorted(OF_THE_WHOLE_BATCH))
def test_method_that_is_exempt_from_the_law_of_halves_breaks_it(name: str) -> None:
    """An exemption that is needed no longer is to be taken off the list."""
    whole = batch(8, progress=0.2).step
    halves = [value_of(method(name), half(whole, part)) for part in (slice(0, 4), slice(4, 8))]
    assert value_of(method(name), whole).item() != pytest.approx(sum(halves).item() / 2, rel=1e-5)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "need"), [(name, need) for name, needs in NEEDS.items() for need in IN_A_STEP if need not in needs]
)
def test_what_a_method_does_not_need_it_does_not_use(name: str, need: Need) -> None:
    for moment in MOMENTS:
        loss, step = method(name), batch(progress=moment).step
        assert torch.equal(value_of(loss, step), value_of(loss, without(need, step)))


@pytest.mark.parametrize("name", [name for name, needs in NEEDS.items() if not needs & ANY_LABELS])
def test_method_that_needs_no_labels_does_not_use_them(name: str) -> None:
    loss, step = method(name), batch().step
    assert torch.equal(value_of(loss, step), value_of(loss, labelled(step, 0)))


@pytest.mark.parametrize("name", [name for name, needs in NEEDS.items() if Need.EVERY_LABEL not in needs])
def test_method_that_does_not_need_every_label_does_with_any_number_of_them(name: str) -> None:
    for num_labels in (0, 1, 5):
        assert torch.isfinite(value_of(method(name), labelled(batch(progress=0.2).step, num_labels)))


@pytest.mark.parametrize(
    ("name", "need"), [(name, need) for name, needs in NEEDS.items() for need in IN_A_STEP if need in needs]
)
def test_step_without_what_the_method_needs_is_an_error_that_says_so(name: str, need: Need) -> None:
    says = {
        Need.TEACHER_LOGITS: r"teacher logits \(8, 2\)",
        Need.FEATURES: "stage[12]",
        Need.TEACHER_NETWORK: "no networks and images",
        Need.INDEX: "no indices",
    }
    steps = [without(need, batch(progress=moment).step) for moment in MOMENTS]
    with pytest.raises((ValueError, KeyError), match=says[need]):
        sum(value_of(method(name), step) for step in steps)


@pytest.mark.parametrize(
    ("name", "need"), [(name, need) for name, needs in NEEDS.items() for need in OF_A_TEACHER if need in needs]
)
def test_run_without_a_teacher_is_refused_by_the_needs_name(name: str, need: Need) -> None:
    with pytest.raises(ValueError, match=f'method "{name}" needs .*{need}.*; this run has no teacher'):
        check_needs(student(loss=LossConfig(name=name)), NEEDS[name] - {Need.VIEWS}, has_teacher=False, is_live=False)


@pytest.mark.parametrize(
    ("name", "need"), [(name, need) for name, needs in NEEDS.items() for need in OF_A_NETWORK if need in needs]
)
def test_run_with_stored_outputs_alone_is_refused_by_the_needs_name(name: str, need: Need) -> None:
    with pytest.raises(ValueError, match=f'method "{name}" needs .*{need}.*which stored outputs do not give'):
        check_needs(student(loss=LossConfig(name=name)), NEEDS[name], has_teacher=True, is_live=False)


@pytest.mark.parametrize("name", [name for name, needs in NEEDS.items() if Need.VIEWS in needs])
def test_run_without_views_is_refused_where_the_method_needs_them(name: str) -> None:
    with pytest.raises(
        ValueError, match=f'method "{name}" needs views: training.augmentation must have shift_pixels, flip, '
    ):
        check_needs(student(loss=LossConfig(name=name)), NEEDS[name], has_teacher=True, is_live=True)


@pytest.mark.parametrize("name", [name for name, needs in NEEDS.items() if needs & ANY_LABELS])
def test_run_on_mixed_images_is_refused_where_the_method_needs_labels(name: str) -> None:
    config = student(loss=LossConfig(name=name))
    mixed = config.training.model_copy(update={"augmentation": AugmentationConfig(mixup=1.0)})
    with pytest.raises(ValueError, match=f'method "{name}" needs labels, which a mixed image does not have'):
        check_needs(config.model_copy(update={"training": mixed}), NEEDS[name], has_teacher=True, is_live=True)


@pytest.mark.parametrize("name", [name for name, needs in NEEDS.items() if Need.EVERY_LABEL in needs])
def test_run_with_a_share_of_the_labels_is_refused_where_the_method_needs_every_one(name: str) -> None:
    config = student(loss=LossConfig(name=name)).model_copy(update={"transfer": TransferConfig(label_share=0.5)})
    with pytest.raises(ValueError, match=f'method "{name}" needs the label of every image: transfer.label_share = 0.5'):
        check_needs(config, NEEDS[name], has_teacher=True, is_live=True)


@every_method
def test_an_option_it_does_not_take_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f'loss "{name}": there is no option temprature = 3.0; .*'):
        build(LossConfig(name=name, options={"temprature": 3.0}), CONTEXT)


def test_unknown_loss_is_named_with_what_is_allowed() -> None:
    with pytest.raises(
        ValueError, match=r'unknown loss "dkd2": allowed are attention, boundary, .*, kd, label_smoothing, labels, '
    ):
        build(LossConfig(name="dkd2"), CONTEXT)
