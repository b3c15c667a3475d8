# One image per role, from public bases and the committed locks (`make images`):
#   control    every control service, gateway, agent, operator, CLI; no torch
#   worker     curation and training; torch for CPU, or for CUDA with --build-arg TORCH_INDEX=<an index with CUDA builds>
#   engine-cpu vLLM for machines without a GPU; with GPUs vLLM's own image is used, unmodified
#   evaluator  worker and engine-cpu in one: evaluation's workers start a throw-away engine beside themselves
#   evaluator-gpu  the same on vLLM's own image, for models that serve on GPUs (CUDA torch comes from the package index)
# What a lock decides is a layer of its own, so that a change of our code rebuilds megabytes, not gigabytes.
ARG PYTHON_IMAGE=docker.io/library/python:3.11-slim-bookworm
# Of the version in requirements/engine-cpu.txt.
ARG VLLM_IMAGE=docker.io/vllm/vllm-openai:v0.32.0

FROM ${PYTHON_IMAGE} AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

# Where wheels lie beside the package index, if anywhere, is what PIP_FIND_LINKS says in each stage that installs.
FROM base AS project
ARG PIP_FIND_LINKS=
COPY pyproject.toml README.md /build/
COPY services /build/services
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /tools && /tools/bin/pip wheel -q --no-deps -w /wheels /build

# Without the tests of libraries, and without what botocore knows of the 400 services that nobody calls here.
FROM base AS control-packages
ARG PIP_FIND_LINKS=
COPY requirements/control.txt /opt/
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /opt/posology && /opt/posology/bin/pip install -q -r /opt/control.txt \
    && find /opt/posology -type d -name tests -prune -exec rm -r {} + \
    && find /opt/posology/lib/python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
         ! -name s3 ! -name sts ! -name 'sso*' ! -name signin -exec rm -r {} +

FROM base AS worker-packages
ARG PIP_FIND_LINKS=
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY requirements/worker.txt /opt/
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /opt/posology \
    && if [ -n "$TORCH_INDEX" ]; then \
         /opt/posology/bin/pip install -q --index-url "$TORCH_INDEX" "$(grep '^torch==' /opt/worker.txt)"; fi \
    && /opt/posology/bin/pip install -q -r /opt/worker.txt

# The lock is taken as it is: what vLLM asks for beyond it are companions of torch that fail to import beside a CPU torch.
FROM base AS engine-packages
ARG PIP_FIND_LINKS=
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY requirements/engine-cpu.txt /opt/
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 -m venv /opt/engine \
    && if [ -n "$TORCH_INDEX" ]; then \
         /opt/engine/bin/pip install -q --index-url "$TORCH_INDEX" "$(grep '^torch==' /opt/engine-cpu.txt)"; fi \
    && /opt/engine/bin/pip install -q --no-deps -r /opt/engine-cpu.txt

# --- what is shipped: labels come last in each, because a new commit shall not copy gigabytes again --------------------

FROM control-packages AS control
COPY --from=project /wheels /opt/project
ARG VERSION=0.1.0
RUN --mount=type=bind,source=requirements/sbom.py,target=/sbom.py \
    /opt/posology/bin/pip install -q --no-index --no-deps /opt/project/*.whl \
    && /opt/posology/bin/python /sbom.py posology-control "${VERSION}" > /opt/posology/sbom.spdx.json
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="posology-control" \
      org.opencontainers.image.description="Control services, gateway, agent and operator of Posology" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
ENV PATH=/opt/posology/bin:$PATH HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib
USER 65532:65532
WORKDIR /tmp
CMD ["posology", "--help"]

FROM worker-packages AS worker
COPY examples /opt/posology/share/examples
COPY --from=project /wheels /opt/project
ARG VERSION=0.1.0
RUN --mount=type=bind,source=requirements/sbom.py,target=/sbom.py \
    /opt/posology/bin/pip install -q --no-index --no-deps /opt/project/*.whl \
    && /opt/posology/bin/python /sbom.py posology-worker "${VERSION}" > /opt/posology/sbom.spdx.json
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="posology-worker" \
      org.opencontainers.image.description="Curation and training workers of Posology" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
ENV PATH=/opt/posology/bin:$PATH HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib
USER 65532:65532
WORKDIR /tmp
CMD ["python", "-m", "posology.training.worker"]

FROM engine-packages AS engine
# vLLM's CPU kernels load it, and nothing in a slim base brings it.
RUN apt-get update -q && apt-get install -yq --no-install-recommends libnuma1 && rm -rf /var/lib/apt/lists/*
ENV PATH=/opt/engine/bin:$PATH HOME=/tmp VLLM_NO_USAGE_STATS=1
WORKDIR /tmp

FROM engine AS engine-cpu
ARG VERSION=0.1.0
RUN --mount=type=bind,source=requirements/sbom.py,target=/sbom.py \
    /opt/engine/bin/python /sbom.py posology-engine-cpu "${VERSION}" > /opt/engine/sbom.spdx.json
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="posology-engine-cpu" \
      org.opencontainers.image.description="vLLM for CPUs, as Posology evaluates and serves with it" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
USER 65532:65532
ENTRYPOINT ["python", "-m", "vllm.entrypoints.openai.api_server"]

FROM engine AS evaluator
COPY --from=worker-packages /opt/posology /opt/posology
COPY --from=project /wheels /opt/project
ARG VERSION=0.1.0
RUN --mount=type=bind,source=requirements/sbom.py,target=/sbom.py \
    /opt/posology/bin/pip install -q --no-index --no-deps /opt/project/*.whl \
    && /opt/posology/bin/python /sbom.py posology-evaluator "${VERSION}" > /opt/posology/sbom.spdx.json
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="posology-evaluator" \
      org.opencontainers.image.description="Evaluation workers of Posology, with their throw-away engine" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
ENV PATH=/opt/posology/bin:$PATH HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib \
    POSOLOGY_ENGINE_PYTHON=/opt/engine/bin/python
USER 65532:65532
CMD ["python", "-m", "posology.evaluation.worker"]

# The interpreter is that image's own, so packages are installed here and not copied from a stage.
FROM ${VLLM_IMAGE} AS evaluator-gpu
USER root
ARG PIP_FIND_LINKS=
ARG TORCH_INDEX=
# The one that has vLLM, whatever comes first in the path later.
ARG VLLM_PYTHON=/usr/bin/python3
COPY requirements/worker.txt /opt/
RUN --mount=type=cache,target=/root/.cache/pip \
    ${VLLM_PYTHON} -m venv /opt/posology \
    && if [ -n "$TORCH_INDEX" ]; then \
         /opt/posology/bin/pip install -q --index-url "$TORCH_INDEX" "$(grep '^torch==' /opt/worker.txt)"; fi \
    && /opt/posology/bin/pip install -q -r /opt/worker.txt
COPY --from=project /wheels /opt/project
ARG VERSION=0.1.0
RUN --mount=type=bind,source=requirements/sbom.py,target=/sbom.py \
    /opt/posology/bin/pip install -q --no-index --no-deps /opt/project/*.whl \
    && /opt/posology/bin/python /sbom.py posology-evaluator-gpu "${VERSION}" > /opt/posology/sbom.spdx.json
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.title="posology-evaluator-gpu" \
      org.opencontainers.image.description="Evaluation workers of Posology on vLLM's own image" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
ENV PATH=/opt/posology/bin:$PATH HOME=/tmp MPLCONFIGDIR=/tmp/matplotlib \
    POSOLOGY_ENGINE_PYTHON=${VLLM_PYTHON}
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT []
CMD ["python", "-m", "posology.evaluation.worker"]
