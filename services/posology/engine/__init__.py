"""vLLM as a thing to start, probe and drain; used by evaluation's workers and by serving's agent."""

from posology.engine.config import EngineConfig, EngineHost, chat_template_digest
from posology.engine.drain import Load, drain, load
from posology.engine.probes import Probe, ProbeMismatch, mismatches, probe
from posology.engine.process import Engine, EngineFailed, EngineMismatch

__all__ = [
    "Engine",
    "EngineConfig",
    "EngineFailed",
    "EngineHost",
    "EngineMismatch",
    "Load",
    "Probe",
    "ProbeMismatch",
    "chat_template_digest",
    "drain",
    "load",
    "mismatches",
    "probe",
]
