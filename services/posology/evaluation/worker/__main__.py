"""Entry: `python -m posology.evaluation.worker`."""

import logging

from posology.core.jobs.worker.runtime import main
from posology.evaluation.worker.evaluate import evaluate

if __name__ == "__main__":
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each of thousands of requests says nothing
    main({"evaluation": evaluate})
