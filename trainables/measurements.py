"""What `profile` finds out about an architecture on a device, as records; units are in the names."""

from datetime import datetime

from pydantic import Field

from trainables.config import Execution, Frozen, ModelConfig, StudentConfig
from trainables.metrics import latency_name


class DeviceFacts(Frozen):
    """On what a measurement was made."""

    kind: str = Field(description='"cpu" or "cuda"')
    name: str
    num_threads: int
    precision: str = Field(description='"float32" or "bfloat16"')
    peak_flops_per_s: float | None = Field(description="measured with a large matrix product in the same precision")
    reference_ms: float | None = Field(
        None, description="undisturbed time of the reference network, to whose speed all latencies are corrected"
    )
    idle_watts: float | None = Field(None, description="of the board when nothing ran; None: it does not say")
    versions: dict[str, str] = Field(description="torch, python, and on CUDA the driver and cuDNN")


class LatencyMeasurement(Frozen):
    """Time of one forward pass at one inference batch size, alone on the device; see facts in the report."""

    batch_size: int
    num_runs: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p50_low_ms: float = Field(description="95 % interval of the median, by order statistics")
    p50_high_ms: float
    p90_bound_ms: float | None = Field(
        description="99 % confidence upper bound (MLPerf early stopping); None: too few runs"
    )
    p99_bound_ms: float | None
    relative_iqr_fraction: float = Field(description="interquartile range over median")
    reference_drift_fraction: float = Field(description="relative change of a fixed reference network around the runs")
    num_attempts: int
    is_stable: bool


class TriedExecution(Frozen):
    """A way of computing training steps as it was tried, for a short time."""

    execution: Execution
    images_per_s: float | None = Field(description="None: it failed")
    start_s: float = Field(0.0, description="that the first steps took longer than those after: compiling")
    failure: str | None = None


class Together(Frozen):
    """So many processes that trained the same at once on one GPU, each by itself."""

    num_processes: int = Field(ge=1)
    images_per_s: float | None = Field(description="of all of them together; None: too little memory for so many")


class CoTenancy(Frozen):
    """How training goes on a GPU that several processes share."""

    board_mib: float = Field(description="memory of the GPU")
    context_mib: float = Field(description="that a process which is alone on it takes beside its allocator's")
    together: tuple[Together, ...] = Field(min_length=1, description="from one process on, each number once")


class TrainingMeasurement(Frozen):
    """Training speed at one batch size, alone on the device, on the device's share that a trial gets."""

    batch_size: int
    images_per_s: float
    relative_iqr_fraction: float
    is_stable: bool
    flops_per_image: float = Field(description="forward and backward; 1 multiply-accumulate = 2 FLOP")
    mfu_fraction: float | None
    cpu_utilization_fraction: float | None
    gpu_utilization_fraction: float | None
    peak_memory_mib: float | None
    energy_joules_per_image: float | None
    execution: Execution | None = Field(None, description="in which it was measured; None: from before there was one")
    tried: tuple[TriedExecution, ...] = Field((), description="all that were, it among them; empty: nothing was tried")
    co_tenancy: CoTenancy | None = Field(None, description="of the same in several processes; None: not measured")


class ArchitectureProfile(Frozen):
    """All that is known about an architecture before it is trained."""

    model: ModelConfig
    num_parameters: int
    forward_flops_per_image: float
    latencies: tuple[LatencyMeasurement, ...]
    trainings: tuple[TrainingMeasurement, ...]
    device: DeviceFacts
    measured_at: datetime
    seconds: float

    def metrics(self, batch_size: int) -> dict[str, float | None]:
        """The isolated metrics of a student of this architecture that is trained at `batch_size`."""
        values: dict[str, float | None] = {
            "num_parameters": float(self.num_parameters),
            "forward_flops_per_image": self.forward_flops_per_image,
        }
        for latency in self.latencies:
            values[latency_name(50, latency.batch_size)] = latency.p50_ms
            values[latency_name(90, latency.batch_size)] = latency.p90_ms
            values[latency_name(99, latency.batch_size)] = latency.p99_ms
        for training in self.trainings:
            if training.batch_size == batch_size:
                values["train_images_per_s"] = training.images_per_s
                values["train_mfu_fraction"] = training.mfu_fraction
                values["gpu_utilization_fraction"] = training.gpu_utilization_fraction
                values["cpu_utilization_fraction"] = training.cpu_utilization_fraction
                values["peak_memory_mib"] = training.peak_memory_mib
                values["energy_joules_per_image"] = training.energy_joules_per_image
        return values


class ProfilesRecord(Frozen):
    """Profiles of the teacher and of every architecture of the space, by `ModelConfig.key`."""

    fingerprint: str
    teacher: ArchitectureProfile
    students: dict[str, ArchitectureProfile]

    def execution(self, student: StudentConfig) -> Execution | None:
        """How the student's steps are computed; None: nothing was tried."""
        profile = self.students.get(student.model.key)
        trainings = () if profile is None else profile.trainings
        return next((each.execution for each in trainings if each.batch_size == student.training.batch_size), None)

    def context_mib(self, student: StudentConfig) -> float | None:
        """Memory that a process takes of a GPU beside its allocator's; None: not measured."""
        profile = self.students.get(student.model.key)
        known = (each.co_tenancy for each in (() if profile is None else profile.trainings) if each.co_tenancy)
        return next((each.context_mib for each in known), None)

    def idle_watts(self, student: StudentConfig) -> float | None:
        """Power of the device that the student was measured on, when nothing ran; None: not measured."""
        profile = self.students.get(student.model.key)
        return None if profile is None else profile.device.idle_watts
