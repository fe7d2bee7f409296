# docker build -t attentd . && docker run --rm --stop-timeout 35 -p 127.0.0.1:8080:8080 -v attentd-kb:/var/lib/attentd/kb attentd
# The first stage builds, fetches the default models and installs; the second has neither compiler nor Python.
FROM debian:12 AS build
WORKDIR /src
# Packages first: this layer is kept as long as the list is.
COPY scripts/install-deps scripts/install-deps
RUN scripts/install-deps python3-pip
COPY . .
RUN scripts/quickstart --prepare \
 && meson install -C build --no-rebuild --strip --destdir /out \
 && mkdir -p /out/var/lib/attentd && cp -r var/models var/kb /out/var/lib/attentd/

FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends libmicrohttpd12 libjansson4 libopenblas0-pthread libutf8proc2 libpcre2-8-0 \
    libsqlite3-0 libinih1 libsystemd0 libgnutls30 libcurl4 libexpat1 libhiredis0.14 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --no-create-home --shell /usr/sbin/nologin attentd
COPY --from=build /out /
# The knowledge base is written to at run time: it belongs to the service, and lives in a volume.
RUN chown -R attentd:attentd /var/lib/attentd/kb
VOLUME /var/lib/attentd/kb
WORKDIR /var/lib/attentd
USER attentd
EXPOSE 8080
# Inside a container every interface is the container's own; publish the port with care (docs/operations.md).
ENTRYPOINT ["attentd", "--config", "/etc/attentd/attentd.conf", "--listen", "0.0.0.0:8080"]
