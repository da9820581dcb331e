//! The program in the image `fake`: a list of verbs, done in order. It speaks the contract that its
//! environment says: directories, or addresses.
//!
//! | verb | what it does |
//! | --- | --- |
//! | `say TEXT`, `err TEXT` | a line on standard output, on standard error |
//! | `env NAME` | says a variable's value |
//! | `write NAME TEXT` | an output; makes its directories. A name beginning with `/` is read-only: exit 1 |
//! | `result JSON` | `result.json`, as given |
//! | `copy` | the input, as an output of its name |
//! | `progress TEXT` | how far it is |
//! | `exit N` | leaves |
//! | `flaky N` | exit 75 unless `FILEYARD_ATTEMPT` is at least N |
//! | `signal N` | dies by that signal: exits 128 + N |
//! | `oom` | is killed for memory |
//! | `dial ADDRESS` | says whether a TCP connection to HOST:PORT can be had |
//! | `gate NAME` | waits until the test opens that gate |
//! | `wait` | for ever; SIGTERM ends it, and everything else here, with 143 |
//! | `stubborn` | for ever; SIGTERM is ignored from the first verb on |
//!
//! SIGKILL ends it with 137 whatever it does. What is not a verb exits 64. Without a command its
//! input is the list, one verb a line.

use std::{fs, io, net::TcpStream, path::Path};

use fileyard_storage::{clock::Timestamp, job::ExitFacts};

use super::{FakeEngine, http};
use crate::engine::{ContainerSpec, ContainerState, LogStream, Signal};

/// Runs it to its end, unless the container is removed before.
pub(super) async fn run(engine: FakeEngine, spec: ContainerSpec, serial: u64) {
    let words = if spec.command.is_empty() { None } else { Some(spec.command.clone()) };
    let mut process = Process { stubborn: false, engine, spec };
    let words = match words {
        Some(words) => words,
        None => script(&String::from_utf8_lossy(&process.input().await.unwrap_or_default())),
    };
    process.stubborn = words.iter().any(|word| word == "stubborn");
    let Some(exit) = process.run(serial, &words).await else { return };
    let Process { engine, spec, .. } = process;
    let facts = ExitFacts {
        code: exit.code,
        out_of_memory: exit.out_of_memory,
        at: engine.shared.clock.now(),
        message: None,
    };
    if let Some(container) = engine.shared.lock().container(&spec.id, serial) {
        container.state = ContainerState::Exited(facts);
        container.at_gate = None;
    }
    engine.shared.changed(Some(spec.id));
}

struct Process {
    engine: FakeEngine,
    spec: ContainerSpec,
    stubborn: bool,
}

struct Exit {
    code: i64,
    out_of_memory: bool,
}

/// What a verb leads to.
enum Next {
    Go,
    Exit(Exit),
    Gate(String),
    Forever,
}

impl Process {
    /// How it exited; `None` when the container is gone.
    async fn run(&self, serial: u64, words: &[String]) -> Option<Exit> {
        let mut words = words.iter().map(String::as_str);
        loop {
            let next = match words.next() {
                Some(verb) => self.verb(serial, verb, &mut words).await.unwrap_or_else(|error| {
                    self.print(serial, LogStream::Stderr, &format!("fake: {verb}: {error}"));
                    exit(if error.kind() == io::ErrorKind::InvalidInput { 64 } else { 1 })
                }),
                None => exit(0),
            };
            let end = match next {
                Next::Go => self.signalled(serial)?,
                Next::Exit(exit) => self.signalled(serial)?.or(Some(exit)),
                Next::Gate(name) => self.wait(serial, Some(&name)).await?,
                Next::Forever => self.wait(serial, None).await?,
            };
            if end.is_some() {
                return end;
            }
        }
    }

    async fn verb<'a>(
        &self,
        serial: u64,
        verb: &str,
        words: &mut (impl Iterator<Item = &'a str> + Send),
    ) -> io::Result<Next> {
        let mut word = || words.next().ok_or_else(|| usage("an argument is missing"));
        match verb {
            "say" => self.print(serial, LogStream::Stdout, word()?),
            "err" => self.print(serial, LogStream::Stderr, word()?),
            "env" => {
                let value = self.spec.env.get(word()?).map_or("", String::as_str);
                self.print(serial, LogStream::Stdout, value);
            }
            "dial" => {
                let address = word()?;
                let outcome = match TcpStream::connect(address) {
                    Ok(_) => "ok".to_owned(),
                    Err(error) => error.to_string(),
                };
                let line = format!("fake: dial {address}: {outcome}");
                self.print(serial, LogStream::Stdout, &line);
            }
            "write" => self.write(word()?, word()?.as_bytes()).await?,
            "result" => match self.address("RESULT") {
                Some(url) => self.send("PUT", url, word()?.as_bytes()).await?,
                None => self.write("result.json", word()?.as_bytes()).await?,
            },
            "copy" => self.write(&self.input_name(), &self.input().await?).await?,
            "progress" => match self.address("PROGRESS") {
                Some(url) => self.send("POST", url, word()?.as_bytes()).await?,
                None => {
                    let line = format!("fileyard:progress {}", word()?);
                    self.print(serial, LogStream::Stdout, &line);
                }
            },
            "exit" => return Ok(exit(number(word()?)?)),
            "flaky" => {
                let attempt = self.spec.env.get("FILEYARD_ATTEMPT").map_or("", String::as_str);
                if number(attempt)? < number(word()?)? {
                    return Ok(exit(75));
                }
            }
            "signal" => return Ok(exit(128 + number(word()?)?)),
            "oom" => return Ok(Next::Exit(Exit { code: 137, out_of_memory: true })),
            "gate" => return Ok(Next::Gate(word()?.to_owned())),
            "wait" | "stubborn" => return Ok(Next::Forever),
            _ => return Err(usage("there is no such verb")),
        }
        Ok(Next::Go)
    }

