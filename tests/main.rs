//! Both programs together, over real sockets.

mod harness;

mod addresses;
mod client_cli;
mod commands;
mod crowd;
mod doctor;
mod documents;
mod framing;
mod history;
mod joining;
mod json;
mod leaving;
mod limits;
mod log;
mod nicks;
mod original;
mod pressure;
mod private;
mod scene;
mod screen;
mod server_cli;
mod settings;
mod shutdown;
mod text;
