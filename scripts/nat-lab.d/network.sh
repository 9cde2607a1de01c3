# shellcheck shell=bash
# Networks made of namespaces: the internet, a server in it, routers, and hosts behind them.
#
#     a - ra - net - rb - b        Every router decrements the hop limit, so a punch probe of two hops passes its own
#              |                   router, expires in `net`, and never reaches the other one.
#             srv
#
# Interfaces are named after the other end: `wan` and `lan` in a router, `uplink` in a host. Both homes use the same private
# network, as most homes do, so the private address of a host belongs to another host on the other side.

# The address of the server.
server=
# The public addresses of the hosts, and the next hops of their routers.
declare -A public=() gateway=()

namespace() { echo "$networks.$1"; }

# Runs a command in the namespace of a role.
at() {
    local role=$1
    shift
    ip netns exec "$networks.$role" "$@"
}

links() {
    local role=$1
    shift
    ip -n "$networks.$role" "$@"
}

# Loads rules from the standard input.
rules() { at "$1" nft -f -; }

set_kernel() {
    # $2 and $3 are for the inner shell.
    # shellcheck disable=SC2016
    at "$1" sh -c 'echo "$1" >"/proc/sys/net/$0"' "$2" "$3"
}

add_namespace() {
    ip netns add "$(namespace "$1")"
    links "$1" link set dev lo up
    # Duplicate address detection is off: it would block each address for a second.
    if has_ipv6; then
        set_kernel "$1" ipv6/conf/all/accept_dad 0
        set_kernel "$1" ipv6/conf/default/accept_dad 0
    fi
}

# Some scenarios do without IPv6.
has_ipv6() { [[ -e /proc/sys/net/ipv6 ]]; }

address() { links "$1" address add "$3" dev "$2"; }

# cable ROLE INTERFACE ROLE INTERFACE
cable() {
    links "$1" link add name "$2" type veth peer name "$4" netns "$(namespace "$3")"
    links "$1" link set dev "$2" up
    links "$3" link set dev "$4" up
}

add_bridge() {
    links "$1" link add name "$2" type bridge
    links "$1" link set dev "$2" up
}

# plug HOST ADDRESS INTO BRIDGE: connects a host to a network.
plug() {
    add_namespace "$1"
    cable "$1" uplink "$3" "$1"
    links "$3" link set dev "$1" master "$4"
    address "$1" uplink "$2"
}

forwarding() {
    set_kernel "$1" ipv4/conf/all/forwarding 1
    if has_ipv6; then
        set_kernel "$1" ipv6/conf/all/forwarding 1
    fi
}

# The internet, and the server in it.
internet() {
    server=192.0.2.10
    add_namespace net
    forwarding net
    add_namespace srv
    cable srv uplink net srv
    address srv uplink 192.0.2.10/24
    address net srv 192.0.2.1/24
    links srv route add default via 192.0.2.1
    if [[ ${1-} == ipv6 ]]; then
        server=2001:db8:5::10
        address srv uplink 2001:db8:5::10/64
        address net srv 2001:db8:5::1/64
        links srv route add default via 2001:db8:5::1
    fi
}

# The network between the internet and the router of a side (or its host, without a router), without the last number.
outside() {
    case $1 in
        a) echo 198.51.100 ;;
        b) echo 203.0.113 ;;
    esac
}

# A host directly on the internet.
public_host() {
    local net
    net=$(outside "$1")
    add_namespace "$1"
    cable "$1" uplink net "$1"
    address "$1" uplink "$net.2/24"
    address net "$1" "$net.1/24"
    links "$1" route add default via "$net.1"
    public[$1]=$net.2
    gateway[$1]=$net.1
}

# router SIDE KIND
router() {
    local side=$1 router=r$1 net
    net=$(outside "$side")
    add_namespace "$router"
    forwarding "$router"
    cable "$router" wan net "$router"
    address "$router" wan "$net.2/24"
    address net "$router" "$net.1/24"
    links "$router" route add default via "$net.1"
    add_bridge "$router" lan
    address "$router" lan 192.168.1.1/24
    router_rules "$2" | rules "$router"
}

# behind SIDE HOST: a host in the home network of a side.
behind() {
    local net
    net=$(outside "$1")
    case $2 in
        "$1") plug "$2" 192.168.1.10/24 "r$1" lan ;;
        *) plug "$2" 192.168.1.11/24 "r$1" lan ;;
    esac
    links "$2" route add default via 192.168.1.1
    public[$2]=$net.2
    gateway[$2]=$net.1
}

# home SIDE KIND: a router, and the host of that side behind it.
home() {
    router "$1" "$2"
    behind "$1" "$1"
}

