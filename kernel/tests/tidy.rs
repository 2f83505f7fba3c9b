//! Rules of this repository that a machine can check, so that nobody has to: each finding names file and line.
//!
//! An exception is a line in [`LONG_FUNCTIONS`] or [`LONG_FILES`] with its reason, and goes when it is not needed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a source file at most: one noun of the domain.
const MAX_FILE_LINES: usize = 500;

/// Lines of a function at most: one screen.
const MAX_FUNCTION_LINES: usize = 70;

/// Characters of a comment's line at most, but for tables: the formatter breaks code, and leaves comments to us.
const MAX_COMMENT_CHARS: usize = 120;

/// Longer files, with the reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// Longer functions, with the reason.
const LONG_FUNCTIONS: [(&str, &str, &str); 5] = [
    ("kernel/src/broker/shard.rs", "on_message", "one match with an arm a message: routing and nothing else"),
    ("kernel/src/coordinator/evolve.rs", "evolve", "one match with an arm a fact"),
    ("chain/src/rpc/mod.rs", "dispatch", "one match with an arm a method"),
    ("chain/src/facts.rs", "coordinator_fact", "one match with an arm an event"),
    ("chain/src/facts.rs", "fees_fact", "one match with an arm an event"),
];

/// Names that the kernel's code may not contain: floating point differs between machines, hash maps iterate in an
/// order of their own, and clocks, threads and entropy are arguments.
const IMPURE: [&str; 12] = [
    "std",
    "f32",
    "f64",
    "HashMap",
    "HashSet",
    "SystemTime",
    "Instant",
    "thread",
    "rand",
    "getrandom",
    "println",
    "eprintln",
];

/// What may depend on what: a crate's folder, and the crates that it may name in any of its dependencies.
const DIRECTION: [(&str, &[&str]); 11] = [
    ("kernel", &["weir-kernel"]),
    ("net", &["weir-kernel"]),
    ("store", &["weir-kernel"]),
    ("chain", &["weir-kernel"]),
    ("harness/client", &["weir-kernel", "weir-chain"]),
    ("harness/queue", &[]),
    ("harness/node", &["weir-kernel", "weir-net", "weir-store", "weir-chain", "weir-queue"]),
    ("sim", &["weir-kernel", "weir-net", "weir-store", "weir-chain", "weir-node"]),
    ("fuzz", &["weir-kernel", "weir-store"]),
    ("harness/bench", &["weir-kernel", "weir-node"]),
    (
        "harness/cli",
        &["weir-kernel", "weir-net", "weir-store", "weir-chain", "weir-client", "weir-node", "weir-sim"],
    ),
];

/// Folders that hold no text of ours: build outputs, others' code, fuzzers' bytes.
const NOT_OURS: [&str; 6] = ["target", "node_modules", ".git", "corpus", "artifacts", "data"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the kernel lies in the workspace").to_path_buf()
}

/// Every text file of ours, by its path from the root.
fn files() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the sources can be read").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let is_ours = !NOT_OURS.iter().any(|other| name == *other);
            if path.is_dir() && is_ours {
                folders.push(path);
            } else if path.is_file()
                && is_ours
                && !["Cargo.lock", "package-lock.json"].iter().any(|lock| name == *lock)
                && let Ok(text) = fs::read_to_string(&path)
            {
                let name = path.strip_prefix(root()).expect("it lies below the root");
                found.insert(name.to_string_lossy().replace('\\', "/"), text);
            }
        }
    }
    assert!(found.contains_key("kernel/tests/tidy.rs") && found.len() > 100, "the sources were found");
    found
}

/// Every file below a `src` folder.
fn sources() -> BTreeMap<String, String> {
    files().into_iter().filter(|(path, _)| path.contains("src/") && path.ends_with(".rs")).collect()
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The lines of a file that are not its tests, numbered from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let tests = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    let inline = text[tests..].lines().nth(1).is_some_and(|line| line.ends_with('{'));
    let end = if inline { tests } else { text.len() };
    text[..end].lines().enumerate().map(|(number, line)| (number + 1, line))
}

/// The identifiers of a line, comments left out.
fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or("");
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn report(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn the_kernel_is_pure() {
    let mut findings = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| path.starts_with("kernel/src") && !is_test(path))
    {
        for (number, line) in code(text) {
            let impure = identifiers(line).filter(|name| IMPURE.contains(name));
            findings.extend(impure.map(|name| format!("{path}:{number}: {name} has no place in the kernel")));
        }
    }
    report(&findings);
    assert!(sources()["kernel/src/lib.rs"].contains("\n#![no_std]\n"), "the kernel does without std");
}

