"""A share of a GPU's memory: what of it a process may allocate, and what to say when that was too little."""

from dataclasses import dataclass

import torch

BYTES_PER_MIB = 2**20
# A CUDA context with torch's kernels, where nobody has measured it: a few hundred MiB, more on newer boards.
USUAL_CONTEXT_MIB = 600.0


@dataclass(frozen=True, slots=True)
class MemoryShare:
    """A process's part of a board's memory.

    Args:
        gpus: fraction of the GPU, in (0, 1].
        board_mib: memory of the GPU.
        context_mib: that the process takes beside its allocator's.
    """

    gpus: float
    board_mib: float
    context_mib: float = USUAL_CONTEXT_MIB

    @property
    def allocator_mib(self) -> float:
        """What tensors may take: a process fills its share with its context, and no more, so its neighbours live."""
        return max(0.0, self.gpus * self.board_mib - self.context_mib)

    @property
    def allocator_fraction(self) -> float:
        """The same as a fraction of the board, in [0, 1]."""
        return min(1.0, self.allocator_mib / self.board_mib)

    def too_little(self, error: torch.OutOfMemoryError) -> str:
        """Why a student is infeasible here, and what to set: one line that begins with torch's own first one."""
        first = (str(error).strip() or "no reason given").splitlines()[0]
        advice = 'a larger resources.gpus_per_trial, or "planned"' if self.gpus < 1.0 else "smaller batches"
        return (
            f"OutOfMemoryError: {first} (its share of {self.gpus:g} GPU is {self.gpus * self.board_mib:,.0f} MiB, "
            f"{self.allocator_mib:,.0f} MiB of them beside the CUDA context; what may help: {advice})"
        )


def why_failed(error: Exception, share: MemoryShare | None) -> str:
    """The one line that a student which cannot be trained is told with; of too little memory, with its share."""
    if share is not None and isinstance(error, torch.OutOfMemoryError):
        return share.too_little(error)
    return f"{type(error).__name__}: {error}"


def memory_share(device: torch.device, gpus: float, context_mib: float | None) -> MemoryShare | None:
    """This process's share of its GPU; None on a CPU, whose memory is not shared out."""
    if device.type != "cuda":
        return None
    board_mib = torch.cuda.get_device_properties(device).total_memory / BYTES_PER_MIB
    return MemoryShare(gpus or 1.0, board_mib, USUAL_CONTEXT_MIB if context_mib is None else context_mib)


def used_beside_allocator_mib(device: torch.device) -> float:
    """Memory in use on a GPU that is none of this process's tensors': where it is alone, its context."""
    free, total = torch.cuda.mem_get_info(device)
    return max(0.0, (total - free - torch.cuda.memory_reserved(device)) / BYTES_PER_MIB)
