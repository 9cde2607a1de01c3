//! What a program takes of the machine, as the system counts it (proc(5)).

use super::{DEADLINE, Process};
use std::fs;
use std::time::{Duration, Instant};

/// The unit in which the system tells programs of processor time: `USER_HZ`, on every common machine.
const TICK: Duration = Duration::from_millis(10);

impl Process {
    /// Descriptors that are open.
    pub fn descriptors(&self) -> usize {
        self.open_descriptors().len()
    }

    /// The descriptor that it gets next.
    pub fn lowest_free_descriptor(&self) -> usize {
        let open = self.open_descriptors();
        (0..).find(|number| !open.contains(number)).unwrap()
    }

    fn open_descriptors(&self) -> Vec<usize> {
        let open = fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap();
        open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .collect()
    }

    /// Waits until so many descriptors are open.
    #[track_caller]
    pub fn expect_descriptors(&self, count: usize) {
        let until = Instant::now() + DEADLINE;
        while self.descriptors() != count {
            assert!(
                Instant::now() < until,
                "{} descriptors are open, and not {count}",
                self.descriptors()
            );
            std::thread::yield_now();
        }
    }

    /// Bytes of memory that are in use.
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let line = line.expect("the program has not ended");
        1024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    }

    /// Processor time used since it began.
    pub fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        // The name of the program may hold anything; fields 14 and 15 are the times of the program and of the system.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let times = fields.split_whitespace().skip(11).take(2);
        TICK * times.map(|ticks| ticks.parse::<u32>().unwrap()).sum::<u32>()
    }
}
