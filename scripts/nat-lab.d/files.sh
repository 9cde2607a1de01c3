# shellcheck shell=bash
# A file goes over a narrow line while both users write. It must use the line, and the messages must stay fast.

# The part of the line that the file must use at least, in percent, and how much slower nine of ten messages may be, in
# milliseconds. The promises are 90 and 50; machines that run many scenarios at a time are noisy.
USED_MIN=75
SLOWER_MAX=80

# narrows_uplink ROLE MBITS QUEUE: a host's line carries so much, and a queue holds what waits, for so many milliseconds.
narrows_uplink() {
    at "$1" tc qdisc add dev uplink root tbf rate "$2mbit" burst 32k latency "$3ms" 2>/dev/null && return
    $require && fail "this system has no tbf"
    skipped="this system has no tbf"
    exit 0
}

# nine_of_ten FIRST LAST: the latency in milliseconds that nine of ten of these messages of a have at most.
nine_of_ten() {
    received b.out a | awk -v first="$1" -v last="$2" '
        NR == FNR { sent[$2] = $1; next }
        { number = substr($2, 2) + 0 }
        number >= first && number <= last { printf "%d\n", ($1 - sent[$2]) * 1000 }
    ' "$logs/a.sent" - | sort -n | awk '{ all[NR] = $1 } END { print all[int(NR * 0.9)] }'
}

# sends_file MBITS MEGABYTES: a sends b a file, while both write. A datagram of 1242 bytes carries 1149 of the file.
sends_file() {
    if $networks_only; then return; fi
    head -c "$2"M /dev/urandom >"$logs/file"
    start_talk
    exchange 12
    echo "/send bob $logs/file" >&"${input[a]}"
    wait_for 10 logged b.err 'offers you a file' || fail "no offer arrives"
    local begun=$EPOCHREALTIME ended before with used
    echo /accept >&"${input[b]}"
    exchange 20
    wait_for 60 logged a.err 'bob.* has file ' || fail "the file does not arrive"
    ended=$(sed -n 's/ .*bob.* has file .*//p' "$logs/a.err")
    end_talk
    cmp -s "$logs/file" "$logs/b.files/file" || problem "the file differs"
    used=$(awk "BEGIN { print int($2 * 1048576 * 8 / ($ended - $begun) / ($1 * 10000) * 1242 / 1149) }")
    before=$(nine_of_ten 5 12) with=$(nine_of_ten 13 32)
    measured "the file uses $used % of the line; nine of ten messages take $with ms beside it, $before ms before"
    ((used >= USED_MIN)) || problem "the file uses $used % of the line"
    ((with <= before + SLOWER_MAX)) || problem "messages take $with ms beside the file, $before ms before"
    judge direct 5 32
}
