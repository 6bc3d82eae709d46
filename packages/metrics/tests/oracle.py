"""What scikit-image, scikit-learn and scipy say of images, labels and draws that oracle.test.ts makes as well."""
import json
import numpy as np
from scipy.spatial.distance import cdist, pdist
from scipy.stats import energy_distance, ks_2samp, spearmanr
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio, structural_similarity
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, confusion_matrix, jaccard_score


def image(*shape):
    i = np.arange(np.prod(shape))
    truth = (0.5 + 0.3 * np.sin(0.37 * i) + 0.2 * np.cos(0.011 * i)).reshape(shape)
    return truth, truth + 0.1 * np.sin(1.7 * i).reshape(shape)


flat, volume = image(19, 23), image(9, 8, 11)
paper = dict(data_range=2.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
i = np.arange(500)
labels, predicted = i * i % 5, (i * i + (i % 7 == 0) * (i % 3)) % 5
ties = np.floor(10 * np.sin(0.7 * i)), np.sin(0.7 * i) + 0.5 * np.cos(1.3 * i)

x = np.stack([np.sin(1.3 * np.arange(60)), np.cos(0.7 * np.arange(60) ** 2)], 1)
y = np.stack([0.2 + np.sin(1.1 * np.arange(45)), np.cos(0.3 * np.arange(45) ** 2)], 1)
bandwidth = np.median(pdist(np.concatenate([x, y])))


def kernel(a, b):
    return np.exp(-cdist(a, b, "sqeuclidean") / (2 * bandwidth**2))


def unequal(a):
    k = kernel(a, a)
    return (k.sum() - k.trace()) / (len(a) * (len(a) - 1))


print(json.dumps({
    "psnr": peak_signal_noise_ratio(*flat, data_range=2.0),
    "nrmse": normalized_root_mse(*flat),
    "ssim": structural_similarity(*flat, data_range=2.0),
    "ssimGaussian": structural_similarity(*flat, **paper),
    "ssimVolume": structural_similarity(*volume, data_range=1.0),
    "confusion": confusion_matrix(labels, predicted, labels=range(5)).tolist(),
    "averageAccuracy": balanced_accuracy_score(labels, predicted),
    "kappa": cohen_kappa_score(labels, predicted),
    "iou": jaccard_score(labels, predicted, average="macro"),
    "spearman": spearmanr(*ties).statistic,
    "ks": ks_2samp(x[:, 0], y[:, 0], method="exact").statistic,
    "ksExact": ks_2samp(x[:, 0], y[:, 0], method="exact").pvalue,
    "energy": energy_distance(x[:, 1], y[:, 1]),
    "bandwidth": bandwidth,
    "mmd": unequal(x) + unequal(y) - 2 * kernel(x, y).mean(),
}))
