"""Ways of computing training steps on a real CUDA device, each against float32 without any of them."""

import copy
from collections.abc import Iterator

import pytest
import torch

from tests.factories import stored_teacher, student, training_data
from trainables.config import Execution, LossConfig, ModelConfig, StudentConfig
from trainables.execution import executions_for
from trainables.hardware.compilation import release
from trainables.hardware.executions import LEAST_COMPILED_S
from trainables.hardware.settings import ProfileSettings, StudentTrainings
from trainables.measurements import TriedExecution
from trainables.profile import DeviceProfiler
from trainables.run_start import student_run
from trainables.teacher_outputs import Split
from trainables.training import DeviceData, DistillationRun

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")]

PLAIN = Execution()
COMPILED = [Execution.model_validate({"compile": how}) for how in ("default", "cuda_graphs")]
DROPOUT = ModelConfig(name="mlp", options={"hidden": (32,), "dropout": 0.5})


@pytest.fixture
def device() -> Iterator[torch.device]:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device is visible")
    yield torch.device("cuda", 0)
    torch.compiler.set_stance("default")
    release()


def run(device: torch.device, execution: Execution, model: ModelConfig | None = None) -> DistillationRun:
    """Two batches of 50 and one of 20."""
    data = DeviceData(training_data(), device)
    config: StudentConfig = student(loss=LossConfig(name="kd"), epochs=6, batch_size=50)
    config = config if model is None else config.model_copy(update={"model": model})
    return student_run(config, data, stored_teacher(data), measured=execution)


def trained(of: DistillationRun, epochs: int = 3) -> list[tuple[float, float]]:
    """Loss, and accuracy on validation, of each epoch: training and evaluation take turns."""
    return [(of.run_epoch().train_loss, of.evaluate(Split.VALIDATION).accuracy) for _ in range(epochs)]


def test_every_way_that_is_tried_first_learns_what_plain_float32_learns(device: torch.device) -> None:
    expected = trained(run(device, PLAIN))
    for execution in executions_for("auto", device):
        for one, other in zip(trained(run(device, execution)), expected, strict=True):
            assert one == pytest.approx(other, rel=0.05, abs=0.05), execution


@pytest.mark.parametrize("execution", COMPILED, ids=str)
def test_compiled_training_is_the_training_and_compiles_once(device: torch.device, execution: Execution) -> None:
    compiled_run, plain = run(device, execution), run(device, PLAIN)
    for each in (compiled_run, plain):
        trained(each, 1)
    torch.compiler.set_stance("fail_on_recompile")
    for one, other in zip(trained(compiled_run), trained(plain), strict=True):
        assert one == pytest.approx(other, rel=0.02, abs=0.02)


@pytest.mark.parametrize("execution", COMPILED, ids=str)
def test_a_compiled_run_goes_on_from_its_state(device: torch.device, execution: Execution) -> None:
    """What a graph has recorded is of one run's memory: another loads the state into its own."""
    whole, resumed = run(device, execution), run(device, execution)
    trained(whole, 2)
    resumed.load_state_dict(copy.deepcopy(whole.state_dict()))
    assert trained(resumed, 1)[0] == pytest.approx(trained(whole, 1)[0], rel=0.02, abs=0.02)


@pytest.mark.parametrize("execution", [PLAIN, *COMPILED], ids=str)
def test_dropout_is_drawn_anew_each_step_and_alike_for_a_seed(device: torch.device, execution: Execution) -> None:
    """A graph that had recorded its random numbers would leave out the same units at every step."""
    first, second = run(device, execution, DROPOUT), run(device, execution, DROPOUT)
    for one, other in zip(trained(first, 2), trained(second, 2), strict=True):
        assert one == pytest.approx(other, rel=1e-3)
    first.model.train()
    indices_N = torch.arange(50, device=device)
    seen = {round(first._loss_of(indices_N, None, 0.0).item(), 6) for _ in range(8)}
    assert len(seen) > 1


def test_profile_on_a_gpu_records_what_was_tried_and_takes_one_of_them(device: torch.device) -> None:
    assert device.type == "cuda"
    settings = ProfileSettings(inference_batch_sizes=(1,), seconds_per_training_batch_size=0.2, max_attempts=1)
    trainings = StudentTrainings(num_images=int(1e7 * LEAST_COMPILED_S))
    profiler = DeviceProfiler((1, 28, 28), 10, settings, 1, trainings)
    (profile,) = profiler.profiles([ModelConfig(name="cnn", options={"width": 4})], [128])
    (training,) = profile.trainings
    tried: tuple[TriedExecution, ...] = training.tried
    assert training.execution in [each.execution for each in tried]
    assert {each.execution.compile for each in tried} == {"none", "default", "cuda_graphs"}
    assert all(each.images_per_s is not None or each.failure is not None for each in tried)
    assert all(each.failure is None for each in tried if each.execution.compile == "none")
