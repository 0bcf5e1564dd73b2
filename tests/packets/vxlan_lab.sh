#!/usr/bin/env bash
# Two nodes, a pod each, VXLAN between them; captures into $1. Runs in namespaces of its own, which end with it.
set -euo pipefail
if [ -z "${INSIDE:-}" ]; then
    INSIDE=1 exec unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$@"
fi
out=$1
mount -t tmpfs none /run
mkdir /run/netns
ns() { ip netns exec "$@"; }

for name in pod1 node1 node2 pod2; do
    ip netns add $name
    ip -n $name link set lo up
    ns $name sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0
done
ip -n node1 link add eth0 type veth peer name eth0 netns node2
for i in 1 2; do
    ip -n node$i link set eth0 up
    ip -n node$i addr add 192.168.9.$i/24 dev eth0
    ip -n node$i addr add fd09::$i/64 dev eth0 nodad
    ip -n node$i link add pod type veth peer name eth0 netns pod$i
    ip -n node$i link set pod up
    ip -n pod$i link set eth0 up
    ip -n node$i addr add 10.9.$i.1/24 dev pod
    ip -n pod$i addr add 10.9.$i.5/24 dev eth0
    ip -n pod$i route add default via 10.9.$i.1
    ip -n node$i addr add fd0a:$i::1/64 dev pod nodad
    ip -n pod$i addr add fd0a:$i::5/64 dev eth0 nodad
    ip -n pod$i -6 route add default via fd0a:$i::1
done

tunnel() { # outer address of node 1, of node 2, then options of the device
    local ends=("" "$1" "$2") i o; shift 2
    for i in 1 2; do
        o=$((3 - i))
        ip -n node$i link del vx 2>/dev/null || true
        ip -n node$i link add vx address 02:aa:00:00:00:0$i type vxlan \
            id 7 local "${ends[$i]}" dev eth0 dstport 8472 nolearning "$@"
        ip -n node$i link set vx up
        bridge -n node$i fdb append 02:aa:00:00:00:0$o dev vx dst "${ends[$o]}"
        ip -n node$i neigh replace 10.9.$o.0 lladdr 02:aa:00:00:00:0$o dev vx nud permanent
        ip -n node$i route replace 10.9.$o.0/24 via 10.9.$o.0 dev vx onlink
        ip -n node$i neigh replace fe80::$o lladdr 02:aa:00:00:00:0$o dev vx nud permanent
        ip -n node$i -6 route replace fd0a:$o::/64 via fe80::$o dev vx onlink
    done
}

record() { # name, then what to do meanwhile
    local folder=$out/$1 pids=() point; shift
    mkdir -p "$folder"
    for point in pod1-eth0 node1-eth0 node1-vx pod2-eth0; do
        ip netns exec ${point%-*} tcpdump -Z root --immediate-mode -U -i ${point#*-} -w "$folder/$point.pcap" 2>"$folder/$point.log" &
        pids+=($!)
    done
    for point in pod1-eth0 node1-eth0 node1-vx pod2-eth0; do
        until grep -q listening "$folder/$point.log"; do sleep 0.02; done
    done
    "$@" >"$folder/output.txt" 2>&1 || true
    sleep 0.3
    kill "${pids[@]}"
    wait "${pids[@]}" || true
}

pings() {
    for tos in 0x28 0x01 0x02 0x03; do ns pod1 ping -c 1 -W 1 -Q $tos 10.9.2.5; done
    ns pod1 ping -c 1 -W 1 -t 9 -M dont 10.9.2.5
    for tos in 0x28 0x03; do ns pod1 ping -6 -c 1 -W 1 -Q $tos fd0a:2::5; done
}

upload() {
    ns pod2 socat -u TCP-LISTEN:80,reuseaddr OPEN:/dev/null & # ends with its one connection
    sleep 0.2
    head -c 60000 /dev/zero | ns pod1 socat -u - TCP:10.9.2.5:80,retry=5,interval=0.1
}

big() { ns pod1 ping -c 2 -i 0.1 -W 1 -M dont -s 1472 10.9.2.5; }

both4=(192.168.9.1 192.168.9.2)
both6=(fd09::1 fd09::2)
tunnel "${both4[@]}"
ns pod1 ping -q -c 1 -W 2 10.9.2.5 >/dev/null # neighbours are known from here on
record plain pings
record offload upload
tunnel "${both4[@]}" ttl inherit df inherit
record inherit pings
tunnel "${both6[@]}"
record ipv6 pings
tunnel "${both6[@]}" udp6zerocsumtx udp6zerocsumrx
record ipv6-zero pings
tunnel "${both4[@]}"
for i in 1 2; do
    ns node$i ethtool -K eth0 tx off tso off gso off tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off \
        >/dev/null 2>&1 || true
done
record cut upload
for i in 1 2; do ip -n node$i link set eth0 mtu 1400; done
record cut-twice big
