"""A support vector machine beside this example's kernel ridge regression, on splits drawn in the same way.

Needs numpy, scipy and scikit-learn: python3 examples/hyperspectral/svm.py
"""
import gzip
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter
from sklearn.kernel_ridge import KernelRidge
from sklearn.svm import SVC

data = Path(__file__).parents[2] / "packages/data-indian-pines/data"
cube = np.load(gzip.open(data / "indian_pines_corrected.npy.gz")).astype(np.float32)
truth = np.load(gzip.open(data / "indian_pines_gt.npy.gz")).astype(int)
labels, (height, width) = truth.ravel(), truth.shape


def features(side):
    means = uniform_filter(cube, (side, side, 1), mode="nearest").reshape(-1, 200)
    return (means - means.mean(0)) / means.std(0)


def random_split(rng):
    train = np.zeros(labels.size, bool)
    for c in range(1, 17):
        pixels = rng.permutation(np.flatnonzero(labels == c))
        train[pixels[: max(3, round(0.1 * len(pixels)))]] = True
    return train


def block_split(rng):
    chosen = np.isin(np.arange(169), rng.permutation(169)[:42])
    row, column = np.indices((height, width)) // 12
    return (chosen[13 * row + column] & (truth > 0)).ravel()


for side in (1, 9):
    x = features(side)
    for split in (random_split, block_split):
        accuracies = []
        for seed in range(3):
            train = split(np.random.default_rng(seed))
            test = (labels > 0) & ~train
            svm = SVC(C=100, gamma=1 / 800).fit(x[train], labels[train]).predict(x[test])
            ridge = KernelRidge(alpha=1e-3, kernel="rbf", gamma=1 / 800)
            scores = ridge.fit(x[train], np.eye(17)[labels[train]]).predict(x[test])
            accuracies.append([np.mean(p == labels[test]) for p in (svm, scores.argmax(1))])
        print(f"{side} × {side}, {split.__name__}: SVM %.3f, kernel ridge %.3f" % tuple(np.mean(accuracies, 0)), flush=True)
