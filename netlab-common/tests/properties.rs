//! What holds of ports, states, times, the table and rules, shown on random packets and times, through the real
//! pipeline.

#[path = "kit/mod.rs"]
mod kit;

#[path = "properties/ports.rs"]
mod ports;
#[path = "properties/rules.rs"]
mod rules;
#[path = "properties/table.rs"]
mod table;
#[path = "properties/tcp.rs"]
mod tcp;
#[path = "properties/times.rs"]
mod times;
