//! `refward serve` beside a benchmark.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Result;
use super::refward::Refward;

/// A server in a process of its own; killed when it is dropped.
pub struct Server {
    pub child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// The whole service, with its log beside its settings.
    pub fn refward(refward: &Refward) -> Result<Self> {
        let address = free_address()?;
        let log = std::fs::File::create(refward.dir.join("serve.log"))?;
        let mut command = refward.command(&["serve", "--listen", &address.to_string()]);
        Self::start(command.stdout(log.try_clone()?).stderr(log), address)
    }

    /// Starts it and waits until it takes connections.
    pub fn start(command: &mut Command, address: SocketAddr) -> Result<Self> {
        let mut server = Self { child: command.stdin(Stdio::null()).spawn()?, address };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("{command:?} has ended: {status}").into());
            }
            if started.elapsed() > Duration::from_secs(30) {
                return Err(format!("{command:?} does not listen").into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Free now; nobody else on this machine is likely to take it within the next moment.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
