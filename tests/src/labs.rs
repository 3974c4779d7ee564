//! Labs that several suites use, beside the repository's examples.

/// Two bridges, a world, masquerades, and forwards of every form, with servers that say whom they see.
pub const PORTS: &str = r#"
version = 1
name = "ports"

[host]
namespace = "ports-host"
uplink = "eth0"
forwarding = true
routes = [{ to = "default", via = "192.168.0.1" }]

[bridge.left]
address = "10.10.0.1/16"

[bridge.right]
address = "10.20.0.1/16"

[node.earth]
links = [{ to = "left", address = "10.10.0.10/16" }]
run = "exec python3 echo.py earth udp:0.0.0.0:53 tcp:0.0.0.0:80"
wait = ["udp:53", "tcp:80"]

[node.neptune]
links = [{ to = "left", address = "10.10.0.20/16" }]
run = "exec python3 echo.py neptune tcp:0.0.0.0:9100 tcp:0.0.0.0:9110"
wait = ["tcp:9100", "tcp:9110"]

[node.mars]
links = [{ to = "right", address = "10.20.0.30/16" }]
run = "exec python3 echo.py mars tcp:0.0.0.0:70"
wait = ["tcp:70"]

[node.internet]
links = [{ to = "host", name = "eth0", address = "192.168.0.1/24", peer = { name = "eth0", address = "192.168.0.108/24" } }]
loopback = "8.8.8.8/32"
run = "exec python3 echo.py internet udp:8.8.8.8:53 tcp:8.8.8.8:80"
wait = ["udp:53", "tcp:80"]

[[masquerade]]
from = "left"
[[masquerade]]
from = "right"

[[forward]]
publish = "192.168.0.108:5353:earth:53/udp"
[[forward]]
publish = "5454:earth:53/udp"
[[forward]]
publish = "8080:earth:80"
[[forward]]
publish = "192.168.0.108:9000-9010:neptune:9100"
[[forward]]
publish = "7000:mars:70/tcp"
[[forward]]
publish = "5201:earth/tcp"
[[forward]]
publish = "5201:earth/udp"
"#;

/// A lab in the machine's own stack, with `UPLINK` for its uplink.
pub const GUEST: &str = r#"
version = 1
name = "guest"
[host]
uplink = "UPLINK"
forwarding = true
[bridge.guest-br]
address = "10.44.0.1/16"
[node.visitor]
links = [{ to = "guest-br", address = "10.44.0.2/16" }]
[[masquerade]]
from = "guest-br"
"#;

/// A way to a world for the machine's own stack: `w0` with the default route, and the node `world` behind it.
pub const TO_A_WORLD: &str = "ip netns add world && ip link add w0 type veth peer name w1 netns world
     ip address add 192.168.9.2/24 dev w0; ip link set w0 up; ip route add default via 192.168.9.1
     ip -n world address add 192.168.9.1/24 dev w1; ip -n world link set w1 up; ip -n world link set lo up";
