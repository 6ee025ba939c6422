# The service only, without torch and MLflow (docs/serve.md):
#   docker build -t ste-serve .
#   docker run --rm -p 8000:8000 -v "$PWD/model.onnx:/models/model.onnx:ro" -e STE_API_KEYS=KEY ste-serve
FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/ste
COPY docker/requirements.txt constraints.txt /build/
RUN /opt/ste/bin/pip install -c /build/constraints.txt -r /build/requirements.txt
COPY pyproject.toml README.md /build/ste/
COPY src /build/ste/src
COPY conf /build/ste/conf
# Without dependencies: those of training take gigabytes.
RUN /opt/ste/bin/pip install --no-deps /build/ste && rm -rf /opt/ste/bin/pip*

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin ste && install -d -o ste /srv/ste /models
COPY --from=build /opt/ste /opt/ste
ENV PATH=/opt/ste/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER ste
WORKDIR /srv/ste
EXPOSE 8000
# On SIGTERM the service answers the requests in flight.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["python", "-m", "ste.serve", "host=0.0.0.0", "port=8000", "hydra.run.dir=/tmp/ste"]
CMD ["model=/models/model.onnx"]
