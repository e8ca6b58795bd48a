//! Packets of git's protocol: four digits that say how long it is, and what is in it.

/// The end of a list.
pub const FLUSH: &[u8] = b"0000";

/// The most that a packet of a side band holds.
const MOST: usize = 65_515;

/// One packet.
pub fn packet(content: &[u8]) -> Vec<u8> {
    [format!("{:04x}", content.len() + 4).as_bytes(), content].concat()
}

/// The packets up to a flush, and what follows it. What is cut off is not there.
pub fn until_flush(mut bytes: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut packets = Vec::new();
    loop {
        let length =
            bytes.get(..4).and_then(|digits| usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match length {
            Some(length) if length >= 4 && bytes.len() >= length => {
                packets.push(&bytes[4..length]);
                bytes = &bytes[length..];
            }
            Some(0) => return (packets, &bytes[4..]),
            _ => return (packets, &[]),
        }
    }
}

/// A push, as it is asked for: what shall change, what the client understands, and the pack.
pub struct Push<'a> {
    pub commands: Vec<Command>,
    pub capabilities: String,
    pub pack: &'a [u8],
}

/// One reference that shall change.
pub struct Command {
    pub old: String,
    pub new: String,
    pub name: String,
}

impl<'a> Push<'a> {
    pub fn read(body: &'a [u8]) -> Self {
        let (lines, pack) = until_flush(body);
        let (mut commands, mut capabilities) = (Vec::new(), String::new());
        for line in lines {
            let line = String::from_utf8_lossy(line);
            let (command, more) = line.split_once('\0').unwrap_or((&line, ""));
            capabilities.push_str(more.trim_end());
            let mut words = command.trim_end().splitn(3, ' ').map(str::to_owned);
            if let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) {
                commands.push(Command { old, new, name });
            }
        }
        Self { commands, capabilities, pack }
    }

    /// The same without what was refused.
    pub fn without(&self, refused: &[(String, String)]) -> Vec<u8> {
        let kept = self.commands.iter().filter(|command| !refused.iter().any(|(name, _)| *name == command.name));
        let mut body = Vec::new();
        for command in kept {
            let capabilities = if body.is_empty() { format!("\0{}", self.capabilities) } else { String::new() };
            body.extend(packet(format!("{} {} {}{capabilities}", command.old, command.new, command.name).as_bytes()));
        }
        [&body[..], FLUSH, self.pack].concat()
    }

    fn is_banded(&self) -> bool {
        self.capabilities.split(' ').any(|known| known == "side-band-64k")
    }

    /// The report of a push: git's own, with more that was refused.
    pub fn report(&self, own: Option<&[u8]>, refused: &[(String, String)]) -> Vec<u8> {
        let (mut told, mut report) = (Vec::new(), Vec::new());
        match own {
            None => report.extend(packet(b"unpack ok\n")),
            Some(own) if self.is_banded() => {
                for part in until_flush(own).0 {
                    match part.split_first() {
                        Some((1, rest)) => report.extend_from_slice(rest),
                        _ => told.extend(packet(part)),
                    }
                }
            }
            Some(own) => report.extend_from_slice(own),
        }
        if report.ends_with(FLUSH) {
            report.truncate(report.len() - FLUSH.len());
        }
        for (name, why) in refused {
            report.extend(packet(format!("ng {name} {why}\n").as_bytes()));
        }
        report.extend_from_slice(FLUSH);
        if !self.is_banded() {
            return report;
        }
        for part in report.chunks(MOST) {
            told.extend(packet(&[b"\x01", part].concat()));
        }
        [&told[..], FLUSH].concat()
    }
}

/// A list of references as `info/refs` gives it, with those capabilities alone that `keep` wants.
pub fn advertising(body: &[u8], keep: impl Fn(&str) -> bool) -> Vec<u8> {
    // `# service=git-upload-pack`, a flush, and the list.
    let (service, list) = until_flush(body);
    let mut made: Vec<u8> = service.iter().flat_map(|line| packet(line)).collect();
    made.extend_from_slice(FLUSH);
    for line in until_flush(list).0 {
        match line.iter().position(|byte| *byte == 0) {
            None => made.extend(packet(line)),
            Some(end) => {
                let known = String::from_utf8_lossy(&line[end + 1..]);
                let kept: Vec<&str> = known.trim_end().split(' ').filter(|known| keep(known)).collect();
                made.extend(packet(&[&line[..=end], kept.join(" ").as_bytes(), b"\n"].concat()));
            }
        }
    }
    made.extend_from_slice(FLUSH);
    made
}
