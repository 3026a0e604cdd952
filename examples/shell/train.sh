#!/bin/sh
# Softmax regression on Fisher's iris data in sh and awk: a trial without Python, and without a package.
#
# hyperparameters.yaml has one `"name": value` a line, so sed reads it. The seed shuffles the flowers; 90 train, 30 rank
# the trial, and 30 are reported apart.
set -eu

hyperparameter() {
  sed -n "s/^ *\"$1\": \(.*[^,]\),*\$/\1/p" "$HYPERPARAMETERS_FILE"
}

learning_rate=$(hyperparameter learning_rate)
epochs=$(hyperparameter epochs)
weight_decay=$(hyperparameter weight_decay)
if [ -z "$learning_rate" ] || [ -z "$epochs" ] || [ -z "$weight_decay" ]; then
  echo "train.sh: learning_rate, epochs and weight_decay are needed" >&2
  exit 64
fi

awk -F, -v seed="$SEED" -v rate="$learning_rate" -v epochs="$epochs" -v decay="$weight_decay" \
  -v history="$HISTORY_FILE" -v metrics="$METRICS_FILE" '
  # Class probabilities of flower i into p[0..2]: softmax of three linear functions of four lengths in cm and a bias.
  function predict(i,   c, f, top, sum) {
    for (c = 0; c < 3; c++) {
      p[c] = w[c, 0]
      for (f = 1; f <= 4; f++) p[c] += w[c, f] * x[i, f]
      if (c == 0 || p[c] > top) top = p[c]
    }
    for (c = 0; c < 3; c++) sum += p[c] = exp(p[c] - top)
    for (c = 0; c < 3; c++) p[c] /= sum
  }
  # Mean log loss over the shuffled flowers first..last-1; `right` becomes the share of those that are named rightly.
  function evaluate(first, last,   i, best, loss) {
    right = 0
    for (i = first; i < last; i++) {
      predict(order[i])
      best = p[0] >= p[1] ? (p[0] >= p[2] ? 0 : 2) : (p[1] >= p[2] ? 1 : 2)
      right += (best == y[order[i]]) / (last - first)
      loss -= log(p[y[order[i]]] + 1e-12) / (last - first)
    }
    return loss
  }
  NR > 1 { n++; for (f = 1; f <= 4; f++) x[n - 1, f] = $f; y[n - 1] = $5 }
  END {
    srand(seed + 1)
    for (i = 0; i < n; i++) order[i] = i
    for (i = n - 1; i > 0; i--) { j = int(rand() * (i + 1)); t = order[i]; order[i] = order[j]; order[j] = t }
    for (epoch = 1; epoch <= epochs; epoch++) {
      for (k = 0; k < 90; k++) {
        i = order[k]
        predict(i)
        for (c = 0; c < 3; c++) {
          error = p[c] - (c == y[i])
          w[c, 0] -= rate * error
          for (f = 1; f <= 4; f++) w[c, f] -= rate * (error * x[i, f] + decay * w[c, f])
        }
      }
      loss = evaluate(90, 120)
      printf "{\"epoch\": %d, \"val_log_loss\": %.9g, \"val_accuracy\": %.9g}\n", epoch, loss, right > history
    }
    printf "{\"val_log_loss\": %.9g, \"val_accuracy\": %.9g, ", loss, right > metrics
    loss = evaluate(120, 150)
    printf "\"test_log_loss\": %.9g, \"test_accuracy\": %.9g}\n", loss, right > metrics
  }' iris.csv
