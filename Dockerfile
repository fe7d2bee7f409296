# docker build -t attentd . && docker run --rm -p 127.0.0.1:8080:8080 attentd
# The first stage builds and fetches the default models; the second has neither compiler nor Python.
FROM debian:12 AS build
WORKDIR /src
# Packages first: this layer is kept as long as the list is.
COPY scripts/install-deps scripts/install-deps
RUN scripts/install-deps python3-pip
COPY . .
RUN scripts/quickstart --prepare && strip build/attentd build/attend

FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends libmicrohttpd12 libjansson4 libopenblas0-pthread libutf8proc2 libpcre2-8-0 \
    libsqlite3-0 libinih1 libsystemd0 libgnutls30 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --no-create-home --shell /usr/sbin/nologin attentd
WORKDIR /opt/attentd
COPY --from=build /src/build/attentd /src/build/attend /usr/local/bin/
COPY --from=build /src/conf conf
COPY --from=build /src/models models
COPY --from=build /src/var/models var/models
# The knowledge base is written to at run time: it belongs to the service, and lives in a volume.
COPY --from=build --chown=attentd:attentd /src/var/kb var/kb
VOLUME /opt/attentd/var/kb
USER attentd
EXPOSE 8080
# Inside a container every interface is the container's own; publish the port with care (docs/operations.md).
ENTRYPOINT ["attentd", "--config", "conf/attentd.conf", "--listen", "0.0.0.0:8080"]
