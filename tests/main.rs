//! Both programs together, over real sockets.

mod harness;

mod addresses;
mod client_cli;
mod commands;
mod crowd;
mod framing;
mod history;
mod joining;
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
mod shutdown;
mod signals;
mod text;
