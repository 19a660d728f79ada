"""Several networks of one kind that speak as one: the mean of their predicted probabilities."""

# Shapes: N batch, C classes.

import math
from typing import Annotated

import torch
from pydantic import ConfigDict, Field, validate_call
from torch import Tensor, nn

from trainables import models
from trainables.config import ModelConfig, OptionValue

MAX_MEMBERS = 32


class Ensemble(nn.Module):
    """Its logits are the logarithm of the members' mean probability.

    The arithmetic mean of predictive distributions, one of the two that Hinton et al. 2015, section 1, name; a
    temperature softens what has been joined.
    """

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Logits (N, C), float32."""
        log_shares = torch.stack([member(images_NCHW).float().log_softmax(dim=1) for member in self.members])
        return log_shares.logsumexp(dim=0) - math.log(len(self.members))


@validate_call(config=ConfigDict(strict=True))
def ensemble(
    *,
    input_shape: tuple[int, int, int],
    num_classes: Annotated[int, Field(ge=2)],
    of: str,
    num_members: Annotated[int, Field(ge=1, le=MAX_MEMBERS)],
    **options: OptionValue,
) -> Ensemble:
    """Build an `Ensemble`; features are the members' own, as "members.0.stage1".

    Args:
        input_shape: (channels, height, width) of an image.
        num_classes: number of logits.
        of: name of the members' network.
        num_members: how many, 1 to 32.
        options: of each of them.

    Raises:
        ValueError: an argument is out of range, or not allowed of the members' network.
    """
    member = ModelConfig(name=of, options=options)
    return Ensemble(
        [models.build(member, input_shape=input_shape, num_classes=num_classes) for _ in range(num_members)]
    )
