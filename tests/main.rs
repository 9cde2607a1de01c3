//! Tests of both programs together, over real sockets.

mod harness;

mod abuse;
mod addresses;
mod churn;
mod client_cli;
mod commands;
mod conversation;
mod crowd;
mod datagrams;
mod descriptors;
mod doctor;
mod documents;
mod framing;
mod history;
mod hostile_server;
mod hostile_text;
mod imports;
mod joining;
mod json;
mod killing;
mod leaving;
mod legacy;
mod limits;
mod log;
mod nicks;
mod pages;
mod pressure;
mod private;
mod screen;
mod server_cli;
mod settings;
mod shutdown;
mod signals;
mod stopped_terminal;
mod text;
