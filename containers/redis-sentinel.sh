#!/bin/sh
# Starts a Sentinel.
#
#   redis-sentinel.sh NAME PORT MASTER MASTER_PORT QUORUM SETTINGS…
#
# NAME is where others reach it. MASTER is the master at the very first start; later, the Sentinel knows it from its file in this
# folder. $SECRETS/password is the password of the servers and of the Sentinels.
set -eu

secrets=${SECRETS:-/run/secrets}
name=$1 port=$2 master=$3 master_port=$4 quorum=$5
shift 5
password=$(cat "$secrets/password")

if [ ! -e sentinel.conf ]; then
    (
        umask 077
        cat >sentinel.new <<END
port $port
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $name
sentinel announce-port $port
requirepass $password
sentinel sentinel-pass $password
sentinel monitor voting $master $master_port $quorum
sentinel auth-pass voting $password
sentinel down-after-milliseconds voting 5000
sentinel failover-timeout voting 30000
END
    )
    mv sentinel.new sentinel.conf
fi
exec redis-server sentinel.conf --sentinel "$@"
