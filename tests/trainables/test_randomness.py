import subprocess
import sys

import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.randomness import derive_seed, generator

PURPOSES = st.text("abcdefgh_", min_size=1, max_size=8)
INDICES = st.lists(st.integers(0, 10**6), max_size=3)
STREAMS = st.tuples(st.integers(0, 2**63), PURPOSES, INDICES)


@given(STREAMS, STREAMS)
def test_two_streams_share_a_seed_only_where_they_are_the_same(
    first: tuple[int, str, list[int]], second: tuple[int, str, list[int]]
) -> None:
    seeds = [derive_seed(seed, purpose, *indices) for seed, purpose, indices in (first, second)]
    assert (seeds[0] == seeds[1]) == (first == second)


@given(STREAMS)
def test_a_derived_seed_is_one_that_torch_and_numpy_take(stream: tuple[int, str, list[int]]) -> None:
    seed, purpose, indices = stream
    assert 0 <= derive_seed(seed, purpose, *indices) < 2**63


def test_indices_do_not_run_into_each_other() -> None:
    assert (
        len(
            {derive_seed(1, "p", 1, 11), derive_seed(1, "p", 11, 1), derive_seed(1, "p", 111), derive_seed(11, "p", 11)}
        )
        == 4
    )


def test_another_process_derives_the_same_seed() -> None:
    """Python's own hash of a text differs between processes; a resumed study must draw what it would have drawn."""
    program = "from trainables.randomness import derive_seed; print(derive_seed(3, 'order', 2))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert int(printed) == derive_seed(3, "order", 2)


def test_a_generator_starts_at_the_beginning_of_its_stream_whatever_ran_before() -> None:
    state = torch.get_rng_state()
    draws = []
    for _ in range(2):
        draws.append(torch.rand(4, generator=generator(3, "order", 2)))
        torch.rand(5, generator=generator(3, "shift", 2))
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(torch.get_rng_state(), state)
