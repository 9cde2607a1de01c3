# The trial of scripts/package: from the Debian packages to a room, in a fresh system and two network namespaces.

work=$(mktemp -d)
root=$work/debian
server=

clean_up() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    ip netns delete chat-room 2>/dev/null || true
    ip netns delete chat-user 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

at() { printf '%s  %s\n' "$(date +%T.%3N)" "$*"; }

in_system() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }

# Every file, but those that dpkg writes for itself.
files() { (cd "$root" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/log -o -path ./tmp \) -prune -o -print | sort); }

# A prefix that runs a command in the system as somebody without privileges.
nobody=(chroot --userspec=65534:65534 "$root" env -i PATH=/usr/bin HOME=/tmp)

as_user() { ip netns exec chat-user "${nobody[@]}" "$@"; }

# Starts the server as the unit would: no systemd runs here.
start_server() {
    local unit=$root/usr/lib/systemd/system/chat-server.service state=/var/lib/chat-server command
    command=$(sed -n 's/^ExecStart=//p' "$unit")
    command=${command//'${STATE_DIRECTORY}'/$state}
    install -d -o 65534 -g 65534 -m 700 "$root$state"
    at "start: $command"
    # shellcheck disable=SC2086 # The command has words.
    ip netns exec chat-room "${nobody[@]}" XDG_STATE_HOME=$state $command >"$work/output" 2>>"$work/log" &
    server=$!
    for _ in $(seq 200); do
        ! grep -q '^listening' "$work/output" || return 0
        sleep 0.05
    done
    failed "the server does not listen: $(cat "$work/log")"
}

stop_server() {
    kill "$server"
    wait "$server" || failed "the server ends with status $?"
    server=
}

at "make a system"
debootstrap --variant=minbase bookworm "$root" >"$work/debootstrap.log" 2>&1 || {
    echo "not tried: debootstrap fails: $(tail -n 1 "$work/debootstrap.log")"
    exit 0
}
ip netns add chat-room
ip netns add chat-user
ip link add chat0 netns chat-room type veth peer name chat0 netns chat-user
ip -n chat-room address add 192.0.2.7/24 dev chat0
ip -n chat-user address add 192.0.2.20/24 dev chat0
for namespace in chat-room chat-user; do
    ip -n "$namespace" link set chat0 up
    ip -n "$namespace" link set lo up
done

files >"$work/before"
at "install"
cp "$packages"/*.deb "$root/tmp/"
in_system sh -c 'dpkg --install /tmp/*.deb' >"$work/dpkg.log"
[ -L "$root/etc/systemd/system/multi-user.target.wants/chat-server.service" ] || failed "the unit is not enabled"
start_server
at "find"
as_user chat-client --rooms >"$work/rooms" 2>&1 || failed "no room is found: $(cat "$work/rooms")"
cat "$work/rooms"
at "join"
echo "hello" | as_user chat-client --nick alice 192.0.2.7 >"$work/said" 2>&1
grep -q "^from alice@.*: hello$" "$work/said" || failed "nobody hears alice: $(cat "$work/said")"

at "upgrade"
cargo deb --quiet --no-build --package chat-server --deb-version 0.9-1 --output "$root/tmp/next.deb" >"$work/dpkg.log"
key=$(cat "$root/var/lib/chat-server/chat/server-key")
in_system dpkg --install /tmp/next.deb >>"$work/dpkg.log"
stop_server
start_server
[ "$key" = "$(cat "$root/var/lib/chat-server/chat/server-key")" ] || failed "the upgrade changes the key"
as_user chat-client --nick bob --history 192.0.2.7 </dev/null >"$work/said" 2>&1 || failed "bob can't join: $(cat "$work/said")"
grep -q "from alice@.*: hello$" "$work/said" || failed "the upgrade loses messages: $(cat "$work/said")"
stop_server

at "purge"
in_system dpkg --purge chat-server chat-client >>"$work/dpkg.log"
files >"$work/after"
diff "$work/before" "$work/after" || failed "these files are left"
at "nothing is left"
