//! Searches every world within named bounds: `exhaust [NAME]...`, all large ones without a name, `--list` for the
//! names.
//!
//! Prints the number of worlds and, where a promise is broken, the shortest way there. Exit codes: 0 all held, 1 one
//! did not or a search is not complete, 2 bad arguments.

use weir_sim::exhaustion::{Bounds, search};

fn main() {
    let all: Vec<Bounds> = Bounds::small().into_iter().chain(Bounds::large()).collect();
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.iter().any(|name| name == "--list") {
        all.iter().for_each(|bounds| println!("{bounds:?}"));
        return;
    }
    let unknown = names.iter().find(|name| all.iter().all(|bounds| bounds.name != name.as_str()));
    if let Some(unknown) = unknown {
        eprintln!("there are no bounds {unknown}: `exhaust --list` shows those that there are");
        std::process::exit(2);
    }
    let large = Bounds::large();
    let is_wanted = |bounds: &Bounds| match names.is_empty() {
        true => large.contains(bounds),
        false => names.iter().any(|name| name == bounds.name),
    };
    let mut held = true;
    for bounds in all.into_iter().filter(is_wanted) {
        let found = search(bounds);
        print!("{found}");
        held &= found.complete && found.failure.is_none();
    }
    std::process::exit(i32::from(!held));
}
