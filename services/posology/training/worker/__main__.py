"""`python -m posology.training.worker`: one attempt of one job."""

from posology.core.jobs.worker import main
from posology.training.worker.handlers import HANDLERS

if __name__ == "__main__":
    main(HANDLERS)
