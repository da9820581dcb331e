//! Pulls from a registry of this process, in good times and bad.

use std::{sync::Mutex, time::Duration};

use serde_json::json;

use super::{
    registry::{Registry, Trouble, blob},
    *,
};
use crate::image::{Fault, PullOptions, config::architecture};

fn options() -> PullOptions {
    PullOptions {
        credentials: None,
        again: 2,
        pause: Duration::from_millis(1),
        ..PullOptions::default()
    }
}

/// Of who gives up soon.
fn impatient() -> PullOptions {
    PullOptions { silence: Duration::from_millis(300), again: 1, ..options() }
}

/// A file as `docker login` writes it, with this name and password.
fn logged_in(home: &Home, registry: &Registry, user: &str, password: &str) -> PullOptions {
    let path = home.dir.path().join("config.json");
    let auths = json!({registry.at.to_string(): {"username": user, "password": password}});
    fs::write(&path, json!({"auths": auths}).to_string()).unwrap();
    PullOptions { credentials: Some(path), ..options() }
}

impl Home {
    async fn pull(&self, name: &str) -> Result<Image, ImageError> {
        self.store.pull(name, &options(), &|_| {}).await
    }

    /// What was said, and that nothing is left.
    async fn no_pull(&self, name: &str, options: &PullOptions) -> ImageError {
        let refused = self.store.pull(name, options, &|_| {}).await.unwrap_err();
        self.assert_empty();
        assert!(refused.to_string().starts_with("cannot pull "), "{refused}");
        refused
    }
}

/// An image of one layer of this content.
fn one(registry: &Registry, tag: &str, content: &[u8]) -> Vec<u8> {
    let layer = tar_of(&[("file", content)]);
    let packed = gzip(&layer);
    registry.add(tag, &config(&[&layer], &json!({"Cmd": ["/file"]})), &[&packed]);
    packed
}

#[tokio::test]
async fn an_image_is_here_after_it_was_pulled_and_comes_but_once() {
    let (home, registry) = (Home::new(), Registry::start());
    let (base, top) = (tar_of(&[("a", b"below")]), tar_of(&[("b", b"above")]));
    let config = config(&[&base, &top, &base], &json!({"Entrypoint": ["/b"]}));
    let packed = [gzip(&base), zstd::encode_all(&top[..], 3).unwrap()];
    let digest = registry.add("1", &config, &[&packed[0], &packed[1], &packed[0]]);
    let said = Mutex::new(Vec::new());
    let progress = |words| said.lock().unwrap().push(words);
    let image = home.store.pull(&registry.name("1"), &options(), &progress).await.unwrap();
    assert_eq!(image.digest, digest.to_string());
    assert_eq!(image.references, [registry.name("1")]);
    assert_eq!(image.config.entrypoint, ["/b"]);
    let top = fs::read_to_string(image.layers[1].join("a")).unwrap();
    assert_eq!((image.layers.len(), read(&image, "b"), top), (2, "above".into(), "below".into()));
    assert_eq!(home.inside("work").len(), 0);
    let said = said.into_inner().unwrap();
    assert_eq!(said[0], format!("asking {}", registry.at));
    assert!(said.iter().any(|it| it.starts_with("2 of 2 layers, ")), "{said:?}");

    let again = home.pull(&format!("{}/a@{digest}", registry.at)).await.unwrap();
    assert_eq!((&again.digest, again.references.len()), (&image.digest, 2));
    for packed in &packed {
        assert_eq!(registry.asked(&blob(packed)).len(), 1);
    }
}

#[tokio::test]
async fn of_an_images_platforms_this_machines_is_pulled() {
    let (home, registry) = (Home::new(), Registry::start());
    let layer = tar_of(&[("a", b"mine")]);
    let config = config(&[&layer], &json!({}));
    let manifest = registry.manifest(&config, &[&layer]);
    let mine = registry.add_manifest(&manifest);
    let nobodys = Digest::of(b"nobody's");
    let describe = |digest: &Digest, size: usize, os: &str, architecture: &str| {
        json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest,
            "size": size, "platform": {"os": os, "architecture": architecture}})
    };
    let here = architecture().to_string();
    let list = |all: &[serde_json::Value]| {
        let index = json!({"schemaVersion": 2, "manifests": all});
        serde_json::to_vec(&index).unwrap()
    };
    let windows = describe(&nobodys, 9, "windows", &here);
    let other = describe(&nobodys, 9, "linux", "other");
    let note = describe(&nobodys, 9, "unknown", "unknown");
    let index = list(&[
        windows.clone(),
        note.clone(),
        other.clone(),
        describe(&mine, manifest.len(), "linux", &here),
    ]);
    registry.put("/v2/a/manifests/1", index.clone());
    let image = home.pull(&registry.name("1")).await.unwrap();
    assert_eq!(image.digest, mine.to_string());
    // The list's digest is a name for it too.
    let whole = registry.add_manifest(&index);
    let pinned = format!("{}/a@{whole}", registry.at);
    assert_eq!(home.pull(&pinned).await.unwrap().digest, mine.to_string());
    assert_eq!(home.store.find(&pinned).unwrap().unwrap().digest, mine.to_string());

    registry.put("/v2/a/manifests/2", list(&[windows, note, other]));
    let refused = Home::new().no_pull(&registry.name("2"), &options()).await.to_string();
    let platforms =
        format!("it is for windows/{here}, linux/other, and this machine is linux/{here}");
    assert!(refused.contains(&platforms), "{refused}");
}

