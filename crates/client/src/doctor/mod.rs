//! `--doctor`: finds out what works between this host and a server, and says how to repair the
//! rest.

mod check;
mod greeting;
mod lan;
mod measurement;
mod probes;
mod report;
mod run;
#[cfg(test)]
mod tests;

pub use run::run;
