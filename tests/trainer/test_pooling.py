"""The pooling kernels against torch's own: on the GPU that is there, and on the CPU, where the driver is a fake."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pooling
import pytest
import torch
from small import GPU
from torch import Tensor

SHAPES = [(3, 8, 2, 4), (2, 16, 6, 2), (5, 24, 8, 10)]
DTYPES = list(pooling.INFINITY)
Both = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(images, gradient of the pooled) -> (pooled, gradient of the images)"""

# Stands in for the driver: runs a kernel on the CPU, one thread after the other, for a caller that has a context.
DRIVER = """
#include <string.h>
struct Dim { unsigned x; };
static Dim blockIdx, threadIdx, blockDim;
#define __device__
#define __global__
%s
typedef void Kernel(void**);
static void run_pool(void** a) {
    pool(*(Eight**)a[0], *(Eight**)a[1], *(unsigned short**)a[2], *(long*)a[3], *(int*)a[4], *(int*)a[5], *(int*)a[6]);
}
static void run_unpool(void** a) {
    unpool(*(Eight**)a[0], *(Eight**)a[1], *(unsigned short**)a[2], *(long*)a[3], *(int*)a[4], *(int*)a[5]);
}
static int any;
static thread_local void* context;
extern "C" {
int cuCtxGetCurrent(void** found) { *found = &any; return 0; }
int cuCtxSetCurrent(void* made) { context = made; return made != &any; }
int cuModuleLoadData(void** module, const void*) { *module = &any; return 0; }
int cuModuleGetFunction(Kernel** found, void*, const char* name) {
    *found = strcmp(name, "pool") ? run_unpool : run_pool;
    return 0;
}
int cuLaunchKernel(
    Kernel* kernel, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned, unsigned, unsigned, void* stream,
    void** given
) {
    if (!context) return 201;
    blockDim.x = threads;
    for (blockIdx.x = 0; blockIdx.x < blocks; ++blockIdx.x)
        for (threadIdx.x = 0; threadIdx.x < threads; ++threadIdx.x) kernel(given);
    return 0;
}
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
def driver(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if not shutil.which("g++") and not os.environ.get("CI"):
        pytest.skip("no g++ here")
    folder = tmp_path_factory.mktemp("driver")
    (folder / "driver.cc").write_text(DRIVER % pooling.SOURCE)
    subprocess.run(["g++", "-O1", "-shared", "-fPIC", "-o", folder / "driver.so", folder / "driver.cc"], check=True)
    return ctypes.CDLL(str(folder / "driver.so"))


@pytest.fixture
def on_cpu(driver: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    monkeypatch.setattr(pooling, "compiled", lambda _: b"")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: SimpleNamespace(cuda_stream=0))
    pooling.kernels.cache_clear()
    yield through_autograd(pooling._MaxPool2.apply)
    pooling.kernels.cache_clear()


def through_autograd(pool: Callable[[Tensor], Tensor]) -> Both:
    """The gradient comes in a thread of its own, as on a GPU: such a thread may have no CUDA context yet."""

    def both(x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x = x.detach().requires_grad_()
        y = pool(x)
        with ThreadPoolExecutor(1) as another:
            another.submit(y.backward, gradient).result()
        assert x.grad is not None
        return y.detach().cpu(), x.grad.cpu()

    return both


def on_gpu(x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    return through_autograd(pooling.max_pool2)(x.cuda(), gradient.cuda())


@pytest.fixture(params=["a driver that stands in", *(["GPU"] if GPU else [])])
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
