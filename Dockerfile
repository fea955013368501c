# Weir in one small image: built with the pinned toolchain, run by an ordinary user.
FROM rust:1.95.0-bookworm AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake g++ libboost-dev libssl-dev pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Dependencies first: the SIMD engine and the Kafka client take minutes and change seldom.
COPY Cargo.toml Cargo.lock rust-toolchain.toml ./
RUN mkdir -p src tests/it tests/kafka benches/baseline benches/classify benches/engine \
    benches/inspect benches/pipeline benches/stream tools/nab \
 && echo 'fn main() {}' > src/main.rs \
 && touch src/lib.rs tests/it/main.rs tests/kafka/main.rs benches/baseline/main.rs \
    benches/classify/main.rs benches/engine/main.rs benches/inspect/main.rs \
    benches/pipeline/main.rs benches/policy.rs benches/stream/main.rs \
    tools/nab/main.rs \
 && cargo build --release --locked --bin weir \
 && rm -r src
COPY src src
COPY patterns patterns
COPY policy policy
RUN touch src/main.rs src/lib.rs && cargo build --release --locked --bin weir

FROM debian:12.12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libssl3 libstdc++6 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin weir
COPY --from=build /src/target/release/weir /usr/local/bin/weir
USER 10001
WORKDIR /etc/weir
EXPOSE 9465
ENTRYPOINT ["/usr/local/bin/weir"]
CMD ["run"]
