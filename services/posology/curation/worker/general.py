"""The job `general`: a file of general instructions in, a general set out."""

from posology.core import settings
from posology.core.errors import InvalidInput
from posology.core.jobs.worker.runtime import JobContext, Result
from posology.curation import convert
from posology.curation.dataset.card import drops_by_reason, general_parameters
from posology.curation.dataset.general import read_general, usable_general
from posology.curation.domain import REFUSAL, Drop
from posology.curation.settings import SourceSettings
from posology.curation.sources.location import lines
from posology.curation.worker.files import write_json, write_lines
from posology.curation.worker.screens import screens_of, suites_of


def make_general(job: JobContext) -> Result:
    """All usable rows, in the order of their ids: how many of them are trained on is no part of the set."""
    recipe = convert.general_from_proto(convert.general_spec_from_json(job.spec))
    limits = settings.load(SourceSettings).limits
    read = read_general(lines(recipe.uri, limits), name=recipe.uri.rsplit("/", 1)[-1])
    job.progress(0, len(read), f"{len(read)} general rows read")
    suites = suites_of(recipe.suites, limits)
    drops: list[Drop] = []
    kept = usable_general(read, screens_of(recipe.duplicates, suites, ()), drops)
    if not kept:
        raise InvalidInput(f"none of the {len(read)} general rows can be used; spec.curation.general.uri names another")
    counts = {
        "pairs": {"considered": len(read), "general": len(kept), "refusals": sum(REFUSAL in p.tags for p in kept)},
        "drops": drops_by_reason(drops),
    }
    parameters = general_parameters(recipe)
    write_lines(job.output / "general.jsonl", (pair.as_json() for pair in sorted(kept, key=lambda pair: pair.id)))
    write_lines(job.output / "drops.jsonl", (drop.as_json() for drop in drops))
    against = {"decontaminated_against": {"questions": len(suites.questions)}}
    write_json(job.output / "card.json", counts | against | {"recipe": parameters})
    job.progress(len(kept), len(read), "done")
    return Result("general", (), parameters, counts)
