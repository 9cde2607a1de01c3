//! What the server costs, as the system counts it.

use anyhow::Context;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::fs;
use std::path::PathBuf;

/// A running server.
#[derive(Debug)]
pub struct Process(PathBuf);

/// Memory in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// What of it is in memory, programs and libraries included.
    pub resident: u64,
    /// The most that ever was.
    pub peak: u64,
    /// What it has allocated and touched.
    pub own: u64,
}

impl Process {
    /// The process of this number.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(pid: u32) -> anyhow::Result<Self> {
        let process = Self(format!("/proc/{pid}").into());
        process.cpu().with_context(|| format!("no process {pid}"))?;
        Ok(process)
    }

    /// Processor time used so far, in nanoseconds.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn cpu(&self) -> anyhow::Result<u64> {
        // In clock ticks `stat` says the same; a server of one thread is known more finely by its scheduler.
        let stat = fs::read_to_string(self.0.join("schedstat"))?;
        let ran = stat.split(' ').next().context("the system keeps no schedstat")?;
        Ok(ran.parse()?)
    }

    /// Memory at present.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let status = fs::read_to_string(self.0.join("status"))?;
        let rollup = fs::read_to_string(self.0.join("smaps_rollup"))?;
        Ok(Memory {
            resident: field(&rollup, "Rss:"),
            peak: field(&status, "VmHWM:"),
            own: field(&rollup, "Anonymous:"),
        })
    }
}

/// Processor time that this process has used so far, in nanoseconds.
#[must_use]
pub fn own_cpu() -> u64 {
    let used = getrusage(UsageWho::RUSAGE_SELF).map(|usage| usage.user_time() + usage.system_time());
    used.map_or(0, |time| {
        u64::try_from(time.num_microseconds()).unwrap_or_default() * 1000
    })
}

/// The number after a name at the beginning of a line.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}
