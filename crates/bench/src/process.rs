//! The memory and processor time of the server.

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
    /// Resident memory, including the program and its libraries.
    pub resident: u64,
    /// The peak of resident memory.
    pub peak: u64,
    /// Memory that was allocated and used.
    pub own: u64,
}

impl Process {
    /// The process with this id.
    ///
    /// # Errors
    /// If there is no such process.
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
        // `stat` has the same in clock ticks. The scheduler's figure is finer, and complete for a server with one thread.
        let stat = fs::read_to_string(self.0.join("schedstat"))?;
        let ran = stat.split(' ').next().context("the kernel has no schedstat")?;
        Ok(ran.parse()?)
    }

    /// The current memory.
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

/// The processor time of this process, in nanoseconds.
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
