"""helm-sweep as one program: `helm-sweep VERB …`, or `python -m helm_sweep VERB …`."""

__version__ = "0.1.0"
