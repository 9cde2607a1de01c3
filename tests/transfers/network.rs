//! The network of the storm: four hosts, each behind a router of its own that drops what nobody inside has asked for,
//! and a server. `a - ra - net - rb - b`. Interfaces are named after the other end.

use crate::harness::with_environment;
use std::process::Command;

pub const SERVER: &str = "192.0.2.10";

const BUILD: &str = r"
    ip netns add net; ip netns add srv
    plug() {
        ip -n $1 link add $2 type veth peer name $4 netns $3
        ip -n $1 link set $2 up; ip -n $3 link set $4 up
    }
    forward() { ip netns exec $1 sh -c 'echo 1 >/proc/sys/net/ipv4/conf/all/forwarding'; }
    forward net
    plug srv uplink net srv
    ip -n srv address add 192.0.2.10/24 dev uplink; ip -n net address add 192.0.2.1/24 dev srv
    ip -n srv route add default via 192.0.2.1
    number=100
    for host in a b c d; do
        router=r$host; outside=198.51.$number
        ip netns add $host; ip netns add $router
        forward $router
        plug $router wan net $router
        ip -n $router address add $outside.2/24 dev wan; ip -n net address add $outside.1/24 dev $router
        ip -n $router route add default via $outside.1
        plug $router lan $host uplink
        ip -n $router address add 192.168.1.1/24 dev lan; ip -n $host address add 192.168.1.10/24 dev uplink
        ip -n $host route add default via 192.168.1.1
        number=$((number + 1))
    done
";

/// A router begins anew, without its mappings. It maps datagrams to this port; or keeps that of the host, if it is 0. TCP
/// goes on.
const REMAP: &str = r#"
    gateway=$(ip -n r$host route show default | cut -d ' ' -f 3)
    ip -n r$host link set wan down
    ip netns exec r$host nft -f - <<RULES
        table ip router { }
        delete table ip router
        table ip router {
            chain forward {
                type filter hook forward priority filter
                iifname "wan" meta l4proto udp ct state new drop
            }
            chain input {
                type filter hook input priority filter
                iifname "wan" meta l4proto { tcp, udp } ct state new drop
            }
            chain postrouting {
                type nat hook postrouting priority srcnat
                $([ "$port" = 0 ] || echo "oifname wan meta l4proto udp masquerade to :$port")
                oifname "wan" masquerade
            }
        }
RULES
    ip -n r$host link set wan up
    ip -n r$host route replace default via $gateway
"#;

const CUT: &str = r#"
    ip netns exec net nft -f - <<RULES
        table ip cut_$host {
            chain forward {
                type filter hook forward priority filter
                iifname "r$host" oifname != "srv" meta l4proto udp drop
                iifname != "srv" oifname "r$host" meta l4proto udp drop
            }
        }
RULES
"#;

const SILENCE: &str = r#"
    ip netns exec r$host nft -f - <<RULES
        table ip silence { }
        delete table ip silence
        table ip silence {
            chain forward {
                type filter hook forward priority filter
                tcp sport $port drop
            }
        }
RULES
"#;

/// Runs a script of the shell for a host.
fn run(script: &str, host: &str, port: u16) {
    let mut command = Command::new("sh");
    command
        .args(["-euc", script])
        .env("host", host)
        .env("port", port.to_string());
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {errors}");
}

pub fn build() {
    run(BUILD, "", 0);
    ["a", "b", "c", "d"].into_iter().for_each(keep_ports);
}

/// A host's router keeps its ports, and has forgotten earlier ones.
pub fn keep_ports(host: &str) {
    run(REMAP, host, 0);
}

/// A host's router maps all datagrams to this port from now on.
pub fn map_to(host: &str, port: u16) {
    run(REMAP, host, port);
}

/// Nothing of a host arrives, and nothing reaches it.
pub fn take_down(host: &str) {
    run("ip -n net link set r$host down", host, 0);
}

pub fn bring_up(host: &str) {
    run("ip -n net link set r$host up", host, 0);
}

/// A host's datagrams reach the server only.
pub fn cut_off(host: &str) {
    run(CUT, host, 0);
}

pub fn join_again(host: &str) {
    run("ip netns exec net nft delete table ip cut_$host", host, 0);
}

/// The server gets no more of a host's connection, not even its end: as if the host had lost its power. Earlier ones are
/// over: a later connection may have the port of one of them.
pub fn silence(host: &str, port: u16) {
    run(SILENCE, host, port);
}

/// The same command in a namespace. `ip` becomes it, so it has its process id.
pub fn inside(namespace: &str, command: &Command) -> Command {
    let mut inside = with_environment("ip", command);
    inside.args(["netns", "exec", namespace]);
    inside.arg(command.get_program()).args(command.get_args());
    inside
}

/// Bytes that have left a host.
pub fn sent_by(host: &str) -> u64 {
    let mut command = Command::new("cat");
    command.arg("/sys/class/net/uplink/statistics/tx_bytes");
    let output = inside(host, &command).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}
