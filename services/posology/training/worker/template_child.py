"""A process that renders chat templates and nothing else: `python -m posology.training.worker.template_child`.

Reads a request from stdin and writes an answer to stdout, both JSON. Templates come from strangers: one may loop, or
multiply texts until memory is gone, in C code that no signal handler interrupts. So whoever started this process sets
limits, and outlives it. Its clock shows what the request says.
"""

import hashlib
import json
import os
import resource
import sys
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any

SHOWN = 20_000
"""Characters of a rendered conversation that are answered; of the rest, its digest."""
_IMPURE_NAMES = frozenset({"strftime_now", "lipsum"})
_IMPURE_FILTERS = frozenset({"random"})


def main() -> None:
    """Compile with transformers' own code, then limit this process, then render."""
    request = json.load(sys.stdin)
    sys.modules["torch"] = None  # type: ignore[assignment] # seconds to import, and nothing here needs it
    from transformers.utils import chat_template_utils as transformers

    clock = datetime.fromisoformat(request["now"])

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return clock

    transformers.datetime = Clock
    _limit(request["seconds"], request["bytes"])
    answer = {name: _tried(transformers, text, request) for name, text in request["templates"].items()}
    json.dump(answer, sys.stdout)
    sys.stdout.flush()
    os._exit(0)  # what a template left behind is not tidied up


def _limit(seconds: int, size: int) -> None:
    """CPU seconds and bytes from here on; what the libraries took is not the template's."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    with open("/proc/self/statm", encoding="ascii") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + size, mapped + size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _tried(transformers: Any, text: str, request: dict[str, Any]) -> dict[str, Any]:
    """What a template reads that changes, and what it makes of each conversation."""
    try:
        compiled = transformers._compile_jinja_template(text)
        reads = sorted(_impure(compiled.environment, text))
    except MemoryError:
        return {"problem": "memory"}
    except Exception as error:  # noqa: BLE001 - jinja's, and whatever its compiler stumbles over
        return {"problem": f"is no template: {type(error).__name__}: {str(error)[:200]}"}
    renders = []
    for conversation in request["conversations"]:
        for generate in (False, True):
            try:
                rendered, _ = transformers.render_jinja_template(
                    conversations=[conversation],
                    chat_template=text,
                    add_generation_prompt=generate,
                    **request["special"],
                )
            except MemoryError:
                return {"problem": "memory"}
            except Exception as error:  # noqa: BLE001 - templates raise what they like, and may refuse a conversation
                renders.append({"error": type(error).__name__})
                continue
            digest = hashlib.sha256(rendered[0].encode("utf-8", "surrogatepass")).hexdigest()
            renders.append({"text": rendered[0][:SHOWN], "sha256": digest})
    return {"reads": reads, "renders": renders}


def _impure(environment: Any, text: str) -> Iterator[str]:
    """What it refers to that gives another answer each time, also in branches that no trial takes."""
    from jinja2 import meta, nodes

    tree = environment.parse(text)
    known = dict(environment.globals)
    environment.globals.clear()  # else the names that transformers itself brings count as declared
    try:
        # A macro that stands first takes a name's place everywhere, in blocks too, which are compiled apart.
        first = {tree.body[0].name} if tree.body and isinstance(tree.body[0], nodes.Macro) else set()
        yield from (meta.find_undeclared_variables(tree) & _IMPURE_NAMES) - first
    finally:
        environment.globals.update(known)
    yield from (each.name for each in tree.find_all(nodes.Filter) if each.name in _IMPURE_FILTERS)


if __name__ == "__main__":
    main()
