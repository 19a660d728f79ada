"""Which layers a loss of features reads: those named, or by default those that both networks have for it."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from trainables.losses.distillation_loss import LossContext, Taps

# None: the loss's own choice among the network's modules before its classifier.
LayerNames = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)] | None
LayerName = Annotated[str, Field(min_length=1)] | None


def paired_layers(
    context: LossContext, student: Sequence[str] | None, teacher: Sequence[str] | None, *, spatial: bool = False
) -> Taps:
    """Layers of the student, each with its layer of the teacher: those named, or all own modules before the classifier.

    Args:
        context: with the features' shapes.
        student: names in the student; None: its own modules.
        teacher: the same in the teacher.
        spatial: only layers of shape (channels, H, W) will do.

    Raises:
        ValueError: a layer that does not exist or is not spatial, or not as many here as there; those that exist are
            named.
    """
    taps = Taps(
        _named("student_layers", student, context.student_features, spatial=spatial),
        _named("teacher_layers", teacher, context.teacher_features, spatial=spatial),
    )
    if len(taps.student) != len(taps.teacher):
        raise ValueError(
            f"student_layers = {list(taps.student)}, teacher_layers = {list(taps.teacher)}: "
            "each layer of the student needs one of the teacher"
        )
    return taps


def last_layers(context: LossContext, student: str | None, teacher: str | None) -> Taps:
    """One layer of each network: the named one, or the last before the classifier; see `paired_layers`."""
    return Taps(
        _named("student_layer", _one(student), context.student_features, spatial=False)[-1:],
        _named("teacher_layer", _one(teacher), context.teacher_features, spatial=False)[-1:],
    )


def middle_layers(context: LossContext, student: str | None, teacher: str | None) -> Taps:
    """One layer of each network: the named one, or the middle one of those before the classifier."""
    taps = Taps(
        _named("student_layer", _one(student), context.student_features, spatial=False),
        _named("teacher_layer", _one(teacher), context.teacher_features, spatial=False),
    )
    return Taps(*((names[(len(names) - 1) // 2],) for names in (taps.student, taps.teacher)))


def own_layers(features: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    """The network's own modules before the last, which is its classifier."""
    own = [name for name in features if "." not in name]
    return tuple(own[:-1])


def _one(name: str | None) -> tuple[str, ...] | None:
    return None if name is None else (name,)


def _named(
    option: str, names: Sequence[str] | None, features: Mapping[str, tuple[int, ...]], *, spatial: bool
) -> tuple[str, ...]:
    fit = [name for name, shape in features.items() if len(shape) == 3 or not spatial]
    chosen = [name for name in own_layers(features) if name in fit] if names is None else list(names)
    wrong = [name for name in chosen if name not in fit]
    if wrong or not chosen:
        given = f'"{wrong[0]}"' if wrong else "none"
        kind = "a layer of shape (channels, height, width)" if spatial else "a layer"
        allowed = ", ".join(fit) or "none"
        raise ValueError(f"{option}: {given} is not {kind} of the network; it has {allowed}")
    return tuple(chosen)
