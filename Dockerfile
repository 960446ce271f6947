# Worker and gateway in containers. How to run them: docs/deployment.md
#
#     docker build -t edge-worker .
#     docker build -t edge-worker-gateway --target gateway .
#
# The base is pinned to a release; pin it to a digest as well with --build-arg BASE=python:3.12.12-slim-bookworm@sha256:…
ARG BASE=python:3.12.12-slim-bookworm

# The package with its kernels. The compiler stays in this stage.
FROM ${BASE} AS wheel
ARG SETUPTOOLS=84.2.1
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml setup.py README.md LICENSE ./
COPY config/edge_worker.yaml ./config/
COPY edge_worker ./edge_worker
RUN pip install "setuptools==${SETUPTOOLS}" \
 && pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

# An empty environment. What is installed into it are wheels with their hashes; nothing is compiled, on x86-64 or aarch64.
FROM ${BASE} AS environment
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all:
WORKDIR /source
RUN python -m venv /opt/edge-worker

FROM environment AS worker-environment
COPY deploy/requirements.txt ./
RUN /opt/edge-worker/bin/pip install --require-hashes -r requirements.txt
COPY --from=wheel /wheels /wheels
RUN /opt/edge-worker/bin/pip install --no-deps --no-index /wheels/*.whl && /opt/edge-worker/bin/pip uninstall --yes pip

# The models in the package are for workers.
FROM environment AS gateway-environment
COPY deploy/gateway.txt ./
RUN /opt/edge-worker/bin/pip install --require-hashes -r gateway.txt
COPY --from=wheel /wheels /wheels
RUN /opt/edge-worker/bin/pip install --no-deps --no-index /wheels/*.whl && /opt/edge-worker/bin/pip uninstall --yes pip \
 && rm -r /opt/edge-worker/lib/python3*/site-packages/edge_worker/models/*/

# State and cache are named as systemd names them.
FROM ${BASE} AS runtime
RUN groupadd --system --gid 10001 edge-worker \
 && useradd --system --uid 10001 --gid edge-worker --no-create-home --shell /usr/sbin/nologin edge-worker \
 && install -d -o edge-worker -g edge-worker -m 0700 /var/lib/edge-worker /var/cache/edge-worker
COPY config/edge_worker.yaml /etc/edge-worker/edge_worker.yaml
ENV PATH=/opt/edge-worker/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STATE_DIRECTORY=/var/lib/edge-worker \
    CACHE_DIRECTORY=/var/cache/edge-worker \
    EDGE_WORKER_CONFIG=/etc/edge-worker/edge_worker.yaml
USER 10001:10001
ENTRYPOINT ["edge-worker"]

# It listens for others, so it starts only with gateway.token_file or gateway.proxy_secret_file. The state is for jobs.
FROM runtime AS gateway
COPY --from=gateway-environment /opt/edge-worker /opt/edge-worker
ENV EDGE_WORKER__GATEWAY__HOST=0.0.0.0 \
    EDGE_WORKER__GATEWAY__PORT=8080
EXPOSE 8080
VOLUME ["/var/lib/edge-worker"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['EDGE_WORKER__GATEWAY__PORT']}/healthz\", timeout=4)"]
CMD ["gateway"]

# The health page listens inside the container only.
FROM runtime AS edge-worker
COPY --from=worker-environment /opt/edge-worker /opt/edge-worker
ENV EDGE_WORKER__OPS__HTTP__HOST=127.0.0.1 \
    EDGE_WORKER__OPS__HTTP__PORT=9109
VOLUME ["/var/lib/edge-worker", "/var/cache/edge-worker"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=6m --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['EDGE_WORKER__OPS__HTTP__PORT']}/healthz\", timeout=4)"]
CMD ["run"]