# home_ipv6 SIDE KIND: the same without translation.
home_ipv6() {
    local side=$1 router=r$1 lan=2001:db8:$1:1 wan=2001:db8:$1:2
    add_namespace "$router"
    forwarding "$router"
    cable "$router" wan net "$router"
    address "$router" wan "$wan::2/64"
    address net "$router" "$wan::1/64"
    links "$router" route add default via "$wan::1"
    links net route add "$lan::/64" via "$wan::2"
    add_bridge "$router" lan
    address "$router" lan "$lan::1/64"
    plug "$side" "$lan::10/64" "$router" lan
    links "$side" route add default via "$lan::1"
    router_rules "$2" | rules "$router"
    public[$side]=$lan::10
    gateway[$side]=$wan::1
}

# The rules of each kind of router.
router_rules() {
    case $1 in
        # Keeps the port if possible, and drops unsolicited datagrams.
        preserving) unsolicited_dropped && masquerade "masquerade" ;;
        # Maps to another port for each destination.
        random) unsolicited_dropped && masquerade "masquerade fully-random" ;;
        # Maps to one port for all destinations, different from the inner one; TCP keeps its ports.
        port:*) unsolicited_dropped && masquerade "meta l4proto udp masquerade to :${1#port:}" "masquerade" ;;
        # Forwards without a filter: it rejects unsolicited datagrams by ICMP and tracks them, so their port is taken when a
        # host inside sends to the same destination.
        reject) masquerade "masquerade" ;;
        firewall) unsolicited_dropped ;;
        open) ;;
        *) fail "unknown kind of router: $1" ;;
    esac
}

# Segments of a forgotten connection are unsolicited too; a reset by the router would end the connection.
unsolicited_dropped() {
    cat <<'RULES'
table inet filter {
    chain input {
        type filter hook input priority filter
        meta l4proto { tcp, udp } ct state new drop
    }
    chain forward {
        type filter hook forward priority filter
        iifname "wan" ct state new drop
    }
}
RULES
}

# masquerade RULE...: for packets that leave by the outer interface.
masquerade() {
    echo 'table ip nat {'
    echo '    chain postrouting {'
    echo '        type nat hook postrouting priority srcnat'
    printf '        oifname "wan" %s\n' "$@"
    echo '    }'
    echo '}'
}

# Faults of the internet. They affect datagrams only, not TCP.
loses_datagrams() {
    rules net <<RULES
table inet weather {
    chain forward {
        type filter hook forward priority filter
        meta l4proto udp numgen random mod 100 < $1 drop
    }
}
RULES
}

doubles_datagrams() {
    rules net <<'RULES'
table ip weather {
    chain forward {
        type filter hook forward priority filter
        oifname "srv" meta l4proto udp dup to 192.0.2.10 device "srv"
        oifname "ra" meta l4proto udp dup to 198.51.100.2 device "ra"
        oifname "rb" meta l4proto udp dup to 203.0.113.2 device "rb"
    }
}
RULES
}

# narrows_line_of_a BYTES: limits the MTU of side a without ICMP errors. Its router adapts TCP, as such routers do.
narrows_line_of_a() {
    links ra link set dev wan mtu "$1"
    links net link set dev ra mtu "$1"
    local role
    for role in ra net; do
        rules "$role" <<RULES
table ip narrow {
    chain output {
        type filter hook output priority filter
        icmp type destination-unreachable icmp code frag-needed drop
    }
    chain forward {
        type filter hook forward priority filter
        tcp flags & syn == syn tcp option maxseg size set $(($1 - 40))
    }
}
RULES
    done
}

# forgets_after SIDE SECONDS: makes a router drop mappings after this time.
forgets_after() {
    set_kernel "r$1" netfilter/nf_conntrack_udp_timeout "$2"
    set_kernel "r$1" netfilter/nf_conntrack_udp_timeout_stream "$2"
}

# reboots SIDE KIND: takes the line down, which makes the kernel drop its mappings; the router returns as KIND.
reboots() {
    local router=r$1
    links "$router" link set dev wan down
    at "$router" nft flush ruleset
    sleep 1
    router_rules "$2" | rules "$router"
    links "$router" link set dev wan up
    links "$router" route replace default via "${gateway[$1]}"
}

# Drops datagrams: a host gets an error when it sends, a router drops them silently.
blocks_datagrams() {
    local hook
    for hook in input output forward; do
        rules "$1" <<RULES
table inet nodatagrams {
    chain $hook {
        type filter hook $hook priority filter
        meta l4proto udp drop
    }
}
RULES
    done
}

# Ends all processes in the namespaces with this prefix, and removes the namespaces.
remove_namespaces() {
    local name pid
    while read -r name _; do
        [[ $name == "$1"* ]] || continue
        for pid in $(ip netns pids "$name"); do
            kill -KILL "$pid" 2>/dev/null
        done
        ip netns delete "$name"
    done < <(ip netns list 2>/dev/null) # It complains of those that somebody else is just removing.
}