#[test]
fn files_say_what_they_are_and_are_short() {
    let mut findings = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if !text.starts_with("//!") {
            findings.push(format!("{path}:1: a file begins with //! and says what it is and why"));
        }
        let excused = LONG_FILES.iter().any(|(file, _)| *file == path);
        if !is_test(&path) && lines > MAX_FILE_LINES && !excused {
            findings
                .push(format!("{path}:{lines}: {MAX_FILE_LINES} lines at most, or a reason in LONG_FILES"));
        }
    }
    report(&findings);
}

#[test]
fn comments_fit_on_a_screen() {
    let mut findings = Vec::new();
    for (path, text) in files().iter().filter(|(path, _)| path.ends_with(".rs")) {
        for (at, line) in text.lines().enumerate() {
            let comment =
                line.trim_start().strip_prefix("//").map(|rest| rest.trim_start_matches(['/', '!']));
            let wants_breaking = comment.is_some_and(|comment| !comment.starts_with(" |"));
            if wants_breaking && line.chars().count() > MAX_COMMENT_CHARS {
                findings
                    .push(format!("{path}:{}: {MAX_COMMENT_CHARS} characters of comment at most", at + 1));
            }
        }
    }
    report(&findings);
}

/// Functions of a formatted file: name, first line, number of lines.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.contains("//")).collect();
        let keyword = words.iter().position(|word| *word == "fn");
        let qualifiers = ["pub", "const", "async", "pub(crate)", "pub(super)"];
        let Some(keyword) = keyword.filter(|k| words[..*k].iter().all(|word| qualifiers.contains(word)))
        else {
            continue;
        };
        let name = words.get(keyword + 1).copied().unwrap_or("").split(['(', '<']).next().unwrap_or("");
        let close = format!("{indent}}}");
        let body = lines[at..].iter().position(|line| line.ends_with('{') || line.ends_with('}'));
        let bare = lines[at..].iter().position(|line| line.ends_with(';'));
        let end = lines[at..].iter().position(|line| *line == close);
        if let (Some(body), Some(end)) = (body, end)
            && bare.is_none_or(|bare| body < bare)
        {
            found.push((name.to_string(), at + 1, end + 1));
        }
    }
    found
}

#[test]
fn functions_are_short() {
    let mut findings = Vec::new();
    let mut excused = Vec::new();
    let mut seen = 0;
    for (path, text) in sources() {
        for (name, line, lines) in functions(&text) {
            seen += 1;
            if lines <= MAX_FUNCTION_LINES {
                continue;
            }
            match LONG_FUNCTIONS.iter().find(|(file, function, _)| *file == path && *function == name) {
                Some(reason) => excused.push(reason),
                None => findings.push(format!("{path}:{line}: {name} has {lines} lines")),
            }
        }
    }
    report(&findings);
    assert!(seen > 1000, "functions were found: {seen}");
    assert_eq!(excused.len(), LONG_FUNCTIONS.len(), "a reason that is not needed goes");
}

#[test]
fn nothing_is_left_open_and_the_repository_stands_alone() {
    // Put together here, so that this file does not hold them.
    let unfinished = ["TO", "FIX", "unimplem", "to", "db"];
    let rest = ["DO", "ME", "ented!(", "do!(", "g!("];
    let mut words: Vec<String> = unfinished.iter().zip(rest).map(|(a, b)| format!("{a}{b}")).collect();
    words.extend([["../sha", "red"].concat(), ["/wo", "rk/"].concat()]);
    let mut findings = Vec::new();
    for (path, text) in files() {
        for (line, number) in text.lines().zip(1..) {
            let found = words.iter().filter(|word| line.contains(word.as_str()));
            findings.extend(found.map(|word| format!("{path}:{number}: {word}")));
        }
    }
    report(&findings);
}

#[test]
fn nothing_is_unsafe() {
    let mut findings = Vec::new();
    for (path, text) in files().iter().filter(|(path, _)| path.ends_with(".rs")) {
        for (line, number) in text.lines().zip(1..) {
            if identifiers(line).any(|name| name == ["un", "safe"].concat()) {
                findings.push(format!("{path}:{number}: safe code does"));
            }
        }
    }
    report(&findings);
    assert!(files()["Cargo.toml"].contains("unsafe_code = \"forbid\""));
}

