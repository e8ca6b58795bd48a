//! Runs a program to its end and sees how long it took and how much memory it had.

use std::fs::read_to_string;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Result;

/// How often memory is looked at. The kernel keeps the high-water mark, so only what a process needs for the first time
/// within its last milliseconds can be missed.
const LOOK: Duration = Duration::from_millis(4);

/// A program that has ended well.
pub struct Run {
    /// From start to end.
    pub wall: Duration,
    /// The most memory (`VmHWM`, mapped files included) that the process, or any process that it started, had by itself.
    pub peak: u64,
    /// What it printed.
    pub stdout: Vec<u8>,
}

/// Runs `command`, which must succeed.
pub fn run(command: &mut Command) -> Result<Run> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = AtomicBool::new(false);
    let started = Instant::now();
    let child = command.spawn()?;
    let pid = child.id();
    let (output, wall, peak) = thread::scope(|scope| -> Result<(Output, Duration, u64)> {
        let watcher = scope.spawn(|| {
            let mut peak = 0;
            while !ended.load(Ordering::Relaxed) {
                peak = peak.max(peak_of_tree(pid));
                thread::sleep(LOOK);
            }
            peak
        });
        let output = child.wait_with_output();
        let wall = started.elapsed();
        ended.store(true, Ordering::Relaxed);
        let peak = watcher.join().map_err(|_| "the watcher has panicked")?;
        Ok((output?, wall, peak))
    })?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        return Err(format!("{command:?}: {}\n{out}{err}", output.status).into());
    }
    Ok(Run { wall, peak, stdout: output.stdout })
}

/// The high-water mark of the largest process of a tree; zero when it has ended.
fn peak_of_tree(pid: u32) -> u64 {
    let children = read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let below = children.split_whitespace().filter_map(|child| child.parse().ok()).map(peak_of_tree).max();
    peak_of(pid).max(below.unwrap_or(0))
}

/// `VmHWM` of one process in bytes.
pub fn peak_of(pid: u32) -> u64 {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// The processor time that a process has used so far, its threads included.
pub fn time_of(pid: u32) -> Duration {
    let stat = read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything; user and system time are the 12th and 13th field behind it.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
    // `USER_HZ` is 100 on every architecture that Linux has today: proc_pid_stat(5).
    Duration::from_millis(ticks * 10)
}
