#!/usr/bin/env bash
# Tries the containers out with a real Docker engine: brings everything up beside whatever runs, votes, restarts
# every replica and Redis under load, checks that no ballot is lost, and takes everything down again.
# Needs docker with compose, and curl. Takes three and a half minutes, and the time to build the image.
set -euo pipefail
cd "$(dirname "$0")/.."

# Apart from a system that runs here already.
export COMPOSE_PROJECT_NAME=voting-try VOTING_IMAGE=voting-try PUBLISH=127.0.0.1
export VOTE_PORT=${VOTE_PORT:-18080} RESULT_PORT=${RESULT_PORT:-18081} OPERATOR_PORT=${OPERATOR_PORT:-18082}
export VOTE_REPLICAS=2 WORKER_REPLICAS=2 RESULT_REPLICAS=2
vote=http://127.0.0.1:$VOTE_PORT result=http://127.0.0.1:$RESULT_PORT

step() { printf '\n== %s\n' "$1"; }
fail() {
    echo "$1" >&2
    exit 1
}

scratch=$(mktemp -d)
tear_down() {
    local code=$?
    if [ "$code" -ne 0 ]; then
        docker compose ps --all
        docker compose logs --tail 50
    fi
    docker compose --profile load down --volumes --timeout 30
    rm -rf "$scratch"
    exit "$code"
}
trap tear_down EXIT

# await_that WHAT SECONDS COMMAND…
await_that() {
    local what=$1 tries=$(($2 * 5))
    shift 2
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "waited in vain: $what"
        sleep 0.2
    done
}

is_healthy() { [ "$(docker inspect --format '{{.State.Health.Status}}' "$1")" = healthy ]; }

# With each container the way it will be asked to stop in a deployment: one after another.
restart_each() {
    local id
    for id in $(docker compose ps --quiet "$1"); do
        docker restart -t 30 "$id" >/dev/null
        await_that "$1 is healthy again" 60 is_healthy "$id"
        echo "$1 $id"
    done
}

counted() {
    curl -sS "$result/v1/polls/cats-vs-dogs/tally" | grep -q "\"voters\":$1\\b"
}

# With it the load opens receipts, and sees whether they are in order.
secret() {
    docker compose run --rm --no-deps --no-TTY --entrypoint cat secrets /secrets/vote/voters
}

# load NAME ARGUMENT…: in the background; what it found goes to a file.
load() {
    local name=$1
    shift
    VOTING_SECRET=$(secret) docker compose run --rm --no-deps --no-TTY --env VOTING_SECRET load voting load --json --vote http://proxy:8080 --result http://proxy:8081 \
        --rate 200 "$@" >"$scratch/$name" &
    load=$!
}

# found NAME: it must have come to an end with nothing lost and nothing double.
found() {
    local code=0
    wait "$load" || code=$?
    cat "$scratch/$1"
    [ "$code" -eq 0 ] || fail "the load ends with $code"
}

step "up"
docker compose up --detach --build --wait --wait-timeout 180
for id in $(docker compose ps --quiet vote worker result proxy redis postgres); do
    is_healthy "$id" || fail "$id is not healthy"
done

step "a vote"
curl -sS --fail --output /dev/null --data vote=b "$vote/"
await_that "it is counted" 30 counted 1
for _ in 1 2 3 4; do
    curl -sS "$vote/" | grep -o 'Served by <[^<]*'
done | sort | uniq -c

step "rolling restarts under load"
load rolling --duration 75
restart_each vote
restart_each worker
restart_each result
found rolling
for outcome in refused unknown unreachable unexpected; do
    grep -q "\"$outcome\":0\\b" "$scratch/rolling" || fail "some ballots were $outcome"
done

step "Redis restarts, and is killed, under load"
load redis --duration 40
redis=$(docker compose ps --quiet redis)
docker restart "$redis" >/dev/null
await_that "Redis is healthy" 60 is_healthy "$redis"
docker kill "$redis" >/dev/null
docker start "$redis" >/dev/null
await_that "Redis is healthy" 60 is_healthy "$redis"
found redis

step "all goes down and up again, and the ballots are there"
voters=$(curl -sS "$result/v1/polls/cats-vs-dogs/tally" | grep -o '"voters":[0-9]*' | tr -dc 0-9)
docker compose down --timeout 30
docker compose up --detach --wait --wait-timeout 180
counted "$voters" || fail "there are not $voters voters any more"

step "the load that comes with it"
docker compose --profile load up --no-recreate --no-log-prefix --exit-code-from load load
