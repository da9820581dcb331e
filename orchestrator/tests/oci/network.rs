//! What a container with egress reaches, as a program in it finds: the internet, and nothing of this
//! host's or of its neighbours'. Each story has its own control, and a range of its own, by which it
//! knows its devices.

use std::net::Ipv4Addr;

use fileyard_orchestrator::engine::{ContainerId, NetworkRange, Networks, Reach, oci::OciEngine};

use crate::{
    Home, engine_in, oci_on,
    outside::{
        EGRESS, Host, Neighbour, addresses, attempt, elsewhere, end,
        filter::{Open, flush, no_rules_are_left_of, rules_of},
        found,
        internet::{ANSWER, Internet, SITE},
        networks, nothing_was_reached, run,
    },
};

const BOTH: Reach = Reach { listener: Some(8788), internet: true };

fn range(text: &str) -> NetworkRange {
    text.parse().unwrap()
}

/// The devices of this host's with an address that begins so, and that address.
fn devices(beginning: &str) -> Vec<(String, Ipv4Addr)> {
    let mut all = addresses();
    all.retain(|(_, address)| address.to_string().starts_with(beginning));
    all
}

fn device(beginning: &str) -> (String, Ipv4Addr) {
    let all = devices(beginning);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn egress_is_the_internet_its_names_and_nothing_of_the_host_s() {
    let home = Home::default();
    let it = oci_on(&home, engine_in(&home).with_networks(range("10.214.16.0/24")));
    let internet = Internet::new();
    let host = Host::with_programs().await;
    let (beside, _) = attempt(&it, EGRESS).await;
    let (first_device, here) = device("10.214.16.");
    let beside = Neighbour::begin(&it, beside, here).await;
    let (mut spec, _) = attempt(&it, EGRESS).await;
    let (device, gateway) =
        devices("10.214.16.").into_iter().find(|(name, _)| *name != first_device).unwrap();

    let private = internet.private().await;
    let admitted = [format!("dial {SITE}:80"), "resolve example.org".to_owned()];
    let mut refused = host.ways(gateway.into());
    refused.extend(elsewhere(beside.address));
    refused.extend(private.clone());
    let asked: Vec<String> = admitted.iter().chain(&refused).cloned().collect();
    let first = tokio::select! {
        found = found(&it, &mut spec, &asked) => found,
        () = host.answer() => unreachable!("it answers for ever"),
    };
    assert_eq!(first[&admitted[0]], "ok", "{first:#?}");
    assert_eq!(first[&admitted[1]], ANSWER, "{first:#?}");
    nothing_was_reached(&first, &refused);
    it.remove(&spec).await;

    // The control: without the rules all of that answers.
    let open = [Open::new("INPUT", &device), Open::new("FORWARD", &device)];
    let mut open_to = private;
    open_to.extend(host.ways(gateway.into()).into_iter().filter(|line| line.starts_with("dial ")));
    let second = found(&it, &mut spec, &open_to).await;
    drop(open);
    assert!(second.values().all(|outcome| outcome == "ok"), "{second:#?}");

    for spec in [spec, beside.spec] {
        end(&it, &spec).await;
    }
    drop(internet);
    it.leaves_nothing().await;
    no_rules_are_left_of(&device);
    assert_eq!(devices("10.214.16."), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_somebody_flushed_are_there_again_before_the_next_container_is() {
    let home = Home::default();
    let it = oci_on(&home, engine_in(&home).with_networks(range("10.214.17.0/24")));
    let (first, _) = attempt(&it, EGRESS).await;
    let (device, _) = device("10.214.17.");
    let before = rules_of(&device);
    assert!(!before.is_empty());
    flush(&device);
    let (second, _) = attempt(&it, EGRESS).await;
    assert_eq!(rules_of(&device), before);
    flush(&device);
    networks(&it).list(it.install).await.unwrap();
    assert_eq!(rules_of(&device), before, "a pass over the networks mends them too");
    for spec in [first, second] {
        networks(&it).remove(&spec.id).await.unwrap();
    }
    no_rules_are_left_of(&device);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_a_dead_process_left_go_with_the_next_one_s_first_pass() {
    let home = Home::default();
    let it = oci_on(&home, engine_in(&home).with_networks(range("10.214.18.0/24")));
    let (spec, _) = attempt(&it, EGRESS).await;
    let (device, _) = device("10.214.18.");
    // As if it had died between the two.
    run("ip", &["link", "delete", &device]);
    assert_ne!(rules_of(&device), Vec::<String>::new());
    assert_eq!(Networks::list(&engine_in(&home), it.install).await.unwrap(), []);
    no_rules_are_left_of(&device);
    networks(&it).remove(&spec.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_engine_on_the_same_directory_finds_the_network_and_removes_it() {
    let home = Home::default();
    let engine = || engine_in(&home).with_networks(range("10.214.19.0/24"));
    let it = oci_on(&home, engine());
    let (mut spec, gateway) = attempt(&it, BOTH).await;
    spec.command = ["say", "begun", "wait", "say", "ended"].map(str::to_owned).into();
    it.engine.start(&spec).await.unwrap();
    it.says(&spec.id, "begun").await;
    let (device, _) = device("10.214.19.");

    // As after a restart: of the first nothing is left but what it made.
    let mut next = oci_on(&home, engine());
    next.install = it.install;
    let again = networks(&next).ensure(&spec.id, BOTH).await.unwrap();
    assert_eq!(again.address, gateway);
    assert_eq!(devices("10.214.19.").len(), 1, "it is the same");
    assert!(networks(&next).remove(&spec.id).await.is_err(), "its container is on it");
    assert!(!rules_of(&device).is_empty());
    end(&next, &spec).await;
    networks(&it).remove(&spec.id).await.unwrap();
    no_rules_are_left_of(&device);
    assert_eq!(devices("10.214.19."), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_two_share_is_shared_and_one_that_is_full_says_so() {
    let (one_home, two_home) = (Home::default(), Home::default());
    let engine = |home| engine_in(home).with_networks(range("10.214.20.0/28"));
    let (one, two): (OciEngine, OciEngine) = (engine(&one_home), engine(&two_home));
    let it = oci_on(&one_home, engine(&one_home));
    let ids: Vec<ContainerId> = (0..3).map(|_| it.spec(&[]).id).collect();
    let (a, b) = tokio::join!(one.ensure(&ids[0], EGRESS), two.ensure(&ids[1], EGRESS));
    assert!(a.is_ok() && b.is_ok(), "{a:?} {b:?}");
    assert_eq!(devices("10.214.20.").len(), 2);
    let full = one.ensure(&ids[2], EGRESS).await.unwrap_err().to_string();
    assert!(full.contains("10.214.20.0/28") && full.contains("urls.networks"), "{full}");
    Networks::remove(&two, &ids[1]).await.unwrap();
    assert!(one.ensure(&ids[2], EGRESS).await.is_ok());
    for id in [ids[0], ids[2]] {
        Networks::remove(&one, &id).await.unwrap();
    }
    assert_eq!(devices("10.214.20."), []);
}
