# Commands that people type often. `just` lists them; https://just.systems/ has the program.
# Each recipe calls what is there without it: ./test, .ci/run and cargo.

# List the recipes.
default:
    @just --list

# Format the code.
fmt:
    cargo fmt --all

# Check format, lints, each back end alone, and the documentation. Warnings are errors.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    for features in "" memory sqlite redis postgres private-files conformance; do \
        cargo clippy -p voting-core --lib --locked --no-default-features --features "$features" -- -D warnings || exit; \
    done
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --locked

# Run all tests, or those that the arguments for `cargo test` name.
test *args:
    ./test {{ args }}

# Run the tests of the back ends, over real Redis and Postgres servers.
test-stores:
    ./test -p voting-core

# Run the tests of the pages in a real Chromium.
test-browser:
    ./test -p voting --test browser

# Write the committed OpenAPI documents again.
openapi:
    UPDATE_OPENAPI=1 cargo test -p voting-http --test openapi --locked

# Write the references of settings and metrics again.
reference:
    UPDATE_DOCS=1 cargo test -p voting-service --lib reference --locked
    UPDATE_DOCS=1 cargo test -p voting --test metrics --locked

# Run the services under load while everything around them fails, and count.
torture *args:
    cargo run --release --locked -p voting-torture -- {{ args }}

# See that the torture run finds builds that are broken on purpose.
torture-broken:
    cargo test -p voting-torture --test run --locked -- --ignored

# Feed a decoder with bytes for a minute (needs a nightly compiler and cargo-fuzz).
fuzz target="entry_decode":
    cargo +nightly fuzz run {{ target }} -- -max_total_time=60

# Measure whole paths against bounds of this machine.
bench *args:
    cargo run --release --locked -p voting-bench -- {{ args }}

# Check advisories, licences and sources of the dependencies (needs cargo-deny).
deny:
    cargo deny --locked check

# Compare the public API with the newest release, or with a git revision (needs cargo-semver-checks).
semver *revision:
    .ci/semver {{ revision }}

# Run all that a change must pass.
ci:
    .ci/run
