# The one image of every role: `trigger-engine run ROLE`. Built in any base that has Python 3.11 or newer with venv:
#   docker build -t trigger-engine .
#   docker build -t trigger-engine --build-arg BASE=debian:bookworm --build-arg EXTRAS=cluster,demo .
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ARG EXTRAS=cluster
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY agent agent
COPY backbone backbone
COPY dispatcher dispatcher
COPY gateway gateway
COPY launcher launcher
COPY schemas schemas
COPY trigger_engine trigger_engine
RUN python3 -m venv /opt/trigger-engine \
    && /opt/trigger-engine/bin/pip install --quiet --no-cache-dir --disable-pip-version-check \
       --constraint constraints.txt ".[${EXTRAS}]" \
    && /opt/trigger-engine/bin/python -m compileall -q /opt/trigger-engine

FROM ${BASE}
COPY --from=build /opt/trigger-engine /opt/trigger-engine
# Nobody's home and nobody's shell. The root file system may be read-only: what is written goes to /data and /tmp.
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin engine \
    && install -d -o engine -g engine /data
ENV PATH=/opt/trigger-engine/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 TRIGGER_ENGINE_DATA=/data
USER 10001
VOLUME /data
ENTRYPOINT ["trigger-engine"]
CMD ["--help"]
