"""A click program that logs to MLflow's file store: parameters, and a metric an epoch."""

import click
import mlflow


@click.command()
@click.option("--learning-rate", type=float, default=0.1)
@click.option("--epochs", type=int, default=3)
@click.option("--nesterov/--no-nesterov", default=True)
def main(learning_rate: float, epochs: int, nesterov: bool) -> None:
    mlflow.set_tracking_uri("file:./mlruns")
    mlflow.set_experiment("descent")
    with mlflow.start_run():
        mlflow.log_params({"learning_rate": learning_rate, "nesterov": nesterov})
        x = 4.0
        for epoch in range(epochs):
            x -= learning_rate * 2 * x * (1.5 if nesterov else 1)
            mlflow.log_metric("val/loss", x * x, step=epoch)


if __name__ == "__main__":
    main()
