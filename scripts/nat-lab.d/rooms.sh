# shellcheck shell=bash
# Rooms are found on a LAN with the real programs: the server announces its room, and `chat-client --rooms` lists it.

# A client lists rooms for this long.
LISTING=1.5
# From its start, a server needs this long to probe and to announce: at most 0.25 s, 0.75 s, and some time to begin.
CLAIMING=3

# Names of rooms are not English only.
ROOM='Lab 3. 二楼'

# announces ROLE NUMBER ADDRESS PORT [OPTION]...: starts a server, and waits until it has a name.
announces() {
    local role=$1 log=$logs/$1-$2
    shift 2
    at "$role" env XDG_STATE_HOME="$log.state" "$bin/chat-server" "$@" >"$log.out" 2>"$log.err" </dev/null &
    wait_for "$CLAIMING" logged "${log##*/}.err" 'announce name=' ||
        fail "no name after $CLAIMING s: $(tail -n 1 "$log.err")"
}

# rooms ROLE: lists the rooms, one a line, sorted; empty if there is none.
rooms() { at "$1" env XDG_STATE_HOME=/dev/null "$bin/chat-client" --rooms 2>/dev/null | sort || true; }

# expect_rooms ROLE PATTERN...: the list has these lines, and no others. A pattern is a regular expression.
expect_rooms() {
    local role=$1 begun list line
    shift
    begun=${EPOCHREALTIME/./}
    list=$(rooms "$role")
    local took=$(((${EPOCHREALTIME/./} - begun) / 1000))
    local -a lines=()
    [[ -z $list ]] || mapfile -t lines <<<"$list"
    ((${#lines[@]} == $#)) || fail "$role lists ${#lines[@]} rooms, not $#: $list"
    for line in "${lines[@]}"; do
        [[ $line =~ ^$1$ ]] || fail "$role lists '$line', not '$1'"
        shift
    done
    measured "${#lines[@]} rooms listed in $took ms"
}

# expect_doctor ROLE LINE...: without a server's name, the doctor says these. Each is how a line begins, as a regular expression.
expect_doctor() {
    local role=$1 line
    shift
    at "$role" env XDG_STATE_HOME=/dev/null "$bin/chat-client" --config /dev/null --doctor >"$logs/doctor.out" 2>&1 || true
    for line; do
        grep -q -- "^$line" "$logs/doctor.out" || fail "the doctor does not say '$line'"
    done
    measured "the doctor: $*"
}

# ends_servers ROLE: with SIGTERM, so that they withdraw their rooms.
ends_servers() {
    local process
    for process in $(ip netns pids "$(namespace "$1")"); do
        [[ $(cat "/proc/$process/comm" 2>/dev/null) != chat-server ]] || kill -TERM "$process"
    done
    wait_for 5 no_server "$1" || fail "a server does not end"
}

no_server() {
    local process
    for process in $(ip netns pids "$(namespace "$1")"); do
        [[ $(cat "/proc/$process/comm" 2>/dev/null) != chat-server ]] || return 1
    done
}

# Without programs, there is nothing to measure.
needs_programs() {
    $networks_only || return 0
    skipped="it needs the programs"
    exit 0
}

# admits_established ROLE [PORT]: drops what comes in, except of flows that began here, and of UDP to this port.
admits_established() {
    rules "$1" <<RULES
table inet firewall {
    chain input {
        type filter hook input priority filter
        policy drop
        iifname "lo" accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        ct state established,related accept
        ${2:+udp dport $2 accept}
    }
}
RULES
}

# has_avahi: starts avahi-daemon in a host, without D-Bus.
starts_avahi() {
    local run=$logs/$1.avahi
    mkdir "$run"
    printf '[server]\nenable-dbus=no\nuse-ipv6=yes\n[publish]\npublish-workstation=yes\n' >"$run/conf"
    # Its socket and its pid have fixed places, so it gets a /run of its own.
    # shellcheck disable=SC2016
    at "$1" unshare --mount sh -c '
        mount -t tmpfs run /run && mkdir -p /run/avahi-daemon &&
            exec avahi-daemon --file "$0" --no-drop-root --no-chroot --no-rlimits
    ' "$run/conf" >"$run/log" 2>&1 &
    wait_for 5 grep -q 'startup complete' "$run/log" || fail "avahi does not start: $(tail -n 1 "$run/log")"
}

scenario_rooms() {
    needs_programs
    one_lan a b
    announces srv 1 :: 9000 --name "$ROOM"
    announces srv 2 0.0.0.0 9001 --name "$ROOM" --sealed-only
    announces b 1 192.168.1.11 9000
    expect_rooms a "192.168.1.11 9000 - .*" "192.168.1.2 9000 - $ROOM" "192.168.1.2 9001 sealed $ROOM \(2\)"
    # Also on the machine itself.
    expect_rooms b "192.168.1.11 9000 - .*" "192.168.1.2 9000 - $ROOM" "192.168.1.2 9001 sealed $ROOM \(2\)"
    ends_servers srv
    expect_rooms a "192.168.1.11 9000 - .*"
    # Each run asks at another moment.
    local run
    for ((run = 1; run <= 10; run++)); do
        [[ $(rooms a) == "192.168.1.11 9000 - "* ]] || fail "run $run lists no room"
    done
    measured "found in 10 of 10 runs"
}

scenario_rooms_ipv6() {
    needs_programs
    needs_ipv6
    one_lan a
    links a address flush dev uplink scope global
    links srv address flush dev uplink scope global
    announces srv 1 :: 9000 --name "$ROOM"
    expect_rooms a "fe80::[0-9a-f:]*%uplink 9000 - $ROOM"
}

scenario_rooms_link() {
    needs_programs
    one_lan a
    links srv link set dev uplink down
    at srv env XDG_STATE_HOME="$logs/state" "$bin/chat-server" 0.0.0.0 9000 --name "$ROOM" \
        >"$logs/srv.out" 2>"$logs/srv-1.err" </dev/null &
    wait_for 5 logged srv.out "listening on" || fail "the server does not start"
    expect_rooms a
    links srv link set dev uplink up
    wait_for "$CLAIMING" logged srv-1.err 'announce name=' || fail "no name after the link came up"
    expect_rooms a "192.168.1.2 9000 - $ROOM"
    # Another cable, with another address.
    links srv link delete dev uplink
    cable srv uplink net srv
    links net link set dev srv master lan
    address srv uplink 192.168.1.3/24
    sleep "$CLAIMING"
    expect_rooms a "192.168.1.3 9000 - $ROOM"
    ! logged srv-1.err 'not announced' || fail "$(grep 'not announced' "$logs/srv-1.err")"
}

scenario_rooms_firewall() {
    needs_programs
    one_lan a
    admits_established a 5353
    admits_established srv 5353
    announces srv 1 0.0.0.0 9000 --name "$ROOM"
    expect_rooms a "192.168.1.2 9000 - $ROOM"
    expect_doctor a 'ok mDNS ' 'ok rooms    '
    at srv nft flush ruleset
    admits_established srv
    expect_rooms a
    expect_doctor a 'ok mDNS ' '-- rooms    none within'
    at a nft flush ruleset
    admits_established a
    expect_doctor a '!! mDNS     nothing comes in at UDP port 5353 on uplink'
}

scenario_rooms_avahi() {
    needs_programs
    command -v avahi-daemon >/dev/null || {
        skipped="there is no avahi-daemon"
        exit 0
    }
    one_lan a
    starts_avahi a
    starts_avahi srv
    announces srv 1 :: 9000 --name "$ROOM"
    expect_rooms a "192.168.1.2 9000 - $ROOM"
    ends_servers srv
    expect_rooms a
}
