"""Gradient boosting on scikit-learn's bundled breast cancer data: a trial in forty lines.

The seed draws the split and the subsamples; the split's second part ranks the trials, the third is reported apart.
"""

import inspect
import json
import os
import sys
import time

started = time.perf_counter()

import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

seed = int(os.environ["SEED"])
with open(os.environ["HYPERPARAMETERS_FILE"]) as opened:
    hyperparameters = json.load(opened)
unknown = hyperparameters.keys() - inspect.signature(GradientBoostingClassifier).parameters.keys()
if unknown:
    print(f"train: unknown hyperparameters: {', '.join(sorted(unknown))}", file=sys.stderr)
    sys.exit(64)

images, labels = load_breast_cancer(return_X_y=True)  # (569, 30) floats, (569,) of 0 and 1
train_x, rest_x, train_y, rest_y = train_test_split(images, labels, test_size=0.4, random_state=seed, stratify=labels)
val_x, test_x, val_y, test_y = train_test_split(rest_x, rest_y, test_size=0.5, random_state=seed, stratify=rest_y)
model = GradientBoostingClassifier(random_state=seed, **hyperparameters)
ready = time.perf_counter()
model.fit(train_x, train_y)

with open(os.environ["HISTORY_FILE"], "w") as history:
    for epoch, probabilities in enumerate(model.staged_predict_proba(val_x), 1):
        history.write(json.dumps({"epoch": epoch, "val_log_loss": log_loss(val_y, probabilities)}) + "\n")
metrics = {
    "val_log_loss": log_loss(val_y, model.predict_proba(val_x)),
    "val_accuracy": accuracy_score(val_y, model.predict(val_x)),
    "test_log_loss": log_loss(test_y, model.predict_proba(test_x)),
    "test_accuracy": accuracy_score(test_y, model.predict(test_x)),
    "environment": {"sklearn": sklearn.__version__},
    "durations": {"setup_s": ready - started, "train_s": time.perf_counter() - ready},
}
with open(os.environ["METRICS_FILE"], "w") as opened:
    json.dump(metrics, opened)
