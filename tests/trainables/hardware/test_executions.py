"""Which ways of computing are tried, and which is taken: pure decisions, by what they mean for the length of a run."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.config import Execution
from trainables.hardware.executions import (
    LEAST_COMPILED_S,
    MARGIN,
    fastest,
    further_executions,
    training_s,
    tried_executions,
    untried_executions,
)
from trainables.measurements import TriedExecution

FIRST = Execution(precision="bfloat16", tf32=True)
OTHER = Execution(precision="float32", tf32=True)
COMPILED = Execution(precision="bfloat16", tf32=True, compile="default")


def tried(execution: Execution, images_per_s: float | None, start_s: float = 0.0) -> TriedExecution:
    return TriedExecution(execution=execution, images_per_s=images_per_s, start_s=start_s)


def test_a_cpu_has_one_way_whatever_is_asked() -> None:
    """So that what a seed gives hangs on no clock; it is how it was before there was a choice."""
    assert untried_executions("cpu", ["float32"], tf32=False) == (Execution(),)
    assert untried_executions("cpu", ["bfloat16"], tf32=False) == (Execution(precision="bfloat16"),)

    def never(_: Execution) -> TriedExecution:
        raise AssertionError("it was tried")

    assert tried_executions((Execution(),), 10**9, never, may_compile=True) == (Execution(), ())


def test_a_gpu_has_each_precision_in_each_order_the_preferred_ones_first() -> None:
    found = untried_executions("cuda", ["bfloat16", "float32"], tf32=True)
    assert [(each.precision, each.memory_format) for each in found] == list(
        product(("bfloat16", "float32"), ("channels_last", "contiguous"))
    )
    assert {(each.tf32, each.optimizer, each.compile) for each in found} == {(True, "fused", "none")}


def test_compiling_is_tried_where_the_training_is_long_enough_and_it_is_allowed() -> None:
    """At 1,000 images a second: the limit is so many thousands of images."""
    best, limit = tried(FIRST, 1_000.0), int(1_000 * LEAST_COMPILED_S)

    def compilations(num_images: int, *, may_compile: bool = True) -> list[str]:
        return [each.compile for each in further_executions(best, num_images, may_compile=may_compile)]

    assert compilations(limit) == ["none", "default", "cuda_graphs"]
    assert compilations(limit - 1_000) == ["none"]
    assert compilations(limit, may_compile=False) == ["none"]
    kept = {(each.precision, each.tf32) for each in further_executions(best, limit, may_compile=True)}
    assert kept == {("bfloat16", True)}
    assert further_executions(None, limit, may_compile=True) == ()


@pytest.mark.parametrize(
    ("num_images", "expected"),
    [(10_000, FIRST), (39_000, FIRST), (50_000, COMPILED), (10**8, COMPILED)],
    ids=["compiling takes as long as it all", "it saves less than the margin", "it pays", "a long training"],
)
def test_compiling_must_pay_its_own_seconds_within_a_training(num_images: int, expected: Execution) -> None:
    """1,000 images/s at once, or 2,000 after 18 s: equal at 36,000 images, 5 % less time from 40,000 on."""
    found = fastest([tried(FIRST, 1_000.0), tried(COMPILED, 2_000.0, start_s=18.0)], num_images)
    assert found is not None
    assert found.execution == expected


def test_what_is_done_without_trying_is_left_only_for_more_than_noise() -> None:
    barely, clearly = 1_000.0 / (1.0 - 0.9 * MARGIN), 1_000.0 / (1.0 - 1.1 * MARGIN)
    for speed, expected in ((barely, FIRST), (clearly, OTHER)):
        found = fastest([tried(FIRST, 1_000.0), tried(OTHER, speed)], 10**6)
        assert found is not None
        assert found.execution == expected


def test_what_failed_is_not_taken_and_where_all_failed_nothing_is() -> None:
    found = fastest([tried(FIRST, None), tried(OTHER, 1.0), tried(COMPILED, 0.5)], 10)
    assert found == tried(OTHER, 1.0)
    assert fastest([tried(FIRST, None), tried(OTHER, None)], 10) is None


SPEEDS = st.one_of(st.none(), st.floats(1.0, 1e6))


@given(st.lists(st.tuples(SPEEDS, st.floats(0.0, 100.0)), min_size=1, max_size=6), st.integers(1, 10**9))
def test_the_taken_one_costs_at_most_the_margin_more_than_any(
    attempts: list[tuple[float | None, float]], num_images: int
) -> None:
    all_tried = [tried(FIRST, speed, start_s) for speed, start_s in attempts]
    found = fastest(all_tried, num_images)
    times = [time for each in all_tried if (time := training_s(each, num_images)) is not None]
    if found is None:
        assert times == []
        return
    taken = training_s(found, num_images)
    assert taken is not None
    assert (1.0 - MARGIN) * taken <= min(times) * (1.0 + 1e-9)


def test_trying_goes_on_from_the_best_records_all_and_why_one_failed() -> None:
    """The second of the first two is the faster; compiled it is faster still, and its graphs cannot be had."""
    first = untried_executions("cuda", ["float32"], tf32=False)
    speeds = {("channels_last", "none"): 1_000.0, ("contiguous", "none"): 2_000.0, ("contiguous", "default"): 9_000.0}

    def measure(execution: Execution) -> TriedExecution:
        if execution.compile == "cuda_graphs":
            raise RuntimeError("no graph:\nat line 7")
        if execution.optimizer == "foreach":
            raise MemoryError
        return tried(execution, speeds[execution.memory_format, execution.compile], start_s=1.0)

    taken, all_tried = tried_executions(first, 10**6, measure, may_compile=True)
    assert (taken.memory_format, taken.compile) == ("contiguous", "default")
    assert [(each.execution.optimizer, each.execution.compile) for each in all_tried] == [
        ("fused", "none"), ("fused", "none"), ("foreach", "none"), ("fused", "default"), ("fused", "cuda_graphs"),
    ]  # fmt: skip
    assert [each.failure for each in all_tried if each.images_per_s is None] == [
        "MemoryError: no reason given",
        "RuntimeError: no graph:",
    ]


def test_where_everything_fails_it_is_done_as_without_trying() -> None:
    """Whoever then measures it sees the failure for what it is."""
    first = untried_executions("cuda", ["float32"], tf32=False)

    def measure(_: Execution) -> TriedExecution:
        raise RuntimeError("out of memory")

    taken, all_tried = tried_executions(first, 10**6, measure, may_compile=True)
    assert taken == first[0]
    assert len(all_tried) == len(first)
