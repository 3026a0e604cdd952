"""Trials of two Pods on the real node: they meet by the address in their environment, and end and go on together."""

from __future__ import annotations

import json

from tests.cluster.kubernetes import until
from tests.cluster.sweeps import ClusterSweep

PROGRAM = '''"""Node 0 listens, the others come; then each waits at the gate. A checkpoint tells a second start."""
import json, os, socket, time

rank, place = int(os.environ["NODE_RANK"]), (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
hyperparameters = json.load(open(os.environ["HYPERPARAMETERS_FILE"]))
gate, end = hyperparameters["gate"], time.monotonic() + 120
if rank == 0:
    with socket.create_server(("", place[1])) as server:
        server.accept()[0].sendall(b"together")
else:
    while True:
        try:
            with socket.create_connection(place, 5) as connection:
                assert connection.recv(100) == b"together"
            break
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.05)
saved = os.environ["CHECKPOINT_DIR"] + f"/node-{rank}"
with open(f"{gate}/events", "a") as log:
    log.write(f"{'again' if os.path.exists(saved) else 'start'} {rank} {os.getpid()}\\n")
open(saved, "w").close()
while not os.path.exists(f"{gate}/open"):
    assert time.monotonic() < end, "nobody opened the gate"
    time.sleep(0.05)
if rank == 0:
    json.dump({"score": 1}, open(os.environ["METRICS_FILE"], "w"))
'''


def test_two_pods_meet_and_one_that_is_deleted_takes_the_other_along(sweep: ClusterSweep) -> None:
    (sweep.root / "toy" / "train.py").write_text(PROGRAM)
    sweep.edit({"x": 1}, nodes=2)
    sweep.run("submit", "toy")
    until(lambda: sorted(sweep.events("start")) == ["0", "1"], lambda: sweep.kubectl("describe", "jobs,pods"))
    (pod,) = sweep.kubectl.items("pods", "-l", "batch.kubernetes.io/job-completion-index=1")
    sweep.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")
    until(lambda: sorted(sweep.events("again")) == ["0", "1"], lambda: sweep.kubectl("describe", "jobs,pods"))
    sweep.open_gate()
    assert "1 succeeded" in sweep.run("drive", "toy")
    paths = sorted((sweep.store / "trials").glob("*/*/attempts/*/attempt.json"))
    attempts = [json.loads(path.read_text()) for path in paths]
    assert [attempt["status"] for attempt in attempts] == ["preempted", "succeeded"]
    assert all(len(attempt["peers"]) == 1 for attempt in attempts)
    (job,) = sweep.jobs().values()
    assert job["status"].get("failed", 0) <= 1, "one failure an attempt"
