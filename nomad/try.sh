#!/usr/bin/env bash
# Runs the jobs on a Nomad of its own, a server and two clients on this machine, and does to them what operators
# and bad days do, under load. Ends with 0 if all went as the README says.
#
#   nomad/try.sh [--logs FOLDER] [folder with the programs; target/debug unless given]
#
# Needs nomad (1.10 or later), haproxy, redis-server, Postgres, jq, curl and openssl, and is best run as root: as
# anybody else, nothing changes users. Takes about 13 minutes. Everything is in a temporary folder and in a network of its
# own. Nothing of it is left when it ends, fails or is interrupted (see alone.sh), except the logs in FOLDER, if one is
# given.
set -euo pipefail
[ -n "${ALONE:-}" ] || exec "$(dirname "$0")/alone.sh" "$0" "$@"
dir=$ALONE

logs=$dir/logs
if [ "${1:-}" = --logs ]; then
  logs=$(realpath -m "$2")
  shift 2
fi
mkdir -p "$logs"
cd "$(dirname "$0")/.."
jobs=$PWD/nomad
bin=$(realpath "${1:-target/debug}")

for program in nomad haproxy redis-server jq curl openssl "$bin/voting" "$bin/voting-vote"; do
  command -v "$program" >/dev/null || { echo "try.sh: $program is missing" >&2; exit 1; }
done

started=$SECONDS

say() { printf '%4d s  %s\n' $((SECONDS - started)) "$*"; }
fail() {
  say "WRONG: $*"
  exit 1
}

# Runs a command every half second until it is true, for so many seconds, or three times as many on a machine that is
# busy with other things. Nothing is lost if it is true sooner.
await() {
  local what=$1 limit=$((SECONDS + 3 * $2))
  shift 2
  until "$@"; do
    [ $SECONDS -lt $limit ] || fail "waited in vain: $what"
    sleep 0.5
  done
  say "$what"
}

declare -A agents

