//! Which of a container's directories are memory: `/tmp`, and every volume that its image declares.
//! Those would else be made on the host's disk, where nothing bounds them.

use super::ContainerSpec;

/// The paths, looked up without `.` and `..`. What lies in `/out` is collected from the host's side
/// of it, so nothing covers it there, nor the input.
pub(super) fn in_memory(spec: &ContainerSpec, volumes: &[String]) -> Vec<String> {
    beside(spec.input.as_ref().map(|input| &input.name[..]), volumes)
}

fn beside(input: Option<&str>, volumes: &[String]) -> Vec<String> {
    let mounted = input.map(|input| format!("/in/{input}"));
    let free = |path: &String| match &mounted {
        Some(input) => path != input && path != "/" && path != "/out" && !path.starts_with("/out/"),
        None => path != "/",
    };
    let volumes = volumes.iter().map(|path| normal(path)).filter(free);
    let mut all: Vec<String> = volumes.chain(["/tmp".into()]).collect();
    all.sort();
    all.dedup();
    all
}

/// A path as an engine looks it up: without `.`, `..` and doubled slashes.
fn normal(path: &str) -> String {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_covered_where_it_is_looked_up_and_never_in_out() {
        let volumes =
            ["/a/./b/", "//c//d", "/e/../f", "/out", "/out/sub", "/out/./x", "/in/a.txt", "/"];
        let volumes = volumes.map(str::to_owned);
        assert_eq!(beside(Some("a.txt"), &volumes), ["/a/b", "/c/d", "/f", "/tmp"]);
        // By `urls` nothing is mounted, so a volume there is memory like any other.
        assert_eq!(
            beside(None, &volumes),
            ["/a/b", "/c/d", "/f", "/in/a.txt", "/out", "/out/sub", "/out/x", "/tmp"]
        );
    }
}
