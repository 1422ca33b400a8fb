#!/usr/bin/env bash
# Tries the package in a Debian that is booted for it: sets it up as README.md says, votes, restarts each
# unit under load, upgrades, goes back, restores a backup, kills and stops services, takes the stores away,
# and removes it all. Ends with 0 if all was as it should be, also on a machine that is busy with other
# things. As root, on a machine with debootstrap and systemd-container (Debian's packages); takes about
# ten minutes, 1 GB of disk for the tree, and no port of this machine. Leaves nothing behind but the tree.
#
#   systemd/try.sh [--tree FOLDER] [--deb FILE]
#
# --tree keeps the fresh Debian there for the next time. --deb is the package; without, it is built.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
tree=''
deb=''
while [ $# -gt 0 ]; do
    case "$1" in
        --tree) tree=$(realpath -m "$2"); shift 2 ;;
        --deb) deb=$(realpath "$2"); shift 2 ;;
        *) echo "usage: systemd/try.sh [--tree FOLDER] [--deb FILE]" >&2; exit 2 ;;
    esac
done
[ "$(id -u)" -eq 0 ] || { echo "try.sh: this needs root" >&2; exit 2; }
for tool in debootstrap systemd-nspawn nsenter dpkg-deb; do
    command -v "$tool" >/dev/null || { echo "try.sh: $tool is missing" >&2; exit 2; }
done
[ -n "$deb" ] || deb=$("$here/build-deb" | tail -n 1)

work=$(mktemp -d)
nspawn=''
init=''
groups=()
failed=0

end() {
    # Asked to power off, then killed; what is on its disk is in memory only. Commands that run in the tree
    # end with its first process.
    [ -z "$init" ] || signal_and_wait RTMIN+4 "$init" 60 || signal_and_wait KILL "$init" 20 || true
    [ -z "$nspawn" ] || signal_and_wait TERM "$nspawn" 20 || signal_and_wait KILL "$nspawn" 20 || true
    wait
    # nspawn leaves its control groups behind; only those that are empty can be removed.
    for group in "${groups[@]}"; do
        find "$group/payload" "$group/supervisor" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    done
    rm -rf "$work"
}
# SIGNAL PROCESS SECONDS: whether nspawn ends in this time.
signal_and_wait() {
    local until=$((SECONDS + $3))
    kill -0 "$nspawn" 2>/dev/null || return 0
    kill -s "$1" "$2" 2>/dev/null || true
    while kill -0 "$nspawn" 2>/dev/null; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep 0.2
    done
}
trap end EXIT

title() { printf '\n== %s\n' "$1"; }

tell() {
    if [ "$1" = ok ]; then
        printf 'ok      %s\n' "$2"
    else
        printf 'FAILED  %s\n' "$2"
        sed 's/^/        /' "$work/said"
        failed=$((failed + 1))
    fi
}

# check WHAT COMMAND…: whether it succeeds.
check() {
    local what=$1
    shift
    if "$@" >"$work/said" 2>&1; then tell ok "$what"; else tell failed "$what"; fi
}

# await WHAT SECONDS COMMAND…: whether it succeeds in this time, tried over and over.
await() {
    local what=$1 until=$((SECONDS + $2))
    shift 2
    until "$@" >"$work/said" 2>&1; do
        if [ "$SECONDS" -ge "$until" ]; then
            tell failed "$what"
            return
        fi
        sleep 0.2
    done
    tell ok "$what"
}

# --- the tree ---------------------------------------------------------------------------------------

title "a fresh Debian 12"
[ -n "$tree" ] || tree=$work/tree
if [ ! -e "$tree/complete" ]; then
    rm -rf "$tree"
    mkdir -p "$tree"
    debootstrap --variant=minbase \
        --include=dbus,libnss-systemd,procps,systemd,systemd-sysv bookworm "$tree" >"$work/said" ||
        { tail "$work/said"; exit 2; }
    # What the commands in README.md install must be at hand: the tree boots without a network.
    echo 'APT::Install-Recommends "false";' >"$tree/etc/apt/apt.conf.d/90no-recommends"
    cp /etc/resolv.conf "$tree/etc/resolv.conf"
    chroot "$tree" apt-get update -qq
    chroot "$tree" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --download-only \
        redis-server postgresql curl openssl >/dev/null
    touch "$tree/complete"
fi

systemd-nspawn --boot --register=no --keep-unit --private-network --volatile=overlay \
    --directory "$tree" --machine "voting-try-$$" --console=pipe </dev/null >"$work/console" 2>&1 &
