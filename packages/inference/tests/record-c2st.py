"""
The accuracy that the benchmark's classifier (sbibm 1.1.0, of scikit-learn) has on two samples from standard input, JSON of
two lists of rows. c2st.test.ts has what it said of its own.
"""
import json
import sys
import numpy as np
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier

x, y = (np.array(rows, dtype=np.float32) for rows in json.load(sys.stdin))
mean, deviation = x.mean(0), x.std(0, ddof=1)
rows = (np.concatenate([x, y]) - mean) / deviation
labels = np.concatenate([np.zeros(len(x)), np.ones(len(y))])
units = 10 * x.shape[1]
classifier = MLPClassifier(activation="relu", hidden_layer_sizes=(units, units), max_iter=10000, solver="adam", random_state=1)
folds = KFold(n_splits=5, shuffle=True, random_state=1)
print(cross_val_score(classifier, rows, labels, cv=folds, scoring="accuracy").mean())
