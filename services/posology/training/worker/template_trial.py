"""Tries a model's chat templates before anything else renders them: in two processes with limits, under two clocks.

What the two make of the same conversations must be equal: they differ in date, time zone, hash seed, random numbers and
addresses of memory, so a prompt that depends on any of these is told apart from one that is the same for ever.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from posology.core.errors import InvalidInput, Violation
from posology.core.jobs.worker.runtime import Stopped
from posology.core.visible import visible

CPU_SECONDS = 10
"""Most time for all conversations of all templates of a model; real ones take milliseconds."""
MEMORY = 512 << 20
"""Bytes that rendering may take."""
_WALL_SECONDS = 180.0
"""A process that gets no CPU must not be waited for without end."""
_CLOCKS = (("2024-07-26T09:15:00", "UTC", "1"), ("2031-12-01T22:47:59", "Pacific/Kiritimati", "2"))
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
_USER = {"role": "user", "content": "What is the usual dose?"}
_ANSWER = {"role": "assistant", "content": "Ten milligrams once daily."}
_SYSTEM = {"role": "system", "content": "You answer from drug labels."}
_CONVERSATIONS: tuple[list[dict[str, str]], ...] = (
    [_USER],
    [_USER, _ANSWER],
    [_SYSTEM, _USER],
    [_SYSTEM, _USER, _ANSWER],
    [_USER, _ANSWER, _USER],
    [_SYSTEM, *[_USER, _ANSWER] * 8, _USER],
    [{"role": "user", "content": "Größe 5 µg {{ 1 }} <|end|> \U0001f48a"}],
)
_FIELD = "spec.baseModel"


def check(tokenizer: Any, *, stopping: threading.Event | None = None) -> None:
    """InvalidInput when a template does not end, takes too much, or is not the same for ever; Stopped when told to."""
    text = tokenizer.chat_template
    templates = dict(text) if isinstance(text, Mapping) else {"default": str(text)}
    special = {name: str(getattr(tokenizer, name)) for name in _SPECIAL if getattr(tokenizer, name, None)}
    try_out(templates, special, stopping=stopping)


def try_out(
    templates: Mapping[str, str], special: Mapping[str, str] | None = None, *, stopping: threading.Event | None = None
) -> None:
    """As `check`, for templates by name."""
    first, second = _answers(templates, special or {}, stopping or threading.Event())
    for name in templates:
        _judge("the chat template" if len(templates) == 1 else f"the chat template {name!r}", first[name], second[name])


def _judge(name: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    if problem := first.get("problem") or second.get("problem"):
        raise _refusal(_TOO_LARGE if problem == "memory" else f"{name} {problem}")
    if "strftime_now" in first["reads"]:
        raise InvalidInput.of([
            Violation(
                f"{_FIELD}.templateDate",
                f"{name} reads the clock (strftime_now), so tomorrow's prompt would be another one than was trained "
                "and evaluated; pin the date that its prompts show, such as templateDate: 2024-07-26",
            )
        ])  # fmt: skip
    if first["reads"]:
        words = ", ".join(first["reads"])
        raise _refusal(f"{name} draws at random ({words}); {_EDIT}")
    for one, other in zip(first["renders"], second["renders"], strict=True):
        if one != other:
            raise _refusal(f"{name} renders the same conversation in two ways{_difference(one, other)}; {_EDIT}")


_EDIT = (
    "nothing can be evaluated that changes by itself. Import the model from a folder whose template writes a fixed "
    "text in that place"
)
_TOO_LARGE = f"the chat template takes more than {MEMORY >> 20} MiB for a short conversation; use another model"
_TOO_LONG = (
    f"the chat template takes more than {CPU_SECONDS} s for a few short conversations; use a model whose template ends"
)


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    left, right = one.get("text", one.get("error", "")), other.get("text", other.get("error", ""))
    start = next((at for at, pair in enumerate(itertools.zip_longest(left, right)) if pair[0] != pair[1]), 0)
    return f": {visible(left[start : start + 40])!r} and {visible(right[start : start + 40])!r}"


def _refusal(reason: str) -> InvalidInput:
    return InvalidInput.of([Violation(_FIELD, reason)])


def _answers(
    templates: Mapping[str, str], special: Mapping[str, str], stopping: threading.Event
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What both processes say; they run side by side, and neither is left behind."""
    children = [_child(zone, seed) for _, zone, seed in _CLOCKS]
    outputs: list[dict[str, Any]] = []
    try:
        for child, (now, _, _) in zip(children, _CLOCKS, strict=True):
            request = {
                "templates": dict(templates),
                "special": dict(special),
                "conversations": _CONVERSATIONS,
                "now": now,
                "seconds": CPU_SECONDS,
                "bytes": MEMORY,
            }
            _write(child, json.dumps(request).encode())
        until = time.monotonic() + _WALL_SECONDS
        for child in children:
            outputs.append(_read(child, stopping, until))
    finally:
        for child in children:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()
    return outputs[0], outputs[1]


def _child(zone: str, seed: str) -> "subprocess.Popen[bytes]":
    """Without our settings and secrets: it needs none."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POSOLOGY_", "HF_", "AWS_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "posology.training.worker.template_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=kept | {"TZ": zone, "PYTHONHASHSEED": seed, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"},
    )


def _write(child: "subprocess.Popen[bytes]", request: bytes) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(request)
        child.stdin.close()
    except BrokenPipeError:
        return  # its exit code says why
    finally:
        child.stdin = None  # so that `communicate` leaves it alone


def _read(child: "subprocess.Popen[bytes]", stopping: threading.Event, until: float) -> dict[str, Any]:
    while True:
        if stopping.is_set():
            raise Stopped
        if time.monotonic() > until:
            raise _refusal(_TOO_LONG)
        try:
            output, _ = child.communicate(timeout=0.2)
            break
        except subprocess.TimeoutExpired:
            continue
    if child.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise _refusal(_TOO_LONG)
    try:
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        raise _refusal(_TOO_LARGE if child.returncode else "the chat template could not be tried") from None
    return answer