nspawn=$!

# Whether the first process in the tree is there, which is the child of nspawn that has children.
has_init() {
    local child
    for child in $(pgrep -P "$nspawn"); do
        [ "$(cat "/proc/$child/comm")" = systemd ] && init=$child && return 0
    done
    return 1
}

# Runs a command in the tree.
in_tree() {
    nsenter --target "$init" --mount --uts --ipc --net --pid --root \
        env --chdir=/root -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive "$@"
}
is_up() { [[ "$(in_tree systemctl is-system-running)" =~ ^(running|degraded)$ ]]; }
for _ in $(seq 100); do
    has_init && break
    sleep 0.1
done
while IFS=: read -r _ _ group; do
    for root in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
        [[ "$group" = */supervisor && -d "$root$group" ]] && groups+=("$(dirname "$root$group")")
    done
done <"/proc/$nspawn/cgroup"
await "it has booted" 60 is_up

# The commands below a heading of README.md, typed as they stand there, by somebody who has defined
# voting_admin as it says.
typed() {
    awk -v heading="$1" '
        /^###? / { inside = (substr($0, index($0, " ") + 1) == heading) }
        /^```$/ { code = 0 }
        inside && code { print }
        /^```sh$/ { code = 1 }' "$here/README.md" >"$work/commands"
    [ -s "$work/commands" ] || return 1
    { sed -n '/^voting_admin() (/,/^)/p' "$here/README.md"; cat "$work/commands"; } |
        in_tree bash -euxo pipefail -s
}

# --- what is looked at --------------------------------------------------------------------------------

