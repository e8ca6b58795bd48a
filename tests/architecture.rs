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
    let source = source();
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
    let folders = forges();
    for folder in &folders {
        for file in rust_files(&source().join("forge").join(folder)) {
            let text = fs::read_to_string(&file).expect("readable source");
            for other in folders.iter().filter(|other| *other != folder) {
                assert!(!text.contains(&format!("forge::{other}")), "{} names {other}", file.display());
            }
        }
    }
}

#[test]
fn forges_have_the_same_files_for_the_same_things() {
    let every_forge_has = [
        "access",
        "api",
        "errors",
        "hosts",
        "limits",
        "login",
        "mod",
        "payload",
        "people",
        "reach",
        "refusals",
        "repositories",
        "survey",
        "target",
        "verify",
    ];
    for folder in forges() {
        for name in every_forge_has {
            let file = source().join("forge").join(&folder).join(format!("{name}.rs"));
            assert!(file.is_file(), "{} is missing: its siblings have it", file.display());
        }
    }
}

/// A second forge is a folder, a line, and how it is connected; nothing that backs up, proves, restores or tells needs to know
/// that there is such a thing.
#[test]
fn nothing_but_its_folder_and_its_subcommand_names_the_second_forge() {
    let at_home = ["forge/azure_devops/", "cli/connect/"];
    // The line by which it is found, and the one sentence that says what this program is.
    let lines = [("forge/mod.rs", 2), ("lib.rs", 1)];
    let mut strays = Vec::new();
    for file in rust_files(&source()) {
        let relative = file.strip_prefix(source()).expect("listed below src").display().to_string();
        if at_home.iter().any(|home| relative.starts_with(home)) {
            continue;
        }
        let text = fs::read_to_string(&file).expect("readable source");
        let named = text.lines().filter(|line| names_azure_devops(line)).map(|line| format!("src/{relative}: {line}"));
        let allowed = lines.iter().find(|(of, _)| *of == relative).map_or(0, |(_, count)| *count);
        strays.extend(named.skip(allowed));
    }
    assert!(strays.is_empty(), "\n{}\n", strays.join("\n"));
}

fn names_azure_devops(line: &str) -> bool {
    let line = line.to_lowercase();
    let words = ["azure_devops", "azure-devops", "azuredevops", "azure devops", "dev.azure", "visualstudio"];
    // Of which others are parts: central, entrance.
    let alone = line.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| matches!(word, "entra" | "tfs" | "vso"));
    alone || words.iter().any(|word| line.contains(word))
}

#[test]
fn only_config_reads_the_environment_and_only_git_spawns_programs() {
    let source = source();
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

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// By their folders.
fn forges() -> Vec<String> {
    let entries = fs::read_dir(source().join("forge")).expect("src/forge").map(|entry| entry.expect("entry"));
    // A forge verifies deliveries; `quota` is for all of them.
    let forges = entries.filter(|entry| entry.path().join("verify.rs").is_file());
    forges.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
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
