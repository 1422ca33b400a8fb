#!/usr/bin/env bash
# Starts one of two Postgres servers: the primary, or its synchronous standby.
#
#   postgres-node.sh FOLDER first|second PORT OTHER OTHER_PORT SETTINGS…
#
# The data is in FOLDER. $SECRETS/owner is the password of the superuser `owner`. The first server makes a new database if there is none;
# the second one never does.
set -euo pipefail

secrets=${SECRETS:-/run/secrets}
folder=$1 which=$2 port=$3 other=$4 other_port=$5
shift 5

# A database of before there were two is in the folder itself.
data=$folder/pgdata
if [ -e "$folder/PG_VERSION" ]; then data=$folder; fi

PGPASSWORD=$(cat "$secrets/owner")
export PGPASSWORD

# t: a primary; f: a standby; fails if it cannot be asked.
is_primary() {
    PGCONNECT_TIMEOUT=2 psql --no-psqlrc --quiet --tuples-only --no-align --host "$other" --port "$other_port" \
        --username owner --dbname postgres --command 'SELECT NOT pg_is_in_recovery()' 2>/dev/null
}

make_new() {
    rm -rf "$folder/new"
    initdb --pgdata "$folder/new" --username owner --pwfile "$secrets/owner" \
        --auth scram-sha-256 --encoding UTF8 --locale C.UTF-8 --data-checksums
    echo 'CREATE DATABASE voting' | postgres --single -D "$folder/new" postgres
    mv "$folder/new" "$data"
    sync
}

copy_other() {
    rm -rf "$folder/new"
    pg_basebackup --host "$other" --port "$other_port" --username owner --checkpoint fast \
        --write-recovery-conf --pgdata "$folder/new"
    mv "$folder/new" "$data"
    sync
}

said=''
say() {
    [ "$1" = "$said" ] || echo "postgres-node: $1"
    said=$1
}
while :; do
    now=$(is_primary) || now=away
    if [ -e "$data/standby.signal" ]; then
        say "a standby"
        break
    elif [ -e "$data/PG_VERSION" ] && [ "$now" != t ]; then
        say "the primary"
        break
    elif [ -e "$data/PG_VERSION" ]; then
        # Both would take ballots.
        say "the other one has taken over: this data may not go on. To follow the other one, remove it: $data"
    elif [ "$now" = t ]; then
        say "copies the primary"
        copy_other
    elif [ "$now" = away ] && [ "$which" = first ]; then
        say "makes a new database"
        make_new
    else
        say "waiting for a primary"
    fi
    sleep 1
done

# Commits wait for the standby, also after it has taken over. ALTER SYSTEM has the last word, and is copied with the data.
if ! grep -qs '^synchronous_standby_names' "$data/postgresql.conf"; then
    echo "synchronous_standby_names = '*'" >>"$data/postgresql.conf"
fi
exec postgres -D "$data" -c port="$port" -c hba_file="${HBA_FILE:-/pg_hba.conf}" "$@"
