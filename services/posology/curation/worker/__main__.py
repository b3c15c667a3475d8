"""Entry of curation's worker processes: `python -m posology.curation.worker`."""

from posology.core.jobs.worker.runtime import main
from posology.curation.worker.dataset import make_dataset
from posology.curation.worker.general import make_general
from posology.curation.worker.preferences import make_preferences

if __name__ == "__main__":
    main({"dataset": make_dataset, "general": make_general, "preferences": make_preferences})
