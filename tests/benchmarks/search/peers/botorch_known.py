"""BoTorch, told the cost: a GP for the accuracy, and for the cost its model of what is known without error."""

# Shapes: N points of the table, K of its columns.

import numpy as np
import torch
from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.deterministic import GenericDeterministicModel
from botorch.models.model import ModelList
from botorch.optim.optimize import optimize_acqf_discrete
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from botorch.utils.multi_objective.pareto import is_non_dominated
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from tests.benchmarks.search.contestants import Values
from tests.benchmarks.search.tables import COST, Table, minimised

NUM_RANDOM = 10
MAX_BATCH = 2_048


def run(table: Table, seed: int, num_evaluations: int) -> Values:
    """Ten points at random, then the best of all that are left, each weighed by the analytic EHVI.

    EHVI takes a variance of 0 as 1e-9, so the costs, all known, are given as they lie between the least and the most.
    """
    torch.manual_seed(seed)
    every_NK, values_N2 = encoded(table), torch.from_numpy(-minimised(table.values_N2))
    costs_N = values_N2[:, COST].clone()
    values_N2[:, COST] = (costs_N - costs_N.min()) / (costs_N.max() - costs_N.min())
    asked = np.random.default_rng(seed).choice(len(every_NK), NUM_RANDOM, replace=False).tolist()
    row_of = {tuple(each): row for row, each in enumerate(every_NK.tolist())}

    def cost_of(points: Tensor) -> Tensor:
        rows = [row_of[tuple(each)] for each in points.reshape(-1, points.shape[-1]).tolist()]
        return values_N2[rows, COST].reshape(*points.shape[:-1], 1)

    while len(asked) < num_evaluations:
        told_N2 = values_N2[asked]
        model = SingleTaskGP(every_NK[asked], told_N2[:, :1])
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        reference = infer_reference_point(told_N2[is_non_dominated(told_N2)])
        acquisition = ExpectedHypervolumeImprovement(
            ModelList(model, GenericDeterministicModel(cost_of)),
            reference.tolist(),
            FastNondominatedPartitioning(reference, told_N2),  # type: ignore[arg-type] # as in its tutorial
        )
        left = np.setdiff1d(np.arange(len(every_NK)), asked)
        best, _ = optimize_acqf_discrete(acquisition, 1, every_NK[left], max_batch_size=MAX_BATCH)
        asked.append(row_of[tuple(best[0].tolist())])
    return [(float(accuracy), float(cost)) for accuracy, cost in table.values_N2[asked]]


def encoded(table: Table) -> Tensor:
    """Every point, (points, columns): choices one-hot, places on a grid between 0 and 1."""
    places = np.indices([len(each.choices) for each in table.parameters]).reshape(len(table.parameters), -1)
    columns = [
        place[:, np.newaxis] / (len(each.choices) - 1) if each.is_ordered else np.eye(len(each.choices))[place]
        for each, place in zip(table.parameters, places, strict=True)
    ]
    return torch.from_numpy(np.concatenate(columns, axis=1))
