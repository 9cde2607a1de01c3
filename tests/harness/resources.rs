//! What a program uses: descriptors, memory and processor time (proc(5)).

use super::{DEADLINE, Process};
use std::fs;
use std::time::{Duration, Instant};

/// The unit of processor time in /proc: `USER_HZ`, the same on every common machine.
const TICK: Duration = Duration::from_millis(10);

impl Process {
    /// Descriptors that are open.
    pub fn descriptors(&self) -> usize {
        self.open_descriptors().len()
    }

    /// The number of the next descriptor that it opens.
    pub fn lowest_free_descriptor(&self) -> usize {
        let open = self.open_descriptors();
        (0..).find(|number| !open.contains(number)).unwrap()
    }

    fn open_descriptors(&self) -> Vec<usize> {
        let open = fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap();
        open.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .collect()
    }

    /// Waits until this many descriptors are open.
    #[track_caller]
    pub fn expect_descriptors(&self, count: usize) {
        let until = Instant::now() + DEADLINE;
        while self.descriptors() != count {
            assert!(
                Instant::now() < until,
                "{} descriptors are open, not {count}",
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
        // The program's name may contain anything. Fields 14 and 15 are the user and system time.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let times = fields.split_whitespace().skip(11).take(2);
        TICK * times.map(|ticks| ticks.parse::<u32>().unwrap()).sum::<u32>()
    }
}
