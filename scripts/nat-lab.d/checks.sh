# shellcheck shell=bash
# Checks that a network has the properties that its scenario states. Without them, the messages prove nothing.
#
# Bash sends the datagrams. It can neither choose their source port nor receive. So rules in each host rewrite the source port
# during the checks, as if one socket had sent them all, and count the datagrams that arrive.

PROBE_PORT=7777

# The measurements, for the table.
measured=

measured() { measured+="${measured:+; }$*"; }

claim_broken() { fail "the network lacks a stated property: $*"; }

# probes_on ROLE...
probes_on() {
    local role
    for role in "$@"; do
        rules "$role" <<RULES
table inet probe {
    set seen {
        type ipv4_addr . inet_service
        size 64
        flags dynamic
    }
    counter arrived { }
    counter refused { }
    chain output {
        type filter hook output priority filter
        meta l4proto udp udp sport set $PROBE_PORT
    }
    chain input {
        type filter hook input priority filter - 1
        icmp type destination-unreachable counter name refused
        icmpv6 type destination-unreachable counter name refused
        meta nfproto ipv4 meta l4proto udp add @seen { ip saddr . udp sport }
        meta l4proto udp counter name arrived drop
    }
}
RULES
    done
}

probes_off() {
    local role
    for role in "$@"; do
        at "$role" nft delete table inet probe
    done
}

# send ROLE ADDRESS [PORT [COUNT [BYTES]]]
send() {
    # A host that may not send prints an error for each datagram.
    # shellcheck disable=SC2016
    at "$1" bash -c '
        exec 3>"/dev/udp/$0/$1"
        printf -v text "%*s" "$3" ""
        for ((i = 0; i < $2; i++)); do printf %s "$text" >&3; done
    ' "$2" "${3-$PROBE_PORT}" "${4-1}" "${5-100}" 2>/dev/null || true
}

# Reads and resets a counter, after the datagrams in transit have arrived.
count() {
    sleep 0.3
    at "$1" nft reset counter inet probe "$2" | sed -n 's/.*packets \([0-9]*\).*/\1/p'
}

# seen_port ROLE ADDRESS: prints the source port of the last datagram from there, and discards the others.
seen_port() {
    sleep 0.3
    at "$1" nft list set inet probe seen |
        grep -o "${2//./\\.} \. [0-9]*" | sed 's/.* //' | tail -n 1
    at "$1" nft flush set inet probe seen
}

expect_count() {
    local counted
    counted=$(count "$1" "$2")
    [[ $counted -ge $3 && $counted -le $4 ]] || claim_broken "$5 ($counted, not $3 to $4)"
}

# check_reach FROM TO ADDRESS
check_reach() {
    count "$2" arrived >/dev/null
    send "$1" "$3" "$PROBE_PORT" 5
    expect_count "$2" arrived 5 5 "datagrams from $1 do not all reach $2"
    measured "$1 reaches $2"
}

# check_no_reach FROM TO ADDRESS
check_no_reach() {
    count "$2" arrived >/dev/null
    send "$1" "$3" "$PROBE_PORT" 5
    expect_count "$2" arrived 0 0 "datagrams from $1 reach $2"
    measured "$1 does not reach $2"
}

# check_router HOST MAPPING UNSOLICITED: checks how its router maps it (preserving, random, or a port), and whether
# unsolicited datagrams are dropped or rejected.
check_router() {
    local host=$1 mapping=$2 unsolicited=$3 mapped other
    send "$host" "$server"
    mapped=$(seen_port srv "${public[$host]}")
    [[ -n $mapped ]] || claim_broken "$host does not reach the server"
    # A destination that is neither the server nor the address that sends unsolicited datagrams below.
    send "$host" 192.0.2.1
    other=$(seen_port net "${public[$host]}")
    check_mapping "$host" "$mapping" "$mapped" "$other"
    check_unsolicited "$host" "$mapped" "$unsolicited"
    measured "$host: port $PROBE_PORT appears as $mapped and $other; unsolicited: $unsolicited"
}

check_mapping() {
    local host=$1 mapping=$2 mapped=$3 other=$4
    case $mapping in
        preserving) [[ $mapped == "$PROBE_PORT" && $other == "$PROBE_PORT" ]] ;;
        random) [[ $mapped != "$PROBE_PORT" && $other != "$PROBE_PORT" && $other != "$mapped" ]] ;;
        *) [[ $mapped == "$mapping" && $other == "$mapping" ]] ;;
    esac || claim_broken "$host is mapped to the ports $mapped and ${other:-none}, which is not $mapping"
}

