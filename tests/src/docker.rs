//! What is on the Docker engine, asked beside fileyard.

use std::collections::HashMap;

use bollard::{
    Docker,
    auth::DockerCredentials,
    errors::Error,
    query_parameters::{
        InspectContainerOptions, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
        PushImageOptions, RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder,
        TagImageOptions,
    },
};
use futures::TryStreamExt;

/// The engine that the stories share with whoever else uses it.
pub const HOST: &str = "unix:///var/run/docker.sock";
/// Its socket.
pub const SOCKET: &str = "/var/run/docker.sock";

/// A container as the engine sees it.
#[derive(Debug, Clone)]
pub struct Container {
    /// The engine's id for it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `created`, `running`, `exited`.
    pub state: String,
}

fn connect() -> Docker {
    Docker::connect_with_unix(SOCKET, 60, bollard::API_DEFAULT_VERSION).expect("Docker's socket")
}

/// Every container of this install.
///
/// # Panics
/// When the engine does not answer.
pub async fn containers(install: &str) -> Vec<Container> {
    labelled(format!("fileyard.install={install}")).await
}

async fn labelled(label: String) -> Vec<Container> {
    let filters = HashMap::from([("label".to_owned(), vec![label])]);
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    let docker = connect().negotiate_version().await.expect("Docker answers");
    let found = docker.list_containers(Some(options)).await.expect("Docker lists");
    let container = |summary: bollard::models::ContainerSummary| Container {
        id: summary.id.unwrap_or_default(),
        name: summary.names.unwrap_or_default().concat(),
        state: summary.state.map(|state| state.to_string()).unwrap_or_default(),
    };
    found.into_iter().map(container).collect()
}

/// The names of every network of this install.
///
/// # Panics
/// When the engine does not answer.
pub async fn networks(install: &str) -> Vec<String> {
    networks_labelled(format!("fileyard.install={install}")).await
}

async fn networks_labelled(label: String) -> Vec<String> {
    let filters = HashMap::from([("label".to_owned(), vec![label])]);
    let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
    let docker = connect().negotiate_version().await.expect("Docker answers");
    let found = docker.list_networks(Some(options)).await.expect("Docker lists");
    found.into_iter().filter_map(|network| network.name).collect()
}

/// What the engine has written down of a container's log, in bytes on its disk: nothing any more of
/// one that has gone since it was listed.
///
/// # Panics
/// When the engine does not answer.
pub async fn log_on_disk(id: &str) -> u64 {
    let docker = connect().negotiate_version().await.expect("Docker answers");
    let found = docker.inspect_container(id, None::<InspectContainerOptions>).await;
    let path = match found {
        Ok(found) => found.log_path.unwrap_or_default(),
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => return 0,
        Err(error) => panic!("Docker answers: {error}"),
    };
    let Some(dir) = std::path::Path::new(&path).parent() else { return 0 };
    let logs = std::fs::read_dir(dir).into_iter().flatten().flatten();
    logs.filter(|entry| entry.file_name().to_string_lossy().contains(".log"))
        .filter_map(|entry| entry.metadata().ok())
        .map(|file| file.len())
        .sum()
}

/// A variable in a container's environment.
///
/// # Panics
/// When the engine does not answer, or there is no such variable.
pub async fn variable(id: &str, name: &str) -> String {
    let docker = connect().negotiate_version().await.expect("Docker answers");
    let found = docker.inspect_container(id, None::<InspectContainerOptions>).await;
    let config = found.expect("the container is there").config.unwrap_or_default();
    let value = |line: String| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned());
    config.env.unwrap_or_default().into_iter().find_map(value).expect("the variable is there")
}

/// Puts an image that the engine has into a registry, as `to`, a name without a tag.
///
/// # Panics
/// When either does not take part.
pub async fn push(image: &str, to: &str, user: &str, password: &str) {
    let docker = connect().negotiate_version().await.expect("Docker answers");
    let tag = TagImageOptions { repo: Some(to.to_owned()), tag: Some("latest".into()) };
    docker.tag_image(image, Some(tag)).await.expect("the image is there");
    let credentials = DockerCredentials {
        username: Some(user.into()),
        password: Some(password.into()),
        ..DockerCredentials::default()
    };
    let options = PushImageOptions { tag: Some("latest".into()), ..PushImageOptions::default() };
    let pushed = docker.push_image(to, Some(options), Some(credentials));
    pushed.try_collect::<Vec<_>>().await.expect("the registry takes it");
    remove_image(&format!("{to}:latest"));
}

/// Removes every container and network of this install, running or not; for a story's end.
pub(crate) fn remove_all_of(install: &str) {
    remove_labelled(format!("fileyard.install={install}"));
}

/// Removes every container of this job, where the install is not known.
pub(crate) fn remove_all_for(job: &str) {
    remove_labelled(format!("fileyard.job={job}"));
}

/// Removes an image that a story had built.
pub(crate) fn remove_image(name: &str) {
    let name = name.to_owned();
    aside(async move {
        let options = RemoveImageOptionsBuilder::default().force(true).build();
        let _ = connect().remove_image(&name, Some(options), None).await;
    });
}

fn remove_labelled(label: String) {
    aside(async move {
        for container in labelled(label.clone()).await {
            let force = RemoveContainerOptionsBuilder::default().force(true).build();
            let _ = connect().remove_container(&container.id, Some(force)).await;
        }
        for network in networks_labelled(label).await {
            let _ = connect().remove_network(&network).await;
        }
    });
}

/// On a thread of its own: a drop may happen inside of a runtime, and can not wait there.
fn aside(work: impl Future<Output = ()> + Send + 'static) {
    let worker = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(work);
    });
    let _ = worker.join();
}
