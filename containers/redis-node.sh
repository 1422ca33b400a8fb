#!/bin/sh
# Starts one of two Redis servers: the master, or its replica. The Sentinels say which.
#
#   redis-node.sh NAME PORT OTHER OTHER_PORT SENTINEL:PORT… -- SETTINGS…
#
# NAME is where others reach this server. The folder is that of its data; $SECRETS/password is the password of both servers and
# of the Sentinels.
set -eu

secrets=${SECRETS:-/run/secrets}
name=$1 port=$2 other=$3 other_port=$4
shift 4
sentinels=''
while [ "$1" != -- ]; do
    sentinels="$sentinels $1"
    shift
done
shift

REDISCLI_AUTH=$(cat "$secrets/password")
export REDISCLI_AUTH

# ask HOST PORT COMMAND…
ask() {
    host=$1 at=$2
    shift 2
    timeout 2 redis-cli -h "$host" -p "$at" "$@" 2>/dev/null
}

# The master by the newest configuration, as `HOST PORT`. Fails unless most of the Sentinels answer: one that is cut off knows an old
# one.
master() {
    answers=0 asked=0 newest=-1 found=''
    for sentinel in $sentinels; do
        asked=$((asked + 1))
        told=$(ask "${sentinel%:*}" "${sentinel##*:}" SENTINEL MASTER voting) || continue
        value() { printf '%s\n' "$told" | grep -x -A1 "$1" | tail -n 1; }
        epoch=$(value config-epoch)
        case $epoch in '' | *[!0-9]*) continue ;; esac
        answers=$((answers + 1))
        if [ "$epoch" -gt "$newest" ]; then
            newest=$epoch found="$(value ip) $(value port)"
        fi
    done
    [ $((answers * 2)) -gt "$asked" ] && printf '%s\n' "$found"
}

# A master without data would take the data of its replica, too. So one whose disk is lost waits until the other one has taken
# over. At the very first start the other one is empty as well.
is_lost() {
    [ ! -e "$log" ] && [ "$(ask "$other" "$other_port" DBSIZE)" != 0 ]
}

log=appendonlydir/appendonly.aof.manifest
said=''
say() {
    [ "$1" = "$said" ] || echo "redis-node: $1"
    said=$1
}
while :; do
    if ! now=$(master); then
        say "waiting for most of the Sentinels"
    elif [ "$now" != "$name $port" ]; then
        say "a replica of $now"
        follow="replicaof $now"
        break
    elif is_lost; then
        say "this is the master, and it has no data: waiting until the other one takes over"
    else
        say "the master"
        follow=''
        break
    fi
    sleep 1
done

# What a power cut has torn at the end of the log was not acknowledged.
if [ -e "$log" ]; then echo y | redis-check-aof --fix "$log" || exit; fi

# Redis writes to this file when its role changes. At the next start the Sentinels are asked again.
(
    umask 077
    cat >redis.conf <<END
port $port
replica-announce-ip $name
replica-announce-port $port
requirepass $REDISCLI_AUTH
masterauth $REDISCLI_AUTH
appendonly yes
appendfsync always
no-appendfsync-on-rewrite no
aof-load-truncated no
maxmemory-policy noeviction
save ""
# A replica that connects does not wait for others.
repl-diskless-sync-delay 0
$follow
END
)
exec redis-server redis.conf "$@"
