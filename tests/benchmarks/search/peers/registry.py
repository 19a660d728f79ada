"""Peers beyond Optuna: what each is called, what it is installed as, and where it is run."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from types import MappingProxyType

from tests.benchmarks.search.contestants import Contestant


@dataclass(frozen=True, slots=True)
class Peer:
    """Of a peer: the distribution that its version is of, the module here that has its `run`, and what it is told."""

    distribution: str
    module: str
    told: str = "the values of what it asked"


PEERS: Mapping[str, Peer] = MappingProxyType(
    {
        "pymoo NSGA-II": Peer("pymoo", "pymoo_nsga2"),
        "SMAC ParEGO": Peer("smac", "smac_parego"),
        "Ax": Peer("ax-platform", "ax_client"),
        "NePS BO": Peer("neural-pipeline-search", "neps_bo"),
        "Syne Tune EHVI, told the scales": Peer(
            "syne-tune",
            "syne_tune_ehvi",
            "values on the true front's ranges, as its reference is fixed; may ask a point again",
        ),
        "BoTorch EHVI, told the cost": Peer(
            "botorch", "botorch_known", "the cost of every point beforehand, as ours is"
        ),
    }
)

NOT_RUN: Mapping[str, str] = MappingProxyType(
    {
        "Syne Tune MOASHA": "stops trials by their learning curves; the tables hold the ends alone",
        "NePS MOASHA, PriMO": "need fidelities, which the tables do not have",
        "Syne Tune MO-REA": "its first 100 points, all that are asked here, are random",
    }
)


def contestant(name: str) -> Contestant:
    """The peer, ready to run.

    Raises:
        ImportError: it is not installed here, or something that it needs is not.
    """
    peer = PEERS[name]
    module = importlib.import_module(f"tests.benchmarks.search.peers.{peer.module}")
    return Contestant(name, f"{peer.distribution} {metadata.version(peer.distribution)}", module.run)
