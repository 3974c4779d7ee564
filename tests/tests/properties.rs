//! What holds for all packets, shown on random ones. A failure is shrunk and printed with its input; the bug's
//! fix then adds a case of its own to the scenarios.

#[path = "properties/checksums.rs"]
mod checksums;
#[path = "properties/crossing.rs"]
mod crossing;
#[path = "properties/errors.rs"]
mod errors;
#[path = "properties/flows.rs"]
mod flows;
#[path = "properties/guards.rs"]
mod guards;
#[path = "properties/parser.rs"]
mod parser;
#[path = "properties/strategies.rs"]
mod strategies;
#[path = "properties/there_and_back.rs"]
mod there_and_back;
