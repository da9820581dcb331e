//! A small image registry on this machine, well-behaved or not.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::Digest;

/// What is done with a request, where it is not answered as it should be.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// A status, headers, and what is in the answer.
    Status(u16, &'static [&'static str], &'static str),
    /// So many bytes of the body, and then the end.
    Cut(usize),
    /// So many bytes of the body, and then nothing.
    Stall(usize),
    /// Nothing at all.
    Silence,
    /// Something else.
    Instead(Vec<u8>),
    /// All of it, whatever part was asked for.
    Whole,
}

#[derive(Default)]
struct State {
    /// By path.
    content: BTreeMap<String, Vec<u8>>,
    /// What befalls requests for a path, one after the other.
    trouble: BTreeMap<String, VecDeque<Trouble>>,
    /// Path, range and authorization of every request.
    asked: Vec<(String, String, String)>,
    /// What has to be sent, and what is said where it is not.
    key: Option<(String, String)>,
}

/// It is there until it is dropped, and so are the connections of who stalls.
#[derive(Clone)]
pub(super) struct Registry {
    pub(super) at: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Registry {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let registry = Self { at: listener.local_addr().unwrap(), state: Arc::default() };
        registry.put("/v2/", b"{}".to_vec());
        let accepting = registry.clone();
        // They end with the test's process: nobody else can speak to them.
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let registry = accepting.clone();
                thread::spawn(move || registry.serve(connection));
            }
        });
        registry
    }

    /// An image of these layers, as it is asked for: by a tag's path. The digest of its manifest.
    pub(super) fn add(&self, tag: &str, config: &[u8], layers: &[&[u8]]) -> Digest {
        let manifest = self.manifest(config, layers);
        let digest = self.add_manifest(&manifest);
        self.put(&format!("/v2/a/manifests/{tag}"), manifest);
        digest
    }

    pub(super) fn add_manifest(&self, manifest: &[u8]) -> Digest {
        let digest = Digest::of(manifest);
        self.put(&format!("/v2/a/manifests/{digest}"), manifest.to_vec());
        digest
    }

    /// A manifest whose blobs are there.
    pub(super) fn manifest(&self, config: &[u8], layers: &[&[u8]]) -> Vec<u8> {
        let config = self.blob("config.v1+json", config);
        let layers: Vec<Value> =
            layers.iter().map(|layer| self.blob("layer.v1.tar+gzip", layer)).collect();
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers,
            "mediaType": "application/vnd.oci.image.manifest.v1+json"});
        serde_json::to_vec(&manifest).unwrap()
    }

    pub(super) fn blob(&self, kind: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        self.put(&blob(bytes), bytes.to_vec());
        json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest,
            "size": bytes.len()})
    }

    pub(super) fn put(&self, path: &str, content: Vec<u8>) {
        self.state.lock().unwrap().content.insert(path.into(), content);
    }

    /// The next requests for a path.
    pub(super) fn trouble(&self, path: &str, trouble: impl IntoIterator<Item = Trouble>) {
        self.state.lock().unwrap().trouble.entry(path.into()).or_default().extend(trouble);
    }

    /// From now on all but the way to a token needs this authorization.
    pub(super) fn lock(&self, authorization: &str, challenge: &str) {
        self.state.lock().unwrap().key = Some((authorization.into(), challenge.into()));
    }

    /// Requests for what this path begins.
    pub(super) fn asked(&self, path: &str) -> Vec<(String, String, String)> {
        let asked = &self.state.lock().unwrap().asked;
        asked.iter().filter(|it| it.0.starts_with(path)).cloned().collect()
    }

    /// How an image of it is called.
    pub(super) fn name(&self, tag: &str) -> String {
        format!("{}/a:{tag}", self.at)
    }

    fn serve(&self, mut connection: TcpStream) -> Option<()> {
        let mut lines = BufReader::new(connection.try_clone().ok()?).lines().map_while(Result::ok);
        let target = lines.next()?.split(' ').nth(1)?.to_owned();
        let path = target.split('?').next()?.to_owned();
        let headers: BTreeMap<String, String> = lines
            .take_while(|line| !line.is_empty())
            .filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                Some((name.to_lowercase(), value.trim().to_owned()))
            })
            .collect();
        let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
        let (content, trouble, key) = {
            let mut state = self.state.lock().unwrap();
            state.asked.push((target, header("range"), header("authorization")));
            let trouble = state.trouble.get_mut(&path).and_then(VecDeque::pop_front);
            (state.content.get(&path).cloned(), trouble, state.key.clone())
        };
        if let Some((wanted, challenge)) = key
            && !path.starts_with("/token")
            && header("authorization") != wanted
        {
            let challenge = format!("WWW-Authenticate: {challenge}");
            let words = br#"{"errors": [{"code": "UNAUTHORIZED", "message": "who are you"}]}"#;
            return answer(&mut connection, 401, &[&challenge], words, words.len());
        }
        let from = header("range");
        let from = from.strip_prefix("bytes=").and_then(|it| it.split('-').next()?.parse().ok());
        let unknown = br#"{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "unknown"}]}"#;
        let Some(content) = content else {
            return answer(&mut connection, 404, &[], unknown, unknown.len());
        };
        let part = &content[from.unwrap_or(0usize)..];
        let status = if from.is_some() { 206 } else { 200 };
        match trouble {
            None => answer(&mut connection, status, &[], part, part.len()),
            Some(Trouble::Status(status, headers, words)) => {
                answer(&mut connection, status, headers, words.as_bytes(), words.len())
            }
            Some(Trouble::Cut(bytes)) => {
                answer(&mut connection, status, &[], &part[..bytes], part.len())
            }
            Some(Trouble::Stall(bytes)) => {
                answer(&mut connection, status, &[], &part[..bytes], part.len())?;
                silence()
            }
            Some(Trouble::Silence) => silence(),
            Some(Trouble::Instead(other)) => answer(&mut connection, 200, &[], &other, other.len()),
            Some(Trouble::Whole) => answer(&mut connection, 200, &[], &content, content.len()),
        }
    }
}

/// A blob's path.
pub(super) fn blob(bytes: &[u8]) -> String {
    format!("/v2/a/blobs/{}", Digest::of(bytes))
}

fn silence() -> Option<()> {
    thread::sleep(Duration::from_secs(3600));
    None
}

fn answer(
    connection: &mut TcpStream,
    status: u16,
    headers: &[&str],
    body: &[u8],
    length: usize,
) -> Option<()> {
    let headers: String = headers.iter().map(|it| format!("{it}\r\n")).collect();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
    );
    connection.write_all(head.as_bytes()).ok()?;
    connection.write_all(body).ok()
}