# What helps to find out why it failed.
# shellcheck disable=SC2317 # a trap calls it
report() {
  local status=$? log
  [ $status -ne 0 ] || return 0
  set +e
  for job in voting-stores voting-migrate voting voting-front; do nomad job status "$job"; done >"$logs/status" 2>&1
  for log in "$dir"/?/alloc/*/alloc/logs/*.std*; do
    cp "$log" "$logs/$(basename "$(dirname "$(dirname "$(dirname "$log")")")").$(basename "$log")"
  done
  tail -n 20 "$logs/runs"
  if [ "$logs" = "$dir/logs" ]; then
    say "with --logs FOLDER, what was logged is kept"
  else
    say "what was logged is in $logs"
  fi
}
trap report EXIT

# --- a Nomad of its own -------------------------------------------------------------------------------------

base=20000
export NOMAD_CLI_SHOW_HINTS=0 NOMAD_ADDR=http://127.0.0.1:$base
vote=http://127.0.0.1:$((base + 20))
result=http://127.0.0.1:$((base + 21))

common() {
  cat <<HCL
name                 = "$1"
bind_addr            = "127.0.0.1"
data_dir             = "$dir/$1"
disable_update_check = true
log_level            = "INFO"
ports {
  http = $2
  rpc  = $(($2 + 1))
  serf = $(($2 + 2))
}
advertise {
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}
acl { enabled = true }
HCL
}

{
  common server "$base"
  echo 'server {'
  echo '  enabled           = true'
  echo '  bootstrap_expect  = 1'
  echo '  min_heartbeat_ttl = "3s"'
  # A busy machine is no lost client.
  echo '  heartbeat_grace   = "10s"'
  echo '}'
} >"$dir/server.hcl"
client() {
  common "$1" "$2"
  cat <<HCL
client {
  enabled           = true
  servers           = ["127.0.0.1:$((base + 1))"]
  network_interface = "lo"

  preferred_address_family = "ipv4"

  min_dynamic_port  = $(($2 + 10))
  max_dynamic_port  = $(($2 + 60))
  options           = { "fingerprint.denylist" = "env_aws,env_azure,env_digitalocean,env_gce,consul,vault" }
}
plugin "raw_exec" {
  config { enabled = true }
}
HCL
}
client a $((base + 100)) >"$dir/a.hcl"
client b $((base + 200)) >"$dir/b.hcl"

agent() {
  # Tasks that run as other users must get through to their folders.
  mkdir -m 711 "$dir/$1" "$dir/$1/host_volumes"
  nomad agent -config "$dir/$1.hcl" >"$logs/$1.log" 2>&1 &
  agents[$1]=$!
}

leader() { [ "$(curl -s "$NOMAD_ADDR/v1/status/leader")" != '""' ] && curl -sf "$NOMAD_ADDR/v1/status/leader" >/dev/null; }
nodes() { [ "$(nomad node status -json | jq 'map(select(.Status == "ready")) | length')" -ge "$1" ]; }
node() { nomad node status -json | jq -r --arg name "$1" '.[] | select(.Name == $name) | .ID'; }

agent server
await "the server leads" 60 leader
NOMAD_TOKEN=$(nomad acl bootstrap -json | jq -r .SecretID)
export NOMAD_TOKEN
agent a
await "a client is ready" 60 nodes 1

# --- what is asked of it ------------------------------------------------------------------------------------

# The allocations of a job that should run and do, of a group and on a client if these are given.
running() {
  nomad job allocs -json "$1" | jq -c --arg group "${2:-}" --arg node "${3:-}" 'map(select(
    .ClientStatus == "running" and .DesiredStatus == "run"
    and ($group == "" or .TaskGroup == $group) and ($node == "" or .NodeID == $node)))'
}
ids() { running "$@" | jq -r '.[].ID' | sort; }
count() { ids "$@" | wc -l; }
is() { [ "$("${@:2}")" = "$1" ]; }
# Whether all that runs of a job passes its checks.
healthy() { [ "$(running "$1" | jq 'length > 0 and all(.DeploymentStatus.Healthy)')" = true ]; }
deployment() { nomad deployment list -json | jq -r --arg job "$1" 'map(select(.JobID == $job)) | max_by(.CreateIndex) | .Status'; }
restarts() { running "$@" | jq '[.[].TaskStates[].Restarts] | add'; }
ended() { [ "$(nomad job allocs -json "$1" | jq 'length > 0 and all(.ClientStatus == "complete")')" = true ]; }

# The process of an allocation's task: what Nomad's executor has started.
main_process() { pgrep -P "$(pgrep -f "^[^ ]*nomad executor .*/alloc/$1/")"; }
descendants() {
  local child
  for child in $(pgrep -P "$1"); do
    echo "$child"
    descendants "$child"
  done
}

item() { nomad var get -item "$1" "$2"; }
# Casts ballots in the background until its verdict is asked for, for ten minutes at most. It opens receipts with the
# secret, and sees whether they are in order.
load() {
  # What a store's restart has left to the next worker is counted after 30 s.
  await "nothing is pending" 60 is 0 pending
  VOTING_SECRET=$(item secret nomad/jobs/voting/vote) \
    VOTING_POSTGRES__URL="postgres://voting:$(item password nomad/jobs/voting-stores/postgres)@127.0.0.1:$((base + 24))/voting" \
    "$bin/voting" load --vote "$vote" --result "$result" --poll "$poll" --json --rate 200 --duration 600 \
    --patience 90 >"$logs/$1.json" 2>"$logs/$1.err" &
  loading=$!
  await "the load '$1' has begun" 20 grep -sq acknowledged "$logs/$1.err"
}
# Ends the load, and says what it found out; `whole` if no ballot may have failed at all. A ballot that was due and not
# sent when the load ended is missed: that says something of this machine, and nothing of the voting system.
verdict() {
  local found=$logs/$1.json
  # Some ballots after all that was done.
  sleep 5
  kill -TERM "$loading" || fail "the load '$1' ended by itself: $(tail -n 3 "$found" "$logs/$1.err")"
  wait "$loading" || fail "the load '$1' ended with $?: $(tail -n 3 "$found" "$logs/$1.err")"
  say "$1: $(jq -c '.counts + { missed, lost, double, miscounted } | map_values(select(. > 0))' "$found"), none lost, none double"
  is 0 jq .receipts_unopened "$found" || fail "the load '$1' could not open receipts"
  [ "${2:-}" = whole ] || return 0
  is 0 jq '.counts | .refused + .unknown + .unreachable + .unexpected' "$found" || fail "ballots failed under '$1'"
  # With less than nine tenths sent, there was no such load.
  is true jq '.missed * 10 < .counts.due' "$found" || fail "the load '$1' could not be sent"
}
run() { nomad job run "$@" >>"$logs/runs" 2>&1; }
# Where a service's instances are, each for itself: the front asks one of them, and may ask another the next time.
each() { nomad service info -json "$1" | jq -r '.[] | "http://\(.Address):\(.Port)"'; }
pending() {
  curl -sf -H "Authorization: Bearer $(item token nomad/jobs/voting/worker)" "$(each voting-worker | head -n 1)/v1/pipeline" |
    jq .pending
}
# How many have voted, as all result services say.
votes() {
  local url
  for url in "$result" $(each voting-result); do
    curl -sf "$url/v1/polls/$poll/tally" | jq .voters
  done | sort -u
}
agreed() { is 1 eval 'votes | wc -l'; }
# Whether all services, and the front, have the poll.
has_poll() {
  local url
  for url in "$vote" $(each voting-vote); do curl -sfo /dev/null "$url/v1/polls/$1" || return 1; done
  for url in "$result" $(each voting-result); do curl -sfo /dev/null "$url/v1/polls/$1/tally" || return 1; done
}

