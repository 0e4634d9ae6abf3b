#!/usr/bin/env bash
# Runs a command under MPI, each rank in a network namespace of its own, as if on a machine of its own: with a cable of so
# many bits per second to a switch, and so much delay on the way from any rank to any other.
#
#   scripts/mpi-network.sh [--ranks N] [--rate RATE] [--delay TIME] [--mtu BYTES] [--mpirun OPTIONS] -- COMMAND...
#
# Two ranks where nothing is said; RATE as tc has it (100mbit, 1gbit), no limit where it is left out; TIME one way, as
# 500us or 1ms; OPTIONS are more words for mpirun. All ranks share the processors of this machine.
# Needs root, Open MPI, ip, tc, unshare, and a C compiler where there is a delay; says SKIPPED, and ends well, without them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

skip() {
    echo "SKIPPED ranks in network namespaces: $1"
    exit 0
}

ranks=2 rate='' delay=0 mtu=1500 options=()
while (($#)) && [[ $1 != -- ]]; do
    (($# >= 2)) || usage
    case $1 in
    --ranks) ranks=$2 ;;
    --rate) rate=$2 ;;
    --delay) delay=$2 ;;
    --mtu) mtu=$2 ;;
    --mpirun) read -ra options <<<"$2" ;;
    *) usage ;;
    esac
    shift 2
done
(($# >= 2)) || usage
shift
[[ $ranks =~ ^[1-9][0-9]?$ && $ranks -le 60 && $mtu =~ ^[1-9][0-9]{2,4}$ ]] || usage
case $delay in
0) ;;
*us) delay=${delay%us} ;;
*ms) delay=${delay%ms}000 ;;
*) usage ;;
esac
[[ $delay =~ ^[0-9]+$ ]] || usage
case $rate in
'') bits=0 ;;
*kbit) bits=${rate%kbit}000 ;;
*mbit) bits=${rate%mbit}000000 ;;
*gbit) bits=${rate%gbit}000000000 ;;
*) usage ;;
esac
[[ $bits =~ ^[0-9]+$ ]] || usage

((EUID == 0)) || skip "needs root"
for tool in ip tc unshare mpirun; do
    command -v "$tool" >/dev/null || skip "no $tool"
done
((delay == 0)) || command -v cc >/dev/null || skip "no C compiler for the delay"

# Names of this run, so that two at a time do not meet.
net=mpi$$
files=$(mktemp -d)
relay=''

clean() {
    trap '' INT TERM
    [[ -z $relay ]] || kill "$relay" 2>/dev/null || true
    for space in $(ip netns list | awk -v net="$net-" 'index($1, net) == 1 { print $1 }'); do
        # What is left of a run that was interrupted; no other process lives there.
        ip netns pids "$space" | xargs -r kill 2>/dev/null || true
        ip netns del "$space" || true
    done
    rm -rf "$files"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ip netns add "$net-switch" 2>"$files/why" || skip "no network namespaces: $(<"$files/why")"

# limit NAMESPACE INTERFACE: what leaves there is limited. A frame counts as on a wire, with 24 bytes of preamble,
# checksum and gap. Bursts are short, and so are the pieces that the kernel cuts frames from, so that a message does not
# travel faster than its bytes; queues are long, so that nothing is lost.
limit() {
    ((bits)) || return 0
    local burst=$((bits / 8 / $3))
    ((burst > 2 * (mtu + 38))) || burst=$((2 * (mtu + 38)))
    ip -n "$1" link set "$2" gso_max_size $((burst < 131072 ? burst / 2 : 65536))
    ip netns exec "$1" tc qdisc add dev "$2" root tbf rate "$rate" burst "$burst" latency 200ms overhead 24 2>"$files/why" ||
        skip "tc cannot limit a rate: $(<"$files/why")"
}

# join NUMBER NAME: a namespace with a cable to the switch.
join() {
    local space=$net-$2 port=port$1
    ip netns add "$space"
    ip -n "$net-switch" link add "$port" mtu "$mtu" type veth peer name eth0 netns "$space" mtu "$mtu" \
        address "$(printf '02:00:00:00:00:%02x' "$1")"
    ip netns exec "$net-switch" sysctl -qw "net.ipv6.conf.$port.disable_ipv6=1" 2>/dev/null || true
    ip netns exec "$space" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 2>/dev/null || true
    # What most machines have; that of this one may be another.
    ip netns exec "$space" sysctl -qw net.ipv4.tcp_congestion_control=cubic 2>/dev/null || true
    ip -n "$space" addr add "10.77.0.$(($1 + 1))/24" dev eth0
    ip -n "$space" link set lo up
    ip -n "$space" link set eth0 up
    ip -n "$net-switch" link set "$port" up
}

# mpirun is on a machine of its own, without a limit, so that output and the start of a run do not disturb.
join 0 head
hosts='' ports=(port0)
for ((rank = 0; rank < ranks; rank++)); do
    join $((rank + 1)) "rank$rank"
    limit "$net-rank$rank" eth0 2000
    limit "$net-switch" "port$((rank + 1))" 1000
    ports+=("port$((rank + 1))")
    hosts+=${hosts:+,}10.77.0.$((rank + 2)):1
done

if ((delay)); then
    cc -O2 -o "$files/mpi-delay" "$here/mpi-delay.c"
    ip netns exec "$net-switch" "$files/mpi-delay" "$delay" "${ports[@]}" &
    relay=$!
else
    ip -n "$net-switch" link add bridge type bridge
    ip -n "$net-switch" link set bridge mtu "$mtu" up
    for port in "${ports[@]}"; do ip -n "$net-switch" link set "$port" master bridge; done
fi

# Starts a command on a machine, as ssh would: `agent ADDRESS COMMAND`.
cat >"$files/agent" <<AGENT
#!/bin/sh
name=rank\$((\${1##*.} - 2))
shift
exec ip netns exec "$net-\$name" unshare --uts sh -c "hostname \$name; \$*"
AGENT
chmod +x "$files/agent"

# Ranks of several machines on one: none is bound to a processor, none spins while it waits, none shares memory.
ip netns exec "$net-head" unshare --uts sh -c 'hostname head; exec "$@"' sh \
    mpirun --allow-run-as-root -np "$ranks" --host "$hosts" --bind-to none \
    --mca plm_rsh_agent "$files/agent" --mca plm_rsh_no_tree_spawn 1 --mca mpi_yield_when_idle 1 \
    --mca btl tcp,self --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 "${options[@]}" "$@"
