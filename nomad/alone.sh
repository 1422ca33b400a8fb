#!/usr/bin/env bash
# Runs a command so that nothing is left of it, however it ends: no process, no mount, no folder, no shared memory
# and no control group of Nomad.
#
#   nomad/alone.sh COMMAND [ARGUMENT…]
#
# The command gets the name of a temporary folder in ALONE. It and all that it starts are in namespaces of their own
# (processes, mounts, shared memory, network), so they see no other Nomad, and all ports of the loopback address are free;
# there is no other network, and no IPv6. When the command ends, or this script does (also by a
# signal), the kernel ends all of these processes at once. Only if this script itself gets SIGKILL, the folder stays.
# Ends as the command does. Needs root, or a system that lets other users make namespaces.
set -euo pipefail

[ $# -gt 0 ] || { echo "usage: nomad/alone.sh COMMAND [ARGUMENT...]" >&2; exit 2; }
names=(--pid --mount --ipc --net --mount-proc --fork --kill-child)
[ "$(id -u)" -eq 0 ] || names+=(--map-current-user --keep-caps)
unshare "${names[@]}" true || { echo "alone.sh: no namespaces can be made here; run it as root" >&2; exit 2; }

# The control groups of Nomad, with both versions of control groups.
groups() { find /sys/fs/cgroup -maxdepth 2 -type d \( -name nomad -o -name nomad.slice \) 2>/dev/null | sort; }

dir=$(mktemp -d /tmp/voting-alone.XXXXXX)
outer=''
groups_before=$(groups)

# shellcheck disable=SC2317 # a trap calls it
end() {
  local status=$? inner
  trap - EXIT
  trap '' HUP INT TERM
  set +e
  if [ -n "$outer" ]; then
    # The first process in the namespaces. When it is gone, so are all others.
    while kill -0 "$outer" 2>/dev/null; do
      inner=$(pgrep -P "$outer") && kill -KILL "$inner"
      sleep 0.1
    done 2>/dev/null
    wait "$outer" 2>/dev/null
  fi
  comm -13 <(echo "$groups_before") <(groups) | while read -r group; do
    find "$group" -depth -type d -exec rmdir {} +
  done
  rm -rf "$dir"
  exit "$status"
}
trap end EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Tasks of Nomad run as other users, who must get through to their folders.
chmod 755 "$dir"
mkdir -m 1777 "$dir/tmp"
# A process group of its own: Ctrl-C reaches this script only.
set -m
# If this script is killed, so is `unshare`, and then all else. What `unshare` itself says when its child is killed is
# of no use.
# shellcheck disable=SC2016
ALONE=$dir TMPDIR=$dir/tmp setpriv --pdeathsig KILL unshare "${names[@]}" sh -c '
  mount -t tmpfs -o mode=1777 tmpfs /dev/shm
  echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6
  ip link set lo up
  exec setpriv --inh-caps -all --ambient-caps -all "$@" 2>&3 3>&-' sh "$@" </dev/null 3>&2 2>/dev/null &
outer=$!
set +m
status=0
wait "$outer" || status=$?
outer=''
exit "$status"
