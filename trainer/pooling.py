"""Max pooling of 2 x 2, in half precision on a GPU, by two small kernels of our own.

torch's own kernels took 22 % of a training step on an H200 (torch 2.11): they write an index of 64 bits for every
value, fill the gradient with zeros and then add to it. These write two bits for a value, and each gradient once. The
results are the same, bit for bit, but for which of several NaN gets a gradient. What they cannot take goes to torch: a
CPU, float32, an odd size, a channel count that 8 does not divide, or a GPU for which they cannot be compiled.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

# A thread has 8 channels of one window, 16 bytes each way. Half-precision numbers are compared as integers: the bits of
# positive ones are in order, those of negative ones in reverse. A NaN is above all, so that it is not lost.
SOURCE = """
struct alignas(16) Eight { unsigned short of[8]; };

struct Place {  // of a thread's window: its number, and the distance to the next pixel on the right and below
    long out, in, right, down;
    __device__ Place(int width, int groups) {
        out = blockIdx.x * (long)blockDim.x + threadIdx.x;
        long window = out / groups, row = window / width;
        right = groups, down = 2L * width * groups;
        in = 2 * row * down + 2 * (window % width) * right + out % groups;
    }
};

__device__ int order(unsigned short bits, int infinity) {
    if ((bits & 0x7fff) > infinity) return 0x7fff;
    return bits & 0x8000 ? -(bits & 0x7fff) : bits;
}

extern "C" __global__ void pool(
    const Eight* x, Eight* y, unsigned short* which, long count, int width, int groups, int infinity
) {
    Place at(width, groups);
    if (at.out >= count) return;
    Eight given[4] = {x[at.in], x[at.in + at.right], x[at.in + at.down], x[at.in + at.down + at.right]};
    Eight best = given[0];
    unsigned chosen = 0;
    for (int c = 0; c < 8; ++c) {
        int most = order(best.of[c], infinity);
        for (unsigned pixel = 1; pixel < 4; ++pixel) {
            int here = order(given[pixel].of[c], infinity);
            if (here <= most) continue;
            most = here, best.of[c] = given[pixel].of[c];
            chosen = chosen & ~(3u << 2 * c) | pixel << 2 * c;
        }
    }
    y[at.out] = best, which[at.out] = chosen;
}

extern "C" __global__ void unpool(
    const Eight* y, Eight* x, const unsigned short* which, long count, int width, int groups
) {
    Place at(width, groups);
    if (at.out >= count) return;
    Eight given = y[at.out], part;
    unsigned chosen = which[at.out];
    for (unsigned pixel = 0; pixel < 4; ++pixel) {
        for (int c = 0; c < 8; ++c) part.of[c] = (chosen >> 2 * c & 3) == pixel ? given.of[c] : 0;
        x[at.in + (pixel & 1) * at.right + (pixel >> 1) * at.down] = part;
    }
}
"""
INFINITY = {torch.float16: 0x7C00, torch.bfloat16: 0x7F80}
THREADS = 256
Launch = Callable[..., None]


def max_pool2(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, H / 2, W / 2): what F.max_pool2d(x, 2) gives, and its gradient."""
    if x.is_cuda and x.dtype in INFINITY and not (x.shape[1] % 8 or x.shape[2] % 2 or x.shape[3] % 2) and kernels():
        pooled: Tensor = _MaxPool2.apply(x)
        return pooled
    return F.max_pool2d(x, 2)


class _MaxPool2(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        b, c, h, w = x.shape
        y = _empty(x, b, c, h // 2, w // 2)
        which = torch.empty(y.numel() // 8, dtype=torch.int16, device=x.device)
        kernels()["pool"](x, y, which, which.numel(), w // 2, c // 8, INFINITY[x.dtype])
        ctx.save_for_backward(which)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (which,) = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        b, c, h, w = gradient.shape
        x = _empty(gradient, b, c, 2 * h, 2 * w)
        kernels()["unpool"](gradient, x, which, which.numel(), w, c // 8)
        return x


def _empty(like: Tensor, *shape: int) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


@functools.cache
def kernels() -> dict[str, Launch]:
    """Both kernels for the GPU that is there; none, and a line on stderr, where they cannot be had."""
    try:
        cubin = compiled("sm_{}{}".format(*torch.cuda.get_device_capability()))
        driver, module, context = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p(), ctypes.c_void_p()
        _check(driver.cuCtxGetCurrent(ctypes.byref(context)))
        _check(driver.cuModuleLoadData(ctypes.byref(module), cubin))
        return {name: _launcher(driver, context, module, name) for name in ("pool", "unpool")}
    except (OSError, RuntimeError) as error:
        print(f"train: max pooling is torch's own, as its kernels cannot be had: {error}", file=sys.stderr, flush=True)
        return {}


def compiled(architecture: str) -> bytes:
    """Machine code for an architecture like sm_90, by the NVRTC that torch brings. Raises OSError, RuntimeError."""
    nvrtc = ctypes.CDLL(f"libnvrtc.so.{str(torch.version.cuda).partition('.')[0]}")
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    options = (ctypes.c_char_p * 1)(f"--gpu-architecture={architecture}".encode())
    _check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), SOURCE.encode(), b"pooling.cu", 0, None, None))
    if nvrtc.nvrtcCompileProgram(program, len(options), options):
        _check(nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size)))
        _check(nvrtc.nvrtcGetProgramLog(program, log := ctypes.create_string_buffer(size.value)))
        raise RuntimeError(log.value.decode().strip().partition("\n")[0])
    _check(nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size)))
    _check(nvrtc.nvrtcGetCUBIN(program, cubin := ctypes.create_string_buffer(size.value)))
    _check(nvrtc.nvrtcDestroyProgram(ctypes.byref(program)))
    return cubin.raw


def _launcher(driver: ctypes.CDLL, context: ctypes.c_void_p, module: ctypes.c_void_p, name: str) -> Launch:
    function = ctypes.c_void_p()
    _check(driver.cuModuleGetFunction(ctypes.byref(function), module, name.encode()))

    def launch(source: Tensor, target: Tensor, which: Tensor, count: int, *numbers: int) -> None:
        pointers = [ctypes.c_void_p(t.data_ptr()) for t in (source, target, which)]
        given = [*pointers, ctypes.c_long(count), *map(ctypes.c_int, numbers)]
        addresses = (ctypes.c_void_p * len(given))(*map(ctypes.addressof, given))
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        grid = (-(-count // THREADS), 1, 1)
        _check(driver.cuCtxSetCurrent(context))  # backward has a thread of its own, which may have none yet
        _check(driver.cuLaunchKernel(function, *grid, THREADS, 1, 1, 0, stream, addresses, None))

    return launch


def _check(code: int) -> None:
    if code:
        raise RuntimeError(f"CUDA error {code}")
