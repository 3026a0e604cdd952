"""What a trial trains on: which device, in which precision, and what its result is to say of both."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Step = Callable[..., None]


def device() -> torch.device:
    """A GPU if there is one."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def precision(wanted: str, on: torch.device) -> torch.dtype:
    """What to compute in; `auto`: half where it is native, as elsewhere it is two to ten times slower than float32."""
    import torch

    if on.type == "cuda":
        native = "float16" if torch.cuda.get_device_capability() >= (7, 0) else "float32"
    else:
        native = "bfloat16" if _fact("/proc/cpuinfo", r"\b(avx512_bf16|amx_bf16)\b") else "float32"
    half: torch.dtype = getattr(torch, native if wanted == "auto" else wanted)
    return half


def max_pool2(x: Tensor) -> Tensor:
    """F.max_pool2d(x, 2), on a GPU by the faster kernels of pooling.py: the same bits, with them or without."""
    import torch.nn.functional as F

    if not x.is_cuda:
        return F.max_pool2d(x, 2)
    import pooling

    return pooling.max_pool2(x)


def choose_kernels(*, deterministic: bool) -> None:
    """From now on the fastest kernels, or only those that give the same bits every time."""
    import torch

    torch._C._set_deterministic_algorithms(deterministic)  # the public function imports torch._dynamo
    torch.backends.cudnn.benchmark = not deterministic


def captured(step: Step, *inputs: Tensor) -> Step:
    """`step` as one CUDA graph: one launch for some two hundred. It runs a few times here, on `inputs` as they are.

    Where it cannot be captured, it is `step` itself, more slowly, and stderr says so.
    """
    import torch

    try:
        side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):  # here cuDNN chooses its kernels, which it cannot during a capture
                step(*inputs)
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(graph):
            step(*inputs)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        print(f"train: no CUDA graph, so a launch for every kernel: {reason}", file=sys.stderr, flush=True)
        return step

    def replay(*given: Tensor) -> None:
        torch._foreach_copy_(inputs, given)
        graph.replay()

    return replay


def environment(on: torch.device, half: torch.dtype) -> dict[str, str | int]:
    """Where a trial trained, for its result."""
    import torch

    facts = {"device": on.type, "precision": str(half).removeprefix("torch."), "torch": torch.__version__}
    facts |= {"python": sys.version.split()[0], "cpu": _fact("/proc/cpuinfo", r"model name\s*: (.*)")}
    if on.type == "cuda":
        facts |= {"gpu": torch.cuda.get_device_name(), "cuda": str(torch.version.cuda)}
        facts |= {"driver": _fact("/proc/driver/nvidia/version", r"Kernel Module.*?  (\d[\d.]+)")}
    return {**facts, "threads": torch.get_num_threads()}


def _fact(path: str, pattern: str) -> str:
    """What the pattern's group matches in a file of the kernel's; empty if there is no such thing."""
    match = re.search(pattern, Path(path).read_text()) if Path(path).exists() else None
    return match[1] if match else ""
