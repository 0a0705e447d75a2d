# One image for everything: web, work, beat, migrate and every other command of manage.py.
#
#   docker build --tag docmill:0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" .
#   docker run --rm docmill:0.1.0 --help
#
# Nothing secret is needed to build it, and no setting is baked in that a container could not change.
# docs/deployment.md tells how it is run; tests/deploy rehearses what it does without an engine.

# The version of Python that the tests run on.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY requirements-extras.lock ./
# Every file is checked against the hashes in the lock file, and none is compiled from source.
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-deps --require-hashes --only-binary :all: \
        --no-compile --requirement requirements-extras.lock
COPY manage.py ./
COPY config ./config
COPY apps ./apps
COPY static ./static
COPY templates ./templates
# The pages at /errors tell what stands there.
COPY docs/errors.md ./docs/errors.md
ENV PATH=/opt/venv/bin:$PATH
# The data directory of the build holds a generated key that signs nothing; it goes with this stage.
RUN DOCMILL_DATA_DIR=/tmp/build STATIC_ROOT=/app/collected ENV_FILE=/dev/null \
        python manage.py collectstatic --noinput --verbosity 0 \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib /app \
    && chmod -R a+rX /opt/venv /app

FROM python:${PYTHON_VERSION}-slim-bookworm
# More languages for OCR beside English, German and Japanese: OCR_PACKAGES="tesseract-ocr-fra ...".
ARG OCR_PACKAGES=""
# tini is the first process: it hands SIGTERM on, and buries what killed readers leave.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini ${OCR_PACKAGES} \
    && rm -rf /var/lib/apt/lists/*
# A fixed number, so that volumes and Kubernetes can name it.
RUN groupadd --gid 10001 docmill \
    && useradd --uid 10001 --gid docmill --no-create-home --home-dir /data --shell /usr/sbin/nologin docmill \
    && install --directory --owner docmill --group docmill --mode 0700 /data /backups
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ENV_FILE=/dev/null \
    DOCMILL_DATA_DIR=/data \
    STATIC_ROOT=/app/collected
WORKDIR /app
USER 10001:10001
VOLUME ["/data", "/backups"]
EXPOSE 8000
STOPSIGNAL SIGTERM
# Of the web server. Workers and beat have a pulse instead: see docker-compose.yml.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/health/live'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["tini", "--", "python", "manage.py"]
CMD ["web", "--host", "0.0.0.0"]

ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Docmill" \
    org.opencontainers.image.description="Self-hosted batch document processing" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
