"""A stand-in for programs with click's options and Keras's progress lines: a bar that is drawn anew."""

import click


@click.command()
@click.option("--learning-rate", default=0.01, help="of the descent", show_default=True)
@click.option("--nesterov/--no-nesterov", default=False, show_default=True)
@click.option("--units", multiple=True, type=int, default=(8,), show_default=True)
def main(learning_rate: float, nesterov: bool, units: tuple[int, ...]) -> None:
    x = float(sum(units))
    for epoch in range(3):
        print(f"Epoch {epoch + 1}/3")
        x -= learning_rate * (2 + nesterov) * x
        for step in (1, 2):
            bar = f"\r{step}/2 [{'=' * step}] - {step}s 5ms/step - loss: {x * x + 2 - step:.4f} - accuracy: 0.5"
            print(bar, end="", flush=True)
        print(f" - val_loss: {x * x + 0.1:.4f} - val_accuracy: {1 / (1 + x * x):.4f}")


main()
