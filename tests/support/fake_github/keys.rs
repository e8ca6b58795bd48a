//! Key pairs of Apps. A few for the whole process, because making one takes a while.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// An RSA key pair.
pub struct KeyPair {
    /// PKCS#1, as GitHub hands it out.
    pub private_pem: String,
    pub public_pem: String,
}

/// The pair with this number; pairs repeat after four.
pub fn pair(number: usize) -> &'static KeyPair {
    static PAIRS: [OnceLock<KeyPair>; 4] = [const { OnceLock::new() }; 4];
    PAIRS[number % PAIRS.len()].get_or_init(make)
}

fn make() -> KeyPair {
    let private_pem = openssl(&["genrsa", "-traditional", "2048"], "");
    assert!(private_pem.contains("BEGIN RSA PRIVATE KEY"), "openssl made another kind of key");
    let public_pem = openssl(&["rsa", "-pubout"], &private_pem);
    KeyPair { private_pem, public_pem }
}

fn openssl(arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("openssl");
    let pipes = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = pipes.spawn().expect("openssl must be installed; see scripts/test-setup.sh");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?} failed");
    String::from_utf8(output.stdout).unwrap()
}
