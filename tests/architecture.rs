//! The module order of `src/README.md`, enforced: a module may use only the modules named beside it.

use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first. `migrations` is a crate of its own, so the compiler keeps that border.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("config", &["domain"]),
    ("git", &["domain"]),
    ("vault", &["domain", "config"]),
    ("catalog", &["domain", "config"]),
    ("chat", &["domain", "config"]),
    ("forge", &["domain", "config", "git"]),
    ("notify", &["domain", "config"]),
    ("services", &["domain", "config", "git", "vault", "catalog", "chat", "forge", "notify"]),
    ("assembly", &["domain", "git", "vault", "services"]),
    ("jobs", &["domain", "config", "git", "vault", "catalog", "chat", "forge", "notify", "services", "assembly"]),
    ("ops", &["domain", "config", "git", "vault", "catalog", "forge", "notify", "services", "assembly", "jobs"]),
    ("desk", &["domain", "config", "catalog", "chat", "forge", "services", "jobs", "ops"]),
    ("web", &["domain", "config", "ops", "desk"]),
    (
        "cli",
        &[
            "domain", "config", "git", "vault", "catalog", "chat", "forge", "notify", "services", "assembly", "jobs",
            "ops", "desk", "web",
        ],
    ),
];

#[test]
fn modules_use_only_what_lies_below_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).expect("listed below src").to_path_buf();
        let module = top_module(&relative);
        if matches!(module.as_str(), "lib" | "main") {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("src/{}: module `{module}` has no row in the table", relative.display()));
            continue;
        };
        let text = fs::read_to_string(&file).expect("readable source");
        for (index, line) in text.lines().enumerate() {
            for used in crate_modules(line) {
                seen += 1;
                if used != module && !allowed.contains(&used) {
                    let place = format!("src/{}:{}", relative.display(), index + 1);
                    wrong.push(format!("{place}: `{module}` may not use `{used}`: {}", line.trim()));
                }
            }
        }
    }
    assert!(seen > 50, "the scan found only {seen} uses of `crate::`; has the source moved?");
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn forges_know_nothing_of_one_another() {
    let forges = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/forge");
    let folders: Vec<String> = fs::read_dir(&forges)
        .expect("src/forge")
        .filter_map(|entry| {
            let entry = entry.expect("entry");
            // A forge verifies deliveries; `quota` is for all of them.
            entry.path().join("verify.rs").is_file().then(|| entry.file_name().to_string_lossy().into_owned())
        })
        .collect();
    for folder in &folders {
        for file in rust_files(&forges.join(folder)) {
            let text = fs::read_to_string(&file).expect("readable source");
            for other in folders.iter().filter(|other| *other != folder) {
                assert!(!text.contains(&format!("forge::{other}")), "{} names {other}", file.display());
            }
        }
    }
}

#[test]
fn only_config_reads_the_environment_and_only_git_spawns_programs() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    // The demo runs a server of its own on loopback, `git http-backend` included; it is a guided tour, not the service.
    let may_spawn = ["git", "cli/demo"];
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).expect("listed below src").display().to_string();
        let text = fs::read_to_string(&file).expect("readable source");
        // Whoever spawns a program decides what of the environment it gets.
        let spawns = may_spawn.iter().any(|folder| relative.starts_with(folder));
        if !relative.starts_with("config") && !spawns {
            assert!(!text.contains("env::var"), "src/{relative} reads the environment; config does that");
        }
        if !spawns {
            assert!(!text.contains("Command::new("), "src/{relative} spawns a program; git::program does that");
        }
    }
}

fn top_module(relative: &Path) -> String {
    let first = relative.iter().next().expect("a path").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The `x` of every `crate::x` in a line of code; comments don't count.
fn crate_modules(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices("crate::")
        .filter(|(at, _)| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        .map(|(at, found)| {
            let rest = &code[at + found.len()..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            &rest[..end]
        })
        .filter(|name| !name.is_empty())
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("readable folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files.push(path);
            }
        }
    }
    files
}
