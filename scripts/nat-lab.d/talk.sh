# shellcheck shell=bash
# Two users exchange messages with the real programs; each message must arrive exactly once and in order.
#
# Message 7 of Alice is the text `a007`, followed by padding in scenarios with long messages.

SERVER_PORT=9000
# A message without a confirmation after 30 s is reported; this allows for the report.
PATIENCE=33
# The wait for late duplicates.
QUIET=2

# The padding after the number of each message.
padding=
# The number of the last message sent, the same for both.
sent=0
declare -A pid=() input=()
# What `chat-client --doctor` must say of the way from a to the server: how lines of its report begin.
diagnosis=()

# stamp FILE: writes each line with its time of arrival.
stamp() {
    local line
    while IFS= read -r line; do
        printf '%s %s\n' "$EPOCHREALTIME" "$line"
    done >"$1"
}

# wait_for SECONDS COMMAND...: waits until the command succeeds.
wait_for() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < until)) || return 1
        sleep 0.1
    done
}

logged() { grep -q -- "$2" "$logs/$1" 2>/dev/null; }

start_server() {
    local listen=0.0.0.0
    [[ $server == *:* ]] && listen=::
    at srv "$bin/chat-server" "$listen" "$SERVER_PORT" >"$logs/srv.out" 2>"$logs/srv.err" </dev/null &
    pid[srv]=$!
    wait_for 5 logged srv.out "listening on" || fail "the server does not start: $(tail -n 1 "$logs/srv.err")"
}

# start_client ROLE NICK
start_client() {
    local fifo=$logs/$1.in fd
    mkfifo "$fifo"
    mkdir "$logs/$1.files"
    # Open both ends: opening must not block, and the client's input must end only on request.
    exec {fd}<>"$fifo"
    input[$1]=$fd
    at "$1" env XDG_STATE_HOME=/dev/null "$bin/chat-client" --config /dev/null --nick "$2" --files-dir "$logs/$1.files" "$server" "$SERVER_PORT" \
        <"$fifo" {fd}<&- > >(stamp "$logs/$1.out") 2> >(stamp "$logs/$1.err") &
    pid[$1]=$!
    wait_for 10 logged "$1.err" "you are $2@" || fail "$2 could not join: $(tail -n 1 "$logs/$1.err")"
}

