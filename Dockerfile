# One image with all programs; the command chooses: voting-vote, voting-worker, voting-result, or voting.
ARG BUILD_IMAGE=rust:1.95-bookworm
# Of the same Debian, without a shell, as user 65532.
ARG RUN_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
# `release` builds in a fraction of the time.
ARG PROFILE=dist
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --locked --profile "$PROFILE" \
        -p voting -p voting-vote -p voting-worker -p voting-result \
    && mkdir /programs \
    && for program in voting voting-vote voting-worker voting-result; do \
        cp "target/$PROFILE/$program" /programs/ || exit; \
    done

FROM ${RUN_IMAGE}
COPY --from=build /programs/ /usr/local/bin/
USER 65532:65532
EXPOSE 8080 8081 8082
CMD ["voting"]
