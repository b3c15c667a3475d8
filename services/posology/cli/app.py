"""`posology`: the root command, its options, and how errors end it.

Exit codes: 0 done; 1 the run or verdict failed; 2 the input is wrong; 3 try again (a service is away, a time-out);
4 refused (not released, not allowed, wrong state); 5 not found; 130 interrupted.
"""

import errno
import io
import itertools
import os
import re
import sys
import tempfile
import traceback
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Annotated, NoReturn

import httpx
import typer
from typer._click import exceptions  # what typer raises of its own; its public names leave these out

from posology.cli import hints, output
from posology.cli.commands import (
    artifacts,
    audit,
    compare,
    completion,
    dataset,
    endpoints,
    evidence,
    keys,
    lifecycle,
    policy,
    review,
    runs,
    serving,
    signing_keys,
    verdicts,
)
from posology.cli.state import State
from posology.core import names
from posology.core.errors import (
    AlreadyExists,
    DataCorrupt,
    Exhausted,
    FailedPrecondition,
    Internal,
    InvalidInput,
    NotFound,
    PermissionDenied,
    PosologyError,
    Retryable,
    Unauthenticated,
    Unavailable,
    Violation,
)
from posology.core.rpc.context import enter, parse_traceparent
from posology.core.tracing import VARIABLE

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
for module in (
    lifecycle,
    runs,
    review,
    dataset,
    artifacts,
    keys,
    signing_keys,
    verdicts,
    endpoints,
    policy,
    serving,
    evidence,
    compare,
    audit,
    completion,
):
    module.register(app)


def _say_version(value: bool) -> None:
    if value:
        typer.echo(f"posology {metadata.version('posology')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    data: Annotated[
        Path | None, typer.Option(help="Data directory of an embedded installation (default: ~/.posology).")
    ] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of runs and artifacts.")] = "default",
    output_format: Annotated[
        output.Format, typer.Option("--output", "-o", help="How answers and errors are written; may stand anywhere.")
    ] = output.Format.TEXT,
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Options that every command shares."""
    if namespace != names.EVERY and not re.fullmatch(names.NAMESPACE, namespace):
        rule = "lower-case letters, digits and -, at most 63 characters, first and last no -"
        raise InvalidInput.of([Violation("--namespace", f"{namespace!r} is no namespace: {rule}")])
    if data is not None and data.exists() and not data.is_dir():
        raise InvalidInput.of([Violation("--data", f"{data} is no folder; name the installation's data directory")])
    context.obj = State(data, namespace, output.Writer(output_format))
    # What a pipeline that traces itself does with this command is a part of its trace.
    enter(parse_traceparent(os.environ.get(VARIABLE, "")))


def main() -> None:
    """Entry point: run a command; an error is one paragraph (or one JSON object) on stderr, and an exit code."""
    arguments = hoisted(sys.argv[1:])
    as_json = wants_json(arguments)
    _open_streams()
    try:
        _check_not_empty(arguments)
        code = app(args=arguments, prog_name="posology", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except (KeyboardInterrupt, EOFError):
        sys.exit(130)
    except typer.Abort as error:  # Ctrl-C at a question, or nobody there to answer it
        sys.exit(130 if isinstance(error.__cause__, KeyboardInterrupt) else 1)
    except BrokenPipeError:  # `posology runs | head`: whoever read has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except exceptions.UsageError as error:
        error.message = error.message.replace("Value error, ", "")  # pydantic's word, and nobody else's
        if not as_json:
            error.show()
            sys.exit(2)
        _end_with(InvalidInput(error.format_message()), arguments, as_json=True)
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        _end_with(explained(error), arguments, as_json=as_json)


def _open_streams() -> None:
    """Streams that were closed (`>&-`) lead nowhere, and a terminal that lacks a letter (µ, ≥) gets its escape."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # as long as the process
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _check_not_empty(arguments: list[str]) -> None:
    """`--data "$UNSET"` means no folder at all, and not the current one."""
    pairs = itertools.pairwise([*arguments, ""])
    if "--data=" in arguments or any(pair == ("--data", "") for pair in pairs):
        raise InvalidInput.of([Violation("--data", "must name a folder; it is empty")])


def _end_with(error: PosologyError, arguments: list[str], *, as_json: bool) -> NoReturn:
    code = exit_code(error)
    output.complain(_with_options(error, hints.given(arguments)), as_json=as_json, code=code)
    sys.exit(code)


def _with_options(error: PosologyError, options: list[str], *, registered: typer.Typer = app) -> PosologyError:
    """The error; commands that it names are those of the installation that was asked."""
    if not options:
        return error
    verbs = getattr(typer.main.get_command(registered), "commands", ())
    error.message = hints.repeated(error.message, options, verbs)
    error.violations = tuple(
        replace(v, description=hints.repeated(v.description, options, verbs)) for v in error.violations
    )
    return error


def explained(error: Exception) -> PosologyError:
    """Any failure as one that a user may see; a defect of ours leaves its trace in a file and names it."""
    if isinstance(error, PosologyError):
        return error
    if isinstance(error, httpx.HTTPError):
        return Unavailable(f"the gateway did not answer: {str(error) or type(error).__name__}; see posology status")
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        text = f"{name}{(error.strerror or str(error)).lower()}"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return Exhausted(f"{text}; make room and repeat the command") if full else InvalidInput(text)
    return Internal(f"this is a defect of posology ({type(error).__name__}: {error}); its trace is in {_kept()}")


def _kept() -> str:
    try:
        with tempfile.NamedTemporaryFile("w", prefix="posology-", suffix=".trace", delete=False) as file:
            file.write(traceback.format_exc())
    except OSError as error:
        return f"no file ({error.strerror})"
    return file.name


_SHARED = {"--output": 1, "-o": 1, "--data": 1, "--namespace": 1, "-n": 1}


def hoisted(arguments: list[str]) -> list[str]:
    """The options that every command shares may stand anywhere: move them before the command."""
    shared, rest = list[str](), list[str]()
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            return [*shared, *rest, word, *waiting]
        if word in _SHARED:
            shared += [word, *waiting[:1]]
            del waiting[:1]
        elif word.partition("=")[0] in ("--output", "--data", "--namespace"):
            shared.append(word)
        else:
            rest.append(word)
    return [*shared, *rest]


def wants_json(arguments: list[str]) -> bool:
    """Whether errors are to be JSON, also errors in the arguments themselves."""
    pairs = itertools.pairwise([*arguments, ""])
    return any((a in ("--output", "-o") and b == "json") or a in ("--output=json", "-ojson") for a, b in pairs)


def exit_code(error: PosologyError) -> int:
    """The exit code of an error, by the most specific class listed."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


if __name__ == "__main__":
    main()
