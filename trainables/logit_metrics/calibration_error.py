"""Expected calibration error as a metric of logits (Guo et al., ICML 2017)."""

from typing import Annotated

from pydantic import ConfigDict, Field, validate_call
from torch import Tensor

from trainables.calibration import NUM_BINS, expected_calibration_error
from trainables.logit_metrics.logit_metric import LogitMetric
from trainables.metrics import Direction


@validate_call(config=ConfigDict(strict=True))
def calibration_error(*, num_bins: Annotated[int, Field(ge=1)] = NUM_BINS) -> LogitMetric:
    """How far confidence is from accuracy, over bins of equal width."""

    def compute(logits_NC: Tensor, labels_N: Tensor, teacher_NC: Tensor) -> float:  # noqa: ARG001 - one signature
        return expected_calibration_error(logits_NC.numpy(), labels_N.numpy(), num_bins=num_bins)

    return LogitMetric("calibration_error", "calibration error (ECE)", "fraction", Direction.MINIMIZE, compute)
