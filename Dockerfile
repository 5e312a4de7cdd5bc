# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt \
 && python -m venv --without-pip /opt/engagement-exporter \
 && /opt/build/bin/pip --python /opt/engagement-exporter/bin/python install --no-cache-dir --require-hashes \
      -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
# compiled here, since nothing can be written at run time and a start without bytecode takes four times as long
RUN /opt/build/bin/python -m hatchling build -t wheel \
 && /opt/build/bin/pip --python /opt/engagement-exporter/bin/python install --no-cache-dir --no-deps dist/*.whl \
 && /opt/engagement-exporter/bin/python -m compileall -q /opt/engagement-exporter/lib \
 && mkdir storage

FROM python:3.13-slim
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="engagement-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the use of learning and participation platforms" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV ENGAGEMENT_EXPORTER_REVISION="${REVISION}" \
    PATH="/opt/engagement-exporter/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=build /opt/engagement-exporter /opt/engagement-exporter
COPY --from=build --chown=65532:65532 /build/storage /var/lib/engagement-exporter
VOLUME /var/lib/engagement-exporter
USER 65532:65532
WORKDIR /etc/engagement-exporter
EXPOSE 10360
HEALTHCHECK --interval=30s --timeout=6s --start-period=10s CMD ["engagement-exporter", "healthcheck"]
ENTRYPOINT ["engagement-exporter"]
CMD ["--config.file=/etc/engagement-exporter/config.yaml", "--storage.path=/var/lib/engagement-exporter"]