active() { in_tree systemctl -q is-active "$@"; }
pid_of() { in_tree systemctl show --value -p MainPID "$1"; }
restarts_of() { in_tree systemctl show --value -p NRestarts "$1"; }
changed_pid() { [ "$(pid_of "$1")" != "$2" ] && [ "$(pid_of "$1")" != 0 ] && active "$1"; }
http() { in_tree curl -sS --max-time 5 -o /dev/null -w '%{http_code}' "$@"; }
answers() { [ "$(http "$1")" = "$2" ]; }
cast() { in_tree curl -sS --max-time 10 -o /dev/null -w '%{http_code}' -X POST --data vote=a http://localhost:8080/; }
casts() { [ "$(cast)" = "$1" ]; }
tally_has() { in_tree curl -sS http://localhost:8081/v1/polls/cats-vs-dogs/tally | grep -F "\"voters\":$1,"; }
operator() {
    # shellcheck disable=SC2016
    in_tree sh -c 'token=$(cat /etc/voting/credentials/operator-token)
        exec curl -sS --fail-with-body -H "Authorization: Bearer $token" -H "Content-Type: application/json" "$@"' \
        sh "$@"
}
copy_in() {
    local name
    name=$(basename "$1")
    in_tree sh -c "cat > /root/$name" <"$1"
}
has_poll() { [ "$(http "http://localhost:8080/v1/polls/$1")" = 200 ]; }
not_active() { ! active "$1"; }

polls=0
# Starts a load in a poll of its own, which nobody else votes in.
load() {
    polls=$((polls + 1))
    local poll=load-$polls url
    operator -o /dev/null http://localhost:8082/v1/polls -d "{\"id\":\"$poll\",\"title\":\"Load\",\"options\":[
        {\"id\":\"a\",\"label\":\"A\"},{\"id\":\"b\",\"label\":\"B\"}]}"
    await "poll $poll is open" 10 has_poll "$poll"
    url=$(in_tree cat /etc/voting/credentials/postgres-owner-url)
    in_tree env "VOTING_POSTGRES__URL=$url" voting load --poll "$poll" --rate 500 --connections 64 --changes 0.2 \
        --duration "$1" --secret-file /etc/voting/credentials/secret --json >"$work/load" 2>"$work/load.log" &
    load=$!
}
loads() { kill -0 "$load" 2>/dev/null; }
# Waits for it: exit code 0 says that nothing was lost, counted twice or wrong.
is_clean() { wait "$load" || { cat "$work/load" "$work/load.log"; return 1; }; }
number() { grep -oP "\"$1\": *\K[0-9]+" "$work/load" | head -n 1; }
# … and this, that none was refused or left without an answer. A missed ballot was never sent, for want of
# time on this machine, so it is no fault of the services.
all_taken() {
    local word
    for word in refused unknown unreachable unexpected; do
        [ "$(number "$word")" = 0 ] || { echo "$word: $(number "$word")"; cat "$work/load"; return 1; }
    done
}
# Checks a load at its end.
check_load() {
    check "no vote lost, none counted twice" is_clean
    [ "${1-}" = only ] || check "no vote refused, none without an answer" all_taken
    echo "        $(number acknowledged) votes taken, $(number missed) not sent in time"
}

# --- set up, vote, count ------------------------------------------------------------------------------

title "start before the secrets exist"
# README.md takes the package from the folder that one is in.
copy_in "$deb"
earlier=$(basename "$deb")
check "the package is installed" in_tree apt-get install -qq -y "/root/$earlier"
check "all is started" in_tree systemctl enable --now voting.target
refused_for_want_of() {
    in_tree systemctl start "$1" && return 1
    { in_tree systemctl status --no-pager "$1" || true; } | grep -F "AssertPathExists=/etc/voting/credentials/$2 was not met"
}
check "vote: the missing file is named" refused_for_want_of voting-vote@1 redis-url
check "result: the missing file is named" refused_for_want_of voting-result postgres-result-url
check "worker: the missing file is named" refused_for_want_of voting-worker@8082 postgres-worker-url
check "migrate: the missing file is named" refused_for_want_of voting-migrate postgres-owner-url

title "set up as README.md says"
check "the commands under 'Set it up'" typed "Set it up"
cp "$work/said" "$work/set-up"
# Without this the rest would say nothing.
[ "$failed" -eq 0 ] || { in_tree journalctl --no-pager -n 100; exit 1; }
for unit in voting-vote@1 voting-result voting-worker@8082 voting-migrate voting-vote.socket voting-result.socket; do
    await "$unit is active" 60 active "$unit"
done
unsaid() { ! grep 'could not change directory' "$work/set-up"; }
check "without complaints" unsaid
for port in 8080 8081 8082; do
    await "port $port is ready" 60 answers "http://localhost:$port/readyz" 200
done
is_nobody() { [ "$(in_tree stat -c %u "/proc/$(pid_of "$1")")" -ge 61184 ]; }
for unit in voting-vote@1 voting-result voting-worker@8082; do
    check "$unit runs as a user of its own" is_nobody "$unit"
    check "$unit: exposure at most 1.0" in_tree systemd-analyze security --threshold=10 "$unit"
done

title "vote and count"
check "the commands under 'Vote'" typed "Vote"
await "the vote counts" 60 tally_has 1
documents() { in_tree sh -c 'cd /usr/share/doc/voting && ls README.md operations.md monitoring/alerts.yaml'; }
check "the package has its documents" documents

# --- restarts -------------------------------------------------------------------------------------------

title "restart each unit, over and over, under load"
check "the commands under 'More replicas and workers'" typed "More replicas and workers"
await "both vote services are active" 60 active voting-vote@1 voting-vote@2
in_tree systemctl stop voting-vote@2 2>/dev/null
opened() { in_tree systemctl show --value -p ActiveEnterTimestampMonotonic voting-vote.socket voting-result.socket | tr -d '\n'; }
sockets=$(opened)
load 60
check "the commands under 'Restart and upgrade'" typed "Restart and upgrade"
# The target has started it again. Without it all wait in the socket while the other one restarts.
in_tree systemctl stop voting-vote@2 2>/dev/null
rounds=0
while loads && [ "$rounds" -lt 4 ]; do
    for unit in voting-vote@1 voting-result voting-worker@8082 voting-worker@8083; do
        before=$(pid_of "$unit")
        check "$unit restarts" in_tree systemctl restart "$unit"
        check "$unit is another process" changed_pid "$unit" "$before"
    done
    rounds=$((rounds + 1))
done
same_sockets() { [ "$(opened)" = "$sockets" ]; }
check "the sockets stayed open" same_sockets
check_load
echo "        $rounds rounds"

title "two replicas on one socket, one restarted under load"
in_tree systemctl start voting-vote@1 voting-vote@2
load 10
sleep 2
check "voting-vote@1 restarts" in_tree systemctl restart voting-vote@1
check "voting-vote@2 restarts" in_tree systemctl restart voting-vote@2
check_load

# --- wrong settings ------------------------------------------------------------------------------------

title "a typo in the settings"
settings=/etc/voting/voting.toml
spoil() { in_tree sed -i 's/^trusted_proxies/trusted_proxy/' $settings; }
mend() { in_tree sed -i 's/^trusted_proxy/trusted_proxies/' $settings; }
fails() { ! "$@"; }
names_it() { { "$@" 2>&1 || true; } | grep -F 'unknown setting trusted_proxy'; }
sockets=$(opened)
spoil
check "the check before a restart names it" names_it in_tree voting --config $settings --check-config
check "a restart fails" fails in_tree systemctl restart voting-vote@1
check "the journal names it, as an error" names_it in_tree journalctl -p err -o cat -u voting-vote@1 --since -1min
in_tree systemctl stop voting-vote@2 2>/dev/null
in_tree curl -sS --max-time 150 -o /dev/null -w '%{http_code}' http://localhost:8080/ >"$work/voter" &
voter=$!
sleep 40
check "after 40 s the sockets are open" same_sockets
mend
is_served() { wait "$voter" && [ "$(cat "$work/voter")" = 200 ]; }
check "a voter who came meanwhile is served once it is mended" is_served
await "voting-vote@1 is active" 60 active voting-vote@1
in_tree systemctl start voting-vote@2

# --- upgrades ------------------------------------------------------------------------------------------

title "upgrade under load"
dpkg-deb -R "$deb" "$work/newer"
sed -i 's/^Version: .*/&+newer/' "$work/newer/DEBIAN/control"
dpkg-deb -b "$work/newer" "$work/voting_newer.deb" >/dev/null
copy_in "$work/voting_newer.deb"
put_in() { in_tree apt-get install -qq -y --allow-downgrades "/root/$1"; }
says() { grep -F "$1" "$work/installed"; }
# install_fails FILE TEXT: it fails and says this.
install_fails() { ! put_in "$1" >"$work/installed" 2>&1 && says "$2"; }
go_back="apt-get install --allow-downgrades ./voting_$(dpkg-deb -f "$deb" Version)_"
load 40
before=$(pid_of voting-vote@1)
check "the newer package is installed" put_in voting_newer.deb
cp "$work/said" "$work/installed"
check "it says how to go back" says "$go_back"
check "voting-vote@1 is another process" changed_pid voting-vote@1 "$before"
check_load

title "go back under load"
load 40
before=$(pid_of voting-vote@1)
check "the earlier package is installed" put_in "$earlier"
check "voting-vote@1 is another process" changed_pid voting-vote@1 "$before"
check_load

title "an upgrade that cannot be completed"
vote=$(pid_of voting-vote@1)
worker=$(pid_of voting-worker@8082)
same() { [ "$(pid_of voting-vote@1)" = "$vote" ]; }
same_worker() { [ "$(pid_of voting-worker@8082)" = "$worker" ]; }
spoil
check "with wrong settings it fails and names them" install_fails voting_newer.deb 'unknown setting trusted_proxy'
check "it says how to go back" says "$go_back"
check "no worker was restarted" same_worker
check "no vote service was restarted" same
mend
in_tree systemctl stop postgresql postgresql@15-main
complete() { in_tree dpkg --configure voting; }
check "while Postgres is away it fails" fails complete
check "no vote service was restarted" same
check "a vote is taken" casts 200
in_tree systemctl start postgresql
check "when Postgres is back it is completed" complete
check "voting-vote@1 is another process" changed_pid voting-vote@1 "$vote"

# --- backup --------------------------------------------------------------------------------------------

title "restore a backup under load"
load 40
sleep 5
check "the commands under 'Back up'" typed "Back up"
sleep 5
check "the commands under 'Restore'" typed "Restore"
check_load
healthy() { { sed -n '/^voting_admin() (/,/^)/p' "$here/README.md"; echo voting_admin doctor; } | in_tree bash -s; }
await "the doctor finds nothing wrong" 60 healthy

# --- faults ---------------------------------------------------------------------------------------------

title "kill -9 under load"
load 15
sleep 2
for unit in voting-worker@8082 voting-result voting-vote@1; do
    before=$(pid_of "$unit")
    in_tree systemctl kill --kill-whom=main -s KILL "$unit"
    await "$unit is back" 60 changed_pid "$unit" "$before"
done
check_load only

title "what stands still is killed; what waits is left alone"
for unit in voting-vote@.service voting-worker@.service; do
    in_tree mkdir -p "/etc/systemd/system/$unit.d"
    printf '[Service]\nWatchdogSec=30\n' | in_tree sh -c "cat > /etc/systemd/system/$unit.d/watchdog.conf"
done
in_tree systemctl daemon-reload
in_tree systemctl restart voting-vote@1 voting-worker@8082
in_tree systemctl stop voting-vote@2 voting-worker@8083 2>/dev/null
voters=$(in_tree curl -sS http://localhost:8081/v1/polls/cats-vs-dogs/tally | grep -oP '"voters":\K[0-9]+')
in_tree systemctl stop postgresql postgresql@15-main
for _ in 1 2 3; do
    check "a vote is taken while Postgres is away" casts 200
done
sleep 75
check "the worker that waits for Postgres was left alone" [ "$(restarts_of voting-worker@8082)" = 0 ]
is_told() { in_tree systemctl show --value -p StatusText voting-worker@8082 | grep '^waiting for Postgres'; }
check "its status says what it waits for" is_told
in_tree systemctl start postgresql
await "the votes count when Postgres is back" 60 tally_has $((voters + 3))
for unit in voting-vote@1 voting-worker@8082; do
    in_tree systemctl kill --kill-whom=main -s STOP "$unit"
done
for unit in voting-vote@1 voting-worker@8082; do
    timed_out() { in_tree journalctl -u "$1" -o cat | grep -F 'Watchdog timeout'; }
    await "systemd notices that $unit stands still" 60 timed_out "$unit"
    await "$unit is back" 60 active "$unit"
done
await "a vote is taken again" 30 casts 200
await "it counts" 60 tally_has $((voters + 4))

title "Redis is killed with a torn log"
tear() {
    in_tree systemctl kill --kill-whom=main -s KILL redis-server
    # Debian's unit starts it again at once; the log is torn while it is down for good.
    in_tree systemctl stop redis-server
    # shellcheck disable=SC2016
    in_tree sh -c 'printf "*3\r\n\$3\r\nSET\r\n\$1" >> "$(ls /var/lib/redis/appendonlydir/*.incr.aof | tail -n 1)"'
}
check "its log is torn" tear
check "a vote is refused" casts 503
check "it starts" in_tree systemctl start redis-server
await "a vote is taken" 30 casts 200
await "it counts" 60 tally_has $((voters + 5))

title "a reboot's order"
check "all stops" in_tree systemctl stop voting.target
for unit in voting-vote.socket voting-vote@1 voting-result voting-worker@8082; do
    check "$unit is stopped" not_active "$unit"
done
check "all starts" in_tree systemctl start voting.target
await "a vote is taken" 30 casts 200
await "it counts" 60 tally_has $((voters + 6))

# --- settings and removal ------------------------------------------------------------------------------

title "change settings as README.md says"
check "the commands under 'Change settings'" typed "Change settings"
listens_everywhere() { in_tree grep -q '^ *[0-9]*: 00000000:1F90 00000000:0000 0A' /proc/net/tcp; }
check "the socket listens everywhere" listens_everywhere
await "a vote is taken" 30 casts 200
in_tree rm -r /etc/systemd/system/voting-vote.socket.d /etc/systemd/system/voting-.service.d \
    /etc/systemd/system/voting-vote@.service.d /etc/systemd/system/voting-worker@.service.d

title "remove"
check "the package is purged" in_tree apt-get purge -y -qq voting
left() {
    in_tree find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /root -o -path '/var/cache/apt' \) -prune -o \
        -iname '*voting*' -print | grep -v -e '^/etc/voting' -e '^/var/log' -e redis-server.service.d
}
nothing_left() { ! left; }
check "no file of it is left" nothing_left
runs() { in_tree pgrep -l '^voting'; }
nothing_runs() { ! runs; }
check "nothing of it runs" nothing_runs
nothing_known() { ! in_tree systemctl list-units --all --plain --no-legend 'voting*' | grep .; }
await "systemd knows nothing of it" 30 nothing_known
closed() { ! in_tree curl -s http://localhost:8080/; }
check "nobody listens" closed
check "the secret is kept" in_tree test -s /etc/voting/credentials/secret
removed() {
    sed -n '/^## Remove it/,$p' "$here/README.md" | awk '/^```$/ { code = 0 } code { print } /^```sh$/ { code = 1 }' |
        grep -v purge >"$work/commands"
    in_tree bash -euxo pipefail -s <"$work/commands"
}
check "the other commands under 'Remove it'" removed
gone() { in_tree sh -c '! test -e /etc/voting && ! runuser -u postgres -- psql -l | grep voting'; }
check "secrets and ballots are gone" gone

title "outcome"
if [ "$failed" -gt 0 ]; then
    echo "$failed checks failed"
    exit 1
fi
echo "all as it should be"