check_unsolicited() {
    local host=$1 mapped=$2 unsolicited=$3 refused
    count "$host" arrived >/dev/null
    send srv "${public[$host]}" "$mapped"
    expect_count "$host" arrived 1 1 "what $host asked for does not reach it"
    count net refused >/dev/null
    send net "${public[$host]}" "$mapped"
    expect_count "$host" arrived 0 0 "what nobody asked for reaches $host"
    refused=$(count net refused)
    case $unsolicited in
        dropped) [[ $refused == 0 ]] || claim_broken "the router of $host answers what nobody asked for" ;;
        rejected)
            [[ $refused -gt 0 ]] || claim_broken "the router of $host is silent about what nobody asked for"
            check_spoiled "$host"
            ;;
    esac
}

# After rejecting the first datagram of a conversation, such a router assigns it another port. Punch probes prevent that.
check_spoiled() {
    local port
    send "$1" "${gateway[$1]}"
    port=$(seen_port net "${public[$1]}")
    [[ -n $port && $port != "$PROBE_PORT" ]] ||
        claim_broken "what came to the router of $1 unsolicited does not take the port (${port:-nothing came})"
    measured "$1: after it, port $PROBE_PORT appears there as $port"
}

# check_firewall HOST: for an IPv6 home.
check_firewall() {
    count "$1" arrived >/dev/null
    send "$1" "$server"
    send srv "${public[$1]}"
    expect_count "$1" arrived 1 1 "what $1 asked for does not reach it"
    send net "${public[$1]}"
    expect_count "$1" arrived 0 0 "what nobody asked for reaches $1"
    measured "$1: its own address; unsolicited: dropped"
}

# check_loss PERCENT: measures 500 datagrams each way; 4 standard deviations are 8 %.
check_loss() {
    local out back
    send a "$server"
    count srv arrived >/dev/null
    count a arrived >/dev/null
    # The router accepts datagrams only after it has forwarded one in the other direction.
    send a "$server" "$PROBE_PORT" 500
    send srv "${public[a]}" "$PROBE_PORT" 500
    out=$((100 - $(count srv arrived) / 5))
    back=$((100 - $(count a arrived) / 5))
    [[ $out -ge $(($1 - 8)) && $out -le $(($1 + 8)) && $back -ge $(($1 - 8)) && $back -le $(($1 + 8)) ]] ||
        claim_broken "$out % and $back % of all datagrams are lost, not $1 %"
    measured "$out % lost out, $back % back"
}

check_doubled() {
    send a "$server" "$PROBE_PORT" 20
    expect_count srv arrived 40 40 "datagrams to the server are not doubled"
    count a arrived >/dev/null
    send srv "${public[a]}" "$PROBE_PORT" 20
    expect_count a arrived 40 40 "datagrams from the server are not doubled"
    measured "20 datagrams arrive as 40"
}

# check_narrow BYTES: longer datagrams are dropped both ways, without ICMP errors.
check_narrow() {
    local role most=$(($1 - 28))
    count srv arrived >/dev/null
    send a "$server" "$PROBE_PORT" 3 "$most"
    expect_count srv arrived 3 3 "datagrams of $1 bytes do not pass"
    send a "$server" "$PROBE_PORT" 3 $((most + 1))
    expect_count srv arrived 0 0 "datagrams of more bytes pass"
    count a arrived >/dev/null
    send srv "${public[a]}" "$PROBE_PORT" 3 "$most"
    expect_count a arrived 3 3 "datagrams of $1 bytes do not pass inwards"
    send srv "${public[a]}" "$PROBE_PORT" 3 $((most + 1))
    expect_count a arrived 0 0 "datagrams of more bytes pass inwards"
    for role in a srv; do
        expect_count "$role" refused 0 0 "$role is told that a datagram was too big"
    done
    measured "$most bytes of payload pass, one more vanishes"
}

# check_forgetful HOST SECONDS: a mapping exists before that time, and is gone after it.
check_forgetful() {
    count "$1" arrived >/dev/null
    send "$1" "$server"
    sleep $(($2 - 2))
    send srv "${public[$1]}"
    expect_count "$1" arrived 1 1 "the mapping of $1 is gone before $2 s"
    sleep $(($2 + 1))
    send srv "${public[$1]}"
    expect_count "$1" arrived 0 0 "the mapping of $1 is alive after $2 s"
    measured "$1: mapping alive at $(($2 - 2)) s, gone at $(($2 + 1)) s"
}

# check_reboot SIDE KIND PORT: the reboot removes all mappings, and the next one has that port.
check_reboot() {
    local before after
    send "$1" "$server"
    before=$(seen_port srv "${public[$1]}")
    count "$1" arrived >/dev/null
    send srv "${public[$1]}" "$before"
    expect_count "$1" arrived 1 1 "what $1 asked for does not reach it"
    reboots "$1" "$2"
    send srv "${public[$1]}" "$before"
    expect_count "$1" arrived 0 0 "the router of $1 remembers what was before it rebooted"
    send "$1" "$server"
    after=$(seen_port srv "${public[$1]}")
    [[ $after == "$3" ]] || claim_broken "after the reboot $1 is mapped to ${after:-nothing}, not $3"
    measured "$1: port $before is gone after the reboot, then $after"
}
