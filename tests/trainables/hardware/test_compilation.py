"""What torch really compiles, on a CPU: that it computes the same, goes on, and is not compiled again and again."""

import copy
import shutil
from collections.abc import Iterator

import pytest
import torch

from tests.factories import device_data, stored_teacher, student
from trainables.config import Execution, LossConfig
from trainables.hardware.compilation import release
from trainables.run_start import student_run
from trainables.teacher_outputs import Split
from trainables.training import DistillationRun

pytestmark = [
    pytest.mark.slow,  # a minute: the compiler's own
    pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for a CPU by g++"),
    # torch's own: it asks for a handler of its children's end, and reads files that it has left open.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(autouse=True)
def nothing_compiled() -> Iterator[None]:
    yield
    torch.compiler.set_stance("default")
    release()


def run(how: str) -> DistillationRun:
    """Batches of 50 and one of 20."""
    data = device_data()
    config = student(loss=LossConfig(name="kd"), epochs=3, batch_size=50)
    return student_run(config, data, stored_teacher(data), measured=Execution.model_validate({"compile": how}))


def weights(of: DistillationRun) -> torch.Tensor:
    return torch.cat([each.detach().reshape(-1) for each in of.model.parameters()])


@pytest.mark.parametrize("how", ["default", "cuda_graphs"])
def test_compiled_training_is_the_training_and_compiles_once(how: str) -> None:
    plain, compiled_run = run("none"), run(how)
    compiled_run.train_step(torch.arange(50))
    plain.train_step(torch.arange(50))
    torch.compiler.set_stance("fail_on_recompile")
    for _ in range(2):
        for each in (plain, compiled_run):
            each.run_epoch()
            each.evaluate(Split.VALIDATION)
    torch.testing.assert_close(weights(compiled_run), weights(plain), rtol=1e-3, atol=1e-4)
    assert compiled_run.model.state_dict().keys() == plain.model.state_dict().keys()


def test_a_compiled_run_goes_on_with_the_bits_of_an_uninterrupted_one() -> None:
    """In another run object, which is compiled for itself: as after a kill."""
    whole = run("default")
    whole.run_epoch()
    resumed = run("default")
    resumed.load_state_dict(copy.deepcopy(whole.state_dict()))
    whole.run_epoch()
    resumed.run_epoch()
    assert torch.equal(weights(resumed), weights(whole))