    /// Waits for a gate or a signal, and says how it exits if that was the signal.
    async fn wait(&self, serial: u64, gate: Option<&str>) -> Option<Option<Exit>> {
        let shared = &self.engine.shared;
        let mut version = shared.version.subscribe();
        self.stand_at(serial, gate)?;
        shared.changed(None);
        loop {
            version.borrow_and_update();
            let exit = self.signalled(serial)?;
            if exit.is_some() || gate.is_some_and(|gate| shared.lock().gates.contains(gate)) {
                self.stand_at(serial, None)?;
                return Some(exit);
            }
            version.changed().await.ok()?;
        }
    }

    fn stand_at(&self, serial: u64, gate: Option<&str>) -> Option<()> {
        let mut state = self.engine.shared.lock();
        state.container(&self.spec.id, serial)?.at_gate = gate.map(str::to_owned);
        Some(())
    }

    fn signalled(&self, serial: u64) -> Option<Option<Exit>> {
        let mut state = self.engine.shared.lock();
        let container = state.container(&self.spec.id, serial)?;
        Some(match container.signal {
            Some(Signal::Kill) => Some(Exit { code: 137, out_of_memory: false }),
            Some(Signal::Term) if !self.stubborn => Some(Exit { code: 143, out_of_memory: false }),
            Some(Signal::Term) | None => None,
        })
    }

    fn print(&self, serial: u64, stream: LogStream, line: &str) {
        let shared = &self.engine.shared;
        let Timestamp(now) = shared.clock.now();
        if let Some(container) = shared.lock().container(&self.spec.id, serial) {
            // To the millisecond, so that several chunks share a time more often than Docker's do.
            container.write(now * 1_000_000, stream, format!("{line}\n").into());
        }
        shared.changed(None);
    }

    /// By `urls`, where something is.
    fn address(&self, what: &str) -> Option<&str> {
        self.spec.env.get(&format!("FILEYARD_{what}_URL")).map(String::as_str)
    }

    async fn send(&self, method: &str, url: &str, bytes: &[u8]) -> io::Result<()> {
        let answer = http::ask(method, url, &[], bytes).await?;
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        Err(io::Error::other(format!("{} {}", answer.status, answer.text())))
    }

    fn input_name(&self) -> String {
        let by_urls = || self.spec.env.get("FILEYARD_INPUT_NAME").cloned().unwrap_or_default();
        self.spec.input.as_ref().map_or_else(by_urls, |input| input.name.clone())
    }

    async fn input(&self) -> io::Result<Vec<u8>> {
        if let Some(input) = &self.spec.input {
            return fs::read(self.engine.dirs.input(&self.spec.id, input));
        }
        let url = self.address("INPUT").ok_or_else(|| usage("there is no input"))?;
        let answer = http::ask("GET", url, &[], b"").await?;
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            Err(io::Error::other(format!("{} {}", answer.status, answer.text())))
        }
    }

    async fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if let Some(url) = self.address("OUTPUT") {
            return self.send("PUT", &format!("{url}/{name}"), bytes).await;
        }
        if name.starts_with('/') {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let out = self.engine.dirs.out(&self.spec.id);
        let path = out.join(name);
        if let Some(above) = Path::new(name).parent() {
            fs::create_dir_all(out.join(above))?;
        }
        fs::write(&path, bytes)?;
        if rustix::process::geteuid().is_root() {
            let user = self.engine.dirs.user(self.spec.user);
            std::os::unix::fs::chown(&path, Some(user.uid), Some(user.gid))?;
        }
        Ok(())
    }
}

/// The words of a script: the last argument of a verb goes to the line's end.
fn script(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    let verbs = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    verbs
        .flat_map(|line| line.splitn(if line.starts_with("write ") { 3 } else { 2 }, ' '))
        .map(str::to_owned)
        .collect()
}

fn exit(code: i64) -> Next {
    Next::Exit(Exit { code, out_of_memory: false })
}

fn number(word: &str) -> io::Result<i64> {
    word.parse().map_err(|_| usage("that is not a number"))
}

fn usage(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
