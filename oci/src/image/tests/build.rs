//! Images of one program.

use super::*;
use crate::image::BuildRequest;

/// This machine's header of a program, with one segment of a kind.
fn program(machine: u16, segment: u32) -> Vec<u8> {
    let mut elf = vec![0; 64 + 56];
    elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    elf[16..18].copy_from_slice(&2u16.to_le_bytes());
    elf[18..20].copy_from_slice(&machine.to_le_bytes());
    elf[32..40].copy_from_slice(&64u64.to_le_bytes());
    elf[54..56].copy_from_slice(&56u16.to_le_bytes());
    elf[56..58].copy_from_slice(&1u16.to_le_bytes());
    elf[64..68].copy_from_slice(&segment.to_le_bytes());
    elf
}

fn here() -> u16 {
    if cfg!(target_arch = "aarch64") { 183 } else { 62 }
}

fn request(home: &Home, program: &[u8]) -> BuildRequest {
    let binary = home.dir.path().join("tool");
    fs::write(&binary, program).unwrap();
    BuildRequest { name: "tool:1".into(), binary, ..BuildRequest::default() }
}

#[test]
fn what_could_not_run_is_refused_with_what_to_do() {
    let home = Home::new();
    for (program, said) in [
        (program(here(), 3), "linked dynamically"),
        (program(22, 1), "this machine is"),
        (b"#!/bin/sh\n".to_vec(), "it is no program"),
        (vec![], "it is no program"),
    ] {
        let refused = home.store.build(&request(&home, &program)).unwrap_err();
        assert!(refused.to_string().contains(said), "{said}: {refused}");
    }
    let right = request(&home, &program(here(), 1));
    let path = home.dir.path().join("tool");
    let file = |to: &str| vec![(path.clone(), to.into())];
    for (wrong, said) in [
        (BuildRequest { entrypoint: vec!["/other".into()], ..right.clone() }, "which has /tool"),
        (BuildRequest { name: "A B".into(), ..right.clone() }, "no name of an image"),
        (BuildRequest { env: vec!["=x".into()], ..right.clone() }, "no variable"),
        (BuildRequest { files: file("etc/x"), ..right.clone() }, "no path in an image"),
        (BuildRequest { files: file("/../x"), ..right.clone() }, "no path in an image"),
        (BuildRequest { files: file("/tool"), ..right.clone() }, "is there twice"),
        (BuildRequest { files: file("/tool/x"), ..right.clone() }, "a file and a directory"),
        (BuildRequest { binary: "/nowhere".into(), ..right }, "/nowhere"),
    ] {
        let refused = home.store.build(&wrong).unwrap_err();
        assert!(refused.to_string().contains(said), "{said}: {refused}");
    }
    home.assert_empty();
}