#[tokio::test]
async fn a_refusal_says_who_refuses_and_what_to_do() {
    let registry = Registry::start();
    let packed = one(&registry, "1", b"1");
    let envelope = r#"{"errors": [{"code": "DENIED", "message": "not for you"}]}"#;
    let odd = r#"{"errors": [{"code": "ODD", "message": "no"}]}"#;
    let busy = r#"{"errors": [{"code": "RATE_LIMITED", "message": "slow"}]}"#;
    for (status, body, kind, words) in [
        (401, "", Fault::Image, "does not hand it out without credentials"),
        (403, envelope, Fault::Image, "does not let this user have it (\"not for you\")"),
        (403, "<html>", Fault::Image, "does not let this user have it (\"<html>\")"),
        (404, "", Fault::NotFound, "has no image of this name: is the name right"),
        (418, "tea", Fault::Image, "refuses (status 418) (\"tea\")"),
        (400, odd, Fault::Image, "refuses (\"no\")"),
        (429, busy, Fault::Passing, "too many requests from here (\"slow\"): wait for a while"),
        (429, "", Fault::Passing, "too many requests from here: wait for a while"),
        (503, "off", Fault::Passing, "is in trouble (status 503) (\"off\")"),
    ] {
        let trouble = Trouble::Status(status, &[], body);
        let path = "/v2/a/manifests/1";
        let before = registry.asked(path).len();
        // What passes is tried again as often as one has patience.
        let tries = if kind == Fault::Passing { 3 } else { 1 };
        registry.trouble(path, vec![trouble; tries]);
        let refused = Home::new().no_pull(&registry.name("1"), &options()).await;
        let said = refused.to_string();
        assert_eq!(refused.kind(), kind, "{said}");
        assert!(said.contains(&registry.at.to_string()) && said.contains(words), "{said}");
        assert_eq!(registry.asked(path).len() - before, tries, "{said}");
    }
    let missing = Home::new().no_pull(&registry.name("2"), &options()).await;
    assert_eq!(missing.kind(), Fault::NotFound);
    registry.trouble(&blob(&packed), [Trouble::Status(404, &[], "")]);
    let missing = Home::new().no_pull(&registry.name("1"), &options()).await;
    let words = format!("layer 1 of 1: {} does not have it, though", registry.at);
    assert!(missing.to_string().contains(&words), "{missing}");
    let nobody = Home::new().no_pull("127.0.0.1:1/a", &options()).await;
    assert_eq!(nobody.kind(), Fault::Passing);
    assert!(nobody.to_string().contains("127.0.0.1:1 can not be reached"), "{nobody}");
    for wrong in ["", "A", "a b"] {
        let refused = Home::new().pull(wrong).await.unwrap_err();
        assert_eq!(refused.kind(), Fault::Image, "{refused}");
    }
}

#[tokio::test]
async fn what_passes_is_waited_for() {
    let (home, registry) = (Home::new(), Registry::start());
    let packed = one(&registry, "1", b"1");
    let busy = || vec![Trouble::Status(429, &[], ""), Trouble::Status(502, &[], "")];
    registry.trouble("/v2/a/manifests/1", busy());
    registry.trouble(&blob(&packed), busy());
    home.pull(&registry.name("1")).await.unwrap();
}

#[tokio::test]
async fn credentials_are_sent_to_whom_they_are_for() {
    let (home, registry) = (Home::new(), Registry::start());
    one(&registry, "1", b"1");
    // user:right
    registry.lock("Basic dXNlcjpyaWdodA==", "Basic realm=\"x\"");
    let name = registry.name("1");
    let refused = home.no_pull(&name, &options()).await.to_string();
    assert!(
        refused.contains("without credentials") && refused.contains("docker login"),
        "{refused}"
    );
    let wrong = logged_in(&home, &registry, "user", "wrong");
    let refused = home.no_pull(&name, &wrong).await;
    assert_eq!(refused.kind(), Fault::Image);
    let said = refused.to_string();
    assert!(said.contains("does not take the credentials in Docker's config (user)"), "{said}");
    assert!(!said.contains("wrong"), "{said}");
    let right = logged_in(&home, &registry, "user", "right");
    home.store.pull(&name, &right, &|_| {}).await.unwrap();
}

