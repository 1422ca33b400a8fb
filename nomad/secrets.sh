#!/bin/sh
# Makes the secrets as Nomad variables, once: what is there stays, since with another secret everybody could vote
# again. Needs `nomad` and `openssl`.
set -eu

if nomad var get -out none nomad/jobs/voting/vote 2>/dev/null; then
  echo "The secrets are there already."
  exit
fi

# 32 random bytes in hexadecimal, so that they need no quoting anywhere.
new() { openssl rand -hex 32; }
# By the standard input, since anybody can read a command line.
put() { nomad var put -in json -out none "$1" - && echo "Made $1."; }

secret=$(new) redis=$(new) owner=$(new) worker=$(new) result=$(new) token=$(new) entry=$(new)
# All entries of a new log are signed.
unsigned=false

put nomad/jobs/voting-stores/redis <<JSON
{ "Items": { "password": "$redis" } }
JSON
put nomad/jobs/voting-stores/postgres <<JSON
{ "Items": { "password": "$owner" } }
JSON
put nomad/jobs/voting-migrate <<JSON
{ "Items": { "owner_password": "$owner", "worker_password": "$worker", "result_password": "$result" } }
JSON
put nomad/jobs/voting/worker <<JSON
{ "Items": { "token": "$token", "entry_key": "$entry", "accept_unsigned_entries": "$unsigned", "redis_password": "$redis", "postgres_password": "$worker" } }
JSON
put nomad/jobs/voting/result <<JSON
{ "Items": { "secret": "$secret", "postgres_password": "$result" } }
JSON
# Last: if this one is there, all are.
put nomad/jobs/voting/vote <<JSON
{ "Items": { "secret": "$secret", "entry_key": "$entry", "accept_unsigned_entries": "$unsigned", "redis_password": "$redis" } }
JSON
