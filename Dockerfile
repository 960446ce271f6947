# The worker in a container. Build: docker build -t edge-worker .     Run: docs/deployment.md
#
# The base is pinned to a release; pin it to a digest as well with --build-arg BASE=python:3.12.12-slim-bookworm@sha256:…
ARG BASE=python:3.12.12-slim-bookworm

FROM ${BASE} AS build
ARG SETUPTOOLS=84.2.1
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
RUN python -m venv /opt/edge-worker
# Wheels only, each with its hash: of what others made nothing is compiled, on x86-64 or aarch64.
COPY deploy/requirements.txt ./
RUN /opt/edge-worker/bin/pip install --require-hashes --only-binary=:all: -r requirements.txt
# Our own kernels are; the compiler stays in this stage.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml setup.py README.md LICENSE ./
COPY config/edge_worker.yaml ./config/
COPY edge_worker ./edge_worker
RUN pip install "setuptools==${SETUPTOOLS}" \
 && pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/edge-worker/bin/pip install --no-deps --no-index /wheels/*.whl \
 && /opt/edge-worker/bin/pip uninstall --yes pip

FROM ${BASE}
RUN groupadd --system --gid 10001 edge-worker \
 && useradd --system --uid 10001 --gid edge-worker --no-create-home --shell /usr/sbin/nologin edge-worker \
 && install -d -o edge-worker -g edge-worker -m 0700 /var/lib/edge-worker /var/cache/edge-worker
COPY --from=build /opt/edge-worker /opt/edge-worker
COPY config/edge_worker.yaml /etc/edge-worker/edge_worker.yaml
# State and cache are named as systemd names them. The health page listens inside the container only.
ENV PATH=/opt/edge-worker/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STATE_DIRECTORY=/var/lib/edge-worker \
    CACHE_DIRECTORY=/var/cache/edge-worker \
    EDGE_WORKER_CONFIG=/etc/edge-worker/edge_worker.yaml \
    EDGE_WORKER__OPS__HTTP__HOST=127.0.0.1 \
    EDGE_WORKER__OPS__HTTP__PORT=9109
VOLUME ["/var/lib/edge-worker", "/var/cache/edge-worker"]
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=5s --start-period=6m --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['EDGE_WORKER__OPS__HTTP__PORT']}/healthz\", timeout=4)"]
ENTRYPOINT ["edge-worker"]
CMD ["run"]
