"""A clock that moves only when told to, at a speed that may be told to change."""

from collections.abc import Callable

from torch import Tensor, nn


class FakeClock:
    def __init__(self) -> None:
        self.now_ns = 0
        self.slowdown: Callable[[float], float] = lambda _: 1.0

    def __call__(self) -> int:
        return self.now_ns

    def work(self, milliseconds: float) -> None:
        """Let pass what this much work takes at the present speed."""
        self.now_ns += round(milliseconds * 1e6 * self.slowdown(self.now_ns / 1e9))


class TimedNetwork(nn.Module):
    """A network whose n-th forward pass takes `run_ms(n)` of work on the clock."""

    def __init__(self, clock: FakeClock, run_ms: Callable[[int], float]) -> None:
        super().__init__()
        self.clock = clock
        self.run_ms = run_ms
        self.num_runs = 0

    def forward(self, images_NCHW: Tensor) -> Tensor:
        self.clock.work(self.run_ms(self.num_runs))
        self.num_runs += 1
        return images_NCHW