#[tokio::test]
async fn a_token_is_fetched_with_the_credentials_and_sent_instead_of_them() {
    let (home, registry) = (Home::new(), Registry::start());
    one(&registry, "1", b"1");
    let challenge = format!("Bearer realm=\"http://{}/token\",service=\"s\"", registry.at);
    registry.lock("Bearer t0k", &challenge);
    registry.put("/token", br#"{"token": "t0k"}"#.to_vec());
    let options = logged_in(&home, &registry, "user", "right");
    home.store.pull(&registry.name("1"), &options, &|_| {}).await.unwrap();
    let asked = &registry.asked("/token")[0];
    assert!(asked.0.contains("scope=repository%3Aa%3Apull"), "{asked:?}");
    assert_eq!(asked.2, "Basic dXNlcjpyaWdodA==");
    assert!(registry.asked("/v2/a/").iter().all(|it| !it.2.starts_with("Basic")));

    let refusal = r#"{"details": "incorrect username or password"}"#;
    registry.trouble("/token", [Trouble::Status(401, &[], refusal)]);
    let refused = Home::new().no_pull(&registry.name("1"), &options).await;
    assert_eq!(refused.kind(), Fault::Image, "{refused}");
    registry.trouble("/token", vec![Trouble::Status(503, &[], "<html>"); 3]);
    let refused = Home::new().no_pull(&registry.name("1"), &options).await;
    assert_eq!(refused.kind(), Fault::Passing, "{refused}");
    assert!(refused.to_string().contains("gives no token"), "{refused}");
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_was() {
    let (home, registry) = (Home::new(), Registry::start());
    let packed = one(&registry, "1", b"1");
    let path = blob(&packed);
    registry.trouble(&path, [Trouble::Cut(40), Trouble::Stall(10)]);
    let options = PullOptions { silence: Duration::from_secs(1), ..options() };
    home.store.pull(&registry.name("1"), &options, &|_| {}).await.unwrap();
    let ranges: Vec<String> = registry.asked(&path).into_iter().map(|it| it.1).collect();
    assert_eq!(ranges, ["", "bytes=40-", "bytes=50-"]);
    // Who knows no ranges sends all of it again.
    let home = Home::new();
    registry.trouble(&path, [Trouble::Cut(40), Trouble::Whole]);
    home.pull(&registry.name("1")).await.unwrap();
}

#[tokio::test]
async fn a_registry_that_stalls_is_given_up() {
    let registry = Registry::start();
    let packed = one(&registry, "1", b"1");
    for path in ["/v2/", "/v2/a/manifests/1", &blob(&packed)] {
        registry.trouble(path, [Trouble::Silence, Trouble::Silence]);
        let refused = Home::new().no_pull(&registry.name("1"), &impatient()).await;
        assert_eq!(refused.kind(), Fault::Passing);
        assert!(refused.to_string().contains("has said nothing for 300ms"), "{refused}");
    }
    registry.trouble(&blob(&packed), [10, 0].map(Trouble::Stall));
    let refused = Home::new().no_pull(&registry.name("1"), &impatient()).await;
    assert!(refused.to_string().contains("has said nothing for 300ms"), "{refused}");
    registry.trouble(&blob(&packed), [10, 0, 0].map(Trouble::Cut));
    let refused = Home::new().no_pull(&registry.name("1"), &options()).await;
    assert!(refused.to_string().contains("broke off"), "{refused}");
    assert_eq!(refused.kind(), Fault::Passing);
}

#[tokio::test]
async fn what_is_not_what_it_is_said_to_be_is_refused() {
    let registry = Registry::start();
    let packed = one(&registry, "1", b"1");
    let name = registry.name("1");
    let mut changed = packed.clone();
    *changed.last_mut().unwrap() ^= 1;
    let longer = [&packed[..], b"more"].concat();
    for (path, other, words) in [
        (blob(&packed), changed, "is something else"),
        (blob(&packed), longer, "has more bytes than the"),
        ("/v2/a/manifests/1".into(), b"[]".to_vec(), "has for a manifest is none"),
        (
            "/v2/a/manifests/1".into(),
            br#"{"schemaVersion": 1, "fsLayers": []}"#.to_vec(),
            "first schema",
        ),
    ] {
        registry.trouble(&path, [Trouble::Instead(other)]);
        let refused = Home::new().no_pull(&name, &options()).await;
        assert_eq!(refused.kind(), Fault::Image, "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
    // A manifest by its digest, and a layer by what it is unpacked.
    let pinned = Digest::of(b"another");
    let manifest = registry.manifest(&config(&[], &json!({})), &[]);
    registry.put(&format!("/v2/a/manifests/{pinned}"), manifest);
    let refused = Home::new().no_pull(&format!("{}/a@{pinned}", registry.at), &options()).await;
    assert_eq!(refused.kind(), Fault::Image, "{refused}");
    let other = tar_of(&[("file", b"2")]);
    registry.add("2", &config(&[&other], &json!({})), &[&packed]);
    let refused = Home::new().no_pull(&registry.name("2"), &options()).await;
    assert!(refused.to_string().contains("layer 1 of 1: it is not what the image's config says"));
    registry.add("3", &config(&[&other], &json!({})), &[]);
    let refused = Home::new().no_pull(&registry.name("3"), &options()).await;
    assert!(refused.to_string().contains("0 layers, and its config of 1"), "{refused}");
    let foreign = config_of(&[], "other", &json!({}));
    registry.add("4", &foreign, &[]);
    let refused = Home::new().no_pull(&registry.name("4"), &options()).await;
    assert!(refused.to_string().contains("it is for linux/other"), "{refused}");
}

#[tokio::test]
async fn two_that_pull_one_image_download_it_once() {
    let (home, registry) = (Home::new(), Registry::start());
    let layers: Vec<Vec<u8>> = (0..5).map(|n| tar_of(&[("file", &[n])])).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    registry.add("1", &config(&layers, &json!({})), &layers);
    let (other, name) = (home.reopen(), registry.name("1"));
    let options = options();
    let (one, two) = tokio::join!(home.pull(&name), other.pull(&name, &options, &|_| {}));
    assert_eq!(one.unwrap(), two.unwrap());
    for layer in layers {
        assert_eq!(registry.asked(&blob(layer)).len(), 1);
    }
    assert_eq!((home.inside("work").len(), home.inside("unpacking").len()), (0, 0));
}

#[tokio::test]
async fn who_drops_a_pull_ends_it() {
    let (home, registry) = (Home::new(), Registry::start());
    let packed = one(&registry, "1", b"1");
    registry.trouble(&blob(&packed), [Trouble::Stall(10)]);
    let patient = PullOptions { silence: Duration::from_secs(3600), ..options() };
    let name = registry.name("1");
    tokio::select! {
        pulled = home.store.pull(&name, &patient, &|_| {}) => panic!("{pulled:?}"),
        () = async {
            while registry.asked(&blob(&packed)).is_empty() {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    drop(home.reopen());
    home.assert_empty();
    // Who comes later is not kept from it.
    home.pull(&name).await.unwrap();
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_its_registry_where_it_is_of_no_use() {
    let (home, mirror, registry) = (Home::new(), Registry::start(), Registry::start());
    one(&mirror, "1", b"from the mirror");
    one(&registry, "2", b"from the registry");
    let mirrors = [(registry.at.to_string(), mirror.at.to_string())].into();
    let options = PullOptions { mirrors, ..options() };
    let image = home.store.pull(&registry.name("1"), &options, &|_| {}).await.unwrap();
    assert_eq!(read(&image, "file"), "from the mirror");
    assert_eq!(image.references, [registry.name("1")]);
    assert_eq!(registry.asked("/").len(), 0);
    assert!(mirror.asked("/v2/a/manifests/1")[0].0.ends_with(&format!("?ns={}", registry.at)));
    let image = home.store.pull(&registry.name("2"), &options, &|_| {}).await.unwrap();
    assert_eq!(read(&image, "file"), "from the registry");
}

#[tokio::test]
async fn what_unpacks_to_more_than_an_image_may_is_not_kept() {
    let registry = Registry::start();
    let layers = [tar_of(&[("a", &[0; 3000])]), tar_of(&[("b", &[0; 3000])])];
    let layers = [&layers[0][..], &layers[1]];
    registry.add("1", &config(&layers, &json!({})), &layers);
    let home = Home::with(Limits { keep_free: 0, image_bytes: 8000, ..Limits::default() });
    let refused = home.pull(&registry.name("1")).await.unwrap_err();
    assert!(refused.to_string().contains("unpacks to more than"), "{refused}");
    assert_eq!(home.inside("images").len(), 0);
    let home = Home::with(Limits { keep_free: u64::MAX, ..Limits::default() });
    let refused = home.no_pull(&registry.name("1"), &options()).await;
    assert_eq!(refused.kind(), Fault::NoSpace);
}
