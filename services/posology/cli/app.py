"""`posology`: the root command, its options, and how errors end it.

Exit codes: 0 done; 1 the run or verdict failed; 2 the input is wrong; 3 try again (a service is away, a time-out);
4 refused (not released, not allowed, wrong state); 5 not found; 130 interrupted.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from posology.cli import output
from posology.cli.commands import artifacts, evidence, keys, lifecycle, policy, review, runs, serving
from posology.cli.state import State
from posology.core.errors import (
    AlreadyExists,
    DataCorrupt,
    Exhausted,
    FailedPrecondition,
    InvalidInput,
    NotFound,
    PermissionDenied,
    PosologyError,
    Retryable,
    Unauthenticated,
)

EXIT_CODES: tuple[tuple[type[PosologyError], int], ...] = (
    (InvalidInput, 2),
    (AlreadyExists, 2),
    (Retryable, 3),
    (Exhausted, 3),
    (NotFound, 5),
    (FailedPrecondition, 4),
    (PermissionDenied, 4),
    (Unauthenticated, 4),
    (DataCorrupt, 4),
)

app = typer.Typer(
    name="posology",
    help="From a clinical corpus to a served, safety-gated, fine-tuned language model.",
    epilog=(
        "Exit codes: 0 done, 1 the run or verdict failed, 2 wrong input, 3 try again, 4 refused, 5 not found, "
        "130 interrupted."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
for module in (lifecycle, runs, review, artifacts, keys, policy, serving, evidence):
    module.register(app)


@app.callback()
def root(
    context: typer.Context,
    data: Annotated[
        Path | None, typer.Option(help="Data directory of an embedded installation (default: ~/.posology).")
    ] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of runs and artifacts.")] = "default",
    output_format: Annotated[
        output.Format, typer.Option("--output", "-o", help="How answers are written.")
    ] = output.Format.TEXT,
) -> None:
    """Options that every command shares."""
    context.obj = State(data, namespace, output.Writer(output_format))


def main() -> None:
    """Entry point: run a command; an error is one paragraph on stderr and an exit code."""
    try:
        app()
    except PosologyError as error:
        output.complain(error)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(130)


def exit_code(error: PosologyError) -> int:
    """The exit code of an error, by the most specific class listed."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


if __name__ == "__main__":
    main()
