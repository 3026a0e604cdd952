"""A small network trained by several processes (DistributedDataParallel): what torchrun starts, on one node or on many.

The batch is shared out among the processes, so that their number changes how long a trial takes and not what it learns.
The data is a spiral that is drawn here; its second part ranks the trials. Every epoch is a checkpoint of process 0.
"""

import json
import math
import os
import time
from pathlib import Path

started = time.perf_counter()

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

POINTS, BATCH = 512, 64

hyperparameters = json.loads(Path(os.environ["HYPERPARAMETERS_FILE"]).read_text())
seed, epochs = int(os.environ["SEED"]), hyperparameters["epochs"]
checkpoint = Path(os.environ["CHECKPOINT_DIR"]) / "newest.pt"

gpus = torch.cuda.is_available()
device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if gpus else torch.device("cpu")
if gpus:
    torch.cuda.set_device(device)
dist.init_process_group("nccl" if gpus else "gloo")  # RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say with whom
rank, world = dist.get_rank(), dist.get_world_size()

draws = torch.Generator().manual_seed(seed)
labels = torch.arange(POINTS) % 2
radius = torch.rand(POINTS, generator=draws)
angle = radius * 6 + labels * math.pi
points = torch.stack((radius * angle.cos(), radius * angle.sin()), 1) + 0.02 * torch.randn(POINTS, 2, generator=draws)
points, labels = points.to(device), labels.to(device)
train, validation = slice(0, POINTS * 3 // 4), slice(POINTS * 3 // 4, POINTS)

torch.manual_seed(seed)  # DDP begins with the weights of process 0
width = hyperparameters["width"]
model = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 2))
model = DistributedDataParallel(model.to(device))
optimizer = torch.optim.Adam(model.parameters(), lr=hyperparameters["learning_rate"])
history = []
if checkpoint.exists():  # every process reads it: the store is the same for all
    saved = torch.load(checkpoint, map_location=device, weights_only=True)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    history = saved["history"]
    print(f"process {rank} of {world} goes on after epoch {len(history)}", flush=True)
ready = time.perf_counter()


@torch.no_grad()
def validate(model):
    return model.module(points[validation])


for epoch in range(len(history) + 1, epochs + 1):
    order = torch.randperm(train.stop, generator=torch.Generator().manual_seed(seed * 10_000 + epoch)).to(device)
    for batch in order.split(BATCH):
        own = batch[rank::world]
        loss = nn.functional.cross_entropy(model(points[own]), labels[own])
        optimizer.zero_grad()
        loss.backward()  # the gradients are averaged over the processes here
        optimizer.step()
    val_loss = nn.functional.cross_entropy(validate(model), labels[validation]).item()
    history.append({"epoch": epoch, "val_loss": val_loss})
    if rank == 0:
        with open(os.environ["HISTORY_FILE"], "w") as opened:
            opened.writelines(json.dumps(row) + "\n" for row in history)
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history}
        torch.save(state, written := checkpoint.with_name(".newest.tmp"))
        written.replace(checkpoint)  # whole, or not there

if rank == 0:
    metrics = {
        "val_loss": history[-1]["val_loss"],
        "val_accuracy": (validate(model).argmax(1) == labels[validation]).float().mean().item(),
        "environment": {"torch": torch.__version__, "processes": world},
        "durations": {"setup_s": ready - started, "train_s": time.perf_counter() - ready},
    }
    Path(os.environ["METRICS_FILE"]).write_text(json.dumps(metrics))
dist.barrier()  # nobody leaves before process 0 has written
del model, optimizer  # they hold the group, whose threads must end while Python still runs
dist.destroy_process_group()
