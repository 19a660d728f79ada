"""One of several processes that train at once: threads of this process stand for the others."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from trainables.co_tenancy import WARM_UP_S, Tenant, Training, beside, train_beside
from trainables.config import ModelConfig
from trainables.hardware.settings import ProfileSettings

SETTINGS = ProfileSettings(seconds_per_training_batch_size=0.02)


def test_all_are_warm_before_one_is_measured_and_measured_before_one_goes_on() -> None:
    told: list[str] = []
    barrier = threading.Barrier(3)

    def meet() -> None:
        barrier.wait(10.0)

    def tenant(_: int) -> float | None:
        def train_for(seconds: float) -> float:
            told.append("warm" if seconds == WARM_UP_S else "measured")
            return 10.0

        return beside(train_for, SETTINGS, meet)

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(tenant, range(3))) == [10.0] * 3
    assert told == ["warm"] * 3 + ["measured"] * 3


@pytest.mark.parametrize("fails_at", [WARM_UP_S, SETTINGS.seconds_per_training_batch_size])
def test_one_without_room_meets_the_others_all_the_same(fails_at: float) -> None:
    met: list[str] = []

    def train_for(seconds: float) -> float:
        if seconds == fails_at:
            raise torch.OutOfMemoryError("6 GiB")
        return 10.0

    assert beside(train_for, SETTINGS, lambda: met.append("here")) is None
    assert met == ["here", "here"]


def test_task_measures_each_training_in_turn_and_knows_no_board_on_a_cpu() -> None:
    models = [ModelConfig(name="cnn", options={"width": width}) for width in (1, 2)]
    trainings = [Training(model=model, batch_size=16, execution=None) for model in models]
    met: list[int] = []
    tenant = train_beside(trainings, (1, 8, 8), 3, SETTINGS, 1, 0.0, lambda: met.append(1))
    assert len(met) == 2 * len(trainings)
    assert (tenant.board_mib, tenant.context_mib) == (None, None)
    assert all(speed is not None and speed > 0.0 for speed in tenant.images_per_s)
    assert Tenant.model_validate_json(tenant.model_dump_json()) == tenant
