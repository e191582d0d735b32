"""Writes acquisition.safetensors: what other implementations compute on fixed random probabilities and features.

    pip install numpy scipy torch safetensors scikit-activeml modAL-python structlog psutil h5py
    pip install --no-deps baal batchbald_redux toma torchmetrics lightning-utilities
    python make_acquisition_fixtures.py

Who speaks for what:
    baal                BALD, entropy, margin, certainty; the distributions that stochastic batches draw from
    modAL               vote entropy
    batchbald_redux     BatchBALD by the authors: indices and values, exact joint entropies
    scikit-activeml     mean KL, core-set, TypiClust and ProbCover selections, the D^2 of BADGE
    scikit-learn        Lloyd's iterations from given centres, cosine similarities
    torch (autograd)    gradient embeddings of BADGE, the first-order aleatoric variance of Kendall and Gal
    scipy               distances to the contour (reductions)
No library has these with a choice that can be reproduced, so they are plain numpy written from the paper: mean_std,
the Gumbel form of stochastic batches, the race of k-means++, the purity radius, top % and patch reductions.
Inputs are float32, results float64 (indices int64).
"""
import os

import numpy as np
import scipy.ndimage
import scipy.stats
import torch
from safetensors.numpy import save_file
from sklearn.cluster import KMeans
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances

import baal.active.heuristics as baal
import baal.active.heuristics.stochastics as stochastics
import modAL.disagreement as modal
import skactiveml.pool._core_set as core_set
import skactiveml.pool._prob_cover as prob_cover
import skactiveml.pool._typi_clust as typi_clust
from batchbald_redux.batchbald import get_batchbald_batch
from skactiveml.pool._badge import _d_2
from skactiveml.pool._query_by_committee import average_kl_divergence

rng = np.random.default_rng(20240607)
out = {}


def f32(x):
    return np.ascontiguousarray(x, dtype=np.float32)


def give(name, x):
    """Stores a float32 input and returns the float64 numbers that it holds."""
    out[name] = f32(x)
    return out[name].astype(np.float64)


def first_argmax(values, random_state=None, axis=None):
    """scikit-activeml breaks ties at random; here the first of equals wins, as in Querent."""
    return np.array([np.nanargmax(values)])


for module in (core_set, prob_cover, typi_clust):
    module.rand_argmax = first_argmax

# --- one image at a time -------------------------------------------------------------------------------------------
N, T, C, D = 24, 8, 3, 6
logit = give("logit", rng.normal(size=(N, T, C)) * 1.5 + rng.normal(size=(N, 1, C)) * 1.5)
p32 = torch.softmax(torch.tensor(logit), -1).numpy()
p = give("p", p32)
log_variance = give("log_variance", rng.normal(size=(N, T, C)))

by_class = np.moveaxis(p, 1, 2)  # baal wants [N,C,T]
out["bald"] = np.asarray(baal.BALD().compute_score(by_class), np.float64)
out["entropy"] = np.asarray(baal.Entropy().compute_score(by_class), np.float64)
out["margin"] = -np.asarray(baal.Margin().compute_score(by_class), np.float64)
out["least_confidence"] = 1 - np.asarray(baal.Certainty().compute_score(by_class), np.float64)
out["mean_kl"] = average_kl_divergence(np.moveaxis(p, 1, 0).copy(), eps=1e-12)


class Committee:  # what modAL asks of a committee, for one vote matrix
    classes_ = np.arange(C)

    def __init__(self, votes):
        self.votes = votes

    def __len__(self):
        return self.votes.shape[1]

    def vote(self, X, **kwargs):
        return self.votes


out["vote_entropy"] = np.asarray(modal.vote_entropy(Committee(p.argmax(2)), p.mean(1)), np.float64)
out["mean_std"] = p.std(axis=1).mean(axis=1)
out["variation_ratios_mode"] = 1 - np.array([np.bincount(v).max() for v in p.argmax(2)]) / T

jacobian = np.array([[torch.autograd.functional.jacobian(lambda f: torch.softmax(f, 0), torch.tensor(f)).numpy()
                      for f in image] for image in np.log(p)])  # softmax(log p) = p
out["kendall_gal_aleatoric"] = np.einsum("ntck,ntk->nc", jacobian**2, np.exp(log_variance)).mean(1) / T
out["kendall_gal_epistemic"] = p.var(axis=1).mean(axis=1)

# --- stochastic batches --------------------------------------------------------------------------------------------
for form, heuristic in (("power", stochastics.PowerSampling), ("softmax", stochastics.GibbsSampling),
                        ("softrank", stochastics.RankBasedSampling)):
    out[form + "_distribution"] = heuristic(baal.BALD(), 1, temperature=0.5)._make_distribution(out["bald"].copy())

# --- BatchBALD -----------------------------------------------------------------------------------------------------
batch = get_batchbald_batch(torch.log(torch.tensor(p)), 7, 100000, dtype=torch.double)
out["batchbald_index"] = np.array(batch.indices, np.int64)
out["batchbald_value"] = np.array(batch.scores, np.float64)

# --- features ------------------------------------------------------------------------------------------------------
features = give("features", np.abs(rng.normal(size=(N, D))))
labelled = give("labelled", np.abs(rng.normal(size=(5, D))))
everything = np.vstack([features, labelled])
y = np.r_[np.full(N, np.nan), np.zeros(5)]

