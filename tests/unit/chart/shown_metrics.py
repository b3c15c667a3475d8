"""The names of all metrics that the services really show, taken from what they show."""

from datetime import UTC, datetime

from prometheus_client.core import Metric

from posology.core import telemetry
from posology.core.rpc import certificate_metrics, method
from posology.gateway import metrics as gateway
from posology.operator import metrics as operator
from posology.orchestrator import metrics as orchestrator
from posology.serving import metrics as serving

_NOW = datetime.now(UTC)
_MODULES = (telemetry, certificate_metrics, method, gateway, operator)  # importing them registers their metrics


def names() -> set[str]:
    """Names as queries use them: `_total` of counters, `_bucket`, `_sum` and `_count` of histograms."""
    assert all(_MODULES)
    shown: list[Metric] = [
        *telemetry.REGISTRY.collect(),
        *orchestrator.families({}, {"sft": 1.0}, {"review-data": [_NOW]}, _NOW),
        *serving.families({}, [], [], {}),
    ]
    return {found.name + ending for found in shown for ending in _ENDINGS[found.type]}


_ENDINGS = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
    "unknown": ("",),
}