# The commands in the README below a heading, as they stand there: those blocks of them that are named, by number.
# They find the jobs where they look for them.
ln -s "$jobs" "$dir/tmp/nomad"
typed() {
  local heading=$1
  shift
  awk -v heading="## $heading" -v blocks=" $* " '
    /^## / { inside = ($0 == heading) }
    /^```$/ { code = 0 }
    inside && code && index(blocks, " " block " ") { print }
    inside && /^```sh$/ { code = 1; block++ }' nomad/README.md >"$dir/commands"
  [ -s "$dir/commands" ] || fail "the README has no such commands: $heading, $*"
  (cd "$dir/tmp" && PATH=$bin:$NOMAD_VAR_postgres_bin:$PATH bash -euxo pipefail "$dir/commands") >>"$logs/runs" 2>&1 ||
    fail "the commands under '$heading' do not work"
}

# --- from an empty cluster to a vote counted ----------------------------------------------------------------

# As the given user if this one may, else as this one.
as() {
  local user=$1
  [ "$(id -u)" -eq 0 ] || user=$(id -un)
  echo "{ name = \"$user\", uid = $(id -u "$user"), gid = $(id -g "$user") }"
}
volume() {
  local user=$1
  [ "$(id -u)" -eq 0 ] || user=$(id -un)
  sed "s/uid .*/uid = \"$(id -u "$user")\"/; s/gid .*/gid = \"$(id -g "$user")\"/" "$jobs/$1.volume.hcl" |
    nomad volume create - >/dev/null
}
path() {
  nomad volume status -type host -json "$(nomad volume status -type host -json |
    jq -r --arg name "$1" '.[] | select(.Name == $name) | .ID')" | jq -r .HostPath
}

"$jobs/secrets.sh" >/dev/null
is "The secrets are there already." "$jobs/secrets.sh" || fail "secrets are made twice"
volume redis
volume postgres
NOMAD_VAR_driver=raw_exec
NOMAD_VAR_bin_dir=$bin
NOMAD_VAR_redis_dir=$(path voting-redis)
NOMAD_VAR_postgres_dir=$(path voting-postgres)
NOMAD_VAR_postgres_bin=$(dirname "$(find /usr/lib/postgresql -name initdb | sort -V | tail -n 1)")
NOMAD_VAR_haproxy=$(command -v haproxy)
NOMAD_VAR_redis_user=$(as redis)
NOMAD_VAR_postgres_user=$(as postgres)
NOMAD_VAR_user=$(as nobody)
NOMAD_VAR_vote_port=$((base + 20))
NOMAD_VAR_result_port=$((base + 21))
NOMAD_VAR_redis_port=$((base + 23))
NOMAD_VAR_postgres_port=$((base + 24))
export NOMAD_VAR_driver NOMAD_VAR_bin_dir NOMAD_VAR_redis_dir NOMAD_VAR_postgres_dir NOMAD_VAR_postgres_bin \
  NOMAD_VAR_haproxy NOMAD_VAR_redis_user NOMAD_VAR_postgres_user NOMAD_VAR_user NOMAD_VAR_vote_port \
  NOMAD_VAR_result_port NOMAD_VAR_redis_port NOMAD_VAR_postgres_port

