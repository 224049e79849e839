# Each step is a script of this repository, and the tests run them: nothing happens only here.
FROM node:24-bookworm-slim AS build
WORKDIR /igris
COPY package.json package-lock.json .npmrc bunfig.toml ./
COPY scripts/bootstrap.mjs scripts/
RUN node scripts/bootstrap.mjs install
COPY . .
RUN node scripts/bootstrap.mjs build
RUN sh scripts/docker-layout.sh dist/igris /layout

FROM debian:bookworm-slim
COPY --from=build /layout/usr /usr
COPY --from=build --chown=65532:65532 /layout/data /data
ENV IGRIS_HOST=0.0.0.0 IGRIS_PORT=3100 IGRIS_DATA=/data
WORKDIR /data
USER 65532:65532
VOLUME /data
EXPOSE 3100
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["igris", "doctor", "--url", "http://127.0.0.1:3100"]
ENTRYPOINT ["igris"]
CMD ["serve"]