# Before anybody is there. Not for a router that has one port to give: it remembers the doctor for longer than a talk takes.
check_diagnosis() {
    ((${#diagnosis[@]})) || return 0
    local line status=0
    at a "$bin/chat-client" --doctor "$server" "$SERVER_PORT" >"$logs/doctor.out" 2>"$logs/doctor.err" </dev/null || status=$?
    ((status <= 1)) || problem "the doctor ended with status $status"
    for line in "${diagnosis[@]}"; do
        grep -q -- "^$line" "$logs/doctor.out" || problem "the doctor does not say '$line'"
    done
    measured "the doctor: $(printf '%s; ' "${diagnosis[@]}" | tr -s ' ')"
}

start_talk() {
    start_server
    check_diagnosis
    start_client a alice
    start_client b bob
    wait_for 5 logged a.out "bob@.* is online" || fail "alice does not see bob"
    # Nobody writes within a second of coming; by then the clients have learned their addresses.
    sleep 1
}

# say ROLE TO NUMBER
say() {
    local token
    printf -v token '%s%03d' "$1" "$3"
    printf '%s %s\n' "$EPOCHREALTIME" "$token" >>"$logs/$1.sent"
    printf '/msg %s %s%s\n' "$2" "$token" "$padding" >&"${input[$1]}"
}

# exchange COUNT: sends this many messages from each side, three a second.
exchange() {
    local last=$((sent + $1))
    while ((sent < last)); do
        sent=$((sent + 1))
        say a bob "$sent"
        say b alice "$sent"
        sleep 0.3
    done
}

# crowds ROLE COUNT PLACES: a host opens so many connections and keeps them; it is let have so many places, and the log says
# why the others are not: of ten one by one, and how many more there were.
crowds() {
    (
        # Otherwise the crowd would keep the clients' inputs open.
        for fd in "${input[@]}"; do exec {fd}>&-; done
        # shellcheck disable=SC2016
        at "$1" bash -c '
            for ((i = 0; i < $2; i++)); do exec {fd}<>"/dev/tcp/$0/$1" || exit; done
            exec sleep 600
        ' "$server" "$SERVER_PORT" "$2"
    ) >"$logs/$1.out" 2>"$logs/$1.err" </dev/null &
    pid[$1]=$!
    local refused
    refused="refuse $(address_of "$1")"
    wait_for 20 logged_times 10 "$refused:[0-9]* reason=address limit=$3" || problem "not ten were refused one by one"
    wait_for 20 logged_times 1 "$refused reason=address limit=$3 more=$(($2 - $3 - 10)) within=10s" ||
        problem "not $(($2 - $3)) were refused"
    wait_for 20 logged_times "$3" "join $(address_of "$1"):" || problem "not $3 of a crowd got in"
    measured "$2 connections, $3 places"
}

# The IPv4 address of a connected host.
address_of() { links "$1" -4 -oneline address show dev uplink | sed -n 's/.* inet \([0-9.]*\).*/\1/p'; }

# logged_times COUNT PATTERN: whether exactly this many lines of the server's log match.
logged_times() { [[ $(grep -c -- "$2" "$logs/srv.err") -eq $1 ]]; }

# The numbers of the messages that a role has sent.
numbers() { seq -f "$1%03g" 1 "$sent"; }

# received FILE LETTER: prints the time and number of each message received, in order.
received() {
    sed -n "s/^\([0-9.]*\) private .*: \($2[0-9]\{3\}\)\( x*\)\{0,1\}\$/\1 \2/p" "$logs/$1"
}

# receipts FILE LETTER: prints the number of each message and its state according to its sender: direct, relayed,
# unconfirmed or failed. The last receipt of a message counts. A receipt without a message is for the first that waits
# for one. (Only this function knows the wording of receipts.)
receipts() {
    awk -v letter="$2" '
        function outcome(line) {
            if (line ~ /not (delivered|sent)/) return "failed"
            if (line ~ /^private to .*unconfirmed/) return "unconfirmed"
            if (line !~ /(^|[^a-z])delivered/) return ""
            return line ~ /via the server/ ? "relayed" : line ~ /direct/ ? "direct" : "unconfirmed"
        }
        function settle(token, what) {
            if (!(token in told)) order[++count] = token
            told[token] = what
        }
        {
            sub(/^[0-9.]+ \* /, "")
            what = outcome($0)
            if (what == "") next
            if (match($0, "(^|[^a-z0-9])" letter "[0-9][0-9][0-9]($|[^0-9])"))
                settle(letter substr(substr($0, RSTART), index(substr($0, RSTART), letter) + 1, 3), what)
            else
                settle(sprintf("%s%03d", letter, ++unnamed), what)
        }
        END { for (i = 1; i <= count; i++) print order[i], told[order[i]] }
    ' "$logs/$1"
}

# all_settled: whether each sender knows the state of each message, and confirmed messages have arrived.
all_settled() {
    local side
    for side in a:b b:a; do
        [[ $(received "${side#*:}.out" "${side%:*}" | wc -l) -ge $sent ]] || return 1
        [[ $(receipts "${side%:*}.err" "${side%:*}" | wc -l) -ge $sent ]] || return 1
    done
}

# Waits for the remaining messages, and ends the programs.
end_talk() {
    wait_for "$PATIENCE" all_settled || true
    sleep "$QUIET"
    local role fd
    for role in a b; do
        # All earlier messages are settled, so the client leaves at once.
        fd=${input[$role]}
        exec {fd}>&-
    done
    expect_end a 0
    expect_end b 0
    kill "${pid[srv]}"
    # The server ends by the signal.
    expect_end srv 143
}

# expect_end ROLE STATUS
expect_end() {
    local status=0
    wait_for 5 has_ended "${pid[$1]}" || {
        problem "$1 does not end"
        return
    }
    wait "${pid[$1]}" || status=$?
    ((status == $2)) || problem "$1 ended with status $status"
}

has_ended() { ! kill -0 "$1" 2>/dev/null; }

# judge_side FROM TO: adds to the problems, and to the sums of the table.
judge_side() {
    local from=$1 to=$2 got all once
    got=$(received "$to.out" "$from" | cut -d ' ' -f 2)
    all=$(grep -c . <<<"$got" || true)
    once=$(sort -u <<<"$got" | grep -c . || true)
    lost=$((lost + sent - once))
    doubled=$((doubled + all - once))
    arrived=$((arrived + once))
    # The first arrival of each message counts.
    sort -c <<<"$(awk '!seen[$0]++' <<<"$got")" 2>/dev/null || disordered=yes
    receipts "$from.err" "$from" >"$logs/$from.receipts"
}

told() { cat "$logs/a.receipts" "$logs/b.receipts" | grep -c " $1\$" || true; }

# The longest latency of a message, in seconds.
slowest() {
    local side
    for side in a:b b:a; do
        received "${side#*:}.out" "${side%:*}" | awk '
            NR == FNR { sent[$2] = $1; next }
            $2 in sent && !($2 in came) { came[$2] = $1; print $1 - sent[$2] }
        ' "$logs/${side%:*}.sent" -
    done | sort -n | tail -n 1 | awk '{ printf "%.1f", $1 }'
}

# expect_paths direct FIRST LAST | relayed | any: checks the paths of these messages, or of all.
expect_paths() {
    local wrong=0
    case $1 in
        direct)
            wrong=$(awk -v first="$2" -v last="$3" '
                { number = substr($1, 2) + 0 }
                $2 != "direct" && number >= first && number <= last
            ' "$logs"/[ab].receipts | wc -l)
            ;;
        relayed) wrong=$(awk '$2 != "relayed"' "$logs"/[ab].receipts | wc -l) ;;
    esac
    ((wrong == 0)) || problem "$wrong not $1"
}

# judge PATHS...: adds to the problems, and writes the row of the table. PATHS as for expect_paths.
judge() {
    local arrived=0 lost=0 doubled=0 disordered=no expected="$1${2:+ $2-$3}"
    judge_side a b
    judge_side b a
    ((lost == 0)) || problem "$lost lost"
    ((doubled == 0)) || problem "$doubled came twice"
    [[ $disordered == no ]] || problem "out of order"
    (($(cat "$logs"/[ab].receipts | wc -l) == 2 * sent)) || problem "not every message has a receipt"
    (($(told failed) == 0)) || problem "$(told failed) reported as not delivered"
    expect_paths "$@"
    talked="$((2 * sent)) | $arrived | $lost | $doubled | $disordered"
    talked+=" | $(told direct) | $(told relayed) | $(told unconfirmed) | $expected | $(slowest)"
}
