"""The teacher's outputs for augmented views, looked up: what it said of each view of each image before the search."""

# Shapes: N images, C classes.

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from trainables.config import StudentConfig
from trainables.data.views import shared_tensor
from trainables.losses.distillation_loss import Need, Outputs
from trainables.teacher_outputs import Batch, StoredOutputs, ViewTable

# What no table of the teacher's logits holds.
NEEDS_NETWORK = frozenset({Need.FEATURES, Need.TEACHER_NETWORK})


@final
class StoredViews:
    """A look-up in the table of the view that is shown; images that are shown as they are have a table of their own.

    On a CPU the tables are the given arrays, not a copy, however many students of a node look into them. On a GPU there
    is the present view's alone, moved there once an epoch.

    Args:
        table: of the run's views.
        unaugmented: answers for images that are shown as they are.
        device: where the student is trained.
    """

    def __init__(self, table: ViewTable, unaugmented: StoredOutputs, device: torch.device) -> None:
        self._table = table
        self._unaugmented = unaugmented
        self._device = device
        self._present: tuple[int, Tensor] | None = None  # the view shown last, and its logits (N, C)

    @property
    def network(self) -> None:
        """There is none: its logits on these views are all there is."""
        return None

    def outputs(self, batch: Batch) -> Outputs:
        """Rows of the view's table."""
        if batch.view is None:
            return self._unaugmented.outputs(batch)
        if self._present is None or self._present[0] != batch.view:
            self._present = batch.view, shared_tensor(self._table.logits_NC[batch.view]).to(self._device)
        return Outputs(self._present[1].index_select(0, batch.indices_N))


def asks_of_views(student: StudentConfig, needs: frozenset[Need]) -> bool:
    """Whether a student's loss, of such needs, is told the teacher's logits on augmented views."""
    return Need.TEACHER_LOGITS in needs and not student.training.augmentation.is_identity


def are_views_its_own(student: StudentConfig) -> bool:
    """Whether what the student is shown hangs on more than seed, epoch and image, so that no other shares its views.

    Mixed images do where some are left out: their partners are drawn among those that are shown.
    """
    return bool(student.training.augmentation.mixup) and not student.transfer.shows_every_image


def do_tables_serve(student: StudentConfig, needs: frozenset[Need]) -> bool:
    """Whether logits on views, which others share, are all that the student's loss is told of its teacher's network."""
    return asks_of_views(student, needs) and not needs & NEEDS_NETWORK and not are_views_its_own(student)


def table_of(student: StudentConfig, needs: frozenset[Need], tables: Sequence[ViewTable]) -> ViewTable | None:
    """The table that holds all that the student's loss will be told; None: there is none."""
    if not do_tables_serve(student, needs):
        return None
    training = student.training
    wanted, num_views = training.augmentation.each_view, training.augmentation.views_within(training.epochs)
    of_its_views = (each for each in tables if (each.seed, each.augmentation) == (training.seed, wanted))
    return next((each for each in of_its_views if len(each.logits_NC) >= num_views), None)