index, utility = core_set.k_greedy_center(everything, y, batch_size=6)
out["coreset_index"] = np.asarray(index, np.int64)
out["coreset_distance"] = np.array([utility[i][k] for i, k in enumerate(index)])
out["density"] = cosine_similarity(features).mean(axis=1)

gradients = []  # of the cross-entropy with the model's own guess, for the weights of a linear layer that gives log p
for h, q in zip(features, p.mean(1)):
    weight = torch.zeros(C, D, dtype=torch.double, requires_grad=True)
    scores = weight @ torch.tensor(h) + torch.log(torch.tensor(q))
    torch.nn.functional.cross_entropy(scores[None], torch.tensor([int(q.argmax())])).backward()
    gradients.append(weight.grad.numpy().ravel())
gradients = np.array(gradients)
out["badge_distance"] = euclidean_distances(gradients) ** 2
draws = out["badge_draws"] = rng.random((6, N))
picks = [int(_d_2(gradients, []).argmax())]
nearest = [np.linalg.norm(gradients[picks[0]]) ** 2]
d2 = np.full(N, np.inf)
for step in range(1, 6):
    d2 = _d_2(gradients, [picks[-1]], d2)
    d2[picks] = 0
    with np.errstate(divide="ignore"):
        picks.append(int(np.argmax(np.where(d2 > 0, np.log1p(-draws[step]) / d2, -np.inf))))
    nearest.append(d2[picks[-1]])
out["badge_index"] = np.array(picks, np.int64)
out["badge_nearest"] = np.array(nearest)

# --- clusters: 120 candidates and 4 labelled around 10 centres -----------------------------------------------------
M, L, K = 120, 4, 6
around = np.abs(rng.normal(size=(L + K, D))) * 2
member = rng.permutation(np.arange(M + L) % (L + K))
blobs = give("blobs", np.abs(around[member] + 0.2 * rng.normal(size=(M + L, D))))
unit = blobs / np.linalg.norm(blobs, axis=1, keepdims=True)
start = np.array([np.flatnonzero(member[:M] == k)[0] for k in range(L + K)])
out["kmeans_start"] = start.astype(np.int64)
known = np.r_[np.full(M, np.nan), np.zeros(L)]
clusters = {}


class GivenStart(KMeans):
    """K-means from our centres; remembers its answer."""

    def __init__(self, n_clusters=8):
        super().__init__(n_clusters=n_clusters, init=unit[start[:n_clusters]], n_init=1, algorithm="lloyd", tol=0)

    def fit_predict(self, X, y=None):
        clusters[self.n_clusters] = super().fit_predict(X)
        return clusters[self.n_clusters]


typi = typi_clust.TypiClust(k=20, cluster_algo=GivenStart, random_state=0)
index, utility = typi.query(unit, known, batch_size=K, return_utilities=True)
out["kmeans_cluster"] = clusters[L + K].astype(np.int64)
assert np.bincount(clusters[L + K]).min() > 5
out["typiclust_index"] = np.asarray(index, np.int64)
out["typiclust_value"] = np.array([utility[i][k] for i, k in enumerate(index)])

GivenStart(3).fit_predict(unit)
distance = euclidean_distances(unit)
other = np.where(clusters[3][:, None] != clusters[3], distance, np.inf)
# The largest radius, of all distances, at which 95 % of the open balls hold one cluster only.
radii = np.unique(distance[distance > 0])
pure = [r for r in radii if (other >= r).all(axis=1).mean() >= 0.95]
out["probcover_cluster"] = clusters[3].astype(np.int64)
out["probcover_radius"] = np.array([max(pure)])
out["probcover_given_radius"] = np.array([0.3])
cover = prob_cover.ProbCover(deltas=[0.3], random_state=0)
index, utility = cover.query(unit, known, batch_size=K, return_utilities=True)
out["probcover_index"] = np.asarray(index, np.int64)
out["probcover_count"] = np.array([utility[i][k] for i, k in enumerate(index)])

# --- from a map of pixels to a score -------------------------------------------------------------------------------
H, W = 19, 23
pixels = give("map", scipy.ndimage.gaussian_filter(rng.random((H, W)), 1))
foreground = give("foreground", np.clip(scipy.ndimage.gaussian_filter(rng.normal(size=(H, W)), 3) * 4 + 0.4, 0, 1))
inside = foreground >= 0.5
out["reduce_mean"] = np.array([pixels.mean()])
out["reduce_top_percent"] = np.array([np.sort(pixels.ravel())[::-1][: round(0.05 * H * W)].mean()])
windows = np.lib.stride_tricks.sliding_window_view(pixels, (8, 8))
out["reduce_max_patch"] = np.array([windows.mean(axis=(2, 3)).max()])
# City-block distance to the nearest pixel on the other side; the band holds those at most 2 away.
to_other = np.where(inside, scipy.ndimage.distance_transform_cdt(inside, "taxicab"),
                    scipy.ndimage.distance_transform_cdt(~inside, "taxicab"))
out["reduce_boundary_excluded"] = np.array([pixels[to_other > 2].mean()])
out["reduce_foreground"] = np.array([pixels.sum() / foreground.sum()])

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "acquisition.safetensors")
save_file({k: np.ascontiguousarray(v) for k, v in out.items()}, path)
print(path, os.path.getsize(path), "bytes", len(out), "tensors")
