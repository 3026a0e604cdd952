"""A LightningCLI program: options nested by jsonargparse, metrics wherever Trainer's logger puts them."""

import torch
from pytorch_lightning import LightningDataModule, LightningModule
from pytorch_lightning.cli import LightningCLI, OptimizerCallable
from torch.utils.data import DataLoader, TensorDataset


class Points(LightningDataModule):
    """Two clouds of points."""

    def __init__(self, batch_size: int = 32, examples: int = 512) -> None:
        super().__init__()
        self.batch_size = batch_size
        labels = torch.arange(examples) % 2
        points = torch.randn(examples, 4, generator=torch.Generator().manual_seed(0)) + labels[:, None]
        self.points = TensorDataset(points, labels)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.points, self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.points, self.batch_size)


class Classifier(LightningModule):
    def __init__(self, width: int = 8, optimizer: OptimizerCallable = torch.optim.SGD) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Linear(width, 2))

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        loss = torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
        scores = self.layers(batch[0])
        self.log("val_loss", torch.nn.functional.cross_entropy(scores, batch[1]))
        self.log("val_accuracy", (scores.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.optimizer(self.parameters())


if __name__ == "__main__":
    LightningCLI(Classifier, Points)