/// The crates of ours that a manifest depends on, with their lines.
fn dependencies(manifest: &str) -> Vec<(String, usize)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (line, number) in manifest.lines().zip(1..) {
        if line.starts_with('[') {
            inside = line.contains("dependencies");
        }
        let name = line.split(['.', ' ', '=']).next().unwrap_or("");
        if inside && name.starts_with("weir-") {
            found.push((name.to_string(), number));
        }
    }
    found
}

#[test]
fn crates_depend_in_one_direction() {
    let files = files();
    let mut findings = Vec::new();
    for (folder, allowed) in DIRECTION {
        let path = format!("{folder}/Cargo.toml");
        let manifest = files.get(&path).unwrap_or_else(|| panic!("{path} is a crate"));
        let forbidden =
            dependencies(manifest).into_iter().filter(|(name, _)| !allowed.contains(&name.as_str()));
        findings.extend(forbidden.map(|(name, line)| format!("{path}:{line}: {folder} may not use {name}")));
        if !manifest.contains("[lints]\nworkspace = true") {
            findings.push(format!("{path}:1: the workspace's lints hold everywhere"));
        }
    }
    report(&findings);
    let members = files["Cargo.toml"].lines().find(|line| line.starts_with("members")).expect("members");
    let listed = members.matches('"').count() / 2;
    assert_eq!(listed, DIRECTION.len(), "every member of the workspace has its direction: {members}");
    assert!(DIRECTION.iter().all(|(folder, _)| members.contains(&format!("\"{folder}\""))), "{members}");
}

/// The sections of a manifest, and their lines, that name a feature which only tests may enable.
fn test_features(manifest: &str) -> Vec<(String, usize)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for (line, number) in manifest.lines().zip(1..) {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_string();
        }
        let names = |feature: &str| line.split(['"', ' ', '/']).any(|word| word == feature);
        if !line.starts_with('#') && ["planted", "marks"].into_iter().any(names) {
            found.push((section.clone(), number));
        }
    }
    found
}

/// Mistakes that can be chosen at run time, and marks that are counted, are for the simulator's tests: development
/// dependencies alone ask for them, so that no program which is built by itself has them.
#[test]
fn nothing_that_is_released_plants_mistakes() {
    let mut findings = Vec::new();
    let mut seen = 0;
    for (path, text) in files().iter().filter(|(path, _)| path.ends_with("Cargo.toml")) {
        for (section, number) in test_features(text) {
            seen += 1;
            let named = path == "kernel/Cargo.toml" && section == "features";
            if !named && section != "dev-dependencies" {
                findings.push(format!("{path}:{number}: only development dependencies enable this"));
            }
        }
    }
    report(&findings);
    assert_eq!(seen, 3, "two features, and the simulator's tests that enable them");
    let program = &files()["harness/cli/src/main.rs"];
    assert!(
        program.contains("|| !weir_kernel::rules::PLANTABLE,"),
        "the program checks it when it is compiled"
    );
}

#[test]
fn the_rules_see_what_they_forbid() {
    let impure = |line| identifiers(line).any(|name| IMPURE.contains(&name));
    assert!(impure("use std::fmt;") && impure("let share: f64 = 0.5;") && impure("HashMap::new()"));
    assert!(!impure("let standard = brand; // std, in words"));
    let source =
        "impl A {\n    pub fn long(\n        a: u8,\n    ) -> u8 {\n        a\n    }\n\n    fn bare();\n}\n";
    assert_eq!(functions(source), [("long".to_string(), 2, 5)]);
    assert_eq!(code("a\n#[cfg(test)]\nmod tests {\n}").count(), 1);
    assert_eq!(code("a\n#[cfg(test)]\nmod tests;\nb").count(), 4);
    let manifest = "[dependencies]\nweir-net.workspace = true\n[features]\nweir-x = []\n";
    assert_eq!(dependencies(manifest), [("weir-net".to_string(), 2)]);
    let manifest = "[dependencies]\nweir-kernel = { path = \"x\", features = [\"planted\"] }\n# planted\n";
    assert_eq!(test_features(manifest), [("dependencies".to_string(), 2)]);
}
