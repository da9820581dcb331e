//! Stories that need Docker, MinIO and a browser; `script/test` brings all three. What is missing
//! is a failure, never a skipped story.
#![allow(clippy::unwrap_used, reason = "tests")]

/// The same stories over local files and over MinIO.
macro_rules! on_both_stores {
    ($($story:ident)*) => {
        mod local {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(fileyard_tests::yard::On::Local).await;
            })*
        }
        mod minio {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(fileyard_tests::yard::On::MinIo).await;
            })*
        }
    };
}

mod browser;
mod choice;
mod compose;
mod crash;
mod cuts;
mod disk;
mod endings;
mod examples;
mod flood;
mod hostile;
mod images;
mod kills;
mod life;
mod load;
mod network;
mod pipeline;
mod polls;
mod quota;
mod refused;
mod restart;
mod retention;
mod room;
mod soak;
mod strangers;
mod systems;
mod trouble;
mod urls;
