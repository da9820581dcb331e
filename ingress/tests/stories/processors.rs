//! Processors that a yard has.

use std::{collections::BTreeMap, time::Duration};

use fileyard_orchestrator::{
    engine::{Network, Pull, User},
    processor::{ParamKind, ParamSpec, Processor},
};
use fileyard_storage::attempt::Contract;
use serde_json::Value;

/// Takes everything.
pub(crate) fn processor(name: &str) -> Processor {
    Processor {
        name: name.parse().unwrap(),
        title: format!("Look into {name}"),
        image: "example/image:1".into(),
        pull: Pull::Missing,
        entrypoint: vec![],
        command: vec![],
        accepts: vec![],
        timeout: Duration::from_secs(600),
        grace: Duration::from_secs(10),
        memory: 1 << 29,
        cpus: 1.0,
        pids: 256,
        tmp: 1 << 26,
        user: User { uid: 65532, gid: 65532 },
        env: BTreeMap::new(),
        concurrency: 0,
        retries: 2,
        retry_on: vec![],
        max_outputs: 1000,
        max_output_size: 1 << 30,
        contract: Contract::Files,
        network: Network::None,
        params: BTreeMap::new(),
    }
}

/// Takes pictures, and has a param of every kind.
pub(crate) fn pictures() -> Processor {
    let param =
        |name: &str, kind, default: Option<Value>| (name.to_owned(), ParamSpec { kind, default });
    let formats = ParamKind::Choice(vec!["png".into(), "webp".into()]);
    let height = ParamKind::Integer { min: Some(144), max: Some(2160) };
    let sharpen = ParamKind::Number { min: Some(0.0), max: None };
    let params = [
        param("format", formats, Some("webp".into())),
        param("height", height, Some(720.into())),
        param("keep_colours", ParamKind::Boolean, Some(true.into())),
        param("label", ParamKind::text("[a-z]{0,8}").unwrap(), Some("".into())),
        param("sharpen", sharpen, Some(0.5.into())),
    ];
    Processor {
        title: "Pictures for the web".into(),
        accepts: vec!["image/*".into(), ".raw".into()],
        params: params.into(),
        ..processor("pictures")
    }
}
