"""The pooling kernels against torch's own: on the GPU that is there, and without one compiled for the CPU."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pooling
import pytest
import torch
from small import GPU
from torch import Tensor

SHAPES = [(3, 8, 2, 4), (2, 16, 6, 2), (5, 24, 8, 10)]
DTYPES = list(pooling.INFINITY)
Both = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(images, gradient of the pooled) -> (pooled, gradient of the images)"""

# What CUDA gives a kernel, for one thread after the other.
THREADS = """
struct Dim { unsigned x; };
static Dim blockIdx, threadIdx, blockDim = {64};
#define __device__
#define __global__
%s
#define EACH(call) for (blockIdx.x = 0; blockIdx.x * 64 < n; ++blockIdx.x) \
    for (threadIdx.x = 0; threadIdx.x < 64; ++threadIdx.x) call;
extern "C" void pool_all(Eight* x, Eight* y, unsigned short* which, long n, int width, int groups, int infinity) {
    EACH(pool(x, y, which, n, width, groups, infinity))
}
extern "C" void unpool_all(Eight* y, Eight* x, unsigned short* which, long n, int width, int groups) {
    EACH(unpool(y, x, which, n, width, groups))
}
"""


def images(shape: tuple[int, ...], dtype: torch.dtype, kind: str) -> Tensor:
    random = torch.Generator().manual_seed(sum(shape))
    x = torch.randn(shape, generator=random)
    if kind == "ties":
        x = (2 * x).round()
    if kind == "not finite":
        for value in (torch.inf, -torch.inf):
            x[torch.rand(shape, generator=random) < 0.1] = value
        x[:, :, ::2, ::2][torch.rand_like(x[:, :, ::2, ::2]) < 0.1] = torch.nan  # no two in one window
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def torchs(x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """In float32, in which both half precisions are exact."""
    x = x.float().requires_grad_()
    y = torch.nn.functional.max_pool2d(x, 2)
    y.backward(gradient.float())  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return y, x.grad


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory: pytest.TempPathFactory) -> Both:
    if not shutil.which("g++") and not os.environ.get("CI"):
        pytest.skip("no g++ here")
    folder: Path = tmp_path_factory.mktemp("kernels")
    (folder / "kernels.cc").write_text(THREADS % pooling.SOURCE)
    built = folder / "kernels.so"
    subprocess.run(["g++", "-O1", "-shared", "-fPIC", "-o", built, folder / "kernels.cc"], check=True)
    library = ctypes.CDLL(str(built))

    def both(x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        b, c, h, w = x.shape
        y, back = pooling._empty(x, b, c, h // 2, w // 2), pooling._empty(x, *x.shape)
        which = torch.empty(y.numel() // 8, dtype=torch.int16)
        numbers = (ctypes.c_long(which.numel()), w // 2, c // 8)
        library.pool_all(*(ctypes.c_void_p(t.data_ptr()) for t in (x, y, which)), *numbers, pooling.INFINITY[x.dtype])
        library.unpool_all(*(ctypes.c_void_p(t.data_ptr()) for t in (gradient, back, which)), *numbers)
        return y, back

    return both


def on_gpu(x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    x = x.cuda().requires_grad_()
    y = pooling.max_pool2(x)
    y.backward(gradient.cuda())  # type: ignore[no-untyped-call]
    assert x.grad is not None
    return y.detach().cpu(), x.grad.cpu()


@pytest.fixture(params=["compiled for the CPU", *(["GPU"] if GPU else [])])
def both(request: pytest.FixtureRequest) -> Both:
    return on_gpu if request.param == "GPU" else request.getfixturevalue("on_cpu")  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["random", "ties", "not finite"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_they_give_what_torch_gives(shape: tuple[int, ...], dtype: torch.dtype, kind: str, both: Both) -> None:
    x = images(shape, dtype, kind)
    gradient = images((*shape[:2], shape[2] // 2, shape[3] // 2), dtype, "random")
    for ours, theirs in zip(both(x, gradient), torchs(x, gradient), strict=True):
        torch.testing.assert_close(ours.float(), theirs, rtol=0, atol=0, equal_nan=True)


def test_what_they_cannot_take_goes_to_torch() -> None:
    device = "cuda" if GPU else "cpu"
    for x in (torch.randn(2, 8, 4, 4), torch.randn(2, 6, 4, 4).half(), torch.randn(2, 8, 5, 4).half()):
        given = x.to(device)
        assert torch.equal(pooling.max_pool2(given), torch.nn.functional.max_pool2d(given, 2))


def test_without_a_gpu_there_are_none_and_a_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    if GPU:
        assert set(pooling.kernels()) == {"pool", "unpool"}
        return
    pooling.kernels.cache_clear()
    assert pooling.kernels() == {}
    assert capsys.readouterr().err.startswith("train: max pooling is torch's own, as its kernels cannot be had: ")


@pytest.mark.skipif(not torch.version.cuda, reason="this torch has no NVRTC")
@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90", "sm_100"])
def test_they_compile_for_every_gpu_that_has_half_precision(architecture: str) -> None:
    assert pooling.compiled(architecture)[1:4] == b"ELF"


def test_a_compiler_error_is_told() -> None:
    with pytest.raises((RuntimeError, OSError), match=r"architecture|nvrtc"):
        pooling.compiled("sm_1")
