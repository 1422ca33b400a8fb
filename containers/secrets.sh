#!/usr/bin/env bash
# Makes the secrets at the first start, and leaves them alone at each later one. Each service has a folder (in
# compose.yaml, a volume) with its own secrets and no others. It runs as root without any of root's rights, in
# the group of those who are to read them; nobody else can.
set -euo pipefail
cd "${1:-/secrets}"

random() { od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# put TEXT FILE…
put() {
    local text=$1 file
    shift
    for file in "$@"; do
        # Of a first start that was cut off.
        rm -f "$file"
        (umask 337 && printf '%s\n' "$text" >"$file")
    done
}

# The key that signs the log's entries. Secrets of an earlier version have none, and it may be made at any time: all
# entries before it are not signed.
entry_key() {
    if [ ! -e worker/entry-key ]; then
        put "$(random)" worker/entry-key
    fi
    if [ ! -e vote/entry-key ]; then
        put "$(cat worker/entry-key)" vote/entry-key
    fi
}

# entries ACCEPTED: a file of settings for those who have the key. It says whether entries and polls without a signature
# are accepted: `true` for an installation of an earlier version, whose vote services may still write such entries.
entries() {
    local part
    for part in vote worker; do
        [ -e "$part/entries.toml" ] || put "accept_unsigned_entries = $1" "$part/entries.toml"
    done
}

# The addresses with a replica, for those of compose.replicas.yaml. All that is secret in them is there already.
replicas() {
    [ -n "${REPLICAS:-}" ] || return 0
    local password who at
    password=$(cat redis/password)
    for who in vote worker; do
        put "redis://:$password@voting/" "$who/redis-name"
        at=$(printf ",redis://:$password@%s:26379" sentinel-1 sentinel-2 sentinel-3)
        put "${at#,}" "$who/sentinels"
    done
    for who in worker result owner; do
        password=$(cat "owner/$who")
        at="postgres,postgres-standby/voting?target_session_attrs=read-write"
        put "postgres://$who:$password@$at" "$who/postgres-both"
    done
}

folders=(vote worker result owner postgres redis)

made=() missing=()
for folder in "${folders[@]}"; do
    if [ -e "$folder/made" ]; then made+=("$folder"); else missing+=("$folder"); fi
done
if [ "${#missing[@]}" -eq 0 ]; then
    entry_key
    entries true
    replicas
    echo "the secrets are there"
    exit
fi
if [ "${#made[@]}" -gt 0 ]; then
    # To make new ones would let everybody vote again, or fit no password that a database knows.
    echo "there are secrets for ${made[*]}, but none for ${missing[*]}: put those back" >&2
    exit 1
fi

voters=$(random) operator=$(random)
redis=$(random) owner=$(random) worker=$(random) result=$(random)

put "$voters" {vote,result}/voters
put "$operator" worker/operator
rm -f {vote,worker}/{entry-key,entries.toml}
entry_key
entries false
put "redis://:$redis@redis:6379/" {vote,worker}/redis-url
put "postgres://worker:$worker@postgres/voting" worker/postgres-url
put "postgres://result:$result@postgres/voting" result/postgres-url
put "postgres://owner:$owner@postgres/voting" owner/postgres-url
put "$owner" {owner,postgres}/owner
put "$worker" owner/worker
put "$result" owner/result
put "$redis" redis/password
put "requirepass $redis" redis/redis.conf

replicas

# All of them, or none.
sync
for folder in "${folders[@]}"; do
    put "These belong together. Back them up with the data." "$folder/made"
done
echo "the secrets are made"
