"""A worker without torch, started by the tests as a process of its own."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from posology.core import errors
from posology.core.artifacts.backends import open_backend
from posology.core.jobs.worker.runtime import JobContext, Result, Stopped, main


def count(job: JobContext) -> Result:
    """Counts to `steps` with `pause` seconds between; its checkpoint is the last number."""
    steps, pause = job.spec["steps"], job.spec.get("pause", 0.0)
    saved = job.workdir / "step"
    begin = int(saved.read_text()) if saved.exists() else 0
    with (job.workdir.parent / "began").open("a") as log:
        log.write(f"{job.attempt} {begin} {os.getpid()}\n")
    job.log("counting", begin=begin)
    for step in range(begin, steps):
        if job.stopping.is_set():
            raise Stopped(step)
        time.sleep(pause)
        draft = job.workdir / ".step"
        draft.write_text(str(step + 1))
        draft.replace(saved)
        job.checkpoint()
        job.metric(step, loss=1.0 / (step + 1))
        job.progress(step + 1, steps, "counting")
    (job.output / "count.json").write_text(json.dumps({"count": steps, "salt": job.spec.get("salt", "")}))
    return Result("evaluation", parameters={"steps": steps}, summary={"count": steps, "attempt": job.attempt})


def fail(job: JobContext) -> Result:
    """Raises what the spec names, until attempt `until`."""
    if job.attempt >= job.spec.get("until", 1000):
        return count(job)
    known = getattr(errors, job.spec["error"], None)
    if known is errors.InvalidInput:
        raise known.of([errors.Violation("spec.rank", "must be above 0")])
    raise known("as the spec says") if known else RuntimeError("a secret of the traceback\nsecond line")


def die(job: JobContext) -> Result:
    """Ends like a crashed process until attempt `until`."""
    if job.attempt < job.spec["until"]:
        os.kill(os.getpid(), signal.SIGKILL)
        os._exit(70)  # the first process of a container can't kill itself
    return count(job)


def eat(job: JobContext) -> Result:
    """Takes memory without end, in a child if the spec says so."""
    if job.spec.get("child"):
        subprocess.run([sys.executable, "-c", "x = bytearray(400 << 20); import time; time.sleep(60)"], check=True)
    held = []
    while True:
        held.append(bytearray(16 << 20))
        time.sleep(0.02)


def deaf(job: JobContext) -> Result:
    """Ignores every request to stop, and leaves a child in a session of its own."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    (job.workdir / "child").write_text(str(child.pid))
    job.log("deaf", child=child.pid)
    while True:
        time.sleep(0.05)


def full(job: JobContext) -> Result:
    """Writes to a disk that is full."""
    with open("/dev/full", "w") as file:
        file.write("x" * 100_000)
        file.flush()
    raise AssertionError("the disk took it")


def inherit(job: JobContext) -> Result:
    """Reads an input artifact and a secret."""
    found = json.loads((job.input(job.spec["input"]) / "count.json").read_text())
    (job.output / "count.json").write_text(json.dumps({"count": found["count"] + 1}))
    return Result("evaluation", parents=(job.spec["input"],), summary={"secret": job.secret("teacher-key")})


def reach(job: JobContext) -> Result:
    """Says into which of these stores it can write, and from which it can read what is called `there`."""
    (job.output / "x.txt").write_text("x")
    written, read = [], []
    for url in job.spec["stores"]:
        backend = open_backend(url)
        with suppress(errors.PosologyError), backend.writing("made") as sink:
            sink.write(b"x")
            sink.commit()
            written.append(url)
        with suppress(errors.PosologyError), backend.open("there"):
            read.append(url)
    return Result("evaluation", summary={"written": written, "read": read})


def odd(job: JobContext) -> Result:
    """Sends numbers that JSON does not know, and threads that never end."""
    job.metric(0, loss=float("nan"), size=float("inf"))
    job.log("odd", value=float("nan"), name="odd", place=job.workdir)
    (job.output / "x.txt").write_text("x")
    return Result("evaluation", summary={"seed": 2**60} if job.spec.get("big") else {})


def limits(job: JobContext) -> Result:
    """Says what it may use, and what it sees of the service."""
    (job.output / "x.txt").write_text("x")
    ours = sorted(name for name in os.environ if name.startswith("POSOLOGY_"))
    cpus = len(os.sched_getaffinity(0))
    return Result("evaluation", summary={"cpus": cpus, "threads": os.environ["OMP_NUM_THREADS"], "ours": ours})


def look(job: JobContext) -> Result:
    """Says what a pod lets it see and do."""
    (job.output / "x.txt").write_text("x")
    found = {
        "uid": os.getuid(),
        "account": os.path.exists("/var/run/secrets/kubernetes.io"),
        "root_is_writable": os.access("/", os.W_OK),
        "secrets": sorted(name for name in os.listdir("/posology/secrets") if not name.startswith(".")),
        "key": job.secret("teacher-key"),
        "threads": os.environ["OMP_NUM_THREADS"],
        "shared_memory": os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize,
    }
    return Result("evaluation", summary=found)


def many(job: JobContext) -> Result:
    """Sends metrics as fast as it can."""
    for step in range(job.spec["steps"]):
        job.metric(step, loss=1.0, rate=0.5)
        job.progress(step + 1, job.spec["steps"])
    (job.output / "x.txt").write_text("x")
    return Result("evaluation")


def square(number: int) -> int:
    return number * number


def fork(job: JobContext) -> Result:
    """Shares its work among forked processes."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for step in range(20):
            job.metric(step, loss=1.0)
            total = sum(pool.map(square, range(10)))
    (job.output / "x.txt").write_text("x")
    return Result("evaluation", summary={"sum": total})


def quit_unasked(job: JobContext) -> Result:
    """Stops although nobody asked."""
    raise Stopped(1)


class Diverged(errors.InvalidInput):
    """A class of the worker's own, which no service has ever imported."""


def diverge(job: JobContext) -> Result:
    raise Diverged("the loss is not finite; lower the learning rate")


if __name__ == "__main__":
    main(
        {
            "count": count,
            "fail": fail,
            "die": die,
            "eat": eat,
            "deaf": deaf,
            "full": full,
            "inherit": inherit,
            "reach": reach,
            "odd": odd,
            "limits": limits,
            "look": look,
            "many": many,
            "fork": fork,
            "quit": quit_unasked,
            "diverge": diverge,
        }
    )
