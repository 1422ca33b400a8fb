#!/usr/bin/env bash
# Runs the jobs on a Nomad of its own, a server and two clients on this machine, and does to them what operators
# and bad days do, under load. Ends with 0 if all went as the README says.
#
#   nomad/try.sh [folder with the programs; target/debug unless given]
#
# Needs nomad (1.10 or later), haproxy, redis-server, Postgres, jq, curl and openssl, and is best run as root: as
# anybody else, nothing changes users. Takes about 10 minutes. Everything is in a temporary folder, on free ports
# of the loopback address. All that it started is ended when it ends.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=$PWD/nomad
bin=$(realpath "${1:-target/debug}")

for program in nomad haproxy redis-server jq curl openssl "$bin/voting" "$bin/voting-vote"; do
  command -v "$program" >/dev/null || { echo "try.sh: $program is missing" >&2; exit 1; }
done

dir=$(mktemp -d /tmp/nomad-try.XXXXXX)
chmod 755 "$dir"
started=$SECONDS

say() { printf '%4d s  %s\n' $((SECONDS - started)) "$*"; }
fail() {
  say "WRONG: $*"
  exit 1
}

# Runs a command every half second until it is true, for so many seconds.
await() {
  local what=$1 limit=$((SECONDS + $2))
  shift 2
  until "$@"; do
    [ $SECONDS -lt $limit ] || fail "waited in vain: $what"
    sleep 0.5
  done
  say "$what"
}

agents=()
loads=()

cleanup() {
  local status=$?
  trap - EXIT
  set +e
  if [ $status -ne 0 ]; then
    {
      nomad job status
      for job in voting-stores voting-migrate voting voting-front; do nomad job status "$job"; done
    } >"$dir/status" 2>&1
  fi
  [ ${#loads[@]} -eq 0 ] || kill "${loads[@]}" 2>/dev/null
  # A client that stands still could not stop its tasks.
  [ ${#agents[@]} -eq 0 ] || kill -CONT "${agents[@]}" 2>/dev/null
  for job in voting-front voting voting-migrate voting-stores; do
    timeout 60 nomad job stop -purge -no-shutdown-delay "$job" >/dev/null 2>&1
  done
  [ ${#agents[@]} -eq 0 ] || kill -INT "${agents[@]}" 2>/dev/null
  wait
  # What is left after all of the tasks, which live on without their agent.
  for process in /proc/[0-9]*; do
    case $(readlink "$process/cwd") in "$dir"/*) kill -KILL "${process#/proc/}" ;; esac
  done 2>/dev/null
  grep -h " $dir/" /proc/mounts | cut -d' ' -f2 | sort -r | xargs -r -n1 umount
  if [ $status -eq 0 ]; then
    rm -rf "$dir"
    say "all is as it should be"
  else
    say "what was logged is in $dir"
  fi
  exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# --- a Nomad of its own -------------------------------------------------------------------------------------

base=$((20000 + RANDOM % 10 * 1000))
until [ -z "$(ss -Hltn "sport >= $base and sport < $((base + 500))")" ]; do base=$((base + 1000)); done
export NOMAD_ADDR=http://127.0.0.1:$base
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
  echo '  heartbeat_grace   = "3s"'
  echo '}'
} >"$dir/server.hcl"
client() {
  common "$1" "$2"
  cat <<HCL
client {
  enabled           = true
  servers           = ["127.0.0.1:$((base + 1))"]
  network_interface = "lo"
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
  nomad agent -config "$dir/$1.hcl" >"$dir/$1.log" 2>&1 &
  agents+=($!)
  eval "agent_$1=$!"
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

# --- from an empty cluster to a vote counted ----------------------------------------------------------------

id() { id "$1" "$2" 2>/dev/null || echo 0; }
as() {
  local user=$1
  [ "$(command id -u)" -eq 0 ] || user=$(command id -un)
  echo "{ name = \"$user\", uid = $(command id -u "$user"), gid = $(command id -g "$user") }"
}
owner() { sed "s/uid .*/uid = \"$(command id -u "$1")\"/; s/gid .*/gid = \"$(command id -g "$1")\"/" "$2"; }
path() { nomad volume status -type host -json "$(volume "$1")" | jq -r .HostPath; }
volume() { nomad volume status -type host -json | jq -r --arg name "$1" '.[] | select(.Name == $name) | .ID'; }

"$jobs/secrets.sh"
owner redis "$jobs/redis.volume.hcl" | nomad volume create -
owner postgres "$jobs/postgres.volume.hcl" | nomad volume create -
NOMAD_VAR_driver=raw_exec
NOMAD_VAR_bin_dir=$bin
NOMAD_VAR_redis_dir=$(path voting-redis)
NOMAD_VAR_postgres_dir=$(path voting-postgres)
NOMAD_VAR_redis_user=$(as redis)
NOMAD_VAR_postgres_user=$(as postgres)
NOMAD_VAR_user=$(as nobody)
NOMAD_VAR_redis_port=$((base + 23))
NOMAD_VAR_postgres_port=$((base + 24))
NOMAD_VAR_vote_port=$((base + 20))
NOMAD_VAR_result_port=$((base + 21))
export NOMAD_VAR_driver NOMAD_VAR_bin_dir NOMAD_VAR_redis_dir NOMAD_VAR_postgres_dir NOMAD_VAR_redis_user \
  NOMAD_VAR_postgres_user NOMAD_VAR_user NOMAD_VAR_redis_port NOMAD_VAR_postgres_port NOMAD_VAR_vote_port \
  NOMAD_VAR_result_port
env | grep NOMAD >"$dir/env"
for j in stores migrate voting front; do nomad job run -detach "$jobs/$j.nomad.hcl"; done
sleep 40
nomad status; nomad job status voting-stores; nomad job status voting; nomad job status voting-migrate; nomad job status voting-front
echo "NOMAD READY $dir"; [ -z "${PAUSE:-}" ] || sleep 3000
