"""A Hydra app: conf/config.yaml, overridden word by word, and a log that Hydra formats."""

import logging

import hydra
from omegaconf import DictConfig

log = logging.getLogger(__name__)


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    x, velocity = 4.0, 0.0
    for epoch in range(1, config.epochs + 1):
        velocity = config.optimizer.momentum * velocity + 2 * x
        x -= config.optimizer.lr * velocity
        log.info("epoch=%d val_loss=%.6f activation=%s", epoch, x * x, config.model.activation)


if __name__ == "__main__":
    main()
