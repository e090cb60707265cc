//! The command from outside: the built binary against simulated providers over real sockets.

mod bad_input;
mod bounds;
mod check;
mod config;
mod endpoints;
mod faults;
mod flaws;
mod flow;
mod found;
mod help;
mod interrupt;
mod jobs;
mod journal;
mod kills;
mod mock;
mod output;
mod packed;
mod presets;
mod quota;
mod rehearse;
mod report;
mod secrets;
mod shared;
mod support;
mod terminal;