for job in "$jobs"/*.nomad.hcl; do
  for driver in docker exec; do
    NOMAD_VAR_driver=$driver nomad job validate "$job" >>"$logs/runs" || fail "$job is not valid for $driver"
  done
done
say "the jobs are valid for docker and exec, too"

# The services first: they wait for what they need.
run -detach "$jobs/voting.nomad.hcl"
sleep 3
run "$jobs/stores.nomad.hcl" || fail "the stores do not run"
say "the stores run"
run "$jobs/migrate.nomad.hcl"
await "the tables are there" 60 ended voting-migrate
await "the services are deployed" 90 is successful deployment voting
run "$jobs/front.nomad.hcl" || fail "the front does not run"

poll=cats-vs-dogs
answered() { is 200 curl -s -o /dev/null -w '%{http_code}' -X POST -d vote=b "$vote/"; }
await "a vote is taken" 10 answered
await "the vote is counted" 10 is 1 votes
is 404 curl -s -o /dev/null -w '%{http_code}' "$vote/metrics" || fail "the front shows the metrics"

run "$jobs/migrate.nomad.hcl"
await "migrating again changes nothing" 60 ended voting-migrate

if [ "$(id -u)" -eq 0 ]; then
  for alloc in $(ids voting) $(ids voting-stores) $(ids voting-front); do
    [ "$(stat -c %u "/proc/$(main_process "$alloc")")" -ne 0 ] || fail "something runs as root"
  done
  open=$(find "$dir"/a/alloc/*/*/secrets/ -type f ! -name '.*' -perm /377)
  [ -z "$open" ] || fail "secrets that others can read: $open"
  say "nothing runs as root, and secrets are for their reader only"
fi

# --- a new version, and one that does not work --------------------------------------------------------------

load update
run -var 'settings={ VOTING_LOG = "debug" }' "$jobs/voting.nomad.hcl" || fail "the new version is not deployed"
verdict update whole
is successful deployment voting || fail "the new version was not deployed"

cat >"$dir/tmp/voting.toml" <<'TOML'
log = "debug"

[[polls]]
id = "lunch"
title = "{{ soup }} or ${rice}?"
options = [{ id = "soup", label = "Soup" }, { id = "rice", label = "Rice" }]
TOML
typed "Settings" 1
is successful deployment voting || fail "new settings were not deployed"
await "a poll of the settings is there" 10 has_poll lunch
# shellcheck disable=SC2016 # as it stands in the file
is '{{ soup }} or ${rice}?' eval 'curl -s "$vote/v1/polls/lunch" | jq -r .title' || fail "the settings were changed on their way"

