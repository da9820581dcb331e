# fileyard in an image of its own, as compose.yaml runs it. Others than these two images may be named by
# --build-arg, as the tests do.
ARG FILEYARD_RUST=rust:1.95-bookworm
ARG FILEYARD_DEBIAN=debian:bookworm-slim

FROM ${FILEYARD_RUST} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends libseccomp-dev
WORKDIR /src
COPY . .
# Alone in a directory: .cargo/config.toml says why.
RUN mkdir -p .cargo/lib && ln -s /usr/lib/*-linux-gnu/libseccomp.a .cargo/lib/
RUN cargo build --release --locked --package fileyard

FROM ${FILEYARD_DEBIAN}
# For a store that is spoken to over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/fileyard /usr/local/bin/fileyard
COPY compose/entry.sh /usr/local/lib/fileyard/entry.sh
ENV FILEYARD_DATA=/data
EXPOSE 8787
ENTRYPOINT ["/bin/sh", "/usr/local/lib/fileyard/entry.sh"]
CMD ["serve"]
