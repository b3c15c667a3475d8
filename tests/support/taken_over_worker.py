"""A worker that reports what its spec tells it to: somebody else writes its program."""

from posology.core.jobs.worker.runtime import JobContext, Result, main


def lie(job: JobContext) -> Result:
    """Kind, parents and parameters as an attacker likes."""
    (job.output / "model.safetensors").write_text("weights")
    spec = job.spec
    return Result(spec.get("reported", "model"), tuple(spec.get("parents", ())), spec.get("parameters", {}))


if __name__ == "__main__":
    main({"count": lie})
