"""Methods within methods: each named, its options under its name, and of it the teacher's term alone."""

from collections.abc import Mapping, Sequence

from trainables import losses
from trainables.config import LossConfig, OptionValue
from trainables.losses.distillation_loss import DistillationLoss, LossContext
from trainables.losses.with_labels import WithLabels

_OF_THE_MIXTURE = frozenset({"weight", "labels_weight", "warm_up", "decay_until"})


def terms_of(
    wearer: str, names: Sequence[str], options: Mapping[str, OptionValue], context: LossContext
) -> list[DistillationLoss]:
    """The term of each method, without its labels, weight and schedule; a loss that is no such mixture is one itself.

    Args:
        wearer: the method that names them, for messages.
        names: methods of the registry, or one's own; none twice.
        options: "kd.temperature" is the temperature of "kd".
        context: of the run.

    Raises:
        ValueError: an option is of no method named here, or of what is not taken of it, or a method stands twice.
    """
    if len(set(names)) != len(names):
        raise ValueError(f'loss "{wearer}": {list(names)} names a method twice: each may stand once')
    for option, value in options.items():
        if not any(option.startswith(f"{name}.") for name in names):
            allowed = " or ".join(f'"{name}.<option>"' for name in names)
            raise ValueError(f'loss "{wearer}": there is no option {option} = {value!r}; of the methods: {allowed}')
    return [_term(wearer, name, _own(name, options), context) for name in names]


def _own(name: str, options: Mapping[str, OptionValue]) -> dict[str, OptionValue]:
    prefix = f"{name}."
    return {option.removeprefix(prefix): value for option, value in options.items() if option.startswith(prefix)}


def _term(wearer: str, name: str, options: dict[str, OptionValue], context: LossContext) -> DistillationLoss:
    loss = losses.build(LossConfig(name=name, options=options), context)
    if not isinstance(loss, WithLabels):
        return loss
    of_mixture = _OF_THE_MIXTURE | {"alpha"} if name == "kd" else _OF_THE_MIXTURE
    idle = sorted(of_mixture & options.keys())
    if idle:
        raise ValueError(
            f'loss "{wearer}": there is no option {name}.{idle[0]} = {options[idle[0]]!r}: '
            f'of "{name}" the term alone is taken, without its labels, weight and schedule'
        )
    return loss.term
