"""Whether the teacher's logits on augmented views are stored before the search, or it is run beside each student."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.wording import count, listed, significant, size_text, times
from trainables.config import AugmentationConfig, StudentConfig
from trainables.losses.distillation_loss import Need
from trainables.stored_views import do_tables_serve
from trainables.teacher_config import TeacherOutputs

BYTES_A_LOGIT = 4


@dataclass(frozen=True, slots=True)
class Demand:
    """Views made alike, of which students of the search are told the teacher's logits and nothing else of it.

    A pass is over all training images. `live_passes`: those of a teacher that is run beside these students, each
    trained to its end. Stored, every view takes one pass, whoever looks it up.
    """

    augmentation: AugmentationConfig
    num_views: int
    live_passes: float


@dataclass(frozen=True, slots=True)
class OutputsChoice:
    """What is stored and what is not; `bytes_a_view` and `limit_bytes` of the logits, `asked` as configured."""

    stored: tuple[Demand, ...]
    live: tuple[Demand, ...]
    bytes_a_view: int
    limit_bytes: int
    asked: TeacherOutputs

    @property
    def num_views(self) -> int:
        """That are stored: so many passes of the teacher."""
        return sum(each.num_views for each in self.stored)

    @property
    def num_bytes(self) -> int:
        """That they take, on the disk and in the memory of each node."""
        return self.num_views * self.bytes_a_view

    @property
    def saved_passes(self) -> float:
        """That a live teacher would make for what is stored, above those that storing makes."""
        return sum(each.live_passes for each in self.stored) - self.num_views


def demands(
    students: Sequence[tuple[StudentConfig, frozenset[Need]]], num_trials: int, shares: Mapping[str, int]
) -> list[Demand]:
    """What a search asks of its teacher, with students that were tried beforehand in the place of its trials.

    Args:
        students: each with the needs of its loss.
        num_trials: of the search.
        shares: of them, how many each method has; empty, or of other names than the losses': any student as many.
    """
    tried = Counter(student.loss.name for student, _ in students)
    if set(shares) != set(tried):
        tried, shares = Counter({name: len(students) for name in tried}), dict.fromkeys(tried, num_trials)
    found: dict[AugmentationConfig, Demand] = {}
    for student, needs in students:
        training, name = student.training, student.loss.name
        if not shares[name] or not do_tables_serve(student, needs):
            continue
        views = training.augmentation.each_view
        before = found.get(views, Demand(views, 0, 0.0))
        passes = training.epochs * student.transfer.share * shares[name] / tried[name]
        num_views = max(before.num_views, training.augmentation.views_within(training.epochs))
        found[views] = Demand(views, num_views, before.live_passes + passes)
    # A third of six trials, three times, is not quite six as floats go.
    return [replace(each, live_passes=round(each.live_passes, 6)) for each in found.values()]


def choose(
    asked_for: Sequence[Demand], *, bytes_a_view: int, limit_bytes: int, outputs: TeacherOutputs
) -> OutputsChoice:
    """By cost: what saves most passes is stored first, as long as it saves any and there is room.

    Raises:
        ValueError: all is to be stored, and there is no room for it.
    """
    stored: list[Demand] = []
    room = limit_bytes
    for each in sorted(asked_for, key=lambda demand: demand.num_views - demand.live_passes):
        fits = each.num_views * bytes_a_view <= room and each.live_passes > each.num_views
        if outputs == "stored" or (outputs == "auto" and fits):
            stored.append(each)
            room -= each.num_views * bytes_a_view
    live = tuple(each for each in asked_for if each not in stored)
    choice = OutputsChoice(tuple(stored), live, bytes_a_view, limit_bytes, outputs)
    if choice.num_bytes > limit_bytes:
        raise ValueError(
            f'teacher.outputs = "stored": the logits on {count(choice.num_views, "view")} of all training images take '
            f"{size_text(choice.num_bytes)}, more than teacher.max_stored_mib = {_mib(choice)}: raise it, or show "
            'fewer views (num_views); "auto" runs the teacher beside the students where there is no room'
        )
    return choice


def choice_words(choice: OutputsChoice) -> str | None:
    """One line for people; None where no student learns from logits on augmented views alone."""
    parts = []
    if choice.stored:
        fewer = times(choice.num_views + choice.saved_passes, choice.num_views, "fewer", "more")
        parts.append(
            f"stored for {count(choice.num_views, 'view')}, {size_text(choice.num_bytes)}: {fewer} teacher passes than "
            "live"
        )
    if choice.live:
        parts.append("live: " + listed(list(dict.fromkeys(_why_live(each, choice) for each in choice.live))))
    return f"teacher outputs: {'; '.join(parts)}" if parts else None


def _why_live(demand: Demand, choice: OutputsChoice) -> str:
    if choice.asked == "live":
        return 'teacher.outputs = "live"'
    passes = f"{significant(demand.live_passes)} passes over the images"
    if demand.live_passes <= demand.num_views:
        return f"{passes}, where storing takes {demand.num_views:,}"
    needed = size_text(demand.num_views * choice.bytes_a_view)
    others = f" with {size_text(choice.num_bytes)} stored before" if choice.stored else ""
    return (
        f"{passes}, for {count(demand.num_views, 'view')} take {needed} stored and teacher.max_stored_mib = "
        f"{_mib(choice)}{others}"
    )


def _mib(choice: OutputsChoice) -> int:
    return choice.limit_bytes // 2**20
