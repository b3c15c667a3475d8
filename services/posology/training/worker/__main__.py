"""`python -m posology.training.worker`: one attempt of one job, in as many processes as it has GPUs."""

from posology.core.jobs.worker import assignment, ranks
from posology.core.jobs.worker.runtime import main
from posology.training import convert
from posology.training.worker.handlers import HANDLERS

if __name__ == "__main__":
    ranks.spread("posology.training.worker", processes=convert.processes_of(assignment.read().spec))
    main(HANDLERS)
