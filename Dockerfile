# The daemon and the command line. Runs as nobody in particular, and writes to its volume and
# /tmp only: docker run --read-only --tmpfs /tmp -v state:/var/lib/streamrnn ...
FROM python:3.13.7-slim-trixie AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY streamrnn streamrnn
COPY connectors connectors
COPY pipelines pipelines
RUN python -m venv /opt/streamrnn \
    && /opt/streamrnn/bin/pip install --no-cache-dir '.[confluent]'

FROM python:3.13.7-slim-trixie
RUN useradd --system --uid 10001 --user-group --no-create-home streamrnn \
    && install --directory --owner=streamrnn --group=streamrnn /var/lib/streamrnn
COPY --from=build /opt/streamrnn /opt/streamrnn
# Kernels are compiled on the first start, some half a minute, and kept beside the state.
ENV PATH=/opt/streamrnn/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STREAMRNN_CACHE_DIR=/var/lib/streamrnn/cache
USER 10001
WORKDIR /var/lib/streamrnn
VOLUME /var/lib/streamrnn
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=3m \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9464/livez', timeout=4)"]
ENTRYPOINT ["streamrnn"]
CMD ["run", "/etc/streamrnn/pipeline.toml"]
