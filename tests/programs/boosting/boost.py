"""A stand-in for XGBoost's command line: a file of settings, name=value words over it, `[10] test-rmse:0.12`."""

import sys
from pathlib import Path

settings = dict(line.replace(" ", "").split("=") for line in Path(sys.argv[1]).read_text().splitlines() if "=" in line)
settings.update(word.split("=", 1) for word in sys.argv[2:])
error = 1.0
for number in range(int(settings["num_round"])):
    error *= 1 - float(settings["eta"])
    print(f"[{number}]\ttest-rmse:{error + 0.01:.5f}\ttrain-rmse:{error:.5f}")
