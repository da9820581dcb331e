//! A registry's credentials, from the file that `docker login` writes.
//!
//! Only what stands in the file is used. A credential helper is a program to be run, and is not.

use std::{
    collections::HashMap,
    fmt::{self, Display},
    fs, io,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

/// The registry of images that name none.
pub const DOCKER_HUB: &str = "docker.io";
/// What the file calls it.
const DOCKER_HUB_KEY: &str = "index.docker.io";

/// What the file has for a registry.
#[derive(Debug)]
pub enum Found {
    /// Credentials.
    Credentials(Box<Credentials>),
    /// A helper that would know them.
    Helper(String),
    /// Nothing.
    Nothing,
}

/// Who asks a registry; there is a name or a token.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// As the file calls the registry.
    pub registry: String,
    /// A name, and its password.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// What is exchanged for a token.
    pub identity_token: Option<String>,
    /// What is sent as it is.
    pub registry_token: Option<String>,
}

/// Why the file is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct File {
    auths: HashMap<String, Entry>,
    cred_helpers: HashMap<String, String>,
    creds_store: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    /// `user:password` in base64.
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

/// Where the file is unless one is named: as for `docker` itself.
#[must_use]
pub fn default_file() -> Option<PathBuf> {
    if let Some(directory) = std::env::var_os("DOCKER_CONFIG") {
        return Some(PathBuf::from(directory).join("config.json"));
    }
    let home = std::env::var_os("HOME")?;
    Some(PathBuf::from(home).join(".docker/config.json"))
}

/// What `file` has for `registry`. A file that is not there has nothing.
///
/// # Errors
/// When it can not be read, or is not as `docker login` writes it.
pub fn find(file: Option<&Path>, registry: &str) -> Result<Found, Unreadable> {
    let Some(path) = file else { return Ok(Found::Nothing) };
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(unreadable(path, &error)),
    };
    let file: File = serde_json::from_slice(&text).map_err(|error| unreadable(path, &error))?;
    let entry = file.auths.iter().find(|(key, _)| host(key) == host(registry));
    if let Some((key, entry)) = entry
        && let Some(credentials) =
            entry.credentials(key).map_err(|error| unreadable(path, &error))?
    {
        return Ok(Found::Credentials(Box::new(credentials)));
    }
    let helper = file.cred_helpers.iter().find(|(key, _)| host(key) == host(registry));
    let helper = helper.map(|(_, name)| name).unwrap_or(&file.creds_store);
    Ok(if helper.is_empty() { Found::Nothing } else { Found::Helper(helper.clone()) })
}

impl Found {
    /// The credentials, if there are some.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        match self {
            Self::Credentials(credentials) => Some(credentials),
            Self::Helper(_) | Self::Nothing => None,
        }
    }

    /// What to do when the registry refused.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Credentials(_) => None,
            Self::Helper(name) => Some(format!(
                "Docker's config leaves this registry's credentials to the helper \
                 docker-credential-{name}, which fileyard does not run: put them under `auths`"
            )),
            Self::Nothing => Some(
                "if it needs credentials, `docker login` as fileyard's user stores them".into(),
            ),
        }
    }
}

/// What is secret is not shown.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registry, username, .. } = self;
        f.debug_struct("Credentials")
            .field("registry", registry)
            .field("username", username)
            .finish_non_exhaustive()
    }
}

impl Entry {
    /// `None` when it is empty, as a helper leaves it.
    fn credentials(&self, registry: &str) -> Result<Option<Credentials>, String> {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (mut username, mut password) = (some(&self.username), some(&self.password));
        if !self.auth.is_empty() {
            let wrong = || format!("`auth` of {registry} is not user:password in base64");
            let decoded = STANDARD.decode(&self.auth).map_err(|_| wrong())?;
            let decoded = String::from_utf8(decoded).map_err(|_| wrong())?;
            let (name, secret) = decoded.split_once(':').ok_or_else(wrong)?;
            (username, password) = (some(name), some(secret.trim_end_matches('\0')));
        }
        let credentials = Credentials {
            registry: registry.to_owned(),
            username,
            password,
            identity_token: some(&self.identitytoken),
            registry_token: some(&self.registrytoken),
        };
        let any = [&credentials.username, &credentials.identity_token, &credentials.registry_token];
        Ok(any.iter().any(|it| it.is_some()).then_some(credentials))
    }
}

/// Keys are hosts, and sometimes addresses.
fn host(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let host = key.split_once('/').map_or(key, |(host, _)| host);
    if host == DOCKER_HUB { DOCKER_HUB_KEY } else { host }
}

fn unreadable(path: &Path, why: &dyn Display) -> Unreadable {
    Unreadable(format!("Docker's config {} cannot be read: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: &str, registry: &str) -> Result<Found, Unreadable> {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("config.json");
        fs::write(&path, config).expect("written");
        find(Some(&path), registry)
    }

    #[test]
    fn credentials_are_found_by_host_however_it_is_written() {
        // "user:pass:word"
        let config = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "dXNlcjpwYXNzOndvcmQ="},
            "reg.example:5000": {"username": "a", "password": "b"}}, "unknown": 1}"#;
        for (registry, user, password) in
            [(DOCKER_HUB, "user", "pass:word"), ("reg.example:5000", "a", "b")]
        {
            let found = found(config, registry).expect("readable");
            let found = found.credentials().expect("some");
            assert!(!format!("{found:?}").contains(password));
            assert_eq!(found.username.as_deref(), Some(user));
            assert_eq!(found.password.as_deref(), Some(password));
        }
        assert!(matches!(found(config, "reg.example"), Ok(Found::Nothing)));
    }

    #[test]
    fn a_helper_is_named_and_not_run() {
        let config = r#"{"auths": {"a.example": {}}, "credsStore": "desktop",
            "credHelpers": {"b.example": "ecr-login"}}"#;
        for (registry, helper) in [("a.example", "desktop"), ("b.example", "ecr-login")] {
            let found = found(config, registry).expect("readable");
            assert!(found.credentials().is_none());
            let hint = found.hint().expect("a hint");
            assert!(hint.contains(&format!("docker-credential-{helper}")), "{hint}");
        }
    }

    #[test]
    fn a_broken_file_is_named_and_one_that_is_not_there_has_nothing() {
        for broken in ["{", r#"{"auths": {"a": {"auth": "!"}}}"#] {
            let said = found(broken, "a").expect_err("it is broken").to_string();
            assert!(said.contains("config.json cannot be read"), "{broken}: {said}");
        }
        assert!(matches!(find(Some(Path::new("/nowhere/at/all")), "a"), Ok(Found::Nothing)));
    }
}
