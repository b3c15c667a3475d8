"""Entry: `python -m posology.evaluation.worker`."""

from posology.core.jobs.worker import main
from posology.evaluation.worker.evaluate import evaluate

if __name__ == "__main__":
    main({"evaluation": evaluate})