load canary
before=$(ids voting)
! run -var 'config=[vote]
listn = "127.0.0.1:1"' "$jobs/voting.nomad.hcl" || fail "settings with a typo are deployed"
await "settings with a typo are taken back" 60 is successful deployment voting
is "$before" ids voting || fail "the old version did not go on as it was"
grep -q 'vote\.listn' "$dir"/a/alloc/*/alloc/logs/*.stderr.0 || fail "no log names the typo"
has_poll lunch || fail "the settings are not the old ones"
verdict canary whole

# --- what dies is started again ------------------------------------------------------------------------------

load kill
before=$(restarts voting vote)
for group in "voting-stores redis" "voting-stores postgres" "voting vote" "voting worker" "voting result" "voting-front front"; do
  read -r job name <<<"$group"
  alloc=$(ids "$job" "$name" | head -n 1)
  was=$(restarts "$job" "$name")
  kill -KILL "$(main_process "$alloc")"
  await "$name is killed and starts again" 30 is $((was + 1)) restarts "$job" "$name"
done
is $((before + 1)) restarts voting vote || fail "a vote service was restarted for its store"
verdict kill
await "all is well again" 30 healthy voting

alloc=$(ids voting vote | head -n 1)
was=$(restarts voting vote)
kill -STOP "$(main_process "$alloc")"
await "a vote service that hangs is restarted" 90 is $((was + 1)) restarts voting vote

load stores
before=$(ids voting)
was=$(restarts voting)
run -var redis_memory=1100 -var postgres_memory=1100 "$jobs/stores.nomad.hcl" || fail "the stores are not replaced"
is "$before" ids voting || fail "services were replaced for their stores"
is "$was" restarts voting || fail "services were restarted for their stores"
verdict stores
is 1 eval "pgrep -fc 'redis-server .*:$((base + 23))'" || fail "there is not one Redis"

# --- the database is lost -------------------------------------------------------------------------------------

load restore
typed "Backup and restore" 1 2
sleep 5
typed "Backup and restore" 1 3
await "the database is restored" 60 healthy voting
verdict restore whole

# --- a second client ------------------------------------------------------------------------------------------

agent b
await "a second client is ready" 60 nodes 2
a=$(node a) b=$(node b)
nomad job scale voting vote 4 >>"$logs/runs" 2>&1
nomad job scale voting worker 4 >>"$logs/runs" 2>&1
both() { [ "$(count voting vote "$b")" -ge 1 ] && [ "$(count voting worker "$b")" -ge 1 ] && is 4 count voting vote && healthy voting; }
await "scaled up, onto both clients" 90 both

load drain
nomad node drain -enable -yes -deadline 2m "$b" >/dev/null
await "a client is drained" 30 is 0 count voting "" "$b"
await "what it ran is elsewhere" 90 is 4 count voting vote "$a"
verdict drain whole
nomad node drain -disable -yes "$b" >/dev/null
nomad job scale voting vote 5 >>"$logs/runs" 2>&1
nomad job scale voting worker 5 >>"$logs/runs" 2>&1
await "the client takes part again" 90 is 1 count voting vote "$b"
await "… with a worker" 90 is 1 count voting worker "$b"

# The client and all that it runs stand still, as if the machine had.
load machine
frozen="${agents[b]} $(descendants "${agents[b]}" | tr '\n' ' ')"
# shellcheck disable=SC2086
kill -STOP $frozen
await "a client is not heard of" 60 eval '! nodes 2'
await "others take over the votes" 90 is 5 count voting vote "$a"
await "others take over the work" 90 is 5 count voting worker "$a"
# Including what those that stand still had in hand.
verdict machine
# shellcheck disable=SC2086
kill -CONT $frozen
await "it is back" 60 nodes 2
await "… and there are as many as before" 90 is 5 count voting vote

# The client of the stores is cut off from the servers.
load cut
before=$(ids voting-stores)
kill -STOP "${agents[a]}"
unknown() { [ "$(nomad job allocs -json voting-stores | jq 'map(select(.ClientStatus == "unknown")) | length')" -eq 2 ]; }
await "the stores' client is not heard of" 60 unknown
sleep 10
is 2 eval "nomad job allocs -json voting-stores | jq 'map(select(.DesiredStatus == \"run\" and (.ClientStatus | IN(\"unknown\", \"running\", \"pending\")))) | length'" || fail "a store was to run twice"
verdict cut
kill -CONT "${agents[a]}"
await "it is back" 60 nodes 2
await "the stores are those of before" 60 is "$before" ids voting-stores

# The stores' client is drained: they stop, and wait for it.
await "all result services say the same" 30 agreed
was=$(votes)
nomad node drain -enable -yes -deadline 30s "$a" >/dev/null
await "the stores' client is drained" 60 is 0 count voting-stores
nomad node drain -disable -yes "$a" >/dev/null
await "the stores are back" 90 is 2 count voting-stores
await "votes are taken again" 90 answered
await "all votes are there" 30 is $((was + 1)) votes

# --- taken down -----------------------------------------------------------------------------------------------

typed "Take all of it down" 1
! pgrep -f "^[^ ]*nomad executor " >/dev/null || fail "tasks are left"
say "all tasks have ended"
typed "Take all of it down" 2
is "No running jobs" nomad job status || fail "jobs are left"
is "" find "$dir"/a/host_volumes "$dir"/b/host_volumes -mindepth 1 || fail "volumes are left"
is 0 eval 'nomad var list -out json | jq length' || fail "secrets are left"
say "the jobs, the volumes and the secrets are gone"
say "all is as it should be"
