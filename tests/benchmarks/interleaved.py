"""Two things measured in turns, so that what drifts on the machine meets both and cancels in their ratio."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Comparison:
    """One pair of measurements a round: ours, then the peer's."""

    ours: tuple[float, ...]
    peer: tuple[float, ...]

    @property
    def median_ours(self) -> float:
        """Our middle measurement."""
        return median(self.ours)

    @property
    def median_peer(self) -> float:
        """The peer's middle measurement."""
        return median(self.peer)

    @property
    def median_ratio(self) -> float:
        """Middle of the rounds' own ratios, ours over the peer's."""
        return median(ours / peer for ours, peer in zip(self.ours, self.peer, strict=True))


def compare(ours: Callable[[], float], peer: Callable[[], float], *, num_rounds: int) -> Comparison:
    """Measure ours, the peer's, ours, the peer's, and so on."""
    pairs = [(ours(), peer()) for _ in range(num_rounds)]
    return Comparison(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))
