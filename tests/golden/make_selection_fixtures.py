#!/usr/bin/env python3
"""Writes the golden fixture of the batch selectors that the usual active-learning packages do not have: what other
implementations compute for their parts.

    python tests/golden/make_selection_fixtures.py     (needs torch, scikit-learn, apricot-select, numpy and safetensors)

- suggestive annotation: the greedy maximum of facility location under cosine similarity, and its gains (apricot)
- adaptive (Li and Guo): the variance of each image given all others under a Gaussian process, and the probabilities of a
  logistic regression with an L2 penalty on the weights (scikit-learn)
- learning loss: the ranking loss of pairs and its gradients (torch.nn.MarginRankingLoss)
Inputs are float32, results float64.
"""
import pathlib

import numpy as np
import torch
from apricot import FacilityLocationSelection
from safetensors.numpy import save_file
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity


def main():
    rng = np.random.default_rng(8)
    out = {}

    h = np.abs(rng.normal(size=(40, 6))).astype(np.float32)  # features after a ReLU: no similarity is negative
    similarity = cosine_similarity(h.astype(np.float64))
    cover = FacilityLocationSelection(8, metric="precomputed", optimizer="naive").fit(similarity)
    out |= {"cover/features": h, "cover/picks": cover.ranking.astype(np.int64), "cover/gains": cover.gains.astype(np.float64)}

    points, width2 = rng.normal(size=(12, 3)).astype(np.float32), 2.5
    x = points.astype(np.float64)
    variance = []
    for i in range(len(x)):
        process = GaussianProcessRegressor(RBF(np.sqrt(width2 / 2)), alpha=1e-6, optimizer=None)
        process.fit(np.delete(x, i, 0), np.zeros(len(x) - 1))
        variance.append(process.predict(x[i:i + 1], return_std=True)[1][0] ** 2)
    out |= {"process/points": points, "process/variance": np.array(variance)}

    labelled, label = rng.normal(size=(15, 4)), np.arange(15) % 3
    labelled = (labelled / np.linalg.norm(labelled, axis=1, keepdims=True)).astype(np.float32)
    regression = LogisticRegression(C=1, tol=1e-12, max_iter=10000).fit(labelled.astype(np.float64), label)
    asked = rng.normal(size=(10, 4)).astype(np.float32)
    out |= {"logistic/features": labelled, "logistic/labels": label.astype(np.int64), "logistic/asked": asked,
            "logistic/probabilities": regression.predict_proba(asked.astype(np.float64))}

    first, second = (torch.tensor(rng.normal(size=(9, 1)), dtype=torch.float32) for _ in range(2))
    order = torch.tensor(np.where(rng.random((9, 1)) < 0.5, -1, 1), dtype=torch.float32)
    a, b = (t.double().requires_grad_() for t in (first, second))
    loss = torch.nn.MarginRankingLoss(margin=0.75)(a, b, order.double())
    loss.backward()
    out |= {"ranking/first": first.numpy(), "ranking/second": second.numpy(), "ranking/order": order.numpy(),
            "ranking/loss": loss.detach().reshape(1).numpy(), "ranking/grad": torch.cat([a.grad, b.grad]).numpy()}

    path = pathlib.Path(__file__).resolve().parent / "selection.safetensors"
    save_file({k: np.ascontiguousarray(v) for k, v in out.items()}, path)
    print(f"{path.name}: {len(out)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
